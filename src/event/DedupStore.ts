/**
 * Which events a group has processed (section 4.4, Idempotency Strategy). `layerMemory` is of one process; SQLite,
 * PostgreSQL and MySQL are in `effect-integration/sql`.
 *
 * **Details**
 *
 * An event is identified by (source, id), and never marked before its handler has succeeded. There are two modes:
 *
 * - `transaction`: the mark and the handler's own writes to the same database commit together, so the writes happen once.
 * - `claim`, `renew`, then `complete` or `release`: a lease keeps two processes from handling one event at once. A crash
 *   lets the lease end and the event be handled again: at least once.
 *
 * Each claim of an event has a higher token than the one before (a fencing token): an owner whose lease was taken over can
 * no longer renew, complete or release. Leases are measured by the store's own clock.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Immediate from "../internal/immediate.ts"
import { monotonicMillis } from "../internal/monotonic.ts"
import * as ErrorAction from "../policy/ErrorAction.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Identity {
  readonly source: string
  readonly id: string
}

/**
 * What became of a claim: `Claimed` (by the caller now), `Processed` (a duplicate), `Running` (another has it; its lease
 * ends after `remaining` unless it is renewed).
 *
 * @category models
 * @since 0.1.0
 */
export type Claim = Data.TaggedEnum<{
  Claimed: { readonly token: number }
  Processed: {}
  Running: { readonly remaining: Duration.Duration }
}>
/** @category constructors @since 0.1.0 */
export const Claim = Data.taggedEnum<Claim>()

const down = ErrorAction.make("retry", { circuit: "ignored", outage: true, guidance: "wait until the store is back" })

/**
 * The store could not be asked, or did not answer: whether it did what it was asked is not known.
 *
 * @category errors
 * @since 0.1.0
 */
export class DedupStoreError extends Schema.TaggedError<DedupStoreError>()("DedupStoreError", {
  operation: Schema.String,
  /** Without credentials. */
  description: Schema.String
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return down
  }
  /** No handler is to blame: whatever is not known of the store, the message keeps its attempts. */
  get outcome(): ErrorAction.Outcome {
    return "unprocessed"
  }
  override get message(): string {
    return `the dedup store could not ${this.operation}: ${this.description}`
  }
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class DedupStore extends Context.Service<
  DedupStore,
  {
    readonly claim: (group: string, event: Identity, lease: Duration.Duration) => Effect.Effect<Claim, DedupStoreError>
    /** Prolongs the lease from now; false where it has been taken over. */
    readonly renew: (
      group: string,
      event: Identity,
      token: number,
      lease: Duration.Duration
    ) => Effect.Effect<boolean, DedupStoreError>
    /** Marks the event as processed; false where the claim has been taken over. */
    readonly complete: (group: string, event: Identity, token: number) => Effect.Effect<boolean, DedupStoreError>
    /** Gives the claim up, so that the event can be claimed at once; nothing where it has been taken over. */
    readonly release: (group: string, event: Identity, token: number) => Effect.Effect<void, DedupStoreError>
    /**
     * Runs the effect and marks the event in one transaction; `None`, and the effect is not run, where it was processed
     * before. A second process with the same event waits for the first, for at most `timeout`, and then fails.
     */
    readonly transaction: <A, E, R>(
      group: string,
      event: Identity,
      effect: Effect.Effect<A, E, R>,
      options: { readonly timeout: Duration.Duration }
    ) => Effect.Effect<Option.Option<A>, DedupStoreError | E, R>
    /** Which of the events are processed, in their order. */
    readonly processed: (
      group: string,
      events: ReadonlyArray<Identity>
    ) => Effect.Effect<ReadonlyArray<boolean>, DedupStoreError>
    /** Removes what was processed longer than `window` ago, and claims that ended that long ago. Gives how many. */
    readonly purge: (group: string, window: Duration.Duration) => Effect.Effect<number, DedupStoreError>
  }
>()("effect-integration/event/DedupStore") {}

interface Claimed {
  readonly token: number
  /** Monotonic milliseconds. */
  endsAt: number
  /** Done when a transaction has ended. */
  readonly ended: Deferred.Deferred<void> | undefined
}

const isProcessed: Claim = Claim.Processed()

/** The events of a source in a group, by id: to look up the texts of an event costs less than to join them. */
interface Events {
  readonly claims: Map<string, Claimed>
  /** When each event was processed: oldest first, as a map keeps the order of insertion. */
  readonly processed: Map<string, number>
}

/**
 * A store in the memory of this process. Its transactions are those of nothing else: what the effect has written stays
 * written where it fails.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<DedupStore> = Layer.effect(
  DedupStore,
  Effect.map(Clock.Clock, (clock) => {
    const now = () => monotonicMillis(clock)
    const groups = new Map<string, Map<string, Events>>()
    let tokens = 0
    const eventsOf = (group: string, source: string): Events => {
      let sources = groups.get(group)
      if (sources === undefined) groups.set(group, (sources = new Map()))
      let events = sources.get(source)
      if (events === undefined) sources.set(source, (events = { claims: new Map(), processed: new Map() }))
      return events
    }
    const claim = (group: string, event: Identity, millis: number, ended?: Deferred.Deferred<void>): Claim => {
      const { claims, processed } = eventsOf(group, event.source)
      if (processed.has(event.id)) return isProcessed
      const at = now()
      const remaining = (claims.get(event.id)?.endsAt ?? at) - at
      if (remaining > 0) return Claim.Running({ remaining: Duration.millis(remaining) })
      claims.set(event.id, { token: ++tokens, endsAt: at + millis, ended })
      return { _tag: "Claimed", token: tokens }
    }
    /** Ends a claim; false where it has been taken over. */
    const end = (group: string, event: Identity, token: number, succeeded: boolean): boolean => {
      const { claims, processed } = eventsOf(group, event.source)
      if (claims.get(event.id)?.token !== token) return false
      claims.delete(event.id)
      if (succeeded) processed.set(event.id, now())
      return true
    }

    const transaction: DedupStore["Service"]["transaction"] = (name, event, effect, { timeout }) =>
      Effect.gen(function* () {
        const ended = Deferred.makeUnsafe<void>()
        const deadline = now() + Duration.toMillis(timeout)
        let mine = claim(name, event, Infinity, ended)
        while (mine._tag === "Running") {
          const patience = Math.min(deadline - now(), Duration.toMillis(mine.remaining))
          const other = eventsOf(name, event.source).claims.get(event.id)?.ended
          const wait = other === undefined ? Effect.sleep(Math.max(patience, 0)) : Deferred.await(other)
          yield* Effect.timeoutOption(wait, Math.max(patience, 0))
          mine = claim(name, event, Infinity, ended)
          if (mine._tag === "Running" && now() >= deadline) {
            const description = "another transaction with the same event did not end in time"
            return yield* new DedupStoreError({ operation: "begin a transaction", description })
          }
        }
        if (mine._tag === "Processed") return Option.none()
        const { token } = mine
        return yield* Effect.onExit(Effect.asSome(effect), (exit) =>
          Effect.sync(() => {
            end(name, event, token, Exit.isSuccess(exit))
            Deferred.doneUnsafe(ended, Effect.void)
          })
        )
      })

    return DedupStore.of({
      claim: (name, event, lease) => Immediate.sync(() => claim(name, event, Duration.toMillis(lease))),
      renew: (name, event, token, lease) =>
        Effect.sync(() => {
          const mine = eventsOf(name, event.source).claims.get(event.id)
          if (mine?.token !== token) return false
          mine.endsAt = now() + Duration.toMillis(lease)
          return true
        }),
      complete: (name, event, token) => Immediate.sync(() => end(name, event, token, true)),
      release: (name, event, token) => Effect.sync(() => void end(name, event, token, false)),
      transaction,
      processed: (name, events) =>
        Effect.sync(() => events.map(({ id, source }) => eventsOf(name, source).processed.has(id))),
      purge: (name, window) =>
        Effect.sync(() => {
          const before = now() - Duration.toMillis(window)
          const sources = groups.get(name)
          let purged = 0
          for (const [source, { claims, processed }] of sources ?? []) {
            for (const [id, at] of processed) {
              if (at > before) break
              processed.delete(id)
              purged++
            }
            for (const [id, each] of claims) if (each.endsAt <= before && claims.delete(id)) purged++
            if (processed.size === 0 && claims.size === 0) sources!.delete(source)
          }
          return purged
        })
    })
  })
)
