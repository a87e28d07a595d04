import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as ChildProcess from "./ChildProcess.ts"
import { isOpen } from "./Port.ts"
import * as Postgres from "./Postgres.ts"
import { databaseUrl, describeOwnPostgres, describePostgres, freshDatabase } from "./Servers.ts"
import { isAlive } from "./Supervised.ts"
import { until } from "./until.ts"

const query = (url: string, statement: string) =>
  PgClient.make({ url: Redacted.make(url) }).pipe(
    Effect.flatMap((sql) => sql.unsafe(statement)),
    Effect.scoped,
    Effect.provide(Layer.fresh(Reactivity.layer))
  )

describePostgres("the shared PostgreSQL", () => {
  it.live("has a database for the file", () =>
    Effect.gen(function* () {
      const url = yield* databaseUrl
      assert.strictEqual(yield* databaseUrl, url)
      yield* query(url, "CREATE TABLE orders (id int)")
      const other = yield* freshDatabase("other")
      assert.notStrictEqual(other, url)
      yield* query(other, "CREATE TABLE orders (id int)")
    })
  )
})

describeOwnPostgres("a PostgreSQL of its own", () => {
  it.live("keeps what is committed when it is killed, and when it is stopped", () =>
    Effect.gen(function* () {
      const server = yield* Postgres.make({ durable: true, settings: { max_connections: "20" } })
      assert.deepStrictEqual(yield* query(server.url, "SHOW max_connections"), [{ max_connections: "20" }])
      assert.deepStrictEqual(yield* query(server.url, "SHOW fsync"), [{ fsync: "on" }])
      const url = yield* server.database("orders")
      yield* query(url, "CREATE TABLE orders (id int)")
      yield* query(url, "INSERT INTO orders VALUES (1)")
      const first = yield* server.pid

      yield* server.kill
      assert.isFalse(isAlive(first))
      assert.isFalse(yield* isOpen(server.port))

      yield* server.start
      assert.deepStrictEqual(yield* query(url, "SELECT id FROM orders"), [{ id: 1 }])
      yield* server.stop
      assert.isFalse(yield* isOpen(server.port))
      yield* server.start
      assert.deepStrictEqual(yield* query(url, "SELECT id FROM orders"), [{ id: 1 }])
    })
  )

  it.live("ends when the process that started it is killed with -9", () =>
    Effect.gen(function* () {
      const holder = yield* ChildProcess.make("test/servers/holder.ts", { args: ["postgres"] })
      const { pid, port } = (yield* holder.next) as { readonly pid: number; readonly port: number }
      assert.isTrue(isAlive(pid))
      assert.isTrue(yield* isOpen(port))
      yield* holder.kill("SIGKILL")
      yield* until(Effect.sync(() => !isAlive(pid)))
      yield* until(Effect.map(isOpen(port), (open) => !open))
    })
  )
})
