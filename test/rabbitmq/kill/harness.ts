/** Processes that consume while events are published to them, and what they leave behind. */
import { Duration, Effect, Fiber, Random, type Scope } from "effect"
import type { SqlClient } from "effect/sql"
import { Broker, Publisher } from "effect-integration/event"
import * as ChildProcess from "../../servers/ChildProcess.ts"
import type { ServerUnavailable } from "../../servers/Supervised.ts"
import { until } from "../../servers/until.ts"
import * as clients from "../../sql/clients.ts"
import type * as Fixture from "../fixture.ts"
import { channelOf, type Job, type Jobs, type Order, OrderPlaced, type Report } from "./orders.ts"

export const isThorough = process.env["THOROUGH"] === "1"

/** A seed of its own for each run, or the one that is to be run again. */
export const seed = process.env["SEED"] ?? String(Date.now() % 1_000_000)

/** Milliseconds between two numbers, by the seed. */
export const between = (min: number, max: number) => Random.nextIntBetween(min, max)

export type Handled = Extract<Report, { readonly id: string }>

export interface Child {
  readonly pid: number
  /** What it has said so far. */
  readonly reports: ReadonlyArray<Handled>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Waits until something is so. Dies with what the process wrote when it ends before. */
  readonly until: <E, R>(condition: Effect.Effect<boolean, E, R>) => Effect.Effect<void, E, R>
  /** Waits until it has said so. */
  readonly said: (tag: Handled["_tag"], id?: string) => Effect.Effect<void>
  /** SIGKILL; returns when it has ended and all that it said is in. */
  readonly kill: Effect.Effect<void>
  /** Ends it in order. */
  readonly stop: Effect.Effect<void>
}

/** Starts a process with these consumers; returns when they consume. */
export const start = Effect.fnUntraced(function* (
  jobs: Jobs,
  env: Readonly<Record<string, string>> = {}
): Effect.fn.Return<Child, ServerUnavailable, Scope.Scope> {
  const process = yield* ChildProcess.make("test/rabbitmq/kill/consumer.ts", { args: [JSON.stringify(jobs)], env })
  const reports: Array<Handled> = []
  let ready = false
  const listening = yield* Effect.forkScoped(
    Effect.forever(
      Effect.map(process.next, (message) => {
        const report = message as Report
        if (report._tag === "Ready") ready = true
        else reports.push(report)
      })
    )
  )
  const waitUntil = <E, R>(condition: Effect.Effect<boolean, E, R>) =>
    Effect.raceFirst(until(condition), Fiber.join(listening))
  yield* waitUntil(Effect.sync(() => ready))
  return {
    pid: process.pid,
    reports,
    signal: process.kill,
    until: waitUntil,
    said: (tag, id) =>
      waitUntil(
        Effect.sync(() => reports.some((report) => report._tag === tag && (id === undefined || report.id === id)))
      ),
    kill: Effect.andThen(process.kill("SIGKILL"), Effect.asVoid(Fiber.await(listening))),
    stop: Effect.gen(function* () {
      yield* process.send("stop")
      const { code, signal } = yield* process.exit
      if (code !== 0) return yield* Effect.die(new Error(`ended with ${code ?? signal}:\n${yield* process.stderr}`))
      yield* Fiber.await(listening)
    })
  }
})

export interface Row {
  readonly consumer: string
  readonly event: string
  readonly key: string
  readonly n: number
  readonly pid: number
  readonly attempt: number
  readonly token: number | undefined
}

/** A database with a table that lets everything in. */
export const database = Effect.fnUntraced(function* (url: string) {
  const sql = yield* clients.pg(url, { maxConnections: 2 })
  yield* sql`CREATE TABLE IF NOT EXISTS effects (serial bigserial, consumer text NOT NULL, event text NOT NULL,
    key text NOT NULL, n int NOT NULL, pid int NOT NULL, attempt int NOT NULL, token bigint)`
  return sql
})

/** The rows of a consumer, in the order in which they were written. */
export const rows = (sql: SqlClient.SqlClient, consumer: string) =>
  Effect.map(
    sql<Row & { readonly token: unknown }>`SELECT * FROM effects WHERE consumer = ${consumer} ORDER BY serial`,
    (found) => found.map((row): Row => ({ ...row, token: row.token === null ? undefined : Number(row.token) }))
  )

/** How many different events were written. */
export const written = (sql: SqlClient.SqlClient, consumer: string) =>
  Effect.map(
    sql<{ readonly n: unknown }>`SELECT count(DISTINCT event) AS n FROM effects WHERE consumer = ${consumer}`,
    ([row]) => Number(row!.n)
  )

/** The events of a consumer that are marked as processed. */
export const marked = (sql: SqlClient.SqlClient, consumer: string) =>
  Effect.map(
    sql<{ readonly event_id: string }>`SELECT event_id FROM processed_events
      WHERE consumer_group = ${consumer} AND processed_at IS NOT NULL`,
    (found) => new Set(found.map((row) => row.event_id))
  )

/** Fibers of other processes that wait for a lock. */
export const waiting = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql<{ readonly n: unknown }>`SELECT count(*) AS n FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    ([row]) => Number(row!.n)
  )

/** Publishes orders of a few keys, each in its order, and counts. */
export const makePublisher = (broker: Fixture.Service, job: Job, keys = 8) => {
  const channel = channelOf(job)
  const confirmed = new Map<string, Order>()
  const numbers = Array.from({ length: keys }, () => 0)
  const self = { sent: 0, confirmed, job }
  const publish = (order: Partial<Order> = {}) =>
    Effect.suspend(() => {
      const id = `${job.group}-${self.sent}`
      const lane = self.sent % keys
      self.sent++
      const data: Order =
        order.key === undefined
          ? { ...order, key: `k${lane}`, n: numbers[lane]!++ }
          : { n: 0, ...order, key: order.key }
      return Publisher.publish(channel, OrderPlaced, data, { id }).pipe(
        Effect.provideService(Broker.Broker, broker),
        Effect.map(() => {
          confirmed.set(id, data)
          return id
        })
      )
    })
  return Object.assign(self, {
    publish,
    /** Some hundred a second, until interrupted; what is under way is awaited. */
    steadily: Effect.forever(
      Effect.andThen(
        Effect.uninterruptible(Effect.all([publish(), publish()], { concurrency: 2 })),
        Effect.sleep(Duration.millis(20))
      )
    ),
    again: (job: Job, id: string) =>
      Effect.provideService(
        Publisher.publish(channelOf(job), OrderPlaced, confirmed.get(id)!, { id }),
        Broker.Broker,
        broker
      )
  })
}

/** What is not as it should be: events without a row, and rows too many. */
export const compare = (confirmed: Iterable<string>, done: ReadonlyArray<string>) => {
  const times = new Map<string, number>()
  for (const id of done) times.set(id, (times.get(id) ?? 0) + 1)
  return {
    lost: [...confirmed].filter((id) => !times.has(id)),
    duplicates: [...times].filter(([, count]) => count > 1).map(([id]) => id)
  }
}

/** Waits until the queues of a job are empty, and gives how many dead letters there are. */
export const drained = Effect.fnUntraced(function* (broker: Fixture.Service, job: Job) {
  const depth = broker.depth({ channel: channelOf(job), group: job.group })
  yield* until(Effect.map(depth, ({ delayed, ready }) => delayed + ready === 0))
  return (yield* depth).deadLetters
})
