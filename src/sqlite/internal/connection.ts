import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"

export interface SqliteConnection extends Connection {
  readonly isTransaction: () => boolean
}

const uniqueCode = 2067
const primaryKeyCode = 1555
const busyCode = 5

const codeOf = (cause: unknown): number | undefined =>
  Predicate.hasProperty(cause, "errcode") && typeof cause.errcode === "number" ? cause.errcode : undefined

/** Node keeps SQLite's own code where the classifier does not look, and a primary key is unique too. */
const failure = (cause: unknown, operation: string): SqlError => {
  const found = codeOf(cause)
  const message = cause instanceof Error ? cause.message : "SQLite failed"
  const code = found === primaryKeyCode ? uniqueCode : found
  const known = code === undefined ? cause : Object.assign(new Error(message, { cause }), { code })
  return new SqlError({ reason: classifySqliteError(known, { message, operation }) })
}

const isBusy = (error: SqlError): boolean => {
  const cause = error.reason.cause
  return Predicate.hasProperty(cause, "code") && typeof cause.code === "number" && (cause.code & 0xff) === busyCode
}

/** By the timer of the process, since another process does not wait for a clock that a test has stopped. */
const pause = (millis: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

const input = (value: unknown): SQLInputValue => {
  if (value === undefined) return null
  if (typeof value === "boolean") return value ? 1 : 0
  return Predicate.isDate(value) ? value.toISOString() : (value as SQLInputValue)
}

const output = (value: unknown, safeIntegers: boolean): unknown =>
  typeof value === "bigint" &&
  !safeIntegers &&
  value <= BigInt(Number.MAX_SAFE_INTEGER) &&
  value >= BigInt(Number.MIN_SAFE_INTEGER)
    ? Number(value)
    : value

const toRow = (row: object, safeIntegers: boolean): Record<string, unknown> => {
  const converted: Record<string, unknown> = {}
  for (const [column, value] of Object.entries(row)) converted[column] = output(value, safeIntegers)
  return converted
}

/** The least recently used statement makes room. */
const makeCache = (database: DatabaseSync, capacity: number) => {
  const statements = new Map<string, StatementSync>()
  return (sql: string): StatementSync => {
    const known = statements.get(sql)
    if (known !== undefined) {
      statements.delete(sql)
      statements.set(sql, known)
      return known
    }
    const statement = prepare(database, sql)
    statements.set(sql, statement)
    if (statements.size > capacity) statements.delete(statements.keys().next().value!)
    return statement
  }
}

const prepare = (database: DatabaseSync, sql: string): StatementSync => {
  const statement = database.prepare(sql)
  // A number that is not exact would be an error after the statement has had its effect.
  statement.setReadBigInts(true)
  return statement
}

const rowsAtOnce = 128

/** SQLite's own 2 MiB are few for a batch of random keys. */
const cacheKibibytes = 16_384

/** Opens the database, and closes it with the scope. */
export const open = Effect.fnUntraced(function* (options: {
  readonly filename: string
  readonly busyMillis: number
  readonly preparedStatements: number
  readonly synchronous: "full" | "normal"
}): Effect.fn.Return<SqliteConnection, SqlError, Scope.Scope> {
  const attempt = <A>(operation: string, evaluate: () => A): Effect.Effect<A, SqlError> =>
    Effect.try({ try: evaluate, catch: (cause) => failure(cause, operation) })

  const database = yield* Effect.acquireRelease(
    attempt("connect", () => new DatabaseSync(options.filename, { enableForeignKeyConstraints: true, timeout: 0 })),
    (database) => Effect.sync(() => database.close())
  )
  const cached = makeCache(database, options.preparedStatements)

  const patiently = <A>(self: Effect.Effect<A, SqlError>, waited = 0): Effect.Effect<A, SqlError> =>
    Effect.catch(self, (error) => {
      // Whoever is in a transaction already has what it needs; waiting there could only be for itself.
      if (!isBusy(error) || database.isTransaction || waited >= options.busyMillis) return Effect.fail(error)
      const next = Math.min(Math.max(1, Math.ceil(waited / 4)), 25, options.busyMillis - waited)
      return Effect.andThen(pause(next), patiently(self, waited + next))
    })

  const query = <A>(
    statement: () => StatementSync,
    params: ReadonlyArray<unknown>,
    use: (rows: ReadonlyArray<object>, safeIntegers: boolean) => A,
    returnArrays = false
  ): Effect.Effect<A, SqlError> =>
    Effect.withFiber((fiber) => {
      const safeIntegers = fiber.getRef(SqlClient.SafeIntegers)
      return patiently(
        attempt("execute", () => {
          const prepared = statement()
          prepared.setReturnArrays(returnArrays)
          return use(prepared.all(...params.map(input)), safeIntegers)
        })
      )
    })

  const rows = (statement: () => StatementSync, params: ReadonlyArray<unknown>) =>
    query(statement, params, (rows, safeIntegers) => rows.map((row) => toRow(row, safeIntegers)))

  const values = (statement: () => StatementSync, params: ReadonlyArray<unknown>) =>
    query(
      statement,
      params,
      (rows, safeIntegers) =>
        (rows as ReadonlyArray<ReadonlyArray<unknown>>).map((row) => row.map((value) => output(value, safeIntegers))),
      true
    )

  const transformed = (
    self: Effect.Effect<ReadonlyArray<any>, SqlError>,
    transform: (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined
  ) => (transform === undefined ? self : Effect.map(self, transform))

  // The change of mode needs the file for itself: another process may be about to do the same.
  if (options.filename !== ":memory:") {
    yield* patiently(attempt("connect", () => database.exec("PRAGMA journal_mode = WAL")))
  }
  yield* attempt("connect", () => {
    database.exec(`PRAGMA synchronous = ${options.synchronous}`)
    database.exec(`PRAGMA cache_size = -${cacheKibibytes}`)
  })

  return {
    isTransaction: () => database.isTransaction,
    execute: (sql, params, transform) =>
      transformed(
        rows(() => cached(sql), params),
        transform
      ),
    executeRaw: (sql, params) => rows(() => cached(sql), params),
    executeValues: (sql, params) => values(() => cached(sql), params),
    executeValuesUnprepared: (sql, params) => values(() => prepare(database, sql), params),
    executeUnprepared: (sql, params, transform) =>
      transformed(
        rows(() => prepare(database, sql), params),
        transform
      ),
    executeStream: (sql, params, transform) =>
      Stream.unwrap(
        Effect.withFiber((fiber) => {
          const safeIntegers = fiber.getRef(SqlClient.SafeIntegers)
          return Effect.map(
            attempt("execute", () => prepare(database, sql).iterate(...params.map(input))),
            (iterator) =>
              Stream.unfold(undefined, () =>
                attempt("execute", () => {
                  const chunk: Array<Record<string, unknown>> = []
                  while (chunk.length < rowsAtOnce) {
                    const next = iterator.next()
                    if (next.done === true) break
                    chunk.push(toRow(next.value, safeIntegers))
                  }
                  return chunk.length === 0 ? undefined : ([chunk, undefined] as const)
                })
              ).pipe(
                Stream.flatMap((chunk) =>
                  Stream.fromIterable(transform === undefined ? chunk : (transform(chunk) as ReadonlyArray<any>))
                )
              )
          )
        })
      )
  }
})
