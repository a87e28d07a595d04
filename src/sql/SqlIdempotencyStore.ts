/**
 * What the provider answered under idempotency keys, in a table of a SQL database, `idempotency_keys`.
 *
 * **Details**
 *
 * - Several processes of the provider share the keys. Leases and times to live are the database's.
 * - Each operation is one statement; a claim of a key that is in use is two.
 *
 * **Gotchas**
 *
 * MySQL has not been tested against a server.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { Claim, IdempotencyStore, IdempotencyStoreError, type StoredResponse } from "../http/IdempotencyStore.ts"
import { describe, make as makeDialect, millis } from "./internal/dialect.ts"
import { sqlErrorOf } from "./internal/failure.ts"
import { storedText } from "./internal/storedText.ts"
import * as Migrations from "./Migrations.ts"

const named =
  (operation: IdempotencyStoreError["operation"]) =>
  <A>(self: Effect.Effect<A, SqlError>): Effect.Effect<A, IdempotencyStoreError> =>
    Effect.catchCause(self, (cause) => {
      const error = sqlErrorOf(cause)
      return error === undefined
        ? Effect.failCause(cause as never)
        : // The driver's error may hold what was stored.
          Effect.fail(new IdempotencyStoreError({ operation, cause: new Error(describe(error)) }))
    })

interface State {
  readonly fingerprint: string
  readonly owner: string
  readonly remaining: unknown
  readonly status: unknown
  readonly envelope: string | null
  readonly body: Uint8Array | null
}

const purgedAtOnce = 1000

/**
 * The store on tables that are there already.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<IdempotencyStore["Service"], never, SqlClient.SqlClient> = Effect.gen(function* () {
  const { forUpdate, name, now, sql } = makeDialect(yield* SqlClient.SqlClient)

  const stateOf = (key: string, lock = sql.literal("")) =>
    Effect.map(
      sql<State>`SELECT fingerprint, owner, ends_at - ${now} AS remaining, status, envelope, body
        FROM idempotency_keys WHERE idempotency_key = ${storedText(key)} ${lock}`,
      ([state]) => state
    )

  const responseOf = (state: State): StoredResponse | undefined =>
    state.status === null
      ? undefined
      : { status: Number(state.status), ...JSON.parse(state.envelope ?? "{}"), body: new Uint8Array(state.body ?? []) }

  const refused = (state: State | undefined, fingerprint: string): Claim => {
    if (state === undefined) return Claim.Running()
    if (state.fingerprint !== fingerprint) return Claim.Mismatch()
    const response = responseOf(state)
    return response === undefined ? Claim.Running() : Claim.Completed({ response })
  }

  const claim: IdempotencyStore["Service"]["claim"] = ({ fingerprint, key, lease, owner }) => {
    const by = storedText(owner)
    if (name === "mysql") {
      const taken = sql`UPDATE idempotency_keys SET fingerprint = ${fingerprint}, owner = ${by},
        ends_at = ${now} + ${millis(lease)}, status = NULL, envelope = NULL, body = NULL
        WHERE idempotency_key = ${storedText(key)}`
      return Effect.gen(function* () {
        yield* sql`INSERT IGNORE INTO idempotency_keys (idempotency_key, fingerprint, owner, ends_at)
          VALUES (${storedText(key)}, ${fingerprint}, ${by}, 0)`
        const state = yield* stateOf(key, forUpdate)
        if (state !== undefined && Number(state.remaining) > 0) return refused(state, fingerprint)
        yield* taken
        return Claim.Claimed()
      }).pipe(sql.withTransaction, named("claim"))
    }
    return Effect.gen(function* () {
      const taken = yield* sql`INSERT INTO idempotency_keys AS e (idempotency_key, fingerprint, owner, ends_at)
        VALUES (${storedText(key)}, ${fingerprint}, ${by}, ${now} + ${millis(lease)})
        ON CONFLICT (idempotency_key) DO UPDATE SET fingerprint = excluded.fingerprint, owner = excluded.owner,
          ends_at = excluded.ends_at, status = NULL, envelope = NULL, body = NULL
        WHERE e.ends_at <= ${now} RETURNING owner`
      return taken.length > 0 ? Claim.Claimed() : refused(yield* stateOf(key), fingerprint)
    }).pipe(named("claim"))
  }

  const isHeld = (key: string, owner: string) => sql`idempotency_key = ${storedText(key)}
    AND owner = ${storedText(owner)} AND status IS NULL AND ends_at > ${now}`

  const ifHeld = (key: string, owner: string, change: ReturnType<typeof isHeld>): Effect.Effect<boolean, SqlError> => {
    const update = sql`UPDATE idempotency_keys SET ${change} WHERE ${isHeld(key, owner)}`
    return name === "mysql"
      ? sql.withTransaction(
          Effect.flatMap(sql`SELECT owner FROM idempotency_keys WHERE ${isHeld(key, owner)} ${forUpdate}`, (rows) =>
            Effect.as(rows.length > 0 ? Effect.asVoid(update) : Effect.void, rows.length > 0)
          )
        )
      : Effect.map(sql`${update} RETURNING owner`, (rows) => rows.length > 0)
  }

  const isOver = sql`ends_at <= ${now}`
  const oldest = sql`SELECT idempotency_key FROM idempotency_keys WHERE ${isOver} ORDER BY ends_at LIMIT ${purgedAtOnce}`
  const removeOldest =
    name === "mysql"
      ? sql.withTransaction(
          Effect.tap(
            sql`${oldest} ${forUpdate}`,
            () => sql`DELETE FROM idempotency_keys WHERE ${isOver} ORDER BY ends_at LIMIT ${purgedAtOnce}`
          )
        )
      : sql`DELETE FROM idempotency_keys WHERE ${isOver} AND idempotency_key IN (${oldest}) RETURNING owner`
  const purge = Effect.gen(function* () {
    let purged = 0
    while (true) {
      const rows = yield* removeOldest
      purged += rows.length
      if (rows.length < purgedAtOnce) return purged
    }
  })

  return IdempotencyStore.of({
    claim,
    renew: ({ key, lease, owner }) => named("renew")(ifHeld(key, owner, sql`ends_at = ${now} + ${millis(lease)}`)),
    complete: ({ key, owner, response, timeToLive }) => {
      const { body, cookies, headers, status } = response
      const envelope = JSON.stringify({ headers, cookies })
      return named("complete")(
        ifHeld(
          key,
          owner,
          sql`status = ${status}, envelope = ${envelope}, body = ${body}, ends_at = ${now} + ${millis(timeToLive)}`
        )
      )
    },
    release: ({ key, owner }) =>
      named("release")(Effect.asVoid(sql`DELETE FROM idempotency_keys WHERE ${isHeld(key, owner)}`)),
    purge: named("purge")(purge)
  })
})

/**
 * The store. Its tables are made first, except with `{ migrate: false }`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: {
  readonly migrate: boolean
}): Layer.Layer<IdempotencyStore, MigrationError | SqlError, SqlClient.SqlClient> =>
  Layer.effect(IdempotencyStore, options.migrate ? Effect.andThen(Migrations.migrate, make) : make)

/**
 * The store, whose tables are made first where they are missing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<IdempotencyStore, MigrationError | SqlError, SqlClient.SqlClient> = layerWith({
  migrate: true
})
