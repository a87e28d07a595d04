/**
 * An outbox in tables of a SQL database, `outbox_events`, `outbox_leases` and `outbox_relays`.
 *
 * **Details**
 *
 * - An event is stored by one statement, in the transaction of the caller when it is one of the same `SqlClient`.
 * - PostgreSQL: the statement takes a lock of the channel and key before the event's number is drawn, and the transaction
 *   keeps it. So in the order of their numbers the events of a key are committed. Without a key there is no lock.
 * - PostgreSQL: the statement notifies the relays (`NOTIFY effect_integration_outbox`), which a relay hears by a
 *   connection of its own out of the pool. Where that connection is lost, or a pooler does not pass notifications on,
 *   relays poll. A relay of the same process is told by all databases.
 * - How many events there are is counted at most once a second, and estimated in between: the bound is not exact.
 * - Leases and ages are the database's time. Columns of time hold epoch milliseconds.
 *
 * **Gotchas**
 *
 * - PostgreSQL lets one transaction with a notification commit at a time. Where thousands commit in a second, turn `notify`
 *   off.
 * - Relays must read from the primary: a replica may show the events of a key later than a lease.
 * - SQLite has one connection: a relay waits for the transactions of the same client.
 * - MySQL has not been tested against a server.
 *
 * **Example** (With its relay)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { type Channel, MemoryBroker, OutboxRelay } from "effect-integration/event"
 * import { SqlOutbox } from "effect-integration/sql"
 * import { Sqlite } from "effect-integration/sqlite"
 *
 * declare const Orders: Channel.Any
 *
 * export const outbox = OutboxRelay.layer([Orders]).pipe(
 *   Layer.provideMerge([SqlOutbox.layer, MemoryBroker.layer]),
 *   Layer.provideMerge(Sqlite.layer({ filename: "app.db" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { Outbox, OutboxError } from "../event/Outbox.ts"
import { monotonicMillis } from "../internal/monotonic.ts"
import * as Option from "../internal/option.ts"
import { describe, make as makeDialect, millis } from "./internal/dialect.ts"
import { sqlErrorOf } from "./internal/failure.ts"
import * as listening from "./internal/listening.ts"
import { make as makeEvents, notifications } from "./internal/outboxEvents.ts"
import { make as makeLeases } from "./internal/outboxLeases.ts"
import * as Migrations from "./Migrations.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How many events may wait or be set aside. Default: 100,000. */
  readonly maxPending?: number
  /** PostgreSQL: whether relays of other processes are notified of commits, and listen. Default: true. */
  readonly notify?: boolean
}

const failure = (reason: OutboxError["reason"], operation: string, description: string) =>
  new OutboxError({ reason, operation, description })

/** The error of SQL as the store's, without what was stored or where. */
const named =
  (operation: string) =>
  <A, R>(self: Effect.Effect<A, SqlError, R>): Effect.Effect<A, OutboxError, R> =>
    Effect.catchCause(self, (cause) => {
      // A rollback that fails is a defect: the connection is gone.
      const error = sqlErrorOf(cause)
      return error === undefined
        ? Effect.failCause(cause as never)
        : Effect.fail(failure("unavailable", operation, describe(error)))
    })

/** How long what a relay asks may take. */
const patience = Duration.seconds(30)
const bounded =
  (operation: string) =>
  <A>(self: Effect.Effect<A, SqlError>): Effect.Effect<A, OutboxError> =>
    Effect.timeoutOrElse(named(operation)(self), {
      duration: patience,
      orElse: () => Effect.fail(failure("unavailable", operation, `no answer within ${Duration.format(patience)}`))
    })

/** Milliseconds between two counts of the table. */
const countEvery = 1000

/**
 * The store on tables that are there already.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<Outbox["Service"], never, SqlClient.SqlClient | Scope.Scope> => {
  const maxPending = Option.number("SqlOutbox.make", "maxPending", options.maxPending ?? 100_000, {
    min: 1,
    integer: true
  })
  const notify = options.notify ?? true
  return Effect.gen(function* () {
    const client = yield* SqlClient.SqlClient
    const dialect = makeDialect(client)
    const scope = yield* Effect.scope
    const clock = yield* Clock.Clock
    const context = yield* Effect.context<never>()
    const events = makeEvents(dialect, { notify })
    const leases = makeLeases(dialect)
    const listeners = new Set<(channel: string | undefined) => void>()
    const tell = (channel: string | undefined) => listeners.forEach((listener) => listener(channel))
    const notified = listening.make(client, notifications, tell)
    let isWatched = false

    let stored = 0
    let countedAt = -Infinity
    const count = Effect.suspend(() => {
      countedAt = monotonicMillis(clock)
      return Effect.map(events.count(maxPending), (found) => {
        stored = found
      })
    })
    // Apart from the transaction of whoever has asked, who does not wait for it.
    const recount = () => {
      if (monotonicMillis(clock) - countedAt < countEvery) return
      countedAt = monotonicMillis(clock)
      Effect.runForkWith(context)(Effect.forkIn(Effect.ignore(count, { log: "Debug" }), scope))
    }
    yield* Effect.ignore(Effect.timeoutOption(count, patience), { log: "Debug" })

    const adding = "store an event"
    return Outbox.of({
      add: (entry) =>
        Effect.suspend(() => {
          recount()
          if (stored >= maxPending) {
            const description = `about ${stored} events wait or are set aside, and no more than ${maxPending} may`
            return Effect.fail(failure("full", adding, description))
          }
          stored++
          const added = named(adding)(events.add(entry))
          return notified.isOn
            ? Effect.asVoid(added)
            : Effect.andThen(added, dialect.sql.afterCommit(Effect.sync(() => tell(entry.channel))))
        }),
      watch: (listener) =>
        Effect.gen(function* () {
          yield* Effect.acquireRelease(
            Effect.sync(() => listeners.add(listener)),
            () => Effect.sync(() => listeners.delete(listener))
          )
          if (isWatched || !notify) return
          isWatched = true
          yield* Effect.forkIn(notified.run, scope)
        }),
      lease: ({ channels, lease, owner }) =>
        bounded("lease keys")(leases.lease({ owner, channels, lease: millis(lease) })),
      release: (owner, given, options) => bounded("release keys")(leases.release(owner, given, options)),
      pending: (query) => bounded("read events")(events.pending(query)),
      remove: (positions) => bounded("remove events")(Effect.asVoid(events.remove(positions))),
      attempted: (owner, event, error) => bounded("count an attempt")(events.attempted(owner, event, error)),
      putAside: (owner, event, failure) => bounded("set an event aside")(events.putAside(owner, event, failure)),
      setAside: (selection) => named("list events")(events.setAside(selection)),
      retry: (positions) =>
        Effect.map(named("retry events")(events.retry(positions)), ({ channels, count }) => {
          channels.forEach(tell)
          return count
        }),
      discard: (positions) =>
        Effect.map(named("discard events")(events.discard(positions)), ({ channels, count }) => {
          channels.forEach(tell)
          return count
        }),
      depth: named("count events")(events.depth)
    })
  })
}

/**
 * The store. Its tables are made first, except with `{ migrate: false }`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (
  options: Options & { readonly migrate?: boolean }
): Layer.Layer<Outbox, MigrationError | SqlError, SqlClient.SqlClient> => {
  const made = make(options)
  return Layer.effect(Outbox, options.migrate === false ? made : Effect.andThen(Migrations.migrate, made))
}

/**
 * The store, whose tables are made first where they are missing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Outbox, MigrationError | SqlError, SqlClient.SqlClient> = layerWith({})
