import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import { Claim, type Identity } from "../../event/DedupStore.ts"
import { type Dialect, toDuration } from "./dialect.ts"
import { storedText } from "./storedText.ts"

/** The key of a row as it is kept. */
export interface Event {
  readonly g: string
  readonly s: string
  readonly i: string
  /** Names the row. In the order of these names every process locks rows, so that none waits for another in a circle. */
  readonly row: string
}
type Leased = Event & { readonly lease: number }
type Owned = Event & { readonly token: number }

const key = { g: "text", s: "text", i: "text" } as const
const columns = {
  key,
  leased: { ...key, l: "integer" },
  owned: { ...key, t: "integer" },
  renewed: { ...key, t: "integer", l: "integer" }
} as const

const nameOf = (key: { readonly g: string; readonly s: string; readonly i: string }): string =>
  `${key.g}\0${key.s}\0${key.i}`

export const eventOf = (group: string, { id, source }: Identity): Event => {
  const key = { g: storedText(group), s: storedText(source), i: storedText(id) }
  return { ...key, row: nameOf(key) }
}

interface Row {
  /** Left out where all rows have the same. */
  readonly g?: string
  readonly s?: string
  readonly i: string
  readonly token: unknown
}

interface State {
  readonly n: unknown
  readonly token: unknown
  readonly processed_at: unknown
  readonly remaining: unknown
}

const purgedAtOnce = 1000

/** The statements about the table `processed_events`. Those of many requests expect them in the order of their rows. */
export const make = (dialect: Dialect) => {
  const { forUpdate, name, now, sql } = dialect
  const isRow = sql.literal("e.consumer_group = r.g AND e.event_source = r.s AND e.event_id = r.i")
  const isHeld = sql.literal("e.token = r.t AND e.processed_at IS NULL")
  const isFree = sql`e.processed_at IS NULL AND e.lease_until <= ${now}`
  const returnedWhole = sql.literal("consumer_group AS g, event_source AS s, event_id AS i, token")
  const returnedShort = sql.literal("event_id AS i, token")

  const table = (
    requests: ReadonlyArray<Event & { readonly lease?: number; readonly token?: number }>,
    names: keyof typeof columns,
    rows: "rows" | "inserted" = "rows"
  ) =>
    dialect[rows]<"g" | "s" | "i" | "l" | "t">(
      columns[names] as (typeof columns)["renewed"],
      requests.map(({ g, i, lease = 0, s, token = 0 }) => ({ g, s, i, t: token, l: lease }))
    )

  /** What a statement returns of its rows, and the token of a request by what it has returned. */
  const returning = (requests: ReadonlyArray<Event>) => {
    const first = requests[0]!
    const isShort = requests.every(({ g, s }) => g === first.g && s === first.s)
    return {
      returned: isShort ? returnedShort : returnedWhole,
      tokenOf: (rows: ReadonlyArray<Row>) => {
        const tokens = new Map<string, unknown>()
        for (const row of rows) {
          tokens.set(isShort ? row.i : nameOf({ g: row.g!, s: row.s!, i: row.i }), row.token)
        }
        return (request: Event): unknown => tokens.get(isShort ? request.i : request.row)
      }
    }
  }

  const states = (requests: ReadonlyArray<Event>, lock: Fragment = sql.literal("")) => {
    const found = sql<State>`SELECT r.n, e.token, e.processed_at, e.lease_until - ${now} AS remaining
      FROM ${table(requests, "key")} JOIN processed_events e ON ${isRow} ORDER BY r.n ${lock}`
    return Effect.map(
      // PostgreSQL plans it anew, since a plan that was made while the table was small reads all of it.
      name === "pg" ? found.unprepared : found,
      (found) => new Map(found.map((state) => [Number(state.n), state]))
    )
  }

  const refused = (state: State | undefined): Claim =>
    state !== undefined && state.processed_at !== null
      ? Claim.Processed()
      : Claim.Running({ remaining: toDuration(state?.remaining ?? 0) })

  const claimReturning = Effect.fnUntraced(function* (requests: ReadonlyArray<Leased>) {
    const { returned, tokenOf } = returning(requests)
    const claimed = yield* sql<Row>`INSERT INTO processed_events AS e
        (consumer_group, event_source, event_id, token, lease_until, created_at)
      SELECT r.g, r.s, r.i, ${now}, ${now} + r.l, ${now} FROM ${table(requests, "leased", "inserted")}
      ON CONFLICT (consumer_group, event_source, event_id)
      DO UPDATE SET token = e.token + 1, lease_until = excluded.lease_until WHERE ${isFree}
      RETURNING ${returned}`
    const token = tokenOf(claimed)
    if (claimed.length === requests.length) {
      return requests.map((request) => Claim.Claimed({ token: Number(token(request)) }))
    }
    const others = requests.filter((request) => token(request) === undefined)
    const found = yield* states(others)
    let other = 0
    return requests.map((request) => {
      const mine = token(request)
      return mine === undefined ? refused(found.get(other++)) : Claim.Claimed({ token: Number(mine) })
    })
  })

  const claimLocking = (requests: ReadonlyArray<Leased>) =>
    sql.withTransaction(
      Effect.gen(function* () {
        yield* sql`INSERT IGNORE INTO processed_events
            (consumer_group, event_source, event_id, token, lease_until, created_at)
          SELECT r.g, r.s, r.i, ${now}, 0, ${now} FROM ${table(requests, "key")} ORDER BY r.n`
        const found = yield* states(requests, forUpdate)
        const isClaimed = (n: number) => {
          const state = found.get(n)
          return state !== undefined && state.processed_at === null && Number(state.remaining) <= 0
        }
        const claimed = requests.filter((_, n) => isClaimed(n))
        if (claimed.length > 0) {
          yield* sql`UPDATE processed_events e JOIN ${table(claimed, "leased")} ON ${isRow}
            SET e.token = e.token + 1, e.lease_until = ${now} + r.l`
        }
        return requests.map((_, n) =>
          isClaimed(n) ? Claim.Claimed({ token: Number(found.get(n)!.token) + 1 }) : refused(found.get(n))
        )
      })
    )

  /** Changes the rows that still have the given token, and says which. `change` may use their leases by `lease`. */
  const changeHeld = (change: (lease: Fragment) => Fragment, names: "owned" | "renewed" = "owned") =>
    sql.onDialectOrElse({ pg: () => changeByKey, mysql: () => changeLocked, orElse: () => changeJoined })(change, names)

  type Change = (
    change: (lease: Fragment) => Fragment,
    names: "owned" | "renewed"
  ) => (requests: ReadonlyArray<Owned & { readonly lease?: number }>) => Effect.Effect<ReadonlyArray<boolean>, SqlError>

  /**
   * By the unique index, whatever the planner believes: a plan that was made while the table was small reads all of it
   * when it has grown. A row that is not there comes into being as a claim that has ended, which is as good as none.
   */
  const changeByKey: Change = (change, names) => {
    const set = change(sql.literal("-excluded.lease_until"))
    const ended = sql.literal(names === "renewed" ? "-r.l" : "0")
    return (requests) => {
      const { returned, tokenOf } = returning(requests)
      const changed = sql<Row & { readonly held: unknown }>`INSERT INTO processed_events AS e
          (consumer_group, event_source, event_id, token, lease_until, created_at)
        SELECT r.g, r.s, r.i, r.t, ${ended}, ${now} FROM ${table(requests, names, "inserted")}
        ON CONFLICT (consumer_group, event_source, event_id)
        DO UPDATE SET ${set} WHERE e.token = excluded.token AND e.processed_at IS NULL AND e.lease_until > 0
        RETURNING ${returned}, lease_until > 0 AS held`
      return Effect.map(changed, (rows) => {
        const token = tokenOf(rows.filter(({ held }) => held === true))
        return requests.map((request) => token(request) !== undefined)
      })
    }
  }

  const changeJoined: Change = (change, names) => {
    const set = change(sql.literal("r.l"))
    return (requests) => {
      const { returned, tokenOf } = returning(requests)
      const changed = sql<Row>`UPDATE processed_events AS e SET ${set} FROM ${table(requests, names)}
        WHERE ${isRow} AND ${isHeld} RETURNING ${returned}`
      return Effect.map(changed, (rows) => {
        const token = tokenOf(rows)
        return requests.map((request) => token(request) !== undefined)
      })
    }
  }

  const changeLocked: Change = (change, names) => {
    const set = change(sql.literal("r.l"))
    return (requests) => {
      const held = sql<{ readonly n: unknown }>`SELECT r.n FROM ${table(requests, names)}
        JOIN processed_events e ON ${isRow} AND ${isHeld} ORDER BY r.n ${forUpdate}`
      return sql.withTransaction(
        Effect.tap(
          Effect.map(held, (found) => {
            const numbers = new Set(found.map((row) => Number(row.n)))
            return requests.map((_, n) => numbers.has(n))
          }),
          (isChanged) => {
            const changed = requests.filter((_, n) => isChanged[n])
            return changed.length === 0
              ? Effect.void
              : Effect.asVoid(sql`UPDATE processed_events e JOIN ${table(changed, names)} ON ${isRow} SET ${set}`)
          }
        )
      )
    }
  }

  const complete = changeHeld(() => sql`processed_at = ${now}`)
  const renew = changeHeld((lease) => sql`lease_until = ${now} + ${lease}`, "renewed")
  // The token rises, so that whoever gave the claim up cannot complete it.
  const release = changeHeld(() => sql`token = e.token + 1, lease_until = ${now}`)

  /** Marks the event, within a transaction; false where it is processed. */
  const mark = (event: Event, timeoutMillis: number): Effect.Effect<boolean, SqlError> => {
    const { g, i, s } = event
    const values = sql`${g}, ${s}, ${i}, ${now}, ${now}, ${now}, ${now}`
    const into = sql.literal(
      `INTO processed_events
        (consumer_group, event_source, event_id, processed_at, token, lease_until, created_at)`
    )
    const upsert = sql`ON CONFLICT (consumer_group, event_source, event_id)
      DO UPDATE SET processed_at = excluded.processed_at, token = processed_events.token + 1,
        lease_until = excluded.lease_until
      WHERE processed_events.processed_at IS NULL RETURNING token`
    if (name === "sqlite") {
      return Effect.map(sql`INSERT ${into} VALUES (${values}) ${upsert}`, (rows) => rows.length > 0)
    }
    if (name === "pg") {
      const lock = `${Math.min(Math.max(1, timeoutMillis), 2 ** 31 - 1)}ms`
      const idle = `${Math.min(timeoutMillis + 5000, 2 ** 31 - 1)}ms`
      // The settings of the transaction travel with its first statement.
      return Effect.map(
        sql`INSERT ${into} SELECT ${values} FROM (
            SELECT set_config('lock_timeout', ${lock}, true) AS a,
              set_config('idle_in_transaction_session_timeout', ${idle}, true) AS b OFFSET 0
          ) AS c WHERE c.a IS NOT NULL AND c.b IS NOT NULL ${upsert}`,
        (rows) => rows.length > 0
      )
    }
    return Effect.gen(function* () {
      yield* sql`INSERT IGNORE INTO processed_events
          (consumer_group, event_source, event_id, token, lease_until, created_at)
        VALUES (${g}, ${s}, ${i}, ${now}, ${now}, ${now})`
      const found = (yield* states([event], forUpdate)).get(0)
      if (found !== undefined && found.processed_at !== null) return false
      yield* sql`UPDATE processed_events SET processed_at = ${now}, token = token + 1, lease_until = ${now}
        WHERE consumer_group = ${g} AND event_source = ${s} AND event_id = ${i}`
      return true
    })
  }

  const processed = (requests: ReadonlyArray<Event>) =>
    Effect.map(states(requests), (found) =>
      requests.map((_, n) => {
        const state = found.get(n)
        return state !== undefined && state.processed_at !== null
      })
    )

  /** A bounded number of rows at once, so that nobody waits for long. */
  const purge = Effect.fnUntraced(function* (group: string, window: number) {
    // A row was created before it was processed and before its lease ended, and the index knows when that was.
    const isOld = sql`consumer_group = ${storedText(group)} AND created_at <= ${now} - ${window}
      AND coalesce(processed_at, lease_until) <= ${now} - ${window}`
    const oldest = sql`SELECT consumer_group, event_source, event_id FROM processed_events
      WHERE ${isOld} ORDER BY created_at LIMIT ${purgedAtOnce}`
    const remove =
      name === "mysql"
        ? sql.withTransaction(
            Effect.tap(
              sql`${oldest} ${forUpdate}`,
              () => sql`DELETE FROM processed_events WHERE ${isOld} ORDER BY created_at LIMIT ${purgedAtOnce}`
            )
          )
        : sql`DELETE FROM processed_events WHERE (consumer_group, event_source, event_id) IN (${oldest}) AND ${isOld}
            RETURNING token`
    let purged = 0
    while (true) {
      const rows = yield* remove
      purged += rows.length
      if (rows.length < purgedAtOnce) return purged
    }
  })

  return {
    claim: name === "mysql" ? claimLocking : claimReturning,
    complete,
    renew,
    release,
    mark,
    processed,
    purge
  }
}
