import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import {
  type Broker,
  Channel,
  Consumer,
  CurrentDelivery,
  DeadLetters,
  DedupStore,
  MemoryBroker,
  Ordering,
  Parking,
  Publisher
} from "effect-integration/event"
import { TestClock } from "effect/testing"
import * as Fixture from "./orders.ts"

const memory = Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)

const refusing = Effect.gen(function* () {
  const state = { broken: true, attempts: Array<number>() }
  const consumer = Consumer.make("billing", Fixture.Orders, {
    handlers: {
      "com.acme.order.placed": () =>
        Effect.gen(function* () {
          state.attempts.push((yield* CurrentDelivery).attempt)
          if (state.broken) return yield* new Fixture.Refused()
        })
    },
    dedup: { window: "1 day" }
  })
  yield* Fixture.start(consumer.layer)
  return { consumer, state }
})
const idsOf = (letters: ReadonlyArray<DeadLetters.DeadLetter>) => letters.map((each) => each.event?.id)

describe("dead letters", () => {
  it.effect("are listed from the oldest, selected and limited, and stay", () =>
    Effect.gen(function* () {
      const { consumer } = yield* refusing
      assert.isTrue(Option.isNone(yield* DeadLetters.peek(consumer)))
      for (const id of ["o-1", "o-2", "o-3"]) yield* Fixture.place(id)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(idsOf(yield* DeadLetters.list(consumer)), ["o-1", "o-2", "o-3"])
      assert.deepStrictEqual(idsOf(yield* DeadLetters.list(consumer, { limit: 2 })), ["o-1", "o-2"])
      assert.deepStrictEqual(idsOf(yield* DeadLetters.list(consumer, { where: (each) => each.event?.id === "o-3" })), [
        "o-3"
      ])
      assert.strictEqual(Option.getOrThrow(yield* DeadLetters.peek(consumer)).event?.id, "o-1")
      assert.strictEqual(yield* DeadLetters.count(consumer), 3)
    }).pipe(Effect.provide(memory))
  )

  it.effect("are replayed only when confirmed, with all attempts before them", () =>
    Effect.gen(function* () {
      const { consumer, state } = yield* refusing
      for (const id of ["o-1", "o-2"]) yield* Fixture.place(id)
      yield* TestClock.adjust(1)
      state.broken = false
      const plan = yield* DeadLetters.replay(consumer, {})
      yield* TestClock.adjust(1)
      assert.deepStrictEqual([plan.confirmed, idsOf(plan.letters), idsOf(plan.processed)], [false, ["o-1", "o-2"], []])
      assert.strictEqual(yield* DeadLetters.count(consumer), 2)
      const done = yield* DeadLetters.replay(consumer, { where: (each) => each.event?.id === "o-1", confirm: true })
      yield* TestClock.adjust(1)
      assert.deepStrictEqual([done.confirmed, idsOf(done.letters)], [true, ["o-1"]])
      assert.deepStrictEqual(idsOf(yield* DeadLetters.list(consumer)), ["o-2"])
      assert.deepStrictEqual(state.attempts, [1, 1, 1])
    }).pipe(Effect.provide(memory))
  )

  it.effect("that were processed meanwhile are told apart, and stay", () =>
    Effect.gen(function* () {
      const { consumer, state } = yield* refusing
      for (const id of ["o-1", "o-2"]) yield* Fixture.place(id)
      yield* TestClock.adjust(1)
      state.broken = false
      yield* Fixture.place("o-1")
      yield* TestClock.adjust(1)
      const done = yield* DeadLetters.replay(consumer, { confirm: true })
      assert.deepStrictEqual([idsOf(done.letters), idsOf(done.processed)], [["o-2"], ["o-1"]])
      assert.deepStrictEqual(idsOf(yield* DeadLetters.list(consumer)), ["o-1"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("are purged where they are selected", () =>
    Effect.gen(function* () {
      const { consumer } = yield* refusing
      for (const id of ["o-1", "o-2"]) yield* Fixture.place(id)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(idsOf(yield* DeadLetters.purge(consumer, { where: (each) => each.event?.id === "o-1" })), [
        "o-1"
      ])
      assert.deepStrictEqual(idsOf(yield* DeadLetters.list(consumer)), ["o-2"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("of the broker's own making say why", () =>
    Effect.gen(function* () {
      const channel = Channel.make("short", [Fixture.OrderPlaced], { retention: "1 minute", consumers: ["billing"] })
      const consumer = Consumer.make("billing", channel, { handlers: { "com.acme.order.placed": () => Effect.void } })
      yield* Publisher.publish(channel, Fixture.OrderPlaced, Fixture.order("o-1"), { id: "o-1" })
      yield* TestClock.adjust("61 seconds")
      const [letter] = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual([letter?.reason, letter?.event?.id, letter?.attempts], ["expired", "o-1", 0])
      yield* Fixture.start(consumer.layer)
      yield* DeadLetters.replay(consumer, { confirm: true })
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(Effect.provide(memory))
  )

  it.effect("are forgotten when they are too old", () =>
    Effect.gen(function* () {
      const channel = Channel.make("forgetful", [Fixture.OrderPlaced], { deadLetters: { maxAge: "1 hour" } })
      const consumer = Consumer.make("billing", channel, {
        handlers: { "com.acme.order.placed": () => Effect.fail(new Fixture.Refused()) }
      })
      yield* Fixture.start(consumer.layer)
      yield* Publisher.publish(channel, Fixture.OrderPlaced, Fixture.order("o-1"))
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual(yield* DeadLetters.count(consumer), 1)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(Effect.provide(memory))
  )

  for (const mode of ["claimed", "transactional", "none"] as const) {
    it.effect(`that later events of their key have overtaken are told in the dry run (dedup ${mode})`, () =>
      Effect.gen(function* () {
        const channel = Channel.make("keyed", [Fixture.OrderPlaced], { ordering: Ordering.strict("tenant") })
        const handlers = {
          "com.acme.order.placed": (event: { readonly id: string }) =>
            event.id === "a-2" ? Effect.void : Effect.fail(new Fixture.Refused())
        }
        const consumer = Consumer.make("billing", channel, {
          handlers,
          dedup: mode === "none" ? undefined : { window: "1 day", mode }
        }) as Consumer.Consumer<"billing", never, Broker.Broker | DedupStore.DedupStore | Parking.Parking>
        yield* Fixture.start(consumer.layer)
        const place = (id: string) =>
          Publisher.publish(channel, Fixture.OrderPlaced, Fixture.order(id, id.slice(0, 1)), { id })
        yield* place("a-1")
        yield* place("b-1")
        yield* TestClock.adjust("1 second")
        yield* place("a-2")
        yield* TestClock.adjust("1 second")
        const plan = yield* DeadLetters.replay(consumer, {})
        assert.deepStrictEqual(idsOf(plan.letters), ["a-1", "b-1"])
        assert.deepStrictEqual(idsOf(plan.breaksOrder), ["a-1"])
        yield* TestClock.adjust("1 minute")
        const later = yield* DeadLetters.replay(consumer, {})
        assert.deepStrictEqual(idsOf(later.breaksOrder), ["a-1"])
      }).pipe(Effect.provide(memory))
    )
  }
})
