import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Consumer, DeadLetters, DedupStore, MemoryBroker, Parking } from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import * as Fixture from "./orders.ts"

const memory = Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)
const retry = RetryPolicy.make({ delays: ["1 second", "10 seconds"] })

describe("a consumer", () => {
  it.effect("handles each event once, and acknowledges it", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: { "com.acme.order.placed": (event) => journal.add(event.data.id) },
        dedup: { window: "1 day" }
      })
      yield* Layer.build(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.place("o-1")
      yield* Fixture.place("o-2")
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* journal.all, ["o-1", "o-2"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("retries after the delays, then dead-letters", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": (event) =>
            Effect.andThen(journal.add(event.data.id), Effect.fail(new Fixture.Overloaded()))
        },
        retry,
        dedup: { window: "1 day" }
      })
      yield* Layer.build(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust(999)
      assert.strictEqual((yield* journal.all).length, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* journal.all).length, 2)
      yield* TestClock.adjust(9999)
      assert.strictEqual((yield* journal.all).length, 2)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* journal.all).length, 3)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.strictEqual(letter?.reason, "exhausted")
      assert.strictEqual(letter?.attempts, 3)
      assert.strictEqual(letter?.event?.id, "o-1")
    }).pipe(Effect.provide(memory))
  )

  it.effect("spends no attempt in an outage", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      let down = true
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": (event) =>
            Effect.andThen(
              journal.add(event.data.id),
              Effect.suspend(() => (down ? Effect.fail(new Fixture.Down()) : Effect.void))
            )
        },
        retry,
        dedup: { window: "1 day" }
      })
      yield* Layer.build(consumer.layer)
      for (let index = 0; index < 200; index++) yield* Fixture.place(`o-${index}`)
      yield* TestClock.adjust("1 hour")
      const tries = (yield* journal.all).length
      assert.isAtMost(tries, 64 + 130)
      down = false
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(new Set((yield* journal.all).slice(tries)).size, 200)
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(Effect.provide(memory))
  )

  it.effect("keeps the order of a key through retries, while other keys go on", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      let failures = 2
      const consumer = Consumer.make("billing", Fixture.Ordered, {
        handlers: {
          "com.acme.order.placed": (event) =>
            Effect.suspend(() =>
              event.data.id === "a-1" && failures-- > 0
                ? Effect.fail(new Fixture.Overloaded())
                : journal.add(event.data.id)
            )
        },
        retry,
        dedup: { window: "1 day" }
      })
      yield* Layer.build(consumer.layer)
      for (const id of ["a-0", "a-1", "a-2", "b-0", "a-3", "b-1"]) yield* Fixture.placeOrdered(id, id.slice(0, 1))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual((yield* journal.all).toSorted(), ["a-0", "b-0", "b-1"])
      yield* TestClock.adjust("1 second")
      yield* Fixture.placeOrdered("a-4", "a")
      yield* TestClock.adjust("10 seconds")
      yield* Fixture.placeOrdered("a-5", "a")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        (yield* journal.all).filter((id) => id.startsWith("a")),
        ["a-0", "a-1", "a-2", "a-3", "a-4", "a-5"]
      )
    }).pipe(Effect.provide(memory))
  )
})
