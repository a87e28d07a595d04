import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Ref, Result, Schema } from "effect"
import {
  Channel,
  Codec,
  EventType,
  MemoryOutbox,
  Ordering,
  Outbox,
  OutboxRelay,
  Publisher
} from "effect-integration/event"
import { OperationKey, RequestContext } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import { counts } from "../policy/observe.ts"
import * as Fixture from "./orders.ts"
import { keyed, relayed, Script, start } from "./outbox.ts"

const app = Layer.mergeAll(MemoryOutbox.layer, keyed)

const Typed = EventType.make("com.acme.typed", {
  source: "https://acme.com/typed",
  data: Schema.Struct({
    at: Schema.DateTimeUtc,
    big: Schema.BigInt,
    bytes: Schema.Uint8Array,
    none: Schema.NullOr(Schema.String)
  }),
  dataschema: "https://acme.com/schemas/typed/1"
})
const Note = EventType.make("com.acme.note", {
  source: "/notes",
  data: Schema.String,
  datacontenttype: "text/plain; charset=utf-8"
})
const Scan = EventType.make("com.acme.scan", {
  source: "/scans",
  data: Schema.Uint8Array,
  datacontenttype: "application/octet-stream"
})
const typed = {
  at: DateTime.makeUnsafe("2026-01-02T03:04:05.678Z"),
  big: 12345678901234567890n,
  bytes: new Uint8Array([0, 255]),
  none: null
}
const plain = Codec.json({ id: (_, message) => message.messageId, type: () => "com.acme.typed", source: () => "/s" })
const codecs = { binary: Codec.binary, structured: Codec.structured, plain }

describe("Outbox.publish", () => {
  it.effect.each(Object.entries(codecs))("leads to the message that Publisher.publish sends (%s)", ([name, codec]) =>
    Effect.gen(function* () {
      const channel = Channel.make(`outbox-codec-${name}`, [Typed, Note, Scan, Fixture.OrderPlaced], { codec })
      const Strict = Channel.make(`outbox-codec-strict-${name}`, [Fixture.OrderPlaced], {
        codec,
        ordering: Ordering.strict("tenant")
      })
      const options = { id: "e-1", subject: "s \u{1f980}", extensions: { number: 5, is: true, text: "a b" } }
      yield* start(OutboxRelay.layer([channel, Strict]))
      const send = Effect.fnUntraced(function* (publish: typeof Publisher.publish | typeof Outbox.publish) {
        const events = [
          yield* publish(channel, Typed, typed, options),
          yield* publish(Strict, Fixture.OrderPlaced, Fixture.order('o-\u0000 "1"', "t"), options),
          ...(codec === plain
            ? []
            : [
                yield* publish(channel, Note, "a\nb ü", options),
                yield* publish(channel, Note, "", options),
                yield* publish(channel, Scan, new Uint8Array([1, 0, 255]), options)
              ])
        ]
        yield* TestClock.adjust(1)
        const { confirmed } = yield* Script
        return { events, sent: yield* Ref.getAndSet(confirmed, []) }
      })
      const context = RequestContext.withRequestId("req-7")
      const direct = yield* context(send(Publisher.publish as typeof Outbox.publish))
      yield* TestClock.setTime(0)
      const stored = yield* context(send(Outbox.publish))
      assert.strictEqual(direct.sent.length, codec === plain ? 2 : 5)
      const at = (sent: typeof stored.sent) =>
        sent.toSorted((a, b) => (a.channel < b.channel ? -1 : a.channel > b.channel ? 1 : 0))
      const times = (text: string) => text.replaceAll(/1970-01-01T00:00:00\.\d{3}Z/g, "now")
      const shown = (sent: typeof stored.sent) =>
        at(sent).map(({ channel, message: { body, ...rest } }) => [
          channel,
          times(new TextDecoder("latin1").decode(body)),
          times(JSON.stringify(rest))
        ])
      assert.deepStrictEqual(shown(stored.sent), shown(direct.sent))
      const untimed = (events: typeof stored.events) => events.map((event) => ({ ...event, time: undefined }))
      assert.deepStrictEqual(untimed(stored.events), untimed(direct.events))
    }).pipe(Effect.provide(app))
  )

  it.effect("refuses what Publisher.publish refuses, and stores nothing", () =>
    Effect.gen(function* () {
      const wrong = { ...Fixture.order("o-1"), amount: 1.5 }
      const attempts = [
        Outbox.publish(relayed.Loose, Fixture.OrderPlaced, wrong),
        Outbox.publish(relayed.Strict, Fixture.OrderPlaced, Fixture.order("o-1", "")),
        Outbox.publish(relayed.Loose, Fixture.OrderPlaced, Fixture.order("o-1"), { id: "" }),
        Outbox.publish(relayed.Loose, Fixture.OrderPlaced, Fixture.order("o-1"), { extensions: { "Not-Legal": 1 } })
      ]
      const errors = yield* Effect.forEach(attempts, (attempt) => Effect.flip(attempt))
      assert.deepStrictEqual(
        errors.map((error) => (error._tag === "InvalidEvent" ? error.attribute : error._tag)),
        ["data.amount", "data.tenant", "id", "Not-Legal"]
      )
      assert.deepStrictEqual(yield* Outbox.depth, [])
    }).pipe(Effect.provide(app))
  )

  it.effect("derives ids of what is being handled, and else makes new ones", () =>
    Effect.gen(function* () {
      const one = Outbox.publish(relayed.Loose, Fixture.OrderPlaced, Fixture.order("o-1"))
      const derived = OperationKey.derived("handler", "e-7")(one)
      assert.strictEqual((yield* derived).id, (yield* derived).id)
      assert.notStrictEqual((yield* one).id, (yield* one).id)
    }).pipe(Effect.provide(app))
  )

  it.effect("fails as full, an outage, when too many wait, and stores again when some are gone", () =>
    Effect.gen(function* () {
      const name = "outbox-full"
      const Full = Channel.make(name, [Fixture.OrderPlaced])
      const put = (id: string) => Outbox.publish(Full, Fixture.OrderPlaced, Fixture.order(id), { id })
      yield* Effect.forEach(["1", "2", "3"], put)
      const full = yield* Effect.result(put("4"))
      assert(Result.isFailure(full) && full.failure._tag === "OutboxError")
      assert.strictEqual(full.failure.reason, "full")
      assert.isTrue(full.failure.errorAction.outage)
      assert.strictEqual(full.failure.outcome, "unprocessed")
      assert.strictEqual((yield* counts("outbox_full"))["published_total{full}"], 1)
      yield* start(OutboxRelay.layer([Full]))
      yield* TestClock.adjust(10)
      yield* put("5")
    }).pipe(Effect.provide(Layer.mergeAll(MemoryOutbox.layerWith({ maxPending: 3 }), keyed)))
  )
})

describe("Outbox.bucketOf", () => {
  it("spreads keys, and never changes", () => {
    assert.deepStrictEqual(
      ["a", "tenant-1", "ü", ""].map((key) => Outbox.bucketOf({ key, id: "x" })),
      [44, 11, 10, 5]
    )
    assert.strictEqual(Outbox.bucketOf({ key: undefined, id: "a" }), Outbox.bucketOf({ key: "a", id: "b" }))
    const used = new Set(Array.from({ length: 1000 }, (_, n) => Outbox.bucketOf({ key: `k-${n}`, id: "" })))
    assert.strictEqual(used.size, Outbox.buckets)
    assert.deepStrictEqual([0, 1, 2, 3, 64, 100].map(Outbox.share), [64, 64, 32, 22, 1, 1])
  })
})
