/**
 * How the events of a channel become messages, and messages events.
 *
 * **Details**
 *
 * - `binary` and `structured` are the two modes of CloudEvents. Both read either mode, told apart by the content type.
 * - `json` is for messages of existing systems, which are plain JSON.
 * - What a codec reads is validated, and never repaired.
 *
 * **Example** (Messages of an existing system)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Channel, Codec, EventType, Ordering } from "effect-integration/event"
 *
 * const InvoicePaid = EventType.make("invoice.paid", {
 *   source: "/erp",
 *   data: Schema.Struct({ number: Schema.String, customer: Schema.String })
 * })
 *
 * const erp = Codec.json({
 *   name: "plain JSON of the ERP",
 *   id: (_, message) => message.messageId,
 *   type: () => "invoice.paid",
 *   source: () => "/erp"
 * })
 *
 * export const Invoices = Channel.make("invoices", [InvoicePaid], { codec: erp, ordering: Ordering.none })
 * ```
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Option from "../internal/option.ts"
import * as CloudEvent from "./CloudEvent.ts"
import { Attributes, Problem } from "./internal/cloudEventAttributes.ts"
import * as Payload from "./internal/cloudEventData.ts"
import * as Headers from "./internal/cloudEventHeaders.ts"
import * as Structured from "./internal/cloudEventStructured.ts"
import type { Message } from "./Message.ts"

/**
 * Which protocol binding of CloudEvents a broker speaks, where the attributes travel in headers.
 *
 * @category models
 * @since 0.1.0
 */
export type Binding = "amqp" | "kafka"

/**
 * Reads and writes the messages of a channel.
 *
 * @category models
 * @since 0.1.0
 */
export interface Codec {
  /** For the document: `CloudEvents, binary mode`. */
  readonly name: string
  /**
   * The message of an event: its `messageId` is the event's id, its `key` the event's `partitionkey`. Throws
   * `InvalidEvent` where the event is not valid, or its data is not what its `datacontenttype` says.
   */
  readonly encode: (event: CloudEvent.CloudEvent, binding: Binding) => Message
  /** Never throws. */
  readonly decode: (message: Message, binding: Binding) => Result.Result<CloudEvent.CloudEvent, CloudEvent.InvalidEvent>
}

const resultOf = <A>(made: A | CloudEvent.InvalidEvent): Result.Result<A, CloudEvent.InvalidEvent> =>
  made instanceof CloudEvent.InvalidEvent ? Result.fail(made) : Result.succeed(made)

const identified = (event: CloudEvent.CloudEvent): { readonly messageId: string; readonly key?: string } => {
  const key = event.extensions.partitionkey
  return typeof key === "string" ? { messageId: event.id, key } : { messageId: event.id }
}

const decode: Codec["decode"] = (message, binding) => {
  const mode = Structured.modeOf(Headers.contentTypeOf(message, binding))
  if (mode === "structured") return resultOf(Structured.read(message.body))
  if (mode instanceof Problem) return Result.fail(CloudEvent.failure(mode))
  if (mode === "batch") {
    return Result.fail(CloudEvent.failure(new Problem("content-type", "is that of a batch, which no message may be")))
  }
  const attributes = binding === "amqp" ? Headers.fromAmqp(message) : Headers.fromKafka(message)
  const made = CloudEvent.build(attributes, attributes.problem ?? Payload.fromBytes(message.body, attributes.media))
  return made instanceof Problem ? Result.fail(CloudEvent.failure(made, attributes)) : Result.succeed(made)
}

/** The bytes of an event's data; throws what is wrong with the event. */
const bodyOf = (event: CloudEvent.CloudEvent, attributes = CloudEvent.attributesOf(event)): Uint8Array => {
  const body =
    attributes.problem ?? Payload.check(event.data, attributes.media) ?? Payload.toBytes(event.data, attributes.media)
  if (body instanceof Problem) throw CloudEvent.failure(body, attributes)
  return body
}

/**
 * CloudEvents in binary mode: attributes in headers, the data alone in the body.
 *
 * **Details**
 *
 * - AMQP: writes headers that begin with `cloudEvents:`, reads those with `cloudEvents_` too; a message with both is
 *   invalid. Numbers and truth values are written as such. A `time` is a text; a timestamp is invalid.
 * - Kafka: headers that begin with `ce_`, and `content-type`, all in UTF-8.
 * - JSON data without `datacontenttype` is written as `application/json`, and data without content type is read as JSON.
 *
 * @category codecs
 * @since 0.1.0
 */
export const binary: Codec = {
  name: "CloudEvents, binary mode",
  encode: (event, binding) => {
    const body = bodyOf(event)
    const contentType = Headers.contentTypeFor(event)
    const headers = binding === "amqp" ? Headers.toAmqp(event) : Headers.toKafka(event, contentType)
    return { body, headers, ...identified(event), ...(contentType === undefined ? {} : { contentType }) }
  },
  decode
}

/** The media type of one event in the JSON format. */
const structuredType = "application/cloudevents+json"

/**
 * CloudEvents in structured mode: the event as a whole is JSON in the body.
 *
 * @category codecs
 * @since 0.1.0
 */
export const structured: Codec = {
  name: "CloudEvents, structured mode",
  encode: (event, binding) => {
    const text = Structured.write(event)
    if (text instanceof CloudEvent.InvalidEvent) throw text
    return {
      body: Payload.writeUtf8(text),
      headers: binding === "amqp" ? {} : { "content-type": Payload.writeUtf8(structuredType) },
      contentType: structuredType,
      ...identified(event)
    }
  },
  decode
}

/**
 * What a plain JSON message says of its event; `undefined` where it does not say it.
 *
 * @category models
 * @since 0.1.0
 */
export type Extract = (body: unknown, message: Message) => string | undefined

/**
 * @category models
 * @since 0.1.0
 */
export interface JsonOptions {
  /** For the document. Default: `plain JSON`. */
  readonly name?: string
  readonly id: Extract
  readonly type: Extract
  readonly source: Extract
  /** A time of RFC 3339. */
  readonly time?: Extract
  readonly subject?: Extract
  /** The `partitionkey` of the event. */
  readonly key?: Extract
}

/**
 * Plain JSON messages of existing systems: the body is the data, and functions say what its event is.
 *
 * **Details**
 *
 * - An `id`, `type` or `source` that is missing or empty makes the message invalid, and so does a function that throws.
 * - What is written is the data as JSON, with the event's id as `messageId`. The other attributes are not sent.
 *
 * @category codecs
 * @since 0.1.0
 */
export const json = (options: JsonOptions): Codec => {
  const { id, key, name = "plain JSON", source, subject, time, type } = options
  const extracts = { id, source, type, time, subject, partitionkey: key }
  for (const [attribute, extract] of Object.entries(extracts)) {
    const required = attribute === "id" || attribute === "source" || attribute === "type"
    if (typeof extract === "function" || (extract === undefined && !required)) continue
    Option.reject("Codec.json", attribute === "partitionkey" ? "key" : attribute, extract, "a function")
  }
  return {
    name: Option.name("Codec.json", name),
    encode: (event) => {
      const attributes = CloudEvent.attributesOf(event)
      const body = bodyOf(event, attributes)
      if (event.data === undefined) throw CloudEvent.failure(new Problem("data", "is missing"), attributes)
      if (Payload.kindOf(attributes.media) !== "json") {
        throw CloudEvent.failure(new Problem("datacontenttype", "is not JSON"), attributes)
      }
      return { body, headers: {}, contentType: "application/json", ...identified(event) }
    },
    decode: (message) => {
      const attributes = new Attributes()
      attributes.set("specversion", "1.0")
      const data =
        message.body.length === 0 ? new Problem("data", "is missing") : Payload.fromBytes(message.body, undefined)
      if (data instanceof Problem) return Result.fail(CloudEvent.failure(data))
      for (const [attribute, extract] of Object.entries(extracts)) {
        if (extract === undefined) continue
        const value = Result.try(() => extract(data, message))
        if (Result.isFailure(value)) attributes.reject(attribute, "could not be read: the function of the codec threw")
        else if (value.success !== undefined && value.success !== null) attributes.set(attribute, value.success)
      }
      const made = CloudEvent.build(attributes, data)
      return made instanceof Problem ? Result.fail(CloudEvent.failure(made, attributes)) : Result.succeed(made)
    }
  }
}
