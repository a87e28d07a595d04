import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { monotonicMillis } from "../../internal/monotonic.ts"
import type * as Telemetry from "../../Telemetry.ts"
import type * as Bulkhead from "../Bulkhead.ts"
import type { CircuitBreaker } from "../CircuitBreaker.ts"
import * as ErrorAction from "../ErrorAction.ts"
import type * as RateLimit from "../RateLimit.ts"
import * as RequestContext from "../RequestContext.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import * as Timeouts from "../Timeouts.ts"
import { type Alarm, type Entry, makeAlarms } from "./alarm.ts"

/** What a policy is made of. */
export interface Parts {
  readonly name: string
  readonly classify: (error: unknown) => ErrorAction.ErrorAction
  readonly retry: RetryPolicy.RetryPolicy | undefined
  readonly circuit: ((key: string | undefined) => CircuitBreaker) | undefined
  readonly gate: RateLimit.Gate | undefined
  readonly permits: Bulkhead.Permits | undefined
  readonly timeouts: ReturnType<typeof Timeouts.toMillis> | undefined
  readonly recorder: Telemetry.Recorder
}

/** What one call says about itself. */
export interface Options {
  readonly repeatable: boolean
  readonly key: string | undefined
  readonly requestId: string | undefined
  readonly refresh: ((error: unknown) => Effect.Effect<boolean>) | undefined
}

type AnyEffect = Effect.Effect<any, any, any>
type AnyExit = Exit.Exit<any, any>

/** The parts of a policy with the alarms that its calls share. */
export class Engine {
  readonly parts: Parts
  /** Deadlines of attempts, which nearly always come in order. */
  readonly deadlines = makeAlarms()
  /** Ends of backoffs. */
  readonly backoffs = makeAlarms()
  /** Whether attempts are told their phases. */
  readonly phased: boolean
  constructor(parts: Parts) {
    this.parts = parts
    this.phased = parts.timeouts !== undefined && (parts.timeouts.connect < Infinity || parts.timeouts.read < Infinity)
  }
  run(self: AnyEffect, options: Options): AnyEffect {
    const { permits } = this.parts
    return permits === undefined
      ? Effect.callback((resume) => new Call(this, self, options, Fiber.getCurrent()!).begin(resume))
      : Effect.withFiber((fiber) => new Call(this, self, options, fiber).queue(permits))
  }
}

/**
 * One logical call: total timeout ( bulkhead ( retry ( is the circuit open? -> rate limit -> circuit admission ( attempt
 * timeout ( effect ))))), fused. An attempt is one child fiber; there is none for the total timeout, since each attempt
 * and each wait ends at the smaller of its own limit and what is left.
 */
class Call implements Entry, Timeouts.Attempt {
  before: Entry | undefined = undefined
  after: Entry | undefined = undefined
  linked = false
  at = Infinity
  private readonly engine: Engine
  private readonly self: AnyEffect
  private readonly options: Options
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock
  private readonly circuit: CircuitBreaker | undefined
  private readonly startedAt: number
  private readonly endsAt: number
  private attempts = 0
  private retries = 0
  private backoff = 0
  private refreshed = false
  private generation = 0
  private child: Fiber.Fiber<any, any> | undefined = undefined
  private alarm: Alarm | undefined = undefined
  private resume: ((effect: AnyEffect) => void) | undefined = undefined
  private connectAt = Infinity
  private readAt = Infinity
  private attemptAt = Infinity
  private wasSent = false
  private fired: Timeouts.Timeout["kind"] | undefined = undefined

  constructor(engine: Engine, self: AnyEffect, options: Options, fiber: Fiber.Fiber<unknown, unknown>) {
    this.engine = engine
    this.self = self
    this.options = options
    this.context = fiber.context
    this.clock = fiber.getRef(Clock.Clock)
    this.circuit = engine.parts.circuit?.(options.key)
    this.startedAt = monotonicMillis(this.clock)
    const { timeouts } = engine.parts
    if (timeouts === undefined) this.endsAt = Infinity
    else {
      const { deadline } = fiber.getRef(RequestContext.RequestContext)
      const ends = this.startedAt + timeouts.total
      this.endsAt = deadline === undefined ? ends : Math.min(ends, deadline)
    }
  }

  begin(resume: (effect: AnyEffect) => void): Effect.Effect<void> | void {
    const now = this.startedAt
    if (this.endsAt > now) return this.attempt(resume, now)
    resume(this.ends(this.timeout("total", "unprocessed"), now))
  }

  /** The same behind a bulkhead. */
  queue(permits: Bulkhead.Permits): AnyEffect {
    if (this.endsAt <= this.startedAt) return this.ends(this.timeout("total", "unprocessed"), this.startedAt)
    const call = permits.around<any, any, any, AnyEffect>(this.again(), (granted, fail) => {
      const alarm = this.engine.backoffs(this.clock)
      const late = new Wake(this.endsAt, (now) => {
        permits.leaveUnsafe(granted)
        fail(this.ends(this.timeout("total", "unprocessed"), now))
      })
      if (this.endsAt < Infinity) alarm.add(late, this.startedAt, this.context)
      return Effect.sync(() => {
        alarm.remove(late)
        permits.leaveUnsafe(granted)
      })
    })
    return Effect.catch(call, (error: unknown) =>
      Effect.isEffect(error)
        ? (error as AnyEffect)
        : ErrorAction.tagOf(error) === "BulkheadFull"
          ? this.ends(error, monotonicMillis(this.clock))
          : Effect.fail(error)
    )
  }

  // ---- one attempt

  private again(): AnyEffect {
    return Effect.callback((resume) => this.attempt(resume, this.now()))
  }
  private attempt(resume: (effect: AnyEffect) => void, now: number): Effect.Effect<void> | void {
    this.resume = resume
    const { circuit } = this
    if (circuit?.rejectsUnsafe(now)) return resume(this.ends(circuit.rejectionUnsafe(now, this.context), now))
    const { gate } = this.engine.parts
    if (gate !== undefined && !gate.passUnsafe(now)) return this.wait(gate, now)
    this.generation = circuit?.admitUnsafe(now, this.context) ?? 0
    return this.start(now)
  }

  /** Waits for a token; the circuit is asked again when there is one, before it is spent. */
  private wait(gate: RateLimit.Gate, now: number): Effect.Effect<void> | void {
    const circuit = this.circuit
    let cancel: Effect.Effect<void> | void = undefined
    const rejected = () => {
      const at = this.now()
      leave()
      gate.leaveUnsafe(waiter, at)
      this.resume!(this.ends(circuit!.rejectionUnsafe(at, this.context), at))
    }
    const leave = () => circuit?.listeners.delete(rejected)
    const waiter = {
      endsAt: this.endsAt,
      wanted: (at: number) => {
        leave()
        this.generation = circuit?.admitUnsafe(at, this.context) ?? 0
        if (this.generation >= 0) return true
        this.resume!(this.ends(circuit!.rejectionUnsafe(at, this.context), at))
        return false
      },
      granted: (at: number) => {
        cancel = this.start(at)
      },
      refused: (error: unknown) => {
        leave()
        this.resume!(this.ends(error, this.now()))
      }
    }
    circuit?.listeners.add(rejected)
    const error = gate.joinUnsafe(waiter, now, this.clock, this.context)
    if (error !== undefined) {
      leave()
      return this.resume!(this.ends(error, now))
    }
    this.engine.parts.recorder.rateLimitWait(this.context)
    return Effect.suspend(() => {
      if (cancel !== undefined) return cancel
      leave()
      gate.leaveUnsafe(waiter, this.now())
      return Effect.void
    })
  }

  private start(now: number): Effect.Effect<void> | void {
    const { parts, phased } = this.engine
    const { timeouts } = parts
    this.attempts++
    this.fired = undefined
    this.wasSent = !phased
    if (timeouts !== undefined) {
      this.attemptAt = Math.min(now + timeouts.attempt, this.endsAt)
      this.readAt = now + timeouts.read
      this.connectAt = Infinity
    }
    parts.recorder.attempt(this.context)
    const context = phased ? Context.add(this.context, Timeouts.CurrentAttempt, this) : this.context
    const child = Effect.runForkWith(context)(this.self as Effect.Effect<any, any>)
    this.child = child
    const early = child.pollUnsafe()
    if (early !== undefined) return this.done(early)
    this.arm(now)
    child.addObserver((exit) => this.done(exit))
    return Effect.suspend(() => {
      this.alarm?.remove(this)
      this.circuit?.settleUnsafe(this.generation, "ignored", this.now(), this.context)
      this.record("interrupted", this.now())
      return Fiber.interrupt(child)
    })
  }
  private arm(now: number): void {
    this.at = Math.min(this.attemptAt, this.readAt, this.connectAt)
    if (this.at === Infinity) return
    this.alarm ??= this.engine.deadlines(this.clock)
    this.alarm.add(this, now, this.context)
  }
  /** A deadline may be due; which one is found out only now, so that a phase that ends in time costs nothing. */
  fire(now: number): void {
    const due = now + 0.5
    if (this.connectAt <= due) this.fired = "connect"
    else if (this.readAt <= due) this.fired = "read"
    else if (this.attemptAt <= due) this.fired = this.attemptAt === this.endsAt ? "total" : "attempt"
    else return this.arm(now)
    this.child!.interruptUnsafe()
  }
  connecting(): void {
    const now = this.now()
    this.wasSent = false
    this.connectAt = now + this.engine.parts.timeouts!.connect
    this.readAt = Infinity
    this.rearm(now)
  }
  sent(): void {
    this.wasSent = true
    this.connectAt = Infinity
    const { read } = this.engine.parts.timeouts!
    if (read === Infinity) return
    const now = this.now()
    this.readAt = now + read
    this.rearm(now)
  }
  answered(): void {
    this.wasSent = true
    this.readAt = Infinity
    this.connectAt = Infinity
  }
  private rearm(now: number): void {
    if (!this.linked || Math.min(this.connectAt, this.readAt) >= this.at) return
    this.alarm!.remove(this)
    this.arm(now)
  }

  // ---- how it ended

  private done(exit: AnyExit): void {
    this.alarm?.remove(this)
    const now = this.now()
    if (exit._tag === "Success") {
      this.circuit?.settleUnsafe(this.generation, "success", now, this.context)
      this.record("success", now)
      return this.resume!(exit)
    }
    if (this.fired !== undefined) {
      const processed = this.fired === "connect" || !this.wasSent ? "unprocessed" : "unknown"
      return this.resume!(this.failed(this.timeout(this.fired, processed), undefined, now))
    }
    const failure = exit.cause.reasons.find(Cause.isFailReason)
    if (failure !== undefined) return this.resume!(this.failed(failure.error, exit.cause, now))
    const unharmed = Cause.hasInterruptsOnly(exit.cause) || !this.wasSent
    this.circuit?.settleUnsafe(this.generation, unharmed ? "ignored" : "failure", now, this.context)
    this.record(Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "defect", now)
    return this.resume!(exit)
  }

  private failed(error: unknown, cause: Cause.Cause<unknown> | undefined, now: number): AnyEffect {
    const { gate, recorder } = this.engine.parts
    const action = this.engine.parts.classify(error)
    const retryAfter = ErrorAction.isActionable(error) ? error.retryAfter : undefined
    const after = retryAfter === undefined ? undefined : Duration.toMillis(retryAfter)
    const holdUntil = action.holds && after !== undefined ? now + after : now
    if (holdUntil > now) gate?.holdUnsafe(holdUntil)
    this.circuit?.settleUnsafe(this.generation, action.circuit, now, this.context, holdUntil)
    const { refresh } = this.options
    if (action.kind === "refresh" && refresh !== undefined && !this.refreshed) {
      this.refreshed = true
      return Effect.flatMap(refresh(error), (refreshed) =>
        refreshed ? Effect.andThen(this.perform(error, action, 0), this.again()) : this.ends(error, now, cause, action)
      )
    }
    const delay = this.delay(error, action, after, now)
    if (delay === undefined) return this.ends(error, now, cause, action)
    this.retries++
    this.backoff = delay
    recorder.retry(ErrorAction.tagOf(error), this.context)
    return this.perform(error, action, delay).pipe(
      Effect.andThen(this.sleep(delay)),
      Effect.flatMap((woken) =>
        woken === "circuit opened" ? this.ends(error, this.now(), cause, action) : this.again()
      )
    )
  }
  /** The backoff before the next attempt; `undefined` where there is none. */
  private delay(
    error: unknown,
    action: ErrorAction.ErrorAction,
    retryAfter: number | undefined,
    now: number
  ): number | undefined {
    if (!RetryPolicy.mayRepeat(action)) return undefined
    if (!this.options.repeatable && outcomeOf(error) !== "unprocessed") return undefined
    const random = Context.get(this.context, Random.Random)
    const { retry } = this.engine.parts
    const delay = retry?.delayMillis(this.retries, this.backoff, () => random.nextDoubleUnsafe(), retryAfter)
    if (delay === undefined || now + delay >= this.endsAt) return undefined
    return this.circuit?.rejectsUnsafe(now) ? undefined : delay
  }
  private sleep(millis: number): Effect.Effect<"slept" | "circuit opened"> {
    return Effect.callback((resume) => {
      const now = this.now()
      const alarm = this.engine.backoffs(this.clock)
      const leave = () => {
        alarm.remove(wake)
        this.circuit?.listeners.delete(opened)
      }
      const opened = () => {
        leave()
        resume(Effect.succeed("circuit opened"))
      }
      const wake = new Wake(now + millis, () => {
        leave()
        resume(Effect.succeed("slept"))
      })
      this.circuit?.listeners.add(opened)
      alarm.add(wake, now, this.context)
      return Effect.sync(leave)
    })
  }

  /** The call ends with an error: its action is performed, and the caller gets it. */
  private ends(
    error: unknown,
    now: number,
    cause: Cause.Cause<unknown> | undefined = undefined,
    action: ErrorAction.ErrorAction = this.engine.parts.classify(error)
  ): AnyEffect {
    this.record(ErrorAction.tagOf(error), now)
    return Effect.andThen(
      this.perform(error, action, undefined),
      cause === undefined ? Effect.fail(error) : Effect.failCause(cause)
    )
  }
  private perform(
    error: unknown,
    action: ErrorAction.ErrorAction,
    nextMillis: number | undefined
  ): Effect.Effect<void> {
    const { requestId } = this.options
    const integration = this.engine.parts.name
    return ErrorAction.perform({ integration, error, action, attempt: this.attempts, nextMillis, requestId })
  }
  private timeout(kind: Timeouts.Timeout["kind"], outcome: ErrorAction.Outcome): Timeouts.Timeout {
    const limit = kind === "total" ? this.endsAt - this.startedAt : this.engine.parts.timeouts![kind]
    return new Timeouts.Timeout({
      integration: this.engine.parts.name,
      kind,
      limit: Duration.millis(Math.max(0, limit)),
      outcome
    })
  }
  private record(outcome: string, now: number): void {
    this.engine.parts.recorder.call(outcome, now - this.startedAt, this.context)
  }
  private now(): number {
    return monotonicMillis(this.clock)
  }
}

const outcomeOf = (error: unknown): ErrorAction.Outcome =>
  (ErrorAction.isActionable(error) ? error.outcome : undefined) ?? "unknown"

class Wake implements Entry {
  before: Entry | undefined = undefined
  after: Entry | undefined = undefined
  linked = false
  readonly at: number
  readonly fire: (now: number) => void
  constructor(at: number, fire: (now: number) => void) {
    this.at = at
    this.fire = fire
  }
}
