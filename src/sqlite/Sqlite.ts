/**
 * A `SqlClient` over `node:sqlite`: a database of one file, or of memory, without a dependency.
 *
 * **When to use**
 *
 * Use for tests and for programs of one machine. Several processes may share a file.
 *
 * **Details**
 *
 * - One connection, which transactions and statements take in turn. It is closed with the scope.
 * - Files are in WAL mode, so that readers do not wait for the writer; foreign keys are enforced.
 * - A commit is on the disk before it is answered, since a message is acknowledged at its broker once it is parked or
 *   processed here. With `synchronous: "normal"` a commit survives the end of the process and need not wait for the disk:
 *   the last ones before a power failure may be lost, the file never is.
 * - Transactions begin with `BEGIN IMMEDIATE`: one that writes cannot fail halfway because another process was first.
 * - Who finds the file locked by another process tries again for `busyTimeout`, without blocking the other fibers, and
 *   then fails with `LockTimeoutError`.
 * - Blobs are `Uint8Array`. Whole numbers are numbers where they are exact and bigints where they are not; all are
 *   bigints with `SqlClient.SafeIntegers`.
 *
 * **Gotchas**
 *
 * `node:sqlite` is synchronous: a long query holds up the process.
 *
 * **Example** (A table in memory)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { SqlClient } from "effect/sql"
 * import { Sqlite } from "effect-integration/sqlite"
 *
 * export const program = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   yield* sql`CREATE TABLE orders (id TEXT PRIMARY KEY)`
 *   yield* sql`INSERT INTO orders ${sql.insert({ id: "o-1" })}`
 *   return yield* sql`SELECT id FROM orders`
 * }).pipe(Effect.provide(Sqlite.layer({ filename: ":memory:" })))
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Option from "../internal/option.ts"
import * as connection from "./internal/connection.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** A path, or `:memory:`. */
  readonly filename: string
  /** How long to try while another process has the file locked. Default: 5 seconds. */
  readonly busyTimeout?: Duration.Input
  /** Whether a commit waits for the disk; see above. Default: `full`. */
  readonly synchronous?: "full" | "normal"
  /** How many statements are kept prepared. Default: 200. */
  readonly preparedStatements?: number
  /** Names of columns in results, such as `String.snakeToCamel`. */
  readonly transformResultNames?: (name: string) => string
  /** Names of tables and columns in statements, such as `String.camelToSnake`. */
  readonly transformQueryNames?: (name: string) => string
}

/**
 * Opens the database until the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<SqlClient.SqlClient, SqlError, Scope.Scope | Reactivity.Reactivity> {
  const where = "Sqlite.make"
  const opened = yield* connection.open({
    filename: Option.name(where, options.filename),
    busyMillis: Option.millisOrZero(where, "busyTimeout", options.busyTimeout ?? Duration.seconds(5)),
    preparedStatements: Option.number(where, "preparedStatements", options.preparedStatements ?? 200, {
      min: 1,
      integer: true
    }),
    synchronous: options.synchronous === "normal" ? "normal" : "full"
  })
  const { transformQueryNames, transformResultNames } = options
  return yield* SqlClient.make({
    ...SqlClient.makeSqliteAcquirers({
      connection: Effect.succeed(opened),
      semaphore: yield* Semaphore.make(1),
      isTransaction: (connection) => connection.isTransaction()
    }),
    driver: "node:sqlite",
    beginTransaction: "BEGIN IMMEDIATE",
    prepareTransactionControls: true,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    compiler: Statement.makeCompilerSqlite(transformQueryNames),
    spanAttributes: [["db.system.name", "sqlite"]],
    ...(transformResultNames === undefined
      ? undefined
      : { transformRows: Statement.defaultTransforms(transformResultNames).array })
  })
})

/**
 * The client as a layer. Fails where the file cannot be opened.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SqlClient.SqlClient, SqlError> =>
  Layer.provide(Layer.effect(SqlClient.SqlClient, make(options)), Reactivity.layer)
