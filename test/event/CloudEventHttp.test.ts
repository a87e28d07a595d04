import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpClientRequest, HttpServerRequest } from "effect/http"
import { CloudEvent, CloudEventHttp } from "../../src/event/index.ts"
import { only, expect, succeeded, utf8 } from "./CloudEventForms.ts"

const headers = { "ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s", "ce-id": "1" }
const read = (more: Record<string, string>, body: string | Uint8Array = "") =>
  only(CloudEventHttp.decode({ headers: { ...headers, ...more }, body: typeof body === "string" ? utf8(body) : body }))
const subject = (header: string) => succeeded(read({ "ce-subject": header })).subject
const event = CloudEvent.makeUnsafe({
  id: "1",
  source: "/mycontext/subcontext",
  type: "com.example.someevent",
  time: "2018-04-05T03:56:24Z",
  subject: "Euro € 😀",
  extensions: { comexampleothervalue: 5, percent: '100% "a"' },
  data: { a: 1 }
})

describe("header values", () => {
  it("are percent-encoded", () => {
    const { headers } = succeeded(CloudEventHttp.encode(event))
    assert.deepStrictEqual(headers, {
      "ce-specversion": "1.0",
      "ce-id": "1",
      "ce-source": "/mycontext/subcontext",
      "ce-type": "com.example.someevent",
      "ce-time": "2018-04-05T03:56:24.000Z",
      "ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80",
      "ce-comexampleothervalue": "5",
      "ce-percent": "100%25%20%22a%22",
      "content-type": "application/json"
    })
  })
  it("are read with what was encoded without need, in either case, once", () => {
    assert.strictEqual(subject("Euro%20%e2%82%ac%20%F0%9F%98%80"), "Euro € 😀")
    assert.strictEqual(subject("%41%2541"), "A%41")
    assert.strictEqual(subject("  a b\t"), "a b")
  })
  it("are read with quotes, as older producers wrote them", () => {
    assert.strictEqual(subject('"a b"'), "a b")
    assert.strictEqual(subject('"a \\"b\\\\ %20"'), 'a "b\\  ')
    assert.strictEqual(subject('a "b" c'), "a b c")
  })
  it("that are badly encoded are refused", () => {
    for (const bad of ["%C0%A0", "%ED%A0%80", "%", "%4", "%zz", "%FF", "é", '"a', 'a"b', '"a\\"', "a\tb", "a\u0001"]) {
      expect.refused(read({ "ce-subject": bad }), "subject", bad.length > 3 ? [bad] : [])
    }
    expect.refused(read({ "ce-subject": "%00" }), "subject")
    expect.refused(read({ "ce-subject": "" }), "subject")
  })
})

describe("binary mode", () => {
  it("reads names in any case, and each once", () => {
    const upper = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]))
    assert.strictEqual(succeeded(only(CloudEventHttp.decode({ headers: upper, body: utf8("") }))).id, "1")
    expect.refused(read({ "CE-ID": "2" }), "id")
    expect.refused(read({ "ce-foo": "1", "Ce-Foo": "2" }), "foo")
  })
  it("has datacontenttype in Content-Type only", () => {
    expect.refused(read({ "ce-datacontenttype": "application/json" }), "datacontenttype")
    expect.refused(read({ "content-type": "hunter2" }), "datacontenttype", ["hunter2"])
  })
  it("reads data by its media type", () => {
    assert.deepStrictEqual(succeeded(read({}, "[0]")).data, [0])
    assert.deepStrictEqual(succeeded(read({ "content-type": "text/plain" }, "[0]")).data, "[0]")
    assert.deepStrictEqual(succeeded(read({ "content-type": "a/b" }, "[0]")).data, utf8("[0]"))
    assert.isUndefined(succeeded(read({ "content-type": "application/json" })).data)
    expect.refused(read({}, "hunter2"), "data", ["hunter2"])
  })
})

describe("modes", () => {
  it("are told by the content type", () => {
    const message = succeeded(CloudEventHttp.encode(event, "structured"))
    assert.deepStrictEqual(message.headers, { "content-type": "application/cloudevents+json" })
    assert.deepStrictEqual(succeeded(CloudEventHttp.decode(message)), [event])
    const batch = succeeded(CloudEventHttp.encodeBatch([event, event]))
    assert.deepStrictEqual(batch.headers, { "content-type": "application/cloudevents-batch+json" })
    assert.deepStrictEqual(succeeded(CloudEventHttp.decode(batch)), [event, event])
    assert.deepStrictEqual(succeeded(CloudEventHttp.decode(succeeded(CloudEventHttp.encodeBatch([])))), [])
  })
  it("that are not known are refused", () => {
    for (const type of [
      "application/cloudevents",
      "application/cloudevents+avro",
      "application/cloudevents-batch+avro",
      "application/CloudEvents+json; charset=iso-8859-1",
      "application/cloudevents+json;"
    ]) {
      expect.refused(read({ "content-type": type }, "{}"), "content-type")
    }
    expect.refused(read({ "content-type": 'Application/CloudEvents+JSON; Charset="UTF-8"' }, "{}"), "specversion")
  })
  it("do not send events that are not valid", () => {
    expect.refused(CloudEventHttp.encode({ ...event, id: "" }), "id")
    expect.refused(CloudEventHttp.encode({ ...event, id: "" }, "structured"), "id")
    expect.refused(CloudEventHttp.encode({ ...event, data: { a: 1n } }), "data")
  })
})

describe("requests", () => {
  const serve = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.flatMap(HttpClientRequest.toWeb(request), (web) =>
      Effect.provideService(
        CloudEventHttp.received,
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(web)
      )
    )
  const none = CloudEvent.makeUnsafe({ id: "1", source: "/s", type: "t" })
  it.effect("arrive as they were sent", () =>
    Effect.gen(function* () {
      const url = "http://127.0.0.1/events"
      const binary = yield* serve(yield* CloudEventHttp.request(url, event))
      assert.deepStrictEqual(binary, [{ ...event, extensions: { ...event.extensions, comexampleothervalue: "5" } }])
      assert.deepStrictEqual(yield* serve(yield* CloudEventHttp.request(url, event, "structured")), [event])
      assert.deepStrictEqual(yield* serve(yield* CloudEventHttp.request(url, none)), [none])
      assert.deepStrictEqual(yield* serve(yield* CloudEventHttp.batchRequest(url, [event, none])), [event, none])
      const error = yield* Effect.flip(serve(HttpClientRequest.post(url)))
      assert.strictEqual(error._tag, "InvalidEvent")
      const unsent = yield* Effect.flip(CloudEventHttp.request(url, { ...event, id: "" }))
      assert.strictEqual(unsent.attribute, "id")
    })
  )
})
