/**
 * The tables of the stores: `processed_events`, `parked_keys`, `parked_messages`, `idempotency_keys`, `sagas`,
 * `saga_history`, and of the outbox `outbox_events`, `outbox_leases` and `outbox_relays`.
 *
 * **Details**
 *
 * - The layers of the stores run what is missing when they are built. Several processes may start at once: one migrates,
 *   the others wait for it (PostgreSQL, SQLite).
 * - To migrate in a deployment of your own, run `migrate` there and build the layers with `{ migrate: false }`.
 * - What has run is kept in `effect_integration_migrations`, apart from the migrations of the application.
 *
 * **Gotchas**
 *
 * MySQL needs 8.0.17 or newer. Its statements have not been tested against a server. It commits each change of a table by
 * itself, so migrate from one process.
 *
 * **Example** (Migrating in a deployment)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Migrations } from "effect-integration/sql"
 * import { Sqlite } from "effect-integration/sqlite"
 *
 * export const deploy = Migrations.migrate.pipe(Effect.provide(Sqlite.layer({ filename: "app.db" })))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** Where is kept what has run. @category constants @since 0.1.0 */
export const table = "effect_integration_migrations"

type Statements = { readonly [Dialect in "pg" | "sqlite" | "mysql"]: ReadonlyArray<string> }

/** The columns of keys compare by their bytes: neither case, accents nor trailing spaces are the same. */
const columnTypes = {
  pg: {
    key: 'text COLLATE "C"',
    text: "text",
    integer: "bigint",
    bytes: "bytea",
    serial: "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    /** Of a table whose rows are updated once: room for their next version on the same page, so that indexes stay. */
    updated: " WITH (fillfactor = 50)"
  },
  sqlite: {
    key: "TEXT",
    text: "TEXT",
    integer: "INTEGER",
    bytes: "BLOB",
    serial: "INTEGER PRIMARY KEY AUTOINCREMENT",
    updated: ""
  },
  mysql: {
    key: "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin",
    text: "LONGTEXT CHARACTER SET utf8mb4",
    integer: "BIGINT",
    bytes: "LONGBLOB",
    serial: "BIGINT AUTO_INCREMENT PRIMARY KEY",
    updated: ""
  }
} as const

const tables = (types: (typeof columnTypes)[keyof typeof columnTypes]): ReadonlyArray<string> => [
  // The id is first in the key, since ids differ where groups and sources do not: one comparison tells.
  `CREATE TABLE IF NOT EXISTS processed_events (
    event_source ${types.key} NOT NULL,
    event_id ${types.key} NOT NULL,
    consumer_group ${types.key} NOT NULL,
    processed_at ${types.integer},
    token ${types.integer} NOT NULL,
    lease_until ${types.integer} NOT NULL,
    created_at ${types.integer} NOT NULL,
    PRIMARY KEY (event_id, event_source, consumer_group)
  )${types.updated}`,
  // What never changes: neither completing nor renewing has to touch an index.
  "CREATE INDEX processed_events_created ON processed_events (consumer_group, created_at)",
  `CREATE TABLE IF NOT EXISTS parked_keys (
    consumer_group ${types.key} NOT NULL,
    message_key ${types.key} NOT NULL,
    original_key ${types.text},
    owner ${types.key},
    token ${types.integer} NOT NULL,
    lease_until ${types.integer} NOT NULL,
    due_at ${types.integer},
    halted_reason ${types.text},
    worked_at ${types.integer},
    PRIMARY KEY (consumer_group, message_key)
  )`,
  "CREATE INDEX parked_keys_due ON parked_keys (consumer_group, due_at)",
  `CREATE TABLE IF NOT EXISTS parked_messages (
    position ${types.serial},
    consumer_group ${types.key} NOT NULL,
    message_key ${types.key} NOT NULL,
    event_hash ${types.key} NOT NULL,
    event_source ${types.key} NOT NULL,
    event_id ${types.key} NOT NULL,
    body ${types.bytes} NOT NULL,
    envelope ${types.text} NOT NULL,
    due_at ${types.integer} NOT NULL,
    UNIQUE (consumer_group, message_key, event_hash)
  )`,
  "CREATE INDEX parked_messages_order ON parked_messages (consumer_group, message_key, position)",
  `CREATE TABLE IF NOT EXISTS idempotency_keys (
    idempotency_key ${types.key} PRIMARY KEY,
    fingerprint ${types.text} NOT NULL,
    owner ${types.key} NOT NULL,
    ends_at ${types.integer} NOT NULL,
    status ${types.integer},
    envelope ${types.text},
    body ${types.bytes}
  )`,
  "CREATE INDEX idempotency_keys_ended ON idempotency_keys (ends_at)"
]

const initial: Statements = {
  pg: tables(columnTypes.pg),
  sqlite: tables(columnTypes.sqlite),
  mysql: tables(columnTypes.mysql)
}

/** What sagas have done, for operators. The engine's own tables are the engine's. */
const sagas = (types: (typeof columnTypes)[keyof typeof columnTypes]): ReadonlyArray<string> => [
  `CREATE TABLE IF NOT EXISTS sagas (
    saga_id ${types.key} PRIMARY KEY,
    saga ${types.key} NOT NULL,
    idempotency_key ${types.text} NOT NULL,
    digest ${types.text} NOT NULL,
    definition ${types.text} NOT NULL,
    state ${types.key} NOT NULL,
    begun_at ${types.integer} NOT NULL,
    updated_at ${types.integer} NOT NULL,
    detail ${types.text}
  )`,
  "CREATE INDEX sagas_state ON sagas (state, saga, begun_at)",
  `CREATE TABLE IF NOT EXISTS saga_history (
    position ${types.serial},
    saga_id ${types.key} NOT NULL,
    entry_name ${types.key} NOT NULL,
    entry ${types.text} NOT NULL,
    recorded_at ${types.integer} NOT NULL,
    runs ${types.integer} NOT NULL,
    UNIQUE (saga_id, entry_name)
  )`
]

const outboxTables = (types: (typeof columnTypes)[keyof typeof columnTypes]): ReadonlyArray<string> => [
  `CREATE TABLE IF NOT EXISTS outbox_events (
    position ${types.serial},
    channel ${types.key} NOT NULL,
    bucket ${types.integer} NOT NULL,
    message_key ${types.key},
    original_key ${types.text},
    event_source ${types.text} NOT NULL,
    event_id ${types.text} NOT NULL,
    event_type ${types.text} NOT NULL,
    event ${types.text} NOT NULL,
    created_at ${types.integer} NOT NULL,
    state ${types.integer} NOT NULL,
    attempts ${types.integer} NOT NULL,
    first_failed_at ${types.integer},
    last_failed_at ${types.integer},
    reason ${types.text},
    error ${types.text}
  )`,
  "CREATE INDEX outbox_events_order ON outbox_events (channel, state, position)",
  `CREATE TABLE IF NOT EXISTS outbox_leases (
    channel ${types.key} NOT NULL,
    bucket ${types.integer} NOT NULL,
    owner ${types.key},
    token ${types.integer} NOT NULL,
    lease_until ${types.integer} NOT NULL,
    PRIMARY KEY (channel, bucket)
  )`,
  `CREATE TABLE IF NOT EXISTS outbox_relays (
    channel ${types.key} NOT NULL,
    owner ${types.key} NOT NULL,
    lease_until ${types.integer} NOT NULL,
    PRIMARY KEY (channel, owner)
  )`
]

const outbox: Statements = {
  pg: outboxTables(columnTypes.pg),
  sqlite: outboxTables(columnTypes.sqlite),
  mysql: [
    ...outboxTables(columnTypes.mysql),
    // MySQL has no lock that ends with the transaction but those of rows.
    "CREATE TABLE IF NOT EXISTS outbox_locks (lock_id BIGINT PRIMARY KEY)"
  ]
}

const run = (statements: Statements): Effect.Effect<void, SqlError, SqlClient.SqlClient> =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.forEach(
      sql.onDialectOrElse({
        pg: () => statements.pg,
        mysql: () => statements.mysql,
        orElse: () => statements.sqlite
      }),
      (statement) => sql.unsafe(statement),
      { discard: true }
    )
  )

/** The migrations by name, for a migrator of your own. @category migrations @since 0.1.0 */
export const migrations: Readonly<Record<string, Effect.Effect<void, SqlError, SqlClient.SqlClient>>> = {
  "0001_create_stores": run(initial),
  "0002_create_outbox": run(outbox),
  "0003_create_sagas": run({
    pg: sagas(columnTypes.pg),
    sqlite: sagas(columnTypes.sqlite),
    mysql: sagas(columnTypes.mysql)
  })
}

/**
 * Runs the migrations that have not run yet.
 *
 * @category migrations
 * @since 0.1.0
 */
export const migrate: Effect.Effect<void, Migrator.MigrationError | SqlError, SqlClient.SqlClient> =
  Effect.updateService(
    Effect.asVoid(Migrator.make({})({ loader: Migrator.fromRecord(migrations), table })),
    SqlClient.SqlClient,
    // The names of these tables are not the application's to change.
    (sql) => sql.withoutTransforms()
  )
