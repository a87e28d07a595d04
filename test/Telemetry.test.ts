import { assert, describe, it } from "@effect/vitest"
import { Context, Data, Effect, Fiber, Metric } from "effect"
import { TestClock } from "effect/testing"
import * as ErrorAction from "../src/policy/ErrorAction.ts"
import { InvalidOption } from "../src/policy/InvalidOption.ts"
import * as CircuitBreakers from "../src/policy/CircuitBreakers.ts"
import * as Policy from "../src/policy/Policy.ts"
import * as RetryPolicy from "../src/policy/RetryPolicy.ts"
import * as Telemetry from "../src/Telemetry.ts"
import { counts, final, observed, retriable, script } from "./policy/observe.ts"

describe("names", () => {
  it("are those of the document, made legal", () => {
    assert.strictEqual(
      Telemetry.metricName("requests", "orders-to-payments"),
      "integration_orders_to_payments_requests_total"
    )
    assert.strictEqual(Telemetry.legalName("--Orders → Payments--"), "orders_payments")
    assert.strictEqual(Telemetry.legalName("été"), "t")
    for (const metric of Object.keys(Telemetry.catalogue) as Array<Telemetry.MetricName>) {
      assert.match(Telemetry.metricName(metric, "A b.c/d"), /^[a-z_][a-z0-9_]*$/)
    }
  })

  it("a name that a replacement pattern occurs in is taken as it is", () => {
    assert.strictEqual(Telemetry.metricName("requests", "a$&b"), "integration_a_b_requests_total")
  })
})

describe("recorder", () => {
  it("is the same for the same name", () => {
    assert.strictEqual(Telemetry.recorder("same-name"), Telemetry.recorder("same-name"))
  })

  it("refuses a second name that becomes the same legal name, and a name without letter or digit", () => {
    Telemetry.recorder("first.name")
    assert.throws(
      () => Telemetry.recorder("first-name"),
      InvalidOption,
      /first\.name .*first_name.*"first-name" was given/
    )
    assert.throws(() => Telemetry.recorder("First.Name"), InvalidOption)
    assert.throws(() => Telemetry.recorder("→"), InvalidOption, /letter or digit/)
    assert.strictEqual(Telemetry.recorder("first.name").name, "first.name")
  })

  it("keeps label sets bounded: past 64 values they share `other`, and no count is lost", () => {
    const recorder = Telemetry.recorder("bounded")
    const context = Context.make(Metric.MetricRegistry, new Map())
    for (let i = 0; i < 500; i++) recorder.call(`tag-${i}`, 1, context)
    for (let i = 0; i < 500; i++) recorder.call(`tag-${i}`, 1, context)
    const requests = Metric.snapshotUnsafe(context).filter(
      (metric) => metric.id === "integration_bounded_requests_total"
    )
    assert.isAtMost(requests.length, 65)
    const sum = requests.reduce((total, metric) => total + (metric.state as { readonly count: number }).count, 0)
    assert.strictEqual(sum, 1000)
    const other = requests.find((metric) => metric.attributes?.outcome === "other")
    assert.strictEqual((other!.state as { readonly count: number }).count, 2 * (500 - 64))
  })

  it("records to the registry of the caller, and to no other", () => {
    const recorder = Telemetry.recorder("registries")
    const one = Context.make(Metric.MetricRegistry, new Map())
    const two = Context.make(Metric.MetricRegistry, new Map())
    recorder.attempt(one)
    recorder.attempt(one)
    recorder.attempt(two)
    const count = (context: Context.Context<never>) =>
      Metric.snapshotUnsafe(context).map((metric) => (metric.state as { readonly count: number }).count)
    assert.deepStrictEqual([count(one), count(two)], [[2], [1]])
  })
})

describe("a scripted scenario", () => {
  it.effect("is counted exactly", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("scripted", {
          retry: RetryPolicy.make({ delays: ["1 second", "1 second"] }),
          breaker: { failurePercent: 50, window: "1 minute", openFor: "30 seconds", minimumCalls: 6 },
          rateLimit: { burst: 1 }
        })
        const done = Effect.fnUntraced(function* <A, E>(self: Effect.Effect<A, E>) {
          const fiber = yield* Effect.forkChild(Effect.exit(self))
          yield* TestClock.adjust("1100 millis")
          yield* TestClock.adjust("1100 millis")
          yield* Fiber.join(fiber)
        })
        yield* done(policy(script(Effect.fail(retriable), Effect.succeed("ok")).effect))
        yield* done(policy(Effect.fail(final)))
        yield* done(policy(Effect.fail(retriable)))
        // Six have ended, four of them failed: the circuit is open.
        yield* done(policy(Effect.succeed("never sent")))
        yield* TestClock.adjust("30 seconds")
        const waiting = yield* Effect.forkChild(policy(Effect.succeed("probe")))
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(waiting)
        assert.deepStrictEqual(yield* counts("scripted"), {
          attempts_total: 7,
          "retries_total{Fault}": 3,
          "requests_total{success}": 2,
          "requests_total{Fault}": 2,
          "requests_total{CircuitOpen}": 1,
          latency_ms: 5,
          circuit_open: 0,
          circuit_openings_total: 1
        })
      })
    )
  )

  it.effect("calls that wait for the rate limit are counted, and the open circuit shows", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("waits", {
          rateLimit: { burst: 1 },
          breaker: { failurePercent: 50, window: "1 minute", openFor: "30 seconds" }
        })
        const fibers = yield* Effect.replicateEffect(Effect.forkChild(policy(Effect.void)), 3)
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.joinAll(fibers)
        yield* policy.circuit()!.forceOpen("test")
        const found = yield* counts("waits")
        assert.strictEqual(found.rate_limit_waits_total, 2)
        assert.strictEqual(found.circuit_open, 1)
        assert.strictEqual(found.circuit_openings_total, 1)
      })
    )
  )

  it.effect("an outcome is a tag, never a message", () =>
    observed(() =>
      Effect.gen(function* () {
        class Leak extends Data.TaggedError("Leak")<{ readonly message: string }> {}
        const policy = yield* Policy.make("labels", { classify: ErrorAction.all(ErrorAction.fail) })
        yield* Effect.exit(policy(Effect.fail(new Leak({ message: "https://user:password@host" }))))
        yield* Effect.exit(policy(Effect.fail("https://user:password@host")))
        // @effect-diagnostics-next-line globalErrorInEffectFailure:off
        yield* Effect.exit(policy(Effect.fail(new RangeError("password"))))
        assert.notInclude(JSON.stringify(yield* counts("labels")), "password")
        assert.deepStrictEqual(Object.keys(yield* counts("labels")).toSorted(), [
          "attempts_total",
          "latency_ms",
          "requests_total{Leak}",
          "requests_total{RangeError}",
          "requests_total{string}"
        ])
      })
    )
  )

  it.effect("the gauge of an open circuit was set to closed by another circuit of the same policy", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("gauges", {
          breaker: { failurePercent: 50, window: "1 minute", openFor: "30 seconds", minimumCalls: 1 }
        })
        yield* policy.circuit("a")!.forceOpen("test")
        yield* policy.circuit("b")!.forceOpen("test")
        yield* policy.circuit("b")!.forceClosed
        assert.strictEqual((yield* counts("gauges")).circuit_open, 1)
      })
    )
  )

  it.effect("the gauge of an open circuit went below zero with circuits that a kill switch had made open", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("gauges_forced", {
          breaker: { failurePercent: 50, window: "1 minute", openFor: "30 seconds", minimumCalls: 1 }
        })
        yield* CircuitBreakers.forceOpen("gauges_forced", { reason: "test" })
        for (const key of ["a", "b", "c"]) yield* Effect.exit(policy.with({ key })(Effect.void))
        yield* CircuitBreakers.forceClosed("gauges_forced")
        assert.strictEqual((yield* counts("gauges_forced")).circuit_open, 0)
        yield* policy.circuit("a")!.forceOpen("test")
        assert.strictEqual((yield* counts("gauges_forced")).circuit_open, 1)
      })
    )
  )

  it.effect("the gauge of an open circuit stayed at 1 for a key that was forgotten", () =>
    observed(() =>
      Effect.gen(function* () {
        const keyed = yield* CircuitBreakers.keyed("gauges_evicted", {
          failurePercent: 50,
          window: "1 minute",
          openFor: "30 seconds",
          maximumKeys: 1
        })
        yield* keyed.get("a").forceOpen("test")
        const b = keyed.get("b")
        yield* b.forceOpen("test")
        yield* b.forceClosed
        assert.strictEqual((yield* counts("gauges_evicted")).circuit_open, 0)
      })
    )
  )
})
