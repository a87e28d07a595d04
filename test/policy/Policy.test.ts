import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Context, Data, Deferred, Duration, Effect, Exit, Fiber, Random, Ref } from "effect"
import { TestClock } from "effect/testing"
import * as ErrorAction from "../../src/policy/ErrorAction.ts"
import * as Policy from "../../src/policy/Policy.ts"
import * as RequestContext from "../../src/policy/RequestContext.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import { calls, counts, Fault, final, observed, random, retriable, runs, script } from "./observe.ts"

const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
const breaker = { failurePercent: 50, window: "10 seconds", openFor: "30 seconds", minimumCalls: 2 } as const
const tagOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit) ? "success" : ErrorAction.tagOf(Cause.squash(exit.cause))
const errorOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
const listeners = (policy: Policy.Policy<any, any>): number => policy.circuit()!.listeners.size
/** Lets fibers that are ready run. */
const settle = Effect.yieldNow.pipe(Effect.repeat({ times: 5 }))

describe("the order of composition", () => {
  it("is printed as it is", () => {
    assert.strictEqual(
      Policy.order,
      "total timeout ( bulkhead ( retry ( is the circuit open? -> rate limit -> circuit admission ( attempt timeout ( request )))))"
    )
  })

  it.effect("an open circuit rejects before a token or a request is spent", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-open", { breaker, rateLimit: { perMinute: 10 } })
      const { effect, sent } = script(Effect.succeed("ok"))
      yield* policy(effect)
      yield* policy.circuit()!.forceOpen("test")
      for (let i = 0; i < 20; i++) assert.strictEqual(tagOf(yield* Effect.exit(policy(effect))), "CircuitOpen")
      assert.strictEqual(sent(), 1)
      assert.strictEqual((yield* policy.rateLimit!.status)[0]!.remaining, 9)
    })
  )

  it.effect("every attempt spends a token, retries included", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-tokens", {
        retry: RetryPolicy.make({ delays: ["10 millis", "10 millis", "10 millis"] }),
        rateLimit: { perMinute: 10 }
      })
      const { effect, sent } = script(Effect.fail(retriable))
      const fiber = yield* Effect.forkChild(Effect.exit(policy(effect)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(tagOf(yield* Fiber.join(fiber)), "Fault")
      assert.strictEqual(sent(), 4)
      assert.strictEqual((yield* policy.rateLimit!.status)[0]!.remaining, 6)
    })
  )

  it.effect("the next attempt waits for its token, in no second more than the burst", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-retry-burst", {
        retry: RetryPolicy.make({ delays: ["1 millis", "1 millis", "1 millis"] }),
        rateLimit: { burst: 1 }
      })
      const times: Array<number> = []
      const effect = Effect.flatMap(now, (at) => {
        times.push(at)
        return Effect.fail(retriable)
      })
      const fiber = yield* Effect.forkChild(Effect.exit(policy(effect)))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(times, [0, 1000, 2000, 3000])
    })
  )

  it.effect("a circuit that opens in the middle ends retrying at once, with the last error", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-opens", {
        retry: RetryPolicy.make({ delays: ["1 second", "1 second", "1 second", "1 second"] }),
        breaker
      })
      const { effect, sent } = script(Effect.fail(retriable))
      const fiber = yield* Effect.forkChild(Effect.exit(policy(effect)))
      yield* TestClock.adjust("1 second")
      const exit = fiber.pollUnsafe()
      assert.isDefined(exit, "the second failure opened the circuit, so the call has ended without another backoff")
      assert.strictEqual(errorOf(yield* Fiber.join(fiber)), retriable)
      assert.strictEqual(sent(), 2)
      assert.strictEqual(listeners(policy), 0)
    })
  )

  it.effect("a call that sleeps in its backoff is woken when another opens the circuit", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-sleeping", { retry: RetryPolicy.make({ delays: ["1 hour"] }), breaker })
      const { effect, sent } = script(Effect.fail(retriable))
      const first = yield* Effect.forkChild(Effect.exit(policy(effect)))
      yield* settle
      assert.strictEqual(listeners(policy), 1)
      assert.isUndefined(first.pollUnsafe())
      assert.strictEqual(tagOf(yield* Effect.exit(policy(effect))), "Fault")
      yield* settle
      assert.strictEqual(errorOf(yield* Fiber.join(first)), retriable)
      assert.strictEqual(sent(), 2)
      assert.strictEqual(listeners(policy), 0)
      assert.strictEqual(yield* now, 0)
    })
  )

  it.effect("a call that waits for a token is rejected when the circuit opens, and spends none", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-token-wait", { breaker, rateLimit: { perMinute: 1 } })
      const { effect, sent } = script(Effect.succeed("ok"))
      yield* policy(effect)
      const waiting = yield* Effect.forkChild(Effect.exit(policy(effect)))
      yield* settle
      assert.strictEqual(listeners(policy), 1)
      yield* policy.circuit()!.forceOpen("test")
      yield* settle
      assert.strictEqual(tagOf(yield* Fiber.join(waiting)), "CircuitOpen")
      assert.strictEqual(sent(), 1)
      assert.strictEqual(listeners(policy), 0)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* policy.rateLimit!.status)[0]!.remaining, 1)
    })
  )

  it.effect("the circuit is asked again when the token is there, before it is spent", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-half-open-token", {
        breaker: { ...breaker, openFor: "1 second" },
        rateLimit: { perMinute: 2 }
      })
      yield* Effect.exit(policy(Effect.fail(retriable)))
      yield* Effect.exit(policy(Effect.fail(retriable)))
      yield* TestClock.adjust("2 seconds")
      const { effect, sent } = script(Effect.never)
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.exit(policy(effect))))
      yield* TestClock.adjust("58 seconds")
      assert.strictEqual(sent(), 1, "one probe")
      assert.deepStrictEqual(
        fibers.slice(1).map((fiber) => tagOf((fiber.pollUnsafe() as any)?.value ?? Exit.void)),
        ["CircuitOpen", "CircuitOpen"]
      )
      assert.strictEqual((yield* policy.rateLimit!.status)[0]!.remaining, 1, "the rejected ones spent none")
    })
  )

  it.effect("a retry that does not fit the total budget is not waited for", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-total", {
        retry: RetryPolicy.make({ delays: ["400 millis", "700 millis"] }),
        timeouts: { total: "1 second" }
      })
      const { effect, sent } = script(Effect.fail(retriable))
      const fiber = yield* Effect.forkChild(Effect.exit(policy(effect)))
      yield* TestClock.adjust("400 millis")
      assert.strictEqual(sent(), 2)
      assert.isDefined(fiber.pollUnsafe())
      assert.strictEqual(errorOf(yield* Fiber.join(fiber)), retriable)
    })
  )

  it.effect("a retry that does not fit the inbound deadline is not waited for", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-inbound", {
        retry: RetryPolicy.make({ delays: ["400 millis"] }),
        timeouts: { total: "1 hour" }
      })
      const { effect, sent } = script(Effect.fail(retriable))
      const exit = yield* policy(effect).pipe(RequestContext.withDeadline("400 millis"), Effect.exit)
      assert.strictEqual(errorOf(exit), retriable)
      assert.strictEqual(sent(), 1)
    })
  )

  it.effect("the inbound deadline ends an attempt as the total timeout", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-inbound-attempt", {
        timeouts: { attempt: "10 seconds", total: "1 hour" }
      })
      const fiber = yield* policy(Effect.never).pipe(
        RequestContext.withDeadline("400 millis"),
        Effect.exit,
        Effect.forkChild
      )
      yield* TestClock.adjust("399 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const error = errorOf(yield* Fiber.join(fiber))
      assert.strictEqual(error._tag, "Timeout")
      assert.strictEqual(error.kind, "total")
      assert.strictEqual(error.outcome, "unknown")
      assert.strictEqual(Duration.toMillis(error.limit), 400)
    })
  )

  it.effect("a call whose inbound deadline has passed sends nothing", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-inbound-past", {
        timeouts: { total: "1 hour" },
        bulkhead: { maxConcurrent: 1 }
      })
      const plain = yield* Policy.make("order-inbound-past-plain", { timeouts: { total: "1 hour" } })
      const { effect, sent } = script(Effect.succeed("ok"))
      for (const each of [policy, plain]) {
        const error = errorOf(yield* each(effect).pipe(RequestContext.withDeadline(0), Effect.exit))
        assert.strictEqual(error?._tag, "Timeout")
        assert.strictEqual(error.outcome, "unprocessed")
      }
      assert.strictEqual(sent(), 0)
    })
  )

  it.effect("Retry-After is never shortened", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-retry-after", {
        retry: RetryPolicy.make({ delays: ["100 millis"], jitter: "full" })
      })
      const fault = new Fault({ errorAction: ErrorAction.wait, retryAfter: Duration.seconds(7) })
      const { effect, sent } = script(Effect.fail(fault), Effect.succeed("ok"))
      const fiber = yield* Effect.forkChild(policy(effect))
      yield* TestClock.adjust(6999)
      assert.strictEqual(sent(), 1)
      yield* TestClock.adjust(101)
      assert.strictEqual(yield* Fiber.join(fiber), "ok")
    })
  )

  it.effect("a Retry-After that does not fit the budget ends the call at once with the last error", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-retry-after-budget", {
        retry: RetryPolicy.make({ delays: ["100 millis"] }),
        timeouts: { total: "5 seconds" }
      })
      const fault = new Fault({ errorAction: ErrorAction.wait, retryAfter: Duration.days(365_000) })
      const { effect, sent } = script(Effect.fail(fault), Effect.succeed("ok"))
      assert.strictEqual(errorOf(yield* Effect.exit(policy(effect))), fault)
      assert.strictEqual(sent(), 1)
    })
  )

  it.effect("a Retry-After was shortened by up to a millisecond, where another call woke just before", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("retry-after-fraction", { retry: RetryPolicy.make({ delays: [0] }) })
      const fault = new Fault({ errorAction: ErrorAction.wait, retryAfter: Duration.seconds(1) })
      const spans: Array<number> = []
      const call = () => {
        let failedAt: number | undefined
        return Effect.flatMap(now, (at) => {
          if (failedAt === undefined) {
            failedAt = at
            return Effect.fail(fault)
          }
          spans.push(at - failedAt)
          return Effect.void
        })
      }
      yield* Effect.forkChild(policy(call()))
      yield* TestClock.adjust(Duration.micros(900n))
      yield* Effect.forkChild(policy(call()))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(spans.length, 2)
      for (const span of spans) assert.isAtLeast(span, 1000)
    })
  )

  it.effect("the Retry-After of an error that a classifier decided was ignored", () =>
    Effect.gen(function* () {
      class Busy extends Data.TaggedError("Busy")<{ readonly retryAfter: Duration.Duration }> {}
      const policy = yield* Policy.make("classified-retry-after", {
        classify: ErrorAction.tags({ Busy: ErrorAction.wait }),
        retry: RetryPolicy.make({ delays: ["10 millis"] })
      })
      let sent = 0
      const effect = Effect.suspend(() =>
        sent++ === 0 ? Effect.fail(new Busy({ retryAfter: Duration.seconds(7) })) : Effect.void
      )
      yield* Effect.forkChild(policy(effect))
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(sent, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(sent, 2)
    })
  )

  it.effect("an action that holds keeps the other calls back for the Retry-After, those that fit the budget", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-holds", {
        rateLimit: { perMinute: 1000 },
        timeouts: { total: "10 seconds" }
      })
      const holding = new Fault({
        errorAction: ErrorAction.make("wait", { holds: true }),
        retryAfter: Duration.seconds(5)
      })
      assert.strictEqual(errorOf(yield* Effect.exit(policy(Effect.fail(holding)))), holding)
      const { effect, sent } = script(Effect.succeed("ok"))
      const short = yield* policy(effect).pipe(RequestContext.withDeadline("4 seconds"), Effect.exit)
      assert.strictEqual(errorOf(short)._tag, "RateLimitExceeded")
      assert.strictEqual(errorOf(short).limit, "provider")
      assert.strictEqual(Duration.toMillis(errorOf(short).retryAfter), 5000)
      const fits = yield* Effect.forkChild(policy(effect))
      yield* TestClock.adjust(4999)
      assert.strictEqual(sent(), 0)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(fits), "ok")
    })
  )

  it.effect("an action that does not hold leaves the other calls alone", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-holds-not", { rateLimit: { perMinute: 1000 } })
      const waits = new Fault({ errorAction: ErrorAction.wait, retryAfter: Duration.seconds(5) })
      yield* Effect.exit(policy(Effect.fail(waits)))
      assert.strictEqual(yield* policy(Effect.succeed("ok")), "ok")
    })
  )

  it.effect("a hold that comes while calls wait for tokens refuses at once those whose budget it does not fit", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("order-hold-waiting", {
        rateLimit: { burst: 1 },
        timeouts: { total: "1 hour" }
      })
      yield* policy(Effect.void)
      const short = yield* policy(Effect.void).pipe(
        RequestContext.withDeadline("3 seconds"),
        Effect.exit,
        Effect.forkChild
      )
      const long = yield* Effect.forkChild(policy(Effect.succeed("ok")))
      yield* settle
      yield* policy.rateLimit!.hold("10 seconds")
      yield* settle
      assert.strictEqual(errorOf((short.pollUnsafe() as any).value).limit, "provider")
      yield* TestClock.adjust(9999)
      assert.isUndefined(long.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(long), "ok")
    })
  )

  it.effect("a hold that refused one call, whose failure interrupted the next, lost an unrelated third for ever", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("hold-reentrant", { rateLimit: { burst: 1 }, timeouts: { total: "1 hour" } })
      yield* policy(Effect.void)
      // Two waiters of one caller: when the hold refuses the first, the caller interrupts the second.
      const pair = yield* Effect.all([policy(Effect.void), policy(Effect.void)], { concurrency: 2 }).pipe(
        RequestContext.withDeadline("4 seconds"),
        Effect.exit,
        Effect.forkChild
      )
      yield* settle
      const third = yield* Effect.forkChild(policy(Effect.succeed("ok")))
      yield* settle
      yield* policy.rateLimit!.hold("10 seconds")
      yield* settle
      assert.strictEqual(errorOf((pair.pollUnsafe() as any).value)._tag, "RateLimitExceeded")
      yield* TestClock.adjust("1 minute")
      assert.isDefined(third.pollUnsafe(), "the third got its token when the hold was over")
    })
  )

  it.effect("a waiter whose budget ran out stayed queued past it, behind one with a longer budget", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("token-wait-late", { rateLimit: { burst: 1 }, timeouts: { total: "1 hour" } })
      yield* policy(Effect.void)
      const patient = yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkChild(policy(Effect.void)))
      const hurried = yield* policy(Effect.void).pipe(
        RequestContext.withDeadline("5500 millis"),
        Effect.exit,
        Effect.forkChild
      )
      yield* settle
      assert.isUndefined(hurried.pollUnsafe())
      yield* policy.rateLimit!.hold("5 seconds")
      yield* TestClock.adjust("5500 millis")
      assert.isDefined(hurried.pollUnsafe(), "its budget of 5.5 seconds is over")
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(patient.every((fiber) => fiber.pollUnsafe() !== undefined))
    })
  )

  it.effect("nested policies: the inner one's rejection is an error of the outer one's attempt", () =>
    Effect.gen(function* () {
      const inner = yield* Policy.make("nested-inner", { breaker })
      const outer = yield* Policy.make("nested-outer", { retry: RetryPolicy.make({ delays: ["1 second"] }), breaker })
      yield* inner.circuit()!.forceOpen("test")
      const exit = yield* Effect.exit(outer(inner(Effect.succeed("ok"))))
      assert.strictEqual(tagOf(exit), "CircuitOpen")
      assert.strictEqual((yield* outer.circuit()!.state)._tag, "Closed")
    })
  )
})

describe("retrying", () => {
  it.effect("ends after as many attempts as the ladder has rungs, and one", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("retry-ladder", {
        retry: RetryPolicy.make({ delays: ["1 second", "2 seconds", "4 seconds"] })
      })
      const times: Array<number> = []
      const effect = Effect.flatMap(now, (at) => {
        times.push(at)
        return Effect.fail(retriable)
      })
      const fiber = yield* Effect.forkChild(Effect.exit(policy(effect)))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(times, [0, 1000, 3000, 7000])
    })
  )

  it.effect("fail and skip end the call at once", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("retry-final", { retry: RetryPolicy.make({ delays: ["1 second"] }) })
      for (const errorAction of [ErrorAction.fail, ErrorAction.skip, ErrorAction.refresh]) {
        const { effect, sent } = script(Effect.fail(new Fault({ errorAction })))
        assert.strictEqual(tagOf(yield* Effect.exit(policy(effect))), "Fault")
        assert.strictEqual(sent(), 1)
      }
    })
  )

  it.effect("a call that may not be repeated is retried only where it was not processed", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("retry-unrepeatable", { retry: RetryPolicy.make({ delays: [0, 0] }) })
      const sends = Effect.fnUntraced(function* (outcome: ErrorAction.Outcome | undefined, repeatable: boolean) {
        const fault = new Fault({ errorAction: ErrorAction.retry, ...(outcome === undefined ? {} : { outcome }) })
        const { effect, sent } = script(Effect.fail(fault), Effect.succeed("ok"))
        yield* Effect.exit(policy.with({ repeatable })(effect))
        return sent()
      })
      assert.strictEqual(yield* sends("unprocessed", false), 2)
      assert.strictEqual(yield* sends("unknown", false), 1)
      assert.strictEqual(yield* sends("processed", false), 1)
      assert.strictEqual(yield* sends(undefined, false), 1)
      assert.strictEqual(yield* sends("unknown", true), 2)
    })
  )

  it.effect("a timeout of a plain effect that may not be repeated was retried as if nothing had been sent", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("retry-plain-read", {
        retry: RetryPolicy.make({ delays: ["10 millis"] }),
        timeouts: { read: "1 second", attempt: "2 seconds" }
      })
      // A plain effect tells no phases, so nobody knows whether it took effect.
      const { effect, sent } = script(Effect.never)
      const fiber = yield* Effect.forkChild(Effect.exit(policy.with({ repeatable: false })(effect)))
      yield* TestClock.adjust("10 seconds")
      const error = errorOf(yield* Fiber.join(fiber))
      assert.strictEqual(error.outcome, "unknown")
      assert.strictEqual(sent(), 1)
    })
  )

  it.effect("a defect of a plain effect counted for nothing where the policy has a read timeout", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("defect-plain-read", { breaker, timeouts: { read: "1 second" } })
      yield* Effect.exit(policy(Effect.die("boom")))
      yield* Effect.exit(policy(Effect.die("boom")))
      assert.strictEqual((yield* policy.circuit()!.state)._tag, "Open")
    })
  )

  it.effect("refreshes the credentials exactly once, and tries once more", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("refresh-once", { retry: RetryPolicy.make({ delays: [0, 0, 0] }) })
      const unauthorized = new Fault({ errorAction: ErrorAction.refresh, outcome: "unprocessed" })
      let refreshed = 0
      const refresh = () => Effect.sync(() => ++refreshed > 0)
      const { effect, sent } = script(Effect.fail(unauthorized))
      assert.strictEqual(errorOf(yield* Effect.exit(policy.with({ refresh })(effect))), unauthorized)
      assert.strictEqual(sent(), 2)
      assert.strictEqual(refreshed, 1)
      const again = script(Effect.fail(unauthorized), Effect.succeed("ok"))
      assert.strictEqual(yield* policy.with({ refresh })(again.effect), "ok")
      assert.strictEqual(refreshed, 2)
    })
  )

  it.effect("refreshes also between two retries, once, and not when refreshing makes no sense", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("refresh-between", { retry: RetryPolicy.make({ delays: [0, 0, 0] }) })
      const unauthorized = new Fault({ errorAction: ErrorAction.refresh, outcome: "unprocessed" })
      let refreshed = 0
      const { effect, sent } = script(
        Effect.fail(retriable),
        Effect.fail(unauthorized),
        Effect.fail(retriable),
        Effect.fail(unauthorized)
      )
      const refresh = () => Effect.sync(() => ++refreshed > 0)
      assert.strictEqual(errorOf(yield* Effect.exit(policy.with({ refresh })(effect))), unauthorized)
      assert.strictEqual(refreshed, 1)
      assert.strictEqual(sent(), 4)
      const other = script(Effect.fail(unauthorized))
      yield* Effect.exit(policy.with({ refresh: () => Effect.succeed(false) })(other.effect))
      assert.strictEqual(other.sent(), 1)
    })
  )

  it.effect("a refresh that hung held the call past its total timeout", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("refresh-hangs", { timeouts: { total: "1 second" } })
      const unauthorized = new Fault({ errorAction: ErrorAction.refresh, outcome: "unprocessed" })
      const fiber = yield* policy
        .with({ refresh: () => Effect.never })(Effect.fail(unauthorized))
        .pipe(Effect.exit, Effect.forkChild)
      yield* TestClock.adjust("2 seconds")
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("an attempt was sent after the budget, where the refresh took longer than it", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("refresh-late", { timeouts: { total: "1 second" } })
      const unauthorized = new Fault({ errorAction: ErrorAction.refresh, outcome: "unprocessed" })
      const { effect, sent } = script(Effect.fail(unauthorized), Effect.succeed("ok"))
      const fiber = yield* policy
        .with({ refresh: () => Effect.as(Effect.sleep("5 seconds"), true) })(effect)
        .pipe(Effect.exit, Effect.forkChild)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(sent(), 1)
    })
  )

  it.effect("a call that may not be repeated was sent again after a refresh, though it may have been processed", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("refresh-unrepeatable", {})
      const { effect, sent } = script(
        Effect.fail(new Fault({ errorAction: ErrorAction.refresh, outcome: "unknown" })),
        Effect.succeed("ok")
      )
      yield* Effect.exit(policy.with({ repeatable: false, refresh: () => Effect.succeed(true) })(effect))
      assert.strictEqual(sent(), 1)
    })
  )

  it.effect("interrupted in its backoff, a call makes no further attempt and leaves nothing behind", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("interrupt-backoff", {
        retry: RetryPolicy.make({ delays: ["1 second", "1 second"] }),
        breaker: { ...breaker, minimumCalls: 100 },
        rateLimit: { perMinute: 100 },
        bulkhead: { maxConcurrent: 1 },
        timeouts: { total: "1 hour" }
      })
      const { effect, sent } = script(Effect.fail(retriable))
      const fiber = yield* Effect.forkChild(policy(effect))
      yield* settle
      assert.strictEqual(listeners(policy), 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* now, 0, "the interruption did not wait out the delay")
      assert.strictEqual(listeners(policy), 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(sent(), 1)
      assert.strictEqual(yield* policy(Effect.succeed("free")), "free", "its permit came back")
    })
  )

  it.effect("interrupted while it waits for a token, a call spends none and leaves nothing behind", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("interrupt-token", {
        breaker,
        rateLimit: { perMinute: 1 },
        bulkhead: { maxConcurrent: 2 }
      })
      const { effect, sent } = script(Effect.succeed("ok"))
      yield* policy(effect)
      const first = yield* Effect.forkChild(policy(effect))
      const second = yield* Effect.forkChild(policy(effect))
      yield* settle
      yield* Fiber.interrupt(first)
      assert.strictEqual(listeners(policy), 1)
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual(sent(), 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(second), "ok", "the place of the interrupted one went to the next")
      assert.strictEqual(listeners(policy), 0)
      assert.strictEqual(sent(), 2)
    })
  )

  it.effect("works inside an uninterruptible region: timeouts fire, and the attempt is ended", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("uninterruptible", { timeouts: { attempt: "1 second" } })
      const interrupted = yield* Ref.make(false)
      const fiber = yield* Effect.never.pipe(
        Effect.onInterrupt(() => Ref.set(interrupted, true)),
        policy,
        Effect.uninterruptible,
        Effect.exit,
        Effect.forkChild
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(errorOf(yield* Fiber.join(fiber)).kind, "attempt")
      assert.isTrue(yield* Ref.get(interrupted))
    })
  )
})

describe("what a call leaves alone", () => {
  it.effect("the context of the caller reaches the attempt", () =>
    Effect.gen(function* () {
      const Tenant = Context.Reference<string>("test/Tenant", { defaultValue: () => "none" })
      const policy = yield* Policy.make("context", { timeouts: { attempt: "1 second" } })
      assert.strictEqual(yield* policy(Tenant.use(Effect.succeed)).pipe(Effect.provideService(Tenant, "acme")), "acme")
    })
  )

  it.effect("a call that calls the same policy from within works, synchronously and not", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("reentrant", {
        retry: RetryPolicy.make({ delays: [0] }),
        breaker,
        rateLimit: { perMinute: 3 },
        bulkhead: { maxConcurrent: 3 },
        timeouts: { total: "1 hour" }
      })
      const leaf = Effect.succeed("leaf")
      assert.strictEqual(yield* policy(policy(policy(leaf))), "leaf")
      const fiber = yield* Effect.forkChild(policy(Effect.andThen(Effect.yieldNow, policy(leaf))))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), "leaf")
      assert.strictEqual((yield* policy.rateLimit!.status)[0]!.remaining, 1)
    })
  )

  it.effect("one policy's effect can run many times over", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("repeated", { timeouts: { total: "1 second" } })
      const { effect, sent } = script(Effect.succeed("ok"))
      const call = policy(effect)
      for (let i = 0; i < 100; i++) yield* call
      assert.strictEqual(sent(), 100)
    })
  )

  it.effect("a defect passes as a defect and is not retried", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("defect", { retry: RetryPolicy.make({ delays: [0, 0] }), breaker })
      let sent = 0
      const effect = Effect.suspend((): Effect.Effect<never> => {
        sent++
        throw new Error("thrown while constructing")
      })
      const exit = yield* Effect.exit(policy(effect))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.strictEqual(sent, 1)
      yield* Effect.exit(policy(effect))
      assert.strictEqual((yield* policy.circuit()!.state)._tag, "Open", "defects count as failures")
    })
  )

  it.effect("an attempt that interrupts itself ends the call as interrupted, and counts for nothing", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("self-interrupt", { retry: RetryPolicy.make({ delays: [0, 0] }), breaker })
      for (let i = 0; i < 5; i++) {
        const exit = yield* Effect.exit(policy(Effect.interrupt))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      }
      assert.strictEqual((yield* policy.circuit()!.state)._tag, "Closed")
    })
  )

  it.effect("the cause of the last error reaches the caller whole", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("whole-cause", { bulkhead: { maxConcurrent: 1 } })
      const cause = Cause.combine(Cause.fail(final), Cause.die("while cleaning up"))
      const exit = yield* Effect.exit(policy(Effect.failCause(cause)))
      assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.length === 2)
    })
  )

  it.effect("an error that is itself an effect was run, behind a bulkhead", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("error-is-effect", {
        classify: ErrorAction.all(ErrorAction.fail),
        bulkhead: { maxConcurrent: 1 }
      })
      const exit = yield* Effect.exit(policy(Effect.fail(Exit.succeed("not an answer"))))
      assert.isTrue(Exit.isFailure(exit))
    })
  )

  it.effect("a classifier that threw left an asynchronous call hanging for ever", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("classifier-throws", {
        classify: ErrorAction.from((_: string): ErrorAction.ErrorAction => {
          throw new Error("bug in the classifier")
        })
      })
      let fail = (): void => undefined
      const effect = Effect.callback<never, string>((resume) => {
        fail = () => resume(Effect.fail("x"))
      })
      const fiber = yield* Effect.forkChild(Effect.exit(policy(effect)))
      yield* settle
      yield* Effect.exit(Effect.sync(() => fail()))
      yield* settle
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("a refresh that threw before it gave an effect left an asynchronous call hanging for ever", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("refresh-throws", {})
      let fail = (): void => undefined
      const effect = Effect.callback<never, Fault>((resume) => {
        fail = () => resume(Effect.fail(new Fault({ errorAction: ErrorAction.refresh, outcome: "unprocessed" })))
      })
      const refresh = (): Effect.Effect<boolean> => {
        throw new Error("bug in the refresh")
      }
      const fiber = yield* Effect.forkChild(Effect.exit(policy.with({ refresh })(effect)))
      yield* settle
      yield* Effect.exit(Effect.sync(() => fail()))
      yield* settle
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("an error without an action is decided by the classifier, one with an action by itself", () =>
    Effect.gen(function* () {
      class Odd extends Data.TaggedError("Odd") {}
      const policy = yield* Policy.make("classified", {
        classify: ErrorAction.tags({ Odd: ErrorAction.retry, Fault: ErrorAction.retry })
      })
      assert.strictEqual(policy.classify(new Odd()), ErrorAction.retry)
      assert.strictEqual(policy.classify(final), ErrorAction.fail)
      assert.strictEqual(policy.classify({ _tag: "Unheard" }), ErrorAction.fail)
      assert.strictEqual(policy.classify(undefined), ErrorAction.fail)
    })
  )
})

describe("what is counted", () => {
  it.effect("each call once, whatever its attempts and however it ends", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("counted", {
          retry: RetryPolicy.make({ delays: [0, 0] }),
          breaker: { ...breaker, minimumCalls: 1000 },
          timeouts: { attempt: "1 second" }
        })
        yield* policy(script(Effect.fail(retriable), Effect.succeed("ok")).effect)
        yield* Effect.exit(policy(Effect.fail(final)))
        yield* Effect.exit(policy(Effect.fail(retriable)))
        yield* Effect.exit(policy(Effect.die("x")))
        assert.deepStrictEqual(yield* counts("counted"), {
          attempts_total: 7,
          circuit_open: 0,
          "retries_total{Fault}": 3,
          "requests_total{success}": 1,
          "requests_total{Fault}": 2,
          "requests_total{defect}": 1,
          latency_ms: 4
        })
      })
    )
  )

  it.effect("a call interrupted in its attempt was counted twice", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("counted_interrupt", {})
        const fiber = yield* Effect.forkChild(policy(Effect.never))
        yield* settle
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* calls("counted_interrupt"), 1)
      })
    )
  )

  it.effect("a call interrupted in its backoff, in a token wait or in the queue was not counted", () =>
    observed(() =>
      Effect.gen(function* () {
        const backoff = yield* Policy.make("counted_backoff", { retry: RetryPolicy.make({ delays: ["1 hour"] }) })
        const token = yield* Policy.make("counted_token", { rateLimit: { perMinute: 1 } })
        const queue = yield* Policy.make("counted_queue", { bulkhead: { maxConcurrent: 1, maxQueue: 1 } })
        yield* token(Effect.void)
        yield* Effect.forkChild(queue(Effect.never))
        yield* settle
        const fibers = [
          yield* Effect.forkChild(Effect.exit(backoff(Effect.fail(retriable)))),
          yield* Effect.forkChild(Effect.exit(token(Effect.void))),
          yield* Effect.forkChild(Effect.exit(queue(Effect.void)))
        ]
        yield* settle
        yield* Fiber.interruptAll(fibers)
        assert.deepStrictEqual(
          [yield* calls("counted_backoff"), yield* calls("counted_token"), yield* calls("counted_queue")],
          [1, 2, 1]
        )
      })
    )
  )

  it.effect("a rejection of the bulkhead was neither counted nor logged", () =>
    observed((lines) =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("counted_full", { bulkhead: { maxConcurrent: 1 } })
        yield* Effect.forkChild(policy(Effect.never))
        yield* settle
        assert.strictEqual(tagOf(yield* Effect.exit(policy(Effect.void))), "BulkheadFull")
        assert.strictEqual((yield* counts("counted_full"))["requests_total{BulkheadFull}"], 1)
        assert.strictEqual(lines.filter((line) => line.level === "Warn").length, 1)
      })
    )
  )

  it.effect("a call that got through the queue was counted as timed out when its total timeout would have come", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("counted_queued", {
          bulkhead: { maxConcurrent: 1, maxQueue: 1 },
          timeouts: { total: "10 seconds" }
        })
        const first = yield* Effect.forkChild(policy(Effect.sleep("1 second")))
        yield* settle
        const second = yield* Effect.forkChild(policy(Effect.succeed("ok")))
        yield* TestClock.adjust("1 second")
        yield* Fiber.joinAll([first, second])
        yield* TestClock.adjust("1 minute")
        const found = yield* counts("counted_queued")
        assert.strictEqual(found["requests_total{success}"], 2)
        assert.isUndefined(found["requests_total{Timeout}"])
      })
    )
  )

  it.effect("the BulkheadFull of an inner policy was counted twice by the outer one", () =>
    observed(() =>
      Effect.gen(function* () {
        const inner = yield* Policy.make("full_inner", { bulkhead: { maxConcurrent: 1 } })
        const outer = yield* Policy.make("full_outer", { bulkhead: { maxConcurrent: 5 } })
        yield* Effect.forkChild(inner(Effect.never))
        yield* settle
        assert.strictEqual(tagOf(yield* Effect.exit(outer(inner(Effect.void)))), "BulkheadFull")
        assert.strictEqual(yield* calls("full_outer"), 1)
      })
    )
  )
})

describe("under random interrupts", () => {
  it.effect("no permit, listener or place in a queue leaks, and no more calls run than may", () =>
    Effect.gen(function* () {
      const next = random(4711)
      for (let run = 0; run < runs(60); run++) {
        const policy = yield* Policy.make("random-interrupts", {
          retry: RetryPolicy.make({ delays: ["5 millis", "5 millis"], jitter: "full" }),
          breaker: { failurePercent: 60, window: "1 second", openFor: "30 millis", minimumCalls: 5 },
          rateLimit: { burst: 20, perMinute: 500 },
          bulkhead: { maxConcurrent: 3, maxQueue: 6 },
          timeouts: { attempt: "20 millis", total: "200 millis" }
        })
        let running = 0
        let most = 0
        const body = (sleep: number, kind: number) =>
          Effect.suspend(() => {
            running++
            most = Math.max(most, running)
            const wait = sleep === 0 ? Effect.void : Effect.sleep(sleep)
            if (kind < 0.3) return Effect.andThen(wait, Effect.fail(retriable))
            if (kind < 0.35) return Effect.andThen(wait, Effect.die("x"))
            if (kind < 0.4) return Effect.andThen(wait, Effect.uninterruptible(Effect.sleep(30)))
            return wait
          }).pipe(Effect.onExit(() => Effect.sync(() => running--)))
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let step = 0; step < 40; step++) {
          const dice = next()
          if (dice < 0.6) {
            const call = policy(body(next() < 0.3 ? 0 : Math.floor(next() * 40), next()))
            fibers.push(yield* Effect.forkChild(Effect.exit(call)))
          } else if (dice < 0.8 && fibers.length > 0) {
            const victim = fibers[Math.floor(next() * fibers.length)]!
            yield* Effect.forkChild(Fiber.interrupt(victim))
          } else if (dice < 0.82) yield* policy.rateLimit!.hold(Math.floor(next() * 50))
          else if (dice < 0.84) yield* policy.circuit()!.forceOpen("test")
          else if (dice < 0.88) yield* policy.circuit()!.forceClosed
          else yield* TestClock.adjust(Math.floor(next() * 20))
        }
        yield* policy.circuit()!.forceClosed
        yield* TestClock.adjust("2 seconds")
        assert.isTrue(
          fibers.every((fiber) => fiber.pollUnsafe() !== undefined),
          "every call has ended"
        )
        assert.strictEqual(running, 0)
        assert.isAtMost(most, 3)
        assert.strictEqual(listeners(policy), 0)
        yield* policy.circuit()!.forceClosed
        const gate = yield* Deferred.make<void>()
        const last = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.exit(policy(Deferred.await(gate)))))
        yield* settle
        assert.strictEqual(
          tagOf(yield* Effect.exit(policy(Effect.void)).pipe(Effect.raceFirst(Effect.exit(Effect.yieldNow)))),
          "success"
        )
        yield* Deferred.succeed(gate, undefined)
        const ends = yield* Effect.forEach(last, Fiber.join)
        assert.deepStrictEqual(ends.map(tagOf), ["success", "success", "success"], "all three permits came back")
      }
    })
  )

  it.effect("every call is counted exactly once", () =>
    observed(() =>
      Effect.gen(function* () {
        const next = random(99)
        const policy = yield* Policy.make("random_counted", {
          retry: RetryPolicy.make({ delays: ["5 millis"], jitter: "full" }),
          bulkhead: { maxConcurrent: 2, maxQueue: 3 },
          rateLimit: { burst: 10 },
          timeouts: { attempt: "20 millis", total: "100 millis" }
        })
        const made = 300
        for (let i = 0; i < made; i++) {
          const body = next() < 0.5 ? Effect.fail(retriable) : Effect.sleep(Math.floor(next() * 30))
          const fiber = yield* Effect.forkChild(Effect.exit(policy(body)))
          yield* settle
          if (next() < 0.3) yield* Effect.forkChild(Fiber.interrupt(fiber))
          yield* TestClock.adjust(Math.floor(next() * 20))
        }
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* calls("random_counted"), made)
      })
    )
  )

  it.effect("a backoff of a fraction of a nanosecond more than the clock counts kept the alarm ringing for ever", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("fraction-backoff", {
        retry: RetryPolicy.make({ delays: [1000, 1000, 1000], jitter: "full" })
      })
      const { effect, sent } = script(Effect.fail(retriable))
      const fiber = yield* policy(effect).pipe(Effect.exit, Random.withSeed("any"), Effect.forkChild)
      yield* TestClock.adjust("10 seconds")
      assert.isDefined(fiber.pollUnsafe())
      assert.strictEqual(sent(), 4)
    })
  )

  it.effect("the seed of Random decides the jitter, so that a test can repeat it", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("seeded", {
        retry: RetryPolicy.make({ delays: ["1 second", "1 second"], jitter: "full" })
      })
      const times = Effect.fnUntraced(function* (seed: string) {
        const found: Array<number> = []
        const start = yield* now
        const effect = Effect.flatMap(now, (at) => {
          found.push(at - start)
          return Effect.fail(retriable)
        })
        const fiber = yield* policy(effect).pipe(Effect.exit, Random.withSeed(seed), Effect.forkChild)
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(fiber)
        return found.map(Math.round)
      })
      assert.deepStrictEqual(yield* times("a"), yield* times("a"))
      assert.notDeepEqual(yield* times("a"), yield* times("b"))
    })
  )
})
