import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import type { SqlClient } from "effect/sql"
import { Saga, SagaStore } from "effect-integration/saga"
import { SqlSagas } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"
import { databaseUrl, describePostgres } from "../servers/Servers.ts"
import * as Databases from "./kill/databases.ts"
import { isThorough } from "./kill/harness.ts"

const many = isThorough ? 1000 : 200

const finish = Effect.fnUntraced(function* (client: Layer.Layer<SqlClient.SqlClient>) {
  const done = new Map<string, number>()
  const step = (name: string, { order }: { readonly order: string }) =>
    Effect.sync(() => {
      const key = `${order} ${name}`
      done.set(key, (done.get(key) ?? 0) + 1)
      return key
    })
  const success = Schema.String
  const Order = Saga.make("order", { payload: Schema.Struct({ order: Schema.String }), idempotencyKey: (o) => o.order })
    .step("one", { success, run: (order) => step("one", order), compensate: () => Effect.void })
    .step("two", { success, run: (order) => step("two", order), compensate: () => Effect.void })
    .step("three", { success, run: (order) => step("three", order), compensate: () => Effect.void })
    .step("four", { success, run: (order) => step("four", order), compensate: () => Effect.void })
    .step("five", { success, run: (order) => step("five", order), irreversible: "the last one" })
  const layer = Order.layer.pipe(Layer.provideMerge(SqlSagas.layer), Layer.provide(client), Layer.orDie)
  yield* Effect.gen(function* () {
    const orders = Array.from({ length: many }, (_, n) => ({ order: `order-${n}` }))
    const outcomes = yield* Effect.forEach(orders, (order) => Order.execute(order), { concurrency: "unbounded" })
    assert.deepStrictEqual(
      outcomes.filter(({ _tag }) => _tag !== "Completed"),
      []
    )
    assert.strictEqual(new Set(outcomes.map(({ id }) => id)).size, many)
    assert.strictEqual(done.size, many * 5)
    assert.deepStrictEqual(
      Array.from(done).filter(([, count]) => count !== 1),
      []
    )
    const store = yield* SagaStore.SagaStore
    assert.lengthOf(yield* store.list({ state: "completed", limit: 10_000 }), many)
  }).pipe(Effect.provide(Layer.fresh(layer)))
})

const timeout = 600_000

describe(`${many} sagas at once on SQLite`, () => {
  it.live(
    "complete, each step of them once",
    () =>
      Effect.gen(function* () {
        const database = yield* (yield* Databases.sqlite).fresh
        if (database._tag === "sqlite") yield* finish(Layer.orDie(Sqlite.layer(database)))
      }),
    timeout
  )
})

describePostgres(`${many} sagas at once on PostgreSQL`, () => {
  it.live(
    "complete, each step of them once",
    () =>
      Effect.flatMap(databaseUrl, (url) =>
        finish(Layer.orDie(PgClient.layer({ url: Redacted.make(url), maxConnections: 8 })))
      ),
    timeout
  )
})
