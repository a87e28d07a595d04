/**
 * The history of sagas in tables of a SQL database, `sagas` and `saga_history`.
 *
 * **Details**
 *
 * Entries that sagas record at once are written together, by one statement for up to a thousand of them. They are written
 * apart from the transactions of steps. Times are the database's.
 *
 * **Gotchas**
 *
 * MySQL has not been tested against a server.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { SagaStoreError } from "../saga/SagaError.ts"
import * as SagaStore from "../saga/SagaStore.ts"
import * as batcher from "./internal/batcher.ts"
import { describe, make as makeDialect } from "./internal/dialect.ts"
import { sqlErrorOf } from "./internal/failure.ts"
import * as Migrations from "./Migrations.ts"

const named =
  (operation: string) =>
  <A, E>(self: Effect.Effect<A, E | SqlError>): Effect.Effect<A, Exclude<E, SqlError> | SagaStoreError> =>
    Effect.catchCause(self, (cause) => {
      const error = sqlErrorOf(cause)
      return error === undefined
        ? Effect.failCause(cause as never)
        : Effect.fail(new SagaStoreError({ operation, description: describe(error) }))
    })

const EntryText = Schema.fromJsonString(SagaStore.Entry)
const encode = Schema.encodeSync(EntryText)
const decode = Schema.decodeUnknownSync(EntryText)

const Failure = Schema.Struct({ tag: Schema.String, description: Schema.String })

/** What is known of a saga beside its columns. */
const Detail = Schema.fromJsonString(
  Schema.Struct({
    step: Schema.optional(Schema.String),
    failure: Schema.optional(Failure),
    waiting: Schema.Array(
      Schema.Struct({
        step: Schema.String,
        phase: Schema.Literals(["run", "compensate"]),
        failure: Failure,
        decision: Schema.String,
        skippable: Schema.Boolean
      })
    )
  })
)
const encodeDetail = Schema.encodeSync(Detail)
const decodeDetail = Schema.decodeUnknownSync(Detail)

interface Recording {
  readonly id: string
  readonly entry: SagaStore.Entry
}

interface InstanceRow {
  readonly saga_id: string
  readonly saga: string
  readonly idempotency_key: string
  readonly digest: string
  readonly definition: string
  readonly state: SagaStore.State
  readonly begun_at: unknown
  readonly updated_at: unknown
  readonly detail: string | null
}

const timeOf = (millis: unknown): DateTime.Utc => DateTime.makeUnsafe(Number(millis))

const instanceOf = (row: InstanceRow): SagaStore.Instance => {
  const { definition, digest, idempotency_key: key, saga, saga_id: id, state } = row
  const { failure, step, waiting } = row.detail === null ? { waiting: [] } : decodeDetail(row.detail)
  const times = { begun: timeOf(row.begun_at), updated: timeOf(row.updated_at) }
  return { id, saga, key, digest, definition, state, ...times, step, failure, waiting }
}

const changesState = ({ entry }: Recording): boolean =>
  entry._tag === "Stuck" || entry._tag === "Decided" || entry._tag === "Ended"

/** A saga tells what it did outside of the transactions of its steps, and on SQLite would wait for their end. */
class InTransaction extends Error {
  override readonly name = "StartedInTransaction"
  override readonly message =
    "a saga was started in a transaction, which it can be no part of: publish an event with the outbox instead"
}

/** A rollback that fails is a defect, since the connection is gone with it. */
const mended = <A>(self: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
  Effect.catchCause(self, (cause) => {
    const error = sqlErrorOf(cause)
    return error === undefined ? Effect.failCause(cause) : Effect.fail(error)
  })

/** How long a batch may take. */
const patience = Duration.seconds(30)

/**
 * The store on tables that are there already.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<SagaStore.SagaStore["Service"], never, SqlClient.SqlClient | Scope.Scope> = Effect.gen(
  function* () {
    const dialect = makeDialect(yield* SqlClient.SqlClient)
    const { forUpdate, now, rows, sql } = dialect
    const recording = "record what a saga did"

    const again = sql.onDialectOrElse({
      mysql: () => sql.literal("ON DUPLICATE KEY UPDATE runs = runs + 1"),
      orElse: () => sql.literal("ON CONFLICT (saga_id, entry_name) DO UPDATE SET runs = saga_history.runs + 1")
    })
    const ignored = sql.onDialectOrElse({
      mysql: () => sql.literal("ON DUPLICATE KEY UPDATE sagas.saga_id = sagas.saga_id"),
      orElse: () => sql.literal("ON CONFLICT (saga_id) DO NOTHING")
    })

    /** Rows of `INSERT … SELECT … ON CONFLICT` need a WHERE in SQLite, which would else take ON for a join's. */
    const insert = (recordings: ReadonlyArray<Recording>) => {
      const table = rows(
        { saga_id: "text", entry_name: "text", entry: "text" },
        recordings.map(({ entry, id }) => ({ saga_id: id, entry_name: SagaStore.nameOf(entry), entry: encode(entry) }))
      )
      return sql`INSERT INTO saga_history (saga_id, entry_name, entry, recorded_at, runs)
        SELECT saga_id, entry_name, entry, ${now}, 1 FROM ${table} WHERE true ORDER BY n ${again}`
    }

    const begin = (recordings: ReadonlyArray<Recording>): Effect.Effect<unknown, SqlError> => {
      const begun = recordings.flatMap(({ entry, id }) => (entry._tag === "Begun" ? [{ id, entry }] : []))
      if (begun.length === 0) return Effect.void
      const table = rows(
        { saga_id: "text", saga: "text", idempotency_key: "text", digest: "text", definition: "text" },
        begun.map(({ entry, id }) => ({
          saga_id: id,
          saga: entry.saga,
          idempotency_key: entry.key,
          digest: entry.digest,
          definition: entry.definition
        }))
      )
      return sql`INSERT INTO sagas (saga_id, saga, idempotency_key, digest, definition, state, begun_at, updated_at)
        SELECT saga_id, saga, idempotency_key, digest, definition, 'running', ${now}, ${now} FROM ${table}
        WHERE true ORDER BY n ${ignored}`
    }

    /** The state follows what was recorded for the first time. */
    const follow = Effect.fnUntraced(function* ({ entry, id }: Recording) {
      const [row] = yield* sql<InstanceRow & { readonly at: unknown }>`
        SELECT sagas.*, ${now} AS at FROM sagas WHERE saga_id = ${id} AND EXISTS (
          SELECT 1 FROM saga_history WHERE saga_id = ${id} AND entry_name = ${SagaStore.nameOf(entry)} AND runs = 1
        ) ${forUpdate}`
      if (row === undefined) return
      const { failure, state, step, waiting } = SagaStore.evolve(instanceOf(row), id, entry, timeOf(row.at))!
      const detail = encodeDetail({
        ...(step === undefined ? undefined : { step }),
        ...(failure === undefined ? undefined : { failure }),
        waiting
      })
      yield* sql`UPDATE sagas SET state = ${state}, updated_at = ${row.at as number}, detail = ${detail}
        WHERE saga_id = ${id}`
    })

    const write = (recordings: ReadonlyArray<Recording>): Effect.Effect<ReadonlyArray<void>, SqlError> => {
      const isPlain = recordings.every(({ entry }) => entry._tag === "AttemptBegun" || entry._tag === "AttemptEnded")
      const all: Effect.Effect<unknown, SqlError> = isPlain
        ? insert(recordings)
        : sql.withTransaction(
            begin(recordings).pipe(
              Effect.andThen(insert(recordings)),
              Effect.andThen(Effect.forEach(recordings.filter(changesState), follow, { discard: true }))
            )
          )
      return Effect.as(
        all,
        recordings.map(() => undefined)
      )
    }

    const record = yield* batcher.make<Recording, void, SagaStoreError | SqlError, SagaStoreError>({
      row: ({ entry, id }) => `${id}/${SagaStore.nameOf(entry)}`,
      isSame: () => true,
      follow: () => undefined,
      run: (recordings) =>
        Effect.timeoutOrElse(mended(write(recordings)), {
          duration: patience,
          orElse: () =>
            Effect.fail(
              new SagaStoreError({ operation: recording, description: `no answer within ${Duration.format(patience)}` })
            )
        }),
      isDivisible: (error) => error._tag === "SqlError" && error.reason._tag !== "ConnectionError",
      failed: (error) =>
        error._tag === "SqlError" ? new SagaStoreError({ operation: recording, description: describe(error) }) : error,
      abandoned: () => {},
      closed: () => new SagaStoreError({ operation: recording, description: "the store was closed" }),
      maxRows: 1000,
      maxBatches: dialect.name === "sqlite" ? 1 : 2
    })

    const isOld = (endedBefore: DateTime.Utc) =>
      sql`(state NOT IN ('running', 'stuck') AND updated_at < ${DateTime.toEpochMillis(endedBefore)})`

    return SagaStore.SagaStore.of({
      record: (id, entry) =>
        Effect.contextWith((context: Context.Context<never>) =>
          Option.isSome(Context.getOption(context, sql.transactionService))
            ? Effect.die(new InTransaction())
            : record({ id, entry })
        ),
      find: (id) =>
        sql<InstanceRow>`SELECT * FROM sagas WHERE saga_id = ${id}`.pipe(
          named("look a saga up"),
          Effect.map(([row]) => Option.map(Option.fromUndefinedOr(row), instanceOf))
        ),
      list: (query) => {
        const { endedBefore, saga, state } = query
        const wanted = [
          ...(saga === undefined ? [] : [sql`saga = ${saga}`]),
          ...(state === undefined ? [] : [sql`state = ${state}`]),
          ...(endedBefore === undefined ? [] : [isOld(endedBefore)])
        ]
        const most = sql.literal(String(SagaStore.mostOf(query)))
        return sql<InstanceRow>`SELECT * FROM sagas WHERE ${sql.and(wanted)}
          ORDER BY begun_at, saga_id LIMIT ${most}`.pipe(
          named("list sagas"),
          Effect.map((found) => found.map(instanceOf))
        )
      },
      history: (id) =>
        sql<{ readonly entry: string; readonly recorded_at: unknown; readonly runs: unknown }>`
          SELECT entry, recorded_at, runs FROM saga_history WHERE saga_id = ${id} ORDER BY position`.pipe(
          named("read what a saga did"),
          Effect.map((found) =>
            found.map((row) => ({ entry: decode(row.entry), at: timeOf(row.recorded_at), runs: Number(row.runs) }))
          )
        ),
      purge: (endedBefore) => {
        const old = isOld(endedBefore)
        return Effect.gen(function* () {
          const ids = yield* sql<{ readonly saga_id: string }>`SELECT saga_id FROM sagas WHERE ${old}`
          yield* sql`DELETE FROM saga_history WHERE saga_id IN (SELECT saga_id FROM sagas WHERE ${old})`
          yield* sql`DELETE FROM sagas WHERE ${old}`
          return ids.length
        }).pipe(sql.withTransaction, named("forget sagas"))
      }
    })
  }
)

/**
 * The store. Its tables are made first, except with `{ migrate: false }`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: {
  readonly migrate: boolean
}): Layer.Layer<SagaStore.SagaStore, MigrationError | SqlError, SqlClient.SqlClient> =>
  Layer.effect(SagaStore.SagaStore, options.migrate ? Effect.andThen(Migrations.migrate, make) : make)

/**
 * The store, whose tables are made first where they are missing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SagaStore.SagaStore, MigrationError | SqlError, SqlClient.SqlClient> = layerWith({
  migrate: true
})
