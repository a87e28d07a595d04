import { assert, describe, it } from "@effect/vitest"
import { DateTime, Result } from "effect"
import { CloudEvent } from "../../src/event/index.ts"
import { forms, good, expect, succeeded } from "./CloudEventForms.ts"

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01"

/** Texts that are wrong in every mode, by attribute. */
const malformed: Readonly<Record<string, ReadonlyArray<string>>> = {
  specversion: ["", "1", "0.3", "2.0", "1.0.2", " 1.0"],
  id: ["", "a\u0007hunter2", "a\u007fb", "a\u0085b", "\ufdd0a", "a\uffff", "\u{1fffe}a"],
  source: ["", "hunter2 b", "http://[hunter2", "%zz", "/hunter2/%4", "ä", "1:2", "a\\b", "http://[1::2::3]/", "#a#b"],
  type: ["", "hunter2\u0001"],
  subject: ["", "hunter2\u009f"],
  time: [
    "",
    "yesterday",
    "1522949460",
    "2018-04-05",
    "2018-04-05T17:31Z",
    "2018-04-05T17:31:00",
    "2018-04-05 17:31:00Z",
    "2018-04-05T17:31:00.Z",
    "2018-04-05T17:31:00,5Z",
    "2018-04-05T17:31:00+0100",
    "2018-04-05T17:31:00+24:00",
    "2018-04-05T17:31:00+01:60",
    "2018-04-05T24:00:00Z",
    "2018-04-05T17:60:00Z",
    "2018-04-05T17:31:61Z",
    "2018-04-05T17:31:60Z",
    "2018-00-05T17:31:00Z",
    "2018-13-05T17:31:00Z",
    "2018-04-00T17:31:00Z",
    "2018-04-31T17:31:00Z",
    "2018-02-29T17:31:00Z",
    "1900-02-29T17:31:00Z",
    "1990-12-30T23:59:60Z",
    "1990-12-31T23:59:60+01:00",
    "+2018-04-05T17:31:00Z",
    "12018-04-05T17:31:00Z",
    "9999-12-31T23:59:59-00:01",
    "0000-01-01T00:00:00+00:01",
    "2018-04-05T17:31:00Z "
  ],
  datacontenttype: [
    "",
    "json",
    "application/",
    "/json",
    "a/b;",
    "a/b;c",
    "a/b; charset=",
    "a /b",
    'a/b;c="',
    "a/b;c=d e"
  ],
  dataschema: ["", "/hunter2", "hunter2", "//host/path", "http://hunter2 b", "https://acme.com/s#fragment", "1a:b"],
  traceparent: [
    "",
    "hunter2",
    traceparent.toUpperCase(),
    `${traceparent}-00`,
    traceparent.replace("00-", "ff-"),
    traceparent.replace("0af7651916cd43dd8448eb211c80319c", "0".repeat(32)),
    traceparent.replace("b9c7c989f97918e1", "0".repeat(16)),
    traceparent.slice(0, -1),
    ` ${traceparent}x`
  ],
  tracestate: [
    "hunter2",
    "A=1",
    "a=1,a=2",
    "a=",
    "a=b=c",
    "a=ä",
    Array.from({ length: 33 }, (_, i) => `k${i}=v`).join()
  ],
  partitionkey: ["", "a\u0000"],
  sequence: ["", "\u0000"],
  sequencetype: [""],
  comexampleextension1: ["a\u0000b", "\u001f", "hunter2\u{10ffff}"]
}

const wellFormed: Readonly<Record<string, ReadonlyArray<string>>> = {
  id: ["1", "Euro € 😀", "A234-1234-1234", " ", '"quoted"', "100%", "%41"],
  source: [
    "https://github.com/cloudevents",
    "mailto:cncf-wg-serverless@lists.cncf.io",
    "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
    "/cloudevents/spec/pull/123",
    "/sensors/tn-1234567/alerts",
    "1-555-123-4567",
    "//host:80/a?b=c#d",
    "http://[2001:db8::7]/c=GB?objectClass?one",
    "http://[::ffff:192.0.2.1]",
    "a/b:c",
    "?q",
    "a%20b"
  ],
  subject: ["mynewfile.jpg", "ä"],
  datacontenttype: [
    "text/xml",
    "application/json; charset=utf-8",
    'text/plain;charset="utf-8" ; format=flowed',
    'a/b;c="\\"; d"',
    "application/vnd.acme+json"
  ],
  dataschema: ["https://acme.com/schemas/1", "urn:example:schema", "https://acme.com?a=b"],
  traceparent: [traceparent, `01${traceparent.slice(2)}`, `01${traceparent.slice(2)}-what-comes-later`],
  tracestate: ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "", "a@b=1 , c=2,", "0a=x"],
  partitionkey: ["tenant-1"],
  sequence: ["1", "-2147483648"],
  comexampleextension1: ["value", "", "ä", "\u{10fffd}"],
  averyveryverylongextensionname: ["a"],
  constructor: ["a"],
  1: ["a"]
}

describe.each(forms)("$name", ({ name, receive, typed }) => {
  const isJson = name.startsWith("JSON")

  it("reads the attributes of a whole event", () => {
    const event = succeeded(
      receive(
        {
          ...good,
          subject: "123",
          time: "2018-04-05T17:31:00Z",
          datacontenttype: "application/json",
          dataschema: "https://acme.com/1",
          comexampleextension1: "value",
          comexampleothervalue: 5,
          flag: true
        },
        { a: 1 }
      )
    )
    const { time, ...others } = event
    assert.strictEqual(time === undefined ? undefined : DateTime.formatIso(time), "2018-04-05T17:31:00.000Z")
    assert.deepStrictEqual(others, {
      ...good,
      subject: "123",
      datacontenttype: "application/json",
      dataschema: "https://acme.com/1",
      extensions: {
        comexampleextension1: "value",
        comexampleothervalue: typed ? 5 : "5",
        flag: typed ? true : "true"
      },
      data: { a: 1 }
    } as any)
  })

  it("needs specversion, id, source and type", () => {
    for (const attribute of Object.keys(good)) {
      const error = expect.refused(receive({ ...good, [attribute]: undefined }), attribute)
      assert.include(error.description, "missing")
      if (isJson)
        assert.include(expect.refused(receive({ ...good, [attribute]: null }), attribute).description, "missing")
    }
    expect.refused(receive({}), "specversion")
  })

  it("refuses texts that are malformed, names the attribute and does not tell the value", () => {
    for (const [attribute, values] of Object.entries(malformed)) {
      for (const value of values) {
        const result = receive({ ...good, [attribute]: value }, attribute === "datacontenttype" ? undefined : 1)
        // HTTP has no spaces around its values, and Kafka, HTTP know texts only.
        expect.refused(result, attribute, value === "" ? [] : [JSON.stringify(value), "hunter2"])
      }
    }
  })

  it("accepts texts that are well-formed, as they are", () => {
    for (const [attribute, values] of Object.entries(wellFormed)) {
      for (const value of values) {
        const event = succeeded(receive({ ...good, [attribute]: value }))
        const all: Record<string, unknown> = { ...event, ...event.extensions }
        assert.strictEqual(all[attribute], value)
      }
    }
  })

  it("refuses names that are no names of attributes", () => {
    for (const attribute of [
      "foo-bar",
      "foo_bar",
      "foo.bar",
      "ä",
      "foo bar",
      ...(name === "HTTP" ? [] : ["Foo", "ID"])
    ]) {
      expect.refused(receive({ ...good, [attribute]: "value" }), attribute.replaceAll(/[^!-~]/g, "?"))
    }
    expect.refused(receive({ ...good, "": "value" }), "(empty name)")
    if (!isJson) expect.refused(receive({ ...good, data: "value" }), "data")
  })

  it("refuses values of a wrong type", () => {
    if (!typed) return
    const texts = ["id", "source", "type", "subject", "time", "dataschema", "datacontenttype"]
    const extensions = ["traceparent", "tracestate", "partitionkey", "sequence"]
    for (const attribute of ["specversion", ...texts, ...extensions]) {
      const wrong = [5, 1.0, true, {}, ["a"], { "!": "timestamp", value: 1522949460 }]
      for (const value of isJson ? wrong : [...wrong, null, new Uint8Array([97])]) {
        assert.include(expect.refused(receive({ ...good, [attribute]: value }), attribute).description, "is no text")
      }
    }
    for (const value of [1.5, 2 ** 31, -(2 ** 31) - 1, {}, ["a"], { "!": "timestamp", value: 1 }]) {
      expect.refused(receive({ ...good, other: value }), "other")
    }
    for (const value of [2 ** 31 - 1, -(2 ** 31), 0, true, false]) {
      assert.deepStrictEqual(succeeded(receive({ ...good, other: value })).extensions, { other: value })
    }
    const surrogate = `a${String.fromCharCode(0xdead)}`
    expect.refused(receive({ ...good, id: surrogate }), "id")
    expect.refused(receive({ ...good, other: surrogate }), "other")
  })

  it("says what could be read of id, source and type", () => {
    const error = expect.refused(receive({ ...good, time: "yesterday" }), "time")
    assert.deepStrictEqual([error.id, error.source, error.type], [good.id, good.source, good.type] as any)
    const other = expect.refused(receive({ ...good, source: "a hunter2" }), "source")
    assert.deepStrictEqual([other.id, other.source, other.type], [good.id, undefined, good.type] as any)
    expect.refused(receive({ ...good, id: "", specversion: "0.3" }), "specversion")
  })
})

describe("time", () => {
  const millis = (text: string) => {
    const { time } = succeeded(CloudEvent.make({ id: "1", source: "/s", type: "t", time: text }))
    return time === undefined ? undefined : DateTime.formatIso(time)
  }
  it("is what RFC 3339 says", () => {
    for (const [text, instant] of [
      ["1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520Z"],
      ["1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57.000Z"],
      ["1990-12-31T23:59:60Z", "1991-01-01T00:00:00.000Z"],
      ["1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00.000Z"],
      ["1998-07-01T00:59:60.5+01:00", "1998-07-01T00:00:00.500Z"],
      ["1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870Z"],
      ["2000-02-29t17:31:00z", "2000-02-29T17:31:00.000Z"],
      ["2018-04-05T17:31:00.9999999999Z", "2018-04-05T17:31:00.999Z"],
      ["2018-04-05T17:31:00-00:00", "2018-04-05T17:31:00.000Z"],
      ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"],
      ["0099-12-31T23:59:59Z", "0099-12-31T23:59:59.000Z"],
      ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"]
    ] as const) {
      assert.strictEqual(millis(text), instant)
    }
  })
})

describe("make", () => {
  const options = { id: "1", source: "/s", type: "t" } as const

  it("says the media type of the data where it is not given", () => {
    const typeOf = (data: unknown) => succeeded(CloudEvent.make({ ...options, data })).datacontenttype
    assert.strictEqual(typeOf({ a: 1 }), "application/json")
    assert.strictEqual(typeOf(null), "application/json")
    assert.strictEqual(typeOf("text"), "application/json")
    assert.strictEqual(typeOf(new Uint8Array(1)), "application/octet-stream")
    assert.deepStrictEqual(succeeded(CloudEvent.make(options)), {
      ...options,
      specversion: "1.0",
      extensions: {},
      data: undefined
    })
  })

  it("leaves out what is undefined", () => {
    const event = CloudEvent.makeUnsafe({ ...options, subject: undefined, extensions: { a: undefined, b: 1 } })
    assert.deepStrictEqual(event.extensions, { b: 1 })
    assert.notProperty(event, "subject")
  })

  it("refuses what receivers would refuse", () => {
    for (const [attribute, values] of Object.entries(malformed)) {
      if (attribute === "specversion") continue
      for (const value of values) {
        const named = ["id", "source", "type", "subject", "time", "datacontenttype", "dataschema"].includes(attribute)
        const given: any = named ? { [attribute]: value } : { extensions: { [attribute]: value } }
        expect.refused(CloudEvent.make({ ...options, ...given }), attribute, value === "" ? [] : ["hunter2"])
      }
    }
    for (const attribute of ["id", "source", "type"]) {
      expect.refused(CloudEvent.make({ ...options, [attribute]: undefined } as any), attribute)
    }
    expect.refused(CloudEvent.make({ ...options, time: DateTime.makeUnsafe(300_000_000_000_000) }), "time")
    expect.refused(CloudEvent.make({ ...options, time: 5 as any }), "time")
    expect.refused(CloudEvent.make({ ...options, extensions: { id: "2" } }), "id")
    expect.refused(CloudEvent.make({ ...options, extensions: { data: "2" } }), "data")
    expect.refused(CloudEvent.make({ ...options, extensions: { a: 1.5 } }), "a")
  })

  it("refuses data that is not of its media type", () => {
    const of = (datacontenttype: string, data: unknown) => CloudEvent.make({ ...options, datacontenttype, data })
    const bytes = new Uint8Array([1])
    expect.refused(of("application/json", bytes), "data")
    expect.refused(
      of("application/json", () => 1),
      "data"
    )
    expect.refused(of("application/json", 1n), "data")
    expect.refused(of("text/plain", { a: "hunter2" }), "data", ["hunter2"])
    expect.refused(of("text/plain", bytes), "data")
    expect.refused(of("text/plain;charset=us-ascii", "hunter2 ä"), "data", ["hunter2"])
    expect.refused(of("text/plain", String.fromCharCode(0xd800)), "data")
    expect.refused(of("text/plain;charset=utf-16", "a"), "data")
    expect.refused(of("image/png", "a"), "data")
    for (const [type, data] of [
      ["text/plain", "ä"],
      ["text/plain;charset=US-ASCII", "a"],
      ["text/plain;charset=utf-16", bytes],
      ["image/png", bytes],
      ["text/json", 0],
      ["Application/Vnd.Acme+JSON;v=1", false]
    ] as const) {
      assert.strictEqual(succeeded<CloudEvent.CloudEvent>(of(type, data)).data, data)
    }
  })

  it("throws the same error where it may throw", () => {
    assert.throws(() => CloudEvent.makeUnsafe({ ...options, id: "" }), "not a valid event: id is empty")
    assert.isTrue(Result.isFailure(CloudEvent.make({ ...options, id: "" })))
  })
})
