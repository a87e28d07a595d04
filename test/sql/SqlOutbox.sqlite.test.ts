import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import {
  Channel,
  Consumer,
  CurrentDelivery,
  DedupStore,
  EventType,
  MemoryBroker,
  MemoryOutbox,
  Outbox,
  OutboxRelay,
  Publisher
} from "effect-integration/event"
import { InvalidOption, RetryPolicy } from "effect-integration/policy"
import { SqlOutbox } from "effect-integration/sql"
import { OutboxSuite } from "effect-integration/testing"
import * as Fixture from "../event/orders.ts"
import { answer, ids, keyed, relayed, start } from "../event/outbox.ts"
import { until } from "../servers/until.ts"
import * as clients from "./clients.ts"
import { createNotes, notes, stores } from "./features.ts"
import { names, outbox, transaction } from "./outboxes.ts"

const filename = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "outbox-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
).pipe(Effect.map((directory) => path.join(directory, "a.db")))

const databases = {
  file: Effect.flatMap(filename, (file) => Effect.all([clients.sqlite(file), clients.sqlite(file)])),
  memory: Effect.map(clients.sqlite(":memory:"), (sql) => [sql, sql] as const)
}

describe("MemoryOutbox", () => {
  for (const test of OutboxSuite.make({ name: "memory", time: "clock", transaction: false })) {
    it.effect(test.name, () => test.run.pipe(Effect.provide(MemoryOutbox.layer)))
  }
})

for (const [where, database] of Object.entries(databases)) {
  describe(`SqlOutbox on SQLite, ${where}`, () => {
    OutboxSuite.make(names).forEach((test, n) =>
      it.live(test.name, () =>
        Effect.gen(function* () {
          const [one, two] = yield* database
          const store = yield* outbox(one)
          const shared = Effect.succeed(one === two ? store : yield* outbox(two))
          const suite = OutboxSuite.make({ ...names, shared, transaction: transaction(one) })
          yield* Effect.provideService(suite[n]!.run, Outbox.Outbox, store)
        })
      )
    )
  })
}

const { Strict } = relayed
const provide = (store: Outbox.Outbox["Service"]) => Effect.provideService(Outbox.Outbox, store)
const relay = (store: Outbox.Outbox["Service"], options: OutboxRelay.Options = {}) =>
  start(OutboxRelay.layer([Strict], options).pipe(Layer.provide(Layer.succeed(Outbox.Outbox, store))))
const put = (id: string, key: string) => Outbox.publish(Strict, Fixture.OrderPlaced, Fixture.order(id, key), { id })

describe("SqlOutbox on SQLite", () => {
  it.live("is full at its bound, whatever a transaction does meanwhile, and recovers", () =>
    Effect.gen(function* () {
      const sql = yield* clients.sqlite(":memory:")
      const store = yield* outbox(sql, { maxPending: 20 })
      yield* Effect.gen(function* () {
        const full = sql.withTransaction(Effect.forEach(Array.from({ length: 21 }), (_, n) => put(`${n}`, "k")))
        const error = yield* Effect.flip(full)
        assert(error._tag === "OutboxError")
        assert.strictEqual(error.reason, "full")
        assert.deepStrictEqual(yield* Outbox.depth, [])
        // What was rolled back is not counted for long.
        yield* until(Effect.map(Effect.exit(put("first", "k")), Exit.isSuccess))
        yield* Effect.forEach(Array.from({ length: 19 }), (_, n) => put(`${n}`, "k"))
        assert.strictEqual((yield* Effect.flip(put("more", "k")))._tag, "OutboxError")
        const next = yield* outbox(sql, { maxPending: 20 })
        // A process that starts now knows.
        assert.strictEqual((yield* Effect.flip(put("more", "k").pipe(provide(next))))._tag, "OutboxError")
        yield* relay(store)
        yield* until(Effect.map(Effect.exit(put("after", "k")), Exit.isSuccess))
        yield* until(Effect.map(ids, (all) => all.includes("after")))
      }).pipe(provide(store))
    }).pipe(Effect.provide(keyed))
  )

  it.live("relays ten thousand events of one key in order, and lets no other key wait for them", () =>
    Effect.gen(function* () {
      const sql = yield* clients.sqlite(yield* filename, { synchronous: "normal" })
      const store = yield* outbox(sql)
      yield* Effect.gen(function* () {
        const hot = Array.from({ length: 10_000 }, (_, n) => `hot ${n}`)
        yield* sql.withTransaction(Effect.forEach(hot, (id) => put(id, "hot"), { discard: true }))
        yield* put("cold", "cold")
        yield* relay(store)
        yield* until(Effect.map(ids, (all) => all.length === 10_001))
        assert.deepStrictEqual(
          (yield* ids).filter((id) => id !== "cold"),
          hot
        )
        assert.isBelow((yield* ids).indexOf("cold"), 2000)
        yield* until(Effect.map(Outbox.depth, ([depth]) => depth?.pending === 0))
      }).pipe(provide(store))
    }).pipe(Effect.provide(keyed))
  )

  it.live("publishes at once what a transaction of the same process has committed", () =>
    Effect.gen(function* () {
      const sql = yield* clients.sqlite(":memory:")
      const store = yield* outbox(sql)
      yield* relay(store, { poll: { shortest: "1 hour", longest: "1 hour" } })
      yield* until(Effect.map(provide(store)(Outbox.depth), ([depth]) => depth?.relays === 1))
      yield* sql.withTransaction(Effect.andThen(provide(store)(put("o-1", "k")), Effect.void))
      yield* until(Effect.map(ids, (all) => all.includes("o-1")))
    }).pipe(Effect.provide(keyed))
  )

  it.live("finds by polling what another process has committed, and shares with its relay", () =>
    Effect.gen(function* () {
      const file = yield* filename
      const [one, two] = yield* Effect.all([clients.sqlite(file), clients.sqlite(file)])
      const [store, other] = yield* Effect.all([outbox(one), outbox(two)])
      yield* relay(store, { lease: "1 second" })
      yield* relay(other, { lease: "1 second" })
      const shares = Effect.map(
        one<{ n: number }>`SELECT count(*) AS n FROM outbox_leases WHERE owner IS NOT NULL GROUP BY owner`,
        (rows) => rows.map(({ n }) => n)
      )
      yield* until(Effect.map(shares, (all) => all.length === 2 && all.every((n) => n === 32)))
      const all = Array.from({ length: 100 }, (_, n) => n)
      yield* Effect.forEach(all, (n) => provide(store)(put(`${n}`, `k-${n % 10}`)))
      yield* until(Effect.map(ids, (found) => found.length === 100))
      for (let key = 0; key < 10; key++) {
        assert.deepStrictEqual(
          (yield* ids).map(Number).filter((n) => n % 10 === key),
          all.filter((n) => n % 10 === key)
        )
      }
    }).pipe(Effect.provide(keyed))
  )

  it.live("fails without its tables, tells nothing of what was stored, and lets the relay wait", () =>
    Effect.gen(function* () {
      const sql = yield* clients.sqlite(":memory:")
      const store = yield* outbox(sql, { migrate: false })
      const error = yield* Effect.flip(provide(store)(put("hunter2", "hunter2")))
      assert(error._tag === "OutboxError")
      assert.match(error.description, /^(SqlSyntaxError|UnknownError)( \(\w+\))?$/)
      yield* relay(store, { lease: "300 millis" })
      yield* outbox(sql)
      yield* provide(store)(put("o-1", "k"))
      yield* until(Effect.map(ids, (all) => all.includes("o-1")))
    }).pipe(Effect.provide(keyed))
  )

  it.live("works on a client that renames columns", () =>
    Effect.gen(function* () {
      const rename = {
        transformResultNames: (name: string) => name.toUpperCase(),
        transformQueryNames: (name: string) => `x_${name}`
      }
      const store = yield* outbox(yield* clients.sqlite(":memory:", rename))
      yield* provide(store)(put("o-1", "k"))
      yield* relay(store)
      yield* until(Effect.map(ids, (all) => all.includes("o-1")))
    }).pipe(Effect.provide(keyed))
  )

  it.live("keeps what was set aside when its process is another", () =>
    Effect.gen(function* () {
      const file = yield* filename
      const store = yield* outbox(yield* clients.sqlite(file))
      yield* answer(() => Effect.die("of it"))
      yield* provide(store)(put("o-1", "k"))
      const first = yield* relay(store, { maxAttempts: 1 })
      yield* until(Effect.map(provide(store)(Outbox.setAside()), (all) => all.length === 1))
      yield* first.stop
      const next = yield* outbox(yield* clients.sqlite(file))
      const [aside] = yield* provide(next)(Outbox.setAside({ channel: Strict }))
      assert.deepInclude(aside, { id: "o-1", key: "k", reason: "defect", attempts: 1 })
    }).pipe(Effect.provide(keyed))
  )

  it("refuses options that make no sense", () => {
    assert.throws(() => SqlOutbox.layerWith({ maxPending: 0 }), InvalidOption)
  })
})

describe("inbox and outbox in one transaction", () => {
  const Reply = EventType.make("com.acme.reply", { source: "/replies", data: Fixture.OrderPlaced.data })
  const Replies = Channel.make("outbox-replies", [Reply])
  const Asked = Channel.make("outbox-asked", [Fixture.OrderPlaced], { consumers: ["inbox"] })

  const consuming = Effect.fnUntraced(function* (fail: (attempt: number) => Effect.Effect<void>) {
    const sql = yield* clients.sqlite(yield* filename)
    yield* createNotes(sql)
    const { dedup } = yield* stores(sql)
    const store = yield* outbox(sql)
    let runs = 0
    const consumer = Consumer.make("inbox", Asked, {
      handlers: {
        "com.acme.order.placed": Effect.fn(function* (event) {
          runs++
          const { attempt } = yield* CurrentDelivery
          yield* notes(sql).write(event.data.id)
          yield* Outbox.publish(Replies, Reply, event.data)
          yield* fail(attempt)
        })
      },
      retry: RetryPolicy.make({ delays: ["20 millis", "20 millis"] }),
      dedup: { window: "1 day", mode: "transactional" },
      timeout: "300 millis"
    })
    const broker = yield* Layer.build(Layer.fresh(MemoryBroker.layer))
    const provided = Layer.mergeAll(
      Layer.succeedContext(broker),
      Layer.succeed(DedupStore.DedupStore, dedup),
      Layer.succeed(Outbox.Outbox, store)
    )
    const place = Publisher.publish(Asked, Fixture.OrderPlaced, Fixture.order("o-1"), { id: "o-1" }).pipe(
      Effect.provideContext(broker)
    )
    yield* store.lease({ owner: "test", channels: [Replies.name], lease: Duration.minutes(1) })
    const replies = store.pending({ owner: "test", channel: Replies.name, known: [], busy: [], limit: 10 })
    const written = Effect.map(sql`SELECT note FROM notes`, (rows) => rows.length)
    const live = start(consumer.layer.pipe(Layer.provide(provided)))
    return {
      sql,
      live,
      place,
      replies,
      written,
      runs: () => runs,
      processed: dedup.processed("inbox", [{ source: Fixture.OrderPlaced.source, id: "o-1" }])
    }
  })

  it.live(
    "a handler that fails, dies or takes too long after it has published leaves nothing; then all is there once",
    () =>
      Effect.gen(function* () {
        const fails = [Effect.die("after publishing"), Effect.never, Effect.void]
        const { live, place, processed, replies, runs, written } = yield* consuming((attempt) => fails[attempt - 1]!)
        yield* live
        yield* place
        yield* until(Effect.map(processed, ([done]) => done === true))
        assert.strictEqual(runs(), 3)
        assert.strictEqual(yield* written, 1)
        assert.strictEqual((yield* replies).length, 1)
        // A duplicate publishes nothing.
        yield* place
        yield* place
        assert.strictEqual((yield* replies).length, 1)
        assert.strictEqual(runs(), 3)
      })
  )
})
