import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Metric, Ref, Scope } from "effect"
import { Telemetry } from "effect-integration"
import { InvalidOption } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import { counts, observed } from "./policy/observe.ts"

const lag = (value: number): ReadonlyArray<Telemetry.Reading> => [{ metric: "lag", name: "sampled", value }]
const sampled = Effect.andThen(Telemetry.sample, counts("sampled"))

/** Registered until it is stopped. */
const register = Effect.fnUntraced(function* (read: Effect.Effect<ReadonlyArray<Telemetry.Reading>, unknown>) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* Scope.provide(Telemetry.sampler(read), scope)
  return { stop: Scope.close(scope, Exit.void) }
})

describe("a sampler", () => {
  it.effect("is asked when the metrics are sampled, and its gauge is gone when its scope closes", () =>
    observed(() =>
      Effect.gen(function* () {
        const value = yield* Ref.make(3)
        const { stop } = yield* register(Effect.map(Ref.get(value), lag))
        assert.deepStrictEqual(yield* counts("sampled"), {})
        assert.deepStrictEqual(yield* sampled, { consumer_lag: 3 })
        yield* Ref.set(value, 7)
        assert.deepStrictEqual(yield* counts("sampled"), { consumer_lag: 3 })
        assert.deepStrictEqual(yield* sampled, { consumer_lag: 7 })
        yield* stop
        assert.deepStrictEqual(yield* counts("sampled"), {})
        assert.deepStrictEqual(yield* sampled, {})
      })
    )
  )

  it.effect("what is not known any more is not shown: left out, no number, a failure, a defect", () =>
    observed((lines) =>
      Effect.gen(function* () {
        const read = yield* Ref.make<Effect.Effect<ReadonlyArray<Telemetry.Reading>, unknown>>(Effect.succeed([]))
        yield* register(Effect.flatten(Ref.get(read)))
        const nothing = [Effect.succeed([]), Effect.succeed(lag(NaN)), Effect.fail("down"), Effect.die("broken")]
        for (const each of nothing) {
          yield* Ref.set(read, Effect.succeed(lag(1)))
          assert.deepStrictEqual(yield* sampled, { consumer_lag: 1 })
          yield* Ref.set(read, each)
          assert.deepStrictEqual(yield* sampled, {})
        }
        assert.deepStrictEqual(lines, [])
      })
    )
  )

  it.effect("one that hangs is given up after 2 seconds, keeps no other from its gauge, and is asked once", () =>
    observed(() =>
      Effect.gen(function* () {
        const asked = yield* Ref.make(0)
        yield* register(
          Effect.andThen(
            Ref.update(asked, (n) => n + 1),
            Effect.uninterruptible(Effect.never)
          )
        )
        yield* register(Effect.succeed(lag(1)))
        const first = yield* Effect.forkChild(Telemetry.sample)
        const second = yield* Effect.forkChild(Telemetry.sample)
        yield* TestClock.adjust("1999 millis")
        assert.isUndefined(first.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        yield* Fiber.joinAll([first, second])
        assert.deepStrictEqual(yield* counts("sampled"), { consumer_lag: 1 })
        const third = yield* Effect.forkChild(Telemetry.sample)
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(third)
        assert.strictEqual(yield* Ref.get(asked), 1)
      })
    )
  )

  it.effect("an answer that comes when it is not registered any more is not shown", () =>
    observed(() =>
      Effect.gen(function* () {
        const answer = yield* Deferred.make<ReadonlyArray<Telemetry.Reading>>()
        const { stop } = yield* register(Effect.uninterruptible(Deferred.await(answer)))
        const sampling = yield* Effect.forkChild(Telemetry.sample, { startImmediately: true })
        yield* stop
        yield* Deferred.succeed(answer, lag(1))
        yield* Fiber.join(sampling)
        assert.deepStrictEqual(yield* counts("sampled"), {})
      })
    )
  )

  it.effect("two of one thing share the gauge: it shows the higher value, and goes with the last", () =>
    observed(() =>
      Effect.gen(function* () {
        const one = yield* register(Effect.succeed(lag(1)))
        const five = yield* register(Effect.succeed(lag(5)))
        assert.deepStrictEqual(yield* sampled, { consumer_lag: 5 })
        yield* five.stop
        assert.deepStrictEqual(yield* counts("sampled"), { consumer_lag: 1 })
        yield* one.stop
        assert.deepStrictEqual(yield* counts("sampled"), {})
      })
    )
  )

  it.effect("belongs to the registry in which it was registered", () =>
    observed(() =>
      Effect.gen(function* () {
        yield* register(Effect.succeed(lag(1)))
        const elsewhere = Effect.provideService(sampled, Metric.MetricRegistry, new Map())
        assert.deepStrictEqual(yield* elsewhere, {})
        assert.deepStrictEqual(yield* sampled, { consumer_lag: 1 })
      })
    )
  )
})

describe("Telemetry.layer", () => {
  it.effect("samples at once and every 5 seconds, and refuses a time that makes no sense", () =>
    observed(() =>
      Effect.gen(function* () {
        const value = yield* Ref.make(1)
        yield* register(Effect.map(Ref.get(value), lag))
        yield* Layer.build(Telemetry.layer())
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(yield* counts("sampled"), { consumer_lag: 1 })
        yield* Ref.set(value, 2)
        yield* TestClock.adjust(4999)
        assert.deepStrictEqual(yield* counts("sampled"), { consumer_lag: 1 })
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* counts("sampled"), { consumer_lag: 2 })
        assert.throws(() => Telemetry.layer({ every: 0 }), InvalidOption, /every/)
      })
    )
  )
})
