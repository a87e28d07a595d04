/**
 * SQLite, by the client that is built into Node.
 *
 * @since 0.1.0
 */
export * as Sqlite from "./Sqlite.ts"
