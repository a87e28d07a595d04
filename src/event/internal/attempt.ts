import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import type * as Parking from "../Parking.ts"
import type { Claim } from "./claims.ts"
import { decide, type Problem, problemOf } from "./decision.ts"
import type { Entrance } from "./gate.ts"
import { report, textOf } from "./report.ts"
import { failed, isHandled, type Outcome, type Pass, Rounds } from "./round.ts"
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
/** The decision about a message that has waited for nothing. */
export const isDone: Effect.Effect<Decision> = Effect.succeed(done)
const duplicate: Decision = { _tag: "Done", outcome: "duplicate" }
const skipped: Decision = { _tag: "Done", outcome: "skipped" }

const crashed: Problem = {
  error: new Error("consumers died, or lost their connection, while it was handled"),
  action: ErrorAction.make("fail", { circuit: "ignored", guidance: "find out what it does to its handler" })
}

/** A store that dies is a failure of the message in hand, and not the end of its consumer. */
const ofDefect = (cause: Cause.Cause<never>): Effect.Effect<Outcome> => Effect.succeed(failed(problemOf(cause)))

/** Milliseconds between two looks at a claim of another. */
const patience = 500

/**
 * Works on messages of one consumer. The decision of `attempt` is the caller's to carry out.
 */
export class Attempts {
  readonly #setup: Setup
  readonly #session: Session
  readonly #rounds: Rounds
  constructor(setup: Setup, session: Session) {
    this.#setup = setup
    this.#session = session
    this.#rounds = new Rounds(setup, session)
  }

  get claims(): ReadonlySet<Claim> {
    return this.#rounds.claims
  }

  /**
   * Begins at once, as a round does; `isDone` where nothing is left. What is left must not be interrupted: what a handler
   * has done is to be settled.
   */
  attempt(work: Work, begun?: (handling: Handling) => void, lease?: Parking.Lease): Effect.Effect<Decision> {
    const { gate } = this.#session
    const pass: Pass = { work, lease, begun, handled: undefined }
    if (!gate.isOpen || work.redeliveries >= this.#setup.maxRedeliveries || !work.isLive()) {
      return this.#goOn(pass, undefined)
    }
    const outcome = this.#begin(pass)
    // Nearly all messages come by here, and those whose handlers wait for nothing end here.
    if (outcome !== isHandled) return this.#decided(pass, outcome)
    gate.succeeded("open")
    return isDone
  }

  /** A store that throws does it before there is an effect. */
  #begin(pass: Pass): Effect.Effect<Outcome> {
    try {
      return this.#rounds.begin(pass)
    } catch (defect) {
      return Effect.die(defect)
    }
  }

  #decided(pass: Pass, outcome: Effect.Effect<Outcome>): Effect.Effect<Decision> {
    return Effect.matchCauseEffect(outcome, {
      onFailure: (cause) => this.#goOn(pass, failed(problemOf(cause))),
      onSuccess: (outcome) => {
        if (outcome._tag !== "Handled") return this.#goOn(pass, outcome)
        this.#session.gate.succeeded("open")
        return isDone
      }
    })
  }

  #goOn(pass: Pass, first: Outcome | undefined): Effect.Effect<Decision> {
    const { work } = pass
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
          yield* this.#rounds.giveUp(pass)
          // Giving it back would count as a redelivery, as if its handler had died.
          return { _tag: "Again", millis: 0, failures: history.failures, redeliveries: work.redeliveries }
        }
        if (seen === undefined && !work.isLive()) {
          gate.undecided(entrance)
          yield* this.#rounds.giveUp(pass)
          return giveBack
        }
        const outcome: Outcome = seen ?? (yield* Effect.catchCause(this.#begin(pass), ofDefect))
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
          if (pass.lease === undefined && work.redeliveries > 0 && !ours) {
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
}
