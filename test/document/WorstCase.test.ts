import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Random, Schema } from "effect"
import { WorstCase } from "effect-integration/document"
import { type ErrorAction, Policy, RetryPolicy } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import * as SlidingWindow from "../../src/policy/internal/slidingWindow.ts"

const Ladder = Schema.Struct({
  delays: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 }))).check(Schema.isMaxLength(6)),
  kind: Schema.Literals(["none", "equal", "full", "decorrelated"])
})
const Millis = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20_000 }))
const Small = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))

const policyOf = ({ delays, kind }: typeof Ladder.Type) =>
  kind === "decorrelated"
    ? RetryPolicy.exponential({ base: 100, cap: 3_000, maxRetries: delays.length, jitter: kind })
    : RetryPolicy.make({ delays, jitter: kind })

/** One call as the policy makes it, attempts taking `takes` milliseconds each. */
const simulate = (retry: RetryPolicy.RetryPolicy, takes: number, total: number, random: () => number) => {
  let at = 0
  let attempts = 0
  let previous = 0
  for (;;) {
    attempts++
    at += takes
    if (at >= total) return { millis: total, attempts }
    const delay = retry.delayMillis(attempts - 1, previous, random, undefined)
    if (delay === undefined || at + delay >= total) return { millis: at, attempts }
    previous = delay
    at += delay
  }
}

const numbers = Schema.Array(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))).check(
  Schema.isMinLength(1)
)

describe("WorstCase", () => {
  it("says the numbers of the document", () => {
    const retry = RetryPolicy.make({ delays: ["100 millis", "300 millis", "900 millis"] })
    assert.strictEqual(WorstCase.attempts(retry), 4)
    assert.strictEqual(WorstCase.attempts(retry, true), 5)
    assert.strictEqual(WorstCase.attempts(undefined), 1)
    assert.strictEqual(WorstCase.ladderMillis(retry, 2_000), 9_300)
    assert.strictEqual(WorstCase.callMillis(retry, 3_000, 10_000), 10_000)
    assert.strictEqual(WorstCase.callMillis(retry, Infinity, Infinity), Infinity)
    assert.strictEqual(WorstCase.handlings(retry, 10), 40)
  })

  it.effect.prop(
    "no call takes longer, or makes more attempts, than the worst case",
    [Ladder, Millis, Millis, Millis, numbers],
    ([ladder, attempt, total, takes, random]) =>
      Effect.sync(() => {
        const retry = policyOf(ladder)
        let drawn = 0
        const next = () => random[drawn++ % random.length]!
        const run = simulate(retry, Math.min(takes, attempt), total, next)
        assert.isAtMost(run.millis, WorstCase.callMillis(retry, attempt, total) + 1e-6)
        assert.isAtMost(run.attempts, WorstCase.attempts(retry))
        assert.isAtMost(run.attempts, 1 + WorstCase.retriesWithin(WorstCase.shortestDelays(retry), 0, total))
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "the worst case is reached: every attempt times out, and every delay is the longest",
    [Ladder, Millis, Millis],
    ([ladder, attempt, total]) =>
      Effect.sync(() => {
        const retry = policyOf(ladder)
        const run = simulate(retry, attempt, total, () => 1)
        assert.strictEqual(run.attempts, 1 + WorstCase.retriesWithin(WorstCase.longestDelays(retry), attempt, total))
        const endless = simulate(retry, attempt, Infinity, () => 1)
        assert.approximately(endless.millis, WorstCase.ladderMillis(retry, attempt), 1e-6)
        const soonest = simulate(retry, 0, total, () => 0)
        assert.strictEqual(soonest.attempts, 1 + WorstCase.retriesWithin(WorstCase.shortestDelays(retry), 0, total))
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "a policy that runs does what the arithmetic says",
    [Ladder, Millis, Millis],
    ([ladder, first, second]) =>
      Effect.gen(function* () {
        const [attempt, total] = [Math.min(first, second), Math.max(first, second)]
        const retry = policyOf(ladder)
        const policy = yield* Policy.make("worst-case", { retry, timeouts: { attempt, total } })
        let attempts = 0
        const hangs = Effect.suspend(() => {
          attempts++
          return Effect.never
        })
        const started = yield* Clock.currentTimeMillis
        let ended = started
        const call = policy
          .run(hangs as Effect.Effect<never, ErrorAction.Actionable>, { repeatable: true })
          .pipe(
            Effect.ensuring(Effect.map(Clock.currentTimeMillis, (now) => (ended = now))),
            Effect.provideService(Random.Random, { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 1 })
          )
        const fiber = yield* Effect.forkChild(call)
        const worst = Math.ceil(WorstCase.callMillis(retry, attempt, total))
        for (let at = 0; at <= worst; at += 50) yield* TestClock.adjust(50)
        assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
        assert.strictEqual(attempts, 1 + WorstCase.retriesWithin(WorstCase.longestDelays(retry), attempt, total))
        assert.isAtMost(ended - started, worst)
      }),
    { arbitrary: { runs: 20 } }
  )

  it.effect.prop(
    "no limiter lets more go in a window than it says",
    [Small, Small, Millis],
    ([burst, more, window]) =>
      Effect.sync(() => {
        const limits = { burst, perMinute: burst + more }
        const windows = [SlidingWindow.make(burst, 1_000), SlidingWindow.make(burst + more, 60_000)]
        let sent = 0
        for (let at = 0; at < window;) {
          const next = Math.max(...windows.map((each) => each.earliest(at)))
          if (next > at) {
            at = next
            continue
          }
          for (const each of windows) each.record(at)
          sent++
        }
        assert.isAtMost(sent, WorstCase.requestsWithin(limits, window))
        // Those who send as fast as they may reach it, to less than one burst.
        assert.isAbove(sent, WorstCase.requestsWithin(limits, window) - burst - 1)
      }),
    { arbitrary: { runs: 200 } }
  )

  it("has no bound where there is no limit", () => {
    assert.strictEqual(WorstCase.requestsWithin({}, 1_000), Infinity)
    assert.strictEqual(WorstCase.requestsWithin({ perDay: 5 }, 1_000), 5)
    assert.strictEqual(WorstCase.requestsWithin({ burst: 50 }, 10_000), 500)
    assert.strictEqual(WorstCase.requestsWithin({ burst: 50, perMinute: 100 }, 61_000), 200)
  })

  it.effect.prop(
    "no more attempts time out in a window than it says",
    [Small, Millis, Millis],
    ([places, attempt, window]) =>
      Effect.sync(() => {
        // The first of each place ends where the window begins.
        let ended = 0
        for (let at = 0; at <= window; at += attempt) ended += places
        assert.strictEqual(ended, WorstCase.timeoutsWithin(places, attempt, window))
      }),
    { arbitrary: { runs: 200 } }
  )

  it("counts the messages of one key that wait in hand", () => {
    const options = { holdMillis: 600_000, timeoutMillis: 30_000, prefetch: 64, partitions: 8 }
    assert.strictEqual(WorstCase.inHandMillis({ ...options, strict: false }), 630_000)
    assert.strictEqual(WorstCase.inHandMillis({ ...options, strict: true }), 840_000)
  })
})
