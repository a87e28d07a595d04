import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Policy from "../../src/policy/Policy.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Timeouts from "../../src/policy/Timeouts.ts"
import { random, retriable, runs } from "./observe.ts"

const timeouts = {
  connect: "1 second",
  read: "1500 millis",
  attempt: "2 seconds",
  total: "10 seconds"
} as const satisfies Timeouts.Timeouts

const errorOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

const settle = Effect.yieldNow.pipe(Effect.repeat({ times: 5 }))

/** A wire that reaches each phase after so many milliseconds; what is left out is never reached. */
const wire = (phases: {
  readonly connecting?: number
  readonly sent?: number
  readonly answered?: number
  readonly done?: number
}) =>
  Effect.flatMap(Timeouts.CurrentAttempt, (attempt) =>
    Effect.gen(function* () {
      let at = 0
      const until = (time: number) => {
        const wait = Effect.sleep(time - at)
        at = time
        return time === 0 ? Effect.void : wait
      }
      if (phases.connecting !== undefined) {
        yield* until(phases.connecting)
        attempt?.connecting()
      }
      if (phases.sent === undefined) return yield* Effect.never
      yield* until(phases.sent)
      attempt?.sent()
      if (phases.answered === undefined) return yield* Effect.never
      yield* until(phases.answered)
      attempt?.answered()
      if (phases.done === undefined) return yield* Effect.never
      yield* until(phases.done)
      return "done"
    })
  )

/** When a call ends and how: `success`, or the kind of timeout and its outcome. */
const ends = Effect.fnUntraced(function* (limits: Timeouts.Timeouts, self: Effect.Effect<unknown>) {
  const policy = yield* Policy.make("phases", { timeouts: limits })
  const fiber = yield* Effect.forkChild(Effect.exit(policy(self)))
  let millis = 0
  yield* TestClock.adjust(0)
  while (fiber.pollUnsafe() === undefined && millis < 20_000) {
    yield* TestClock.adjust(100)
    millis += 100
  }
  if (fiber.pollUnsafe() === undefined) return "never"
  const error = errorOf(yield* Fiber.join(fiber))
  return error === undefined ? `success at ${millis}` : `${error.kind} at ${millis}, ${error.outcome}`
})

describe("the kinds of timeout", () => {
  it.effect("connect: the connection takes too long, and the request was not processed", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ends(timeouts, wire({ connecting: 0 })), "connect at 1000, unprocessed")
      assert.strictEqual(yield* ends(timeouts, wire({ connecting: 300 })), "connect at 1300, unprocessed")
    })
  )

  it.effect("read: the first byte takes too long, counted from the request being sent", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ends(timeouts, wire({ connecting: 0, sent: 300 })), "read at 1800, unknown")
      assert.strictEqual(yield* ends(timeouts, wire({ sent: 0 })), "read at 1500, unknown")
    })
  )

  it.effect("attempt: the body takes too long", () =>
    Effect.gen(function* () {
      const body = wire({ connecting: 0, sent: 100, answered: 200 })
      assert.strictEqual(yield* ends(timeouts, body), "attempt at 2000, unknown")
    })
  )

  it.effect("a wire that ends each phase in time is not disturbed", () =>
    Effect.gen(function* () {
      const calm = wire({ connecting: 0, sent: 900, answered: 1900, done: 1900 })
      assert.strictEqual(yield* ends(timeouts, calm), "success at 1900")
      const { attempt: _, ...long } = timeouts
      const slow = wire({ connecting: 0, sent: 900, answered: 2300, done: 9000 })
      assert.strictEqual(yield* ends(long, slow), "success at 9000")
    })
  )

  it.effect("total: the budget of the whole call", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ends({ total: "3 seconds" }, Effect.never), "total at 3000, unknown")
      assert.strictEqual(
        yield* ends({ attempt: "3 seconds", total: "3 seconds" }, Effect.never),
        "total at 3000, unknown"
      )
    })
  )

  it.effect("the last attempt is cut short by what is left of the total budget", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("cut-short", {
        retry: RetryPolicy.make({ delays: ["500 millis", "500 millis", "500 millis"] }),
        timeouts: { attempt: "1 second", total: "3 seconds" }
      })
      let attempts = 0
      const fiber = yield* Effect.sync(() => attempts++).pipe(
        Effect.andThen(Effect.never),
        policy,
        Effect.exit,
        Effect.forkChild
      )
      // 0-1000 attempt, 1500-2500 attempt, a third would start at 3000.
      yield* TestClock.adjust(2500)
      const error = errorOf(yield* Fiber.join(fiber))
      assert.strictEqual(error.kind, "attempt")
      assert.strictEqual(attempts, 2)
    })
  )

  it.effect("connect alone was never enforced, where the wire connects later than it starts", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* ends({ connect: "1 second" }, wire({ connecting: 200 })),
        "connect at 1200, unprocessed"
      )
    })
  )

  it.effect("read was no longer enforced for a second request of the attempt, after the first was answered", () =>
    Effect.gen(function* () {
      // A redirect: answered at 100, the next request is sent at 2000 and never answered.
      const redirect = Effect.flatMap(Timeouts.CurrentAttempt, (attempt) =>
        Effect.gen(function* () {
          attempt?.sent()
          yield* Effect.sleep(100)
          attempt?.answered()
          yield* Effect.sleep(1900)
          attempt?.sent()
          return yield* Effect.never
        })
      )
      assert.strictEqual(yield* ends({ read: "1 second" }, redirect), "read at 3000, unknown")
    })
  )

  it.effect("a phase that was told late, by a fiber of an earlier attempt, counted for the one under way", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("late-phase", {
        retry: RetryPolicy.make({ delays: ["100 millis"] }),
        timeouts: { read: "1 second" }
      })
      let attempts = 0
      const body = Effect.flatMap(Timeouts.CurrentAttempt, (attempt) => {
        attempt?.sent()
        if (attempts++ > 0) return Effect.never
        return Effect.sleep("500 millis").pipe(
          Effect.andThen(Effect.sync(() => attempt?.answered())),
          Effect.forkDetach,
          Effect.andThen(Effect.fail(retriable))
        )
      })
      const fiber = yield* Effect.forkChild(Effect.exit(policy(body)))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(attempts, 2)
      assert.isDefined(fiber.pollUnsafe(), "nobody answered the second attempt, so its read timeout came")
    })
  )

  it.effect("phases at random times end as a naive model says", () =>
    Effect.gen(function* () {
      const next = random(7)
      const step = (most: number) => Math.floor(next() * most) * 100 + 50
      for (let run = 0; run < runs(60); run++) {
        const connecting = next() < 0.8 ? step(6) : undefined
        const sent = (connecting ?? 0) + step(14)
        const answered = sent + step(22)
        const done = answered + step(14)
        const phases = { ...(connecting === undefined ? {} : { connecting }), sent, answered, done }
        const candidates: Array<readonly [at: number, text: string]> = [[2000, "attempt"]]
        if (connecting === undefined) {
          if (sent > 1500) candidates.push([1500, "read"])
        } else {
          if (connecting > 1500) candidates.push([1500, "read"])
          if (sent > connecting + 1000) candidates.push([connecting + 1000, "connect"])
        }
        if (answered > sent + 1500) candidates.push([sent + 1500, "read"])
        candidates.push([done, "success"])
        if (new Set(candidates.map(([at]) => at)).size < candidates.length) continue
        const [at, text] = candidates.toSorted((a, b) => a[0] - b[0])[0]!
        const found = yield* ends(timeouts, wire(phases))
        assert.strictEqual(found.split(",")[0], `${text} at ${Math.ceil(at / 100) * 100}`, JSON.stringify(phases))
      }
    })
  )

  it.effect("an attempt that cannot be interrupted is waited for, and is a timeout of unknown outcome", () =>
    Effect.gen(function* () {
      const body = Effect.uninterruptible(Effect.as(Effect.sleep("3 seconds"), "late"))
      assert.strictEqual(yield* ends({ attempt: "1 second" }, body), "attempt at 3000, unknown")
    })
  )

  it.effect("an error on the way out is still the timeout", () =>
    Effect.gen(function* () {
      const body = Effect.never.pipe(Effect.onInterrupt(() => Effect.die("while cleaning up")))
      assert.strictEqual(yield* ends({ attempt: "1 second" }, body), "attempt at 1000, unknown")
    })
  )

  it.effect("one call's timeout does not touch another's", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("apart", { timeouts: { attempt: "1 second" } })
      const slow = yield* Effect.forkChild(Effect.exit(policy(Effect.never)))
      yield* TestClock.adjust("500 millis")
      const fast = yield* Effect.forkChild(policy(Effect.as(Effect.sleep("900 millis"), "fast")))
      const slower = yield* Effect.forkChild(Effect.exit(policy(Effect.never)))
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(errorOf(yield* Fiber.join(slow)).kind, "attempt")
      assert.isUndefined(fast.pollUnsafe())
      yield* TestClock.adjust("400 millis")
      assert.strictEqual(yield* Fiber.join(fast), "fast")
      assert.isUndefined(slower.pollUnsafe())
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(errorOf(yield* Fiber.join(slower)).kind, "attempt")
    })
  )

  it.effect("a thousand calls at once, of mixed durations, each end at their own time", () =>
    Effect.gen(function* () {
      const next = random(5)
      const policies = yield* Effect.forEach([300, 500, 700], (millis) =>
        Policy.make(`mixed-${millis}`, { timeouts: { attempt: millis } })
      )
      const all: Array<{ readonly limit: number; readonly takes: number; readonly end: () => string | undefined }> = []
      for (let i = 0; i < 1000; i++) {
        const which = Math.floor(next() * 3)
        const takes = Math.floor(next() * 1000)
        const limit = [300, 500, 700][which]!
        if (takes === limit) continue
        let end: string | undefined
        yield* Effect.sleep(takes).pipe(
          policies[which]!,
          Effect.exit,
          Effect.flatMap((exit) =>
            Effect.clockWith((clock) =>
              Effect.sync(() => {
                end = `${exit._tag} ${clock.currentTimeMillisUnsafe()}`
              })
            )
          ),
          Effect.forkChild
        )
        all.push({ limit, takes, end: () => end })
      }
      yield* settle
      yield* TestClock.adjust("2 seconds")
      for (const { end, limit, takes } of all) {
        assert.strictEqual(end(), takes < limit ? `Success ${takes}` : `Failure ${limit}`)
      }
    })
  )

  it.live("under the live clock a timeout comes about on time", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("live", { timeouts: { attempt: "60 millis" } })
      const [spent, exit] = yield* Effect.timed(Effect.exit(policy(Effect.never)))
      assert.strictEqual(errorOf(exit).kind, "attempt")
      assert.isAtLeast(Duration.toMillis(spent), 59)
      assert.isBelow(Duration.toMillis(spent), 500)
    })
  )
})

describe("Timeout", () => {
  it.effect("says which limit was reached, and whether the request may have been processed", () =>
    Effect.gen(function* () {
      const timeout = new Timeouts.Timeout({
        integration: "x",
        kind: "read",
        limit: Duration.millis(1500),
        outcome: "unknown"
      })
      assert.strictEqual(
        timeout.message,
        "the read timeout of 1s 500ms was reached; the request may have been processed"
      )
      assert.strictEqual(timeout.errorAction.kind, "retry")
      assert.strictEqual(timeout.errorAction.circuit, "failure")
      const total = new Timeouts.Timeout({
        ...timeout,
        kind: "total",
        limit: Duration.seconds(1),
        outcome: "unprocessed"
      })
      assert.strictEqual(total.errorAction.kind, "fail")
      assert.match(total.message, /not processed/)
    })
  )
})
