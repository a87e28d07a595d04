import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import {
  Broker,
  Consumer,
  CurrentDelivery,
  DeadLetters,
  DedupStore,
  MemoryBroker,
  Parking
} from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import * as Fixture from "./orders.ts"

const identity = (id: string) => ({ source: "https://acme.com/orders", id })
const depth = Broker.Broker.use((broker) => broker.depth({ channel: Fixture.Orders, group: "billing" }))
const stores = Layer.mergeAll(DedupStore.layerMemory, Parking.layerMemory)

/** A broker that says of the first delivery of each message how often it was given out before. */
const redelivered = (before: Readonly<Record<string, number>>) => {
  const seen = new Set<string>()
  return Fixture.broker((real) => ({
    subscribe: (subscription) =>
      Effect.flatMap(real.subscribe(subscription), (queue) =>
        Fixture.mapped(queue, (delivery) => {
          const id = delivery.message.messageId!
          const redeliveries = seen.has(id) ? delivery.redeliveries : (before[id] ?? delivery.redeliveries)
          seen.add(id)
          return { ...delivery, redeliveries }
        })
      )
  }))
}

/** Deliveries that are over before anybody begins with them. */
const over = Fixture.broker((real) => ({
  subscribe: (subscription) =>
    Effect.flatMap(real.subscribe(subscription), (queue) =>
      Fixture.mapped(queue, (delivery) => ({
        ...delivery,
        isLive: () => false,
        settle: () => Effect.succeed("late" as const)
      }))
    )
}))

describe("a message that was given out before", () => {
  it.effect("is a dead letter when its consumer died of it as often as it may, and not before", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: { "com.acme.order.placed": (event) => journal.add(event.data.id) },
        maxRedeliveries: 3
      })
      yield* Fixture.start(consumer.layer)
      for (const id of ["o-2", "o-3", "o-4"]) yield* Fixture.place(id)
      yield* Fixture.pass(1)
      assert.deepStrictEqual(yield* journal.all, ["o-2"])
      const letters = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual(
        letters.map(({ attempts, event, reason }) => [event?.id, reason, attempts]),
        [
          ["o-3", "delivery-limit", 3],
          ["o-4", "delivery-limit", 4]
        ]
      )
    }).pipe(Effect.provide([stores, redelivered({ "o-2": 2, "o-3": 3, "o-4": 4 })]))
  )

  it.effect("is no dead letter where it was handled, and only not acknowledged", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: { "com.acme.order.placed": (event) => journal.add(event.data.id) },
        dedup: { window: "1 day" },
        maxRedeliveries: 3
      })
      yield* DedupStore.DedupStore.use((store) =>
        store.transaction("billing", identity("o-1"), Effect.void, { timeout: Duration.seconds(1) })
      )
      const running = yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(1)
      yield* running.stop
      assert.deepStrictEqual(yield* journal.all, [])
      assert.deepStrictEqual(yield* depth, { ready: 0, delayed: 0, deadLetters: 0, consumers: 0 })
    }).pipe(Effect.provide([stores, redelivered({ "o-1": 3 })]))
  )

  it.effect("is no longer suspect when its handler has ended", () =>
    Effect.gen(function* () {
      const seen: Array<readonly [attempt: number, redeliveries: number]> = []
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": () =>
            Effect.gen(function* () {
              const { attempt, redeliveries } = yield* CurrentDelivery
              seen.push([attempt, redeliveries])
              return yield* new Fixture.Overloaded()
            })
        },
        retry: RetryPolicy.make({ delays: ["1 second", "1 second"] })
      })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(3)
      assert.deepStrictEqual(seen, [
        [1, 2],
        [2, 0],
        [3, 0]
      ])
    }).pipe(Effect.provide([stores, redelivered({ "o-1": 2 })]))
  )

  it.effect("is as suspect as before when an outage has held it for as long as it may", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      let down = true
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": () =>
            Effect.gen(function* () {
              seen.push((yield* CurrentDelivery).redeliveries)
              if (down) return yield* new Fixture.Down()
            })
        },
        hold: "10 seconds"
      })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(60)
      down = false
      yield* Fixture.pass(60)
      assert.isAbove(seen.length, 4)
      assert.deepStrictEqual(new Set(seen), new Set([2]))
      assert.deepStrictEqual(yield* depth, { ready: 0, delayed: 0, deadLetters: 0, consumers: 1 })
    }).pipe(Effect.provide([stores, redelivered({ "o-1": 2 })]))
  )

  it.effect("of a strict order is kept in the store while it is handled, so that each is counted for itself", () =>
    Effect.gen(function* () {
      const parked: Array<unknown> = []
      const consumer = Consumer.make("billing", Fixture.Ordered, {
        handlers: {
          "com.acme.order.placed": () =>
            Effect.gen(function* () {
              const keys = yield* Parking.Parking.use((parking) => parking.keys("ordered/billing", 10))
              parked.push(keys.map(({ key }) => key))
            }).pipe(Effect.orDie)
        }
      })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.placeOrdered("a-1", "a")
      yield* Fixture.placeOrdered("b-1", "b")
      yield* Fixture.pass(5)
      assert.deepStrictEqual(parked.toSorted(), [[], ["a"]])
    }).pipe(Effect.provide([stores, redelivered({ "a-1": 1 })]))
  )

  it.effect("of a strict order is begun with alone, whatever its key", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      let ended = 0
      const consumer = Consumer.make("billing", Fixture.Ordered, {
        handlers: {
          "com.acme.order.placed": () =>
            Effect.gen(function* () {
              most = Math.max(most, ++running)
              yield* Effect.sleep("1 second")
              running--
              ended++
            })
        }
      })
      yield* Fixture.start(consumer.layer)
      for (const key of ["a", "b", "c"]) yield* Fixture.placeOrdered(`${key}-1`, key)
      yield* Fixture.pass(10)
      assert.deepStrictEqual([ended, most], [3, 1])
    }).pipe(Effect.provide([stores, redelivered({ "a-1": 1, "b-1": 1, "c-1": 1 })]))
  )
})

describe("a dead letter that is replayed", () => {
  it.effect("has all redeliveries before it again, as it has all attempts", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": () =>
            Effect.map(CurrentDelivery, ({ redeliveries }) => {
              seen.push(redeliveries)
            })
        },
        maxRedeliveries: 3
      })
      yield* Fixture.start(consumer.layer)
      const broker = yield* Broker.Broker
      const event = yield* Fixture.place("o-1")
      yield* Fixture.pass(1)
      const message = Fixture.Orders.codec.encode({ ...event, data: Fixture.order("o-1") }, broker.binding)
      yield* broker.publish(Fixture.Orders, {
        ...message,
        headers: { ...message.headers, "integration-redeliveries": 3 }
      })
      yield* Fixture.pass(1)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.strictEqual(letter?.reason, "delivery-limit")
      yield* DeadLetters.replay(consumer, { confirm: true })
      yield* Fixture.pass(1)
      assert.deepStrictEqual(seen, [0, 0])
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(Effect.provide([stores, MemoryBroker.layer]))
  )
})

describe("a delivery that is over", () => {
  it.effect("is not begun with", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: { "com.acme.order.placed": (event) => journal.add(event.data.id) },
        drain: 0
      })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* journal.all, [])
    }).pipe(Effect.provide([stores, over]))
  )
})

describe("no attempt is spent", () => {
  it.effect("by an event whose claim another process holds", () =>
    Effect.gen(function* () {
      const attempts: Array<number> = []
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": () =>
            Effect.map(CurrentDelivery, ({ attempt }) => {
              attempts.push(attempt)
            })
        },
        dedup: { window: "1 day" }
      })
      const { claim } = yield* DedupStore.DedupStore
      yield* claim("billing", identity("o-1"), Duration.seconds(20))
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(21)
      assert.deepStrictEqual(attempts, [1])
    }).pipe(Effect.provide([stores, MemoryBroker.layer]))
  )
})
