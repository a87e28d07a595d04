import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Metric, Option } from "effect"
import {
  Broker,
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
import { RetryPolicy } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import { counts } from "../policy/observe.ts"
import * as Fixture from "./orders.ts"

const memory = Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)
const retry = RetryPolicy.make({ delays: ["1 second", "10 seconds"] })
const identity = (id: string) => ({ source: "https://acme.com/orders", id })
const isProcessed = (id: string) =>
  Effect.map(
    DedupStore.DedupStore.use((store) => store.processed("billing", [identity(id)])),
    ([done]) => done
  )

const completing = (isDown: () => boolean) =>
  Fixture.store((real) => ({
    complete: (...args) => Effect.suspend(() => (isDown() ? Effect.fail(Fixture.storeDown) : real.complete(...args)))
  }))

type Handle = (event: { readonly id: string; readonly data: Fixture.Order }) => Effect.Effect<unknown, any, any>
const billing = (handle: Handle, options?: Consumer.Options & { readonly dedup?: Consumer.Dedup }) =>
  Consumer.make("billing", Fixture.Orders, {
    handlers: { "com.acme.order.placed": handle },
    retry,
    dedup: { window: "1 day" },
    ...options
  }) as Consumer.Consumer<"billing", any, Broker.Broker | DedupStore.DedupStore>

describe.each(["claimed", "transactional"] as const)("dedup %s", (mode) => {
  const dedup = { window: "1 day", mode } as const

  it.effect("skips a duplicate, also one that comes while the first is handled", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing((event) => Effect.andThen(Effect.sleep("5 seconds"), journal.add(event.data.id)), {
        dedup
      })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.place("o-1")
      yield* Fixture.pass(60)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(60)
      assert.deepStrictEqual(yield* journal.all, ["o-1"])
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
      const { "deliveries_total{done}": done, "deliveries_total{duplicate}": duplicates } = yield* counts("billing")
      assert.strictEqual(done, 1)
      assert.isAtLeast(duplicates ?? 0, 1)
    }).pipe(Effect.provide(memory), Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("marks nothing before the handler has succeeded, and lets a failure be tried again", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing(
        () =>
          Effect.gen(function* () {
            const before = yield* journal.all
            yield* journal.add(`processed: ${yield* isProcessed("o-1")}`)
            if (before.length === 0) return yield* new Fixture.Overloaded()
          }),
        { dedup }
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* isProcessed("o-1"), false)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* journal.all, ["processed: false", "processed: false"])
      assert.strictEqual(yield* isProcessed("o-1"), true)
    }).pipe(Effect.provide(memory))
  )

  it.effect("a store that is down keeps the message, spends no attempt, and runs no handler", () => {
    let down = true
    const orDown = <A, E, R>(real: Effect.Effect<A, E, R>) =>
      Effect.suspend((): Effect.Effect<A, E | DedupStore.DedupStoreError, R> =>
        down ? Effect.fail(Fixture.storeDown) : real
      )
    return Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing((event) => journal.add(event.data.id), {
        dedup,
        retry: RetryPolicy.make({ delays: [] })
      })
      yield* Fixture.start(consumer.layer)
      for (const id of ["o-1", "o-2", "o-3"]) yield* Fixture.place(id)
      yield* Fixture.pass(600, 1000)
      assert.deepStrictEqual(yield* journal.all, [])
      down = false
      yield* Fixture.pass(31)
      assert.deepStrictEqual((yield* journal.all).toSorted(), ["o-1", "o-2", "o-3"])
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        Fixture.store((real) => ({
          claim: (...args) => orDown(real.claim(...args)),
          transaction: (...args) => orDown(real.transaction(...args))
        }))
      ])
    )
  })

  it.effect.each(["throws", "dies"] as const)("a store that %s fails its message, and not its consumer", (how) => {
    let broken = true
    const orBroken = <A, E, R>(real: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
      const bug = new Error("a bug of the store")
      if (!broken) return real()
      if (how === "throws") throw bug
      return Effect.die(bug)
    }
    return Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing((event) => journal.add(event.data.id), { dedup })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust(1)
      broken = false
      yield* Fixture.place("o-2")
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* journal.all, ["o-2"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* journal.all, ["o-2", "o-1"])
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        Fixture.store((real) => ({
          claim: (...args) => orBroken(() => real.claim(...args)),
          transaction: (...args) => orBroken(() => real.transaction(...args))
        }))
      ])
    )
  })

  it.effect("forgets what is older than the window", () =>
    Effect.gen(function* () {
      const consumer = billing(() => Effect.void, { dedup: { window: "10 minutes", mode } })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("9 minutes")
      assert.strictEqual(yield* isProcessed("o-1"), true)
      yield* TestClock.adjust("70 seconds")
      assert.strictEqual(yield* isProcessed("o-1"), false)
    }).pipe(Effect.provide(memory))
  )
})

describe("claims", () => {
  it.effect("that were taken over while the event was handled: it is said which may be handled twice", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel === "Warn") lines.push(String(message))
    })
    return Effect.gen(function* () {
      const consumer = billing(() => Effect.void)
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust(1)
      assert.lengthOf(lines, 1)
      assert.match(lines[0]!, /^billing: event o-1 of .* was handled, but its claim had been taken over/)
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        Logger.layer([logger]),
        Fixture.store(() => ({ complete: () => Effect.succeed(false) }))
      ])
    )
  })

  it.effect("give the handler their token, where no lease of a key has one", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const handle = () => Effect.flatMap(CurrentDelivery, (delivery) => journal.add(String(delivery.fencingToken)))
      const strict = Channel.make("fenced", [Fixture.OrderPlaced], { ordering: Ordering.strict("tenant") })
      yield* Fixture.start(billing(handle).layer)
      yield* Fixture.start(
        Consumer.make("fenced", strict, {
          handlers: { "com.acme.order.placed": handle },
          dedup: { window: "1 day" }
        }).layer
      )
      yield* Fixture.place("o-1")
      yield* Publisher.publish(strict, Fixture.OrderPlaced, Fixture.order("o-2"))
      yield* TestClock.adjust(1)
      const [claim, lease] = (yield* journal.all).map(Number)
      assert.isAbove(claim!, 1_000_000)
      assert.isAtLeast(lease!, 1)
      assert.isBelow(lease!, 1_000_000)
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        Parking.layerMemory,
        Fixture.store((real) => ({
          claim: (...args) =>
            Effect.map(real.claim(...args), (claim) =>
              claim._tag === "Claimed" ? { ...claim, token: claim.token + 1_000_000 } : claim
            ),
          complete: (group, event, token) => real.complete(group, event, token - 1_000_000)
        }))
      ])
    )
  )

  it.effect(
    "a store that throws when an event is to be marked: its message is tried again, and found to be claimed",
    () => {
      let throwing = true
      return Effect.gen(function* () {
        const journal = yield* Fixture.journal
        const consumer = billing((event) => journal.add(event.data.id), { lease: "3 seconds" })
        yield* Fixture.start(consumer.layer)
        yield* Fixture.place("o-1")
        yield* TestClock.adjust(1)
        throwing = false
        yield* Fixture.place("o-2")
        yield* Fixture.pass(30)
        assert.include(yield* journal.all, "o-2")
        assert.strictEqual(yield* isProcessed("o-1"), true)
        assert.strictEqual(yield* DeadLetters.count(consumer), 0)
      }).pipe(
        Effect.provide([
          MemoryBroker.layer,
          Fixture.store((real) => ({
            complete: (...args) => {
              if (throwing) throw new Error("a bug of the store")
              return real.complete(...args)
            }
          }))
        ])
      )
    }
  )

  it.effect("held elsewhere: it is tried later, and no attempt is spent", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing((event) => journal.add(event.data.id), { retry: RetryPolicy.make({ delays: [] }) })
      const { claim } = yield* DedupStore.DedupStore
      const elsewhere = yield* claim("billing", identity("o-1"), Duration.seconds(20))
      assert.strictEqual(elsewhere._tag, "Claimed")
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("19 seconds")
      assert.deepStrictEqual(yield* journal.all, [])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* journal.all, ["o-1"])
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(Effect.provide(memory))
  )

  it.effect("are renewed while a handler takes longer than the lease", () =>
    Effect.gen(function* () {
      const consumer = billing(() => Effect.sleep("25 seconds"), { lease: "3 seconds" })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      for (let second = 0; second < 24; second++) {
        yield* TestClock.adjust("1 second")
        const other = yield* DedupStore.DedupStore.use((store) =>
          store.claim("billing", identity("o-1"), Duration.seconds(1))
        )
        assert.strictEqual(other._tag, "Running")
      }
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* isProcessed("o-1"), true)
    }).pipe(Effect.provide(memory))
  )

  it.effect("that were taken over stop the handler, and the message is delivered again", () => {
    let lost = false
    return Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing(
        () =>
          Effect.onInterrupt(Effect.andThen(Effect.sleep("10 seconds"), journal.add("done")), () =>
            journal.add("stopped")
          ),
        { lease: "3 seconds" }
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("1 second")
      lost = true
      while ((yield* journal.all).length === 0) yield* TestClock.adjust("100 millis")
      lost = false
      assert.deepStrictEqual(yield* journal.all, ["stopped"])
      yield* Fixture.pass(30)
      assert.deepStrictEqual(yield* journal.all, ["stopped", "done"])
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        Fixture.store((real) => ({ renew: (...args) => (lost ? Effect.succeed(false) : real.renew(...args)) }))
      ])
    )
  })

  it.effect.each([0, 3])("that cannot be completed: the handler, which takes %i s, is not run again", (seconds) => {
    let down = true
    return Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const takes = seconds === 0 ? Effect.void : Effect.sleep(Duration.seconds(seconds))
      const consumer = billing((event) => Effect.andThen(takes, journal.add(event.data.id)))
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(20)
      down = false
      yield* Fixture.pass(60)
      assert.deepStrictEqual(yield* journal.all, ["o-1"])
      assert.strictEqual(yield* isProcessed("o-1"), true)
    }).pipe(Effect.provide([MemoryBroker.layer, completing(() => down)]))
  })

  it.effect("that could not be completed for longer than the lease: a duplicate ran the handler again", () => {
    let down = true
    return Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing((event) => journal.add(event.data.id))
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.place("o-1")
      yield* Fixture.pass(90)
      down = false
      yield* Fixture.pass(90)
      assert.deepStrictEqual(yield* journal.all, ["o-1"])
    }).pipe(Effect.provide([MemoryBroker.layer, completing(() => down)]))
  })

  it.effect("that fail for one event while others are handled: the event was a dead letter and never handled", () => {
    let failures = 5
    return Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: { "com.acme.order.placed": (event) => journal.add(event.data.id) },
        dedup: { window: "1 day" }
      })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      for (let index = 2; index < 40; index++) {
        yield* Fixture.place(`o-${index}`)
        yield* TestClock.adjust("1 second")
      }
      yield* Fixture.pass(60)
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
      assert.include(yield* journal.all, "o-1")
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        Fixture.store((real) => ({
          claim: (group, event, lease) =>
            Effect.suspend(() =>
              event.id === "o-1" && failures-- > 0 ? Effect.fail(Fixture.storeDown) : real.claim(group, event, lease)
            )
        }))
      ])
    )
  })

  it.effect("a handler whose claim cannot be renewed is stopped when the claim is over", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing(
        () =>
          Effect.onInterrupt(Effect.andThen(Effect.sleep("20 seconds"), journal.add("done")), () =>
            journal.add("stopped")
          ),
        { lease: "3 seconds", drain: 0 }
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(5)
      assert.deepStrictEqual(yield* journal.all, ["stopped"])
    }).pipe(
      Effect.provide([MemoryBroker.layer, Fixture.store(() => ({ renew: () => Effect.fail(Fixture.storeDown) }))])
    )
  )

  it.effect("a late settlement after success does not handle the event again", () => {
    let late = true
    return Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing((event) => journal.add(event.data.id))
      const first = yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("1 second")
      late = false
      yield* Effect.forkChild(first.stop)
      yield* TestClock.adjust("31 seconds")
      yield* Fixture.start(consumer.layer)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* journal.all, ["o-1"])
      const depth = yield* Broker.Broker.use((broker) => broker.depth({ channel: Fixture.Orders, group: "billing" }))
      assert.strictEqual(depth.ready, 0)
    }).pipe(
      Effect.provide([
        DedupStore.layerMemory,
        Fixture.broker((real) => ({
          subscribe: (subscription) =>
            Effect.flatMap(real.subscribe(subscription), (queue) =>
              Fixture.mapped(queue, (delivery) => ({
                ...delivery,
                settle: (settlement) => (late ? Effect.succeed("late" as const) : delivery.settle(settlement))
              }))
            )
        }))
      ])
    )
  })
})

describe("a transaction", () => {
  it.effect("of a handler that fails marks nothing; skip is acknowledged", () =>
    Effect.gen(function* () {
      const consumer = billing(
        (event) => Effect.fail(event.id === "o-1" ? new Fixture.Refused() : new Fixture.AlreadyDone()),
        {
          dedup: { window: "1 day", mode: "transactional" }
        }
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.place("o-2")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* isProcessed("o-1"), false)
      const letter = yield* DeadLetters.peek(consumer)
      assert.strictEqual(Option.getOrThrow(letter).event?.id, "o-1")
      assert.strictEqual(yield* DeadLetters.count(consumer), 1)
    }).pipe(Effect.provide(memory))
  )
})
