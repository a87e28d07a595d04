/** A process with a consumer, one of whose events kills it. It says what it has handled. */
import { PgClient } from "@effect/sql-pg"
import { type Duration, Effect, Layer, Logger, Redacted } from "effect"
import { CurrentDelivery } from "../../src/event/index.ts"
import { RabbitMqBroker } from "../../src/rabbitmq/index.ts"
import { SqlStores } from "../../src/sql/index.ts"
import { Sqlite } from "../../src/sqlite/index.ts"
import { billing, memory, ordered, Overloaded, unordered } from "./faultOrders.ts"

export interface Job {
  readonly url: string
  readonly channel: string
  readonly strict: boolean
  /** Whether the event is parked when it kills, or just delivered. */
  readonly parked: boolean
  /** Of keys and claims. */
  readonly lease: Duration.Input
  readonly sqlite?: string
  readonly postgres?: string
}

const job = JSON.parse(process.argv[2]!) as Job

const consumer = billing(
  job.strict ? ordered(job.channel) : unordered(job.channel),
  ({ data }) =>
    Effect.gen(function* () {
      if (data.note !== "poison") {
        // Long enough to be at work when another one kills the process.
        yield* Effect.sleep("20 millis")
        return yield* Effect.sync(() => console.log(JSON.stringify(data.id)))
      }
      const { attempt } = yield* CurrentDelivery
      if (job.parked && attempt === 1) return yield* new Overloaded()
      return process.kill(process.pid, "SIGKILL")
    }),
  { prefetch: 8, maxRedeliveries: 3, lease: job.lease }
)

const stores =
  job.sqlite !== undefined
    ? Layer.provide(SqlStores.layer, Sqlite.layer({ filename: job.sqlite }))
    : job.postgres !== undefined
      ? Layer.provide(SqlStores.layer, PgClient.layer({ url: Redacted.make(job.postgres), maxConnections: 4 }))
      : memory

const main = consumer.layer.pipe(
  Layer.provide([RabbitMqBroker.layer({ url: job.url }), stores]),
  // Standard output is for what is said to the test.
  Layer.provide(Logger.layer([])),
  Layer.launch
)
await Effect.runPromise(main as Effect.Effect<never, unknown>)
