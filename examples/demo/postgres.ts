/**
 * Stores in the database that `DATABASE_URL` names, in a schema of this run; without it on a private server, which ends
 * with the demo.
 */
import { PgClient } from "@effect/sql-pg"
import { Config, Context, Effect, Layer, Option, Random, Redacted } from "effect"
import { SqlStores } from "effect-integration/sql"
import { OrderBook } from "../orders-to-payments/orders.ts"
import { Entries, type Settled } from "./book.ts"

const privateUrl = Effect.gen(function* () {
  const { make } = yield* Effect.promise(() => import("../../test/servers/Postgres.ts"))
  return Redacted.make((yield* make()).url)
})

/** The tables of the stores are made in a schema that nobody else has, and go with it. */
const ownSchema = (schema: string) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* Effect.acquireRelease(sql`CREATE SCHEMA ${sql(schema)}`, () =>
        Effect.orDie(sql`DROP SCHEMA ${sql(schema)} CASCADE`)
      )
    })
  )

/** The order book beside the stores: what is settled and the mark of its event are committed together. */
const book = Layer.effectContext(
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql`CREATE TABLE order_book (order_id uuid PRIMARY KEY, state text NOT NULL)`
    const settle = (orderId: string, state: Settled) =>
      Effect.orDie(
        Effect.asVoid(sql`INSERT INTO order_book ${sql.insert({ order_id: orderId, state })}
          ON CONFLICT (order_id) DO UPDATE SET state = excluded.state`)
      )
    const rows = sql<{ readonly order_id: string; readonly state: Settled }>`SELECT order_id, state FROM order_book`
    const entries = Effect.map(rows, (found) => new Map(found.map((row) => [row.order_id, row.state] as const)))
    return Context.make(OrderBook, { settle }).pipe(Context.add(Entries, Effect.orDie(entries)))
  })
)

export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const given = yield* Config.option(Config.Redacted("DATABASE_URL"))
    const url = Option.isSome(given) ? given.value : yield* privateUrl
    const schema = `demo_${(yield* Random.nextInt).toString(36).replace("-", "")}`
    const client = PgClient.layer({ url, startupParameters: { search_path: schema } })
    return Layer.merge(SqlStores.layer, book).pipe(Layer.provide(ownSchema(schema)), Layer.provide(client))
  })
)
