import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import { monotonicMillis } from "../../internal/monotonic.ts"
import type { Site } from "../../internal/site.ts"
import type * as Telemetry from "../../Telemetry.ts"
import type * as Bulkhead from "../Bulkhead.ts"
import type { CircuitBreaker, CircuitOpen } from "../CircuitBreaker.ts"
import * as ErrorAction from "../ErrorAction.ts"
import type * as RateLimit from "../RateLimit.ts"
import * as RequestContext from "../RequestContext.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import * as Timeouts from "../Timeouts.ts"
import { type Alarm, type Entry, makeAlarms } from "../../internal/alarm.ts"

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
  readonly phases: boolean
}

/** What one call says about itself. */
export interface Options {
  readonly repeatable: boolean
  readonly key: string | undefined
  readonly requestId: string | undefined
  readonly operation: (() => string) | undefined
  readonly refresh: ((error: unknown) => Effect.Effect<boolean>) | undefined
  /** What attempts run with, instead of the context of the caller. */
  readonly context: Context.Context<never> | undefined
}

type AnyEffect = Effect.Effect<any, any, any>
type AnyExit = Exit.Exit<any, any>
type Resume = (effect: AnyEffect) => void

/** The parts of a policy with the alarms that its calls share. */
export class Engine {
  readonly parts: Parts
  /** Deadlines of attempts, which nearly always come in order. */
  readonly deadlines = makeAlarms()
  /** Ends of backoffs, and of waiting for a permit. */
  readonly waits = makeAlarms()
  /** Whether attempts are told their phases. */
  readonly phased: boolean
  constructor(parts: Parts) {
    this.parts = parts
    const { phases, timeouts } = parts
    this.phased = phases || (timeouts !== undefined && (timeouts.connect < Infinity || timeouts.read < Infinity))
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
class Call implements Entry {
  place = -1
  order = 0
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
  private recorded = false
  private generation = 0
  private child: Fiber.Fiber<any, any> | undefined = undefined
  private phase: Phase | undefined = undefined
  private alarm: Alarm | undefined = undefined
  private resume: ((effect: AnyEffect) => void) | undefined = undefined
  private connectAt = Infinity
  private readAt = Infinity
  private attemptAt = Infinity
  private fired: Timeouts.Timeout["kind"] | undefined = undefined

  constructor(engine: Engine, self: AnyEffect, options: Options, fiber: Fiber.Fiber<unknown, unknown>) {
    this.engine = engine
    this.self = self
    this.options = options
    this.context = options.context ?? fiber.context
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

  begin(resume: Resume): Effect.Effect<void> | void {
    const now = this.startedAt
    return this.endsAt > now ? this.attempt(resume, now) : resume(this.spent(now))
  }
  /** The budget is spent before anything was sent. */
  private spent(now: number): AnyEffect {
    return this.ends(this.timeout("total", "unprocessed"), now)
  }

  /** The same behind a bulkhead. */
  queue(permits: Bulkhead.Permits): AnyEffect {
    let held = false
    const acquire: AnyEffect = Effect.callback((resume: Resume) => {
      if (this.endsAt <= this.startedAt) return resume(this.spent(this.startedAt))
      held = permits.takeUnsafe()
      if (held) return resume(Effect.void)
      const alarm = this.engine.waits(this.clock)
      const granted = () => {
        held = true
        alarm.remove(late)
        resume(Effect.void)
      }
      const late = new Wake(this.endsAt, (now) => {
        permits.leaveUnsafe(granted)
        resume(this.spent(now))
      })
      const full = permits.joinUnsafe(granted)
      if (full !== undefined) return resume(this.refused(full, this.startedAt))
      if (this.endsAt < Infinity) alarm.add(late, this.startedAt, this.context)
      return Effect.sync(() => {
        alarm.remove(late)
        permits.leaveUnsafe(granted)
        this.record("interrupted", this.now())
      })
    })
    const release = () => {
      if (held) permits.releaseUnsafe()
      return undefined
    }
    // What was taken is given back even where the interruption comes between the two.
    return Effect.onExitPrimitive(Effect.andThen(acquire, this.again()), release)
  }

  // ---- one attempt

  private again(): AnyEffect {
    return Effect.callback((resume) => this.attempt(resume, this.now()))
  }
  private attempt(resume: Resume, now: number): Effect.Effect<void> | void {
    this.resume = resume
    const { circuit } = this
    if (circuit?.rejectsUnsafe(now)) return resume(this.refused(circuit.rejectionUnsafe(now, this.context), now))
    const { gate } = this.engine.parts
    if (gate !== undefined && !gate.passUnsafe(now)) return this.wait(gate, now)
    this.generation = circuit?.admitUnsafe(now, this.context) ?? 0
    return this.start(now)
  }

  /** Waits for a token; the circuit is asked again when there is one, before it is spent. */
  private wait(gate: RateLimit.Gate, now: number): Effect.Effect<void> | void {
    const { circuit } = this
    let cancel: Effect.Effect<void> | void = undefined
    const rejected = () => {
      const at = this.now()
      circuit?.listeners.delete(rejected)
      gate.leaveUnsafe(waiter, at)
      this.resume!(this.refused(circuit!.rejectionUnsafe(at, this.context), at))
    }
    const waiter: RateLimit.Waiter = {
      endsAt: this.endsAt,
      wanted: (at) => {
        circuit?.listeners.delete(rejected)
        this.generation = circuit?.admitUnsafe(at, this.context) ?? 0
        if (this.generation >= 0) return true
        this.resume!(this.refused(circuit!.rejectionUnsafe(at, this.context), at))
        return false
      },
      granted: (at) => {
        cancel = this.start(at)
      },
      refused: (error) => {
        circuit?.listeners.delete(rejected)
        this.resume!(this.refused(error, this.now()))
      }
    }
    const error = gate.joinUnsafe(waiter, now, this.clock, this.context)
    if (error !== undefined) return this.resume!(this.refused(error, now))
    circuit?.listeners.add(rejected)
    this.engine.parts.recorder.rateLimitWait(this.context)
    return Effect.suspend(() => {
      if (cancel !== undefined) return cancel
      circuit?.listeners.delete(rejected)
      const at = this.now()
      gate.leaveUnsafe(waiter, at)
      this.record("interrupted", at)
      return Effect.void
    })
  }

  private start(now: number): Effect.Effect<void> | void {
    const { parts, phased } = this.engine
    const { timeouts } = parts
    this.attempts++
    this.fired = undefined
    if (timeouts !== undefined) {
      this.attemptAt = Math.min(now + timeouts.attempt, this.endsAt)
      this.readAt = now + timeouts.read
      this.connectAt = Infinity
    }
    parts.recorder.attempt(this.context)
    this.phase = phased ? new Phase(this) : undefined
    const context =
      this.phase === undefined ? this.context : Context.add(this.context, Timeouts.CurrentAttempt, this.phase)
    const child = Effect.runForkWith(context)(this.self as Effect.Effect<any, any>)
    const early = child.pollUnsafe()
    if (early !== undefined) return this.done(early)
    this.child = child
    this.at = Infinity
    this.arm(now)
    child.addObserver((exit) => {
      if (this.child === child) this.done(exit)
    })
    return Effect.suspend(() => {
      const at = this.now()
      this.leave()
      this.circuit?.settleUnsafe(this.generation, "ignored", at, this.context)
      this.record("interrupted", at)
      return Fiber.interrupt(child)
    })
  }
  /** The attempt is over: no deadline concerns it any more. */
  private leave(): void {
    this.alarm?.remove(this)
    this.child = undefined
  }

  private arm(now: number): void {
    const at = Math.min(this.attemptAt, this.readAt, this.connectAt)
    this.at = at
    if (at === Infinity) return
    this.alarm ??= this.engine.deadlines(this.clock)
    this.alarm.add(this, now, this.context)
  }
  /** A deadline may be due; which one is found out only now, so that a phase that ends in time costs nothing. */
  fire(now: number): void {
    if (this.connectAt <= now) this.fired = "connect"
    else if (this.readAt <= now) this.fired = "read"
    else if (this.attemptAt <= now) this.fired = this.attemptAt === this.endsAt ? "total" : "attempt"
    else return this.arm(now)
    this.child?.interruptUnsafe()
  }
  /** The limit that has ended the attempt in hand, if it is this one. */
  expiredIn(phase: Phase): Timeouts.Timeout["kind"] | undefined {
    return this.phase === phase ? this.fired : undefined
  }
  /** The phase of the attempt has changed. An earlier attempt's may still be told, and is not listened to. */
  moved(phase: Phase, to: "preparing" | "connecting" | "sent" | "answered"): void {
    if (this.phase !== phase) return
    this.connectAt = Infinity
    this.readAt = Infinity
    const { timeouts } = this.engine.parts
    const limit = to === "connecting" ? timeouts?.connect : to === "sent" ? timeouts?.read : undefined
    if (limit === undefined || limit === Infinity) return
    const now = this.now()
    if (to === "connecting") this.connectAt = now + limit
    else this.readAt = now + limit
    this.rearm(now)
  }
  /** A deadline moved nearer. One that moved away is found out when the alarm rings. */
  private rearm(now: number): void {
    if (this.child === undefined || Math.min(this.connectAt, this.readAt) >= this.at) return
    this.alarm?.remove(this)
    this.arm(now)
  }

  // ---- how it ended

  private done(exit: AnyExit): void {
    this.leave()
    const now = this.now()
    if (exit._tag === "Success") {
      this.circuit?.settleUnsafe(this.generation, "success", now, this.context)
      this.record("success", now)
      return this.resume!(exit)
    }
    let next: AnyEffect
    try {
      next = this.over(exit, now)
    } catch (defect) {
      // A classifier that throws is a bug of its author, and no reason to leave the caller waiting.
      next = Effect.die(defect)
    }
    return this.resume!(next)
  }
  /** Until a wire says otherwise, what was begun may have taken effect. */
  private wasSent(): boolean {
    return this.phase?.wasSent ?? true
  }
  private over(exit: Exit.Failure<any, any>, now: number): AnyEffect {
    if (this.fired !== undefined) {
      return this.failed(this.timeout(this.fired, this.wasSent() ? "unknown" : "unprocessed"), undefined, now)
    }
    const failure = exit.cause.reasons.find(Cause.isFailReason)
    if (failure !== undefined) return this.failed(failure.error, exit.cause, now)
    const interrupted = Cause.hasInterruptsOnly(exit.cause)
    const outcome = interrupted || !this.wasSent() ? "ignored" : "failure"
    this.circuit?.settleUnsafe(this.generation, outcome, now, this.context)
    this.record(interrupted ? "interrupted" : "defect", now)
    return exit
  }

  private failed(error: unknown, cause: Cause.Cause<unknown> | undefined, now: number): AnyEffect {
    const { gate, recorder } = this.engine.parts
    const action = this.classify(error, now)
    const after = ErrorAction.retryAfterMillis(error)
    const holdUntil = action.holds && after !== undefined ? now + after : now
    const outcome = this.phase?.isPreparing && this.fired !== undefined ? "ignored" : action.circuit
    this.circuit?.settleUnsafe(this.generation, outcome, now, this.context, holdUntil)
    if (holdUntil > now) gate?.holdUnsafe(holdUntil)
    const { refresh } = this.options
    const repeats = this.options.repeatable || outcomeOf(error) === "unprocessed"
    if (action.kind === "refresh" && refresh !== undefined && repeats && !this.refreshed) {
      this.refreshed = true
      return this.unlessInterrupted(this.refresh(refresh, error, action, cause))
    }
    const delay = repeats ? this.delay(action, after, now) : undefined
    if (delay === undefined) return this.ends(error, now, cause, action)
    this.retries++
    this.backoff = delay
    recorder.retry(ErrorAction.tagOf(error), this.context)
    return this.unlessInterrupted(
      this.perform(error, action, delay).pipe(
        Effect.andThen(this.sleep(delay)),
        Effect.flatMap((woken) =>
          woken === "circuit opened" ? this.ends(error, this.now(), cause, action) : this.again()
        )
      )
    )
  }
  /** A classifier that throws leaves a call that failed: the circuit must be settled. */
  private classify(error: unknown, now: number): ErrorAction.ErrorAction {
    try {
      return this.engine.parts.classify(error)
    } catch (defect) {
      this.circuit?.settleUnsafe(this.generation, "failure", now, this.context)
      this.record("defect", now)
      throw defect
    }
  }
  private refresh(
    refresh: (error: unknown) => Effect.Effect<boolean>,
    error: unknown,
    action: ErrorAction.ErrorAction,
    cause: Cause.Cause<unknown> | undefined
  ): AnyEffect {
    const left = Duration.millis(this.endsAt - this.now())
    const asked = Effect.suspend(() => refresh(error))
    const bounded = this.endsAt === Infinity ? asked : Effect.timeoutOrElse(asked, { duration: left, orElse: gaveUp })
    return Effect.flatMap(bounded, (refreshed) => {
      const now = this.now()
      if (!refreshed || now >= this.endsAt) return this.ends(error, now, cause, action)
      return Effect.andThen(this.perform(error, action, 0), this.again())
    })
  }
  /** The backoff before the next attempt; `undefined` where there is none. */
  private delay(action: ErrorAction.ErrorAction, retryAfter: number | undefined, now: number): number | undefined {
    if (!RetryPolicy.mayRepeat(action)) return undefined
    const random = Context.get(this.context, Random.Random)
    const { retry } = this.engine.parts
    const delay = retry?.delayMillis(this.retries, this.backoff, () => random.nextDoubleUnsafe(), retryAfter)
    if (delay === undefined || now + delay >= this.endsAt) return undefined
    return this.circuit?.rejectsUnsafe(now) ? undefined : delay
  }
  private sleep(millis: number): Effect.Effect<"slept" | "circuit opened"> {
    return Effect.callback((resume) => {
      const now = this.now()
      const alarm = this.engine.waits(this.clock)
      const wake = new Wake(now + millis, () => {
        this.circuit?.listeners.delete(opened)
        resume(Effect.succeed("slept"))
      })
      const leave = () => {
        alarm.remove(wake)
        this.circuit?.listeners.delete(opened)
      }
      const opened = () => {
        leave()
        resume(Effect.succeed("circuit opened"))
      }
      this.circuit?.listeners.add(opened)
      alarm.add(wake, now, this.context)
      return Effect.sync(leave)
    })
  }

  /** The call ends with an error: its action is performed, and the caller gets it. */
  private ends(
    error: unknown,
    now: number,
    cause: Cause.Cause<unknown> = Cause.fail(error),
    action: ErrorAction.ErrorAction = this.engine.parts.classify(error)
  ): AnyEffect {
    this.record(ErrorAction.tagOf(error), now)
    return Effect.andThen(this.perform(error, action, undefined), Effect.failCause(cause))
  }
  /** The call ends with an error of the policy's own, which is told which call it is. */
  private refused(error: CircuitOpen | Bulkhead.BulkheadFull | RateLimit.Refusal, now: number): AnyEffect {
    const Class = error.constructor as new (props: object) => typeof error
    return this.ends(new Class({ ...error, ...this.site() }), now)
  }
  private site(): Site {
    const { operation, requestId } = this.options
    return {
      ...(operation === undefined ? undefined : { operation: operation() }),
      ...(requestId === undefined ? undefined : { requestId })
    }
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
      ...this.site(),
      kind,
      limit: Duration.millis(Math.max(0, limit)),
      outcome
    })
  }
  private unlessInterrupted(self: AnyEffect): AnyEffect {
    return Effect.onInterrupt(self, () => Effect.sync(() => this.record("interrupted", this.now())))
  }
  /** A call is counted once. */
  private record(outcome: string, now: number): void {
    if (this.recorded) return
    this.recorded = true
    this.engine.parts.recorder.call(outcome, now - this.startedAt, this.context, now)
  }
  private now(): number {
    return monotonicMillis(this.clock)
  }
}

const gaveUp = () => Effect.succeed(false)

const outcomeOf = (error: unknown): unknown => (Predicate.hasProperty(error, "outcome") ? error.outcome : undefined)

/** How far one attempt has come, as its wire tells it. */
class Phase implements Timeouts.Attempt {
  wasSent = true
  /** Whether what is under way concerns the provider at all. */
  isPreparing = false
  readonly #call: Call
  constructor(call: Call) {
    this.#call = call
  }
  preparing(): void {
    this.wasSent = false
    this.isPreparing = true
    this.#call.moved(this, "preparing")
  }
  get expired(): Timeouts.Timeout["kind"] | undefined {
    return this.#call.expiredIn(this)
  }
  connecting(): void {
    this.wasSent = false
    this.isPreparing = false
    this.#call.moved(this, "connecting")
  }
  sent(): void {
    this.wasSent = true
    this.isPreparing = false
    this.#call.moved(this, "sent")
  }
  answered(): void {
    this.wasSent = true
    this.#call.moved(this, "answered")
  }
}

class Wake implements Entry {
  place = -1
  order = 0
  readonly at: number
  readonly fire: (now: number) => void
  constructor(at: number, fire: (now: number) => void) {
    this.at = at
    this.fire = fire
  }
}
