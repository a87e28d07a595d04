/**
 * Events per second through the dedup stores on real databases, against the loop that people write.
 *
 * PostgreSQL is one of its own whose commits reach the disk, or that of `DATABASE_URL`.
 */
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DedupStore } from "../../src/event/DedupStore.ts"
import * as SqlDedupStore from "../../src/sql/SqlDedupStore.ts"
import * as Sqlite from "../../src/sqlite/Sqlite.ts"
import * as Postgres from "../servers/Postgres.ts"
import * as Measure from "./measure.ts"

const inFlight = 256
const connections = 10
const group = "orders"
const source = "https://acme.com/orders"
const lease = Duration.seconds(30)

interface Peer {
  /** Where the message has not been processed, marks it. */
  readonly process: (id: string) => Effect.Effect<void, unknown>
  readonly isProcessed: (id: string) => Effect.Effect<boolean, unknown>
}

const selects = (sql: SqlClient.SqlClient) => (id: string) =>
  Effect.map(
    sql`SELECT 1 FROM naive_events WHERE consumer_group = ${group} AND event_source = ${source} AND event_id = ${id}`,
    (rows) => rows.length > 0
  )

const inserts = (sql: SqlClient.SqlClient, now: string) => (id: string) =>
  sql`INSERT INTO naive_events (event_source, event_id, consumer_group, processed_at)
    VALUES (${source}, ${id}, ${group}, ${sql.literal(now)})`

/** Each statement is a round trip of its own. */
const apart = (sql: SqlClient.SqlClient): Peer => {
  const isProcessed = selects(sql)
  const insert = inserts(sql, "now()")
  return {
    isProcessed,
    process: (id) => Effect.flatMap(isProcessed(id), (is) => (is ? Effect.void : Effect.asVoid(insert(id))))
  }
}

/** One transaction a message. */
const together = (sql: SqlClient.SqlClient): Peer => {
  const isProcessed = selects(sql)
  const insert = inserts(sql, "CURRENT_TIMESTAMP")
  return {
    isProcessed,
    process: (id) =>
      sql.withTransaction(Effect.flatMap(isProcessed(id), (is) => (is ? Effect.void : Effect.asVoid(insert(id)))))
  }
}

const refused = (what: string) => Effect.die(new Error(`the bench is wrong: ${what}`))

const compare = Effect.fnUntraced(function* (options: {
  readonly on: string
  readonly keyType: string
  readonly timeType: string
  readonly peer: (sql: SqlClient.SqlClient) => Peer
  readonly events: number
  readonly rounds: number
  readonly against: string
}) {
  const sql = yield* SqlClient.SqlClient
  const store = yield* DedupStore
  const { events, keyType, rounds } = options
  yield* sql.unsafe(`CREATE TABLE naive_events (event_source ${keyType} NOT NULL, event_id ${keyType} NOT NULL,
    consumer_group ${keyType} NOT NULL, processed_at ${options.timeType} NOT NULL,
    PRIMARY KEY (consumer_group, event_source, event_id))`)
  const peer = options.peer(sql)
  const context = yield* Effect.context<never>()
  const each = (ids: ReadonlyArray<string>, process: (id: string) => Effect.Effect<unknown, unknown>) =>
    Effect.runPromiseWith(context)(Effect.forEach(ids, process, { concurrency: inFlight, discard: true }))

  const process = (id: string) =>
    Effect.flatMap(store.claim(group, { source, id }, lease), (claim) =>
      claim._tag === "Claimed"
        ? Effect.flatMap(store.complete(group, { source, id }, claim.token), (is) =>
            is ? Effect.void : refused("a claim was lost")
          )
        : refused(`a claim is ${claim._tag}`)
    )
  const duplicate = (id: string) =>
    Effect.flatMap(store.claim(group, { source, id }, lease), (claim) =>
      claim._tag === "Processed" ? Effect.void : refused(`a duplicate is ${claim._tag}`)
    )
  const known = (id: string) =>
    Effect.flatMap(peer.isProcessed(id), (is) => (is ? Effect.void : refused("a duplicate is not known")))

  let fresh = 0
  const ids = () => Array.from({ length: events }, () => `${crypto.randomUUID()}-${fresh++}`)
  let ours: ReadonlyArray<string> = []
  let theirs: ReadonlyArray<string> = []
  const times = yield* Effect.promise(() =>
    Measure.interleaved(
      { ours: () => each((ours = ids()), process), peer: () => each((theirs = ids()), peer.process) },
      { rounds, warmup: 3, collect: true }
    )
  )
  const again = yield* Effect.promise(() =>
    Measure.interleaved(
      { ours: () => each(ours, duplicate), peer: () => each(theirs, known) },
      { rounds, warmup: 2, collect: true }
    )
  )
  const perSecond = (times: ReadonlyArray<number>) => (events / Measure.median(times)) * 1e9
  const row = (name: string, { ours, peer }: typeof times, target: number): Measure.Row => ({
    ...Measure.more(name, "events/s", perSecond(ours), perSecond(peer), target),
    ratio: Measure.paired(peer, ours)
  })
  return [
    row(`claim and complete on ${options.on}, against ${options.against}`, times, 5),
    row(`duplicates on ${options.on}, against one SELECT a message`, again, 0)
  ]
})

/** A database of its own, dropped again. */
const postgres = Effect.gen(function* () {
  const named = process.env["DATABASE_URL"]
  const server = named ?? (yield* Postgres.make({ durable: true })).url
  const name = `bench_dedup_${process.pid}`
  const url = yield* Effect.acquireRelease(Postgres.createDatabase(server, name), () =>
    Effect.ignore(Postgres.dropDatabase(server, name))
  )
  return Layer.orDie(
    Layer.provideMerge(
      SqlDedupStore.layer,
      PgClient.layer({ url: Redacted.make(url), maxConnections: connections, minConnections: connections })
    )
  )
})

const onPostgres = Effect.gen(function* () {
  const layer = yield* postgres
  return yield* compare({
    on: "PostgreSQL",
    keyType: 'text COLLATE "C"',
    timeType: "timestamptz",
    peer: apart,
    events: 3072,
    rounds: 7,
    against: "one SELECT and one INSERT a message"
  }).pipe(Effect.provide(layer), Effect.scoped)
}).pipe(Effect.scoped)

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "bench-dedup-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

const onSqlite = Effect.gen(function* () {
  const filename = path.join(yield* temporary, "events.db")
  const layer = Layer.orDie(Layer.provideMerge(SqlDedupStore.layer, Sqlite.layer({ filename })))
  return yield* compare({
    on: "SQLite",
    keyType: "TEXT",
    timeType: "TEXT",
    peer: together,
    events: 2048,
    rounds: 7,
    against: "one transaction a message"
  }).pipe(Effect.provide(layer), Effect.scoped)
}).pipe(Effect.scoped)

export const run = async (): Promise<ReadonlyArray<Measure.Row>> => [
  ...(await Effect.runPromise(onPostgres)),
  ...(await Effect.runPromise(onSqlite))
]
