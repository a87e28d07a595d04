import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import { buckets, type Lease, share } from "../../event/Outbox.ts"
import type { Dialect } from "./dialect.ts"
import { digest, storedText } from "./storedText.ts"

interface Row {
  readonly channel: string
  readonly bucket: unknown
  readonly token: unknown
  readonly is_mine: unknown
  readonly is_free: unknown
}

/** One relay at a time says what it holds: else two could wait for one another's rows. */
const turn = BigInt.asIntN(64, BigInt(`0x${digest("effect-integration/outbox/leases").slice(0, 16)}`)).toString()

/** The statements about the tables `outbox_leases` and `outbox_relays`. */
export const make = (dialect: Dialect) => {
  const { forUpdate, name, now, sql } = dialect
  const ignore = sql.literal(name === "mysql" ? "IGNORE " : "")
  const elseNothing = sql.literal(name === "mysql" ? "" : "ON CONFLICT DO NOTHING")
  const made = new Set<string>()

  const list = (channels: ReadonlyArray<string>): Fragment =>
    sql`(SELECT r.c FROM ${dialect.rows(
      { c: "text" },
      channels.map((c) => ({ c }))
    )})`

  const begin =
    name === "pg" ? Effect.asVoid(sql`SELECT pg_advisory_xact_lock(${turn}::bigint)::text AS held`) : Effect.void

  const makeBuckets = Effect.fnUntraced(function* (channels: ReadonlyArray<string>) {
    const missing = channels.filter((channel) => !made.has(channel))
    if (missing.length === 0) return
    const all = missing.flatMap((c) => Array.from({ length: buckets }, (_, b) => ({ c, b })))
    yield* sql`INSERT ${ignore}INTO outbox_leases (channel, bucket, token, lease_until)
      SELECT r.c, r.b, 0, 0 FROM ${dialect.rows({ c: "text", b: "integer" }, all)} WHERE r.n >= 0 ORDER BY r.n ${elseNothing}`
  })

  const enlist = Effect.fnUntraced(function* (owner: string, channels: ReadonlyArray<string>, millis: number) {
    yield* sql`DELETE FROM outbox_relays WHERE lease_until <= ${now} OR owner = ${owner}`
    const rows = dialect.rows(
      { c: "text", o: "text", l: "integer" },
      channels.map((c) => ({ c, o: owner, l: millis }))
    )
    yield* sql`INSERT INTO outbox_relays (channel, owner, lease_until) SELECT r.c, r.o, ${now} + r.l FROM ${rows}`
    const living = yield* sql<{ readonly channel: string; readonly n: unknown }>`SELECT channel, count(*) AS n
      FROM outbox_relays WHERE channel IN ${list(channels)} GROUP BY channel`
    return new Map(living.map((row) => [row.channel, Number(row.n)]))
  })

  const lease = (relay: {
    readonly owner: string
    readonly channels: ReadonlyArray<string>
    readonly lease: number
  }) => {
    const owner = storedText(relay.owner)
    const { channels } = relay
    const work = Effect.gen(function* () {
      yield* begin
      yield* makeBuckets(channels)
      const living = yield* enlist(owner, channels, relay.lease)
      const rows = yield* sql<Row>`SELECT channel, bucket, token,
          CASE WHEN owner = ${owner} THEN 1 ELSE 0 END AS is_mine,
          CASE WHEN owner IS NULL OR lease_until <= ${now} THEN 1 ELSE 0 END AS is_free
        FROM outbox_leases WHERE channel IN ${list(channels)} ORDER BY channel, bucket ${forUpdate}`
      const held: Array<Lease & { readonly surplus: boolean }> = []
      const taken: Array<{ readonly c: string; readonly b: number }> = []
      for (const channel of channels) {
        const most = share(living.get(channel) ?? 1)
        const all = rows.filter((row) => row.channel === channel)
        const mine = all.filter((row) => Number(row.is_mine) === 1)
        const free = all.filter((row) => Number(row.is_mine) === 0 && Number(row.is_free) === 1)
        for (const [index, row] of mine.entries()) {
          held.push({ channel, bucket: Number(row.bucket), token: Number(row.token), surplus: index >= most })
        }
        for (const row of free.slice(0, Math.max(0, most - mine.length))) {
          held.push({ channel, bucket: Number(row.bucket), token: Number(row.token) + 1, surplus: false })
          taken.push({ c: channel, b: Number(row.bucket) })
        }
      }
      if (taken.length > 0) {
        yield* sql`UPDATE outbox_leases SET owner = ${owner}, token = token + 1
          WHERE (channel, bucket) IN (SELECT r.c, r.b FROM ${dialect.rows({ c: "text", b: "integer" }, taken)})`
      }
      yield* sql`UPDATE outbox_leases SET lease_until = ${now} + ${relay.lease}
        WHERE owner = ${owner} AND channel IN ${list(channels)}`
      return held
    })
    return Effect.tap(sql.withTransaction(work), () => Effect.sync(() => channels.forEach((each) => made.add(each))))
  }

  const release = (given: string, leases: ReadonlyArray<Lease>, { leaves }: { readonly leaves: boolean }) => {
    const owner = storedText(given)
    const freed = sql.literal("UPDATE outbox_leases SET owner = NULL, lease_until = 0")
    const work = Effect.gen(function* () {
      yield* begin
      if (leaves) {
        yield* sql`DELETE FROM outbox_relays WHERE owner = ${owner}`
        yield* sql`${freed} WHERE owner = ${owner}`
      } else {
        const rows = leases.map(({ bucket, channel, token }) => ({ c: channel, b: bucket, t: token }))
        yield* sql`${freed} WHERE owner = ${owner} AND (channel, bucket, token) IN (
          SELECT r.c, r.b, r.t FROM ${dialect.rows({ c: "text", b: "integer", t: "integer" }, rows)})`
      }
    })
    return sql.withTransaction(work) as Effect.Effect<void, SqlError>
  }

  return { lease, release }
}
