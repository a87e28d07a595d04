/** The metrics of the template (section 7.1) that are about consumers: dead letters, lag in messages and in seconds. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Layer, Metric } from "effect"
import { Telemetry } from "effect-integration"
import {
  Channel,
  Consumer,
  Consumers,
  DedupStore,
  type EventType,
  MemoryBroker,
  Ordering,
  Parking,
  Publisher
} from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import { SqlParking } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"
import { TestClock } from "effect/testing"
import * as Fixture from "./event/orders.ts"
import { counts, observed } from "./policy/observe.ts"

const memory = Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)
const gauges = Effect.map(
  Effect.andThen(Telemetry.sample, counts("billing")),
  ({ consumer_lag, consumer_lag_seconds, consumer_paused, dlq_depth }) => ({
    consumer_lag,
    consumer_lag_seconds,
    consumer_paused,
    dlq_depth
  })
)
const idle = { consumer_lag: 0, consumer_lag_seconds: 0, consumer_paused: 0, dlq_depth: 0 }
const gone = {
  consumer_lag: undefined,
  consumer_lag_seconds: undefined,
  consumer_paused: undefined,
  dlq_depth: undefined
}

/** A group whose handler waits until it is told how to end. */
const held = Effect.fnUntraced(function* (options: Consumer.Options = {}) {
  const end = yield* Deferred.make<void, Fixture.Refused | Fixture.Overloaded>()
  const consumer = Consumer.make("billing", Fixture.Orders, {
    handlers: { "com.acme.order.placed": () => Deferred.await(end) },
    timeout: "10 minutes",
    drain: 0,
    ...options
  })
  return { consumer, end }
})

describe("the gauges of a consumer", () => {
  it.effect("show what waits, in hand and at the broker, its age, and the dead letters; and go with the consumer", () =>
    observed(() =>
      Effect.gen(function* () {
        const { consumer, end } = yield* held({ prefetch: 2 })
        const { stop } = yield* Fixture.start(consumer.layer)
        assert.deepStrictEqual(yield* gauges, idle)
        yield* Fixture.place("o-1")
        yield* TestClock.adjust("10 seconds")
        for (const id of ["o-2", "o-3", "o-4"]) yield* Fixture.place(id)
        yield* TestClock.adjust("2500 millis")
        // Two are in hand, two wait at the broker.
        assert.deepStrictEqual(yield* gauges, { ...idle, consumer_lag: 4, consumer_lag_seconds: 12.5 })
        yield* Deferred.fail(end, new Fixture.Refused())
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(yield* gauges, { ...idle, dlq_depth: 4 })
        yield* stop
        assert.deepStrictEqual(yield* gauges, gone)
        // What was counted stays.
        assert.strictEqual((yield* counts("billing"))["deliveries_total{dead-lettered}"], 4)
      }).pipe(Effect.provide(memory))
    )
  )

  it.effect("a message that waits for its delay counts; how old it is only the broker knows", () =>
    observed(() =>
      Effect.gen(function* () {
        const { consumer, end } = yield* held({ retry: RetryPolicy.make({ delays: ["1 minute"] }) })
        yield* Fixture.start(consumer.layer)
        yield* Fixture.place("o-1")
        yield* TestClock.adjust("5 seconds")
        yield* Deferred.fail(end, new Fixture.Overloaded())
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(yield* gauges, { ...idle, consumer_lag: 1, consumer_lag_seconds: undefined })
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* gauges, { ...idle, dlq_depth: 1 })
      }).pipe(Effect.provide(memory))
    )
  )

  it.effect("show an outage and a pause; a paused group knows how much waits, and not for how long", () =>
    observed(() =>
      Effect.gen(function* () {
        const consumer = Consumer.make("billing", Fixture.Orders, {
          handlers: { "com.acme.order.placed": () => Effect.fail(new Fixture.Down()) }
        })
        yield* Fixture.start(consumer.layer)
        yield* Fixture.place("o-1")
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(yield* gauges, {
          ...idle,
          consumer_lag: 1,
          consumer_lag_seconds: 30,
          consumer_paused: 1
        })
        const pausing = yield* Effect.forkChild(Consumers.pause("billing", { reason: "test" }))
        yield* Fixture.pass(60)
        assert.isDefined(pausing.pollUnsafe())
        assert.deepStrictEqual(yield* gauges, {
          ...idle,
          consumer_lag: 1,
          consumer_lag_seconds: undefined,
          consumer_paused: 1
        })
      }).pipe(Effect.provide(memory))
    )
  )

  it.effect("an event that is dated ahead is not younger than nothing", () =>
    observed(() =>
      Effect.gen(function* () {
        const { consumer } = yield* held()
        yield* Fixture.start(consumer.layer)
        const time = DateTime.addDuration(yield* DateTime.now, "2 seconds")
        yield* Publisher.publish(Fixture.Orders, Fixture.OrderPlaced, Fixture.order("o-1"), { time })
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* gauges).consumer_lag_seconds, 0)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* gauges).consumer_lag_seconds, 1)
      }).pipe(Effect.provide(memory))
    )
  )

  it.effect("what the broker does not answer is not shown, and the rest is", () => {
    let down = false
    const broker = Fixture.broker((real) => ({
      depth: (group) => Effect.suspend(() => (down ? Effect.die("it is away") : real.depth(group)))
    }))
    return observed(() =>
      Effect.gen(function* () {
        const { consumer } = yield* held()
        yield* Fixture.start(consumer.layer)
        yield* Fixture.place("o-1")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* gauges, { ...idle, consumer_lag: 1, consumer_lag_seconds: 1 })
        down = true
        assert.deepStrictEqual(yield* gauges, { ...gone, consumer_lag_seconds: 1, consumer_paused: 0 })
        down = false
        assert.deepStrictEqual(yield* gauges, { ...idle, consumer_lag: 1, consumer_lag_seconds: 1 })
      }).pipe(Effect.provide(broker))
    )
  })

  it.effect("two of a group in one process share the gauges, which stay until the last one goes", () =>
    observed(() =>
      Effect.gen(function* () {
        const { consumer } = yield* held({ prefetch: 1 })
        const one = yield* Fixture.start(consumer.layer)
        const two = yield* Fixture.start(consumer.layer)
        for (const id of ["o-1", "o-2", "o-3"]) yield* Fixture.place(id)
        yield* TestClock.adjust("1 second")
        // One waits at the broker, and each has one in hand: none knows what the other has.
        assert.deepStrictEqual(yield* gauges, { ...idle, consumer_lag: 2, consumer_lag_seconds: 1 })
        const stopping = yield* Effect.forkChild(one.stop)
        yield* TestClock.adjust("1 minute")
        assert.isDefined(stopping.pollUnsafe())
        assert.deepStrictEqual(yield* gauges, { ...idle, consumer_lag: 3, consumer_lag_seconds: 61 })
        const stopped = yield* Effect.forkChild(two.stop)
        yield* TestClock.adjust("1 minute")
        assert.isDefined(stopped.pollUnsafe())
        assert.deepStrictEqual(yield* gauges, gone)
      }).pipe(Effect.provide(memory))
    )
  )
})

const Strict = Channel.make("telemetry-strict", [Fixture.OrderPlaced], {
  ordering: Ordering.strict("tenant"),
  consumers: ["billing"]
})

for (const [name, parking] of [
  ["memory", Parking.layerMemory],
  ["SQLite", Layer.provide(SqlParking.layer, Sqlite.layer({ filename: ":memory:" }))]
] as const) {
  describe(`messages parked in ${name}`, () => {
    it.effect("count, and the one that was parked first says how old the oldest is", () =>
      observed(() =>
        Effect.gen(function* () {
          const consumer = Consumer.make("billing", Strict, {
            handlers: {
              "com.acme.order.placed": (event: EventType.Event<typeof Fixture.OrderPlaced>) =>
                event.data.tenant === "bad" ? Effect.fail(new Fixture.Overloaded()) : Effect.void
            },
            retry: RetryPolicy.make({ delays: ["1 hour"] })
          })
          const place = (id: string, tenant: string) =>
            Publisher.publish(Strict, Fixture.OrderPlaced, Fixture.order(id, tenant), { id })
          const { stop } = yield* Fixture.start(consumer.layer)
          yield* place("b-1", "bad")
          yield* TestClock.adjust("1 second")
          yield* place("b-2", "bad")
          for (const id of ["g-1", "g-2"]) yield* place(id, "good")
          const parked = Effect.map(gauges, ({ consumer_lag }) => consumer_lag)
          for (let n = 0; n < 100 && (yield* parked) !== 2; n++) {
            yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
            yield* TestClock.adjust(1)
          }
          const elapsed = yield* Effect.map(gauges, ({ consumer_lag_seconds }) => consumer_lag_seconds)
          assert.isAtLeast(elapsed!, 1)
          assert.isAtMost(elapsed!, 1.1)
          assert.deepStrictEqual(yield* gauges, { ...idle, consumer_lag: 2, consumer_lag_seconds: elapsed })
          yield* TestClock.adjust("9 seconds")
          assert.deepStrictEqual(yield* gauges, { ...idle, consumer_lag: 2, consumer_lag_seconds: elapsed! + 9 })
          yield* stop
          assert.deepStrictEqual(yield* gauges, gone)
        }).pipe(Effect.provide(Layer.merge(MemoryBroker.layer, parking)))
      )
    )
  })
}

describe("cardinality", () => {
  it.effect("100,000 events of different tenants, ids and subjects make no new series", () =>
    observed(() =>
      Effect.gen(function* () {
        const consumer = Consumer.make("billing", Fixture.Orders, {
          handlers: {
            "com.acme.order.placed": (event: EventType.Event<typeof Fixture.OrderPlaced>) =>
              event.data.id.endsWith("7") ? Effect.fail(new Fixture.AlreadyDone()) : Effect.void
          }
        })
        yield* Fixture.start(consumer.layer)
        const series = Effect.andThen(
          Telemetry.sample,
          Effect.map(Metric.MetricRegistry, (registry) => registry.size)
        )
        const publish = (n: number) =>
          Publisher.publish(Fixture.Orders, Fixture.OrderPlaced, Fixture.order(`secret-${n}`, `tenant-secret-${n}`), {
            id: `secret-${n}`,
            subject: `/orders/secret-${n}`
          })
        for (let n = 0; n < 100; n++) yield* publish(n)
        yield* TestClock.adjust(0)
        const before = yield* series
        for (let n = 100; n < 100_000; n++) yield* publish(n)
        for (let n = 0; n < 1000 && (yield* gauges).consumer_lag !== 0; n++) yield* TestClock.adjust(0)
        assert.strictEqual(yield* series, before)
        const { [`deliveries_total{done}`]: done, [`deliveries_total{skipped}`]: skipped } = yield* counts("billing")
        assert.deepStrictEqual([done, skipped], [90_000, 10_000])
        const texts = (yield* Metric.snapshot).map(({ attributes, description, id }) =>
          JSON.stringify({ id, description, attributes })
        )
        assert.notInclude(texts.join(), "secret")
      }).pipe(Effect.provide(memory))
    )
  )
})
