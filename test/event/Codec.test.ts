import { assert, describe, it } from "@effect/vitest"
import { DateTime, Result } from "effect"
import { CloudEvent, Codec } from "../../src/event/index.ts"
import type { Message } from "../../src/event/index.ts"
import { InvalidOption } from "../../src/policy/index.ts"
import { good, expect, succeeded, thrown, utf8 } from "./CloudEventForms.ts"

const bindings = ["amqp", "kafka"] as const
const text = (bytes: unknown) => new TextDecoder().decode(bytes as Uint8Array)
const event = CloudEvent.makeUnsafe({
  id: "1234-1234-1234",
  source: "/mycontext/subcontext",
  type: "com.example.someevent",
  time: "2018-04-05T03:56:24Z",
  extensions: { partitionkey: "tenant-1", count: 5, flag: true },
  data: { a: 1 }
})
const amqpHeaders = {
  "cloudEvents:specversion": "1.0",
  "cloudEvents:id": "1",
  "cloudEvents:source": "/s",
  "cloudEvents:type": "t"
}
const read = (message: Partial<Message.Message>) =>
  Codec.binary.decode({ body: new Uint8Array(0), headers: amqpHeaders, ...message }, "amqp")
const dataOf = (contentType: string | undefined, body: Uint8Array) =>
  succeeded(read({ body, ...(contentType === undefined ? {} : { contentType }) })).data

describe("binary", () => {
  it("writes AMQP headers with their types, and time as a text", () => {
    const message = Codec.binary.encode(event, "amqp")
    assert.deepStrictEqual(message.headers, {
      "cloudEvents:specversion": "1.0",
      "cloudEvents:id": "1234-1234-1234",
      "cloudEvents:source": "/mycontext/subcontext",
      "cloudEvents:type": "com.example.someevent",
      "cloudEvents:time": "2018-04-05T03:56:24.000Z",
      "cloudEvents:partitionkey": "tenant-1",
      "cloudEvents:count": 5,
      "cloudEvents:flag": true
    })
    assert.deepStrictEqual(
      [message.contentType, message.messageId, message.key, text(message.body)],
      ["application/json", "1234-1234-1234", "tenant-1", '{"a":1}']
    )
  })

  it("writes Kafka headers in UTF-8", () => {
    const message = Codec.binary.encode(event, "kafka")
    const headers = Object.entries(message.headers).map(([name, value]) => [name, text(value)])
    assert.deepStrictEqual(Object.fromEntries(headers), {
      ce_specversion: "1.0",
      ce_id: "1234-1234-1234",
      ce_source: "/mycontext/subcontext",
      ce_type: "com.example.someevent",
      ce_time: "2018-04-05T03:56:24.000Z",
      ce_partitionkey: "tenant-1",
      ce_count: "5",
      ce_flag: "true",
      "content-type": "application/json"
    })
    assert.strictEqual(message.key, "tenant-1")
  })

  it("refuses a message with both prefixes of AMQP", () => {
    expect.refused(read({ headers: { ...amqpHeaders, cloudEvents_subject: "a" } }), "subject")
    expect.refused(read({ headers: { ...amqpHeaders, cloudEvents_id: "1" } }), "id")
  })

  it("leaves headers of others alone", () => {
    const headers = {
      ...amqpHeaders,
      "x-death": [{ count: 1 }],
      cloudEvents: "a",
      "cloudEvents-b": 1,
      traceparent: "x"
    }
    assert.deepStrictEqual(succeeded(read({ headers })).extensions, {})
  })

  it("takes the media type from the content type alone", () => {
    expect.refused(
      read({ headers: { ...amqpHeaders, "cloudEvents:datacontenttype": "text/plain" } }),
      "datacontenttype"
    )
    expect.refused(read({ contentType: "" }), "datacontenttype")
    const kafka = (headers: Message.Headers, more?: Partial<Message.Message>) =>
      Codec.binary.decode(
        {
          body: utf8("a"),
          headers: { ce_specversion: "1.0", ce_id: "1", ce_source: "/s", ce_type: "t", ...headers },
          ...more
        },
        "kafka"
      )
    assert.strictEqual(succeeded(kafka({ "content-type": utf8("text/plain") })).data, "a")
    assert.strictEqual(succeeded(kafka({}, { contentType: "text/plain" })).data, "a")
    assert.strictEqual(succeeded(kafka({ "content-type": "text/plain", ce_datacontenttype: "text/plain" })).data, "a")
    expect.refused(kafka({ "content-type": "text/plain", ce_datacontenttype: "text/html" }), "datacontenttype")
    expect.refused(kafka({ "content-type": new Uint8Array([0xff]) }), "datacontenttype")
    expect.refused(kafka({ ce_subject: new Uint8Array([0xff]) }), "subject")
    expect.refused(kafka({ ce_subject: 5 }), "subject")
    expect.refused(kafka({ ce_subject: null }), "subject")
    expect.refused(kafka({ ce_subject: ["a", "b"] }), "subject")
  })

  it("reads bytes in an extension of AMQP as base64, their canonical form", () => {
    const headers = { ...amqpHeaders, "cloudEvents:digest": new Uint8Array([0, 255]) }
    assert.deepStrictEqual(succeeded(read({ headers })).extensions, { digest: "AP8=" })
  })

  it("reads data by its media type", () => {
    for (const type of [
      undefined,
      "application/json",
      "application/json;charset=utf-8",
      "Text/JSON",
      "a/b+JSON; c=d"
    ]) {
      for (const data of [0, null, false, "", {}, [1.5, "ä"]]) {
        assert.deepStrictEqual(dataOf(type, utf8(JSON.stringify(data))), data)
      }
    }
    for (const type of ["text/plain", "text/html; charset=UTF-8", 'text/csv;charset="utf-8"']) {
      assert.strictEqual(dataOf(type, utf8("\ufeffä")), "\ufeffä")
    }
    assert.strictEqual(dataOf("text/plain;charset=us-ascii", utf8("a")), "a")
    for (const type of ["text/plain;charset=iso-8859-1", "application/xml", "image/png", "application/octet-stream"]) {
      assert.deepStrictEqual(dataOf(type, new Uint8Array([0xe4])), new Uint8Array([0xe4]))
    }
    for (const type of [undefined, "application/json", "text/plain", "image/png"]) {
      assert.isUndefined(dataOf(type, new Uint8Array(0)))
    }
  })

  it("refuses data that is not of its media type, and does not tell it", () => {
    for (const body of [
      "hunter2",
      '{"password":"hunter2"',
      "\ufeff{}",
      "{} hunter2",
      " ",
      "NaN",
      "[1e999]",
      "'hunter2'",
      "[1,]"
    ]) {
      expect.refused(read({ body: utf8(body) }), "data", ["hunter2", "password"])
    }
    expect.refused(read({ body: new Uint8Array([0x22, 0xff, 0x22]) }), "data")
    expect.refused(read({ body: new Uint8Array([0xff]), contentType: "text/plain" }), "data")
    expect.refused(read({ body: utf8("ä"), contentType: "text/plain;charset=us-ascii" }), "data")
  })

  it("says application/json where the event implies it", () => {
    const { datacontenttype: _, ...implied } = event
    for (const binding of bindings)
      assert.strictEqual(Codec.binary.encode(implied, binding).contentType, "application/json")
    const { data: __, ...none } = implied
    assert.notProperty(Codec.binary.encode({ ...none, data: undefined }, "amqp"), "contentType")
  })
})

describe("structured", () => {
  it("writes the event as JSON", () => {
    for (const binding of bindings) {
      const message = Codec.structured.encode(event, binding)
      assert.deepStrictEqual(
        [message.contentType, message.messageId, message.key],
        ["application/cloudevents+json", event.id, "tenant-1"]
      )
      assert.deepStrictEqual(JSON.parse(text(message.body)), {
        specversion: "1.0",
        id: event.id,
        source: event.source,
        type: event.type,
        ...event.extensions,
        datacontenttype: "application/json",
        time: "2018-04-05T03:56:24.000Z",
        data: { a: 1 }
      })
    }
  })
})

describe.each([
  { mode: "binary", codec: Codec.binary },
  { mode: "structured", codec: Codec.structured }
])("$mode", ({ codec, mode }) => {
  it("has a name for the document", () => assert.strictEqual(codec.name, `CloudEvents, ${mode} mode`))

  it("reads either mode", () => {
    for (const binding of bindings) {
      for (const other of [Codec.binary, Codec.structured]) {
        const { id, time } = succeeded(codec.decode(other.encode(event, binding), binding))
        assert.deepStrictEqual(
          [id, time === undefined ? undefined : DateTime.formatIso(time)],
          [event.id, "2018-04-05T03:56:24.000Z"]
        )
      }
    }
  })

  it("refuses batches and formats that are not known", () => {
    for (const contentType of ["application/cloudevents-batch+json", "application/cloudevents+avro"]) {
      for (const binding of bindings) {
        expect.refused(codec.decode({ body: utf8("[]"), headers: {}, contentType }, binding), "content-type")
      }
    }
  })

  it("refuses what is no event at all", () => {
    for (const binding of bindings) {
      expect.refused(codec.decode({ body: utf8("{}"), headers: {} }, binding), "specversion")
      expect.refused(
        codec.decode({ body: new Uint8Array(0), headers: {}, contentType: "text/plain" }, binding),
        "specversion"
      )
    }
  })

  it("does not write what is not valid", () => {
    for (const [attribute, change] of [
      ["id", { id: "" }],
      ["source", { source: "a b" }],
      ["specversion", { specversion: "0.3" }],
      ["time", { time: DateTime.makeUnsafe(-(10 ** 15)) }],
      ["type", { extensions: { type: "a" } }],
      ["sequence", { extensions: { sequence: 1 } }],
      ["data", { data: { a: 1n } }],
      ["data", { data: new Uint8Array(1) }],
      ["data", { datacontenttype: "text/plain" }]
    ] as const) {
      for (const binding of bindings) {
        expect.refused(
          thrown(() => codec.encode({ ...event, ...(change as object) }, binding)),
          attribute
        )
      }
    }
  })
})

describe("json", () => {
  const field = (name: string) => (body: unknown) => (body as Record<string, string | undefined>)[name]
  const codec = Codec.json({
    id: (_, message) => message.messageId,
    type: field("kind"),
    source: () => "/erp",
    time: field("at"),
    subject: field("number"),
    key: field("customer")
  })
  const body = { kind: "invoice.paid", at: "2018-04-05T03:56:24Z", number: "7", customer: "c1" }
  const receive = (value: unknown, more: Partial<Message.Message> = { messageId: "m1" }) =>
    codec.decode({ body: utf8(JSON.stringify(value)), headers: {}, ...more }, "amqp")

  it("makes an event of a plain message", () => {
    const { time, ...others } = succeeded(receive(body))
    assert.strictEqual(time === undefined ? undefined : DateTime.formatIso(time), "2018-04-05T03:56:24.000Z")
    assert.deepStrictEqual(others, {
      specversion: "1.0",
      id: "m1",
      source: "/erp",
      type: "invoice.paid",
      subject: "7",
      extensions: { partitionkey: "c1" },
      data: body
    } as any)
  })

  it("does without what is optional", () => {
    const event = succeeded(receive({ kind: "a", at: null }))
    assert.notProperty(event, "time")
    assert.deepStrictEqual(event.extensions, {})
  })

  it("names what is missing, empty or malformed", () => {
    expect.refused(receive(body, {}), "id")
    expect.refused(receive(body, { messageId: "" }), "id")
    expect.refused(receive({ ...body, kind: undefined }), "type")
    expect.refused(receive({ ...body, kind: null }), "type")
    expect.refused(receive({ ...body, kind: 5 }), "type")
    expect.refused(receive({ ...body, at: "hunter2" }), "time", ["hunter2"])
    expect.refused(receive({ ...body, number: "" }), "subject")
    expect.refused(receive({ ...body, customer: "" }), "partitionkey")
    expect.refused(codec.decode({ body: utf8("hunter2"), headers: {} }, "kafka"), "data", ["hunter2"])
    expect.refused(codec.decode({ body: new Uint8Array(0), headers: {} }, "kafka"), "data")
  })

  it("takes a function that throws for one that cannot say it", () => {
    const error = expect.refused(receive(null), "type", ["Cannot read"])
    assert.strictEqual(error.id, "m1")
    const broken = Codec.json({
      id: () => {
        throw new Error("hunter2")
      },
      type: () => "t",
      source: () => "/s"
    })
    expect.refused(broken.decode({ body: utf8("1"), headers: {} }, "amqp"), "id", ["hunter2"])
  })

  it("writes the data alone", () => {
    const message = codec.encode(event, "amqp")
    assert.deepStrictEqual(
      { ...message, body: text(message.body) },
      { body: '{"a":1}', headers: {}, contentType: "application/json", messageId: event.id, key: "tenant-1" }
    )
    expect.refused(
      thrown(() => codec.encode({ ...event, data: undefined }, "amqp")),
      "data"
    )
    expect.refused(
      thrown(() => codec.encode({ ...event, datacontenttype: "text/plain", data: "a" }, "amqp")),
      "datacontenttype"
    )
    expect.refused(
      thrown(() => codec.encode({ ...event, id: "" }, "amqp")),
      "id"
    )
  })

  it("has a name, and functions", () => {
    assert.strictEqual(codec.name, "plain JSON")
    assert.strictEqual(Codec.json({ name: "ERP", id: () => "", type: () => "", source: () => "" }).name, "ERP")
    for (const [option, change] of [
      ["name", { name: "" }],
      ["id", { id: undefined }],
      ["type", { type: "t" }],
      ["key", { key: "k" }]
    ] as const) {
      const options: any = { id: () => "", type: () => "", source: () => "", ...change }
      const result = Result.try({ try: () => Codec.json(options), catch: (error) => error })
      if (Result.isSuccess(result)) assert.fail(`accepted ${option}`)
      assert.instanceOf(result.failure, InvalidOption)
      assert.strictEqual((result.failure as InvalidOption).option, option)
    }
  })
})

it("an event of an existing system can be sent on in any mode", () => {
  const codec = Codec.json({ id: () => "1", type: () => "t", source: () => "/s" })
  const event = succeeded(codec.decode({ body: utf8("0"), headers: {} }, "amqp"))
  assert.strictEqual(event.data, 0)
  for (const binding of bindings) {
    assert.strictEqual(succeeded(Codec.binary.decode(Codec.binary.encode(event, binding), binding)).data, 0)
  }
  assert.strictEqual(event.specversion, good.specversion as never)
})
