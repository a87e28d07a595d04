import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Context, Deferred, Duration, Effect, Exit, Fiber, References, Scheduler, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as ErrorAction from "../../src/policy/ErrorAction.ts"
import * as Policy from "../../src/policy/Policy.ts"
import { Fault, final, observed, random, retriable, runs, script } from "./observe.ts"

const quiet = Context.make(References.MinimumLogLevel, "None")
const settle = Effect.yieldNow.pipe(Effect.repeat({ times: 5 }))
const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
const errorOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
const tagOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit) ? "success" : ErrorAction.tagOf(Cause.squash(exit.cause))
const options: CircuitBreaker.Options = {
  failurePercent: 50,
  window: "10 seconds",
  openFor: "30 seconds",
  minimumCalls: 2,
  probeTimeout: "5 seconds"
}
const tag = (circuit: CircuitBreaker.CircuitBreaker) => Effect.map(circuit.state, (state) => state._tag)
const fail = Effect.fail(retriable)

/** A circuit that has just opened. */
const opened = Effect.fnUntraced(function* (name: string, more?: Partial<CircuitBreaker.Options>) {
  const circuit = yield* CircuitBreaker.make(name, { ...options, ...more })
  yield* Effect.exit(circuit.execute(fail))
  yield* Effect.exit(circuit.execute(fail))
  assert.strictEqual(yield* tag(circuit), "Open")
  return circuit
})

describe("when the circuit opens", () => {
  it.effect("not before the minimum of calls, however many of them fail", () =>
    Effect.gen(function* () {
      const circuit = yield* CircuitBreaker.make("minimum", { ...options, minimumCalls: 10 })
      for (let i = 0; i < 9; i++) yield* Effect.exit(circuit.execute(fail))
      assert.strictEqual(yield* tag(circuit), "Closed")
      yield* Effect.exit(circuit.execute(fail))
      assert.strictEqual(yield* tag(circuit), "Open")
    })
  )

  it.effect("at ten calls by default", () =>
    Effect.gen(function* () {
      const circuit = yield* CircuitBreaker.make("minimum-default", {
        failurePercent: 1,
        window: "10 seconds",
        openFor: "1 second"
      })
      for (let i = 0; i < 9; i++) yield* Effect.exit(circuit.execute(fail))
      assert.strictEqual(yield* tag(circuit), "Closed")
      yield* Effect.exit(circuit.execute(fail))
      assert.strictEqual(yield* tag(circuit), "Open")
    })
  )

  it.effect("exactly at the threshold, not one below it", () =>
    Effect.gen(function* () {
      const opensAt = Effect.fnUntraced(function* (failurePercent: number, successes: number) {
        const circuit = yield* CircuitBreaker.make("threshold", { ...options, failurePercent, minimumCalls: 1 })
        for (let i = 0; i < successes; i++) yield* circuit.execute(Effect.void)
        let failures = 0
        while ((yield* tag(circuit)) === "Closed" && failures < 1000) {
          yield* Effect.exit(circuit.execute(fail))
          failures++
        }
        return failures
      })
      assert.strictEqual(yield* opensAt(50, 7), 7)
      assert.strictEqual(yield* opensAt(100, 0), 1)
      assert.strictEqual(yield* opensAt(10, 90), 10)
      assert.strictEqual(yield* opensAt(0.1, 999), 1)
      assert.strictEqual(yield* opensAt(100, 1), 1000)
    })
  )

  it.effect("a success never opens it, even where it completes the minimum", () =>
    Effect.gen(function* () {
      const circuit = yield* CircuitBreaker.make("success-completes", { ...options, minimumCalls: 3 })
      yield* Effect.exit(circuit.execute(fail))
      yield* Effect.exit(circuit.execute(fail))
      yield* circuit.execute(Effect.void)
      assert.strictEqual(yield* tag(circuit), "Closed")
      yield* Effect.exit(circuit.execute(fail))
      assert.strictEqual(yield* tag(circuit), "Open")
    })
  )

  it.effect("hour-old failures do not trip it", () =>
    Effect.gen(function* () {
      const circuit = yield* CircuitBreaker.make("old", { ...options, minimumCalls: 10 })
      for (let i = 0; i < 9; i++) yield* Effect.exit(circuit.execute(fail))
      yield* TestClock.adjust("1 hour")
      for (let i = 0; i < 9; i++) yield* Effect.exit(circuit.execute(fail))
      assert.strictEqual(yield* tag(circuit), "Closed")
      yield* Effect.exit(circuit.execute(fail))
      assert.strictEqual(yield* tag(circuit), "Open")
    })
  )

  it.effect("the window slides in tenths: a call is forgotten after 90 to 100 % of it", () =>
    Effect.gen(function* () {
      const forgotten = Effect.fnUntraced(function* (start: number, later: number) {
        const circuit = yield* CircuitBreaker.make("tenths", options)
        const at = yield* now
        yield* TestClock.adjust(100_000 - (at % 100_000) + start)
        yield* Effect.exit(circuit.execute(fail))
        yield* TestClock.adjust(later)
        yield* Effect.exit(circuit.execute(fail))
        return (yield* tag(circuit)) === "Closed"
      })
      assert.isFalse(yield* forgotten(0, 9999))
      assert.isTrue(yield* forgotten(0, 10_000))
      assert.isFalse(yield* forgotten(999, 9000))
      assert.isTrue(yield* forgotten(999, 9001))
    })
  )

  it.effect("a wall clock that is set back by an hour changes nothing", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("3 hours")
      const circuit = yield* opened("wall")
      yield* TestClock.adjust("10 seconds")
      const wall = yield* Clock.currentTimeMillis
      yield* TestClock.setTime(wall - 3_600_000)
      assert.strictEqual(yield* Clock.currentTimeMillis, wall - 3_600_000)
      const error = errorOf(yield* Effect.exit(circuit.execute(Effect.void)))
      assert.strictEqual(Duration.toMillis(error.retryAfter), 20_000)
      yield* TestClock.adjust("20 seconds")
      yield* circuit.execute(Effect.void)
      assert.strictEqual(yield* tag(circuit), "Closed")
      yield* TestClock.setTime(0)
      yield* Effect.exit(circuit.execute(fail))
      yield* Effect.exit(circuit.execute(fail))
      assert.strictEqual(yield* tag(circuit), "Open")
    })
  )

  it.effect("counts a defect and an error without action as failures, an interruption and `ignored` not at all", () =>
    Effect.gen(function* () {
      const after = Effect.fnUntraced(function* (self: Effect.Effect<unknown, unknown>) {
        const circuit = yield* CircuitBreaker.make("what-counts", { ...options, minimumCalls: 1, failurePercent: 100 })
        yield* Effect.exit(circuit.execute(self))
        return yield* tag(circuit)
      })
      assert.strictEqual(yield* after(Effect.die("x")), "Open")
      assert.strictEqual(yield* after(Effect.fail("no action")), "Open")
      assert.strictEqual(yield* after(fail), "Open")
      assert.strictEqual(yield* after(Effect.fail(final)), "Closed")
      assert.strictEqual(yield* after(Effect.fail(new Fault({ errorAction: ErrorAction.wait }))), "Closed")
      assert.strictEqual(yield* after(Effect.interrupt), "Closed")
    })
  )
})

describe("while it is open", () => {
  it.effect("rejects for as long as it says, and says when it may admit again", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("rejects")
      const { effect, sent } = script(Effect.succeed("ok"))
      yield* TestClock.adjust("29999 millis")
      const error = errorOf(yield* Effect.exit(circuit.execute(effect)))
      assert.strictEqual(error._tag, "CircuitOpen")
      assert.strictEqual(error.reason, "failures")
      assert.strictEqual(error.outcome, "unprocessed")
      assert.strictEqual(Duration.toMillis(error.retryAfter), 1)
      assert.strictEqual(sent(), 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* circuit.execute(effect), "ok")
    })
  )

  it.effect("a success from before the opening changes nothing, also after it reopened", () =>
    Effect.gen(function* () {
      const circuit = yield* CircuitBreaker.make("stale-success", options)
      const gate = yield* Deferred.make<void>()
      const stale = yield* Effect.forkChild(circuit.execute(Deferred.await(gate)))
      yield* settle
      yield* Effect.exit(circuit.execute(fail))
      yield* Effect.exit(circuit.execute(fail))
      yield* TestClock.adjust("30 seconds")
      yield* Effect.exit(circuit.execute(fail))
      assert.strictEqual(yield* tag(circuit), "Open", "the probe failed")
      yield* TestClock.adjust("30 seconds")
      const probe = yield* Effect.forkChild(circuit.execute(Effect.never))
      yield* settle
      assert.strictEqual(yield* tag(circuit), "HalfOpen")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(stale)
      assert.strictEqual(yield* tag(circuit), "HalfOpen", "another's success is not the probe's")
      yield* Fiber.interrupt(probe)
    })
  )

  it.effect("a failure from before the opening does not count against the closed circuit", () =>
    Effect.gen(function* () {
      const circuit = yield* CircuitBreaker.make("stale-failure", options)
      const gate = yield* Deferred.make<void>()
      const late = circuit.execute(Effect.andThen(Deferred.await(gate), fail))
      const stale = yield* Effect.replicateEffect(Effect.forkChild(Effect.exit(late)), 10)
      yield* settle
      yield* Effect.exit(circuit.execute(fail))
      yield* Effect.exit(circuit.execute(fail))
      yield* TestClock.adjust("30 seconds")
      yield* circuit.execute(Effect.void)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach(stale, Fiber.join)
      assert.strictEqual(yield* tag(circuit), "Closed")
    })
  )
})

describe("the probe", () => {
  it.effect("of a hundred callers at once exactly one gets through, the others are rejected and do not wait", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("hundred")
      yield* TestClock.adjust("30 seconds")
      const gate = yield* Deferred.make<void>()
      let through = 0
      const body = Effect.andThen(
        Effect.sync(() => through++),
        Deferred.await(gate)
      )
      const fibers = yield* Effect.replicateEffect(Effect.forkChild(Effect.exit(circuit.execute(body))), 100)
      yield* settle
      assert.strictEqual(through, 1)
      assert.strictEqual(fibers.filter((fiber) => fiber.pollUnsafe() === undefined).length, 1)
      yield* Deferred.succeed(gate, undefined)
      const exits = yield* Effect.forEach(fibers, Fiber.join)
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
      const rejected = exits.filter(Exit.isFailure).map(errorOf)
      assert.isTrue(rejected.every((error) => error._tag === "CircuitOpen" && error.reason === "probing"))
      assert.isUndefined(rejected[0].retryAfter, "nobody knows when the probe ends")
      assert.strictEqual(yield* tag(circuit), "Closed")
    })
  )

  it.effect("its failure opens the circuit again, for as long as before", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("probe-fails")
      yield* TestClock.adjust("30 seconds")
      yield* Effect.exit(circuit.execute(fail))
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(tagOf(yield* Effect.exit(circuit.execute(Effect.void))), "CircuitOpen")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(tagOf(yield* Effect.exit(circuit.execute(Effect.void))), "success")
    })
  )

  it.effect("its interruption frees the place for the next caller, and does not close the circuit", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("probe-interrupted")
      yield* TestClock.adjust("30 seconds")
      const probe = yield* Effect.forkChild(circuit.execute(Effect.never))
      yield* settle
      yield* Fiber.interrupt(probe)
      assert.strictEqual(yield* tag(circuit), "Open")
      const next = yield* Effect.forkChild(circuit.execute(Effect.never))
      yield* settle
      assert.strictEqual(yield* tag(circuit), "HalfOpen")
      yield* Fiber.interrupt(next)
    })
  )

  it.effect("its interruption frees the place at whatever step the interruption comes", () =>
    Effect.gen(function* () {
      const circuit = yield* CircuitBreaker.make("probe-steps", options)
      for (const operations of [2, 3, 4, 5]) {
        for (let steps = 0; steps < 20; steps++) {
          yield* circuit.forceClosed
          yield* Effect.exit(circuit.execute(fail))
          yield* Effect.exit(circuit.execute(fail))
          yield* TestClock.adjust("30 seconds")
          // A fiber that yields after every few operations.
          const probe = yield* circuit
            .execute(Effect.never)
            .pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, operations), Effect.forkChild)
          for (let step = 0; step < steps; step++) yield* Effect.yieldNow
          yield* Fiber.interrupt(probe)
          assert.notStrictEqual(yield* tag(circuit), "HalfOpen", `after ${steps} steps of ${operations} operations`)
        }
      }
    })
  )

  it.effect("in a policy: its interruption frees the place at whatever step the interruption comes", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("probe-policy-steps", { breaker: options })
      const circuit = policy.circuit()!
      const bodies = { failing: fail, hanging: Effect.never, dying: Effect.die("x"), fine: Effect.void }
      for (const [name, body] of Object.entries(bodies)) {
        for (const operations of [2, 3, 4, 5]) {
          for (let steps = 0; steps < 12; steps++) {
            yield* circuit.forceClosed
            yield* Effect.exit(circuit.execute(fail))
            yield* Effect.exit(circuit.execute(fail))
            yield* TestClock.adjust("30 seconds")
            const probe = yield* policy(body as Effect.Effect<void, Fault>).pipe(
              Effect.provideService(Scheduler.MaxOpsBeforeYield, operations),
              Effect.exit,
              Effect.forkChild
            )
            for (let step = 0; step < steps; step++) yield* Effect.yieldNow
            yield* Fiber.interrupt(probe)
            const text = `${name}, after ${steps} steps of ${operations} operations`
            assert.notStrictEqual(yield* tag(circuit), "HalfOpen", text)
          }
        }
      }
    })
  )

  it.effect("two were let through at once, where one called from a listener of the hung probe's end", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("probe-reentrant")
      assert.isAtLeast(circuit.admitUnsafe(30_000, quiet), 0)
      let inner = -1
      const listener = () => {
        inner = circuit.admitUnsafe(65_000, quiet)
      }
      circuit.listeners.add(listener)
      // The probe has failed at 35,000, and the circuit may admit again at 65,000.
      const outer = circuit.admitUnsafe(65_000, quiet)
      const admitted = [inner, outer].filter((generation) => generation >= 0)
      assert.strictEqual(admitted.length, 1)
    })
  )

  it.effect("a defect in it is a failure", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("probe-defect")
      yield* TestClock.adjust("30 seconds")
      yield* Effect.exit(circuit.execute(Effect.die("x")))
      const state = yield* circuit.state
      assert.strictEqual(state._tag === "Open" && state.until, 60_000)
    })
  )

  it.effect("one that hangs has failed at its deadline, and the circuit goes on", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("probe-hangs")
      yield* TestClock.adjust("30 seconds")
      const gate = yield* Deferred.make<void>()
      const hanging = yield* Effect.forkChild(circuit.execute(Deferred.await(gate)))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(yield* tag(circuit), "HalfOpen")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* tag(circuit), "Open")
      assert.strictEqual(tagOf(yield* Effect.exit(circuit.execute(Effect.void))), "CircuitOpen")
      yield* TestClock.adjust("30 seconds")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(hanging)
      assert.strictEqual(yield* tag(circuit), "Open", "what the hung probe answers later says nothing")
      assert.strictEqual(tagOf(yield* Effect.exit(circuit.execute(Effect.void))), "success")
      assert.strictEqual(yield* tag(circuit), "Closed")
    })
  )

  it.effect("one that hung left no trace of its failure in the transitions", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("probe-hangs-transitions")
      const seen = yield* Effect.forkChild(Stream.runCollect(Stream.take(circuit.transitions, 4)))
      yield* settle
      yield* TestClock.adjust("30 seconds")
      yield* Effect.forkChild(circuit.execute(Effect.never))
      yield* TestClock.adjust("35 seconds")
      yield* circuit.execute(Effect.void)
      yield* settle
      assert.isDefined(seen.pollUnsafe(), "four changes")
      assert.deepStrictEqual(
        (yield* Fiber.join(seen)).map((change) => [change.from, change.to, change.reason]),
        [
          ["Open", "HalfOpen", "probe admitted"],
          ["HalfOpen", "Open", "probe failed"],
          ["Open", "HalfOpen", "probe admitted"],
          ["HalfOpen", "Closed", "probe succeeded"]
        ]
      )
    })
  )

  it.effect("answered with 429 and Retry-After it is released, and the circuit stays open until then", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("probe-429", { breaker: options })
      yield* Effect.exit(policy(fail))
      yield* Effect.exit(policy(fail))
      yield* TestClock.adjust("30 seconds")
      const limited = new Fault({
        errorAction: ErrorAction.make("wait", { holds: true }),
        retryAfter: Duration.seconds(90)
      })
      assert.strictEqual(errorOf(yield* Effect.exit(policy(Effect.fail(limited)))), limited)
      const error = errorOf(yield* Effect.exit(policy(Effect.void)))
      assert.strictEqual(error._tag, "CircuitOpen")
      assert.strictEqual(Duration.toMillis(error.retryAfter), 90_000)
      yield* TestClock.adjust("89999 millis")
      assert.strictEqual(tagOf(yield* Effect.exit(policy(Effect.void))), "CircuitOpen")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(tagOf(yield* Effect.exit(policy(Effect.void))), "success")
    })
  )

  it.effect("answered with 404 it closes the circuit: the provider is healthy", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("probe-404")
      yield* TestClock.adjust("30 seconds")
      yield* Effect.exit(circuit.execute(Effect.fail(final)))
      assert.strictEqual(yield* tag(circuit), "Closed")
    })
  )

  it.effect("after it closed the circuit, what was counted before is forgotten", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("forgets", { openFor: "1 second" })
      yield* TestClock.adjust("1 second")
      yield* circuit.execute(Effect.void)
      yield* Effect.exit(circuit.execute(fail))
      assert.strictEqual(yield* tag(circuit), "Closed")
    })
  )

  it.effect("in a policy: interrupted, timed out and hung probes do not jam the circuit", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("probe-policy", { breaker: options, timeouts: { attempt: "1 second" } })
      const circuit = policy.circuit()!
      const open = Effect.gen(function* () {
        yield* circuit.forceClosed
        yield* Effect.exit(policy(fail))
        yield* Effect.exit(policy(fail))
        yield* TestClock.adjust("30 seconds")
      })
      yield* open
      const interrupted = yield* Effect.forkChild(policy(Effect.never))
      yield* settle
      yield* Fiber.interrupt(interrupted)
      assert.strictEqual(yield* tag(circuit), "Open")
      assert.strictEqual(tagOf(yield* Effect.exit(policy(Effect.void))), "success")
      yield* open
      const timedOut = yield* Effect.forkChild(Effect.exit(policy(Effect.never)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(tagOf(yield* Fiber.join(timedOut)), "Timeout")
      assert.strictEqual(tagOf(yield* Effect.exit(policy(Effect.void))), "CircuitOpen")
      yield* open
      const hung = yield* Effect.forkChild(Effect.exit(policy(Effect.uninterruptible(Effect.sleep("1 hour")))))
      yield* TestClock.adjust("35 seconds")
      assert.strictEqual(tagOf(yield* Effect.exit(policy(Effect.void))), "success")
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(hung)
      assert.strictEqual(yield* tag(circuit), "Closed")
    })
  )
})

describe("what people see of it", () => {
  it.effect("its transitions come in order, with their reasons", () =>
    Effect.gen(function* () {
      const circuit = yield* CircuitBreaker.make("transitions", options)
      const seen = yield* Effect.forkChild(Stream.runCollect(Stream.take(circuit.transitions, 8)))
      yield* settle
      yield* Effect.exit(circuit.execute(fail))
      yield* Effect.exit(circuit.execute(fail))
      yield* TestClock.adjust("30 seconds")
      yield* Effect.exit(circuit.execute(fail))
      yield* TestClock.adjust("30 seconds")
      yield* Effect.exit(circuit.execute(Effect.interrupt))
      yield* circuit.execute(Effect.void)
      yield* circuit.forceOpen("maintenance")
      yield* settle
      assert.deepStrictEqual(
        (yield* Fiber.join(seen)).map((change) => [change.from, change.to, change.reason, change.at]),
        [
          ["Closed", "Open", "threshold", 0],
          ["Open", "HalfOpen", "probe admitted", 30_000],
          ["HalfOpen", "Open", "probe failed", 30_000],
          ["Open", "HalfOpen", "probe admitted", 60_000],
          ["HalfOpen", "Open", "probe released", 60_000],
          ["Open", "HalfOpen", "probe admitted", 60_000],
          ["HalfOpen", "Closed", "probe succeeded", 60_000],
          ["Closed", "ForcedOpen", "operator", 60_000]
        ]
      )
    })
  )

  const alerts = Effect.fnUntraced(function* <A, E, R>(self: Effect.Effect<A, E, R>) {
    const notices: Array<string> = []
    yield* Effect.provideService(self, ErrorAction.AlertHook, (notice) =>
      Effect.sync(() => notices.push(`${notice.kind}: ${notice.message}`))
    )
    yield* settle
    return notices
  })

  it.effect("alertAfter counts from the first opening, through failed probes, and alerts once", () =>
    Effect.gen(function* () {
      const circuit = yield* CircuitBreaker.make("alerts", { ...options, alertAfter: "1 minute" })
      const before = yield* alerts(
        Effect.gen(function* () {
          yield* Effect.exit(circuit.execute(fail))
          yield* Effect.exit(circuit.execute(fail))
          yield* TestClock.adjust("30 seconds")
          yield* Effect.exit(circuit.execute(fail))
          yield* TestClock.adjust("29999 millis")
          yield* Effect.exit(circuit.execute(fail))
        })
      )
      assert.deepStrictEqual(before, [])
      const after = yield* alerts(
        Effect.gen(function* () {
          yield* TestClock.adjust("1 millis")
          for (let i = 0; i < 5; i++) {
            yield* Effect.exit(circuit.execute(fail))
            yield* TestClock.adjust("30 seconds")
          }
        })
      )
      assert.deepStrictEqual(after, ["alert: alerts: the circuit is open for 1m"])
      const again = yield* alerts(
        Effect.gen(function* () {
          yield* circuit.execute(Effect.void)
          yield* Effect.exit(circuit.execute(fail))
          yield* Effect.exit(circuit.execute(fail))
          yield* TestClock.adjust("1 minute")
          yield* Effect.exit(circuit.execute(fail))
        })
      )
      assert.strictEqual(again.length, 1, "a new opening is a new alert")
    })
  )

  it.effect("without alertAfter nobody is alerted", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("alerts-never")
      const found = yield* alerts(Effect.andThen(TestClock.adjust("10 days"), Effect.exit(circuit.execute(fail))))
      assert.deepStrictEqual(found, [])
    })
  )

  it.effect("an operator opens it until it is closed again, whatever time passes", () =>
    Effect.gen(function* () {
      const circuit = yield* CircuitBreaker.make("forced", options)
      yield* circuit.forceOpen("maintenance")
      yield* TestClock.adjust("10 days")
      const error = errorOf(yield* Effect.exit(circuit.execute(Effect.void)))
      assert.strictEqual(error.reason, "forced")
      assert.isUndefined(error.retryAfter)
      assert.match(error.message, /opened by an operator/)
      yield* circuit.forceClosed
      assert.strictEqual(tagOf(yield* Effect.exit(circuit.execute(Effect.void))), "success")
    })
  )

  it.effect("a probe that ends after an operator opened the circuit does not close it", () =>
    Effect.gen(function* () {
      const circuit = yield* opened("forced-probe")
      yield* TestClock.adjust("30 seconds")
      const gate = yield* Deferred.make<void>()
      const probe = yield* Effect.forkChild(circuit.execute(Deferred.await(gate)))
      yield* settle
      yield* circuit.forceOpen("maintenance")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(probe)
      assert.strictEqual(yield* tag(circuit), "ForcedOpen")
    })
  )

  it.effect("each change is logged once: opening as an error, closing as information", () =>
    observed((lines) =>
      Effect.gen(function* () {
        const circuit = yield* opened("logged")
        yield* TestClock.adjust("30 seconds")
        yield* circuit.execute(Effect.void)
        yield* settle
        assert.deepStrictEqual(
          lines.map((line) => `${line.level} ${line.message}`),
          [
            "Error logged: circuit Closed -> Open (threshold)",
            "Info logged: circuit Open -> HalfOpen (probe admitted)",
            "Info logged: circuit HalfOpen -> Closed (probe succeeded)"
          ]
        )
      })
    )
  )
})

// ---- against a naive model

interface Modelled {
  tag: "Closed" | "Open" | "HalfOpen"
  /** Outcomes since the circuit closed. */
  outcomes: Array<{ readonly at: number; readonly failed: boolean }>
  until: number
  /** Which closed period, or which probe, this is. */
  period: number
}

/** The breaker as its documentation tells it, with a list of everything that happened. */
class Model {
  private readonly state: Modelled = { tag: "Closed", outcomes: [], until: 0, period: 0 }
  private readonly percent: number
  private readonly minimum: number
  private readonly window: number
  private readonly openFor: number
  private readonly probeTimeout: number
  constructor(percent: number, minimum: number, window: number, openFor: number, probeTimeout: number) {
    this.percent = percent
    this.minimum = minimum
    this.window = window
    this.openFor = openFor
    this.probeTimeout = probeTimeout
  }
  tag(now: number): string {
    const { state } = this
    if (state.tag === "HalfOpen" && now >= state.until) {
      state.tag = "Open"
      state.until += this.openFor
      state.period++
    }
    return state.tag
  }
  /** A ticket, or undefined where it is rejected. */
  admit(now: number): number | undefined {
    const { state } = this
    const tag = this.tag(now)
    if (tag === "Closed") return state.period
    if (tag === "HalfOpen" || now < state.until) return undefined
    state.tag = "HalfOpen"
    state.until = now + this.probeTimeout
    return ++state.period
  }
  settle(ticket: number, outcome: CircuitBreaker.Outcome, now: number, hold: number): void {
    const { state } = this
    const tag = this.tag(now)
    if (ticket !== state.period) return
    if (tag === "HalfOpen") {
      state.period++
      state.tag = outcome === "success" ? "Closed" : "Open"
      state.outcomes = []
      state.until = outcome === "failure" ? now + this.openFor : Math.max(now, hold)
    } else if (tag === "Closed" && outcome !== "ignored") {
      state.outcomes.push({ at: now, failed: outcome === "failure" })
      const tenth = (at: number) => Math.floor(at / (this.window / 10))
      const recent = state.outcomes.filter((each) => tenth(each.at) > tenth(now) - 10)
      const failed = recent.filter((each) => each.failed).length
      if (outcome === "failure" && recent.length >= this.minimum && failed / recent.length >= this.percent / 100) {
        state.period++
        state.tag = "Open"
        state.until = now + this.openFor
      }
    }
  }
}

describe("against a naive model", () => {
  it.effect(
    "it admits, rejects, opens and closes alike, over random schedules of calls",
    () =>
      Effect.gen(function* () {
        const visited = new Set<string>()
        for (let run = 0; run < runs(2000); run++) {
          const next = random(run)
          const pick = <A>(values: ReadonlyArray<A>): A => values[Math.floor(next() * values.length)]!
          const percent = pick([10, 25, 50, 75, 100])
          const minimum = pick([1, 2, 5, 10])
          const window = pick([100, 1000])
          const openFor = pick([10, 300, 2000])
          const probe = pick([5, 50, 500])
          const failing = pick([0.1, 0.5, 0.9])
          const model = new Model(percent, minimum, window, openFor, probe)
          const circuit = yield* CircuitBreaker.make("model", {
            failurePercent: percent,
            minimumCalls: minimum,
            window,
            openFor,
            probeTimeout: probe
          })
          type Running = {
            end: number
            generation: number
            ticket: number
            outcome: CircuitBreaker.Outcome
            hold: number
          }
          let underWay: Array<Running> = []
          let at = 1_000_000 + Math.floor(next() * 1000)
          const context = () => `run ${run} at ${at}`
          for (let step = 0; step < 60; step++) {
            const start = at + Math.floor(next() * next() * window * 0.6)
            for (const call of underWay.filter((each) => each.end <= start).toSorted((a, b) => a.end - b.end)) {
              at = call.end
              circuit.settleUnsafe(call.generation, call.outcome, at, quiet, call.hold)
              model.settle(call.ticket, call.outcome, at, call.hold)
              if (circuit.stateUnsafe(at)._tag !== model.tag(at)) assert.fail(`state, ${context()}`)
            }
            underWay = underWay.filter((each) => each.end > start)
            at = start
            visited.add(model.tag(at))
            if (circuit.stateUnsafe(at)._tag !== model.tag(at)) assert.fail(`state, ${context()}`)
            const rejects = circuit.rejectsUnsafe(at)
            const ticket = model.admit(at)
            const generation = circuit.admitUnsafe(at, quiet)
            if (generation < 0 !== (ticket === undefined)) assert.fail(`admission, ${context()}`)
            if (rejects !== (ticket === undefined)) assert.fail(`rejection, ${context()}`)
            if (ticket === undefined) continue
            const dice = next()
            const outcome = dice < failing * 0.9 ? "failure" : dice < 0.9 ? "success" : "ignored"
            const end = at + Math.floor(next() * next() * pick([1, 50, 800]))
            underWay.push({
              end,
              generation,
              ticket,
              outcome,
              hold: next() < 0.2 ? end + Math.floor(next() * 500) : end
            })
          }
        }
        assert.deepStrictEqual([...visited].toSorted(), ["Closed", "HalfOpen", "Open"])
      }).pipe(Effect.provideContext(quiet)),
    120_000
  )

  it.effect("a generation is never used twice, whatever happens to the circuit", () =>
    Effect.gen(function* () {
      for (let run = 0; run < runs(300); run++) {
        const next = random(run)
        const circuit = yield* CircuitBreaker.make("generations", {
          ...options,
          window: 1000,
          openFor: 100,
          probeTimeout: 50
        })
        const probes = new Set<number>()
        const closed = new Set<number>()
        let generation = 0
        for (let step = 0; step < 100; step++) {
          yield* TestClock.adjust(Math.floor(next() * 80))
          const at = yield* now
          const state = circuit.stateUnsafe(at)
          assert.isAtLeast(state.generation, generation, "generations only grow")
          generation = state.generation
          const dice = next()
          if (dice < 0.05) yield* circuit.forceOpen("test")
          else if (dice < 0.15) yield* circuit.forceClosed
          else {
            const admitted = circuit.admitUnsafe(at, quiet)
            if (admitted < 0) continue
            if (state._tag === "Closed") closed.add(admitted)
            else {
              assert.isFalse(probes.has(admitted) || closed.has(admitted))
              probes.add(admitted)
            }
            if (dice < 0.8) circuit.settleUnsafe(admitted, dice < 0.5 ? "failure" : "success", at, quiet)
          }
        }
      }
    }).pipe(Effect.provideContext(quiet))
  )
})
