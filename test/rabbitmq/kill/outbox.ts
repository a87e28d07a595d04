/** A process that writes orders with their events, or relays them, to be killed. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Logger, Random, Redacted, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import { Outbox, OutboxRelay } from "../../../src/event/index.ts"
import { RabbitMqBroker } from "../../../src/rabbitmq/index.ts"
import { SqlOutbox } from "../../../src/sql/index.ts"
import { channelOf, OrderPlaced } from "./orders.ts"

export interface Role {
  readonly amqpUrl: string
  readonly databaseUrl: string
  readonly channel: string
  readonly group: string
  readonly does: "write" | "relay"
  readonly keys: number
}

const role = JSON.parse(process.argv[2]!) as Role
const channel = channelOf({ ...role, strict: true })
let written = 0

/**
 * Some orders, and an event of each. The number of an order is drawn after its event was stored, in the same transaction:
 * the numbers of a key have the order of the commits.
 */
const transaction = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const count = yield* Random.nextIntBetween(1, 4)
  const keys: Array<string> = []
  for (let n = 0; n < count; n++) keys.push(`k${yield* Random.nextIntBetween(0, role.keys)}`)
  // Seldom out of order, which deadlocks.
  const ordered = (yield* Random.next) < 0.95 ? keys.toSorted() : keys
  const pause = Effect.flatMap(Random.nextIntBetween(0, 15), (millis) => Effect.sleep(millis))
  const orders = ordered.map((key) => ({ key, id: `${process.pid}-${written++}` }))
  yield* Effect.forEach(orders, ({ id, key }) =>
    Effect.andThen(Outbox.publish(channel, OrderPlaced, { key, n: 0 }, { id }), pause)
  )
  const ghost = Outbox.publish(
    channel,
    OrderPlaced,
    { key: ordered[0]!, n: 0 },
    { id: `${process.pid}-ghost${written}` }
  )
  yield* Effect.ignore(sql.withTransaction(Effect.andThen(ghost, Effect.fail("a savepoint"))))
  for (const { id, key } of orders) {
    yield* sql`INSERT INTO ledger (id, key, n)
      SELECT ${id}, ${key}, n FROM (SELECT 1) AS one, LATERAL (SELECT count(*) + 1 AS n FROM ledger WHERE key = ${key}) AS c`
  }
  yield* pause
  if ((yield* Random.next) < 0.2) return yield* Effect.fail("rolled back")
})

const write = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const lane = Effect.forever(Effect.ignore(sql.withTransaction(transaction)))
  yield* Effect.forEach([1, 2, 3, 4], () => lane, { concurrency: "unbounded" })
})

const ready = Effect.sync(() => console.log(JSON.stringify({ _tag: "Ready" })))

const store = SqlOutbox.layer.pipe(
  Layer.provideMerge(PgClient.layer({ url: Redacted.make(role.databaseUrl), maxConnections: 8 }))
)
const relay = OutboxRelay.layer([channel], { lease: "1500 millis" }).pipe(
  Layer.provide(RabbitMqBroker.layer({ url: role.amqpUrl, reconnect: { base: "50 millis", cap: "500 millis" } }))
)

const program: Effect.Effect<unknown, unknown, Outbox.Outbox | SqlClient.SqlClient | Scope.Scope> =
  role.does === "write"
    ? Effect.andThen(ready, write)
    : Effect.andThen(Layer.build(relay), Effect.andThen(ready, Effect.never))

await Effect.runPromise(
  program.pipe(
    Effect.scoped,
    Effect.provide(Layer.mergeAll(store, Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])))
  )
)
