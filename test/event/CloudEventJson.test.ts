import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { CloudEvent, CloudEventJson, Codec } from "../../src/event/index.ts"
import { good, plain, expect, succeeded, utf8 } from "./CloudEventForms.ts"

const read = (members: unknown) => CloudEventJson.decode(utf8(JSON.stringify(members)))
const readText = (text: string) => CloudEventJson.decode(utf8(text))
const dataOf = (members: object) => succeeded(read({ ...good, ...members })).data
const object = (event: CloudEvent.CloudEvent): any =>
  JSON.parse(new TextDecoder().decode(succeeded(CloudEventJson.encode(event))))

/** Examples of the JSON format 1.0.2, section 3.2. */
const example = {
  specversion: "1.0",
  type: "com.example.someevent",
  source: "/mycontext",
  time: "2018-04-05T17:31:00Z",
  comexampleextension1: "value",
  comexampleothervalue: 5
}

describe("the examples of the format", () => {
  const extensions = { comexampleextension1: "value", comexampleothervalue: 5 }
  it("with bytes", () => {
    const datacontenttype = "application/vnd.apache.thrift.binary"
    const event = succeeded(read({ ...example, id: "A234-1234-1234", datacontenttype, data_base64: "AAEC/w==" }))
    assert.deepStrictEqual(event.data, new Uint8Array([0, 1, 2, 255]))
    assert.deepStrictEqual(event.extensions, extensions)
  })
  it("with XML, and members that are null", () => {
    const datacontenttype = "application/xml"
    const data = '<much wow="xml"/>'
    const members = { ...example, id: "B234", unsetextension: null, subject: null, datacontenttype, data }
    const event = succeeded(read(members))
    assert.deepStrictEqual(event.data, utf8(data))
    assert.deepStrictEqual(event.extensions, extensions)
    assert.notProperty(event, "subject")
    const message = Codec.binary.encode(event, "amqp")
    assert.deepStrictEqual([message.contentType, new TextDecoder().decode(message.body)], [datacontenttype, data])
  })
  it("with an object", () => {
    const data = { appinfoA: "abc", appinfoB: 123, appinfoC: true }
    assert.deepStrictEqual(dataOf({ datacontenttype: "application/json", data }), data)
  })
  it("with a text and no datacontenttype, which is a JSON text in binary mode", () => {
    const event = succeeded(read({ ...example, id: "D234", data: "I'm just a string" }))
    assert.strictEqual(event.data, "I'm just a string")
    const message = Codec.binary.encode(event, "kafka")
    assert.strictEqual(new TextDecoder().decode(message.body), '"I\'m just a string"')
    assert.strictEqual(message.contentType, "application/json")
  })
})

describe("data", () => {
  it("that is 0, null, false or empty is kept, and null is not absence", () => {
    for (const data of [0, null, false, "", [], {}]) {
      for (const datacontenttype of [undefined, "application/json; charset=utf-8", "application/vnd.acme+json"]) {
        const event = succeeded(read({ ...good, datacontenttype, data }))
        assert.deepStrictEqual(event.data, data)
        assert.deepStrictEqual(object(event).data, data)
      }
    }
    const none = succeeded(read(good))
    assert.isUndefined(none.data)
    assert.notProperty(object(none), "data")
  })
  it("of JSON is never parsed again", () => assert.strictEqual(dataOf({ data: '{"a":1}' }), '{"a":1}'))
  it("of a text is a text", () => {
    assert.strictEqual(dataOf({ datacontenttype: "text/plain", data: "ä" }), "ä")
    expect.refused(read({ ...good, datacontenttype: "text/plain", data: { a: "hunter2" } }), "data", ["hunter2"])
    expect.refused(read({ ...good, datacontenttype: "text/plain", data: null }), "data")
    expect.refused(read({ ...good, datacontenttype: "text/plain;charset=us-ascii", data: "ä" }), "data")
    expect.refused(read({ ...good, datacontenttype: "text/plain;charset=iso-8859-1", data: "ä" }), "data")
    expect.refused(read({ ...good, datacontenttype: "image/png", data: 5 }), "data")
  })
  it("in base64 is what its media type says", () => {
    assert.deepStrictEqual(dataOf({ datacontenttype: "image/png", data_base64: "" }), new Uint8Array(0))
    assert.deepStrictEqual(dataOf({ data_base64: "eyJhIjoxfQ==" }), { a: 1 })
    assert.strictEqual(dataOf({ datacontenttype: "text/plain", data_base64: "w6Q=" }), "ä")
    assert.deepStrictEqual(
      dataOf({ datacontenttype: "text/plain;charset=latin1", data_base64: "5A==" }),
      new Uint8Array([0xe4])
    )
    assert.isUndefined(dataOf({ data_base64: null }))
  })
  it("in base64 is strict", () => {
    for (const data_base64 of ["a", "YQ", "YQ=", "YR==", "YQ==\n", "Y Q==", "-_-_", "YQ==YQ==", 5, {}, true]) {
      expect.refused(read({ ...good, datacontenttype: "image/png", data_base64 }), "data_base64")
    }
    expect.refused(read({ ...good, data_base64: "aHVudGVyMg==" }), "data_base64", ["hunter2", "aHVudGVyMg"])
    expect.refused(read({ ...good, datacontenttype: "text/plain", data_base64: "/w==" }), "data_base64")
  })
  it("cannot be given twice", () => {
    expect.refused(read({ ...good, data: null, data_base64: "YQ==" }), "data_base64")
    expect.refused(read({ ...good, data: 1, data_base64: "" }), "data_base64")
  })
  it("that cannot be written is refused", () => {
    const circle: { self?: unknown } = {}
    circle.self = circle
    for (const data of [circle, { a: 1n }, { toJSON: () => undefined }]) {
      expect.refused(CloudEventJson.encode(CloudEvent.makeUnsafe({ id: "1", source: "/s", type: "t", data })), "data")
    }
  })
})

describe("the body", () => {
  it("is UTF-8", () => expect.refused(CloudEventJson.decode(new Uint8Array([0x7b, 0xff, 0x7d])), "body"))
  it("is one JSON object, without a byte order mark", () => {
    for (const text of ["", "{", "[]", "null", '"a"', "5", '{"id":"hunter2"', "{} {}", "\ufeff{}", "{'id':1}", "{,}"]) {
      expect.refused(readText(text), "body", ["hunter2"])
    }
  })
  it("has each member once", () => {
    const { id, ...others } = good
    const rest = JSON.stringify(others).slice(1)
    expect.refused(readText(`{"id":"a","id":"b",${rest}`), "id")
    expect.refused(readText(`{"id":"a","\\u0069d":"b",${rest}`), "id")
    expect.refused(readText(`{"id":"a","data":1,"data":2,${rest}`), "data")
    expect.refused(readText(`{"id":"a","data":1,"x":null,"x":"1",${rest}`), "x")
    const nested = `{"id":"a\\"{[\\\\","data":{"id":1,"data":[{"id":"}"},"id","]"],"x":"\\\\"},"x":"id",${rest}`
    assert.strictEqual(succeeded(readText(nested)).id, 'a"{[\\')
    assert.strictEqual(id, good.id)
  })
  it("may name what objects inherit", () => {
    const event = succeeded(readText(JSON.stringify(good).replace("{", '{"constructor":"a",')))
    assert.deepStrictEqual(event.extensions, { constructor: "a" } as any)
    expect.refused(readText(JSON.stringify(good).replace("{", '{"__proto__":"a",')), "__proto__")
  })
})

describe("a batch", () => {
  const readBatch = (value: unknown) => CloudEventJson.decodeBatch(utf8(JSON.stringify(value)))
  it("may be empty, and keeps its order", () => {
    assert.deepStrictEqual(succeeded(readBatch([])), [])
    assert.deepStrictEqual(
      succeeded(
        readBatch([
          { ...good, id: "1" },
          { ...good, id: "2" }
        ])
      ).map((event) => event.id),
      ["1", "2"]
    )
  })
  it("is refused as a whole", () => {
    assert.include(
      expect.refused(readBatch([good, { ...good, time: "hunter2" }]), "time", ["hunter2"]).description,
      "2 of 2"
    )
    expect.refused(readBatch([good, 5]), "body")
    expect.refused(readBatch(good), "body")
    expect.refused(CloudEventJson.decodeBatch(new Uint8Array([0xff])), "body")
    const twice = JSON.stringify(good).replace("{", '{"id":"a",')
    const error = expect.refused(CloudEventJson.decodeBatch(utf8(`[${JSON.stringify(good)},${twice}]`)), "id")
    assert.include(error.description, "2 of 2")
  })
  it("is written as it is read", () => {
    const events = ["1", "2"].map((id) => CloudEvent.makeUnsafe({ id, source: "/s", type: "t", data: { id } }))
    assert.deepStrictEqual(succeeded(CloudEventJson.decodeBatch(succeeded(CloudEventJson.encodeBatch(events)))), events)
    expect.refused(CloudEventJson.encodeBatch([...events, { ...events[0]!, id: "" }]), "id")
  })
})

describe("the schema", () => {
  const decode = Schema.decodeUnknownResult(CloudEventJson.Event)
  const encode = Schema.encodeUnknownResult(CloudEventJson.Event)
  it("decodes and encodes events", () => {
    const members = { ...example, id: "1", time: "2018-04-05T17:31:00.000Z", data: { a: [1, null] } }
    const event = Result.getOrThrow(decode(members))
    assert.deepStrictEqual(plain(event), plain(succeeded(read(members))))
    assert.deepStrictEqual(Result.getOrThrow(encode(event)), members as any)
    const batch = Schema.decodeUnknownResult(CloudEventJson.Batch)([members])
    assert.strictEqual(Result.getOrThrow(batch)[0]?.id, "1")
  })
  it("names what is wrong and does not tell its value", () => {
    for (const [attribute, value] of [
      ["time", "hunter2"],
      ["source", "hunter2 x"],
      ["id", ""],
      ["other", 1.5],
      ["Other", "hunter2"]
    ] as const) {
      const result = decode({ ...good, [attribute]: value })
      assert.isTrue(Result.isFailure(result))
      if (Result.isSuccess(result)) continue
      assert.include(String(result.failure), attribute)
      assert.notInclude(String(result.failure), "hunter2")
    }
    assert.isTrue(Result.isFailure(encode({ ...good, extensions: {}, data: 1, id: "" })))
    assert.isTrue(Result.isFailure(encode({ ...good, data: 1 })))
  })
  it("says the required members in JSON Schema", () => {
    const document = JSON.stringify(Schema.toJsonSchemaDocument(CloudEventJson.Event))
    assert.include(document, '"required":["specversion","id","source","type"]')
  })
})
