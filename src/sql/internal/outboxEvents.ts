import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import {
  bucketOf,
  type Depth,
  type Entry,
  type Outbox,
  type Pending,
  type Reason,
  type SetAside
} from "../../event/Outbox.ts"
import type { Dialect } from "./dialect.ts"
import { digest, readable, storedText } from "./storedText.ts"

type Query = Parameters<Outbox["Service"]["pending"]>[0]

/** Where PostgreSQL tells of events that were committed. */
export const notifications = "effect_integration_outbox"

const pendingState = 0
const setAsideState = 1
const haltingState = 2

interface EntryRow {
  readonly position: unknown
  readonly channel: string
  readonly message_key: string | null
  readonly original_key: string | null
  readonly event_source: string
  readonly event_id: string
  readonly event_type: string
  readonly event: string
  readonly attempts: unknown
}

const entryOf = (row: EntryRow): Entry & { readonly position: number; readonly attempts: number } => ({
  position: Number(row.position),
  channel: row.channel,
  key: row.original_key === null ? (row.message_key ?? undefined) : JSON.parse(row.original_key),
  source: row.event_source,
  id: row.event_id,
  type: row.event_type,
  event: row.event,
  attempts: Number(row.attempts)
})

interface SetAsideRow extends EntryRow {
  readonly state: unknown
  readonly reason: string
  readonly error: string
  readonly first_failed_at: unknown
  readonly last_failed_at: unknown
}

const setAsideOf = (row: SetAsideRow): SetAside => ({
  ...entryOf(row),
  reason: row.reason as Reason,
  error: row.error,
  halts: Number(row.state) === haltingState,
  firstFailedAt: DateTime.makeUnsafe(Number(row.first_failed_at)),
  setAsideAt: DateTime.makeUnsafe(Number(row.last_failed_at))
})

/** What a lock of the key is known by: 63 bits, which two keys have in common only if they are unlucky. */
const lockOf = ({ channel, key }: Entry): string =>
  BigInt.asIntN(64, BigInt(`0x${digest(`effect-integration/outbox\n${channel}\n${key}`).slice(0, 16)}`)).toString()

/** Rows of MySQL's table of locks, which keys share. */
const locks = 4096n

/** The statements about the table `outbox_events`. */
export const make = (dialect: Dialect, options: { readonly notify: boolean }) => {
  const { name, now, sql } = dialect
  const columns = sql.literal(
    `position, channel, message_key, original_key, event_source, event_id, event_type, event, attempts,
      state, reason, error, first_failed_at, last_failed_at`
  )
  const positions = (given: ReadonlyArray<number>): Fragment =>
    sql`(SELECT r.p FROM ${dialect.rows(
      { p: "integer" },
      given.map((p) => ({ p }))
    )})`

  /**
   * The number of an event is drawn after the lock of its key, which is held until the transaction has ended: so in the
   * order of the numbers of a key its transactions commit. SQLite has one writer at a time anyway.
   */
  const add = (entry: Entry): Effect.Effect<unknown, SqlError> => {
    const { channel, event, id, key, source, type } = entry
    const stored = key === undefined ? null : storedText(key)
    const original = key === undefined || stored === key ? null : JSON.stringify(key)
    const values = sql`${channel}, ${bucketOf(entry)}, ${stored}, ${original}, ${source}, ${id}, ${type}, ${event},
      ${now}, 0, 0`
    const into = sql.literal(`INTO outbox_events
      (channel, bucket, message_key, original_key, event_source, event_id, event_type, event, created_at, state, attempts)`)
    if (name === "pg") {
      const told = options.notify ? sql`RETURNING pg_notify(${notifications}, ${channel})` : sql.literal("")
      return key === undefined
        ? sql`INSERT ${into} VALUES (${values}) ${told}`
        : sql`INSERT ${into} SELECT ${values}
            FROM (SELECT pg_advisory_xact_lock(${lockOf(entry)}::bigint)::text AS held OFFSET 0) AS l
            WHERE l.held IS NOT NULL ${told}`
    }
    const insert = sql`INSERT ${into} VALUES (${values})`
    if (name === "sqlite" || key === undefined) return insert
    const lock = Number(BigInt.asUintN(64, BigInt(lockOf(entry))) % locks)
    return sql.withTransaction(
      Effect.andThen(
        sql`INSERT INTO outbox_locks (lock_id) VALUES (${lock}) ON DUPLICATE KEY UPDATE lock_id = lock_id`,
        insert
      )
    )
  }

  const isOwned = (owner: string): Fragment => sql`owner = ${storedText(owner)} AND lease_until > ${now}`

  const pending = ({ busy, channel, known, limit, owner }: Query): Effect.Effect<ReadonlyArray<Pending>, SqlError> => {
    const leased = sql`SELECT bucket FROM outbox_leases WHERE channel = ${channel} AND ${isOwned(owner)}`
    const keys = dialect.rows(
      { k: "text" },
      busy.map((key) => ({ k: storedText(key) }))
    )
    // Not a join, which PostgreSQL would make before it sorts and cuts off: the index has the rows in their order.
    const isLeased = name === "pg" ? sql`bucket = ANY(ARRAY(${leased}))` : sql`bucket IN (${leased})`
    const found = sql<EntryRow & { readonly bucket: unknown; readonly token: unknown }>`
      SELECT ${columns}, bucket, (SELECT l.token FROM outbox_leases l
          WHERE l.channel = outbox_events.channel AND l.bucket = outbox_events.bucket) AS token
      FROM outbox_events WHERE channel = ${channel} AND state = ${pendingState} AND ${isLeased}
        AND position NOT IN ${positions(known)}
        AND (message_key IS NULL OR (message_key NOT IN (SELECT r.k FROM ${keys})
          AND message_key NOT IN (SELECT h.message_key FROM outbox_events h
            WHERE h.channel = ${channel} AND h.state = ${haltingState})))
      ORDER BY position LIMIT ${limit}`
    return Effect.map(
      // PostgreSQL plans it anew, since the plan of a small table reads all of a large one.
      name === "pg" ? found.unprepared : found,
      (rows) => rows.map((row) => ({ ...entryOf(row), bucket: Number(row.bucket), token: Number(row.token) }))
    )
  }

  const remove = (given: ReadonlyArray<number>): Effect.Effect<unknown, SqlError> => {
    const removed = sql`DELETE FROM outbox_events WHERE position IN ${positions(given)}`
    return name === "pg" ? removed.unprepared : removed
  }

  /** Changes an event that is pending, while the lease is held: nobody can take that before this is committed. */
  const fenced = (
    owner: string,
    event: Pending,
    change: Fragment
  ): Effect.Effect<ReadonlyArray<SetAsideRow>, SqlError> => {
    const lock = sql.literal(name === "pg" ? "FOR SHARE" : "")
    const isFenced = sql`position = ${event.position} AND state = ${pendingState} AND EXISTS (
      SELECT 1 FROM outbox_leases WHERE channel = ${event.channel} AND bucket = ${event.bucket}
        AND token = ${event.token} AND ${isOwned(owner)} ${lock})`
    const changed = sql`UPDATE outbox_events SET attempts = attempts + 1, last_failed_at = ${now},
      first_failed_at = coalesce(first_failed_at, ${now}), ${change} WHERE ${isFenced}`
    if (name !== "mysql") return sql<SetAsideRow>`${changed} RETURNING ${columns}`
    const chosen = sql<SetAsideRow>`SELECT position FROM outbox_events WHERE ${isFenced} FOR UPDATE`
    return sql.withTransaction(
      Effect.flatMap(chosen, (rows) =>
        rows.length === 0
          ? Effect.succeed([])
          : Effect.andThen(
              changed,
              sql<SetAsideRow>`SELECT ${columns} FROM outbox_events WHERE position = ${event.position}`
            )
      )
    )
  }

  const putAside = (owner: string, event: Pending, failure: Pick<SetAside, "reason" | "error" | "halts">) => {
    const state = failure.halts && event.key !== undefined ? haltingState : setAsideState
    const { error, reason } = failure
    return Effect.map(
      fenced(owner, event, sql`state = ${state}, reason = ${reason}, error = ${readable(error)}`),
      ([row]) => Option.map(Option.fromUndefinedOr(row), setAsideOf)
    )
  }

  const setAside = ({ channel, limit }: { readonly channel: string | undefined; readonly limit: number }) =>
    Effect.map(
      sql<SetAsideRow>`SELECT ${columns} FROM outbox_events WHERE state <> ${pendingState}
        ${channel === undefined ? sql.literal("") : sql`AND channel = ${channel}`} ORDER BY position LIMIT ${limit}`,
      (rows) => rows.map(setAsideOf)
    )

  /** Locks what was set aside, changes it, and gives the channels of what there was. */
  const changeSetAside = (given: ReadonlyArray<number>, change: Fragment) => {
    const isChosen = sql`position IN ${positions(given)} AND state <> ${pendingState}`
    return sql.withTransaction(
      Effect.gen(function* () {
        const found = yield* sql<{ readonly channel: string }>`SELECT channel FROM outbox_events
          WHERE ${isChosen} ORDER BY position ${dialect.forUpdate}`
        yield* sql`${change} WHERE ${isChosen}`
        const channels = new Set(found.map((row) => row.channel))
        if (name === "pg" && options.notify) {
          for (const channel of channels) yield* sql`SELECT pg_notify(${notifications}, ${channel})`
        }
        return { channels, count: found.length }
      })
    )
  }

  const retry = (given: ReadonlyArray<number>) =>
    changeSetAside(
      given,
      sql`UPDATE outbox_events SET state = ${pendingState}, attempts = 0, reason = NULL, error = NULL,
        first_failed_at = NULL, last_failed_at = NULL`
    )

  const discard = (given: ReadonlyArray<number>) => changeSetAside(given, sql`DELETE FROM outbox_events`)

  /** How many events there are, or `most` where there are more. */
  const count = (most: number): Effect.Effect<number, SqlError> =>
    Effect.map(
      sql<{ readonly n: unknown }>`SELECT count(*) AS n FROM (SELECT position FROM outbox_events LIMIT ${most}) AS e`,
      ([row]) => Number(row?.n ?? 0)
    )

  const depth: Effect.Effect<ReadonlyArray<Depth>, SqlError> = Effect.gen(function* () {
    const stored = yield* sql<{
      readonly channel: string
      readonly state: unknown
      readonly n: unknown
      readonly age: unknown
    }>`SELECT channel, state, count(*) AS n, ${now} - min(created_at) AS age FROM outbox_events GROUP BY channel, state`
    const living = yield* sql<{ readonly channel: string; readonly n: unknown }>`SELECT channel, count(*) AS n
      FROM outbox_relays WHERE lease_until > ${now} GROUP BY channel`
    const relays = new Map(living.map((row) => [row.channel, Number(row.n)]))
    const channels = Array.from(new Set([...stored.map((row) => row.channel), ...relays.keys()]))
    return channels.map((channel): Depth => {
      const rows = stored.filter((row) => row.channel === channel)
      const waiting = rows.find((row) => Number(row.state) === pendingState)
      const pending = Number(waiting?.n ?? 0)
      return {
        channel,
        pending,
        oldest: waiting === undefined ? Option.none() : Option.some(Duration.millis(Math.max(0, Number(waiting.age)))),
        setAside: rows.reduce((sum, row) => sum + Number(row.n), 0) - pending,
        relays: relays.get(channel) ?? 0
      }
    })
  })

  return {
    add,
    pending,
    remove,
    attempted: (owner: string, event: Pending, error: string) =>
      Effect.map(fenced(owner, event, sql`error = ${readable(error)}`), (rows) => rows.length > 0),
    putAside,
    setAside,
    retry,
    discard,
    count,
    depth
  }
}
