import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, DateTime, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as ErrorAction from "../../src/policy/ErrorAction.ts"
import * as Policy from "../../src/policy/Policy.ts"
import * as RateLimit from "../../src/policy/RateLimit.ts"
import * as RequestContext from "../../src/policy/RequestContext.ts"
import { random, runs } from "./observe.ts"

const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
const settle = Effect.yieldNow.pipe(Effect.repeat({ times: 5 }))
const errorOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

/** In no window are more granted than the limit: every pair of grants that far apart is checked. */
const assertWithin = (granted: ReadonlyArray<number>, limit: number | undefined, millis: number, text = ""): void => {
  if (limit === undefined) return
  for (let i = limit; i < granted.length; i++) {
    assert.isAtLeast(granted[i]! - granted[i - limit]!, millis - 1e-6, `${limit} in ${millis} ms ${text}`)
  }
}

describe("in no window more than the limit", () => {
  it.effect("a minute, a second and a day at once, over random arrivals of callers that wait", () =>
    Effect.gen(function* () {
      for (let run = 0; run < runs(25); run++) {
        const next = random(run)
        const burst = next() < 0.8 ? 1 + Math.floor(next() * 5) : undefined
        const perMinute = next() < 0.8 ? (burst ?? 1) + Math.floor(next() * 30) : undefined
        const perDay = next() < 0.5 ? (perMinute ?? burst ?? 1) + Math.floor(next() * 60) : undefined
        const limits = {
          ...(burst === undefined ? {} : { burst }),
          ...(perMinute === undefined ? {} : { perMinute }),
          ...(perDay === undefined ? {} : { perDay })
        }
        const limit = yield* RateLimit.make("random", limits)
        const granted: Array<number> = []
        const take = Effect.flatMap(Effect.exit(limit.take), (exit) =>
          Exit.isSuccess(exit) ? Effect.map(now, (at) => granted.push(at)) : Effect.void
        )
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        let interrupted = 0
        for (let step = 0; step < 80; step++) {
          fibers.push(yield* Effect.forkChild(take))
          yield* settle
          if (next() < 0.1) {
            yield* Fiber.interrupt(fibers[Math.floor(next() * fibers.length)]!)
            interrupted++
          }
          if (next() < 0.5) yield* TestClock.adjust(next() * next() * 5000)
        }
        yield* TestClock.adjust("2 hours")
        assert.isTrue(
          fibers.every((fiber) => fiber.pollUnsafe() !== undefined),
          `nobody waits for ever, run ${run}`
        )
        assertWithin(granted, burst, 1000, `run ${run}`)
        assertWithin(granted, perMinute, 60_000, `run ${run}`)
        assertWithin(granted, perDay, 86_400_000, `run ${run}`)
        assert.isAtLeast(granted.length, Math.min(perDay ?? Infinity, 80) - interrupted)
      }
    })
  )

  it.effect("above 2,048 the window moves in steps, and still errs on the safe side, by little", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("stepped", { perMinute: 3000 })
      const granted: Array<number> = []
      const take = Effect.flatMap(limit.take, () => Effect.map(now, (at) => granted.push(at)))
      yield* TestClock.adjust(12_345)
      yield* Effect.replicateEffect(Effect.forkChild(take), 7000)
      yield* TestClock.adjust("3 minutes")
      assert.strictEqual(granted.length, 7000)
      assertWithin(granted, 3000, 60_000)
      assert.isAtMost(granted.at(-1)! - 12_345, 120_000 + 3 * 59)
    })
  )

  it.effect("a burst above 2,048, whose steps are no whole nanoseconds, is granted to everybody who waits", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("stepped-burst", { burst: 3000 })
      const granted: Array<number> = []
      const take = Effect.flatMap(limit.take, () => Effect.map(now, (at) => granted.push(at)))
      yield* TestClock.adjust(12_345)
      yield* Effect.replicateEffect(Effect.forkChild(take), 7000)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(granted.length, 7000)
      assertWithin(granted, 3000, 1000)
    })
  )

  it.effect("the burst and the minute both bind, and no more than they must", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("both", { burst: 2, perMinute: 5 })
      const granted: Array<number> = []
      const take = Effect.flatMap(limit.take, () => Effect.map(now, (at) => granted.push(at)))
      yield* Effect.replicateEffect(Effect.forkChild(take), 11)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(granted, [0, 0, 1000, 1000, 2000, 60_000, 60_000, 61_000, 61_000, 62_000, 120_000])
    })
  )

  it.effect("a timer that rang a little early, as a host's may, let a token go before its time", () =>
    Effect.gen(function* () {
      let millis = 0
      let ring = (): void => undefined
      const clock: Clock.Clock = {
        ...(yield* Clock.Clock),
        monotonicTimeNanosUnsafe: () => BigInt(Math.round(millis * 1e6)),
        sleep: () =>
          Effect.callback((resume) => {
            ring = () => resume(Effect.void)
          })
      }
      const limit = yield* RateLimit.make("early", { burst: 1 })
      const granted: Array<number> = []
      const take = Effect.map(limit.take, () => granted.push(millis)).pipe(Effect.provideService(Clock.Clock, clock))
      yield* take
      yield* Effect.forkChild(take)
      yield* settle
      millis = 999.2
      ring()
      yield* settle
      assert.deepStrictEqual(granted, [0])
      millis = 1000
      ring()
      yield* settle
      assert.deepStrictEqual(granted, [0, 1000])
    })
  )

  it.effect("a newcomer overtook those who waited, where their timer was late", () =>
    Effect.gen(function* () {
      let millis = 0
      const clock: Clock.Clock = {
        ...(yield* Clock.Clock),
        monotonicTimeNanosUnsafe: () => BigInt(Math.round(millis * 1e6)),
        sleep: () => Effect.never
      }
      const limit = yield* RateLimit.make("late", { burst: 1 })
      const granted: Array<string> = []
      const take = (name: string) =>
        Effect.map(limit.take, () => granted.push(name)).pipe(Effect.provideService(Clock.Clock, clock))
      yield* take("first")
      const second = yield* Effect.forkChild(take("second"))
      yield* settle
      millis = 1500
      yield* Effect.forkChild(take("third"))
      yield* settle
      assert.deepStrictEqual(granted, ["first"])
      // Whoever is first in the queue and leaves it lets go the next.
      yield* Fiber.interrupt(second)
      yield* settle
      assert.deepStrictEqual(granted, ["first", "third"])
    })
  )

  it.live("nor under the live clock", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("live", { burst: 3 })
      const granted: Array<number> = []
      const take = Effect.flatMap(limit.take, () => Effect.map(now, (at) => granted.push(at)))
      yield* Effect.all(
        Array.from({ length: 7 }, () => take),
        { concurrency: "unbounded" }
      )
      assertWithin(granted, 3, 1000)
      assert.isBelow(granted.at(-1)! - granted[0]!, 2500)
    })
  )
})

describe("waiting for a token", () => {
  it.effect("is first come first served, and an interrupted waiter gives its place to the next", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("fifo", { burst: 1 })
      const order: Array<readonly [who: number, at: number]> = []
      yield* limit.take
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], (who) =>
        Effect.forkChild(Effect.flatMap(limit.take, () => Effect.map(now, (at) => order.push([who, at]))))
      )
      yield* settle
      yield* Fiber.interrupt(fibers[0]!)
      yield* TestClock.adjust(1500)
      yield* Fiber.interrupt(fibers[2]!)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(order, [
        [2, 1000],
        [4, 2000],
        [5, 3000]
      ])
    })
  )

  it.effect("a newcomer does not pass those who wait", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("no-passing", { burst: 1 })
      const order: Array<string> = []
      yield* limit.take
      yield* Effect.forkChild(Effect.map(limit.take, () => order.push("waiter")))
      yield* settle
      yield* TestClock.adjust(999)
      yield* Effect.forkChild(Effect.map(limit.take, () => order.push("newcomer")))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(order, ["waiter", "newcomer"])
    })
  )

  it.effect("fails at once where it does not fit the deadline, and says when there is room and what is full", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("deadline", { burst: 1, perMinute: 2 })
      yield* limit.take
      const burst = errorOf(yield* Effect.exit(RequestContext.withDeadline("1 second")(limit.take)))
      assert.strictEqual(burst._tag, "RateLimitExceeded")
      assert.strictEqual(burst.limit, "burst")
      assert.strictEqual(Duration.toMillis(burst.retryAfter), 1000)
      assert.strictEqual(burst.outcome, "unprocessed")
      assert.strictEqual(burst.errorAction.kind, "wait")
      assert.strictEqual(burst.errorAction.circuit, "ignored")
      yield* TestClock.adjust("1 second")
      yield* limit.take
      const minute = errorOf(yield* Effect.exit(RequestContext.withDeadline("59 seconds")(limit.take)))
      assert.strictEqual(minute.limit, "perMinute")
      assert.strictEqual(Duration.toMillis(minute.retryAfter), 59_000)
      const fiber = yield* Effect.forkChild(RequestContext.withDeadline(59_001)(limit.take))
      yield* TestClock.adjust("59 seconds")
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("counts those who wait already when it says how long the wait is", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("queue-length", { burst: 2 })
      yield* Effect.replicateEffect(Effect.forkChild(limit.take), 7)
      yield* settle
      // Two went at 0, two wait for 1000, two for 2000, one for 3000: the next goes at 3000, the one after at 4000.
      const error = errorOf(yield* Effect.exit(limit.tryTake))
      assert.strictEqual(Duration.toMillis(error.retryAfter), 3000)
      yield* Effect.forkChild(limit.take)
      yield* settle
      const next = errorOf(yield* Effect.exit(limit.tryTake))
      assert.strictEqual(Duration.toMillis(next.retryAfter), 4000)
    })
  )

  it.effect("tryTake never waits", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("try", { burst: 1 })
      yield* limit.tryTake
      assert.strictEqual(errorOf(yield* Effect.exit(limit.tryTake))._tag, "RateLimitExceeded")
      assert.strictEqual(yield* now, 0)
      yield* TestClock.adjust(1000)
      yield* limit.tryTake
    })
  )

  it.effect("goes on for everybody under random interrupts, holds and deadlines", () =>
    Effect.gen(function* () {
      for (let run = 0; run < runs(150); run++) {
        const next = random(run)
        const burst = 1 + Math.floor(next() * 3)
        const limit = yield* RateLimit.make("random-holds", { burst, perMinute: 60 })
        const granted: Array<number> = []
        let holdUntil = 0
        const take = Effect.flatMap(limit.take, () => Effect.map(now, (at) => granted.push(at)))
        const fibers: Array<readonly [endsAt: number, fiber: Fiber.Fiber<unknown, unknown>]> = []
        for (let step = 0; step < 40; step++) {
          const dice = next()
          const at = yield* now
          if (dice < 0.55) {
            const deadline = next() < 0.5 ? Infinity : Math.floor(next() * 5000)
            const call = deadline === Infinity ? take : RequestContext.withDeadline(deadline)(take)
            fibers.push([at + deadline, yield* Effect.forkChild(Effect.exit(call))])
            yield* settle
          } else if (dice < 0.7 && fibers.length > 0) {
            yield* Fiber.interrupt(fibers[Math.floor(next() * fibers.length)]![1])
          } else if (dice < 0.75) {
            const millis = Math.floor(next() * 2000)
            holdUntil = Math.max(holdUntil, at + millis)
            yield* limit.hold(millis)
          } else yield* TestClock.adjust(Math.floor(next() * 900))
          const last = granted.at(-1)
          if (last !== undefined && last === at) assert.isAtLeast(last, 0)
        }
        yield* TestClock.adjust("3 minutes")
        assert.isTrue(
          fibers.every(([, fiber]) => fiber.pollUnsafe() !== undefined),
          `somebody waits for ever in run ${run}`
        )
        assertWithin(granted, burst, 1000, `run ${run}`)
        assertWithin(granted, 60, 60_000, `run ${run}`)
      }
    })
  )
})

describe("the daily quota", () => {
  it.effect("is exhausted at once, and says when it resets", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("quota", { perDay: 3 })
      yield* TestClock.setTime(Date.UTC(2026, 0, 1, 12))
      yield* limit.take
      yield* TestClock.adjust("1 hour")
      yield* limit.take
      yield* limit.take
      yield* TestClock.adjust("2 hours")
      const error = errorOf(yield* Effect.exit(limit.take))
      assert.strictEqual(error._tag, "QuotaExhausted")
      assert.strictEqual(error.limit, 3)
      assert.strictEqual(DateTime.formatIso(error.resetsAt), "2026-01-02T12:00:00.000Z")
      assert.strictEqual(Duration.toMillis(error.retryAfter), 21 * 3_600_000)
      assert.isTrue(error.errorAction.outage)
      assert.strictEqual(error.errorAction.kind, "fail")
      assert.match(error.message, /the daily quota of 3 requests is used up until 2026-01-02T12:00:00.000Z/)
      yield* TestClock.adjust("21 hours")
      yield* limit.take
      assert.strictEqual(errorOf(yield* Effect.exit(limit.take))._tag, "QuotaExhausted")
    })
  )

  it.effect("counts those who wait for a token already", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("quota-queue", { burst: 1, perDay: 3 })
      const fibers = yield* Effect.replicateEffect(Effect.forkChild(Effect.exit(limit.take)), 5)
      yield* settle
      assert.deepStrictEqual(
        fibers.slice(3).map((fiber) => errorOf((fiber.pollUnsafe() as any)?.value)?._tag),
        ["QuotaExhausted", "QuotaExhausted"]
      )
      yield* TestClock.adjust("1 minute")
      const exits = yield* Effect.forEach(fibers, Fiber.join)
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 3)
    })
  )

  it.effect("of a policy ends the call, with no retry", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("quota-policy", { rateLimit: { perDay: 1 } })
      yield* policy(Effect.void)
      assert.strictEqual(errorOf(yield* Effect.exit(policy(Effect.void)))._tag, "QuotaExhausted")
    })
  )
})

describe("holding", () => {
  it.effect("keeps everybody back, and is never shortened by another hold", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("hold", { perMinute: 100 })
      yield* limit.hold("10 seconds")
      yield* limit.hold("1 second")
      const error = errorOf(yield* Effect.exit(limit.tryTake))
      assert.strictEqual(error.limit, "provider")
      assert.strictEqual(Duration.toMillis(error.retryAfter), 10_000)
      assert.match(error.message, /the provider asked to wait/)
      const fiber = yield* Effect.forkChild(limit.take)
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* limit.hold("2 seconds")
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("a wall clock set back by an hour changes nothing", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("hold-wall", { burst: 1 })
      yield* TestClock.adjust("3 hours")
      yield* limit.take
      yield* TestClock.setTime(0)
      assert.strictEqual(Duration.toMillis(errorOf(yield* Effect.exit(limit.tryTake)).retryAfter), 1000)
      yield* TestClock.adjust("1 second")
      yield* limit.tryTake
    })
  )

  it.effect("for ever refuses every call that has a deadline, and does not overflow a timer", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("hold-ever", { burst: 1 })
      yield* limit.hold(Duration.infinity)
      const error = errorOf(yield* Effect.exit(RequestContext.withDeadline("1 day")(limit.take)))
      assert.strictEqual(error.limit, "provider")
      assert.include(error.message, "nothing was sent")
      const fiber = yield* Effect.forkChild(Effect.exit(limit.take))
      yield* TestClock.adjust("100 days")
      assert.strictEqual(errorOf((fiber.pollUnsafe() as any)?.value)?._tag, "RateLimitExceeded")
    })
  )

  it.live("for longer than a host timer can be set is waited for, and does not fire at once", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("hold-long", { burst: 1 })
      yield* limit.hold("100 days")
      const fiber = yield* Effect.forkChild(limit.take)
      yield* Effect.sleep(30)
      assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("the status", () => {
  it.effect("says how each limit stands, the narrowest window first", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("status", { perDay: 100, burst: 2, perMinute: 10 })
      yield* limit.take
      yield* TestClock.adjust(400)
      yield* limit.take
      assert.deepStrictEqual(yield* limit.status, [
        { limit: "burst", quota: 2, windowSeconds: 1, remaining: 0, resetMillis: 600 },
        { limit: "perMinute", quota: 10, windowSeconds: 60, remaining: 8, resetMillis: 0 },
        { limit: "perDay", quota: 100, windowSeconds: 86_400, remaining: 98, resetMillis: 0 }
      ])
      yield* TestClock.adjust(600)
      assert.strictEqual((yield* limit.status)[0]!.remaining, 1)
    })
  )

  it.effect("said that there was room while the provider's Retry-After held every call back", () =>
    Effect.gen(function* () {
      const limit = yield* RateLimit.make("status-hold", { perMinute: 10 })
      yield* limit.hold("10 seconds")
      assert.strictEqual((yield* limit.status)[0]!.resetMillis, 10_000)
    })
  )
})

describe("the errors of a rate limit", () => {
  it("carry actions of the outage class that count for nothing at the circuit", () => {
    const exceeded = new RateLimit.RateLimitExceeded({
      integration: "x",
      limit: "burst",
      retryAfter: Duration.millis(5)
    })
    assert.isTrue(ErrorAction.isActionable(exceeded))
    assert.isTrue(exceeded.errorAction.outage)
    assert.strictEqual(exceeded.errorAction.circuit, "ignored")
  })
})
