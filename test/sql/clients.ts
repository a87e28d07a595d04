import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { Sqlite } from "effect-integration/sqlite"

/** A client of its own, as another process has. */
export const sqlite = (filename: string, options?: Partial<Sqlite.Options>) =>
  Effect.map(Layer.build(Layer.fresh(Sqlite.layer({ filename, ...options }))), (context) =>
    Context.get(context, SqlClient.SqlClient)
  )

/** A client of its own, as another process has. */
export const pg = (url: string, options?: Partial<PgClient.PgPoolConfig>) =>
  Effect.map(
    Layer.build(Layer.fresh(PgClient.layer({ url: Redacted.make(url), maxConnections: 8, ...options }))),
    (context) => Context.get(context, SqlClient.SqlClient)
  )
