/** Outboxes on clients, for tests of every database. */
import { Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { Outbox } from "effect-integration/event"
import { SqlOutbox } from "effect-integration/sql"

type Options = Parameters<typeof SqlOutbox.layerWith>[0]

/** The outbox on a client. */
export const outbox = (sql: SqlClient.SqlClient, options: Options = {}) =>
  Effect.map(
    Layer.build(Layer.fresh(SqlOutbox.layerWith(options)).pipe(Layer.provide(Layer.succeed(SqlClient.SqlClient, sql)))),
    (context) => Context.get(context, Outbox.Outbox)
  )

/** The suites are data before there is a store, so each test makes its own. */
export const names = {
  name: "names",
  time: "real",
  transaction: <A, E>(effect: Effect.Effect<A, E>) => effect
} as const

/** Runs an effect in a transaction, as the suite asks. */
export const transaction =
  (sql: SqlClient.SqlClient) =>
  <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.catchTag(sql.withTransaction(effect) as Effect.Effect<A, any>, "SqlError", Effect.die)
