import { assert, it } from "@effect/vitest"
import { PgClient } from "@effect/sql-pg"
import { Clock, Deferred, Effect, Fiber, Layer, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import { Channel, Consumer, DedupStore, MemoryBroker, Outbox, OutboxRelay, Publisher } from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import { OutboxSuite } from "effect-integration/testing"
import * as Fixture from "../event/orders.ts"
import { ids, keyed, relayed, start } from "../event/outbox.ts"
import { make as makePostgres } from "../servers/Postgres.ts"
import { databaseUrl, describeOwnPostgres, describePostgres, freshDatabase } from "../servers/Servers.ts"
import { until } from "../servers/until.ts"
import * as clients from "./clients.ts"
import { createNotes, notes, stores } from "./features.ts"
import { names, outbox, transaction } from "./outboxes.ts"

const { Loose, Strict } = relayed

const two = Effect.flatMap(databaseUrl, (url) => Effect.all([clients.pg(url), clients.pg(url)]))

describePostgres("SqlOutbox on PostgreSQL", () => {
  OutboxSuite.make(names).forEach((test, n) =>
    it.live(test.name, () =>
      Effect.gen(function* () {
        const [one, other] = yield* two
        const store = yield* outbox(one)
        const shared = Effect.succeed(yield* outbox(other))
        const suite = OutboxSuite.make({ ...names, shared, transaction: transaction(one) })
        yield* Effect.provideService(suite[n]!.run, Outbox.Outbox, store)
      })
    )
  )
})

type Channel = typeof Strict | typeof Loose

/** A database of its own with two clients, and how events are stored by one of them. */
const fresh = Effect.gen(function* () {
  const url = yield* freshDatabase("outbox")
  const [one, other] = yield* Effect.all([clients.pg(url), clients.pg(url)])
  const store = yield* outbox(one)
  const put = (id: string, key = "k", channel: Channel = Strict) =>
    Effect.provideService(
      Outbox.publish(channel, Fixture.OrderPlaced, Fixture.order(id, key), { id }),
      Outbox.Outbox,
      store
    )
  /** Transactions that wait for a lock. */
  const waiting = Effect.map(
    other<{ n: unknown }>`SELECT count(*) AS n FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    ([row]) => Number(row!.n)
  )
  const isWaiting = until(Effect.map(waiting, (n) => n > 0))
  /** A transaction that ends, with or without success, when it is told. */
  const open = Effect.fnUntraced(function* <A, E>(work: Effect.Effect<A, E>) {
    const worked = yield* Deferred.make<void>()
    const end = yield* Deferred.make<void, string>()
    const fiber = yield* Effect.forkScoped(
      Effect.exit(
        one.withTransaction(
          work.pipe(Effect.andThen(Deferred.succeed(worked, undefined)), Effect.andThen(Deferred.await(end)))
        )
      )
    )
    return {
      worked: Deferred.await(worked),
      commit: Effect.andThen(Deferred.succeed(end, undefined), Fiber.join(fiber)),
      rollback: Effect.andThen(Deferred.fail(end, "no"), Fiber.join(fiber))
    }
  })
  const relay = (options: OutboxRelay.Options = {}) =>
    Effect.flatMap(outbox(other), (store) =>
      start(OutboxRelay.layer([Strict, Loose], { ...options }).pipe(Layer.provide(Layer.succeed(Outbox.Outbox, store))))
    )
  const isPublished = (...expected: ReadonlyArray<string>) =>
    until(Effect.map(ids, (all) => expected.every((id) => all.includes(id))))
  return { url, one, other, store, put, open, relay, isWaiting, isPublished }
})

describePostgres("the order of SqlOutbox on PostgreSQL", () => {
  it.live("is that of commits for one key: a transaction waits for the one that was first to publish", () =>
    Effect.gen(function* () {
      const { isPublished, isWaiting, one, open, put, relay } = yield* fresh
      yield* relay()
      // Begins first and publishes second, so its snapshot is older.
      const late = yield* Deferred.make<void>()
      const older = yield* open(
        Effect.andThen(one`SELECT txid_current()`, Effect.andThen(Deferred.await(late), put("older")))
      )
      const first = yield* open(put("first"))
      yield* first.worked
      yield* Deferred.succeed(late, undefined)
      yield* isWaiting
      const third = yield* Effect.forkScoped(Effect.andThen(Effect.sleep(0), put("third")))
      yield* first.commit
      yield* older.worked
      yield* older.commit
      yield* Fiber.join(third)
      yield* isPublished("first", "older", "third")
      const published = yield* ids
      assert.strictEqual(published[0], "first")
      assert.sameMembers([...published], ["first", "older", "third"])
      assert.strictEqual(published.length, 3)
    }).pipe(Effect.provide(keyed))
  )

  it.live("follows the commits when the numbers of many transactions are interleaved", () =>
    Effect.gen(function* () {
      const { isPublished, one, put, relay } = yield* fresh
      yield* one`CREATE TABLE commits (n bigserial, key text, id text)`
      yield* one`CREATE TABLE last (key text PRIMARY KEY, n int)`
      yield* relay()
      yield* relay()
      const keys = ["a", "b", "c"]
      yield* Effect.forEach(keys, (key) => one`INSERT INTO last VALUES (${key}, 0)`)
      yield* Effect.forEach(
        Array.from({ length: 120 }, (_, n) => n),
        (n) => {
          const key = keys[n % keys.length]!
          // The order of the updates of one row is that of the commits; it comes after the event's number was drawn.
          const work = Effect.andThen(
            put(`${n}`, key),
            Effect.andThen(
              one`SELECT pg_sleep(${(n % 5) / 500}::float8)`,
              one`WITH next AS (UPDATE last SET n = n + 1 WHERE key = ${key} RETURNING n)
                INSERT INTO commits (n, key, id) SELECT n, ${key}, ${`${n}`} FROM next`
            )
          )
          const failing = Effect.andThen(put(`no ${n}`, key), Effect.fail("no"))
          return Effect.all([Effect.exit(one.withTransaction(failing)), one.withTransaction(work)], { concurrency: 2 })
        },
        { concurrency: 3 }
      )
      const commits = yield* one<{ key: string; id: string }>`SELECT key, id FROM commits ORDER BY n`
      yield* isPublished(...commits.map(({ id }) => id))
      const published = yield* ids
      assert.strictEqual(published.length, 120)
      for (const key of keys) {
        const order = commits.filter((row) => row.key === key).map(({ id }) => id)
        assert.deepStrictEqual(
          published.filter((id) => order.includes(id)),
          order
        )
      }
    }).pipe(Effect.provide(keyed))
  )

  it.live("loses no event whose transaction commits after one with a higher number", () =>
    Effect.gen(function* () {
      const { isPublished, open, put, relay } = yield* fresh
      yield* relay()
      const slow = yield* open(Effect.andThen(put("a", "a"), put("loose", "a", Loose)))
      yield* slow.worked
      yield* put("b", "b")
      yield* put("loose 2", "b", Loose)
      yield* isPublished("b", "loose 2")
      assert.notInclude(yield* ids, "a")
      yield* slow.commit
      yield* isPublished("a", "loose")
    }).pipe(Effect.provide(keyed))
  )

  it.live("has nothing of a transaction or savepoint that was rolled back, and lets go of its keys", () =>
    Effect.gen(function* () {
      const { isPublished, isWaiting, one, open, put, relay } = yield* fresh
      yield* relay()
      const back = yield* open(put("never"))
      yield* back.worked
      const after = yield* Effect.forkScoped(put("after"))
      yield* isWaiting
      yield* back.rollback
      yield* Fiber.join(after)
      const outer = yield* open(
        Effect.andThen(
          Effect.exit(one.withTransaction(Effect.andThen(put("inner"), Effect.fail("no")))),
          put("outer", "other")
        )
      )
      yield* outer.worked
      yield* put("meanwhile")
      yield* outer.commit
      yield* isPublished("after", "outer", "meanwhile")
      assert.sameMembers([...(yield* ids)], ["after", "outer", "meanwhile"])
    }).pipe(Effect.provide(keyed))
  )

  it.live("ends a deadlock of two keys as an outage, and the other transaction commits", () =>
    Effect.gen(function* () {
      const { isPublished, one, put, relay } = yield* fresh
      const both = yield* Effect.all([Deferred.make<void>(), Deferred.make<void>()])
      const run = (n: 0 | 1, keys: readonly [string, string]) =>
        Effect.result(
          one.withTransaction(
            put(`${n} first`, keys[0]).pipe(
              Effect.andThen(Deferred.succeed(both[n], undefined)),
              Effect.andThen(Deferred.await(both[1 - n]!)),
              Effect.andThen(put(`${n} second`, keys[1]))
            )
          )
        )
      const results = yield* Effect.all([run(0, ["a", "b"]), run(1, ["b", "a"])], { concurrency: 2 })
      const failed = results.findIndex((result) => result._tag === "Failure")
      const lost = results[failed]!
      assert(lost._tag === "Failure" && lost.failure._tag === "OutboxError")
      assert.strictEqual(lost.failure.reason, "unavailable")
      assert.isTrue(lost.failure.errorAction.outage)
      assert.match(lost.failure.description, /40P01/)
      const won = results[1 - failed]!
      assert.strictEqual(won._tag, "Success")
      yield* relay()
      yield* isPublished(`${1 - failed} first`, `${1 - failed} second`)
      assert.strictEqual((yield* ids).length, 2)
    }).pipe(Effect.provide(keyed))
  )
})

describePostgres("a relay on PostgreSQL", () => {
  const neverPolls = { poll: { shortest: "1 hour", longest: "1 hour" } } as const

  it.live("hears of commits of other processes at once, also after its connection was lost", () =>
    Effect.gen(function* () {
      const { isPublished, one, put, relay } = yield* fresh
      yield* relay(neverPolls)
      const listeners = Effect.map(
        one<{ pid: number }>`SELECT pid FROM pg_stat_activity
          WHERE datname = current_database() AND query LIKE 'LISTEN%'`,
        (rows) => rows.map(({ pid }) => pid)
      )
      yield* until(Effect.map(listeners, (pids) => pids.length > 0))
      yield* put("one")
      yield* isPublished("one")
      const [pid] = yield* listeners
      yield* one`SELECT pg_terminate_backend(${pid})`
      yield* put("two")
      yield* isPublished("two")
      yield* until(Effect.map(listeners, (pids) => pids.length > 0 && pids[0] !== pid))
      const times: Array<number> = []
      for (let n = 0; n < 20; n++) {
        const before = yield* Clock.currentTimeMillis
        yield* put(`fast ${n}`)
        yield* Effect.repeat(Effect.yieldNow, {
          until: () => Effect.map(ids, (all) => all.includes(`fast ${n}`))
        })
        times.push((yield* Clock.currentTimeMillis) - before)
      }
      const median = times.toSorted((a, b) => a - b)[10]!
      console.log(`from publish to confirm, by NOTIFY: median ${median} ms, longest ${Math.max(...times)} ms`)
      assert.isBelow(median, 500)
    }).pipe(Effect.provide(keyed))
  )

  it.live("polls where the client has no connection to spare", () =>
    Effect.gen(function* () {
      const { isPublished, put, url } = yield* fresh
      const single = yield* clients.pg(url, { maxConnections: 1 })
      const store = yield* outbox(single)
      yield* start(OutboxRelay.layer([Strict]).pipe(Layer.provide(Layer.succeed(Outbox.Outbox, store))))
      yield* put("one")
      yield* isPublished("one")
      yield* put("two")
      yield* isPublished("two")
    }).pipe(Effect.provide(keyed))
  )

  it.live("polls where the client is one connection", () =>
    Effect.gen(function* () {
      const { isPublished, put, url } = yield* fresh
      const single = yield* PgClient.makeClient({ url: Redacted.make(url) }).pipe(Effect.provide(Reactivity.layer))
      const store = yield* outbox(single)
      yield* start(OutboxRelay.layer([Strict]).pipe(Layer.provide(Layer.succeed(Outbox.Outbox, store))))
      yield* put("one")
      yield* isPublished("one")
    }).pipe(Effect.provide(keyed))
  )

  it.live("of the same process is told of commits where there are no notifications", () =>
    Effect.gen(function* () {
      const { isPublished, one, other } = yield* fresh
      const store = yield* outbox(one, { notify: false })
      const provided = Layer.succeed(Outbox.Outbox, store)
      yield* start(OutboxRelay.layer([Strict], neverPolls).pipe(Layer.provide(provided)))
      yield* until(
        Effect.map(Effect.provideService(Outbox.depth, Outbox.Outbox, store), ([depth]) => depth?.relays === 1)
      )
      yield* one.withTransaction(
        Effect.provideService(
          Outbox.publish(Strict, Fixture.OrderPlaced, Fixture.order("o-1"), { id: "o-1" }),
          Outbox.Outbox,
          store
        )
      )
      yield* isPublished("o-1")
      assert.deepStrictEqual(yield* other`SELECT position FROM outbox_events WHERE state <> 0`, [])
    }).pipe(Effect.provide(keyed))
  )
})

describePostgres("inbox and outbox in one transaction", () => {
  it.live(
    "leave nothing of a handler whose connection dies after it has published, and all of the next one, once",
    () =>
      Effect.gen(function* () {
        const { one, other, store } = yield* fresh
        yield* createNotes(one)
        const { dedup } = yield* stores(one)
        const Asked = Channel.make("outbox-crash", [Fixture.OrderPlaced], { consumers: ["inbox"] })
        const published = yield* Deferred.make<number>()
        const go = yield* Deferred.make<void>()
        let runs = 0
        const consumer = Consumer.make("inbox", Asked, {
          handlers: {
            "com.acme.order.placed": Effect.fn(function* (event) {
              yield* notes(one).write(event.data.id)
              yield* Outbox.publish(Strict, Fixture.OrderPlaced, event.data)
              if (runs++ > 0) return
              const [row] = yield* Effect.orDie(one<{ pid: number }>`SELECT pg_backend_pid() AS pid`)
              yield* Deferred.succeed(published, row!.pid)
              yield* Deferred.await(go)
            })
          },
          retry: RetryPolicy.make({ delays: ["20 millis", "100 millis", "1 second"] }),
          dedup: { window: "1 day", mode: "transactional" }
        })
        const broker = yield* Layer.build(Layer.fresh(MemoryBroker.layer))
        const provided = Layer.mergeAll(
          Layer.succeedContext(broker),
          Layer.succeed(DedupStore.DedupStore, dedup),
          Layer.succeed(Outbox.Outbox, store)
        )
        yield* start(consumer.layer.pipe(Layer.provide(provided)))
        const place = Publisher.publish(Asked, Fixture.OrderPlaced, Fixture.order("o-1"), { id: "o-1" }).pipe(
          Effect.provideContext(broker)
        )
        yield* place
        yield* other`SELECT pg_terminate_backend(${yield* Deferred.await(published)})`
        yield* Deferred.succeed(go, undefined)
        yield* until(
          Effect.map(
            dedup.processed("inbox", [{ source: Fixture.OrderPlaced.source, id: "o-1" }]),
            ([is]) => is === true
          )
        )
        yield* place
        assert.strictEqual(runs, 2)
        const rows = yield* other<{ key: string }>`SELECT message_key AS key FROM outbox_events`
        assert.deepStrictEqual(
          rows.map(({ key }) => key),
          ["t-1"]
        )
        assert.strictEqual((yield* other`SELECT note FROM notes`).length, 1)
      }).pipe(Effect.provide(keyed))
  )
})

describeOwnPostgres("SqlOutbox whose PostgreSQL goes away", () => {
  it.live("fails as an outage, and the relay goes on when it is back", () =>
    Effect.gen(function* () {
      const server = yield* makePostgres({ durable: true })
      const sql = yield* clients.pg(server.url)
      const store = yield* outbox(sql)
      const put = (id: string) =>
        Effect.provideService(
          Outbox.publish(Strict, Fixture.OrderPlaced, Fixture.order(id), { id }),
          Outbox.Outbox,
          store
        )
      yield* start(
        OutboxRelay.layer([Strict], { lease: "2 seconds" }).pipe(Layer.provide(Layer.succeed(Outbox.Outbox, store)))
      )
      yield* put("before")
      yield* until(Effect.map(ids, (all) => all.includes("before")))
      yield* server.kill
      const error = yield* Effect.flip(put("down"))
      assert(error._tag === "OutboxError")
      assert.isTrue(error.errorAction.outage)
      assert.notInclude(error.message, "postgres:")
      yield* server.start
      yield* until(Effect.isSuccess(Effect.result(put("probe")).pipe(Effect.flatMap(Effect.fromResult))))
      yield* put("after")
      yield* until(Effect.map(ids, (all) => all.includes("after")))
      assert.notInclude(yield* ids, "down")
    }).pipe(Effect.provide(keyed))
  )
})
