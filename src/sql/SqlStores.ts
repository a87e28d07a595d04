/**
 * All stores that a consumer and a provider need, in one SQL database.
 *
 * **Example** (SQLite)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { SqlStores } from "effect-integration/sql"
 * import { Sqlite } from "effect-integration/sqlite"
 *
 * export const stores = SqlStores.layer.pipe(Layer.provide(Sqlite.layer({ filename: "app.db" })))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { MigrationError } from "effect/sql/Migrator"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { DedupStore } from "../event/DedupStore.ts"
import type { Parking } from "../event/Parking.ts"
import type { IdempotencyStore } from "../http/IdempotencyStore.ts"
import * as Migrations from "./Migrations.ts"
import * as SqlDedupStore from "./SqlDedupStore.ts"
import * as SqlIdempotencyStore from "./SqlIdempotencyStore.ts"
import * as SqlParking from "./SqlParking.ts"

/**
 * The stores. Their tables are made first, except with `{ migrate: false }`: then `Migrations.migrate` must have run.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: {
  readonly migrate: boolean
}): Layer.Layer<DedupStore | IdempotencyStore | Parking, MigrationError | SqlError, SqlClient.SqlClient> => {
  const there = { migrate: false }
  const stores = Layer.mergeAll(
    SqlDedupStore.layerWith(there),
    SqlIdempotencyStore.layerWith(there),
    SqlParking.layerWith(there)
  )
  return options.migrate ? Layer.unwrap(Effect.as(Migrations.migrate, stores)) : stores
}

/**
 * The stores, whose tables are made first where they are missing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  DedupStore | IdempotencyStore | Parking,
  MigrationError | SqlError,
  SqlClient.SqlClient
> = layerWith({ migrate: true })
