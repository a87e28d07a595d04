/** Every point at which the process of a saga may die: around its effects and around each of its writes. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { SqlClient, Statement } from "effect/sql"
import type { Connection } from "effect/sql/SqlConnection"
import { Boundaries } from "./sagas.ts"

export interface Tracer {
  /** Labels in the order in which they were reached. Where one is reached again, its ordinal tells them apart. */
  readonly reached: Array<string>
  readonly reach: (label: string) => Effect.Effect<void>
  /** Requests of the engine by their ids, for labels. */
  readonly requests: Map<string, string>
}

/**
 * Reaching `stopAt` calls `onStop`, and the saga stands still there: what it does at the same time does so at the next
 * boundary, so that nothing more is written.
 */
export const make = (stopAt: string | undefined, onStop: () => void): Tracer => {
  const reached: Array<string> = []
  const times = new Map<string, number>()
  let stopped = false
  return {
    reached,
    requests: new Map(),
    reach: (label) =>
      Effect.suspend(() => {
        if (!stopped) {
          const ordinal = (times.get(label) ?? 0) + 1
          times.set(label, ordinal)
          const name = `${label} #${ordinal}`
          reached.push(name)
          if (name !== stopAt) return Effect.void
          stopped = true
          onStop()
        }
        return Effect.uninterruptible(Effect.never)
      })
  }
}

const writes =
  /^\s*(INSERT(?: OR IGNORE)? INTO|UPDATE|DELETE FROM)\s+"?(saga_messages|saga_replies|saga_history|sagas)"?\s/
const marksAsRead = /^\s*UPDATE\s+\S+\s+SET last_read/
const entryName = /(?:run|compensate|stuck|decided)\/[^",}\\]+|begun|ended/

/** What a statement writes for a saga; `undefined` for all others. */
const written = (tracer: Tracer, sql: string, params: ReadonlyArray<unknown>): string | undefined => {
  const found = writes.exec(sql)
  if (found === null || marksAsRead.test(sql)) return undefined
  const [, verb, table] = found
  const texts = params.map(String)
  const about = (): string => {
    if (table === "sagas") return ""
    if (table === "saga_history") return texts.map((text) => entryName.exec(text)?.[0]).find(Boolean) ?? "?"
    const message = texts.find((text) => text.startsWith("Workflow/") && text.split("/").length > 3)
    if (message !== undefined) {
      const name = message.split("/").slice(3).join("/")
      tracer.requests.set(texts[0]!, name)
      return name
    }
    return texts.map((text) => tracer.requests.get(text)).find(Boolean) ?? "?"
  }
  return `${verb!.split(" ")[0]!.toLowerCase()} ${table} ${about()}`.trimEnd()
}

const traced = (tracer: Tracer, connection: Connection): Connection => {
  // Of the transaction that this lease of the connection is in.
  let inTransaction: Array<string> = []
  const around = <A, E>(sql: string, params: ReadonlyArray<unknown>, self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      let label = written(tracer, sql, params)
      if (label !== undefined) inTransaction.push(label)
      else if (sql.startsWith("BEGIN")) inTransaction = []
      else if (sql === "COMMIT" && inTransaction.length > 0) label = `commit of ${inTransaction.join(" and ")}`
      return label === undefined
        ? self
        : Effect.andThen(
            tracer.reach(`before ${label}`),
            Effect.onExit(self, () => tracer.reach(`after ${label}`))
          )
    })
  return Object.assign(Object.create(connection) as Connection, {
    execute: (sql, params, transform) => around(sql, params, connection.execute(sql, params, transform)),
    executeRaw: (sql, params) => around(sql, params, connection.executeRaw(sql, params)),
    executeValues: (sql, params) => around(sql, params, connection.executeValues(sql, params)),
    executeValuesUnprepared: (sql, params) => around(sql, params, connection.executeValuesUnprepared(sql, params)),
    executeUnprepared: (sql, params, transform) =>
      around(sql, params, connection.executeUnprepared(sql, params, transform))
  } satisfies Partial<Connection>)
}

const isOpen = (connection: Connection): boolean =>
  (connection as unknown as { readonly isTransaction: () => boolean }).isTransaction()

/** A client whose connections tell of the writes of sagas. */
const client = (tracer: Tracer) =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.flatMap(SqlClient.SqlClient, (inner) => {
      const acquirer = Effect.map(inner.reserve, (connection) => traced(tracer, connection))
      const common = { acquirer, driver: inner.driver, prepareTransactionControls: true, spanAttributes: [] }
      return SqlClient.make(
        inner.onDialectOrElse({
          pg: () => ({ ...common, compiler: PgClient.makeCompiler() }),
          orElse: () => ({
            ...common,
            compiler: Statement.makeCompilerSqlite(),
            beginTransaction: "BEGIN IMMEDIATE",
            isTransaction: isOpen
          })
        })
      )
    })
  )

export const layer = (tracer: Tracer) => Layer.merge(client(tracer), Layer.succeed(Boundaries, { reach: tracer.reach }))
