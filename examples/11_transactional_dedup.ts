/**
 * Dedup in the handler's transaction: the mark of the event and what the handler writes commit together. So its row is
 * there once, although the handler fails after writing and the event comes twice. `DATABASE_URL`: PostgreSQL, else SQLite.
 */
import { NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Console, Effect, Layer, Option, Queue, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Channel, Consumer, CurrentDelivery, EventType, MemoryBroker, Publisher } from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import { SqlStores } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"

const Order = Schema.Struct({ number: Schema.String })
const OrderPlaced = EventType.make("com.acme.order.placed", { source: "https://acme.com/orders", data: Order })
const Orders = Channel.make("orders", [OrderPlaced], { consumers: ["books"] })
const table = `bookings_${process.pid}_${Date.now()}` // of this run, since the server may be a shared one
const handled = Effect.runSync(Queue.unbounded<string>())
const Books = Consumer.make("books", Orders, {
  handlers: {
    "com.acme.order.placed": Effect.fn(function* ({ data }) {
      const [sql, { attempt }] = yield* Effect.all([SqlClient.SqlClient, CurrentDelivery])
      yield* Effect.orDie(sql`INSERT INTO ${sql(table)} ${sql.insert(data)}`)
      if (attempt === 1 && data.number === "o-1") return yield* Effect.die("after the insert")
      yield* Queue.offer(handled, `${data.number} in attempt ${attempt}`)
    })
  },
  retry: RetryPolicy.make({ delays: ["100 millis"] }),
  dedup: { window: "14 days", mode: "transactional" }
})

const database = Layer.unwrap(
  Effect.map(Config.option(Config.Redacted("DATABASE_URL")), (given) =>
    Option.isSome(given) ? PgClient.layer({ url: given.value }) : Sqlite.layer({ filename: ":memory:" })
  )
)
const app = SqlStores.layer.pipe(Layer.provideMerge(database), Layer.merge(MemoryBroker.layer))

const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.acquireRelease(sql`CREATE TABLE ${sql(table)} (number text)`, () =>
    Effect.orDie(sql`DROP TABLE ${sql(table)}`)
  )
  yield* Effect.gen(function* () {
    const place = (number: string) => Publisher.publish(Orders, OrderPlaced, { number }, { id: `${number} ${table}` })
    yield* place("o-1")
    yield* Console.log(yield* Queue.take(handled))
    // A transaction at a time on SQLite, in parallel on PostgreSQL: the duplicate is skipped on either.
    yield* place("o-1")
    yield* place("o-2")
    yield* Console.log(yield* Queue.take(handled))
  }).pipe(Effect.provide(Books.layer))
  // The consumer has ended, so what it had in hand is committed.
  const rows = yield* sql<{ readonly number: string }>`SELECT number FROM ${sql(table)} ORDER BY number`
  yield* Console.log("rows:", ...rows.map((row) => row.number))
})

program.pipe(Effect.scoped, Effect.provide(app), NodeRuntime.runMain)
