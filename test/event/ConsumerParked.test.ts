import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Broker, Consumer, DeadLetters, DedupStore, MemoryBroker, Parking } from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import * as Fixture from "./orders.ts"

const memory = Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)

describe("a parked message", () => {
  it.effect("was tried before its time by the next process, when one of its key came", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      let broken = true
      const consumer = Consumer.make("billing", Fixture.Ordered, {
        handlers: {
          "com.acme.order.placed": (event) =>
            Effect.andThen(
              journal.add(event.data.id),
              Effect.suspend(() => (broken ? Effect.fail(new Fixture.Overloaded()) : Effect.void))
            )
        },
        retry: RetryPolicy.make({ delays: ["1 minute"] })
      })
      const first = yield* Fixture.start(consumer.layer)
      yield* Fixture.placeOrdered("a-1", "a")
      yield* TestClock.adjust("1 second")
      yield* first.stop
      broken = false
      yield* Fixture.start(consumer.layer)
      yield* Fixture.placeOrdered("a-2", "a")
      yield* Fixture.pass(58)
      assert.deepStrictEqual(yield* journal.all, ["a-1"])
      yield* Fixture.pass(2)
      assert.deepStrictEqual(yield* journal.all, ["a-1", "a-1", "a-2"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("becomes a dead letter byte for byte, with all that its producer has sent", () =>
    Effect.gen(function* () {
      const consumer = Consumer.make("billing", Fixture.Ordered, {
        handlers: { "com.acme.order.placed": () => Effect.fail(new Fixture.Overloaded()) },
        retry: RetryPolicy.make({ delays: ["1 second"] })
      })
      const broker = yield* Broker.Broker
      yield* Fixture.start(consumer.layer)
      const event = yield* Fixture.placeOrdered("a-1", "a")
      yield* Fixture.pass(3)
      const encoded = Fixture.Ordered.codec.encode({ ...event, data: Fixture.order("a-1", "a") }, broker.binding)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual(letter?.message, { ...encoded, key: "a" })
      assert.strictEqual(letter?.event?.id, "a-1")
      assert.deepStrictEqual([letter?.reason, letter?.attempts, letter?.error], ["exhausted", 2, "Overloaded"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("that comes after a dead letter of its key is known to have overtaken it an hour later still", () =>
    Effect.gen(function* () {
      const consumer = Consumer.make("billing", Fixture.Ordered, {
        handlers: {
          "com.acme.order.placed": (event) =>
            event.data.id === "a-1" ? Effect.fail(new Fixture.Refused()) : Effect.void
        },
        dedup: { window: "1 day" }
      })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.placeOrdered("a-1", "a")
      yield* TestClock.adjust("1 second")
      yield* Fixture.placeOrdered("a-2", "a")
      yield* Fixture.pass(2 * 3600, 60_000)
      const plan = yield* DeadLetters.replay(consumer, {})
      assert.deepStrictEqual(
        plan.breaksOrder.map(({ event }) => event?.id),
        ["a-1"]
      )
    }).pipe(Effect.provide(memory))
  )
})

describe("a transaction under the lease of a key", () => {
  it.effect("that was taken over meanwhile is undone, and the event is handled again", () => {
    const exits: Array<string> = []
    let taken = true
    return Effect.gen(function* () {
      const consumer = Consumer.make("billing", Fixture.Ordered, {
        handlers: { "com.acme.order.placed": () => Effect.void },
        dedup: { window: "1 day", mode: "transactional" }
      })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.placeOrdered("a-1", "a")
      yield* Fixture.pass(5)
      assert.deepStrictEqual(exits, ["Failure", "Success"])
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        Fixture.store((real) => ({
          transaction: (...args) =>
            Effect.onExit(real.transaction(...args), (exit) => Effect.sync(() => exits.push(exit._tag)))
        })),
        Fixture.parking((real) => ({
          confirm: (lease) =>
            Effect.suspend(() => {
              if (!taken) return real.confirm(lease)
              taken = false
              return Effect.succeed(false)
            })
        }))
      ])
    )
  })
})
