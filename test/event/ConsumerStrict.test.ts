import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import {
  Broker,
  Channel,
  Consumer,
  Consumers,
  DeadLetters,
  DedupStore,
  MemoryBroker,
  Ordering,
  Parking,
  Publisher
} from "effect-integration/event"
import { ErrorAction, RetryPolicy } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import * as Fixture from "./orders.ts"

const memory = Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)
const retry = RetryPolicy.make({ delays: ["1 second", "10 seconds"] })
const dedup = { window: "1 day" } as const
const group = "ordered/billing"

const Halting = Channel.make("halting", [Fixture.OrderPlaced], {
  ordering: Ordering.strict("tenant", { exhausted: "halt" }),
  consumers: ["billing"]
})

type Handle = Consumer.Handler<{ readonly id: string; readonly data: Fixture.Order }>

const billing = (
  handle: Handle,
  options?: Omit<Consumer.Options, "retry"> & { readonly retry?: RetryPolicy.RetryPolicy }
) =>
  Consumer.make("billing", Fixture.Ordered, {
    handlers: { "com.acme.order.placed": handle as Consumer.Handler<any> },
    retry,
    dedup,
    ...options
  })

describe("order per key", () => {
  it.effect("when a process ended, what it had in hand came after later events in the next process", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing((event) =>
        Effect.andThen(Effect.sleep(event.data.id === "a-1" ? "5 seconds" : "10 millis"), journal.add(event.data.id))
      )
      const first = yield* Fixture.start(consumer.layer)
      yield* Fixture.start(consumer.layer)
      yield* Fixture.placeOrdered("a-1", "a")
      yield* Fixture.placeOrdered("a-2", "a")
      yield* TestClock.adjust("1 second")
      const stopping = yield* Effect.forkChild(first.stop)
      yield* TestClock.adjust("1 second")
      yield* Fixture.placeOrdered("a-3", "a")
      yield* Fixture.pass(30)
      assert.isDefined(stopping.pollUnsafe())
      assert.deepStrictEqual(yield* journal.all, ["a-1", "a-2", "a-3"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("when a message could not be parked, it went back behind its successors", () => {
    let down = true
    return Effect.gen(function* () {
      const journal = yield* Fixture.journal
      let failures = 1
      const consumer = billing((event) =>
        Effect.suspend(() =>
          event.data.id === "a-1" && failures-- > 0 ? Effect.fail(new Fixture.Overloaded()) : journal.add(event.data.id)
        )
      )
      for (const id of ["a-1", "a-2", "a-3"]) yield* Fixture.placeOrdered(id, "a")
      yield* Fixture.start(consumer.layer)
      yield* Fixture.pass(2)
      down = false
      yield* Fixture.pass(60)
      assert.deepStrictEqual(yield* journal.all, ["a-1", "a-2", "a-3"])
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        DedupStore.layerMemory,
        Fixture.parking((real) => ({
          park: (...args) => Effect.suspend(() => (down ? Effect.fail(Fixture.parkingDown) : real.park(...args)))
        }))
      ])
    )
  })

  it.effect("when the lease was lost, the message went back behind its successors", () => {
    let taken = false
    return Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing((event) => Effect.andThen(Effect.sleep("4 seconds"), journal.add(event.data.id)), {
        lease: "3 seconds"
      })
      yield* Fixture.start(consumer.layer)
      for (const id of ["a-1", "a-2", "a-3"]) yield* Fixture.placeOrdered(id, "a")
      yield* TestClock.adjust("1500 millis")
      taken = true
      yield* Fixture.pass(2)
      taken = false
      yield* Fixture.pass(60)
      assert.deepStrictEqual(yield* journal.all, ["a-1", "a-2", "a-3"])
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        DedupStore.layerMemory,
        Fixture.parking((real) => ({
          renew: (leases, lease) => (taken ? Effect.succeed(leases) : real.renew(leases, lease))
        }))
      ])
    )
  })

  it.effect("when a process drained for longer than its lease, another handled the key at the same time", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing(
        (event) =>
          Effect.gen(function* () {
            yield* journal.add(`begin ${event.data.id}`)
            yield* Effect.sleep(event.data.id === "a-1" ? "20 seconds" : "10 millis")
            yield* journal.add(`end ${event.data.id}`)
          }),
        { lease: "3 seconds" }
      )
      const first = yield* Fixture.start(consumer.layer)
      yield* Fixture.start(consumer.layer)
      yield* Fixture.placeOrdered("a-1", "a")
      yield* TestClock.adjust("1 second")
      yield* Effect.forkChild(first.stop)
      yield* TestClock.adjust("1 second")
      yield* Fixture.placeOrdered("a-2", "a")
      yield* Fixture.pass(60)
      assert.deepStrictEqual(yield* journal.all, ["begin a-1", "end a-1", "begin a-2", "end a-2"])
    }).pipe(Effect.provide(memory))
  )

  it.effect(
    "a parked message of a process that drained for longer than its lease was handled by another at the same time",
    () =>
      Effect.gen(function* () {
        const journal = yield* Fixture.journal
        let failures = 1
        const consumer = billing(
          (event) =>
            Effect.gen(function* () {
              if (failures-- > 0) return yield* new Fixture.Overloaded()
              yield* journal.add(`begin ${event.data.id}`)
              yield* Effect.sleep("20 seconds")
              yield* journal.add(`end ${event.data.id}`)
            }),
          { lease: "3 seconds" }
        )
        const first = yield* Fixture.start(consumer.layer)
        yield* Fixture.placeOrdered("a-1", "a")
        yield* Fixture.pass(2)
        yield* Fixture.start(consumer.layer)
        yield* Effect.forkChild(first.stop)
        yield* Fixture.pass(60)
        assert.deepStrictEqual(yield* journal.all, ["begin a-1", "end a-1"])
      }).pipe(Effect.provide(memory))
  )

  it.effect("a handler whose lease cannot be renewed is stopped when the lease is over", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing(
        (event) =>
          Effect.onInterrupt(Effect.andThen(Effect.sleep("20 seconds"), journal.add("done")), () =>
            journal.add(`stopped ${event.data.id}`)
          ),
        { lease: "3 seconds", drain: 0 }
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.placeOrdered("a-1", "a")
      yield* Fixture.pass(5)
      assert.deepStrictEqual(yield* journal.all, ["stopped a-1"])
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        DedupStore.layerMemory,
        Fixture.parking(() => ({ renew: () => Effect.fail(Fixture.parkingDown) }))
      ])
    )
  )
})

describe("a store of parked messages that was down", () => {
  it.effect("for half a second paused the consumer for many minutes", () => {
    let down = true
    return Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing((event) => journal.add(event.data.id))
      for (let key = 0; key < 20; key++) yield* Fixture.placeOrdered(`o-${key}`, `t-${key}`)
      yield* Fixture.start(consumer.layer)
      yield* TestClock.adjust("500 millis")
      down = false
      yield* Fixture.pass(60)
      assert.strictEqual((yield* journal.all).length, 20)
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        DedupStore.layerMemory,
        Fixture.parking((real) => ({
          acquire: (...args) => Effect.suspend(() => (down ? Effect.fail(Fixture.parkingDown) : real.acquire(...args)))
        }))
      ])
    )
  })

  it.effect("once, with no message in hand, was never looked at again", () => {
    let down = true
    return Effect.gen(function* () {
      const consumer = billing(() => Effect.void)
      yield* Fixture.start(consumer.layer)
      yield* TestClock.adjust("1500 millis")
      down = false
      yield* Fixture.pass(120)
      const [status] = yield* Consumers.all
      assert.strictEqual(status?.state, "running")
    }).pipe(
      Effect.provide([
        MemoryBroker.layer,
        DedupStore.layerMemory,
        Fixture.parking((real) => ({
          due: (...args) => Effect.suspend(() => (down ? Effect.fail(Fixture.parkingDown) : real.due(...args)))
        }))
      ])
    )
  })

  it.effect("after an outage whose probe was parked: the parked message was never tried again", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      let tries = 0
      const consumer = billing(
        (event) =>
          Effect.suspend(() => {
            tries++
            if (tries === 1) return Effect.fail(new Fixture.Down())
            if (tries === 2) return Effect.die(new Error("a bug"))
            return journal.add(event.data.id)
          }),
        { retry: RetryPolicy.make({ delays: ["1 minute"] }) }
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.placeOrdered("a-1", "a")
      yield* Fixture.pass(600)
      assert.deepStrictEqual(yield* journal.all, ["a-1"])
    }).pipe(Effect.provide(memory))
  )
})

const identity = (id: string) => ({ source: "https://acme.com/orders", id })

describe("a key", () => {
  it.effect("waits behind a parked message, while other keys go on, and is dead-lettered and goes on", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = billing((event) =>
        event.data.id === "a-1" ? Effect.fail(new Fixture.Overloaded()) : journal.add(event.data.id)
      )
      yield* Fixture.start(consumer.layer)
      for (const id of ["a-1", "a-2", "b-1", "a-3", "b-2"]) yield* Fixture.placeOrdered(id, id.slice(0, 1))
      yield* Fixture.pass(10)
      assert.deepStrictEqual((yield* journal.all).toSorted(), ["b-1", "b-2"])
      const keys = yield* Parking.Parking.use((parking) => parking.keys(group, 10))
      assert.deepStrictEqual(keys, [{ key: "a", parked: 3, halted: undefined }])
      yield* Fixture.pass(3)
      assert.deepStrictEqual(Fixture.ids(yield* journal.all, "a"), ["a-2", "a-3"])
      const [letter] = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual([letter?.event?.id, letter?.reason, letter?.attempts], ["a-1", "exhausted", 3])
      assert.deepStrictEqual(yield* Parking.Parking.use((parking) => parking.keys(group, 10)), [])
    }).pipe(Effect.provide(memory))
  )

  const halting = (handle: Handle, retries?: RetryPolicy.RetryPolicy) =>
    Consumer.make("billing", Halting, {
      handlers: { "com.acme.order.placed": handle as Consumer.Handler<any> },
      ...(retries === undefined ? undefined : { retry: retries }),
      dedup
    })
  const placeHalting = (id: string) =>
    Publisher.publish(Halting, Fixture.OrderPlaced, Fixture.order(id, id.slice(0, 1)), { id })
  const resume = Parking.Parking.use((parking) => parking.resume("halting/billing", "a"))

  it.effect("is halted, and goes on in order when it is resumed", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      let broken = true
      const consumer = halting(
        (event) =>
          Effect.suspend(() =>
            broken && event.data.id === "a-1" ? Effect.fail(new Fixture.Overloaded()) : journal.add(event.data.id)
          ),
        retry
      )
      yield* Fixture.start(consumer.layer)
      for (const id of ["a-1", "a-2", "b-1"]) yield* placeHalting(id)
      yield* Fixture.pass(300, 1000)
      yield* placeHalting("a-3")
      yield* Fixture.pass(60, 1000)
      assert.deepStrictEqual(yield* journal.all, ["b-1"])
      const [halted] = yield* Parking.Parking.use((parking) => parking.keys("halting/billing", 10))
      assert.strictEqual(halted?.parked, 3)
      assert.include(halted?.halted, "exhausted: Overloaded")
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
      broken = false
      assert.isTrue(yield* resume)
      yield* Fixture.pass(60, 1000)
      assert.deepStrictEqual(yield* journal.all, ["b-1", "a-1", "a-2", "a-3"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("that was resumed ten times in vain was taken for one that kills its process", () =>
    Effect.gen(function* () {
      let tries = 0
      const consumer = halting(() => Effect.suspend(() => (tries++, Effect.fail(new Fixture.Refused()))))
      yield* Fixture.start(consumer.layer)
      yield* placeHalting("a-1")
      for (let time = 0; time < 14; time++) {
        yield* Fixture.pass(40, 1000)
        yield* resume
      }
      yield* Fixture.pass(40, 1000)
      assert.strictEqual(tries, 15)
    }).pipe(Effect.provide(memory))
  )

  it.effect("that is halted alerts nobody where the error does not say so", () => {
    const notices: Array<string> = []
    return Effect.gen(function* () {
      const consumer = halting(() => Effect.fail(new Fixture.Overloaded()))
      yield* Fixture.start(consumer.layer)
      yield* placeHalting("a-1")
      yield* Fixture.pass(5)
      assert.deepStrictEqual(notices, ["alert"])
    }).pipe(
      Effect.provideService(ErrorAction.AlertHook, (notice) => Effect.sync(() => notices.push(notice.kind))),
      Effect.provide(memory)
    )
  })

  it.effect("held by another owner is waited for", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const { acquire, renew } = yield* Parking.Parking
      const held = yield* acquire(group, "a", "another", Duration.seconds(5))
      assert.strictEqual(held._tag, "Acquired")
      yield* Fixture.start(billing((event) => journal.add(event.data.id)).layer)
      for (const id of ["a-1", "b-1", "a-2"]) yield* Fixture.placeOrdered(id, id.slice(0, 1))
      yield* Fixture.pass(4)
      if (held._tag === "Acquired") yield* renew([held.lease], Duration.seconds(5))
      yield* Fixture.pass(4)
      assert.deepStrictEqual(yield* journal.all, ["b-1"])
      yield* Fixture.pass(2)
      assert.deepStrictEqual(yield* journal.all, ["b-1", "a-1", "a-2"])
    }).pipe(Effect.provide(memory))
  )

  it.effect(
    "whose lease was taken by another while it was handled: the handler is stopped, and it is handled again",
    () => {
      let taken = false
      return Effect.gen(function* () {
        const journal = yield* Fixture.journal
        const consumer = billing(
          (event) =>
            Effect.onInterrupt(Effect.andThen(Effect.sleep("4 seconds"), journal.add(event.data.id)), () =>
              journal.add("stopped")
            ),
          { lease: "3 seconds" }
        )
        yield* Fixture.start(consumer.layer)
        yield* Fixture.placeOrdered("a-1", "a")
        yield* TestClock.adjust("1500 millis")
        taken = true
        yield* TestClock.adjust("1 second")
        taken = false
        assert.deepStrictEqual(yield* journal.all, ["stopped"])
        yield* Fixture.pass(30)
        assert.deepStrictEqual(yield* journal.all, ["stopped", "a-1"])
      }).pipe(
        Effect.provide([
          MemoryBroker.layer,
          DedupStore.layerMemory,
          Fixture.parking((real) => ({
            renew: (leases, lease) => (taken ? Effect.succeed(leases) : real.renew(leases, lease))
          }))
        ])
      )
    }
  )

  it.effect("that a process has parked is worked off by the next process", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      let broken = true
      const consumer = billing((event) =>
        Effect.suspend(() =>
          broken && event.data.id === "a-1" ? Effect.fail(new Fixture.Overloaded()) : journal.add(event.data.id)
        )
      )
      const first = yield* Fixture.start(consumer.layer)
      for (const id of ["a-1", "a-2"]) yield* Fixture.placeOrdered(id, "a")
      yield* TestClock.adjust("500 millis")
      yield* first.stop
      broken = false
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* journal.all, [])
      yield* Fixture.start(consumer.layer)
      yield* Fixture.placeOrdered("a-3", "a")
      yield* Fixture.pass(5)
      assert.deepStrictEqual(yield* journal.all, ["a-1", "a-2", "a-3"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("whose parked message kills its process every time goes on without it", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const parking = yield* Parking.Parking
      const broker = yield* Broker.Broker
      const held = yield* parking.acquire(group, "a", "dead", Duration.seconds(1))
      if (held._tag !== "Acquired") return assert.fail("not acquired")
      for (const [id, starts] of [
        ["a-1", 10],
        ["a-2", 9]
      ] as const) {
        const event = {
          specversion: "1.0" as const,
          ...identity(id),
          type: "com.acme.order.placed",
          datacontenttype: "application/json",
          extensions: { partitionkey: "a" },
          data: Fixture.order(id, "a")
        }
        const message = Fixture.Ordered.codec.encode(event, broker.binding)
        yield* parking.park(
          held.lease,
          identity(id),
          { ...message, headers: { ...message.headers, "integration-redeliveries": starts } },
          Duration.zero
        )
      }
      const consumer = billing((event) => journal.add(event.data.id))
      yield* Fixture.start(consumer.layer)
      yield* Fixture.pass(5)
      assert.deepStrictEqual(yield* journal.all, ["a-2"])
      const [letter] = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual([letter?.event?.id, letter?.reason], ["a-1", "delivery-limit"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("duplicates of a parked message neither run it twice nor overtake it", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      let failures = 1
      const consumer = billing((event) =>
        Effect.suspend(() =>
          event.data.id === "a-1" && failures-- > 0 ? Effect.fail(new Fixture.Overloaded()) : journal.add(event.data.id)
        )
      )
      yield* Fixture.start(consumer.layer)
      for (const id of ["a-1", "a-2", "a-1", "a-2", "a-3"]) yield* Fixture.placeOrdered(id, "a")
      yield* Fixture.pass(20)
      assert.deepStrictEqual(yield* journal.all, ["a-1", "a-2", "a-3"])
      assert.deepStrictEqual(yield* Parking.Parking.use((parking) => parking.keys(group, 10)), [])
    }).pipe(Effect.provide(memory))
  )
})
