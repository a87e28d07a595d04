import { it } from "@effect/vitest"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { SqlSagaStore } from "effect-integration/sql"
import { SqlClient } from "effect/sql"
import { databaseUrl, describePostgres } from "../servers/Servers.ts"
import { suite } from "./storeSuite.ts"

const client = Layer.unwrap(
  Effect.map(databaseUrl, (url) => PgClient.layer({ url: Redacted.make(url), maxConnections: 4 }))
)
/** The suite knows its ids, so each test begins with empty tables. */
const emptied = Layer.effectDiscard(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`TRUNCATE sagas, saga_history`
  })
)
const store = emptied.pipe(Layer.provideMerge(SqlSagaStore.layer), Layer.provide(client))

describePostgres("the store of sagas on PostgreSQL", () => {
  it.live.each(Object.entries(suite))("%s", ([, test]) => Effect.provide(test, Layer.fresh(store)))
})
