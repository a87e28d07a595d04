/** Ways for an event to arrive, written without the validation of the code under test. */
import { assert } from "@effect/vitest"
import { DateTime, Result } from "effect"
import { CloudEvent, CloudEventHttp, CloudEventJson, Codec } from "../../src/event/index.ts"
import type { Message } from "../../src/event/index.ts"

export type Raw = Readonly<Record<string, unknown>>
export type Decoded = Result.Result<CloudEvent.CloudEvent, CloudEvent.InvalidEvent>

export interface Form {
  readonly name: string
  /** Whether attributes keep their types. */
  readonly typed: boolean
  readonly receive: (attributes: Raw, data?: unknown) => Decoded
}

export const utf8 = (text: string) => new TextEncoder().encode(text)

const prefixed = (prefix: string, attributes: Raw, write: (value: unknown) => any): Record<string, any> =>
  Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) =>
      name === "datacontenttype" || value === undefined ? [] : [[prefix + name, write(value)]]
    )
  )

const body = (data: unknown) => (data === undefined ? new Uint8Array(0) : utf8(JSON.stringify(data)))
const typeOf = (attributes: Raw): { contentType?: any } =>
  attributes.datacontenttype === undefined ? {} : { contentType: attributes.datacontenttype }

const amqp = (prefix: string): Form => ({
  name: `AMQP ${prefix}`,
  typed: true,
  receive: (attributes, data) =>
    Codec.binary.decode(
      { body: body(data), headers: prefixed(prefix, attributes, (value) => value), ...typeOf(attributes) },
      "amqp"
    )
})
const members = (attributes: Raw, data: unknown) => ({ ...attributes, ...(data === undefined ? {} : { data }) })
export const only = (all: Result.Result<ReadonlyArray<CloudEvent.CloudEvent>, CloudEvent.InvalidEvent>): Decoded =>
  Result.map(all, (events) => {
    assert.strictEqual(events.length, 1)
    return events[0]!
  })
export const percentEncoded = (text: string) =>
  Array.from(text, (character) =>
    /[!#$&-~]/.test(character) && character.length === 1 && character <= "~"
      ? character
      : Array.from(utf8(character), (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")
  ).join("")

const structured = (name: string, decode: (bytes: Uint8Array) => Decoded): Form => ({
  name,
  typed: true,
  receive: (attributes, data) => decode(utf8(JSON.stringify(members(attributes, data))))
})
const contentType = "application/cloudevents+json; charset=UTF-8"

export const forms: ReadonlyArray<Form> = [
  amqp("cloudEvents:"),
  amqp("cloudEvents_"),
  {
    name: "Kafka",
    typed: false,
    receive: (attributes, data) => {
      const headers = prefixed("ce_", attributes, (value) => utf8(String(value)))
      if (attributes.datacontenttype !== undefined) headers["content-type"] = utf8(String(attributes.datacontenttype))
      return Codec.binary.decode({ body: body(data), headers }, "kafka")
    }
  },
  {
    name: "HTTP",
    typed: false,
    receive: (attributes, data) => {
      const headers = prefixed("ce-", attributes, (value) => percentEncoded(String(value)))
      if (attributes.datacontenttype !== undefined) headers["Content-Type"] = String(attributes.datacontenttype)
      return only(CloudEventHttp.decode({ headers, body: body(data) }))
    }
  },
  structured("JSON", CloudEventJson.decode),
  structured("JSON over AMQP", (bytes) => Codec.structured.decode({ body: bytes, headers: {}, contentType }, "amqp")),
  structured("JSON over Kafka", (bytes) =>
    Codec.binary.decode({ body: bytes, headers: { "content-type": utf8(contentType) } }, "kafka")
  ),
  structured("JSON over HTTP", (bytes) =>
    only(CloudEventHttp.decode({ headers: { "content-type": contentType }, body: bytes }))
  ),
  structured("JSON batch", (bytes) => {
    const batch = utf8(`[${new TextDecoder().decode(bytes)}]`)
    return only(
      CloudEventHttp.decode({ headers: { "CONTENT-TYPE": "application/cloudevents-batch+json" }, body: batch })
    )
  })
]

export const good: Raw = {
  specversion: "1.0",
  id: "A234-1234-1234",
  source: "https://github.com/cloudevents/spec/pull",
  type: "com.github.pull_request.opened"
}

export const succeeded = <A>(result: Result.Result<A, CloudEvent.InvalidEvent>): A => {
  if (Result.isFailure(result)) assert.fail(result.failure.message)
  return result.success
}

/** Asserts that something was refused for this attribute, and that none of the texts is told. */
const refused = (
  result: Result.Result<unknown, CloudEvent.InvalidEvent>,
  attribute: string,
  secrets: ReadonlyArray<string> = []
): CloudEvent.InvalidEvent => {
  if (Result.isSuccess(result)) assert.fail(`accepted: ${JSON.stringify(result.success)}`)
  const error = result.failure
  assert.instanceOf(error, CloudEvent.InvalidEvent)
  assert.strictEqual(error.attribute, attribute, error.message)
  assert.notStrictEqual(error.description, "")
  for (const secret of secrets) {
    assert.notInclude(error.message, secret)
    assert.notInclude(JSON.stringify(error), secret)
    assert.notInclude(String(error.stack), secret)
  }
  return error
}

export const expect = { refused }

/** What an encoding throws. */
export const thrown = (run: () => unknown): Result.Result<unknown, CloudEvent.InvalidEvent> => {
  return Result.try({ try: run, catch: (error) => error as CloudEvent.InvalidEvent })
}

/** An event as plain values that can be compared. JSON data without a datacontenttype is application/json. */
export const plain = (event: CloudEvent.CloudEvent) => ({
  ...event,
  ...(event.time === undefined ? {} : { time: DateTime.formatIso(event.time) }),
  datacontenttype: event.datacontenttype ?? (event.data === undefined ? undefined : "application/json"),
  data: event.data instanceof Uint8Array ? Array.from(event.data) : JSON.stringify(event.data)
})

export const textual = (event: CloudEvent.CloudEvent): CloudEvent.CloudEvent => ({
  ...event,
  extensions: Object.fromEntries(Object.entries(event.extensions).map(([name, value]) => [name, String(value)]))
})

export type AnyMessage = Message.Message
