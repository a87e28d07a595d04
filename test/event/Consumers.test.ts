import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import {
  Broker,
  BrokerUnavailable,
  Channel,
  Consumer,
  Consumers,
  DeadLetters,
  DedupStore,
  MemoryBroker,
  Parking,
  Publisher
} from "effect-integration/event"
import { TestClock } from "effect/testing"
import * as Fixture from "./orders.ts"

const memory = Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)
const depth = Broker.Broker.use((broker) => broker.depth({ channel: Fixture.Orders, group: "billing" }))
const down = new BrokerUnavailable({ operation: "subscribe", description: "no connection" })

const slow = (journal: { readonly add: (line: string) => Effect.Effect<void> }, options?: Consumer.Options) =>
  Consumer.make("billing", Fixture.Orders, {
    handlers: {
      "com.acme.order.placed": (event) =>
        Effect.onInterrupt(Effect.andThen(Effect.sleep("5 seconds"), journal.add(event.data.id)), () =>
          journal.add(`stopped ${event.data.id}`)
        )
    },
    dedup: { window: "1 day" },
    ...options
  })

describe("the kill switch", () => {
  it.effect("stops taking, loses nothing, and goes on when it is resumed", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      yield* Fixture.start(slow(journal).layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Consumers.pause("billing", { reason: "migration" }), 1)
      yield* Fixture.place("o-2")
      yield* Fixture.pass(60, 1000)
      assert.deepStrictEqual(yield* journal.all, ["o-1"])
      assert.deepStrictEqual(yield* Consumers.all, [
        { name: "billing", channel: "orders", state: "paused", reason: "migration", handling: 0 }
      ])
      assert.strictEqual((yield* depth).ready, 1)
      assert.strictEqual(yield* Consumers.resume("billing"), 1)
      yield* Fixture.pass(10)
      assert.deepStrictEqual(yield* journal.all, ["o-1", "o-2"])
      assert.deepStrictEqual(yield* Consumers.all, [
        { name: "billing", channel: "orders", state: "running", reason: undefined, handling: 0 }
      ])
    }).pipe(Effect.provide(memory))
  )

  it.effect("the status of one that is paused counted none of the handlers that still run", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      yield* Fixture.start(slow(journal).layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("1 second")
      const [before] = yield* Consumers.all
      yield* Consumers.pause("billing", { reason: "x" })
      yield* TestClock.adjust("1 second")
      const [during] = yield* Consumers.all
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([before?.handling, during?.handling], [1, 1])
    }).pipe(Effect.provide(memory))
  )

  it.effect("pause and resume at once, many times, leave one subscription", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      yield* Fixture.start(slow(journal).layer)
      for (let time = 0; time < 20; time++) {
        yield* Consumers.pause("billing", { reason: "x" })
        if (time % 3 === 0) yield* TestClock.adjust(1)
        yield* Consumers.resume("billing")
        if (time % 2 === 0) yield* TestClock.adjust(1)
      }
      yield* Fixture.place("o-1")
      yield* Fixture.pass(6)
      assert.strictEqual((yield* depth).consumers, 1)
      assert.deepStrictEqual(yield* journal.all, ["o-1"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("knows who is there", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const running = yield* Fixture.start(slow(journal).layer)
      const error = yield* Effect.flip(Consumers.pause("biling", { reason: "x" }))
      assert.deepStrictEqual([error.name, error.known], ["biling", ["billing"]])
      assert.include(error.message, "there are billing")
      yield* running.stop
      const none = yield* Effect.flip(Consumers.resume("billing"))
      assert.deepStrictEqual(none.known, [])
    }).pipe(Effect.provide(memory))
  )
})

describe("the end of a consumer", () => {
  it.effect("lets handlers end, and settles them", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const running = yield* Fixture.start(slow(journal).layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("1 second")
      const stopping = yield* Effect.forkChild(running.stop)
      yield* TestClock.adjust("1 second")
      yield* Fixture.place("o-2")
      assert.isUndefined(stopping.pollUnsafe())
      yield* TestClock.adjust("3 seconds")
      assert.isDefined(stopping.pollUnsafe())
      assert.deepStrictEqual(yield* journal.all, ["o-1"])
      assert.deepStrictEqual(yield* depth, { ready: 1, delayed: 0, deadLetters: 0, consumers: 0 })
    }).pipe(Effect.provide(memory))
  )

  it.effect("stops handlers that take longer than there is time, and their messages are delivered again", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = slow(journal, { drain: "2 seconds" })
      const running = yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("1 second")
      const stopping = yield* Effect.forkChild(running.stop)
      yield* TestClock.adjust("2 seconds")
      assert.isDefined(stopping.pollUnsafe())
      assert.deepStrictEqual(yield* journal.all, ["stopped o-1"])
      assert.strictEqual((yield* depth).ready, 1)
      yield* Fixture.start(consumer.layer)
      yield* Fixture.pass(6)
      assert.deepStrictEqual(yield* journal.all, ["stopped o-1", "o-1"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("lets a handler publish what it has begun to", () =>
    Effect.gen(function* () {
      const out = Channel.make("out", [Fixture.OrderCancelled], { consumers: ["audit"] })
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": (event) =>
            Effect.andThen(
              Effect.sleep("2 seconds"),
              Publisher.publish(out, Fixture.OrderCancelled, { id: event.data.id, tenant: "t" })
            )
        }
      })
      const running = yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("1 second")
      const stopping = yield* Effect.forkChild(running.stop)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(stopping)
      const published = yield* Broker.Broker.use((broker) => broker.depth({ channel: out, group: "audit" }))
      assert.strictEqual(published.ready, 1)
      assert.strictEqual((yield* depth).ready, 0)
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(Effect.provide(memory))
  )
})

describe("a broker that cannot be subscribed to", () => {
  it.effect("at first fails the layer with the broker's error", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const error = yield* Effect.flip(Effect.scoped(Layer.build(slow(journal).layer)))
      assert.strictEqual(error, down)
      assert.deepStrictEqual(yield* Consumers.all, [])
    }).pipe(Effect.provide([DedupStore.layerMemory, Fixture.broker(() => ({ subscribe: () => Effect.fail(down) }))]))
  )

  it.effect("after a pause is tried again until it can", () => {
    let broken = false
    return Effect.gen(function* () {
      const journal = yield* Fixture.journal
      yield* Fixture.start(slow(journal).layer)
      yield* Consumers.pause("billing", { reason: "x" })
      yield* TestClock.adjust("1 second")
      broken = true
      yield* Consumers.resume("billing")
      yield* Fixture.place("o-1")
      yield* Fixture.pass(10)
      assert.deepStrictEqual(
        (yield* Consumers.all).map((each) => each.state),
        ["starting"]
      )
      broken = false
      yield* Fixture.pass(10)
      assert.deepStrictEqual(yield* journal.all, ["o-1"])
    }).pipe(
      Effect.provide([
        DedupStore.layerMemory,
        Fixture.broker((real) => ({
          subscribe: (subscription) => Effect.suspend(() => (broken ? Effect.fail(down) : real.subscribe(subscription)))
        }))
      ])
    )
  })
})
