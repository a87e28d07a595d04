import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Result, Schema } from "effect"
import { CloudEvent, CloudEventHttp, Codec } from "../../src/event/index.ts"
import { random, runs } from "../policy/observe.ts"
import { type AnyMessage, plain, succeeded, textual, utf8 } from "./CloudEventForms.ts"

type Decoded = Result.Result<ReadonlyArray<CloudEvent.CloudEvent>, CloudEvent.InvalidEvent>
type Envelope = AnyMessage & { readonly headers: Record<string, any> }

interface Wire {
  readonly name: string
  readonly typed: boolean
  readonly encode: (event: CloudEvent.CloudEvent) => Envelope
  readonly decode: (envelope: Envelope) => Decoded
}

const modes = { binary: Codec.binary, structured: Codec.structured }

const broker = (mode: "binary" | "structured", binding: Codec.Binding): Wire => ({
  name: `${mode} over ${binding}`,
  typed: mode === "structured" || binding === "amqp",
  encode: (event) => modes[mode].encode(event, binding) as Envelope,
  decode: (envelope) => Result.map(modes[mode].decode(envelope, binding), (event) => [event])
})
const http = (
  name: string,
  encode: (event: CloudEvent.CloudEvent) => Result.Result<CloudEventHttp.HttpMessage, CloudEvent.InvalidEvent>
): Wire => ({
  name: `${name} over HTTP`,
  typed: name !== "binary",
  encode: (event) => succeeded(encode(event)) as Envelope,
  decode: (envelope) => CloudEventHttp.decode(envelope)
})

const wires: ReadonlyArray<Wire> = [
  broker("binary", "amqp"),
  broker("binary", "kafka"),
  broker("structured", "amqp"),
  broker("structured", "kafka"),
  http("binary", (event) => CloudEventHttp.encode(event)),
  http("structured", (event) => CloudEventHttp.encode(event, "structured")),
  http("batch", (event) => CloudEventHttp.encodeBatch([event]))
]

const Text = Schema.String.check(Schema.isPattern(/^[\x20-\x7e\u00a1-\u00ff\u20ac\u4e00-\u4eff]{1,20}$/))
const Name = Schema.String.check(Schema.isPattern(/^x[a-z0-9]{1,20}$/))
const Fields = Schema.Struct({
  id: Text,
  type: Text,
  subject: Schema.UndefinedOr(Text),
  source: Schema.String.check(Schema.isPattern(/^\/[a-z0-9._~-]{0,9}\?[a-z=&]{0,9}$/)),
  dataschema: Schema.UndefinedOr(Schema.String.check(Schema.isPattern(/^https:\/\/[a-z]{1,9}\/[a-z]{0,9}$/))),
  time: Schema.UndefinedOr(
    Schema.Int.check(Schema.isBetween({ minimum: -62_167_219_200_000, maximum: 253_402_300_799_999 }))
  ),
  extensions: Schema.Record(
    Name,
    Schema.Union([
      Schema.String.check(Schema.isPattern(/^[\x20-\x7e\u20ac]{0,20}$/)),
      Schema.Boolean,
      Schema.Int.check(Schema.isBetween({ minimum: -2_147_483_648, maximum: 2_147_483_647 }))
    ])
  ),
  partitionkey: Schema.UndefinedOr(Text),
  kind: Schema.Literals(["json", "cloud", "implied", "text", "ascii", "latin", "bytes", "none"]),
  json: Schema.Json,
  text: Text,
  bytes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))).check(Schema.isMinLength(1))
})

const payloads: Readonly<Record<typeof Fields.Type.kind, (fields: typeof Fields.Type) => object>> = {
  json: ({ json }) => ({ datacontenttype: "application/json; charset=utf-8", data: json }),
  cloud: ({ json }) => ({ datacontenttype: "application/vnd.acme+json", data: json }),
  implied: ({ json }) => ({ data: json }),
  text: ({ text }) => ({ datacontenttype: "text/plain", data: text }),
  ascii: ({ id }) => ({ datacontenttype: "text/plain;charset=us-ascii", data: id.replaceAll(/[^\x20-\x7e]/g, "?") }),
  latin: ({ bytes }) => ({ datacontenttype: "text/plain;charset=iso-8859-1", data: new Uint8Array(bytes) }),
  bytes: ({ bytes }) => ({ datacontenttype: "image/png", data: new Uint8Array(bytes) }),
  none: () => ({ datacontenttype: "image/png" })
}

const eventOf = (fields: typeof Fields.Type): CloudEvent.CloudEvent => {
  const { dataschema, extensions, id, partitionkey, source, subject, time, type } = fields
  return CloudEvent.makeUnsafe({
    dataschema,
    id,
    source,
    subject,
    type,
    time: time === undefined ? undefined : DateTime.makeUnsafe(time),
    extensions: { ...extensions, partitionkey },
    ...payloads[fields.kind](fields)
  })
}

describe.each(wires)("$name", ({ decode, encode, typed }) => {
  it.effect.prop(
    "gives back every event",
    [Fields],
    ([fields]) =>
      Effect.sync(() => {
        const event = eventOf(fields)
        const [received] = succeeded(decode(encode(event)))
        assert.deepStrictEqual(plain(received!), plain(typed ? event : textual(event)))
      }),
    { arbitrary: { runs: runs(100) } }
  )
})

const nasty = [
  "",
  " ",
  "0",
  "null",
  "1.0",
  "0.3",
  "a b",
  "%",
  "%41",
  "%ff",
  '"',
  "\u0000",
  "\ud800",
  "\uffff",
  "{}",
  "[]",
  "true",
  "2018-02-30T00:00:00Z",
  "2018-04-05T17:31:60Z",
  "application/json",
  "application/json;",
  "text/plain;charset=utf-16",
  "text/plain",
  "image/png",
  "application/cloudevents+json",
  "application/cloudevents-batch+json",
  "application/cloudevents",
  "application/cloudevents+json;charset=utf-16",
  "//[",
  "http://[::1]",
  "__proto__",
  "é",
  5,
  -0,
  1.5,
  2 ** 31,
  true,
  null,
  [],
  {},
  ["a"],
  { "!": "timestamp", value: 1 },
  new Uint8Array([0xff]),
  new Uint8Array([0x31]),
  undefined
]
const pieces = [
  '"data":1,',
  '"data_base64":"YQ==",',
  '"data_base64":"Y",',
  '"id":"x",',
  '"id":5,',
  '"time":"x",',
  '"x":null,',
  "{",
  "}",
  "[",
  "]",
  ",",
  '"',
  "\\",
  "\\u0000",
  "\\ud800",
  "\ufeff",
  "1e999",
  "-0",
  "null",
  '"datacontenttype":"text/plain",',
  '"specversion":"0.3",',
  '"X":1,',
  '"__proto__":{},',
  '"constructor":"a",'
].map(utf8)

/** One to three changes: to a header, its name, the content type, the bytes of the body. */
const mutated = (envelope: Envelope, next: () => number, textOnly: boolean): Envelope => {
  const pick = <A>(all: ReadonlyArray<A>): A => all[Math.floor(next() * all.length)]!
  const value = (): any => {
    const found = pick(nasty)
    return textOnly ? String(found) : found
  }
  let { body } = envelope
  let contentType: any = envelope.contentType
  const headers: Record<string, any> = { ...envelope.headers }
  const splice = (at: number, removed: number, added: Uint8Array) =>
    new Uint8Array([...body.subarray(0, at), ...added, ...body.subarray(at + removed)])
  for (let changes = 1 + Math.floor(next() * 3); changes > 0; changes--) {
    const name = pick(Object.keys(headers))
    const at = Math.floor(next() * (body.length + 1))
    const change = Math.floor(next() * 11)
    if (change === 0 && name !== undefined) delete headers[name]
    else if (change === 1 && name !== undefined) headers[name] = value()
    else if (change === 2 && name !== undefined) {
      headers[pick([name.toUpperCase(), name.replace(/[:_-]/, "_"), `${name}x`, name.slice(0, -1), `${name}-`])] =
        headers[name]
    } else if (change === 3 && name !== undefined && typeof headers[name] === "string") {
      const cut = Math.floor(next() * headers[name].length)
      headers[name] =
        headers[name].slice(0, cut) + (textOnly ? pick(["%", " ", "a", "é", '"']) : pick(["\u0000", "a", "€"]))
    } else if (change === 4) contentType = headers["content-type"] = value()
    else if (change === 5) contentType = undefined
    else if (change === 6) body = splice(at, 1, new Uint8Array([Math.floor(next() * 256)]))
    else if (change === 7) body = splice(at, Math.floor(next() * 5), new Uint8Array(0))
    else if (change === 8) body = splice(next() < 0.5 ? 1 : at, 0, pick(pieces))
    else if (change === 9) body = body.subarray(0, at)
    else
      headers[pick(["cloudEvents:x", "cloudEvents_id", "ce_y", "ce-z", "ce-", "CE-ID", "ce_data", "cloudEvents:"])] =
        value()
  }
  return { ...(contentType === undefined ? {} : { contentType }), headers, body }
}

const isStructured = (wire: Wire) => wire.name.startsWith("structured")

describe("mutated envelopes", () => {
  const payloads: ReadonlyArray<{ readonly datacontenttype?: string; readonly data?: unknown }> = [
    { datacontenttype: "application/json", data: { a: [1, "ä", null], b: { c: "\\" } } },
    { datacontenttype: "text/plain", data: "ä text" },
    { datacontenttype: "image/png", data: new Uint8Array([0, 1, 255]) },
    {}
  ]
  const bases = payloads.map((payload) =>
    CloudEvent.makeUnsafe({
      id: "Euro €",
      source: "https://acme.com/a?b=c",
      type: "com.acme.placed",
      subject: "a b",
      time: "2018-04-05T17:31:00.5Z",
      extensions: { partitionkey: "k", count: 5, flag: true },
      ...payload
    })
  )

  it.each(wires)("$name: an event that stays the same, or an error that names the attribute", (wire) => {
    const next = random(7)
    let [events, errors] = [0, 0]
    for (let run = 0; run < runs(1000 / wires.length + 1); run++) {
      const envelope = mutated(wire.encode(bases[run % bases.length]!), next, wire.name.includes("HTTP"))
      const result = wire.decode(envelope)
      if (Result.isFailure(result)) {
        errors++
        assert.instanceOf(result.failure, CloudEvent.InvalidEvent)
        assert.notStrictEqual(result.failure.attribute, "")
        assert.match(result.failure.message, /^not a valid event: [\x20-\x7e]+$/)
        continue
      }
      for (const event of result.success) {
        events++
        const type = envelope.headers["content-type"] ?? envelope.contentType
        const text = type instanceof Uint8Array ? new TextDecoder().decode(type) : String(type)
        // A content type that became that of the other mode is sent on in that mode.
        const again = text.startsWith("application/cloudevents") ? wires.find(isStructured)! : wire
        const [received] = succeeded(again.decode(again.encode(event)))
        assert.deepStrictEqual(plain(received!), plain(event))
      }
    }
    assert.isAbove(events, 10)
    assert.isAbove(errors, 10)
  })
})
