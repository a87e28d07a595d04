import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { amqpUrl, databaseUrl, describeServers, unique } from "../servers/Servers.ts"
import { connect } from "./fixture.ts"
import * as Harness from "./kill/harness.ts"
import { channelOf, type Job } from "./kill/orders.ts"

const jobOf = (dedup: Job["dedup"], group: string, suffix: string): Job => ({
  channel: `${group}_${suffix}`,
  strict: false,
  group,
  dedup,
  does: "write",
  work: 60,
  prefetch: 16,
  lease: 1500,
  timeout: 10_000,
  delays: [50, 500, 2000]
})

/** Two processes whose consumers have one name, one store, and a queue each: both can be handed the same event. */
const two = Effect.fnUntraced(function* (dedup: Job["dedup"]) {
  const url = yield* amqpUrl
  const sql = yield* Harness.database(yield* databaseUrl)
  const broker = yield* connect({ url })
  const group = unique(dedup)
  const [first, second] = [jobOf(dedup, group, "first"), jobOf(dedup, group, "second")]
  const start = (job: Job) =>
    Effect.flatMap(databaseUrl, (databaseUrl) => Harness.start({ amqpUrl: url, databaseUrl, jobs: [job] }))
  const [one, other] = yield* Effect.all([start(first), start(second)], { concurrency: 2 })
  const rowsOf = (id: string) => Effect.map(Harness.rows(sql, group), (rows) => rows.filter((row) => row.event === id))
  const isDone = Effect.all([Harness.drained(broker, first), Harness.drained(broker, second)])
  return {
    broker,
    sql,
    group,
    first,
    second,
    one,
    other,
    rowsOf,
    isDone,
    publisher: Harness.makePublisher(broker, first)
  }
})

const begunWith = (child: Harness.Child, id?: string) =>
  child.reports.filter((report) => report._tag === "Begun" && (id === undefined || report.id === id)).length

const modes = ["transactional", "claimed"] as const

describeServers("Two processes with one dedup store", () => {
  it.live.each(modes)("handle an event that both are handed once, and again where that fails (%s)", (dedup) =>
    Effect.gen(function* () {
      const { group, isDone, one, other, publisher, rowsOf, second, sql } = yield* two(dedup)
      const ids = yield* Effect.forEach(
        Array.from({ length: 30 }),
        () => Effect.tap(publisher.publish(), (id) => publisher.again(second, id)),
        { concurrency: 10 }
      )
      yield* other.until(Effect.map(Harness.marked(sql, group), ({ size }) => size === ids.length))
      assert.deepStrictEqual(yield* isDone, [0, 0])
      const rows = yield* Harness.rows(sql, group)
      const { duplicates, lost } = Harness.compare(
        ids,
        rows.map((row) => row.event)
      )
      assert.deepStrictEqual({ duplicates, lost }, { duplicates: [], lost: [] })
      // Nobody began in vain.
      assert.strictEqual(begunWith(one) + begunWith(other), ids.length)
      assert.isTrue(rows.every((row) => row.attempt === 1))

      // A handler that fails marks nothing, so the other process handles the event.
      const id = yield* publisher.publish({ failsOn: channelOf(publisher.job).name })
      yield* one.said("Failed", id)
      assert.isFalse((yield* Harness.marked(sql, group)).has(id))
      yield* publisher.again(second, id)
      yield* other.until(Effect.map(Harness.marked(sql, group), (marked) => marked.has(id)))
      assert.deepStrictEqual(yield* isDone, [0, 0])
      const written = yield* rowsOf(id)
      assert.strictEqual(written.length, 1)
      yield* Effect.all([one.stop, other.stop], { concurrency: 2 })
    })
  )

  it.live.each(modes)("hand an event on from one that was killed (%s)", (dedup) =>
    Effect.gen(function* () {
      const { isDone, one, other, publisher, rowsOf, second, sql } = yield* two(dedup)
      const id = yield* publisher.publish({ slow: 3000 })
      yield* one.said("Begun", id)
      yield* publisher.again(second, id)
      if (dedup === "transactional") yield* other.until(Effect.map(Harness.waiting(sql), (count) => count > 0))
      assert.strictEqual(begunWith(other, id), 0)
      yield* one.kill
      yield* other.said("Wrote", id)
      yield* other.until(Effect.map(rowsOf(id), (rows) => rows.length > 0))
      const rows = yield* rowsOf(id)
      assert.deepStrictEqual(
        rows.map(({ attempt, pid }) => ({ attempt, pid })),
        [{ attempt: 1, pid: other.pid }]
      )
      // The delivery of the one that was killed waits for whoever comes next.
      const [jobs] = [{ amqpUrl: yield* amqpUrl, databaseUrl: yield* databaseUrl, jobs: [publisher.job] }]
      const successor = yield* Harness.start(jobs)
      assert.deepStrictEqual(yield* isDone, [0, 0])
      yield* Effect.all([successor.stop, other.stop], { concurrency: 2 })
      assert.strictEqual(begunWith(successor, id), 0)
      assert.strictEqual((yield* rowsOf(id)).length, 1)
    })
  )

  it.live("hand a claimed event on from one that was stopped, with a higher token", () =>
    Effect.gen(function* () {
      const { isDone, one, other, publisher, rowsOf, second } = yield* two("claimed")
      const id = yield* publisher.publish({ slow: 1000 })
      yield* one.said("Begun", id)
      yield* one.signal("SIGSTOP")
      yield* publisher.again(second, id)
      yield* other.said("Wrote", id)
      yield* one.signal("SIGCONT")
      // It is not in a transaction, so what it does late is done: that is what the token is for.
      yield* one.said("Wrote", id)
      assert.deepStrictEqual(yield* isDone, [0, 0])
      yield* Effect.all([one.stop, other.stop], { concurrency: 2 })
      const rows = yield* rowsOf(id)
      assert.deepStrictEqual(
        rows.map(({ pid }) => pid),
        [other.pid, one.pid]
      )
      assert.isAbove(rows[0]!.token!, rows[1]!.token!)
    })
  )
})
