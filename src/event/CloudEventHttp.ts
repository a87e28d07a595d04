/**
 * CloudEvents over HTTP (protocol binding 1.0.2), in binary, structured and batch mode.
 *
 * **Details**
 *
 * Attributes are headers that begin with `ce-`, percent-encoded; `datacontenttype` is the content type. What a message
 * carries is told by its content type. Header values that are quoted, as older producers wrote them, are read too.
 *
 * **Example** (Send and receive)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { CloudEvent, CloudEventHttp } from "effect-integration/event"
 * import { HttpClient, HttpServerResponse } from "effect/http"
 *
 * export const send = (event: CloudEvent.CloudEvent) =>
 *   Effect.flatMap(CloudEventHttp.request("https://hooks.acme.com/orders", event), HttpClient.execute)
 *
 * export const receive = CloudEventHttp.received.pipe(
 *   Effect.map((events) => HttpServerResponse.empty({ status: events.length === 0 ? 204 : 202 })),
 *   Effect.catchTag("InvalidEvent", (error) => HttpServerResponse.json({ attribute: error.attribute }, { status: 400 }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpServerError } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as CloudEvent from "./CloudEvent.ts"
import { Attributes, Problem } from "./internal/cloudEventAttributes.ts"
import * as Payload from "./internal/cloudEventData.ts"
import * as Headers from "./internal/cloudEventHeaders.ts"
import * as Structured from "./internal/cloudEventStructured.ts"

/**
 * What of an HTTP request or response belongs to events.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpMessage {
  /** By name, which is written in lower case and read in any. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** How one event is sent. @category models @since 0.1.0 */
export type Mode = "binary" | "structured"

const ascii = /^[\x21-\x7e]*$/

const percent = (text: string): string =>
  ascii.test(text) && !/["%]/.test(text)
    ? text
    : text.replaceAll(/[^\x21\x23\x24\x26-\x7e]+/g, (part) =>
        Array.from(Payload.writeUtf8(part), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("")
      )

/** The text of a header: quotes first, then one round of percent signs; `undefined` where it is badly encoded. */
const readHeader = (given: string): string | undefined => {
  const text = given.replaceAll(/^[ \t]+|[ \t]+$/g, "")
  if (ascii.test(text) && !/["%]/.test(text)) return text
  if (!/^[\x20-\x7e]*$/.test(text)) return undefined
  const plain = text.includes('"') ? unquote(text) : text
  if (plain === undefined || !plain.includes("%")) return plain
  return Result.getOrUndefined(Result.try(() => decodeURIComponent(plain)))
}

/** Without quotes and backslashes (RFC 7230, 3.2.6); `undefined` where a quote is never closed. */
const unquote = (text: string): string | undefined => {
  let plain = ""
  let open = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]!
    if (character === '"') open = !open
    else if (character === "\\" && open) plain += text[++index] ?? ""
    else plain += character
  }
  return open ? undefined : plain
}

const contentType = (headers: HttpMessage["headers"]): string | undefined => {
  for (const name of Object.keys(headers)) if (name.toLowerCase() === "content-type") return headers[name]
  return undefined
}

const readBinary = (message: HttpMessage): CloudEvent.CloudEvent | CloudEvent.InvalidEvent => {
  const attributes = new Attributes()
  for (const header of Object.keys(message.headers)) {
    const name = header.toLowerCase()
    if (name === "content-type") attributes.set("datacontenttype", message.headers[header])
    if (!name.startsWith("ce-")) continue
    const attribute = name.slice(3)
    const value = readHeader(message.headers[header] ?? "")
    if (attribute === "datacontenttype") attributes.reject(attribute, "is a header beside the content type")
    else if (value === undefined) attributes.reject(attribute, "is not encoded as the HTTP binding says")
    else attributes.set(attribute, value)
  }
  const made = CloudEvent.build(attributes, attributes.problem ?? Payload.fromBytes(message.body, attributes.media))
  return made instanceof Problem ? CloudEvent.failure(made, attributes) : made
}

const resultOf = <A>(made: A | CloudEvent.InvalidEvent): Result.Result<A, CloudEvent.InvalidEvent> =>
  made instanceof CloudEvent.InvalidEvent ? Result.fail(made) : Result.succeed(made)

/**
 * The events of a message in any mode: one, or those of a batch.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (
  message: HttpMessage
): Result.Result<ReadonlyArray<CloudEvent.CloudEvent>, CloudEvent.InvalidEvent> => {
  const mode = Structured.modeOf(contentType(message.headers))
  if (mode instanceof Problem) return Result.fail(CloudEvent.failure(mode))
  if (mode === "batch") return resultOf(Structured.readBatch(message.body))
  return Result.map(resultOf(mode === "structured" ? Structured.read(message.body) : readBinary(message)), (event) => [
    event
  ])
}

/** The message of an event. Default mode: `binary`. @category encoding @since 0.1.0 */
export const encode = (
  event: CloudEvent.CloudEvent,
  mode: Mode = "binary"
): Result.Result<HttpMessage, CloudEvent.InvalidEvent> => {
  if (mode === "structured") return Result.map(resultOf(Structured.write(event)), written(mode))
  const attributes = CloudEvent.attributesOf(event)
  const body =
    attributes.problem ?? Payload.check(event.data, attributes.media) ?? Payload.toBytes(event.data, attributes.media)
  if (body instanceof Problem) return Result.fail(CloudEvent.failure(body, attributes))
  const headers: Record<string, string> = {}
  Headers.forEach(event, (name, value) => (headers[`ce-${name}`] = percent(String(value))))
  const type = Headers.contentTypeFor(event)
  if (type !== undefined) headers["content-type"] = type
  return Result.succeed({ headers, body })
}

const written =
  (mode: "structured" | "batch") =>
  (text: string): HttpMessage => ({
    headers: { "content-type": `application/cloudevents${mode === "batch" ? "-batch" : ""}+json` },
    body: Payload.writeUtf8(text)
  })

/**
 * The message of a batch.
 *
 * **Gotchas**
 *
 * A batch must not be sent to a receiver that has not asked for batches (HTTP binding, 3).
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeBatch = (
  events: ReadonlyArray<CloudEvent.CloudEvent>
): Result.Result<HttpMessage, CloudEvent.InvalidEvent> =>
  Result.map(resultOf(Structured.writeBatch(events)), written("batch"))

const post = (url: string | URL, message: HttpMessage): HttpClientRequest.HttpClientRequest => {
  const request = HttpClientRequest.post(url, { headers: message.headers })
  const type = message.headers["content-type"]
  // A body without content type would be sent with one.
  return type === undefined ? request : HttpClientRequest.bodyUint8Array(request, message.body, type)
}

/** A POST of an event. Default mode: `binary`. @category requests @since 0.1.0 */
export const request = (
  url: string | URL,
  event: CloudEvent.CloudEvent,
  mode: Mode = "binary"
): Effect.Effect<HttpClientRequest.HttpClientRequest, CloudEvent.InvalidEvent> =>
  Effect.map(
    Effect.suspend(() => Effect.fromResult(encode(event, mode))),
    (message) => post(url, message)
  )

/** A POST of a batch. @category requests @since 0.1.0 */
export const batchRequest = (
  url: string | URL,
  events: ReadonlyArray<CloudEvent.CloudEvent>
): Effect.Effect<HttpClientRequest.HttpClientRequest, CloudEvent.InvalidEvent> =>
  Effect.map(
    Effect.suspend(() => Effect.fromResult(encodeBatch(events))),
    (message) => post(url, message)
  )

/**
 * The events of the request that is being served, in any mode.
 *
 * @category requests
 * @since 0.1.0
 */
export const received: Effect.Effect<
  ReadonlyArray<CloudEvent.CloudEvent>,
  CloudEvent.InvalidEvent | HttpServerError,
  HttpServerRequest.HttpServerRequest
> = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
  Effect.flatMap(request.arrayBuffer, (body) =>
    Effect.fromResult(decode({ headers: request.headers, body: new Uint8Array(body) }))
  )
)
