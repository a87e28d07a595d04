/**
 * What sagas have done, for people: which run, which are stuck and why, and the history of each.
 *
 * The engine has its own records, from which a saga goes on after a crash; these are for questions. `layerMemory` is of
 * one process; SQLite and PostgreSQL are in `effect-integration/sql`.
 *
 * **Details**
 *
 * Entries are recorded once, by their name (`nameOf`), however often a saga is replayed. An attempt that a crash cut off
 * is run again, and its entry says how often it was begun (`runs`).
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { SagaStoreError } from "./SagaError.ts"

const Failure = Schema.Struct({ tag: Schema.String, description: Schema.String })
const Phase = Schema.Literals(["run", "compensate"])

/**
 * Something that a saga has done, or that was done to it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Entry = Schema.Union([
  Schema.TaggedStruct("Begun", {
    saga: Schema.String,
    /** The idempotency key. */
    key: Schema.String,
    /** SHA-256 of the payload. */
    digest: Schema.String,
    /** The steps that it was started with. */
    definition: Schema.String
  }),
  Schema.TaggedStruct("AttemptBegun", { step: Schema.String, phase: Phase, attempt: Schema.Int }),
  Schema.TaggedStruct("AttemptEnded", {
    step: Schema.String,
    phase: Phase,
    attempt: Schema.Int,
    /** Why it failed. */
    failure: Schema.optionalKey(Failure),
    /** Milliseconds until the next attempt. */
    next: Schema.optionalKey(Schema.Number)
  }),
  Schema.TaggedStruct("Stuck", {
    step: Schema.String,
    phase: Phase,
    failure: Failure,
    /** Names the decision that is waited for. */
    decision: Schema.String,
    /** Whether it can go on without it. */
    skippable: Schema.Boolean
  }),
  Schema.TaggedStruct("Decided", {
    decision: Schema.String,
    verdict: Schema.Literals(["resume", "skip", "abandon"]),
    reason: Schema.String,
    by: Schema.optionalKey(Schema.String)
  }),
  Schema.TaggedStruct("Ended", {
    state: Schema.Literals(["completed", "rolledBack", "abandoned"]),
    /** The step that failed. */
    step: Schema.optionalKey(Schema.String),
    failure: Schema.optionalKey(Failure),
    compensated: Schema.Array(Schema.String)
  })
])

/** @category models @since 0.1.0 */
export type Entry = typeof Entry.Type

/** The name under which an entry is recorded once. @category getters @since 0.1.0 */
export const nameOf = (entry: Entry): string => {
  switch (entry._tag) {
    case "Begun":
      return "begun"
    case "AttemptBegun":
      return `${entry.phase}/${entry.step}/${entry.attempt}/begun`
    case "AttemptEnded":
      return `${entry.phase}/${entry.step}/${entry.attempt}/ended`
    case "Stuck":
      return `stuck/${entry.decision}`
    case "Decided":
      return `decided/${entry.decision}`
    case "Ended":
      return "ended"
  }
}

/**
 * @category models
 * @since 0.1.0
 */
export type State = "running" | "stuck" | "completed" | "rolledBack" | "abandoned"

/**
 * What is known of one run of a saga.
 *
 * @category models
 * @since 0.1.0
 */
export interface Instance {
  readonly id: string
  readonly saga: string
  readonly key: string
  readonly digest: string
  readonly definition: string
  readonly state: State
  readonly begun: DateTime.Utc
  /** When it last changed its state. */
  readonly updated: DateTime.Utc
  /** What it failed at, where it has ended so. */
  readonly step: string | undefined
  readonly failure: { readonly tag: string; readonly description: string } | undefined
  /** The decisions that it waits for, oldest first. More than one only where parallel steps are stuck. */
  readonly waiting: ReadonlyArray<Waiting>
}

/**
 * What a person must decide.
 *
 * @category models
 * @since 0.1.0
 */
export interface Waiting extends Omit<Extract<Entry, { readonly _tag: "Stuck" }>, "_tag"> {}

/**
 * @category models
 * @since 0.1.0
 */
export interface Recorded {
  readonly entry: Entry
  readonly at: DateTime.Utc
  /** How often it was recorded: more than once where a crash cut an attempt off. */
  readonly runs: number
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Query {
  readonly saga?: string
  readonly state?: State
  /** Only those that have ended before. */
  readonly endedBefore?: DateTime.Utc
  /** At most so many, those begun first. Default: 100. */
  readonly limit?: number
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class SagaStore extends Context.Service<
  SagaStore,
  {
    readonly record: (id: string, entry: Entry) => Effect.Effect<void, SagaStoreError>
    readonly find: (id: string) => Effect.Effect<Option.Option<Instance>, SagaStoreError>
    readonly list: (query: Query) => Effect.Effect<ReadonlyArray<Instance>, SagaStoreError>
    /** In the order in which it was recorded. */
    readonly history: (id: string) => Effect.Effect<ReadonlyArray<Recorded>, SagaStoreError>
    /** Forgets sagas that ended before. Gives how many. */
    readonly purge: (endedBefore: DateTime.Utc) => Effect.Effect<number, SagaStoreError>
  }
>()("effect-integration/saga/SagaStore") {}

/**
 * What is known after an entry; of a saga that is not known, only `Begun` tells anything.
 *
 * @category combinators
 * @since 0.1.0
 */
export const evolve = (
  instance: Instance | undefined,
  id: string,
  entry: Entry,
  at: DateTime.Utc
): Instance | undefined => {
  if (instance === undefined) {
    if (entry._tag !== "Begun") return undefined
    const { definition, digest, key, saga } = entry
    const nothing = { step: undefined, failure: undefined, waiting: [] }
    return { id, saga, key, digest, definition, state: "running", begun: at, updated: at, ...nothing }
  }
  switch (entry._tag) {
    case "Begun":
    case "AttemptBegun":
    case "AttemptEnded":
      return instance
    case "Stuck": {
      const { _tag: _, ...added } = entry
      return { ...instance, updated: at, state: "stuck", waiting: [...instance.waiting, added] }
    }
    case "Decided": {
      const waiting = instance.waiting.filter(({ decision }) => decision !== entry.decision)
      return { ...instance, updated: at, state: waiting.length === 0 ? "running" : "stuck", waiting }
    }
    case "Ended": {
      const { failure, state, step } = entry
      return { ...instance, updated: at, state, step, failure, waiting: [] }
    }
  }
}

/**
 * In the memory of the process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<SagaStore> = Layer.sync(SagaStore, () => {
  interface Kept {
    instance: Instance | undefined
    readonly entries: Map<string, { entry: Entry; at: DateTime.Utc; runs: number }>
  }
  const sagas = new Map<string, Kept>()
  const keptOf = (id: string): Kept => {
    const kept = sagas.get(id) ?? { instance: undefined, entries: new Map() }
    sagas.set(id, kept)
    return kept
  }
  return {
    record: (id, entry) =>
      Effect.map(DateTime.now, (at) => {
        const kept = keptOf(id)
        const name = nameOf(entry)
        const before = kept.entries.get(name)
        if (before !== undefined) {
          before.runs += 1
          return
        }
        kept.entries.set(name, { entry, at, runs: 1 })
        kept.instance = evolve(kept.instance, id, entry, at)
      }),
    find: (id) => Effect.sync(() => Option.fromNullishOr(sagas.get(id)?.instance)),
    list: (query) =>
      Effect.sync(() =>
        Array.from(sagas.values(), ({ instance }) => instance)
          .filter((instance) => instance !== undefined && fits(query, instance))
          .map((instance) => instance!)
          .toSorted(
            (a, b) =>
              DateTime.toEpochMillis(a.begun) - DateTime.toEpochMillis(b.begun) ||
              (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
          )
          .slice(0, mostOf(query))
      ),
    history: (id) => Effect.sync(() => Array.from(sagas.get(id)?.entries.values() ?? [], (each) => ({ ...each }))),
    purge: (endedBefore) =>
      Effect.sync(() => {
        let purged = 0
        for (const [id, { instance }] of sagas) {
          if (instance === undefined || !fits({ endedBefore }, instance)) continue
          sagas.delete(id)
          purged += 1
        }
        return purged
      })
  }
})

const fits = ({ endedBefore, saga, state }: Query, instance: Instance): boolean =>
  (saga === undefined || instance.saga === saga) &&
  (state === undefined || instance.state === state) &&
  (endedBefore === undefined ||
    (instance.state !== "running" &&
      instance.state !== "stuck" &&
      DateTime.toEpochMillis(instance.updated) < DateTime.toEpochMillis(endedBefore)))

/** How many instances a query may give: a whole number that is not negative. @category getters @since 0.1.0 */
export const mostOf = ({ limit = 100 }: Query): number =>
  Number.isNaN(limit) ? 0 : Math.min(Math.max(0, Math.trunc(limit)), Number.MAX_SAFE_INTEGER)
