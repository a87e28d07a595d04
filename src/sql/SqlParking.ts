/**
 * Parked messages in tables of a SQL database, `parked_keys` and `parked_messages`.
 *
 * **Details**
 *
 * - Fibers that ask for different keys at once are answered together, by two statements for up to a thousand keys.
 * - Each change asks in its own transaction whether the lease is still held, and locks the key's row: nobody can acquire
 *   the key in between. A lease that has ended is held until another owner acquires the key.
 * - `confirm` joins the transaction of the caller, when it is one of the same `SqlClient`, and so do changes.
 *   `acquire` is apart from it.
 * - Leases and due times are the database's. Columns of time hold epoch milliseconds.
 *
 * **Gotchas**
 *
 * - PostgreSQL: a lease is not renewed while a transaction that has confirmed it is open; nobody else can acquire its key
 *   meanwhile either.
 * - SQLite has one connection: to acquire a key within a transaction of the same client waits for that transaction, and
 *   fails after 30 seconds.
 * - MySQL has not been tested against a server.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { type Acquisition, Parking, ParkingError } from "../event/Parking.ts"
import * as batcher from "./internal/batcher.ts"
import { describe, make as makeDialect, millis } from "./internal/dialect.ts"
import { sqlErrorOf } from "./internal/failure.ts"
import { make as makeStatements, rowOf, type Wanted } from "./internal/parkedMessages.ts"
import * as Migrations from "./Migrations.ts"

const failure = (operation: string, description: string) => new ParkingError({ operation, description })

/** The error of SQL as the store's, without what was stored or where. */
const named =
  (operation: string) =>
  <A>(self: Effect.Effect<A, SqlError>): Effect.Effect<A, ParkingError> =>
    Effect.catchCause(self, (cause) => {
      // A rollback that fails is a defect: the connection is gone.
      const error = sqlErrorOf(cause)
      return error === undefined ? Effect.failCause(cause as never) : Effect.fail(failure(operation, describe(error)))
    })

/** How long a batch may take: whoever waits for it learns that the answer is not known. */
const patience = Duration.seconds(30)

/**
 * The store on tables that are there already.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Parking["Service"], never, SqlClient.SqlClient | Scope.Scope> = Effect.gen(
  function* () {
    const dialect = makeDialect(yield* SqlClient.SqlClient)
    const statements = makeStatements(dialect)
    const taking = "acquire keys"

    const acquire = yield* batcher.make<Wanted, Acquisition, ParkingError | SqlError, ParkingError>({
      row: rowOf,
      isSame: (one, two) => one.owner === two.owner,
      follow: (answer) => answer,
      run: (requests) =>
        Effect.timeoutOrElse(statements.acquire(requests), {
          duration: patience,
          orElse: () => Effect.fail(failure(taking, `no answer within ${Duration.format(patience)}`))
        }),
      isDivisible: (error) => error._tag === "SqlError" && error.reason._tag !== "ConnectionError",
      failed: (error) => (error._tag === "SqlError" ? failure(taking, describe(error)) : error),
      // Not released: the owner may have had it already. Its lease ends.
      abandoned: () => {},
      closed: () => failure(taking, "the store was closed"),
      maxRows: 1000,
      maxBatches: dialect.name === "sqlite" ? 1 : 2
    })

    return Parking.of({
      acquire: (group, key, owner, lease) => acquire({ group, key, owner, lease: millis(lease) }),
      renew: (leases, lease) => named("renew leases")(statements.renew(leases, millis(lease))),
      release: (leases) => named("release leases")(Effect.asVoid(statements.release(leases))),
      confirm: (lease) => named("confirm a lease")(statements.confirm(lease)),
      park: (lease, identity, message, after) =>
        named("park a message")(statements.park(lease, identity, message, millis(after))),
      first: (lease) => named("read a parked message")(statements.first(lease)),
      postpone: (lease, position, message, after) =>
        named("postpone a parked message")(statements.postpone(lease, position, message, millis(after))),
      remove: (lease, position) => named("remove a parked message")(statements.remove(lease, position)),
      due: (group, limit) => named("look for due keys")(statements.due(group, limit)),
      halt: (lease, reason) => named("halt a key")(statements.halt(lease, reason)),
      resume: (group, key) => named("resume a key")(statements.resume(group, key)),
      keys: (group, limit) => named("list keys")(statements.keys(group, limit)),
      depth: (group) => named("count parked messages")(statements.depth(group)),
      lastWorked: (group, keys) => named("look keys up")(statements.lastWorked(group, keys)),
      purge: (group, olderThan) => named("purge keys")(statements.purge(group, millis(olderThan)))
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
}): Layer.Layer<Parking, MigrationError | SqlError, SqlClient.SqlClient> =>
  Layer.effect(Parking, options.migrate ? Effect.andThen(Migrations.migrate, make) : make)

/**
 * The store, whose tables are made first where they are missing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Parking, MigrationError | SqlError, SqlClient.SqlClient> = layerWith({ migrate: true })
