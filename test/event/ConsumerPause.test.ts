import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { type Broker, Consumer, Consumers, DeadLetters, DedupStore, MemoryBroker } from "effect-integration/event"
import * as Fixture from "./orders.ts"

const seconds = Effect.map(Clock.currentTimeMillis, (millis) => millis / 1000)

type Handle = Consumer.Handler<{ readonly id: string; readonly data: Fixture.Order }>
const billing = (handle: Handle, options?: Consumer.Options) =>
  Consumer.make("billing", Fixture.Orders, {
    handlers: { "com.acme.order.placed": handle as Consumer.Handler<any> },
    ...options
  })

/** A broker that tells what was settled how, and when. */
const told = (settlements: Array<readonly [how: Broker.Settlement["_tag"], second: number]>) =>
  Fixture.broker((real) => ({
    subscribe: (subscription) =>
      Effect.flatMap(real.subscribe(subscription), (queue) =>
        Fixture.mapped(queue, (delivery) => ({
          ...delivery,
          settle: (settlement) =>
            Effect.andThen(
              Effect.map(seconds, (second) => settlements.push([settlement._tag, second])),
              delivery.settle(settlement)
            )
        }))
      )
  }))

describe("a message that an outage holds", () => {
  it.effect("is held for as long as `hold`, counted from when it came, however often it was the probe", () => {
    const settlements: Array<readonly [how: Broker.Settlement["_tag"], second: number]> = []
    return Effect.gen(function* () {
      yield* Fixture.start(billing(() => Effect.fail(new Fixture.Down()), { hold: "1 minute" }).layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(59)
      assert.deepStrictEqual(settlements, [])
      yield* Fixture.pass(122)
      assert.deepStrictEqual(settlements, [
        ["Retry", 60],
        ["Retry", 120],
        ["Retry", 180]
      ])
    }).pipe(Effect.provide([told(settlements), DedupStore.layerMemory]))
  })
})

describe("an outage", () => {
  it.effect("after another begins with the shortest pause again", () =>
    Effect.gen(function* () {
      const tries: Array<number> = []
      let down = true
      const consumer = billing(() =>
        Effect.gen(function* () {
          tries.push(yield* seconds)
          if (down) return yield* new Fixture.Down()
        })
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(10)
      down = false
      yield* Fixture.pass(20)
      assert.deepStrictEqual(tries.splice(0), [0, 1, 3, 7, 15])
      down = true
      yield* Fixture.place("o-2")
      yield* Fixture.pass(4)
      assert.deepStrictEqual(tries, [30, 31, 33])
    }).pipe(Effect.provide([MemoryBroker.layer, DedupStore.layerMemory]))
  )

  it.effect("is over when its probe is refused for good", () =>
    Effect.gen(function* () {
      let tries = 0
      const consumer = billing(() =>
        Effect.suspend(() => Effect.fail(++tries === 1 ? new Fixture.Down() : new Fixture.Refused()))
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(2)
      const [status] = yield* Consumers.all
      assert.deepStrictEqual([tries, status?.state, yield* DeadLetters.count(consumer)], [2, "running", 1])
    }).pipe(Effect.provide([MemoryBroker.layer, DedupStore.layerMemory]))
  )

  it.effect("is over when its probe is done already", () =>
    Effect.gen(function* () {
      let tries = 0
      const consumer = billing(() =>
        Effect.suspend(() => Effect.fail(++tries === 1 ? new Fixture.Down() : new Fixture.AlreadyDone()))
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(2)
      const [status] = yield* Consumers.all
      assert.deepStrictEqual([tries, status?.state, yield* DeadLetters.count(consumer)], [2, "running", 0])
    }).pipe(Effect.provide([MemoryBroker.layer, DedupStore.layerMemory]))
  )

  it.effect("whose probe tells nothing lets the next one try", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      let tries = 0
      const consumer = billing((event) =>
        Effect.suspend(() => {
          tries++
          if (tries === 1) return Effect.fail(new Fixture.Down())
          return tries === 2 ? Effect.die(new Error("a bug")) : journal.add(event.data.id)
        })
      )
      yield* Fixture.start(consumer.layer)
      for (const id of ["o-1", "o-2", "o-3"]) {
        yield* Fixture.place(id)
        yield* Fixture.pass(0.25)
      }
      yield* Fixture.pass(5)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual([letter?.event?.id, letter?.reason], ["o-1", "defect"])
      assert.deepStrictEqual((yield* journal.all).toSorted(), ["o-2", "o-3"])
      assert.deepStrictEqual(
        (yield* Consumers.all).map(({ state }) => state),
        ["running"]
      )
    }).pipe(Effect.provide([MemoryBroker.layer, DedupStore.layerMemory]))
  )
})
