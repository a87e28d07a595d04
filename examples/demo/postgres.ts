/**
 * Stores in the database that `DATABASE_URL` names, in a schema of this run; without it on a private server, which ends
 * with the demo.
 */
import { PgClient } from "@effect/sql-pg"
import { Config, Effect, Layer, Option, Redacted } from "effect"
import { SqlStores } from "effect-integration/sql"

const privateUrl = Effect.gen(function* () {
  const { make } = yield* Effect.promise(() => import("../../test/servers/Postgres.ts"))
  return Redacted.make((yield* make()).url)
})

/** The tables of the stores are made in a schema that nobody else has, and go with it. */
const ownSchema = (schema: string) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* Effect.acquireRelease(sql`CREATE SCHEMA ${sql(schema)}`, () =>
        Effect.orDie(sql`DROP SCHEMA ${sql(schema)} CASCADE`)
      )
    })
  )

export const layer = (suffix: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const given = yield* Config.option(Config.Redacted("DATABASE_URL"))
      const url = Option.isSome(given) ? given.value : yield* privateUrl
      const schema = `demo${suffix.replaceAll("-", "_")}`
      const client = PgClient.layer({ url, startupParameters: { search_path: schema } })
      return SqlStores.layer.pipe(Layer.provide(ownSchema(schema)), Layer.provide(client))
    })
  )
