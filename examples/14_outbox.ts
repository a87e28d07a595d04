/**
 * A transactional outbox: an order and its event commit together, or neither is there. A relay publishes what was
 * committed, in the order of the commits of each customer.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Exit, Layer, Queue, Schema } from "effect"
import { SqlClient } from "effect/sql"
import {
  Channel,
  Consumer,
  DedupStore,
  EventType,
  MemoryBroker,
  Ordering,
  Outbox,
  OutboxRelay,
  Parking
} from "effect-integration/event"
import { SqlOutbox } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"

const Order = Schema.Struct({ id: Schema.String, customer: Schema.String })
const OrderPlaced = EventType.make("com.acme.order.placed", { source: "https://acme.com/orders", data: Order })
const Orders = Channel.make("orders", [OrderPlaced], { ordering: Ordering.strict("customer"), consumers: ["shipping"] })

const place = Effect.fn("place")(function* (order: typeof Order.Type) {
  const sql = yield* SqlClient.SqlClient
  return yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* Outbox.publish(Orders, OrderPlaced, order)
      yield* sql`INSERT INTO orders ${sql.insert(order)}` // the same id twice fails, and takes the event with it
    })
  )
})

const shipped = Effect.runSync(Queue.unbounded<string>())
const Shipping = Consumer.make("shipping", Orders, {
  handlers: { "com.acme.order.placed": ({ data }) => Queue.offer(shipped, `${data.id} of ${data.customer}`) },
  dedup: { window: "14 days" } // a relay that dies may publish an event again
})

const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE orders (id TEXT PRIMARY KEY, customer TEXT NOT NULL)`
  for (const id of ["o-1", "o-2", "o-2", "o-3"]) {
    const exit = yield* Effect.exit(place({ id, customer: "ada" }))
    yield* Console.log(`${id}: ${Exit.isSuccess(exit) ? "committed" : "rolled back"}`)
  }
  for (const { channel, pending } of yield* Outbox.depth) yield* Console.log(`${channel}: ${pending} to be published`)
  yield* Layer.build(Layer.mergeAll(OutboxRelay.layer([Orders]), Shipping.layer))
  yield* Console.log(`shipped: ${(yield* Queue.takeN(shipped, 3)).join(", ")}`)
})

const stores = Layer.mergeAll(SqlOutbox.layer, DedupStore.layerMemory, Parking.layerMemory, MemoryBroker.layer)
const app = Layer.provideMerge(stores, Sqlite.layer({ filename: ":memory:" }))
program.pipe(Effect.scoped, Effect.provide(app), NodeRuntime.runMain)
