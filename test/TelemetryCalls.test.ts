/** The metrics of the template (section 7.1) that are about calls: requests, error rate, latency p99, circuit open. */
import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Fiber, Metric } from "effect"
import { Telemetry } from "effect-integration"
import { CircuitBreakers, ErrorAction, Policy, RetryPolicy } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { counts, final, observed, retriable, script } from "./policy/observe.ts"

const sampled = (name: string) => Effect.andThen(Telemetry.sample, counts(name))
const shown = (name: string) =>
  Effect.map(sampled(name), ({ circuit_open, error_rate, latency_p99_ms }) => ({
    circuit_open,
    error_rate,
    latency_p99_ms
  }))

/** A call that takes so long. */
const taking = <A, E>(millis: number, self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.andThen(Effect.sleep(millis), self)

const done = Effect.fnUntraced(function* <A, E>(millis: number, self: Effect.Effect<A, E>) {
  const fiber = yield* Effect.forkChild(Effect.exit(self))
  yield* TestClock.adjust(millis)
  yield* Fiber.join(fiber)
})

const breaker = { failurePercent: 50, window: "1 minute", openFor: "30 seconds", minimumCalls: 4 } as const

describe("a minute of calls", () => {
  it.effect("shows requests by outcome, error rate, p99 and circuit exactly, and slides", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("minute", { breaker, retry: RetryPolicy.make({ delays: ["1 second"] }) })
        assert.deepStrictEqual(yield* sampled("minute"), { circuit_open: 0 })

        // At 0 s: three calls succeed, the longest of them in 300 ms.
        for (const millis of [100, 300, 200]) yield* done(millis, policy(taking(millis, Effect.void)))
        assert.deepStrictEqual(yield* shown("minute"), { circuit_open: 0, error_rate: 0, latency_p99_ms: 300 })

        // At 10 s: one fails for good. A call counts once, with its retries and waits: 40 + 1000 + 60 ms.
        yield* TestClock.adjust("9400 millis")
        yield* done(50, policy(taking(50, Effect.fail(final))))
        assert.deepStrictEqual(yield* shown("minute"), { circuit_open: 0, error_rate: 25, latency_p99_ms: 300 })
        const twice = script(taking(40, Effect.fail(retriable)), taking(60, Effect.succeed("ok")))
        yield* done(1100, policy(twice.effect))
        assert.deepStrictEqual(yield* shown("minute"), { circuit_open: 0, error_rate: 20, latency_p99_ms: 1100 })

        // At 30 s the provider is down: at half of the calls the circuit opens. Calls that it rejects fail too.
        yield* TestClock.adjust("18850 millis")
        for (let n = 0; n < 4; n++) yield* done(1000, policy(Effect.fail(retriable)))
        const { circuit_open, circuit_openings_total, error_rate } = yield* sampled("minute")
        assert.deepStrictEqual([circuit_open, circuit_openings_total, error_rate], [1, 1, 500 / 9])
        assert.deepStrictEqual(yield* requests("minute"), { success: 4, Fault: 3, CircuitOpen: 2 })

        // At 59.9 s all are there, at 60 s those before 5 s are not, and from 90 s on nothing is.
        yield* TestClock.adjust("25900 millis")
        assert.strictEqual((yield* shown("minute")).error_rate, 500 / 9)
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(yield* shown("minute"), {
          circuit_open: 1,
          error_rate: 500 / 6,
          latency_p99_ms: 1100
        })
        yield* TestClock.adjust("29999 millis")
        assert.isDefined((yield* shown("minute")).error_rate)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* shown("minute"), {
          circuit_open: 1,
          error_rate: undefined,
          latency_p99_ms: undefined
        })
        // The counters stay.
        assert.deepStrictEqual(yield* requests("minute"), { success: 4, Fault: 3, CircuitOpen: 2 })

        // A probe succeeds.
        yield* done(0, policy(Effect.void))
        assert.deepStrictEqual(yield* shown("minute"), { circuit_open: 0, error_rate: 0, latency_p99_ms: 0 })
      })
    )
  )

  it.effect("the p99 of many calls is that of the slowest hundredth, to 2 %", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("slow", {})
        const calls = Array.from({ length: 1000 }, (_, n) => policy(taking(n + 1, Effect.void)))
        const fibers = yield* Effect.forEach(calls, (each) => Effect.forkChild(each))
        yield* TestClock.adjust(1000)
        yield* Fiber.joinAll(fibers)
        const { latency_p99_ms } = yield* shown("slow")
        assert.closeTo(latency_p99_ms!, 990, 990 * 0.02)
      })
    )
  )

  it.effect("is of the registry in which the calls were made", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("apart", {})
        const elsewhere = new Map()
        const there = Effect.provideService(Metric.MetricRegistry, elsewhere)
        yield* policy(Effect.void)
        yield* there(Effect.exit(policy(Effect.fail(final))))
        assert.strictEqual((yield* shown("apart")).error_rate, 0)
        assert.strictEqual((yield* there(shown("apart"))).error_rate, 100)
      })
    )
  )
})

const requests = (name: string) =>
  Effect.map(counts(name), (found) =>
    Object.fromEntries(
      Object.entries(found).flatMap(([key, count]) => {
        const outcome = /^requests_total\{(.*)\}$/.exec(key)?.[1]
        return outcome === undefined ? [] : [[outcome, count]]
      })
    )
  )

v8.setFlagsFromString("--expose-gc")
const gc: () => void = vm.runInNewContext("gc")

describe("the circuit gauge", () => {
  it.effect("a policy that nobody has any more, with an open circuit, alarmed people for ever", () =>
    observed(() =>
      Effect.gen(function* () {
        const left = Effect.gen(function* () {
          const policy = yield* Policy.make("left-open", { breaker })
          yield* policy.circuit()!.forceOpen("test")
          yield* policy.circuit("tenant")!.forceOpen("test")
        })
        yield* left
        assert.deepStrictEqual(yield* sampled("left_open"), { circuit_open: 1, circuit_openings_total: 2 })
        for (let n = 0; n < 20 && (yield* sampled("left_open")).circuit_open !== undefined; n++) {
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          gc()
        }
        assert.deepStrictEqual(yield* sampled("left_open"), { circuit_openings_total: 2 })
      })
    )
  )

  it.effect("counts per registry: a circuit that closes elsewhere is closed where it was opened", () =>
    observed(() =>
      Effect.gen(function* () {
        yield* Policy.make("elsewhere", { breaker })
        yield* CircuitBreakers.forceOpen("elsewhere", { reason: "test" })
        assert.strictEqual((yield* counts("elsewhere")).circuit_open, 1)
        yield* Effect.provideService(CircuitBreakers.forceClosed("elsewhere"), Metric.MetricRegistry, new Map())
        assert.strictEqual((yield* counts("elsewhere")).circuit_open, 0)
      })
    )
  )
})

describe("notices", () => {
  class Refused extends Data.TaggedError("Refused")<{}> {
    readonly errorAction = ErrorAction.make("fail", { notify: "escalate" })
  }
  class Forbidden extends Data.TaggedError("Forbidden")<{}> {
    readonly errorAction = ErrorAction.make("fail", { notify: "alert" })
  }

  it.effect("are counted by kind, once for each call that ends so", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("noticed", {})
        yield* Effect.exit(policy(Effect.fail(new Refused())))
        yield* Effect.exit(policy(Effect.fail(new Forbidden())))
        yield* Effect.exit(policy(Effect.fail(new Forbidden())))
        const found = yield* counts("noticed")
        assert.strictEqual(found["notices_total{escalate}"], 1)
        assert.strictEqual(found["notices_total{alert}"], 2)
      })
    )
  )

  it.effect("of names that are no integration are counted too, 64 of them; the others share a series", () =>
    observed(() =>
      Effect.gen(function* () {
        yield* Policy.make("clash.ing", {})
        const notice = (integration: string) =>
          ErrorAction.notify({ kind: "alert", integration, message: "", error: undefined, requestId: undefined })
        const before = yield* series
        for (const name of ["clash-ing", "→", ""]) yield* notice(name)
        assert.deepStrictEqual(yield* counts("other"), { "notices_total{alert}": 3 })
        assert.deepStrictEqual(yield* counts("clash_ing"), {})
        for (let n = 0; n < 10_000; n++) yield* notice(`tenant ${n}`)
        assert.isAtMost((yield* series) - before, 65)
        // What is told under a name does not keep an integration from taking it.
        yield* Policy.make("tenant-1", {})
      })
    )
  )
})

const series = Effect.map(Metric.MetricRegistry, (registry) => registry.size)

describe("cardinality", () => {
  it.effect("100,000 different tenants, ids, URLs, paths and error tags make no new series", () =>
    observed(() =>
      Effect.gen(function* () {
        class Odd extends Data.TaggedError("Odd")<{ readonly url: string; readonly path: string }> {}
        const policy = yield* Policy.make("wide", { breaker, classify: ErrorAction.all(ErrorAction.skip) })
        const oddly = (n: number) => {
          const error = new Odd({ url: `https://user:secret-${n}@host/${n}`, path: `/orders/${n}` })
          // Every third one has a tag of its own.
          return n % 3 === 0 ? Object.defineProperty(error, "_tag", { value: `Tag${n}` }) : error
        }
        const call = (n: number) =>
          Effect.exit(
            policy.with({ key: `tenant-secret-${n}`, requestId: `id-secret-${n}`, operation: () => `GET /o/${n}` })(
              Effect.fail(oddly(n))
            )
          )
        for (let n = 0; n < 1000; n++) yield* call(n)
        yield* Telemetry.sample
        const before = yield* series
        for (let n = 1000; n < 100_000; n++) yield* call(n)
        yield* Telemetry.sample
        assert.strictEqual(yield* series, before)
        const found = yield* requests("wide")
        assert.isAtMost(Object.keys(found).length, 65)
        assert.strictEqual(
          Object.values(found).reduce((sum, count) => sum + count, 0),
          100_000
        )
        const texts = (yield* Metric.snapshot).flatMap(({ attributes, description, id }) => [
          id,
          description ?? "",
          ...Object.entries(attributes ?? {}).flat()
        ])
        assert.notInclude(texts.join(" "), "secret")
      })
    )
  )
})
