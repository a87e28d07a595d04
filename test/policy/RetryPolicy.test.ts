import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as ErrorAction from "../../src/policy/ErrorAction.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import { Fault, final, random, retriable, runs, script } from "./observe.ts"

const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
const ladder = (policy: RetryPolicy.RetryPolicy, next: () => number, retryAfter?: number): ReadonlyArray<number> => {
  const delays: Array<number> = []
  for (let previous = 0, index = 0; ; index++) {
    const delay = policy.delayMillis(index, previous, next, retryAfter)
    if (delay === undefined) return delays
    delays.push((previous = delay))
  }
}
const spread = (values: ReadonlyArray<number>): number => new Set(values).size

describe("the delays", () => {
  it("without jitter are exactly those given", () => {
    const policy = RetryPolicy.make({ delays: ["100 millis", 300, "1 second", 0] })
    assert.deepStrictEqual(ladder(policy, random(1)), [100, 300, 1000, 0])
    assert.strictEqual(policy.maxRetries, 4)
    assert.strictEqual(policy.jitter, "none")
    assert.deepStrictEqual(policy.delays.map(Duration.toMillis), [100, 300, 1000, 0])
    assert.deepStrictEqual(ladder(RetryPolicy.make({ delays: [] }), random(1)), [])
  })

  it("with full jitter are anywhere from zero to those given", () => {
    const policy = RetryPolicy.make({ delays: [100, 300, 900], jitter: "full" })
    const found = Array.from({ length: runs(2000) }, (_, seed) => ladder(policy, random(seed)))
    for (const [index, most] of [100, 300, 900].entries()) {
      const column = found.map((each) => each[index]!)
      assert.isAbove(spread(column), 1000)
      assert.isAtLeast(Math.min(...column), 0)
      assert.isBelow(Math.min(...column), most * 0.05)
      assert.isAtMost(Math.max(...column), most)
      assert.isAbove(Math.max(...column), most * 0.95)
    }
  })

  it("with equal jitter are from the half of those given to the whole", () => {
    const policy = RetryPolicy.make({ delays: [100, 300], jitter: "equal" })
    const found = Array.from({ length: runs(2000) }, (_, seed) => ladder(policy, random(seed)))
    for (const [index, most] of [100, 300].entries()) {
      const column = found.map((each) => each[index]!)
      assert.isAbove(spread(column), 1000)
      assert.isAtLeast(Math.min(...column), most / 2)
      assert.isAtMost(Math.max(...column), most)
      assert.isAbove(Math.max(...column) - Math.min(...column), most * 0.45)
    }
  })

  it("with decorrelated jitter are from the base to three times the one before, never above the cap", () => {
    const policy = RetryPolicy.exponential({ base: 100, cap: 2000, maxRetries: 30, jitter: "decorrelated" })
    for (let seed = 0; seed < runs(500); seed++) {
      const found = ladder(policy, random(seed))
      assert.strictEqual(found.length, 30)
      for (const [index, delay] of found.entries()) {
        assert.isAtLeast(delay, 100)
        assert.isAtMost(delay, Math.min(2000, 3 * Math.max(100, found[index - 1] ?? 0)))
      }
      assert.isAbove(spread(found), 2)
    }
  })

  it("exponential grows by its factor up to its cap", () => {
    const policy = RetryPolicy.exponential({ base: "1 second", cap: "30 seconds", maxRetries: 7, jitter: "none" })
    assert.deepStrictEqual(ladder(policy, random(1)), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
    const steep = RetryPolicy.exponential({ base: 1, cap: 1e9, factor: 1000, maxRetries: 1000, jitter: "none" })
    assert.strictEqual(ladder(steep, random(1)).at(-1), 1e9)
    assert.strictEqual(RetryPolicy.exponential({ base: 1, cap: 2, maxRetries: 1 }).jitter, "full")
  })

  it("Retry-After is only added to, whatever the jitter", () => {
    const policies = [
      RetryPolicy.make({ delays: [100, 5000] }),
      RetryPolicy.make({ delays: [100, 5000], jitter: "full" }),
      RetryPolicy.make({ delays: [100, 5000], jitter: "equal" }),
      RetryPolicy.exponential({ base: 100, cap: 5000, maxRetries: 2, jitter: "decorrelated" })
    ]
    for (const policy of policies) {
      const found = Array.from({ length: 500 }, (_, seed) => ladder(policy, random(seed), 3000))
      assert.isTrue(
        found.flat().every((delay) => delay >= 3000),
        policy.jitter
      )
      if (policy.jitter !== "none") assert.isAbove(spread(found.map((each) => each[0]!)), 200)
    }
    assert.deepStrictEqual(ladder(policies[0]!, random(1), 3000), [3000, 5000])
  })
})

describe("as a Schedule, given to Effect.retry", () => {
  it.effect("waits exactly the delays, then fails with the last error", () =>
    Effect.gen(function* () {
      const times: Array<number> = []
      const effect = Effect.flatMap(now, (at) => {
        times.push(at)
        return Effect.fail(retriable)
      })
      const policy = RetryPolicy.make({ delays: ["100 millis", "300 millis", "900 millis"] })
      const fiber = yield* Effect.forkChild(Effect.flip(Effect.retry(effect, policy)))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), retriable)
      assert.deepStrictEqual(times, [0, 100, 400, 1300])
    })
  )

  it.effect("stops at an error whose action allows no other attempt, and honours Retry-After", () =>
    Effect.gen(function* () {
      const policy = RetryPolicy.make({ delays: ["100 millis", "100 millis"] })
      for (const errorAction of [ErrorAction.fail, ErrorAction.skip, ErrorAction.refresh]) {
        const { effect, sent } = script(Effect.fail(new Fault({ errorAction })))
        yield* Effect.flip(Effect.retry(effect, policy))
        assert.strictEqual(sent(), 1)
      }
      const waits = new Fault({ errorAction: ErrorAction.wait, retryAfter: Duration.seconds(7) })
      const { effect, sent } = script(Effect.fail(waits), Effect.fail(final))
      const fiber = yield* Effect.forkChild(Effect.flip(Effect.retry(effect, policy)))
      yield* TestClock.adjust(6999)
      assert.strictEqual(sent(), 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(fiber), final)
    })
  )

  it.effect("retries an error without an action, and starts its ladder anew each time it is used", () =>
    Effect.gen(function* () {
      const policy = RetryPolicy.make({ delays: [10, 10] })
      for (let i = 0; i < 3; i++) {
        let sent = 0
        const effect = Effect.suspend(() => Effect.fail(`${++sent}`))
        const fiber = yield* Effect.forkChild(Effect.flip(Effect.retry(effect, policy)))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(fiber), "3")
      }
    })
  )
})
