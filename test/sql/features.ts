/** What every database must do, beside the suites. */
import { assert } from "@effect/vitest"
import { Cause, Context, Duration, Effect, Exit, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { DedupStore, Parking } from "effect-integration/event"
import { IdempotencyStore } from "effect-integration/http"
import { SqlStores } from "effect-integration/sql"

/** The stores on a client. */
export const stores = (sql: SqlClient.SqlClient, options = { migrate: true }) =>
  Effect.map(
    Layer.build(Layer.fresh(SqlStores.layerWith(options)).pipe(Layer.provide(Layer.succeed(SqlClient.SqlClient, sql)))),
    (context) => ({
      dedup: Context.get(context, DedupStore.DedupStore),
      parking: Context.get(context, Parking.Parking),
      idempotency: Context.get(context, IdempotencyStore.IdempotencyStore)
    })
  )

export const createNotes = (sql: SqlClient.SqlClient) => sql`CREATE TABLE IF NOT EXISTS notes (note VARCHAR(255))`

/** What the suites of the dedup store write in its transactions. */
export const notes = (sql: SqlClient.SqlClient) => ({
  write: (text: string) => Effect.orDie(Effect.asVoid(sql`INSERT INTO notes VALUES (${text})`)),
  isWritten: (text: string) =>
    Effect.orDie(Effect.map(sql`SELECT note FROM notes WHERE note = ${text}`, (rows) => rows.length > 0))
})

export const event = (id: string) => ({ source: "https://acme.com/orders", id })
export const timeout = { timeout: Duration.seconds(20) }
export const long = Duration.minutes(5)

type Sql = SqlClient.SqlClient

export const features: Readonly<Record<string, (one: Sql, two: Sql) => Effect.Effect<void, unknown, any>>> = {
  "a transaction takes over a claim that is still under its lease": (one, two) =>
    Effect.gen(function* () {
      const { dedup } = yield* stores(one)
      const { dedup: other } = yield* stores(two)
      const claim = yield* dedup.claim("takes over", event("1"), long)
      assert.deepStrictEqual(
        yield* other.transaction("takes over", event("1"), Effect.succeed(1), timeout),
        Option.some(1)
      )
      assert.isFalse(yield* dedup.complete("takes over", event("1"), claim._tag === "Claimed" ? claim.token : 0))
    }),

  "a claim that is gone cannot be renewed, released or completed, ever, and leaves its event free": (one, two) =>
    Effect.gen(function* () {
      const { dedup } = yield* stores(one)
      const { dedup: other } = yield* stores(two)
      const claim = yield* dedup.claim("gone", event("1"), Duration.zero)
      assert(claim._tag === "Claimed")
      assert.strictEqual(yield* other.purge("gone", Duration.zero), 1)
      const late = Effect.gen(function* () {
        assert.isFalse(yield* dedup.renew("gone", event("1"), claim.token, Duration.infinity))
        yield* dedup.release("gone", event("1"), claim.token)
        assert.isFalse(yield* dedup.complete("gone", event("1"), claim.token))
      })
      yield* Effect.repeat(late, { times: 2 })
      assert.deepStrictEqual(yield* other.processed("gone", [event("1")]), [false])
      const next = yield* other.claim("gone", event("1"), long)
      assert(next._tag === "Claimed" && next.token > claim.token)
      yield* late
      assert.isTrue(yield* other.complete("gone", event("1"), next.token))
      yield* late
    }),

  "events of several groups and sources are answered each for itself in one batch": (one) =>
    Effect.gen(function* () {
      const { dedup } = yield* stores(one)
      const asked = ["a", "b"].flatMap((group) =>
        ["s", 's"\\,{}', "NULL"].flatMap((source) =>
          ["1", "", "é\u{1f980}'"].map((id) => ({ group, event: { source, id } }))
        )
      )
      const odd = asked.filter((_, n) => n % 2 === 1)
      const claims = (all: typeof asked) =>
        Effect.forEach(all, ({ event, group }) => dedup.claim(`several ${group}`, event, long), {
          concurrency: "unbounded"
        })
      const first = yield* claims(odd)
      assert.isTrue(first.every(({ _tag }) => _tag === "Claimed"))
      const completed = yield* Effect.forEach(
        odd,
        ({ event, group }, n) => {
          const claim = first[n]!
          // Every third has lost its token.
          const token = claim._tag === "Claimed" ? claim.token + (n % 3 === 2 ? 1 : 0) : 0
          return dedup.complete(`several ${group}`, event, token)
        },
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        completed,
        odd.map((_, n) => n % 3 !== 2)
      )
      assert.deepStrictEqual(
        (yield* claims(asked)).map(({ _tag }) => _tag),
        asked.map((_, n) => (n % 2 === 0 ? "Claimed" : (n >> 1) % 3 === 2 ? "Running" : "Processed"))
      )
    }),

  "an error of SQL in the effect of a transaction stays the effect's": (one) =>
    Effect.gen(function* () {
      const { dedup } = yield* stores(one)
      const broken = one`SELECT * FROM nowhere`
      const typed = yield* Effect.flip(dedup.transaction("own errors", event("1"), broken, timeout))
      assert.strictEqual(typed._tag, "SqlError")
      const defect = yield* Effect.exit(dedup.transaction("own errors", event("1"), Effect.orDie(broken), timeout))
      assert.isTrue(Exit.isFailure(defect) && Cause.hasDies(defect.cause) && !Cause.hasFails(defect.cause))
      assert.deepStrictEqual(yield* dedup.processed("own errors", [event("1")]), [false])
    }),

  "durations that no database can add are bounded": (one) =>
    Effect.gen(function* () {
      const { dedup, parking } = yield* stores(one)
      assert.strictEqual((yield* dedup.claim("forever", event("1"), Duration.infinity))._tag, "Claimed")
      assert.strictEqual((yield* dedup.claim("forever", event("1"), long))._tag, "Running")
      assert.strictEqual(yield* dedup.purge("forever", Duration.infinity), 0)
      assert.strictEqual(yield* dedup.purge("forever", Duration.days(100)), 0)
      assert.strictEqual((yield* parking.acquire("forever", "k", "o", Duration.infinity))._tag, "Acquired")
      assert.strictEqual(yield* parking.purge("forever", Duration.days(100)), 0)
    }),

  "purge takes more rows than it takes at once": (one) =>
    Effect.gen(function* () {
      const { dedup } = yield* stores(one)
      const events = Array.from({ length: 2500 }, (_, n) => event(`${n}`))
      yield* Effect.forEach(events, (event) => dedup.claim("many", event, Duration.zero), { concurrency: "unbounded" })
      assert.strictEqual(yield* dedup.purge("many", Duration.zero), 2500)
      assert.strictEqual(yield* dedup.purge("many", Duration.zero), 0)
    }),

  "stores without their tables fail with the kind of error, and tell nothing of what was stored": (one) =>
    Effect.gen(function* () {
      const names = ["processed_events", "parked_keys", "parked_messages", "idempotency_keys"]
      const { dedup, idempotency, parking } = yield* stores(one)
      for (const name of names) yield* one`ALTER TABLE ${one(name)} RENAME TO ${one(`${name}_away`)}`
      const secret = "hunter2"
      const lease = { group: secret, key: secret, owner: secret, token: 1 }
      const errors = [
        yield* Effect.flip(dedup.claim(secret, event(secret), long)),
        yield* Effect.flip(dedup.complete(secret, event(secret), 1)),
        yield* Effect.flip(dedup.transaction(secret, event(secret), Effect.void, timeout)),
        yield* Effect.flip(parking.acquire(secret, secret, secret, long)),
        yield* Effect.flip(parking.confirm(lease)),
        yield* Effect.flip(parking.park(lease, event(secret), { body: new Uint8Array(), headers: {} }, long))
      ]
      for (const error of errors) {
        assert.match(error.description, /^(SqlSyntaxError|UnknownError)( \(\w+\))?$/)
        assert.notInclude(error.message, secret)
      }
      const failed = yield* Effect.flip(
        idempotency.claim({ key: secret, fingerprint: secret, owner: secret, lease: long })
      )
      assert.strictEqual(failed._tag, "IdempotencyStoreError")
      assert.notInclude(String(failed.cause), secret)
      for (const name of names) yield* one`ALTER TABLE ${one(`${name}_away`)} RENAME TO ${one(name)}`
    }),

  "of several processes that start at once one migrates, and none twice": (one, two) =>
    Effect.gen(function* () {
      const tables = [
        "processed_events",
        "parked_keys",
        "parked_messages",
        "idempotency_keys",
        "sagas",
        "saga_history",
        "outbox_events",
        "outbox_leases",
        "outbox_relays",
        "effect_integration_migrations"
      ]
      for (const name of tables) yield* one`DROP TABLE IF EXISTS ${one(name)}`
      const started = yield* Effect.all(
        [one, two, one, two].map((sql) => stores(sql)),
        { concurrency: "unbounded" }
      )
      for (const [n, { dedup }] of started.entries()) {
        assert.strictEqual((yield* dedup.claim("migrated", event(`${n}`), long))._tag, "Claimed")
      }
      const ran = yield* one<{ name: string }>`SELECT name FROM effect_integration_migrations`
      assert.deepStrictEqual(
        ran.map((row) => row.name),
        ["create_stores", "create_outbox", "create_sagas"]
      )
    }),

  "an idempotency key is claimed once, renewed, completed and answered": (one, two) =>
    Effect.gen(function* () {
      const { idempotency: store } = yield* stores(one)
      const { idempotency: other } = yield* stores(two)
      const key = `k\0${"x".repeat(3000)}`
      const ask = (owner: string, fingerprint = "f") => ({ key, fingerprint, owner, lease: long })
      const claims = yield* Effect.all([store.claim(ask("one")), other.claim(ask("one"))], { concurrency: 2 })
      assert.deepStrictEqual(claims.map((claim) => claim._tag).toSorted(), ["Claimed", "Running"])
      assert.strictEqual((yield* other.claim(ask("two", "g")))._tag, "Mismatch")
      assert.isTrue(yield* store.renew({ key, owner: "one", lease: long }))
      assert.isFalse(yield* store.renew({ key, owner: "two", lease: long }))
      const response = {
        status: 201,
        headers: { "content-type": "text/plain" },
        cookies: ["a=1", "b=2"],
        body: new Uint8Array([0, 255])
      }
      const complete = (owner: string) => ({ key, owner, response, timeToLive: long })
      assert.isFalse(yield* store.complete(complete("two")))
      assert.isTrue(yield* store.complete(complete("one")))
      assert.isFalse(yield* store.complete(complete("one")))
      assert.deepStrictEqual(yield* other.claim(ask("two")), { _tag: "Completed", response })
      assert.strictEqual((yield* other.claim(ask("two", "g")))._tag, "Mismatch")
      yield* store.release({ key, owner: "one" })
      assert.strictEqual((yield* other.claim(ask("two")))._tag, "Completed")
      assert.strictEqual(yield* store.purge, 0)
    }),

  "an idempotency key is free when it is released, or its lease has ended": (one, two) =>
    Effect.gen(function* () {
      const { idempotency: store } = yield* stores(one)
      const { idempotency: other } = yield* stores(two)
      const ask = (owner: string, lease: Duration.Duration) => ({ key: "free", fingerprint: owner, owner, lease })
      yield* store.claim(ask("one", long))
      yield* store.release({ key: "free", owner: "two" })
      assert.strictEqual((yield* other.claim(ask("one", long)))._tag, "Running")
      yield* store.release({ key: "free", owner: "one" })
      assert.strictEqual((yield* other.claim(ask("two", Duration.zero)))._tag, "Claimed")
      assert.isFalse(yield* other.renew({ key: "free", owner: "two", lease: long }))
      assert.strictEqual((yield* store.claim(ask("three", Duration.zero)))._tag, "Claimed")
      assert.strictEqual(yield* store.purge, 1)
    })
}
