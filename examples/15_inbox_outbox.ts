/**
 * Inbox and outbox in one transaction: the mark of the event, the handler's row and the event that it publishes commit
 * together. The handler fails once after it has published, and the invoice is still there once, and so is its event.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Queue, Schema } from "effect"
import { SqlClient } from "effect/sql"
import {
  Channel,
  Consumer,
  CurrentDelivery,
  EventType,
  MemoryBroker,
  Outbox,
  OutboxRelay,
  Publisher
} from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import { SqlOutbox, SqlStores } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"

const source = "https://acme.com"
const OrderPlaced = EventType.make("com.acme.order.placed", { source, data: Schema.Struct({ order: Schema.String }) })
const Invoiced = EventType.make("com.acme.invoiced", { source, data: Schema.Struct({ invoice: Schema.Int }) })
const Orders = Channel.make("orders", [OrderPlaced], { consumers: ["billing"] })
const Invoices = Channel.make("invoices", [Invoiced], { consumers: ["mailer"] })

const Billing = Consumer.make("billing", Orders, {
  handlers: {
    "com.acme.order.placed": Effect.fn(function* ({ data }) {
      const [sql, { attempt }] = yield* Effect.all([SqlClient.SqlClient, CurrentDelivery])
      const rows = sql<{ readonly id: number }>`INSERT INTO invoices ${sql.insert(data)} RETURNING id`
      const [row] = yield* Effect.orDie(rows)
      yield* Outbox.publish(Invoices, Invoiced, { invoice: row!.id })
      if (attempt === 1) return yield* Effect.die("after publishing")
    })
  },
  retry: RetryPolicy.make({ delays: ["100 millis"] }),
  dedup: { window: "14 days", mode: "transactional" }
})

const mailed = Effect.runSync(Queue.unbounded<number>())
const Mailer = Consumer.make("mailer", Invoices, {
  handlers: { "com.acme.invoiced": ({ data }) => Queue.offer(mailed, data.invoice) }
})

const stores = Layer.mergeAll(SqlStores.layer, SqlOutbox.layer, MemoryBroker.layer)
const app = Layer.provideMerge(stores, Sqlite.layer({ filename: ":memory:" }))
const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE invoices (id INTEGER PRIMARY KEY, "order" TEXT NOT NULL)`
  yield* Layer.build(Layer.mergeAll(Billing.layer, Mailer.layer, OutboxRelay.layer([Invoices])))
  for (const order of ["o-1", "o-2"]) yield* Publisher.publish(Orders, OrderPlaced, { order }, { id: order })
  yield* Console.log(`mailed: ${(yield* Queue.takeN(mailed, 2)).join(", ")}`)
  const rows = yield* sql<{ readonly id: number }>`SELECT id FROM invoices`
  yield* Console.log(`invoices: ${rows.map((row) => row.id).join(", ")}`)
})
program.pipe(Effect.scoped, Effect.provide(app), NodeRuntime.runMain)
