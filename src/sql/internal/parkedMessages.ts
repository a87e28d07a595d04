import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { Identity } from "../../event/DedupStore.ts"
import type { Message } from "../../event/Message.ts"
import { Acquisition, type Lease, type Parked } from "../../event/Parking.ts"
import { type Dialect, toDuration } from "./dialect.ts"
import { fromEnvelope, toEnvelope } from "./storedMessage.ts"
import { digest, readable, storedText } from "./storedText.ts"

export interface Wanted {
  readonly group: string
  readonly key: string
  readonly owner: string
  readonly lease: number
}

/** Names the row. In the order of these texts every process locks rows, so that none waits for another in a circle. */
export const rowOf = ({ group, key }: { readonly group: string; readonly key: string }): string =>
  `${storedText(group)}\0${storedText(key)}`

/** What the key column cannot keep is kept beside it. */
const originalOf = (key: string): string | null => (storedText(key) === key ? null : JSON.stringify(key))

interface KeyRow {
  readonly message_key: string
  readonly original_key: string | null
}
const keyOf = (row: KeyRow): string => (row.original_key === null ? row.message_key : JSON.parse(row.original_key))

const columns = { g: "text", k: "text", x: "text", o: "text", t: "integer", l: "integer" } as const

/** The statements about the tables `parked_keys` and `parked_messages`. */
export const make = (dialect: Dialect) => {
  const { forUpdate, name, now, sql } = dialect
  const isRow = sql.literal("e.consumer_group = r.g AND e.message_key = r.k")
  const isHeld = sql.literal("e.owner = r.o AND e.token = r.t")
  const isFree = sql`(e.owner IS NULL OR e.lease_until <= ${now})`

  const table = (
    requests: ReadonlyArray<{
      readonly group: string
      readonly key: string
      readonly owner?: string
      readonly token?: number
      readonly lease?: number
    }>
  ) =>
    dialect.rows(
      columns,
      requests.map(({ group, key, lease = 0, owner = "", token = 0 }) => ({
        g: storedText(group),
        k: storedText(key),
        x: originalOf(key),
        o: storedText(owner),
        t: token,
        l: lease
      }))
    )

  const inOrder = (leases: ReadonlyArray<Lease>): ReadonlyArray<Lease> =>
    leases.toSorted((a, b) => (rowOf(a) < rowOf(b) ? -1 : 1))

  interface State {
    readonly n: unknown
    readonly token: unknown
    readonly remaining: unknown
    readonly parked: unknown
    readonly is_halted: unknown
    readonly is_mine: unknown
  }

  /** Whoever took a key before this is asked is its owner; after the lease was taken nobody else can park. */
  const states = (requests: ReadonlyArray<Wanted>) =>
    sql<State>`SELECT r.n, e.token, e.lease_until - ${now} AS remaining,
        (SELECT count(*) FROM parked_messages m
          WHERE m.consumer_group = e.consumer_group AND m.message_key = e.message_key) AS parked,
        CASE WHEN e.halted_reason IS NULL THEN 0 ELSE 1 END AS is_halted,
        CASE WHEN e.owner = r.o THEN 1 ELSE 0 END AS is_mine
      FROM ${table(requests)} JOIN parked_keys e ON ${isRow}`

  /**
   * A row that a transaction has locked is passed over, since its owner works on it: others would wait behind it, also for
   * keys that are free.
   */
  const take = (requests: ReadonlyArray<Wanted>): Effect.Effect<unknown, SqlError> => {
    const rows = table(requests)
    const change = sql.literal("token = CASE WHEN e.owner = r.o THEN e.token ELSE e.token + 1 END, owner = r.o")
    const fresh = sql`SELECT r.g, r.k, r.x, r.o, ${now}, ${now} + r.l FROM ${rows}`
    const into = sql.literal("INTO parked_keys (consumer_group, message_key, original_key, owner, token, lease_until)")
    if (name === "pg") {
      return sql`WITH free AS (
          SELECT r.g, r.k, r.o, r.l FROM ${rows} JOIN parked_keys e ON ${isRow} AND (e.owner = r.o OR ${isFree})
          ORDER BY r.n FOR UPDATE OF e SKIP LOCKED
        ), taken AS (
          UPDATE parked_keys AS e SET ${change}, lease_until = ${now} + r.l FROM free AS r WHERE ${isRow}
        )
        INSERT ${into} ${fresh} WHERE NOT EXISTS (SELECT 1 FROM parked_keys e WHERE ${isRow})
        ORDER BY r.n ON CONFLICT (consumer_group, message_key) DO NOTHING`
    }
    if (name === "sqlite") {
      return sql`INSERT INTO parked_keys AS e (consumer_group, message_key, original_key, owner, token, lease_until)
        ${fresh} WHERE r.n >= 0
        ON CONFLICT (consumer_group, message_key) DO UPDATE SET
          token = CASE WHEN e.owner = excluded.owner THEN e.token ELSE e.token + 1 END,
          owner = excluded.owner, lease_until = excluded.lease_until
        WHERE e.owner = excluded.owner OR ${isFree}`
    }
    return Effect.andThen(
      sql`INSERT IGNORE ${into} ${fresh} ORDER BY r.n`,
      // MySQL assigns from left to right, so the token is compared with the owner before.
      sql`UPDATE parked_keys e JOIN ${rows} ON ${isRow}
        SET ${change}, e.lease_until = ${now} + r.l WHERE e.owner = r.o OR ${isFree}`
    )
  }

  const acquire = Effect.fnUntraced(function* (requests: ReadonlyArray<Wanted>) {
    yield* take(requests)
    const found = new Map((yield* states(requests)).map((state) => [Number(state.n), state]))
    return requests.map(({ group, key, owner }, n) => {
      const state = found.get(n)
      return state !== undefined && Number(state.is_mine) === 1
        ? Acquisition.Acquired({
            lease: { group, key, owner, token: Number(state.token) },
            parked: Number(state.parked),
            halted: Number(state.is_halted) === 1
          })
        : Acquisition.Held({ remaining: toDuration(state?.remaining ?? 0) })
    })
  })

  const changeLeases = (rows: Fragment, change: Fragment, lock: Fragment): Effect.Effect<unknown, SqlError> => {
    switch (name) {
      case "pg":
        return sql`WITH held AS (
            SELECT r.g, r.k, r.o, r.t, r.l FROM ${rows} JOIN parked_keys e ON ${isRow} AND ${isHeld}
            ORDER BY r.n FOR UPDATE OF e ${lock}
          )
          UPDATE parked_keys AS e SET ${change} FROM held AS r WHERE ${isRow} AND ${isHeld}`
      case "sqlite":
        return sql`UPDATE parked_keys AS e SET ${change} FROM ${rows} WHERE ${isRow} AND ${isHeld}`
      case "mysql":
        return sql`UPDATE parked_keys e JOIN ${rows} ON ${isRow} AND ${isHeld} SET ${change}`
    }
  }

  /** A key whose row is locked, by a handler's transaction, is left as it is: nobody can take it meanwhile. */
  const renew = Effect.fnUntraced(function* (leases: ReadonlyArray<Lease>, lease: number) {
    if (leases.length === 0) return []
    const ordered = inOrder(leases).map((each) => ({ ...each, lease }))
    const rows = table(ordered)
    yield* changeLeases(rows, sql`lease_until = ${now} + r.l`, sql.literal("SKIP LOCKED"))
    const kept = yield* sql<{
      readonly n: unknown
    }>`SELECT r.n FROM ${rows} JOIN parked_keys e ON ${isRow} AND ${isHeld}`
    const held = new Set(kept.map((row) => rowOf(ordered[Number(row.n)]!)))
    return leases.filter((each) => !held.has(rowOf(each)))
  })

  const release = (leases: ReadonlyArray<Lease>) =>
    leases.length === 0
      ? Effect.void
      : changeLeases(table(inOrder(leases)), sql`owner = NULL, lease_until = ${now}`, sql.literal(""))

  const ofKey = (group: string, key: string) =>
    sql`consumer_group = ${storedText(group)} AND message_key = ${storedText(key)}`

  /** Changes the key's row if the lease is held, and so locks it until the transaction has ended. */
  const hold = (lease: Lease, change: Fragment): Effect.Effect<boolean, SqlError> => {
    const isOurs = sql`${ofKey(lease.group, lease.key)} AND owner = ${storedText(lease.owner)} AND token = ${lease.token}`
    return Effect.map(
      name === "mysql"
        ? sql.withTransaction(
            Effect.andThen(
              sql`UPDATE parked_keys SET ${change} WHERE ${isOurs}`,
              sql`SELECT token FROM parked_keys WHERE ${isOurs}`
            )
          )
        : sql`UPDATE parked_keys SET ${change} WHERE ${isOurs} RETURNING token`,
      (rows) => rows.length > 0
    )
  }

  const firstOf = (lease: Pick<Lease, "group" | "key">, column: string) =>
    sql`SELECT ${sql.literal(column)} FROM parked_messages WHERE ${ofKey(lease.group, lease.key)} ORDER BY position LIMIT 1`

  /** Changes the messages of a key that is held, and then says when the first is due. */
  const change = (lease: Lease, messages: Fragment): Effect.Effect<boolean, SqlError> =>
    sql.withTransaction(
      Effect.gen(function* () {
        if (!(yield* hold(lease, sql.literal("token = token")))) return false
        yield* sql`${messages}`
        yield* sql`UPDATE parked_keys SET due_at = (${firstOf(lease, "due_at")}) WHERE ${ofKey(lease.group, lease.key)}`
        return true
      })
    )

  const park = (lease: Lease, identity: Identity, message: Message, after: number) =>
    change(
      lease,
      sql`INSERT ${sql.literal(name === "mysql" ? "IGNORE " : "")}INTO parked_messages
          (consumer_group, message_key, event_hash, event_source, event_id, body, envelope, due_at)
        VALUES (${storedText(lease.group)}, ${storedText(lease.key)},
          ${digest(`${identity.source.length}:${identity.source}${identity.id}`)}, ${storedText(identity.source)},
          ${storedText(identity.id)}, ${message.body}, ${toEnvelope(identity, message)}, ${now} + ${after})
        ${sql.literal(name === "mysql" ? "" : "ON CONFLICT (consumer_group, message_key, event_hash) DO NOTHING")}`
    )

  const first = (lease: Lease): Effect.Effect<Option.Option<Parked>, SqlError> =>
    Effect.map(
      sql<{
        readonly position: unknown
        readonly body: Uint8Array
        readonly envelope: string
        readonly remaining: unknown
      }>`SELECT position, body, envelope, due_at - ${now} AS remaining FROM parked_messages
        WHERE ${ofKey(lease.group, lease.key)} ORDER BY position LIMIT 1`,
      ([row]) =>
        row === undefined
          ? Option.none()
          : Option.some({
              ...fromEnvelope(row.envelope, row.body),
              position: Number(row.position),
              remaining: toDuration(row.remaining)
            })
    )

  const postpone = Effect.fnUntraced(function* (lease: Lease, position: number, message: Message, after: number) {
    const isMessage = sql`${ofKey(lease.group, lease.key)} AND position = ${position}`
    const [row] = yield* sql<{ readonly envelope: string }>`SELECT envelope FROM parked_messages WHERE ${isMessage}`
    if (row === undefined) return yield* hold(lease, sql.literal("token = token"))
    // The identity of a message never changes.
    const envelope = toEnvelope(fromEnvelope(row.envelope, message.body).identity, message)
    return yield* change(
      lease,
      sql`UPDATE parked_messages SET body = ${message.body}, envelope = ${envelope}, due_at = ${now} + ${after}
        WHERE ${isMessage}`
    )
  })

  const remove = (lease: Lease, position: number) =>
    change(lease, sql`DELETE FROM parked_messages WHERE ${ofKey(lease.group, lease.key)} AND position = ${position}`)

  const due = (group: string, limit: number) =>
    Effect.map(
      sql<KeyRow>`SELECT e.message_key, e.original_key FROM parked_keys e
        WHERE e.consumer_group = ${storedText(group)} AND e.due_at <= ${now} AND e.halted_reason IS NULL AND ${isFree}
        ORDER BY e.due_at LIMIT ${limit}`,
      (rows) => rows.map(keyOf)
    )

  const resume = (group: string, key: string): Effect.Effect<boolean, SqlError> =>
    sql.withTransaction(
      Effect.gen(function* () {
        const [row] = yield* sql<{ readonly due_at: unknown }>`SELECT due_at FROM parked_keys
          WHERE ${ofKey(group, key)} AND halted_reason IS NOT NULL ${forUpdate}`
        if (row === undefined) return false
        if (row.due_at !== null) {
          const [message] = yield* sql<{ readonly position: unknown }>`${firstOf({ group, key }, "position")}`
          if (message !== undefined) {
            yield* sql`UPDATE parked_messages SET due_at = ${now} WHERE position = ${Number(message.position)}`
          }
        }
        yield* sql`UPDATE parked_keys SET halted_reason = NULL, due_at = (${firstOf({ group, key }, "due_at")})
          WHERE ${ofKey(group, key)}`
        return true
      })
    )

  const keys = (group: string, limit: number) =>
    Effect.map(
      sql<KeyRow & { readonly parked: unknown; readonly halted_reason: string | null }>`
        SELECT e.message_key, e.original_key, e.halted_reason, m.parked
        FROM (SELECT message_key, count(*) AS parked, min(position) AS oldest FROM parked_messages
          WHERE consumer_group = ${storedText(group)} GROUP BY message_key ORDER BY oldest LIMIT ${limit}) m
        JOIN parked_keys e ON e.consumer_group = ${storedText(group)} AND e.message_key = m.message_key
        ORDER BY m.oldest`,
      (rows) =>
        rows.map((row) => ({
          key: keyOf(row),
          parked: Number(row.parked),
          halted: row.halted_reason ?? undefined
        }))
    )

  const depth = Effect.fnUntraced(function* (group: string) {
    const ofGroup = sql`consumer_group = ${storedText(group)}`
    const [counted] = yield* sql<{ readonly parked: unknown; readonly oldest: unknown }>`
      SELECT count(*) AS parked, min(position) AS oldest FROM parked_messages WHERE ${ofGroup}`
    const parked = Number(counted?.parked ?? 0)
    if (parked === 0) return { parked, oldest: Option.none() }
    const [row] = yield* sql<{ readonly body: Uint8Array; readonly envelope: string }>`
      SELECT body, envelope FROM parked_messages WHERE ${ofGroup} AND position = ${Number(counted?.oldest)}`
    // It may have been worked off meanwhile.
    return {
      parked,
      oldest: Option.map(Option.fromNullishOr(row), (row) => fromEnvelope(row.envelope, row.body).message)
    }
  })

  const lastWorked = Effect.fnUntraced(function* (group: string, keys: ReadonlyArray<string>) {
    if (keys.length === 0) return []
    const found = yield* sql<{ readonly n: unknown; readonly worked_at: unknown }>`SELECT r.n, e.worked_at
      FROM ${table(keys.map((key) => ({ group, key })))} JOIN parked_keys e ON ${isRow} WHERE e.worked_at IS NOT NULL`
    const times = new Map(found.map((row) => [Number(row.n), Number(row.worked_at)]))
    return keys.map((_, n) => times.get(n))
  })

  const purgedAtOnce = 1000
  const purge = Effect.fnUntraced(function* (group: string, olderThan: number) {
    const isOld = sql`consumer_group = ${storedText(group)} AND due_at IS NULL AND halted_reason IS NULL
      AND (owner IS NULL OR lease_until <= ${now}) AND coalesce(worked_at, lease_until) <= ${now} - ${olderThan}`
    const oldest = sql`SELECT message_key FROM parked_keys WHERE ${isOld} LIMIT ${purgedAtOnce}`
    const remove =
      name === "mysql"
        ? sql.withTransaction(
            Effect.tap(
              sql`${oldest} ${forUpdate}`,
              () => sql`DELETE FROM parked_keys WHERE ${isOld} LIMIT ${purgedAtOnce}`
            )
          )
        : sql`DELETE FROM parked_keys WHERE ${isOld} AND message_key IN (${oldest}) RETURNING token`
    let purged = 0
    while (true) {
      const rows = yield* remove
      purged += rows.length
      if (rows.length < purgedAtOnce) return purged
    }
  })

  return {
    acquire,
    renew,
    release,
    confirm: (lease: Lease) => hold(lease, sql`worked_at = ${now}`),
    park,
    first,
    postpone,
    remove,
    due,
    halt: (lease: Lease, reason: string) => hold(lease, sql`halted_reason = ${readable(reason)}`),
    resume,
    keys,
    depth,
    lastWorked,
    purge
  }
}
