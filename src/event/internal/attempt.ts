import * as Data from "effect/Data"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import type * as Parking from "../Parking.ts"
import type { Claim } from "./claims.ts"
import { decide, type Problem, problemOf } from "./decision.ts"
import type { Entrance } from "./gate.ts"
import * as Handler from "./handling.ts"
import { report, textOf } from "./report.ts"
import type { Handling, Session, Setup, Work } from "./setup.ts"

/** What is to become of a message. */
export type Decision =
  | { readonly _tag: "Done"; readonly outcome: "done" | "duplicate" | "skipped" | "ignored" }
  /** Again after so many milliseconds, when so many attempts are spent. A handler that has ended is no longer suspect. */
  | { readonly _tag: "Again"; readonly millis: number; readonly failures: number; readonly redeliveries: number }
  | { readonly _tag: "Dead"; readonly reason: string; readonly error: string; readonly attempts: number }
  /** Somebody else is to handle it: this consumer ends, or has lost the right to. */
  | { readonly _tag: "Return" }

const giveBack: Decision = { _tag: "Return" }
const done: Decision = { _tag: "Done", outcome: "done" }
const isDone: Effect.Effect<Decision> = Effect.succeed(done)
const duplicate: Decision = { _tag: "Done", outcome: "duplicate" }
const skipped: Decision = { _tag: "Done", outcome: "skipped" }

/** A handler that took longer than its consumer allows. */
class HandlerTimeout extends Data.TaggedError("HandlerTimeout")<{ readonly limit: Duration.Duration }> {
  readonly errorAction = ErrorAction.make("retry", {
    circuit: "ignored",
    guidance: "retry; allow the handler more time"
  })
  override get message(): string {
    return `the handler did not end within ${Duration.format(this.limit)}`
  }
}

/** The key got another owner while it was worked on, so what was done in the transaction is undone. */
class Fenced extends Data.TaggedError("Fenced") {}

const crashed: Problem = {
  error: new Error("consumers died, or lost their connection, while it was handled"),
  action: ErrorAction.make("fail", { circuit: "ignored", guidance: "find out what it does to its handler" })
}

/** What the round through dedup and handler has shown. */
type Outcome =
  | { readonly _tag: "Handled" }
  | { readonly _tag: "Duplicate" }
  | { readonly _tag: "Elsewhere"; readonly remaining: Duration.Duration }
  | { readonly _tag: "Lost" }
  | { readonly _tag: "Failed"; readonly problem: Problem }

const handled: Outcome = { _tag: "Handled" }
const isDuplicate: Outcome = { _tag: "Duplicate" }
const lost: Outcome = { _tag: "Lost" }
const failed = (problem: Problem): Outcome => ({ _tag: "Failed", problem })

/** Milliseconds between two looks at a claim of another. */
const patience = 500

/**
 * Works on messages of one consumer. The decision of `attempt` is the caller's to carry out.
 */
export class Attempts {
  readonly #setup: Setup
  readonly #session: Session
  readonly claims = new Set<Claim>()
  constructor(setup: Setup, session: Session) {
    this.#setup = setup
    this.#session = session
  }

  /** Must not be interrupted: what a handler has done is to be settled. */
  attempt(work: Work, begun?: (handling: Handling) => void, lease?: Parking.Lease): Effect.Effect<Decision> {
    const { gate } = this.#session
    const progress: Progress = { handled: undefined }
    // Nearly all messages come by here, and end here.
    if (gate.isOpen && work.redeliveries < this.#setup.maxRedeliveries && work.isLive()) {
      return Effect.flatMap(this.#round(work, progress, begun, lease), (outcome) => {
        if (outcome._tag !== "Handled") return this.#goOn(work, progress, begun, lease, outcome)
        gate.succeeded("open")
        return isDone
      })
    }
    return this.#goOn(work, progress, begun, lease, undefined)
  }

  #goOn(
    work: Work,
    progress: Progress,
    begun: ((handling: Handling) => void) | undefined,
    lease: Parking.Lease | undefined,
    first: Outcome | undefined
  ): Effect.Effect<Decision> {
    const { alarm, context, heldMillis, maxRedeliveries, name } = this.#setup
    const { gate } = this.#session
    return Effect.gen({ self: this }, function* () {
      const { event, history } = work
      if (work.redeliveries >= maxRedeliveries) {
        if (yield* this.#isProcessed(work)) return duplicate
        const attempts = history.failures + work.redeliveries
        yield* report(name, event, crashed, { what: this.#fate, attempt: attempts, ends: true })
        return { _tag: "Dead", reason: "delivery-limit", error: textOf(crashed.error), attempts }
      }
      const heldUntil = monotonicMillis(alarm.clock) + heldMillis
      const random = Context.get(context, Random.Random)
      /** How many successes there had been when this message was last stopped by an outage. */
      let outageAt: number | undefined
      let seen = first
      for (;;) {
        const entrance: Entrance = seen !== undefined || gate.isOpen ? "open" : yield* gate.enter(heldUntil)
        if (entrance === "held" || entrance === "closing") {
          yield* this.#giveUp(work, progress)
          // Giving it back would count as a redelivery, as if its handler had died.
          return { _tag: "Again", millis: 0, failures: history.failures, redeliveries: work.redeliveries }
        }
        if (seen === undefined && !work.isLive()) {
          gate.undecided(entrance)
          yield* this.#giveUp(work, progress)
          return giveBack
        }
        const outcome: Outcome = seen ?? (yield* this.#round(work, progress, begun, lease))
        seen = undefined
        if (outcome._tag === "Handled") {
          gate.succeeded(entrance)
          return done
        }
        if (outcome._tag !== "Failed") {
          gate.undecided(entrance)
          if (outcome._tag === "Duplicate") {
            yield* Effect.logDebug(`${name}: duplicate event skipped: ${event.id} of ${event.source}`)
            return duplicate
          }
          if (outcome._tag === "Lost") return giveBack
          const millis = Duration.toMillis(outcome.remaining)
          // Its process may have died of it: it stays in hand, alone, until the claim of the dead is over. Published anew it
          // would come back together with others, which would be counted when it kills again.
          const ours = Array.from(this.claims).some(
            ({ event: { id, source } }) => id === event.id && source === event.source
          )
          if (lease === undefined && work.redeliveries > 0 && !ours) {
            yield* Effect.sleep(Math.min(millis, patience))
            continue
          }
          return { _tag: "Again", millis, failures: history.failures, redeliveries: work.redeliveries }
        }
        const decided = yield* this.#decide(work, outcome.problem, entrance, () => random.nextDoubleUnsafe(), outageAt)
        if (decided !== undefined) return decided
        outageAt = gate.successes
      }
    })
  }

  /** What becomes of a message that is given up. */
  get #fate(): string {
    const { ordering } = this.#setup.channel
    return ordering._tag === "Strict" && ordering.exhausted === "halt" ? "halts its key" : "goes to the dead letters"
  }

  /** A neighbour of what has killed its process may have been handled, and only not acknowledged. */
  #isProcessed(work: Work): Effect.Effect<boolean> {
    const { name, store } = this.#setup
    if (store === undefined) return Effect.succeed(false)
    return Effect.match(store.processed(name, [work.event]), {
      onSuccess: ([processed]) => processed === true,
      onFailure: () => false
    })
  }

  /** The decision about a failed round; `undefined` where an outage is to be waited out. */
  #decide(
    work: Work,
    problem: Problem,
    entrance: Entrance,
    random: () => number,
    outageAt: number | undefined
  ): Effect.Effect<Decision | undefined> {
    const { name, retry } = this.#setup
    const { gate } = this.#session
    const { event, history } = work
    const alone = outageAt !== undefined && entrance === "open" && gate.successes > outageAt
    const verdict = decide(problem, { retry, failures: history.failures, random, alone })
    const attempt = history.failures + 1
    const repeatable = problem.action.kind === "retry" || problem.action.kind === "wait"
    // While an outage is on, a probe that fails shows that it goes on.
    const provesOutage = entrance === "probe" && repeatable && ErrorAction.isActionable(problem.error)
    if (verdict._tag === "Outage" || (provesOutage && verdict._tag !== "Skip")) {
      return Effect.sync(() => {
        gate.failed(entrance, ErrorAction.retryAfterMillis(problem.error), textOf(problem.error))
        return undefined
      })
    }
    if (verdict._tag === "Skip") {
      gate.succeeded(entrance)
      return Effect.as(report(name, event, problem, { what: "is done already", attempt, ends: true }), skipped)
    }
    if (verdict._tag === "Again") {
      gate.undecided(entrance)
      const what = `is tried again in ${Math.ceil(verdict.millis)} ms (attempt ${attempt})`
      const again: Decision = { _tag: "Again", millis: verdict.millis, failures: attempt, redeliveries: 0 }
      return Effect.as(report(name, event, problem, { what, level: "warn", attempt, ends: false }), again)
    }
    if (verdict.reason === "rejected") gate.succeeded(entrance)
    else gate.undecided(entrance)
    const what = `${this.#fate} (${verdict.reason}, attempt ${attempt})`
    const dead: Decision = { _tag: "Dead", reason: verdict.reason, error: textOf(problem.error), attempts: attempt }
    return Effect.as(report(name, event, problem, { what, attempt, ends: true }), dead)
  }

  #round(
    work: Work,
    progress: Progress,
    begun: ((handling: Handling) => void) | undefined,
    lease: Parking.Lease | undefined
  ): Effect.Effect<Outcome> {
    const { dedup, store } = this.#setup
    if (store === undefined || dedup === undefined) {
      return Effect.suspend(() => this.#handle(work, lease?.token, begun))
    }
    if (dedup.mode === "transactional") return Effect.suspend(() => this.#inTransaction(work, store, begun, lease))
    if (progress.handled !== undefined) return this.#complete(work, store, progress.handled)
    const { alarm, lease: leaseTime, leaseMillis, name } = this.#setup
    const until = monotonicMillis(alarm.clock) + leaseMillis
    return Effect.matchCauseEffect(store.claim(name, work.event, leaseTime), {
      onFailure: (cause) => Effect.succeed(failed(problemOf(cause))),
      onSuccess: (claimed) => {
        if (claimed._tag === "Processed") return Effect.succeed(isDuplicate)
        if (claimed._tag === "Running") {
          return Effect.succeed<Outcome>({ _tag: "Elsewhere", remaining: claimed.remaining })
        }
        const { token } = claimed
        const claim: Claim = { event: work.event, token, handling: undefined, until }
        this.claims.add(claim)
        const watched = (handling: Handling) => {
          claim.handling = handling
          begun?.(handling)
        }
        return Effect.flatMapEager(this.#handle(work, lease?.token ?? token, watched), (outcome) => {
          if (outcome._tag === "Handled") {
            progress.handled = claim
            return this.#complete(work, store, claim)
          }
          this.claims.delete(claim)
          return Effect.as(Effect.ignore(store.release(name, work.event, token), { log: "Debug" }), outcome)
        })
      }
    })
  }

  /** What was handled and could not be marked is marked later, and not handled again meanwhile. */
  #complete(work: Work, store: NonNullable<Setup["store"]>, claim: Claim): Effect.Effect<Outcome> {
    const { name } = this.#setup
    return Effect.matchCauseEffect(store.complete(name, work.event, claim.token), {
      onFailure: (cause) => Effect.succeed(failed(problemOf(cause))),
      onSuccess: (held) => {
        this.claims.delete(claim)
        return held
          ? Effect.succeed(handled)
          : Effect.as(
              Effect.logWarning(
                `${name}: event ${work.event.id} of ${work.event.source} was handled, but its claim had been taken over: ` +
                  `it may be handled twice; allow the lease more time`
              ),
              handled
            )
      }
    })
  }

  #giveUp(work: Work, progress: Progress): Effect.Effect<void> {
    const { name, store } = this.#setup
    const { handled } = progress
    if (handled === undefined || store === undefined) return Effect.void
    this.claims.delete(handled)
    return Effect.ignore(store.release(name, work.event, handled.token), { log: "Debug" })
  }

  /** Begins at once, as `#handle` does: it is to be called when it is to be run. */
  #inTransaction(
    work: Work,
    store: NonNullable<Setup["store"]>,
    begun: ((handling: Handling) => void) | undefined,
    lease: Parking.Lease | undefined
  ): Effect.Effect<Outcome> {
    const { alarm, name, parking, timeout } = this.#setup
    const start = monotonicMillis(alarm.clock)
    const handler = Handler.of(this.#setup, work, lease?.token, start)
    const body =
      lease === undefined || parking === undefined
        ? handler
        : Effect.andThen(
            handler,
            Effect.flatMap(parking.confirm(lease), (held) => (held ? Effect.void : Effect.fail(new Fenced())))
          )
    const transaction = store.transaction(name, work.event, body, { timeout })
    return Effect.map(
      Handler.begin(this.#setup, this.#session, work.event, transaction, start, begun),
      ({ exit, stopped }) =>
        exit._tag === "Success" ? (Option.isNone(exit.value) ? isDuplicate : handled) : this.#failure(exit, stopped)
    )
  }

  #handle(
    work: Work,
    token: number | undefined,
    begun: ((handling: Handling) => void) | undefined
  ): Effect.Effect<Outcome> {
    const start = monotonicMillis(this.#setup.alarm.clock)
    const handler = Handler.of(this.#setup, work, token, start)
    return Effect.mapEager(
      Handler.begin(this.#setup, this.#session, work.event, handler, start, begun),
      ({ exit, stopped }) => (exit._tag === "Success" ? handled : this.#failure(exit, stopped))
    )
  }

  #failure(exit: Exit.Failure<unknown, unknown>, stopped: "timeout" | "lost" | undefined): Outcome {
    if (stopped === "lost") return lost
    const problem = problemOf(exit.cause)
    if (problem.error instanceof Fenced) return lost
    if (stopped !== "timeout") return failed(problem)
    const error = new HandlerTimeout({ limit: this.#setup.timeout })
    return failed({ error, action: error.errorAction })
  }
}

/** The claim of an event that is handled, but not marked yet. */
interface Progress {
  handled: Claim | undefined
}
