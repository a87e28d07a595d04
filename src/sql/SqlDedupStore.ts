/**
 * Processed events in a table of a SQL database, `processed_events`.
 *
 * **Details**
 *
 * - Claims of many fibers go to the database together: while one batch is under way the next one collects. Without load
 *   a claim is sent at once. They are apart from the caller's transaction.
 * - `transaction` runs the effect on the connection of a transaction: what it writes by the same `SqlClient` commits with
 *   the mark. The mark is written first, so that a second process waits for the first one's row and does not run its
 *   effect in vain.
 * - Times are the database's. Columns of time hold epoch milliseconds.
 * - An id of more than 255 characters is kept as its beginning and a hash.
 *
 * **Gotchas**
 *
 * - PostgreSQL: a process that freezes in a `transaction` is disconnected after `timeout` and five seconds more, and the
 *   event is free again. So the effect may not leave its transaction without a statement for longer than that.
 *   `timeout` is also the longest that a statement of the effect waits for a lock.
 * - SQLite has one writer at a time: `transaction` waits for all others, for `timeout` in the same process, and for the
 *   client's `busyTimeout` where another process writes. It has one connection: a claim within a transaction of the same
 *   client waits for that transaction, and fails after 30 seconds.
 * - Use one of the modes in a group. A claim of an event whose `transaction` is under way waits for it.
 * - MySQL has not been tested against a server.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { Claim, DedupStore, DedupStoreError, type Identity } from "../event/DedupStore.ts"
import * as batcher from "./internal/batcher.ts"
import { describe, make as makeDialect, millis } from "./internal/dialect.ts"
import { around } from "./internal/failure.ts"
import { type Event, eventOf, make as makeStatements } from "./internal/processedEvents.ts"
import * as Migrations from "./Migrations.ts"

const failed = (operation: string) => (error: SqlError) =>
  new DedupStoreError({ operation, description: describe(error) })

/** How long a batch may take: whoever waits for it learns that the answer is not known. */
const patience = Duration.seconds(30)

/**
 * The store on tables that are there already.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function* () {
  const dialect = makeDialect(yield* SqlClient.SqlClient)
  const context = yield* Effect.context<never>()
  const { sql } = dialect
  const statements = makeStatements(dialect)

  /** Batches of one operation. */
  const batched = <A extends Event, B>(
    operation: string,
    run: (requests: ReadonlyArray<A>) => Effect.Effect<ReadonlyArray<B>, SqlError>,
    options: Pick<batcher.Options<A, B, DedupStoreError>, "follow" | "abandoned" | "isSame">
  ) => {
    const failure = (description: string) => new DedupStoreError({ operation, description })
    return batcher.make<A, B, DedupStoreError | SqlError, DedupStoreError>({
      ...options,
      row: ({ row }) => row,
      run: (requests) =>
        Effect.timeoutOrElse(run(requests), {
          duration: patience,
          orElse: () => Effect.fail(failure(`no answer within ${Duration.format(patience)}`))
        }),
      isDivisible: (error) => error._tag === "SqlError" && error.reason._tag !== "ConnectionError",
      failed: (error) => (error._tag === "SqlError" ? failed(operation)(error) : error),
      closed: () => failure("the store was closed"),
      maxRows: 1000,
      // A second batch of SQLite would wait for the first.
      maxBatches: dialect.name === "sqlite" ? 1 : 2
    })
  }

  type Owned = Event & { readonly token: number }
  const sameToken = {
    isSame: (one: Owned, two: Owned) => one.token === two.token,
    follow: (answer: boolean) => answer,
    abandoned: () => {}
  }
  const release = yield* batched("release claims", statements.release, sameToken)
  const renew = yield* batched("renew claims", statements.renew, sameToken)
  const complete = yield* batched("mark events as processed", statements.complete, sameToken)
  const fork = Effect.runForkWith(context)
  const claim = yield* batched("claim events", statements.claim, {
    isSame: () => true,
    follow: (answer, asked) =>
      answer._tag === "Claimed" ? Claim.Running({ remaining: Duration.millis(asked.lease) }) : answer,
    // Whoever asked was interrupted meanwhile, and would hold the event until its lease ends.
    abandoned: (asked, answer) => {
      if (answer._tag === "Claimed") fork(Effect.ignore(release({ ...asked, token: answer.token })))
    }
  })
  const processed = yield* batched("look events up", statements.processed, {
    isSame: () => true,
    follow: (answer) => answer,
    abandoned: () => {}
  })

  const transaction = <A, E, R>(
    group: string,
    event: Identity,
    effect: Effect.Effect<A, E, R>,
    options: { readonly timeout: Duration.Duration }
  ): Effect.Effect<Option.Option<A>, DedupStoreError | E, R> =>
    Effect.suspend(() => {
      const operation = "process an event in a transaction"
      let isMarked = false
      const committed = around(
        (effect: Effect.Effect<A, E, R>) =>
          sql.withTransaction(
            Effect.flatMap(statements.mark(eventOf(group, event), millis(options.timeout)), (marked) => {
              isMarked = true
              return marked ? Effect.asSome(effect) : Effect.succeedNone
            })
          ),
        effect,
        failed(operation)
      )
      // Waiting for a connection is not bounded by the database. Where it can, the database speaks first.
      const slack = dialect.name === "pg" ? 1000 : 0
      const late = Effect.sleep(millis(options.timeout) + slack).pipe(
        Effect.andThen(
          Effect.suspend(() =>
            isMarked
              ? Effect.never
              : Effect.fail(new DedupStoreError({ operation, description: "another one is under way for too long" }))
          )
        )
      )
      return Effect.raceFirst(committed, late)
    })

  return DedupStore.of({
    claim: (group, event, lease) => claim({ ...eventOf(group, event), lease: millis(lease) }),
    renew: (group, event, token, lease) => renew({ ...eventOf(group, event), token, lease: millis(lease) }),
    complete: (group, event, token) => complete({ ...eventOf(group, event), token }),
    release: (group, event, token) => Effect.asVoid(release({ ...eventOf(group, event), token })),
    transaction,
    processed: (group, events) =>
      Effect.forEach(events, (event) => processed(eventOf(group, event)), { concurrency: "unbounded" }),
    purge: (group, window) =>
      statements.purge(group, millis(window)).pipe(
        Effect.updateContext((caller: Context.Context<never>): Context.Context<never> =>
          Context.omit(sql.transactionService)(caller as Context.Context<any>)
        ),
        Effect.mapError(failed("purge processed events"))
      )
  })
}) satisfies Effect.Effect<DedupStore["Service"], never, SqlClient.SqlClient | Scope.Scope>

/**
 * The store. Its tables are made first, except with `{ migrate: false }`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: {
  readonly migrate: boolean
}): Layer.Layer<DedupStore, MigrationError | SqlError, SqlClient.SqlClient> =>
  Layer.effect(DedupStore, options.migrate ? Effect.andThen(Migrations.migrate, make) : make)

/**
 * The store, whose tables are made first where they are missing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<DedupStore, MigrationError | SqlError, SqlClient.SqlClient> = layerWith({
  migrate: true
})
