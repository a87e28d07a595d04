import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Postgres from "../servers/Postgres.ts"
import { amqpUrl, databaseUrl, describeOwnPostgres, describeServers, unique } from "../servers/Servers.ts"
import { until } from "../servers/until.ts"
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

describeOwnPostgres("A consumer whose store is down", () => {
  it.live.each(modes)("keeps its messages and spends no attempt (%s)", (dedup) =>
    Effect.gen(function* () {
      const postgres = yield* Postgres.make()
      const sql = yield* Harness.database(postgres.url)
      const broker = yield* connect({ url: yield* amqpUrl })
      // A single attempt: one that is spent is a dead letter.
      const job: Job = { ...jobOf(dedup, unique("outage"), "first"), prefetch: 4, delays: [] }
      const publisher = Harness.makePublisher(broker, job)
      const child = yield* Harness.start({ amqpUrl: yield* amqpUrl, databaseUrl: postgres.url, jobs: [job] })
      yield* Effect.repeat(publisher.publish(), { times: 4 })
      yield* child.until(Effect.map(Harness.marked(sql, job.group), ({ size }) => size === 5))
      const group = { channel: channelOf(job), group: job.group }
      // One is in hand when the store goes, and cannot be ended.
      const id = yield* publisher.publish({ slow: 1500 })
      yield* child.said("Begun", id)
      yield* postgres.kill
      yield* Effect.repeat(publisher.publish(), { times: 19 })
      // As many as it may have in hand, and not one more, for none is settled.
      yield* until(Effect.map(broker.depth(group), ({ ready }) => ready === 21 - job.prefetch))
      yield* Effect.sleep("2 seconds")
      assert.deepInclude(yield* broker.depth(group), { ready: 21 - job.prefetch, delayed: 0, deadLetters: 0 })
      yield* postgres.start
      yield* child.until(
        Effect.map(
          Effect.orElseSucceed(Harness.marked(sql, job.group), () => new Set()),
          ({ size }) => size === 26
        )
      )
      assert.strictEqual(yield* Harness.drained(broker, job), 0)
      yield* child.stop
      const rows = yield* Harness.rows(sql, job.group)
      const { confirmed } = publisher
      const { duplicates, lost } = Harness.compare(
        confirmed.keys(),
        rows.map((row) => row.event)
      )
      assert.strictEqual(confirmed.size, 26)
      assert.deepStrictEqual(lost, [])
      if (dedup === "transactional") assert.deepStrictEqual(duplicates, [])
      assert.isTrue(rows.every((row) => row.attempt === 1))
    })
  )
})
