/**
 * A circuit breaker: stops calling a provider that keeps failing, and asks it with one request whether it is back
 * (section 3.1, Circuit Breaker Configuration).
 *
 * **Details**
 *
 * - Closed: calls go. When at least `minimumCalls` ended within the sliding `window` and `failurePercent` of them failed,
 *   the circuit opens.
 * - Open: calls are rejected with `CircuitOpen` for `openFor`.
 * - Half-open: the next call is the probe. Its success closes the circuit, its failure opens it again, its interruption
 *   frees the place. A probe that has not ended after `probeTimeout` has failed. Other callers are rejected; they never
 *   queue.
 * - Every admission carries a generation: the outcome of a call that was admitted before the last change says nothing.
 * - The state is a function of the clock, which is monotonic. There is no timer inside.
 *
 * The breaker never waits. What counts as a failure is said by the `ErrorAction` of the error; an error without one and a
 * defect are failures, an interruption counts for nothing.
 *
 * **Gotchas**
 *
 * The window slides in steps of a tenth of its length, so a call is forgotten after 90 to 100 % of the window. As there is
 * no timer, `alertAfter` is noticed by the next call.
 *
 * **Example** (A breaker alone)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker } from "effect-integration/policy"
 *
 * declare const quote: Effect.Effect<number, Error>
 *
 * export const program = Effect.gen(function* () {
 *   const breaker = yield* CircuitBreaker.make("quotes", { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" })
 *   return yield* quote.pipe(
 *     breaker.execute,
 *     Effect.catchTag("CircuitOpen", (open) => Effect.succeed(-1).pipe(Effect.tap(Effect.log(open.message))))
 *   )
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as PubSub from "effect/PubSub"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { monotonicMillis } from "../internal/monotonic.ts"
import * as Option from "../internal/option.ts"
import * as Site from "../internal/site.ts"
import * as Telemetry from "../Telemetry.ts"
import * as ErrorAction from "./ErrorAction.ts"
import * as Registry from "./internal/circuitRegistry.ts"
import * as Window from "./internal/outcomeWindow.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Percentage of failed calls at which the circuit opens: more than 0, at most 100. */
  readonly failurePercent: number
  /** Length of the sliding window in which calls are counted. */
  readonly window: Duration.Input
  /** How long calls are rejected before a probe may go. */
  readonly openFor: Duration.Input
  /** Calls that must have ended within the window before the percentage means anything. Default 10. */
  readonly minimumCalls?: number
  /** When a probe that has not ended has failed. Default: 30 seconds. */
  readonly probeTimeout?: Duration.Input
  /** Alert when the circuit was not closed for so long, counted from the first opening. Default: no alert. */
  readonly alertAfter?: Duration.Input
}

/**
 * Checks the options of a breaker. Throws `InvalidOption` for what makes no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const options = (options: Options): Options => {
  settingsOf(options)
  return options
}

interface Settings {
  readonly failurePercent: number
  readonly minimumCalls: number
  readonly slotMillis: number
  readonly openMillis: number
  readonly probeMillis: number
  readonly alertMillis: number
}

const settingsOf = (options: Options): Settings => {
  const where = "CircuitBreaker.options"
  const { failurePercent } = options
  if (!(typeof failurePercent === "number" && failurePercent > 0 && failurePercent <= 100)) {
    return Option.reject(where, "failurePercent", failurePercent, "a percentage above 0 and at most 100")
  }
  return {
    failurePercent,
    minimumCalls: Option.number(where, "minimumCalls", options.minimumCalls ?? 10, { min: 1, integer: true }),
    slotMillis: Option.millis(where, "window", options.window) / Window.slots,
    openMillis: Option.millis(where, "openFor", options.openFor),
    probeMillis: Option.millis(where, "probeTimeout", options.probeTimeout ?? "30 seconds"),
    alertMillis: options.alertAfter === undefined ? Infinity : Option.millis(where, "alertAfter", options.alertAfter)
  }
}

const openAction = ErrorAction.make("fail", {
  circuit: "ignored",
  log: "warn",
  outage: true,
  guidance: "nothing was sent: fail fast"
})

/**
 * The circuit rejected the call; nothing was sent.
 *
 * `reason` is `failures` while it is open, `probing` while a probe is under way, `forced` where an operator opened it.
 *
 * @category errors
 * @since 0.1.0
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>()("CircuitOpen", {
  integration: Schema.String,
  ...Site.fields,
  key: Schema.optionalKey(Schema.String),
  /** What the operator said who opened it. */
  operator: Schema.optionalKey(Schema.String),
  reason: Schema.Literals(["failures", "probing", "forced"]),
  /** When the circuit may admit again; left out where only a probe or an operator can tell. */
  retryAfter: Schema.optionalKey(Schema.Duration)
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return openAction
  }
  get outcome(): "unprocessed" {
    return "unprocessed"
  }
  override get message(): string {
    const circuit = this.key === undefined ? "the circuit" : `the circuit of ${this.key}`
    if (this.reason === "forced") return Site.describe(this, `${circuit} was opened by an operator: ${this.operator}`)
    if (this.reason === "probing") return Site.describe(this, `${circuit} is half-open and a probe is under way`)
    const wait = this.retryAfter === undefined ? "" : `, try again in ${Option.brief(this.retryAfter)}`
    return Site.describe(this, `${circuit} is open${wait}`)
  }
}

/**
 * Where a circuit is. Times are monotonic milliseconds of the clock.
 *
 * @category models
 * @since 0.1.0
 */
export type State =
  | ({ readonly _tag: "Closed"; readonly generation: number } & Window.Window)
  | { readonly _tag: "Open"; readonly generation: number; readonly since: number; readonly until: number }
  | { readonly _tag: "HalfOpen"; readonly generation: number; readonly since: number; readonly probeUntil: number }
  | { readonly _tag: "ForcedOpen"; readonly generation: number; readonly since: number; readonly reason: string }

type Closed = Extract<State, { readonly _tag: "Closed" }>

/**
 * A change of state. `at` is in monotonic milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transition {
  readonly integration: string
  readonly key: string | undefined
  readonly from: State["_tag"]
  readonly to: State["_tag"]
  readonly reason: "threshold" | "probe admitted" | "probe succeeded" | "probe failed" | "probe released" | "operator"
  readonly at: number
}

/** What the end of a call says about the provider. @category models @since 0.1.0 */
export type Outcome = "success" | "failure" | "ignored"

/**
 * One circuit.
 *
 * @category models
 * @since 0.1.0
 */
export interface CircuitBreaker {
  readonly name: string
  readonly key: string | undefined
  /** Runs an effect under the circuit. */
  readonly execute: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | CircuitOpen, R>
  readonly state: Effect.Effect<State>
  /** Changes from the moment of subscription; a subscriber that lags by more than 256 loses the oldest. */
  readonly transitions: Stream.Stream<Transition>
  /** Rejects every call until `forceClosed`. */
  readonly forceOpen: (reason: string) => Effect.Effect<void>
  /** Closes the circuit and forgets what it has seen. */
  readonly forceClosed: Effect.Effect<void>
  readonly stateUnsafe: (now: number) => State
  /** Whether a call would be rejected now. */
  readonly rejectsUnsafe: (now: number) => boolean
  /** The generation under which a call may go, or -1 where it is rejected. The call must be settled. */
  readonly admitUnsafe: (now: number, context: Context.Context<never>) => number
  /** Says how a call that was admitted has ended; a probe with `holdUntil` is not followed by another before then. */
  readonly settleUnsafe: (
    generation: number,
    outcome: Outcome,
    now: number,
    context: Context.Context<never>,
    holdUntil?: number
  ) => void
  /** The error of a rejection. */
  readonly rejectionUnsafe: (now: number, context: Context.Context<never>) => CircuitOpen
  /** Says that the circuit is not used any more. */
  readonly dropUnsafe: () => void
  /** Called each time the circuit stops admitting. */
  readonly listeners: Set<() => void>
}

/**
 * A closed circuit, that can be found by its name through `CircuitBreakers` for as long as it is in use.
 *
 * **Gotchas**
 *
 * Throws `InvalidOption` for options that make no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, options: Options): Effect.Effect<CircuitBreaker> => {
  const family = makeFamily(name, options)
  return Effect.suspend(() => {
    const circuit = family()(undefined, undefined)
    return Effect.as(Registry.register(circuit), circuit)
  })
}

/** @internal */
export type MakeCircuit = (
  key: string | undefined,
  forced: Registry.Forced | undefined
) => CircuitBreaker & Registry.Member

/**
 * Makes the circuits of one name, which share their stream of transitions.
 *
 * @internal
 */
export const makeFamily = (name: string, options: Options): (() => MakeCircuit) => {
  const settings = settingsOf(options)
  const recorder = Telemetry.recorder(Option.name("CircuitBreaker.make", name))
  return () => {
    const changes = Effect.runSync(PubSub.sliding<Transition>(256))
    return (key, forced) => new Circuit(name, key, settings, recorder, changes, forced)
  }
}

class Circuit implements CircuitBreaker {
  readonly #state = Ref.makeUnsafe<State>({ _tag: "Closed", generation: 0, ...Window.empty })
  readonly #settings: Settings
  readonly #recorder: Telemetry.Recorder
  readonly #changes: PubSub.PubSub<Transition>
  #listeners: Set<() => void> | undefined
  #alerted = false
  /** Tells the gauge that it is closed again. */
  #closed: (() => void) | undefined
  readonly name: string
  readonly key: string | undefined
  constructor(
    name: string,
    key: string | undefined,
    settings: Settings,
    recorder: Telemetry.Recorder,
    changes: PubSub.PubSub<Transition>,
    forced: Registry.Forced | undefined
  ) {
    if (forced !== undefined) this.#state.ref.current = { _tag: "ForcedOpen", generation: 0, ...forced }
    this.name = name
    this.key = key
    this.#settings = settings
    this.#recorder = recorder
    this.#changes = changes
  }

  present(): ReadonlyArray<CircuitBreaker> {
    return [this]
  }
  get listeners(): Set<() => void> {
    return (this.#listeners ??= new Set())
  }
  get transitions(): Stream.Stream<Transition> {
    return Stream.filter(Stream.fromPubSub(this.#changes), (change) => change.key === this.key)
  }
  get state(): Effect.Effect<State> {
    return Effect.clockWith((clock) => Effect.sync(() => this.stateUnsafe(monotonicMillis(clock))))
  }
  get execute() {
    return <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | CircuitOpen, R> =>
      Effect.withFiber<A, E | CircuitOpen, R>((fiber) => {
        const state = this.#state.ref.current
        // A closed circuit counts nothing for an interrupted call, so nothing is lost where it is never settled.
        return state._tag === "Closed"
          ? Effect.onExitPrimitive(self, (exit) => this.#settleExit(state.generation, exit, fiber))
          : this.#executeProbe(self)
      })
  }
  #executeProbe<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | CircuitOpen, R> {
    let admitted: Fiber.Fiber<unknown, unknown> | undefined
    let generation = -1
    const call = Effect.withFiber<A, E | CircuitOpen, R>((fiber) => {
      const now = monotonicMillis(fiber.getRef(Clock.Clock))
      generation = this.admitUnsafe(now, fiber.context)
      if (generation < 0) return Effect.fail(this.rejectionUnsafe(now, fiber.context))
      admitted = fiber
      return self
    })
    // Waits for the end of the call before it is admitted: an interruption between the two would lose a probe.
    return Effect.onExitPrimitive(call, (exit) =>
      admitted === undefined ? undefined : this.#settleExit(generation, exit, admitted)
    )
  }
  #settleExit(generation: number, exit: Exit.Exit<unknown, unknown>, fiber: Fiber.Fiber<unknown, unknown>): undefined {
    const now = monotonicMillis(fiber.getRef(Clock.Clock))
    if (exit._tag === "Success") {
      this.settleUnsafe(generation, "success", now, fiber.context)
      return undefined
    }
    const failure = exit.cause.reasons.find(Cause.isFailReason)
    const action = failure === undefined ? undefined : ErrorAction.carried.classify(failure.error)
    const outcome = action?.circuit ?? (Cause.hasInterruptsOnly(exit.cause) ? "ignored" : "failure")
    this.settleUnsafe(generation, outcome, now, fiber.context)
    return undefined
  }

  /** The state at a time: a probe that has not ended in time has failed. */
  stateUnsafe(now: number): State {
    const state = this.#state.ref.current
    if (state._tag !== "HalfOpen" || now < state.probeUntil) return state
    const until = state.probeUntil + this.#settings.openMillis
    return { _tag: "Open", generation: state.generation + 1, since: state.since, until }
  }
  rejectsUnsafe(now: number): boolean {
    if (this.#state.ref.current._tag === "Closed") return false
    const state = this.stateUnsafe(now)
    return state._tag !== "Closed" && (state._tag !== "Open" || now < state.until)
  }
  /** The state at a time, with a probe that has failed since made known. */
  #advance(now: number, context: Context.Context<never>): State {
    const state = this.#state.ref.current
    if (state._tag !== "HalfOpen" || now < state.probeUntil) return state
    this.#change(this.stateUnsafe(now), "probe failed", state.probeUntil, context)
    // Who was told may have called at once, and changed it again.
    return this.#state.ref.current
  }
  admitUnsafe(now: number, context: Context.Context<never>): number {
    const state = this.#advance(now, context)
    if (state._tag === "Closed") return state.generation
    if (state._tag !== "Open" || now < state.until) return -1
    const generation = state.generation + 1
    const probeUntil = now + this.#settings.probeMillis
    this.#change({ _tag: "HalfOpen", generation, since: state.since, probeUntil }, "probe admitted", now, context)
    return generation
  }
  settleUnsafe(
    generation: number,
    outcome: Outcome,
    now: number,
    context: Context.Context<never>,
    holdUntil: number = now
  ): void {
    const state = this.#advance(now, context)
    if (state.generation !== generation) return
    if (state._tag === "HalfOpen") {
      const next = generation + 1
      if (outcome === "success") {
        return this.#change({ _tag: "Closed", generation: next, ...Window.empty }, "probe succeeded", now, context)
      }
      const failed = outcome === "failure"
      const until = failed ? now + this.#settings.openMillis : holdUntil
      const reason = failed ? "probe failed" : "probe released"
      return this.#change({ _tag: "Open", generation: next, since: state.since, until }, reason, now, context)
    }
    if (state._tag !== "Closed" || outcome === "ignored") return
    const { failurePercent, minimumCalls, openMillis, slotMillis } = this.#settings
    const failed = outcome === "failure"
    const { older, slot } = Window.at(state, Math.floor(now / slotMillis))
    const moved = slot !== state.slot
    const next: Closed = {
      _tag: "Closed",
      generation,
      slot,
      ok: (moved ? 0 : state.ok) + (failed ? 0 : 1),
      failed: (moved ? 0 : state.failed) + (failed ? 1 : 0),
      older
    }
    if (failed) {
      const sum = Window.sum(next)
      if (sum.calls >= minimumCalls && sum.failed * 100 >= failurePercent * sum.calls) {
        const until = now + openMillis
        return this.#change({ _tag: "Open", generation: generation + 1, since: now, until }, "threshold", now, context)
      }
    }
    this.#state.ref.current = next
  }
  rejectionUnsafe(now: number, context: Context.Context<never>): CircuitOpen {
    this.#alert(now, context)
    const state = this.stateUnsafe(now)
    const at = state._tag === "Open" ? state.until : undefined
    return new CircuitOpen({
      integration: this.name,
      reason: state._tag === "ForcedOpen" ? "forced" : state._tag === "HalfOpen" ? "probing" : "failures",
      ...(this.key === undefined ? undefined : { key: this.key }),
      ...(state._tag === "ForcedOpen" ? { operator: state.reason } : undefined),
      ...(at === undefined ? undefined : { retryAfter: Duration.millis(Math.max(0, at - now)) })
    })
  }

  forceOpen(reason: string): Effect.Effect<void> {
    return this.#operate((state, now) => ({
      _tag: "ForcedOpen",
      generation: state.generation + 1,
      since: state._tag === "Closed" ? now : state.since,
      reason
    }))
  }
  get forceClosed(): Effect.Effect<void> {
    return this.#operate((state) => ({ _tag: "Closed", generation: state.generation + 1, ...Window.empty }))
  }
  #operate(next: (state: State, now: number) => State): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      const now = monotonicMillis(fiber.getRef(Clock.Clock))
      this.#change(next(this.#advance(now, fiber.context), now), "operator", now, fiber.context)
      return Effect.void
    })
  }

  #change(to: State, reason: Transition["reason"], now: number, context: Context.Context<never>): void {
    const from = this.#state.ref.current._tag
    this.#state.ref.current = to
    const { key, name } = this
    PubSub.publishUnsafe(this.#changes, { integration: name, key, from, to: to._tag, reason, at: now })
    this.#count(to._tag !== "Closed", context)
    const level = to._tag === "Closed" || to._tag === "HalfOpen" ? "Info" : from === "Closed" ? "Error" : "Warn"
    const circuit = key === undefined ? "circuit" : `circuit of ${key}`
    const why = to._tag === "ForcedOpen" ? `${reason}: ${to.reason}` : reason
    Effect.runForkWith(context)(
      Effect.logWithLevel(level)(`${name}: ${circuit} ${from} -> ${to._tag} (${why})`).pipe(
        Effect.annotateLogs({ [Telemetry.Attribute.integration]: name, [Telemetry.Attribute.circuit]: to._tag })
      )
    )
    if (to._tag === "Closed") this.#alerted = false
    else this.#alert(now, context)
    if (to._tag === "Open" || to._tag === "ForcedOpen") {
      for (const listener of this.#listeners ?? []) listener()
    }
  }
  /** Tells the gauge once that this circuit is not closed, and once that it is closed again. */
  #count(notClosed: boolean, context: Context.Context<never>): void {
    if (notClosed) this.#closed ??= this.#recorder.opened(this, context)
    else this.dropUnsafe()
  }
  /** The circuit is not used any more: it no longer counts as one that is not closed. */
  dropUnsafe(): void {
    this.#closed?.()
    this.#closed = undefined
  }
  #alert(now: number, context: Context.Context<never>): void {
    const state = this.#state.ref.current
    if (this.#alerted || state._tag === "Closed" || now - state.since < this.#settings.alertMillis) return
    this.#alerted = true
    const open = Duration.format(Duration.millis(Math.round(now - state.since)))
    const message = `${this.name}: the circuit${this.key === undefined ? "" : ` of ${this.key}`} is open for ${open}`
    const notice = { kind: "alert", integration: this.name, message, error: undefined, requestId: undefined } as const
    Effect.runForkWith(context)(Effect.andThen(Effect.logError(message), ErrorAction.notify(notice)))
  }
}
