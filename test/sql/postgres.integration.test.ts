import { assert, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Exit, Fiber, Latch, Option } from "effect"
import type { SqlClient } from "effect/sql"
import { DedupStore, Parking } from "effect-integration/event"
import { DedupStoreSuite, ParkingSuite } from "effect-integration/testing"
import { make as makePostgres } from "../servers/Postgres.ts"
import { databaseUrl, describeOwnPostgres, describePostgres, freshDatabase } from "../servers/Servers.ts"
import * as clients from "./clients.ts"
import { createNotes, event, features, long, notes, stores, timeout } from "./features.ts"

/** The suites are data before there is a store, so each test makes its own. */
const names = {
  name: "names",
  time: "real",
  transactional: { write: () => Effect.void, isWritten: () => Effect.succeed(true) }
} as const

const two = Effect.flatMap(databaseUrl, (url) => Effect.all([clients.pg(url), clients.pg(url)]))

const repeatUntil = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.flatMap(condition, (holds) =>
    holds ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), repeatUntil(condition))
  )

/** Backends of this database that wait for a lock. */
const waiting = (sql: SqlClient.SqlClient) =>
  Effect.map(
    sql<{ n: bigint }>`SELECT count(*) AS n FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    ([row]) => Number(row!.n)
  )

describePostgres("SqlDedupStore on PostgreSQL", () => {
  DedupStoreSuite.make(names).forEach((test, n) =>
    it.live(test.name, () =>
      Effect.gen(function* () {
        const [one, other] = yield* two
        yield* createNotes(one)
        const { dedup } = yield* stores(one)
        const shared = Effect.succeed((yield* stores(other)).dedup)
        const suite = DedupStoreSuite.make({ ...names, shared, transactional: notes(one) })
        yield* Effect.provideService(suite[n]!.run, DedupStore.DedupStore, dedup)
      })
    )
  )

  it.live("a second process waits for a transaction, and then for no longer than it may", () =>
    Effect.gen(function* () {
      const [one, other] = yield* two
      const { dedup } = yield* stores(one)
      const { dedup: second } = yield* stores(other)
      const begun = yield* Latch.make()
      const end = yield* Latch.make()
      const first = yield* Effect.forkChild(
        dedup.transaction("waits", event("1"), Effect.andThen(begun.open, end.await), timeout)
      )
      yield* begun.await
      const hasty = yield* Effect.flip(
        second.transaction("waits", event("1"), Effect.die("ran"), { timeout: Duration.millis(50) })
      )
      assert.deepInclude(hasty, { _tag: "DedupStoreError", description: "LockTimeoutError (55P03)" })
      const patient = yield* Effect.forkChild(second.transaction("waits", event("1"), Effect.die("ran"), timeout))
      yield* repeatUntil(Effect.map(waiting(one), (n) => n === 1))
      yield* end.open
      assert.deepStrictEqual(yield* Fiber.join(patient), Option.none())
      assert.isTrue(Option.isSome(yield* Fiber.join(first)))
    })
  )

  it.live("a second process runs the effect when the first one's has failed", () =>
    Effect.gen(function* () {
      const [one, other] = yield* two
      const { dedup } = yield* stores(one)
      const { dedup: second } = yield* stores(other)
      const begun = yield* Latch.make()
      const end = yield* Latch.make()
      const fails = Effect.andThen(begun.open, Effect.andThen(end.await, Effect.fail("no")))
      const first = yield* Effect.forkChild(dedup.transaction("fails", event("1"), fails, timeout))
      yield* begun.await
      const next = yield* Effect.forkChild(second.transaction("fails", event("1"), Effect.succeed(2), timeout))
      yield* repeatUntil(Effect.map(waiting(one), (n) => n === 1))
      yield* end.open
      assert.deepStrictEqual(yield* Fiber.join(next), Option.some(2))
      assert.isTrue(Exit.isFailure(yield* Fiber.await(first)))
    })
  )

  it.live("the settings of a transaction end with it, and bound how long it may be left alone", () =>
    Effect.gen(function* () {
      const [one] = yield* two
      const { dedup } = yield* stores(one)
      const read = one<{ lock: string; idle: string }>`SELECT current_setting('lock_timeout') AS lock,
        current_setting('idle_in_transaction_session_timeout') AS idle`
      const inside = yield* dedup.transaction("settings", event("1"), read, { timeout: Duration.seconds(7) })
      assert.deepStrictEqual(inside, Option.some([{ lock: "7s", idle: "12s" }]))
      assert.deepStrictEqual(yield* read, [{ lock: "0", idle: "0" }])
      assert.deepStrictEqual(yield* dedup.processed("settings", [event("1")]), [true])
    })
  )

  it.live("a transaction whose connection is killed fails as the store, and marks nothing", () =>
    Effect.gen(function* () {
      const [one, other] = yield* two
      yield* createNotes(one)
      const { dedup } = yield* stores(one)
      const killed = (what: string) =>
        Effect.gen(function* () {
          yield* notes(one).write(what)
          const [row] = yield* one<{ pid: number }>`SELECT pg_backend_pid() AS pid`
          yield* other`SELECT pg_terminate_backend(${row!.pid})`
          yield* repeatUntil(
            Effect.map(other`SELECT pid FROM pg_stat_activity WHERE pid = ${row!.pid}`, (rows) => rows.length === 0)
          )
        })
      const atCommit = yield* Effect.flip(dedup.transaction("killed", event("1"), killed("1"), timeout))
      assert.strictEqual(atCommit._tag, "DedupStoreError")
      const thenFails = Effect.andThen(killed("2"), Effect.fail("no" as const))
      const atRollback = yield* Effect.flip(dedup.transaction("killed", event("2"), thenFails, timeout))
      assert.propertyVal(atRollback, "_tag", "DedupStoreError")
      assert.deepStrictEqual(yield* dedup.processed("killed", [event("1"), event("2")]), [false, false])
      assert.isFalse((yield* notes(one).isWritten("1")) || (yield* notes(one).isWritten("2")))
      assert.deepStrictEqual(yield* dedup.transaction("killed", event("1"), Effect.succeed(1), timeout), Option.some(1))
    })
  )

  it.live("a batch whose connection is killed fails for its callers only, and the next one succeeds", () =>
    Effect.gen(function* () {
      const [one, other] = yield* two
      const { dedup } = yield* stores(one)
      const release = yield* Latch.make()
      const locked = yield* Latch.make()
      const lock = yield* Effect.forkChild(
        other.withTransaction(
          Effect.andThen(other`LOCK TABLE processed_events`, Effect.andThen(locked.open, release.await))
        )
      )
      yield* locked.await
      const claims = yield* Effect.forkChild(
        Effect.forEach(["1", "2", "3"], (id) => Effect.flip(dedup.claim("batch", event(id), long)), {
          concurrency: "unbounded"
        })
      )
      yield* repeatUntil(Effect.map(waiting(other), (n) => n === 1))
      yield* other`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`
      // The two halves of the batch are tried again, since what the server refuses may be one row's fault.
      yield* repeatUntil(
        Effect.gen(function* () {
          yield* other`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'`
          return claims.pollUnsafe() !== undefined
        })
      )
      const errors = yield* Fiber.join(claims)
      assert.deepStrictEqual(
        errors.map((error) => error._tag),
        ["DedupStoreError", "DedupStoreError", "DedupStoreError"]
      )
      yield* release.open
      yield* Fiber.join(lock)
      assert.strictEqual((yield* dedup.claim("batch", event("1"), long))._tag, "Claimed")
    })
  )

  it.live("claims are apart from the caller's transaction", () =>
    Effect.gen(function* () {
      const [one] = yield* two
      const { dedup, parking } = yield* stores(one)
      const claimed = yield* Deferred.make<string>()
      yield* Effect.exit(
        one.withTransaction(
          Effect.gen(function* () {
            yield* Deferred.succeed(claimed, (yield* dedup.claim("apart", event("1"), long))._tag)
            yield* parking.acquire("apart", "k", "one", long)
            return yield* Effect.fail("no")
          })
        )
      )
      assert.strictEqual(yield* Deferred.await(claimed), "Claimed")
      assert.strictEqual((yield* dedup.claim("apart", event("1"), long))._tag, "Running")
      assert.strictEqual((yield* parking.acquire("apart", "k", "two", long))._tag, "Held")
    })
  )

  it.live("batches of two processes over the same events do not deadlock, and no event is lost", () =>
    Effect.gen(function* () {
      const [one, other] = yield* two
      const handles = [(yield* stores(one)).dedup, (yield* stores(other)).dedup]
      const events = Array.from({ length: 200 }, (_, n) => event(`${n}`))
      const process = (handle: (typeof handles)[number], shift: number) =>
        Effect.forEach(
          events.map((_, n) => events[(n * 7 + shift) % events.length]!),
          (event) =>
            Effect.gen(function* () {
              const claim = yield* handle.claim("deadlock", event, long)
              if (claim._tag !== "Claimed") return 0
              if (claim.token % 2 === shift % 2) {
                yield* handle.release("deadlock", event, claim.token)
                return 0
              }
              yield* handle.renew("deadlock", event, claim.token, long)
              return (yield* handle.complete("deadlock", event, claim.token)) ? 1 : 0
            }),
          { concurrency: "unbounded" }
        )
      let completed = 0
      for (let round = 0; round < 10; round++) {
        const counts = yield* Effect.all(
          handles.map((handle, n) => process(handle, round + n)),
          { concurrency: "unbounded" }
        )
        for (const count of counts.flat()) completed += count
      }
      const done = yield* handles[0]!.processed("deadlock", events)
      assert.strictEqual(done.filter(Boolean).length, completed)
      assert.isAbove(completed, 0)
    })
  )
})

describePostgres("SqlParking on PostgreSQL", () => {
  ParkingSuite.make(names).forEach((test, n) =>
    it.live(test.name, () =>
      Effect.gen(function* () {
        const [one, other] = yield* two
        const { parking } = yield* stores(one)
        const shared = Effect.succeed((yield* stores(other)).parking)
        const suite = ParkingSuite.make({ ...names, shared })
        yield* Effect.provideService(suite[n]!.run, Parking.Parking, parking)
      })
    )
  )

  it.live("a confirmed key is nobody else's until the transaction has ended, and others do not wait for it", () =>
    Effect.gen(function* () {
      const [one, other] = yield* two
      const { parking } = yield* stores(one)
      const { parking: second } = yield* stores(other)
      const ended = yield* parking.acquire("confirmed", "k", "one", Duration.zero)
      assert(ended._tag === "Acquired")
      const free = yield* parking.acquire("confirmed", "free", "one", Duration.zero)
      assert(free._tag === "Acquired")
      yield* one.withTransaction(
        Effect.gen(function* () {
          assert.isTrue(yield* parking.confirm(ended.lease))
          const [held, taken] = yield* Effect.all(
            ["k", "free"].map((key) => second.acquire("confirmed", key, "two", long)),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(held!._tag, "Held")
          assert.strictEqual(taken!._tag, "Acquired")
          // As the owner's heartbeat does, which is outside of the transaction.
          const renewed = yield* parking
            .renew([ended.lease, free.lease], long)
            .pipe(
              Effect.updateContext((inside: Context.Context<never>): Context.Context<never> =>
                Context.omit(one.transactionService)(inside as Context.Context<any>)
              )
            )
          assert.deepStrictEqual(renewed, [free.lease])
        })
      )
      const after = yield* second.acquire("confirmed", "k", "two", long)
      assert.strictEqual(after._tag, "Acquired")
      assert.isFalse(yield* parking.confirm(ended.lease))
    })
  )

  it.live("what the caller's transaction rolls back was not parked", () =>
    Effect.gen(function* () {
      const [one] = yield* two
      const { parking } = yield* stores(one)
      const acquired = yield* parking.acquire("rolled back", "k", "one", long)
      assert(acquired._tag === "Acquired")
      const message = { body: new Uint8Array(), headers: {} }
      const park = parking.park(acquired.lease, event("1"), message, Duration.zero)
      yield* Effect.exit(one.withTransaction(Effect.andThen(park, Effect.fail("no"))))
      assert.deepStrictEqual(yield* parking.keys("rolled back", 10), [])
      assert.deepStrictEqual(yield* parking.lastWorked("rolled back", ["k"]), [undefined])
    })
  )
})

describePostgres("SqlStores on PostgreSQL", () => {
  it.live.each(Object.entries(features))("%s", ([, feature]) =>
    Effect.gen(function* () {
      const url = yield* freshDatabase("features")
      yield* feature(yield* clients.pg(url), yield* clients.pg(url))
    })
  )
})

describeOwnPostgres("SqlStores whose PostgreSQL goes away", () => {
  it.live("fail as an outage while it is down, and go on when it is back", () =>
    Effect.gen(function* () {
      const server = yield* makePostgres({ durable: true })
      const { dedup, parking } = yield* stores(yield* clients.pg(server.url))
      assert.strictEqual((yield* dedup.claim("g", event("1"), long))._tag, "Claimed")
      yield* server.kill
      const errors = [
        yield* Effect.flip(dedup.claim("g", event("2"), long)),
        yield* Effect.flip(dedup.transaction("g", event("2"), Effect.die("ran"), timeout)),
        yield* Effect.flip(parking.acquire("g", "k", "one", long)),
        yield* Effect.flip(parking.due("g", 1))
      ]
      for (const error of errors) {
        assert.isTrue(error.errorAction.outage)
        assert.notInclude(error.message, "postgres:")
      }
      yield* server.start
      yield* repeatUntil(Effect.isSuccess(dedup.processed("g", [event("1")])))
      assert.strictEqual((yield* dedup.claim("g", event("1"), long))._tag, "Running")
      assert.strictEqual((yield* dedup.claim("g", event("2"), long))._tag, "Claimed")
      assert.deepStrictEqual(yield* dedup.transaction("g", event("3"), Effect.succeed(3), timeout), Option.some(3))
      assert.strictEqual((yield* parking.acquire("g", "k", "one", long))._tag, "Acquired")
    })
  )
})
