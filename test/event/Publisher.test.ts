import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Metric, Result, Schema } from "effect"
import {
  Broker,
  Channel,
  type CloudEvent,
  Consumer,
  DeadLetters,
  DedupStore,
  EventType,
  MemoryBroker,
  Parking,
  PublishError,
  Publisher
} from "effect-integration/event"
import { InvalidOption, RequestContext, RetryPolicy } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import { counts, observed } from "../policy/observe.ts"
import * as Fixture from "./orders.ts"

const memory = Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)
const Out = Channel.make("publisher-out", [Fixture.OrderPlaced, Fixture.OrderCancelled], { consumers: ["audit"] })

describe("events published in a handler", () => {
  it.effect("have the same ids when the event is delivered again, and different ones in one delivery", () =>
    Effect.gen(function* () {
      const published: Array<ReadonlyArray<string>> = []
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": (event) =>
            Effect.gen(function* () {
              const cancelled = { id: event.data.id, tenant: "t" }
              const one = yield* Publisher.publish(Out, Fixture.OrderCancelled, cancelled)
              const two = yield* Publisher.publish(Out, Fixture.OrderCancelled, cancelled)
              const three = yield* Publisher.publish(Out, Fixture.OrderPlaced, event.data)
              published.push([one.id, two.id, three.id])
              if (published.length === 1) return yield* new Fixture.Overloaded()
            })
        },
        retry: RetryPolicy.make({ delays: ["1 second"] }),
        dedup: { window: "1 day" }
      })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(2)
      yield* Fixture.place("o-2")
      yield* TestClock.adjust(1)
      assert.strictEqual(published.length, 3)
      assert.deepStrictEqual(published[0], published[1])
      assert.strictEqual(new Set([...published[0]!, ...published[2]!]).size, 6)
    }).pipe(Effect.provide(memory))
  )

  it.effect("outside of one have ids of their own", () =>
    Effect.gen(function* () {
      const one = yield* Publisher.publish(Out, Fixture.OrderPlaced, Fixture.order("o-1"))
      const two = yield* Publisher.publish(Out, Fixture.OrderPlaced, Fixture.order("o-1"))
      assert.notStrictEqual(one.id, two.id)
    }).pipe(Effect.provide(memory))
  )

  it.effect("carry the request id and the trace on", () =>
    Effect.gen(function* () {
      const seen: Array<CloudEvent.CloudEvent> = []
      const consumer = Consumer.make("audit", Out, {
        handlers: {
          "com.acme.order.placed": (event) =>
            Publisher.publish(Out, Fixture.OrderCancelled, { id: event.data.id, tenant: "t" }),
          "com.acme.order.cancelled": (event) => Effect.sync(() => seen.push(event))
        }
      })
      yield* Fixture.start(consumer.layer)
      const sent = yield* Publisher.publish(Out, Fixture.OrderPlaced, Fixture.order("o-1")).pipe(
        Effect.provideService(RequestContext.RequestContext, { requestId: "request-7" }),
        Effect.withSpan("checkout")
      )
      yield* TestClock.adjust(1)
      const trace = String(sent.extensions.traceparent).split("-")[1] ?? "no trace"
      assert.strictEqual(seen[0]?.extensions.requestid, "request-7")
      assert.include(String(seen[0]?.extensions.traceparent), trace)
    }).pipe(Effect.provide(memory))
  )
})

describe("what is not published", () => {
  it.effect("data that does not fit: the field is named, and not the value", () =>
    Effect.gen(function* () {
      const secret = "4111-1111-1111-1111"
      const error = yield* Effect.flip(
        Publisher.publish(Out, Fixture.OrderPlaced, { ...Fixture.order("o-1"), amount: secret as never })
      )
      assert.strictEqual(error._tag, "InvalidEvent")
      if (error._tag === "InvalidEvent") assert.strictEqual(error.attribute, "data.amount")
      assert.notInclude(JSON.stringify(error) + error.message, secret)
      const depth = yield* Broker.Broker.use((broker) => broker.depth({ channel: Out, group: "audit" }))
      assert.strictEqual(depth.ready, 0)
    }).pipe(Effect.provide(memory))
  )

  it.effect("data without the key of a strict order", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Fixture.placeOrdered("o-1", ""))
      assert.strictEqual(error._tag, "InvalidEvent")
      if (error._tag === "InvalidEvent") assert.strictEqual(error.attribute, "data.tenant")
    }).pipe(Effect.provide(memory))
  )

  it.effect("extensions with illegal names", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Publisher.publish(Out, Fixture.OrderPlaced, Fixture.order("o-1"), { extensions: { "No-Good": "x" } })
      )
      assert.strictEqual(error._tag, "InvalidEvent")
    }).pipe(Effect.provide(memory))
  )

  it.effect("what no group consumes, and what a full queue refuses", () =>
    Effect.gen(function* () {
      const nobody = yield* Effect.flip(
        Publisher.publish(Channel.make("nobody", [Fixture.OrderPlaced]), Fixture.OrderPlaced, Fixture.order("o-1"), {
          id: "o-1"
        })
      )
      assert.isTrue(nobody._tag === "PublishError" && nobody.reason === "unroutable" && nobody.messageId === "o-1")
      const small = Channel.make("small", [Fixture.OrderPlaced], { consumers: ["one"], retention: { maxMessages: 1 } })
      yield* Publisher.publish(small, Fixture.OrderPlaced, Fixture.order("o-1"))
      const full = yield* Effect.flip(Publisher.publish(small, Fixture.OrderPlaced, Fixture.order("o-2")))
      assert.isTrue(full._tag === "PublishError" && full.reason === "refused" && full.errorAction.outage)
    }).pipe(Effect.provide(memory))
  )

  it.effect("in a handler: unavailable and unknown pause, unroutable dead-letters", () => {
    let reason: PublishError["reason"] | undefined
    return Effect.gen(function* () {
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": (event) => Publisher.publish(Out, Fixture.OrderPlaced, event.data)
        }
      })
      yield* Fixture.start(consumer.layer)
      for (const [index, each] of (["unavailable", "unknown", "refused"] as const).entries()) {
        reason = undefined
        yield* Fixture.place(`o-${index}`)
        reason = each
        yield* Fixture.pass(100, 1000)
        assert.strictEqual(yield* DeadLetters.count(consumer), 0)
        reason = undefined
        yield* Fixture.pass(31)
      }
      yield* Fixture.place("o-9")
      reason = "unroutable"
      yield* Fixture.pass(5)
      assert.strictEqual(yield* DeadLetters.count(consumer), 1)
    }).pipe(
      Effect.provide([
        DedupStore.layerMemory,
        Fixture.broker((real) => ({
          publish: (channel, message) =>
            Effect.suspend(() =>
              reason === undefined || channel.name !== Out.name
                ? real.publish(channel, message)
                : Effect.fail(new PublishError({ reason, channel: channel.name, description: "x" }))
            )
        }))
      ])
    )
  })
})

describe("a channel of strict order", () => {
  it.effect("has one event per key under way at a time, and several of different keys", () => {
    const sent: Array<string> = []
    const open = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      const fibers = yield* Effect.forEach(["a-1", "a-2", "b-1", "a-3"], (id) =>
        Effect.tap(Effect.forkChild(Fixture.placeOrdered(id, id.slice(0, 1))), () => TestClock.adjust(1))
      )
      assert.deepStrictEqual(sent, ["a-1", "b-1"])
      yield* Deferred.succeed(open, undefined)
      yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
      assert.deepStrictEqual(
        sent.filter((id) => id.startsWith("a")),
        ["a-1", "a-2", "a-3"]
      )
    }).pipe(
      Effect.provide(
        Fixture.broker((real) => ({
          publish: (channel, message) =>
            Effect.suspend(() => {
              sent.push(message.messageId!)
              return Effect.andThen(Deferred.await(open), real.publish(channel, message))
            })
        }))
      )
    )
  })
})

describe("metrics", () => {
  it.effect("of deliveries, handling, pauses and publishes are recorded, and no log tells data or a secret", () =>
    observed((lines) =>
      Effect.gen(function* () {
        const channel = Channel.make("metered", [Fixture.OrderPlaced])
        const secret = "hunter2-of-the-customer"
        let down = true
        const consumer = Consumer.make("metered-billing", channel, {
          handlers: {
            "com.acme.order.placed": (event) =>
              Effect.suspend((): Effect.Effect<void, Fixture.Refused | Fixture.AlreadyDone | Fixture.Down> =>
                event.id === "refused"
                  ? Effect.fail(new Fixture.Refused())
                  : event.id === "skipped"
                    ? Effect.fail(new Fixture.AlreadyDone())
                    : down
                      ? Effect.fail(new Fixture.Down())
                      : Effect.void
              )
          },
          dedup: { window: "1 day" }
        })
        yield* Fixture.start(consumer.layer)
        const place = (id: string) =>
          Publisher.publish(channel, Fixture.OrderPlaced, Fixture.order(secret, secret), { id })
        yield* place("down")
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* counts("metered_billing"))["consumer_paused"], 1)
        down = false
        yield* Fixture.pass(5)
        for (const id of ["refused", "skipped", "done", "done"]) yield* place(id)
        yield* Fixture.pass(5)
        const Loose = EventType.make("com.acme.order.placed", { source: "https://acme.com/orders", data: Schema.Any })
        yield* Publisher.publish(
          Channel.make("metered", [Loose]),
          Loose,
          { id: 1, tenant: secret, amount: secret },
          { id: "bad" }
        )
        yield* TestClock.adjust(1)
        const found = yield* counts("metered_billing")
        assert.strictEqual(found["consumer_paused"], 0)
        assert.strictEqual(found["deliveries_total{done}"], 2)
        assert.strictEqual(found["deliveries_total{dead-lettered}"], 2)
        assert.strictEqual(found["deliveries_total{skipped}"], 1)
        assert.strictEqual(found["deliveries_total{duplicate}"], 1)
        assert.isAtLeast(found["handling_ms"] ?? 0, 4)
        assert.strictEqual((yield* counts("metered"))["published_total{confirmed}"], 6)
        assert.isAbove(lines.length, 3)
        assert.notInclude(JSON.stringify(lines), secret)
        const letters = yield* DeadLetters.list(consumer)
        assert.notInclude(letters.map((each) => each.error).join(), secret)
      })
    ).pipe(Effect.provide(memory))
  )

  it.effect("a channel whose metrics are those of another could be made, and then not be published on", () =>
    Effect.gen(function* () {
      const one = Channel.make("collision.a", [Fixture.OrderPlaced], { consumers: ["x"] })
      yield* Publisher.publish(one, Fixture.OrderPlaced, Fixture.order("o-1"))
      const two = Result.try(() => Channel.make("collision-a", [Fixture.OrderPlaced], { consumers: ["x"] }))
      if (Result.isFailure(two)) return assert.instanceOf(two.failure, InvalidOption)
      const exit = yield* Effect.exit(Publisher.publish(two.success, Fixture.OrderPlaced, Fixture.order("o-1")))
      assert.strictEqual(exit._tag, "Success")
    }).pipe(Effect.provide(memory), Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
