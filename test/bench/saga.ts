/**
 * Sagas per second on each store, against the same five steps in memory, where nothing outlasts a crash.
 *
 * The steps do nothing, so what is measured is what durability costs; the share of the engine is of the whole time.
 * PostgreSQL is one of its own whose commits reach the disk, or that of `DATABASE_URL`.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted, Schema, type Scope } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Saga, SagaEngine } from "../../src/saga/index.ts"
import { SqlSagas } from "../../src/sql/index.ts"
import { Sqlite } from "../../src/sqlite/index.ts"
import * as Postgres from "../servers/Postgres.ts"
import * as Measure from "./measure.ts"

const connections = 10
/** Sagas that are started at once. */
const sagas = 200
const rounds = 5

const success = Schema.String
const step = (order: string) => Effect.as(Effect.yieldNow, order)
const undo = () => Effect.void

const Order = Saga.make("order", { payload: Schema.Struct({ order: Schema.String }), idempotencyKey: (o) => o.order })
  .step("one", { success, run: ({ order }) => step(order), compensate: undo })
  .step("two", { success, run: (_, { one }) => step(one), compensate: undo })
  .step("three", { success, run: (_, { two }) => step(two), compensate: undo })
  .step("four", { success, run: (_, { three }) => step(three), compensate: undo })
  .step("five", { success, run: (_, { four }) => step(four), irreversible: "the last one" })

const plain = (order: string) =>
  step(order).pipe(Effect.flatMap(step), Effect.flatMap(step), Effect.flatMap(step), Effect.flatMap(step))

const refused = (what: string) => Effect.die(new Error(`the bench is wrong: ${what}`))

const compare = Effect.fnUntraced(function* (where: string) {
  const context = yield* Effect.context<any>()
  let fresh = 0
  const each = (perform: (order: string) => Effect.Effect<unknown, unknown, any>) => {
    const orders = Array.from({ length: sagas }, () => `${process.pid}-${Date.now()}-${fresh++}`)
    return Effect.runPromiseWith(context)(Effect.forEach(orders, perform, { concurrency: "unbounded", discard: true }))
  }
  const durably = (order: string) =>
    Effect.flatMap(Order.execute({ order }), ({ _tag }) =>
      _tag === "Completed" ? Effect.void : refused(`a saga is ${_tag}`)
    )
  const times = yield* Effect.promise(() =>
    Measure.interleaved({ ours: () => each(durably), peer: () => each(plain) }, { rounds, warmup: 1, collect: true })
  )
  const [ours, peer] = [Measure.median(times.ours), Measure.median(times.peer)]
  const millis = (nanos: number) => nanos / sagas / 1e6
  return [
    {
      ...Measure.more(
        `${sagas} sagas of five steps at once ${where}, against the steps alone`,
        "sagas/s",
        (sagas / ours) * 1e9,
        (sagas / peer) * 1e9,
        0
      ),
      ratio: Number((Measure.median(times.peer) / Measure.median(times.ours)).toPrecision(2))
    },
    {
      ...Measure.less(
        `time of a saga ${where}; ${(100 * (1 - peer / ours)).toFixed(2)} % of it are the engine's`,
        "ms",
        millis(ours),
        millis(peer),
        0
      ),
      ratio: Number((peer / ours).toPrecision(2))
    }
  ]
})

const measured = (where: string, engine: Effect.Effect<Layer.Layer<any, any>, any, Scope.Scope>) =>
  Effect.gen(function* () {
    const layer = Layer.fresh(Layer.provideMerge(Order.layer, yield* engine))
    return yield* Effect.provide(compare(where), layer)
  }).pipe(Effect.scoped, Effect.orDie)

/** A database of its own, dropped again. */
const postgres = Effect.gen(function* () {
  const named = process.env["DATABASE_URL"]
  const server = named ?? (yield* Postgres.make({ durable: true })).url
  const name = `bench_saga_${process.pid}`
  const url = yield* Effect.acquireRelease(Postgres.createDatabase(server, name), () =>
    Effect.ignore(Postgres.dropDatabase(server, name))
  )
  return Layer.provide(SqlSagas.layer, PgClient.layer({ url: Redacted.make(url), maxConnections: connections }))
})

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "bench-saga-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

const sqlite = Effect.map(temporary, (directory) =>
  Layer.provide(SqlSagas.layer, Sqlite.layer({ filename: path.join(directory, "sagas.db") }))
)

export const run = async (): Promise<ReadonlyArray<Measure.Row>> => [
  ...(await Effect.runPromise(measured("in the engine of memory", Effect.succeed(SagaEngine.layerMemory)))),
  ...(await Effect.runPromise(measured("on SQLite", sqlite))),
  ...(await Effect.runPromise(measured("on PostgreSQL", postgres)))
]
