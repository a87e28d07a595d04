import { assert, describe, it } from "@effect/vitest"
import { Data, DateTime, Duration, Effect, Layer } from "effect"
import {
  Broker,
  Consumer,
  Consumers,
  CurrentDelivery,
  DeadLetters,
  DedupStore,
  MemoryBroker,
  Parking
} from "effect-integration/event"
import { CircuitBreaker, ErrorAction, RateLimit, RetryPolicy } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import { random, runs } from "../policy/observe.ts"
import * as Fixture from "./orders.ts"

const memory = Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)
const retry = RetryPolicy.make({ delays: ["1 second", "10 seconds"] })
const dedup = { window: "1 day" } as const

/** The provider is down, and says for how long. */
class Busy extends Data.TaggedError("Busy")<{ readonly retryAfter?: Duration.Duration }> {
  readonly errorAction = ErrorAction.wait
  readonly outcome = "unprocessed"
}

type Handle = (event: { readonly id: string; readonly data: Fixture.Order }) => Effect.Effect<unknown, any, any>
const on = (channel: typeof Fixture.Orders | typeof Fixture.Ordered, handle: Handle, options?: Consumer.Options) =>
  Consumer.make("billing", channel as typeof Fixture.Ordered, {
    handlers: { "com.acme.order.placed": handle },
    retry,
    dedup,
    ...options
  }) as Consumer.Consumer<"billing", any, Broker.Broker | DedupStore.DedupStore | Parking.Parking>

const stateOf = Effect.map(Consumers.all, (all) => all.map((each) => each.state))

describe("an outage", () => {
  it.effect(
    "of an hour: 1,000 events, none dead-lettered, all handled after it, in order per key, one probe at a time",
    () =>
      Effect.gen(function* () {
        const journal = yield* Fixture.journal
        let down = true
        let running = 0
        let most = 0
        const consumer = on(Fixture.Ordered, (event) =>
          Effect.suspend(() => {
            if (!down) return journal.add(event.data.id)
            running++
            most = Math.max(most, running)
            return Effect.andThen(
              Effect.sleep("100 millis"),
              Effect.suspend(() => {
                running--
                return Effect.fail(new Fixture.Down())
              })
            )
          })
        )
        yield* Fixture.start(consumer.layer)
        yield* Fixture.placeOrdered("first", "first")
        yield* TestClock.adjust("200 millis")
        most = 0
        for (let index = 0; index < 1000; index++) {
          yield* Fixture.placeOrdered(`${index % 10}-${index}`, String(index % 10))
          yield* TestClock.adjust("3600 millis")
        }
        assert.strictEqual(most, 1)
        assert.deepStrictEqual(yield* journal.all, [])
        assert.deepStrictEqual(yield* stateOf, ["outage"])
        down = false
        yield* Fixture.pass(120, 1000)
        assert.strictEqual(yield* DeadLetters.count(consumer), 0)
        const all = yield* journal.all
        assert.strictEqual(all.length, 1001)
        for (let key = 0; key < 10; key++) {
          const numbers = all.filter((id) => id.startsWith(`${key}-`)).map((id) => Number(id.split("-")[1]))
          assert.deepStrictEqual(
            numbers,
            numbers.toSorted((a, b) => a - b)
          )
          assert.strictEqual(numbers.length, 100)
        }
        assert.deepStrictEqual(yield* stateOf, ["running"])
      }).pipe(Effect.provide(memory))
  )

  it.effect("is waited out for as long as the error says, and 1, 2, 4 ... 30 seconds where it does not", () =>
    Effect.gen(function* () {
      const times: Array<number> = []
      let retryAfter: Duration.Duration | undefined = Duration.seconds(100)
      const timed = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": () =>
            Effect.clockWith((clock) =>
              Effect.suspend(() => {
                times.push(clock.currentTimeMillisUnsafe() / 1000)
                return Effect.fail(new Busy(retryAfter === undefined ? {} : { retryAfter }))
              })
            )
        }
      })
      yield* Fixture.start(timed.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(99)
      assert.deepStrictEqual(times, [0])
      retryAfter = undefined
      yield* Fixture.pass(1)
      assert.deepStrictEqual(times, [0, 100])
      yield* Fixture.pass(120)
      assert.deepStrictEqual(times, [0, 100, 102, 106, 114, 130, 160, 190, 220])
    }).pipe(Effect.provide(memory))
  )

  it.effect("with Retry-After 0 made the consumer call the provider without any pause", () =>
    Effect.gen(function* () {
      let tries = 0
      const consumer = on(Fixture.Orders, () =>
        Effect.suspend(() => (++tries > 500 ? Effect.void : Effect.fail(new Busy({ retryAfter: Duration.zero }))))
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(10)
      assert.isAtMost(tries, 20)
    }).pipe(Effect.provide(memory))
  )

  it.effect("a longer Retry-After that came while it was on was shortened to the first one's pause", () =>
    Effect.gen(function* () {
      let tries = 0
      const consumer = on(
        Fixture.Orders,
        (event) =>
          Effect.suspend(() => {
            tries++
            return event.id === "o-1"
              ? Effect.fail(new Busy({}))
              : Effect.andThen(Effect.sleep("100 millis"), Effect.fail(new Busy({ retryAfter: Duration.minutes(1) })))
          }),
        { drain: 0 }
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-2")
      yield* Fixture.place("o-1")
      yield* Fixture.pass(50)
      assert.strictEqual(tries, 2)
    }).pipe(Effect.provide(memory))
  )

  it.effect("obeys CircuitOpen, QuotaExhausted, RateLimited, and spends no attempt", () =>
    Effect.gen(function* () {
      const errors: ReadonlyArray<readonly [number, unknown]> = [
        [
          45,
          new CircuitBreaker.CircuitOpen({ integration: "p", reason: "failures", retryAfter: Duration.seconds(45) })
        ],
        [
          3600,
          new RateLimit.QuotaExhausted({
            integration: "p",
            limit: 1,
            resetsAt: DateTime.makeUnsafe(3_600_000),
            retryAfter: Duration.hours(1)
          })
        ]
      ]
      for (const [seconds, error] of errors) {
        const times: Array<number> = []
        const consumer = Consumer.make("billing", Fixture.Orders, {
          handlers: {
            "com.acme.order.placed": () =>
              Effect.clockWith((clock) =>
                Effect.suspend(() => {
                  times.push(clock.currentTimeMillisUnsafe() / 1000)
                  return times.length === 1 ? Effect.fail(error as CircuitBreaker.CircuitOpen) : Effect.void
                })
              )
          },
          hold: "2 hours"
        })
        const running = yield* Fixture.start(consumer.layer)
        yield* Fixture.place(`o-${seconds}`)
        yield* TestClock.adjust(Duration.seconds(seconds - 1))
        assert.strictEqual(times.length, 1)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(times.length, 2)
        assert.strictEqual(times[1]! - times[0]!, seconds)
        assert.strictEqual(yield* DeadLetters.count(consumer), 0)
        yield* running.stop
      }
    }).pipe(Effect.provide(memory))
  )

  it.effect("of one message alone (its request always times out) does not stop the others for ever, nor itself", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      class Slow extends Data.TaggedError("Slow")<{}> {
        readonly errorAction = ErrorAction.make("retry", { outage: true })
        readonly outcome = "unknown"
      }
      const consumer = on(Fixture.Orders, (event) =>
        event.id === "poison" ? Effect.fail(new Slow()) : journal.add(event.data.id)
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("poison")
      for (let index = 0; index < 100; index++) {
        yield* Fixture.place(`o-${index}`)
        yield* TestClock.adjust("2 seconds")
      }
      yield* Fixture.pass(120)
      assert.strictEqual((yield* journal.all).length, 100)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.strictEqual(letter?.event?.id, "poison")
      assert.strictEqual(letter?.attempts, 3)
      assert.strictEqual(letter?.reason, "exhausted")
    }).pipe(Effect.provide(memory))
  )

  it.effect("moves what it held for longer than `hold`, with its attempts", () =>
    Effect.gen(function* () {
      const attempts: Array<number> = []
      let down = false
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": () =>
            Effect.gen(function* () {
              const delivery = yield* CurrentDelivery
              attempts.push(delivery.attempt)
              if (down) return yield* new Fixture.Down()
              if (attempts.length === 1) {
                down = true
                return yield* new Fixture.Overloaded()
              }
            })
        },
        retry: RetryPolicy.make({ delays: ["1 second"] }),
        hold: "1 minute"
      })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(600, 1000)
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
      down = false
      yield* Fixture.pass(60)
      assert.strictEqual(attempts[0], 1)
      assert.isTrue(attempts.slice(1).every((attempt) => attempt === 2))
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
      const depth = yield* Broker.Broker.use((broker) => broker.depth({ channel: Fixture.Orders, group: "billing" }))
      assert.deepStrictEqual(depth, { ready: 0, delayed: 0, deadLetters: 0, consumers: 1 })
    }).pipe(Effect.provide(memory))
  )

  it.effect("during which the consumer was paused and resumed ten times made dead letters of what was in hand", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      let down = true
      const consumer = on(Fixture.Orders, (event) =>
        Effect.suspend(() => (down ? Effect.fail(new Fixture.Down()) : journal.add(event.data.id)))
      )
      yield* Fixture.start(consumer.layer)
      for (let index = 0; index < 5; index++) yield* Fixture.place(`o-${index}`)
      for (let time = 0; time < 12; time++) {
        yield* Fixture.pass(2)
        yield* Consumers.pause("billing", { reason: "deploy" })
        yield* Fixture.pass(2)
        yield* Consumers.resume("billing")
      }
      down = false
      yield* Fixture.pass(60)
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
      assert.strictEqual((yield* journal.all).length, 5)
    }).pipe(Effect.provide(memory))
  )

  it.effect("ends with the consumer: closing while it is on gives everything back", () =>
    Effect.gen(function* () {
      const consumer = on(Fixture.Orders, () => Effect.fail(new Fixture.Down()))
      const running = yield* Fixture.start(consumer.layer)
      for (let index = 0; index < 5; index++) yield* Fixture.place(`o-${index}`)
      yield* TestClock.adjust("5 seconds")
      yield* running.stop
      const depth = yield* Broker.Broker.use((broker) => broker.depth({ channel: Fixture.Orders, group: "billing" }))
      assert.deepStrictEqual(depth, { ready: 5, delayed: 0, deadLetters: 0, consumers: 0 })
    }).pipe(Effect.provide(memory))
  )
})

interface Step {
  readonly seconds: number
  readonly down: boolean
  /** Which process ends and is begun anew. */
  readonly restart: number | undefined
  /** How many events of each key. */
  readonly publish: number
  readonly fails: number
  readonly takes: number
}

const weatherOf = (seed: number): ReadonlyArray<Step> => {
  const next = random(seed)
  const below = (limit: number) => Math.floor(next() * limit)
  return Array.from({ length: 4 + below(12) }, () => ({
    seconds: 1 + below(15),
    down: next() < 0.25,
    restart: next() < 0.4 ? below(2) : undefined,
    publish: below(4),
    fails: below(4),
    takes: below(8000)
  }))
}

/** Whatever happens, per key each event is handled once, in the order in which it was published. */
const model = (weather: ReadonlyArray<Step>, restarts: boolean) =>
  Effect.gen(function* () {
    const begun: Array<string> = []
    const journal = yield* Fixture.journal
    const failing = new Map<string, { fails: number; takes: number }>()
    let down = false
    const consumer = on(
      Fixture.Ordered,
      (event) =>
        Effect.gen(function* () {
          begun.push(event.id)
          const plan = failing.get(event.id)!
          yield* Effect.sleep(plan.takes)
          if (down) return yield* new Fixture.Down()
          if (plan.fails-- > 0) return yield* new Fixture.Overloaded()
          yield* journal.add(event.id)
        }),
      { retry: RetryPolicy.make({ delays: ["1 second", "3 seconds", "5 seconds"] }), prefetch: 16 }
    )
    const processes = [yield* Fixture.start(consumer.layer), yield* Fixture.start(consumer.layer)]
    const published: Record<string, Array<string>> = { a: [], b: [], c: [] }
    let number = 0
    for (const step of weather) {
      down = step.down
      for (let count = 0; count < step.publish; count++) {
        for (const key of ["a", "b", "c"]) {
          const id = `${key}-${number++}`
          failing.set(id, { fails: number % 4 === 0 ? step.fails : 0, takes: step.takes })
          published[key]!.push(id)
          yield* Fixture.placeOrdered(id, key)
        }
      }
      if (restarts && step.restart !== undefined) {
        yield* Effect.forkChild(processes[step.restart]!.stop)
        processes[step.restart] = yield* Fixture.start(consumer.layer)
      }
      yield* Fixture.pass(step.seconds)
    }
    down = false
    yield* Fixture.pass(400, 1000)
    const all = yield* journal.all
    for (const key of ["a", "b", "c"]) {
      assert.deepStrictEqual(
        all.filter((id) => id.startsWith(key)),
        published[key],
        begun.join(" ")
      )
    }
    assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    for (const process of processes) yield* Effect.forkChild(process.stop)
    yield* Fixture.pass(31)
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(memory)))

describe("order per key, with two processes, random failures, retries and outages", () => {
  it.effect.each(Array.from({ length: runs(25) }, (_, seed) => seed))(
    "nothing lost, nothing doubled, nothing overtaken (%i)",
    (seed) => model(weatherOf(seed), false)
  )
  it.effect.each(Array.from({ length: runs(25) }, (_, seed) => seed))(
    "nothing lost, nothing doubled, nothing overtaken, while processes end and others begin (%i)",
    (seed) => model(weatherOf(1000 + seed), true)
  )
})
