/**
 * Stores in PostgreSQL, SQLite and MySQL, over any `SqlClient`.
 *
 * @since 0.1.0
 */
export * as Migrations from "./Migrations.ts"
export * as SqlDedupStore from "./SqlDedupStore.ts"
export * as SqlIdempotencyStore from "./SqlIdempotencyStore.ts"
export * as SqlOutbox from "./SqlOutbox.ts"
export * as SqlParking from "./SqlParking.ts"
export * as SqlStores from "./SqlStores.ts"
export * as SqlSagas from "./SqlSagas.ts"
export * as SqlSagaStore from "./SqlSagaStore.ts"
