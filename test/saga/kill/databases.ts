/** Databases whose tables are made already: a copy for each run of a saga. */
import { Effect, Layer, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import { SqlSagas } from "effect-integration/sql"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { ServerUnavailable } from "../../servers/Supervised.ts"
import { unique } from "../../servers/Servers.ts"
import * as clients from "../../sql/clients.ts"
import type { Database } from "./sagas.ts"

export interface Databases {
  /** A database of its own, until the scope closes. */
  readonly fresh: Effect.Effect<Database, never, Scope.Scope>
}

const migrate = (sql: SqlClient.SqlClient) =>
  Effect.scoped(Layer.build(Layer.fresh(Layer.provide(SqlSagas.layer, Layer.succeed(SqlClient.SqlClient, sql)))))

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "sagas-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** Files. */
export const sqlite: Effect.Effect<Databases, never, Scope.Scope> = Effect.gen(function* () {
  const template = path.join(yield* temporary, "template.db")
  // The last connection to go leaves nothing but the file.
  yield* Effect.scoped(Effect.flatMap(Effect.orDie(clients.sqlite(template)), migrate))
  const fresh = Effect.map(temporary, (directory): Database => {
    const filename = path.join(directory, "sagas.db")
    fs.copyFileSync(template, filename)
    return { _tag: "sqlite", filename }
  })
  return { fresh }
}).pipe(Effect.orDie)

/** Databases of the shared server. */
export const postgres = Effect.fnUntraced(function* (
  databaseUrl: Effect.Effect<string, ServerUnavailable>
): Effect.fn.Return<Databases, ServerUnavailable, Scope.Scope> {
  const url = yield* databaseUrl
  yield* Effect.scoped(Effect.flatMap(Effect.orDie(clients.pg(url, { maxConnections: 3 })), migrate)).pipe(Effect.orDie)
  const template = decodeURIComponent(new URL(url).pathname.slice(1))
  const maintenance = new URL(url)
  maintenance.pathname = "/postgres"
  const sql = yield* Effect.orDie(clients.pg(maintenance.href, { maxConnections: 1 }))
  const fresh = Effect.acquireRelease(
    Effect.gen(function* () {
      const name = unique("sagas")
      yield* sql.unsafe(`CREATE DATABASE "${name}" TEMPLATE "${template}"`)
      const created = new URL(url)
      created.pathname = `/${name}`
      return { name, url: created.href }
    }),
    ({ name }) => sql.unsafe(`DROP DATABASE "${name}" WITH (FORCE)`).pipe(Effect.ignore)
  ).pipe(
    Effect.map(({ url }): Database => ({ _tag: "pg", url })),
    Effect.orDie
  )
  return { fresh }
})
