import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"

type ColumnType = "integer" | "text"

/** What the stores need to know about a database. Times are whole epoch milliseconds of its own clock. */
export interface Dialect {
  readonly name: "mysql" | "pg" | "sqlite"
  /** Without transformations of names, since these tables are the stores' own. */
  readonly sql: SqlClient.SqlClient
  readonly now: Fragment
  /** Locks the rows of a SELECT. SQLite has no such lock: a transaction has the whole file. */
  readonly forUpdate: Fragment
  /**
   * A table named `r`, whose rows are numbered by `n` from 0. The text is the same for any number of rows, so that a
   * statement is prepared once.
   */
  readonly rows: <Name extends string>(
    columns: Readonly<Record<Name, ColumnType>>,
    rows: ReadonlyArray<Readonly<Record<NoInfer<Name>, number | string | null>>>
  ) => Fragment
  /**
   * The same for an INSERT, and in their order. What all have in common is said once, so it is not for a join: a planner
   * that knows the value looks up all that have it.
   */
  readonly inserted: Dialect["rows"]
}

type Basics = Omit<Dialect, "inserted">

const types = {
  mysql: { integer: "BIGINT", text: "TEXT CHARACTER SET utf8mb4" },
  pg: { integer: "bigint", text: "text" }
} as const

const namesOf = <Name extends string>(columns: Readonly<Record<Name, ColumnType>>): ReadonlyArray<Name> =>
  Object.keys(columns) as Array<Name>

/** A literal of an array of PostgreSQL. Drivers differ in how they take arrays, and none in how they take texts. */
const arrayOf = (values: ReadonlyArray<unknown>): string => {
  let text = "{"
  for (const value of values) {
    if (text.length > 1) text += ","
    if (value === null || value === undefined) text += "NULL"
    else if (typeof value === "string") text += `"${special.test(value) ? value.replace(specials, "\\$&") : value}"`
    else text += String(value)
  }
  return `${text}}`
}
const special = /["\\]/
const specials = /["\\]/g

export const make = (client: SqlClient.SqlClient): Dialect => {
  const sql = client.withoutTransforms()
  // SQLite takes ON CONFLICT after a SELECT without WHERE for the condition of a join.
  const inOrder =
    (rows: Dialect["rows"]): Dialect["rows"] =>
    (columns, all) =>
      sql`${rows(columns, all)} WHERE r.n >= 0 ORDER BY r.n`
  const sqlite = (): Basics => ({
    name: "sqlite",
    sql,
    now: sql.literal("CAST(round(unixepoch('subsec') * 1000) AS INTEGER)"),
    forUpdate: sql.literal(""),
    rows: (columns, rows) => {
      const names = namesOf(columns)
      const fields = names.map((name, at) => `value ->> ${at} AS ${name}`)
      const encoded = JSON.stringify(rows.map((row) => names.map((name) => row[name])))
      return sql`(SELECT key AS n, ${sql.literal(fields.join(", "))} FROM json_each(${encoded})) AS r`
    }
  })
  const dialect: Basics = sql.onDialectOrElse({
    pg: (): Basics => ({
      name: "pg",
      sql,
      // The time of this moment: that of the transaction is older where a statement has waited for a lock.
      now: sql.literal("(date_part('epoch', clock_timestamp()) * 1000)::bigint"),
      forUpdate: sql.literal("FOR UPDATE"),
      rows: (columns, rows) => {
        const names = namesOf(columns)
        const arrays = names.map(
          (name) => sql`${arrayOf(rows.map((row) => row[name]))}${sql.literal(`::${types.pg[columns[name]]}[]`)}`
        )
        return sql`(SELECT n - 1 AS n, ${sql.literal(names.join(", "))} FROM unnest(${sql.csv(arrays)})
          WITH ORDINALITY AS u(${sql.literal(names.join(", "))}, n)) AS r`
      }
    }),
    mysql: (): Basics => ({
      name: "mysql",
      sql,
      now: sql.literal("CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)"),
      forUpdate: sql.literal("FOR UPDATE"),
      rows: (columns, rows) => {
        const numbered = Object.entries({ n: "integer" as const, ...columns })
        const fields = numbered.map(([name, type]) => `${name} ${types.mysql[type]} PATH '$.${name}'`)
        const encoded = JSON.stringify(rows.map((row, n) => ({ n, ...row })))
        return sql`JSON_TABLE(${encoded}, '$[*]' COLUMNS (${sql.literal(fields.join(", "))})) AS r`
      }
    }),
    orElse: sqlite
  })
  return { ...dialect, inserted: dialect.name === "pg" ? unnested(sql) : inOrder(dialect.rows) }
}

/** What PostgreSQL makes of arrays is in their order. */
const unnested =
  (sql: SqlClient.SqlClient): Dialect["rows"] =>
  (columns, rows) => {
    const names = namesOf(columns)
    const type = (name: (typeof names)[number], suffix: string) => sql.literal(`::${types.pg[columns[name]]}${suffix}`)
    const various = names.filter((name) => rows.some((row) => row[name] !== rows[0]![name]))
    // Something must be left to be counted.
    const counted = various.length === 0 ? names.slice(0, 1) : various
    const fields = names.map((name) => {
      if (counted.includes(name)) return sql.literal(`u.${name}`)
      const common = rows[0]?.[name] ?? null
      return sql`${common === null ? null : String(common)}${type(name, "")} AS ${sql.literal(name)}`
    })
    const arrays = counted.map((name) => sql`${arrayOf(rows.map((row) => row[name]))}${type(name, "[]")}`)
    return sql`(SELECT ${sql.csv(fields)} FROM unnest(${sql.csv(arrays)}) AS u(${sql.literal(counted.join(", "))})) AS r`
  }

const century = 100 * 365 * 24 * 60 * 60 * 1000

/** Whole milliseconds that a database can add to its time, also of an infinite duration. */
export const millis = (duration: Duration.Duration): number =>
  Math.min(Math.max(0, Math.ceil(Duration.toMillis(duration))), century)

/** Drivers give whole numbers of 64 bits as numbers, bigints or texts. */
export const toDuration = (value: unknown): Duration.Duration => Duration.millis(Math.max(0, Number(value)))

const codeOf = (cause: unknown): string | undefined => {
  for (let current = cause, depth = 0; depth < 5 && Predicate.isObjectOrArray(current); depth++) {
    if (Predicate.hasProperty(current, "code") && /^[A-Za-z0-9_]{1,40}$/.test(String(current.code))) {
      return String(current.code)
    }
    current = Predicate.hasProperty(current, "cause") ? current.cause : undefined
  }
  return undefined
}

/** Kind and code of an error. Its message could hold what was stored, or where and as whom one connects. */
export const describe = (error: SqlError): string => {
  const code = codeOf(error.reason.cause)
  return code === undefined ? error.reason._tag : `${error.reason._tag} (${code})`
}
