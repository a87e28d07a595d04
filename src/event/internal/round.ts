import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Immediate from "../../internal/immediate.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import type * as DedupStore from "../DedupStore.ts"
import type * as Parking from "../Parking.ts"
import type { Claim } from "./claims.ts"
import { type Problem, problemOf } from "./decision.ts"
import * as Handler from "./handling.ts"
import type { Handling, Session, Setup, Work } from "./setup.ts"

type Store = DedupStore.DedupStore["Service"]

/** A message on its way through dedup and handler, however often it goes round. */
export interface Pass {
  readonly work: Work
  /** The lease of its key, where that is ordered. */
  readonly lease: Parking.Lease | undefined
  /** Gets the handle by which others can stop the handler. */
  readonly begun: ((handling: Handling) => void) | undefined
  /** The claim of an event that is handled, but not marked yet. */
  handled: Claim | undefined
}

/** What a round has shown. */
export type Outcome =
  | { readonly _tag: "Handled" }
  | { readonly _tag: "Duplicate" }
  | { readonly _tag: "Elsewhere"; readonly remaining: Duration.Duration }
  | { readonly _tag: "Lost" }
  | { readonly _tag: "Failed"; readonly problem: Problem }

const handled: Outcome = { _tag: "Handled" }
/** What a round has shown that has waited for nothing. */
export const isHandled: Effect.Effect<Outcome> = Effect.succeed(handled)
const isDuplicate: Effect.Effect<Outcome> = Effect.succeed({ _tag: "Duplicate" })
const lost: Outcome = { _tag: "Lost" }
export const failed = (problem: Problem): Outcome => ({ _tag: "Failed", problem })

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

/** What the value of a handler means, and that of a transaction: whether it began with the handler. */
const ofHandler = () => isHandled
const ofTransaction = (begun: unknown) => (begun === true ? isHandled : isDuplicate)

/**
 * Takes messages of one consumer through dedup and handler.
 *
 * A round begins at once, and goes as far as it can without waiting; what is left is its effect. With a store in memory,
 * nothing is left of most.
 */
export class Rounds {
  readonly #setup: Setup
  readonly #session: Session
  /** What is being handled, or was handled and is to be marked. */
  readonly claims = new Set<Claim>()
  constructor(setup: Setup, session: Session) {
    this.#setup = setup
    this.#session = session
  }

  begin(pass: Pass): Effect.Effect<Outcome> {
    const { alarm, dedup, lease, leaseMillis, name, store } = this.#setup
    if (store === undefined || dedup === undefined) return this.#handle(pass, pass.lease?.token, undefined)
    if (dedup.mode === "transactional") return this.#inTransaction(pass, store)
    if (pass.handled !== undefined) return this.#complete(pass, store, pass.handled)
    const until = monotonicMillis(alarm.clock) + leaseMillis
    const claiming = store.claim(name, pass.work.event, lease)
    const claimed = Immediate.value(claiming)
    return claimed === undefined
      ? this.#claiming(pass, store, claiming, until)
      : this.#claimed(pass, store, claimed, until)
  }

  #claiming(
    pass: Pass,
    store: Store,
    claiming: Effect.Effect<DedupStore.Claim, DedupStore.DedupStoreError>,
    until: number
  ): Effect.Effect<Outcome> {
    return Effect.matchCauseEffect(claiming, {
      onFailure: (cause) => Effect.succeed(failed(problemOf(cause))),
      onSuccess: (claimed) => this.#claimed(pass, store, claimed, until)
    })
  }

  #claimed(pass: Pass, store: Store, claimed: DedupStore.Claim, until: number): Effect.Effect<Outcome> {
    if (claimed._tag === "Processed") return isDuplicate
    if (claimed._tag === "Running") {
      return Effect.succeed<Outcome>({ _tag: "Elsewhere", remaining: claimed.remaining })
    }
    const { token } = claimed
    const claim: Claim = { event: pass.work.event, token, handling: undefined, until }
    const outcome = this.#handle(pass, pass.lease?.token ?? token, claim)
    if (outcome !== isHandled) return this.#handling(pass, store, claim, outcome)
    pass.handled = claim
    return this.#complete(pass, store, claim)
  }

  #handling(pass: Pass, store: Store, claim: Claim, outcome: Effect.Effect<Outcome>): Effect.Effect<Outcome> {
    return Effect.flatMap(outcome, (outcome) => {
      if (outcome._tag === "Handled") {
        pass.handled = claim
        return this.#complete(pass, store, claim)
      }
      this.claims.delete(claim)
      return Effect.as(this.#release(store, claim), outcome)
    })
  }

  /** What was handled and could not be marked is marked later, and not handled again meanwhile. */
  #complete(pass: Pass, store: Store, claim: Claim): Effect.Effect<Outcome> {
    const completing = store.complete(this.#setup.name, pass.work.event, claim.token)
    const held = Immediate.value(completing)
    return held === undefined ? this.#completing(completing, claim) : this.#completed(held, claim)
  }

  #completing(completing: Effect.Effect<boolean, DedupStore.DedupStoreError>, claim: Claim): Effect.Effect<Outcome> {
    this.claims.add(claim)
    return Effect.matchCauseEffect(completing, {
      onFailure: (cause) => Effect.succeed(failed(problemOf(cause))),
      onSuccess: (held) => this.#completed(held, claim)
    })
  }

  #completed(held: boolean, claim: Claim): Effect.Effect<Outcome> {
    if (this.claims.size > 0) this.claims.delete(claim)
    if (held) return isHandled
    const { id, source } = claim.event
    const message =
      `${this.#setup.name}: event ${id} of ${source} was handled, but its claim had been taken over: ` +
      `it may be handled twice; allow the lease more time`
    return Effect.as(Effect.logWarning(message), handled)
  }

  /** Leaves an event that is handled, and not marked yet, to whoever gets its message next. */
  giveUp({ handled }: Pass): Effect.Effect<void> {
    const { store } = this.#setup
    if (handled === undefined || store === undefined) return Effect.void
    this.claims.delete(handled)
    return this.#release(store, handled)
  }

  #release(store: Store, { event, token }: Claim): Effect.Effect<void> {
    return Effect.ignore(store.release(this.#setup.name, event, token), { log: "Debug" })
  }

  #inTransaction(pass: Pass, store: Store): Effect.Effect<Outcome> {
    const { name, parking, timeout } = this.#setup
    const { lease, work } = pass
    const handler = Handler.of(this.#setup, work)
    const body =
      lease === undefined || parking === undefined
        ? handler
        : Effect.andThen(
            handler,
            Effect.flatMap(parking.confirm(lease), (held) => (held ? Effect.void : Effect.fail(new Fenced())))
          )
    const transaction = Effect.map(store.transaction(name, work.event, body, { timeout }), Option.isSome)
    return this.#run(pass, transaction, lease?.token, undefined, ofTransaction)
  }

  #handle(pass: Pass, token: number | undefined, claim: Claim | undefined): Effect.Effect<Outcome> {
    return this.#run(pass, Handler.of(this.#setup, pass.work), token, claim, ofHandler)
  }

  #run(
    pass: Pass,
    handler: Effect.Effect<unknown, unknown, any>,
    token: number | undefined,
    claim: Claim | undefined,
    outcomeOf: (value: unknown) => Effect.Effect<Outcome>
  ): Effect.Effect<Outcome> {
    const { work } = pass
    const start = monotonicMillis(this.#setup.alarm.clock)
    const fiber = Handler.fork(this.#setup, handler, work, token, start)
    const exit = fiber.pollUnsafe()
    if (exit === undefined) return this.#running(pass, fiber, start, claim, outcomeOf)
    // Nothing is to be watched of a handler that has ended already.
    Handler.record(this.#setup, work.event, start)
    return exit._tag === "Success" ? outcomeOf(exit.value) : Effect.succeed(this.#failure(exit, undefined))
  }

  #running(
    { begun, work }: Pass,
    fiber: Fiber.Fiber<unknown, unknown>,
    start: number,
    claim: Claim | undefined,
    outcomeOf: (value: unknown) => Effect.Effect<Outcome>
  ): Effect.Effect<Outcome> {
    const watched = (handling: Handling) => {
      if (claim !== undefined) {
        claim.handling = handling
        this.claims.add(claim)
      }
      begun?.(handling)
    }
    const ended = Handler.watch(this.#setup, this.#session, work.event, fiber, start, watched)
    return Effect.flatMap(ended, ({ exit, stopped }) =>
      exit._tag === "Success" ? outcomeOf(exit.value) : Effect.succeed(this.#failure(exit, stopped))
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
