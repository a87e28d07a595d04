/** A process with consumers, to be killed, stopped and continued. It ends in order when it reads a line. */
import { NodeHttpClient } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Data, Deferred, Duration, Effect, Layer, Logger, Random, Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { SqlClient } from "effect/sql"
import * as readline from "node:readline"
import { Consumer, CurrentDelivery } from "../../../src/event/index.ts"
import { HttpContract, Idempotency, StatusTable } from "../../../src/http/index.ts"
import { ErrorAction, RetryPolicy } from "../../../src/policy/index.ts"
import { RabbitMqBroker } from "../../../src/rabbitmq/index.ts"
import { SqlStores } from "../../../src/sql/index.ts"
import { channelOf, type Job, type Jobs, type Order, PaymentsApi, type Report } from "./orders.ts"

class Payments extends HttpContract.Service<Payments>()("payments", {
  api: PaymentsApi,
  baseUrl: Config.URL("PAYMENTS_URL"),
  errors: StatusTable.standard,
  idempotent: true,
  timeouts: { total: "5 seconds" }
}) {}

class Unwritten extends Data.TaggedError("Unwritten") {
  readonly errorAction = ErrorAction.make("retry", { outage: true })
}
class Overloaded extends Data.TaggedError("Overloaded") {
  readonly errorAction = ErrorAction.retry
}

const { amqpUrl, databaseUrl, jobs } = JSON.parse(process.argv[2]!) as Jobs

const say = (report: Report) => Effect.sync(() => console.log(JSON.stringify(report)))

const write = Effect.fnUntraced(
  function* (id: string, order: Order) {
    const sql = yield* SqlClient.SqlClient
    const { attempt, fencingToken, group } = yield* CurrentDelivery
    const row = { consumer: group, event: id, key: order.key, n: order.n, pid: process.pid, attempt }
    yield* sql`INSERT INTO effects ${sql.insert({ ...row, token: fencingToken ?? null })}`
  },
  Effect.mapError(() => new Unwritten())
)

const charge = (id: string) =>
  Payments.use((payments) => payments.charges.create({ payload: { order: id, amount: 4200 } }))

const consumer = (job: Job) => {
  const { does } = job
  const handle = Effect.fnUntraced(function* (event: { readonly id: string; readonly data: Order }) {
    const { data, id } = event
    const { attempt, group } = yield* CurrentDelivery
    const about = { channel: job.channel, group, id, attempt }
    yield* say({ _tag: "Begun", ...about })
    yield* Effect.sleep(data.slow ?? (yield* Random.nextIntBetween(1, job.work)))
    if (data.failsOn === job.channel && attempt === 1) {
      yield* say({ _tag: "Failed", ...about })
      return yield* new Overloaded()
    }
    if (does === "write") yield* write(id, data)
    else if (does === "charge") yield* charge(id)
    else yield* Effect.provideService(charge(id), Idempotency.Keys, undefined)
    yield* say({ _tag: "Wrote", ...about })
    // What follows the effect, so that a process can be killed between it and the end of its transaction.
    if (data.slow === undefined) yield* Effect.sleep(yield* Random.nextIntBetween(1, job.work))
  })
  return Consumer.make(job.group, channelOf(job), {
    handlers: {
      "com.acme.order.placed": (event) => (event.data.slow === undefined ? handle(event) : handle(event))
    },
    dedup: { window: "1 day", mode: job.dedup },
    ...(job.delays.length === 0
      ? {}
      : { retry: RetryPolicy.make({ delays: job.delays.map((millis) => Duration.millis(millis)), jitter: "none" }) }),
    prefetch: job.prefetch,
    lease: Duration.millis(job.lease),
    timeout: Duration.millis(job.timeout),
    drain: "5 seconds"
  })
}

const stop = Deferred.makeUnsafe<void>()
const input = readline.createInterface({ input: process.stdin })
input.once("line", () => {
  input.close()
  // Else it keeps the process alive.
  process.stdin.destroy()
  Deferred.doneUnsafe(stop, Effect.void)
})

const connections = jobs.reduce((sum, job) => sum + job.prefetch, 4)
const client = PgClient.layer({ url: Redacted.make(databaseUrl), maxConnections: connections })
// So that the provider knows whom it answers.
const signed = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(
    HttpClient.HttpClient,
    HttpClient.mapRequest(HttpClientRequest.setHeader("x-process", String(process.pid)))
  )
).pipe(Layer.provide(NodeHttpClient.layerUndici))
const payments = jobs.some(({ does }) => does !== "write")
  ? Payments.layer.pipe(Layer.provide(signed))
  : Payments.mock({})
const broker = RabbitMqBroker.layer({
  url: amqpUrl,
  // So short that a process that was stopped is soon given up.
  heartbeat: "1 second",
  reconnect: { base: "50 millis", cap: "500 millis" }
})

const consumers = Layer.mergeAll(Layer.empty, ...jobs.map((job) => consumer(job).layer)).pipe(
  Layer.provide([broker, SqlStores.layer, payments]),
  Layer.provide(client)
)

// Standard output is for reports.
const log = Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])

await Effect.runPromise(
  Layer.build(consumers).pipe(
    Effect.andThen(say({ _tag: "Ready" })),
    Effect.andThen(Deferred.await(stop)),
    Effect.scoped,
    Effect.provide(log)
  )
)
