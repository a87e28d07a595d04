import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { amqpUrl, databaseUrl, describeServers, unique } from "../servers/Servers.ts"
import { until } from "../servers/until.ts"
import { connect } from "./fixture.ts"
import * as Harness from "./kill/harness.ts"
import type { Job } from "./kill/orders.ts"

const jobOf = (timeout: number): Job => ({
  channel: unique("strict"),
  strict: true,
  group: unique("ledger"),
  dedup: "transactional",
  does: "write",
  work: 10,
  prefetch: 8,
  lease: 1500,
  timeout,
  delays: [100, 500]
})

/**
 * Two processes; the one that is in the midst of a handler's transaction gets into trouble. When all is done, each key has
 * its events in order, each once, and nothing of what the first one did late.
 */
const inTrouble = Effect.fnUntraced(function* <E, R>(
  what: string,
  timeout: number,
  trouble: (around: {
    readonly victim: Harness.Child
    readonly other: Harness.Child
    readonly id: string
    readonly sql: Effect.Success<ReturnType<typeof Harness.database>>
    readonly job: Job
  }) => Effect.Effect<boolean, E, R>
) {
  const job = jobOf(timeout)
  const url = yield* amqpUrl
  const sql = yield* Harness.database(yield* databaseUrl)
  const broker = yield* connect({ url })
  const publisher = Harness.makePublisher(broker, job, 4)
  const jobs = { amqpUrl: url, databaseUrl: yield* databaseUrl, jobs: [job] }
  yield* publisher.publish()
  const children = yield* Effect.all([Harness.start(jobs), Harness.start(jobs)], { concurrency: 2 })
  const isWritten = (id: string) =>
    Effect.map(Harness.rows(sql, job.group), (rows) => rows.some((row) => row.event === id))
  const publishing = yield* Effect.forkScoped(publisher.steadily)
  yield* until(Effect.map(Harness.written(sql, job.group), (count) => count > 20))

  const slow = { key: "slow", slow: 700 }
  const id = yield* publisher.publish({ ...slow, n: 0 })
  const has = (child: Harness.Child) => child.reports.some((report) => report._tag === "Begun" && report.id === id)
  yield* until(Effect.sync(() => children.some(has)))
  const victim = children.find(has)!
  const other = children.find((child) => child !== victim)!
  assert.isFalse(yield* isWritten(id))
  // The next of its key waits behind it.
  const next = yield* publisher.publish({ key: "slow", n: 1 })
  const isAlive = yield* trouble({ victim, other, id, sql, job })
  yield* other.until(isWritten(next))
  yield* Fiber.interrupt(publishing)
  const { confirmed } = publisher
  yield* other.until(Effect.map(Harness.written(sql, job.group), (count) => count >= confirmed.size))
  assert.strictEqual(yield* Harness.drained(broker, job), 0)
  yield* Effect.all(isAlive ? [victim.stop, other.stop] : [other.stop], { concurrency: 2 })

  const rows = yield* Harness.rows(sql, job.group)
  const begun = children.flatMap(({ reports }) => reports.filter(({ _tag }) => _tag === "Begun")).length
  const { duplicates, lost } = Harness.compare(
    confirmed.keys(),
    rows.map((row) => row.event)
  )
  console.log(
    `strict, ${what}: sent ${publisher.sent}, confirmed ${confirmed.size}, handlers begun ${begun}, ` +
      `consumed ${rows.length}, duplicates ${duplicates.length}, lost ${lost.length}`
  )
  assert.deepStrictEqual({ duplicates, lost }, { duplicates: [], lost: [] })
  for (const key of new Set(rows.map((row) => row.key))) {
    const numbers = rows.filter((row) => row.key === key).map((row) => row.n)
    assert.deepStrictEqual(
      numbers,
      numbers.map((_, n) => n),
      `the order of ${key}`
    )
  }
  assert.strictEqual(rows.find((row) => row.event === id)!.pid, other.pid)
  // Whoever took the key over has a higher token than all before.
  const slowly = rows.filter((row) => row.key === "slow")
  assert.isTrue(slowly.every((row) => row.token! >= 2))
  return { victim, id }
})

describeServers("A strictly ordered consumer", () => {
  it.live("that was stopped past its lease and goes on before its successor has ended is fenced off", () =>
    Effect.gen(function* () {
      yield* inTrouble("stopped, fenced by the lease", 20_000, ({ job, sql, victim }) =>
        Effect.gen(function* () {
          yield* victim.signal("SIGSTOP")
          // The successor has the key, and waits for the transaction of the first.
          yield* until(Effect.map(Harness.waiting(sql), (count) => count > 0))
          const [key] = yield* sql<{ readonly token: unknown }>`SELECT token FROM parked_keys
            WHERE consumer_group = ${`${job.channel}/${job.group}`} AND message_key = 'slow'`
          assert.isAtLeast(Number(key!.token), 2)
          yield* victim.signal("SIGCONT")
          return true
        })
      )
    })
  )

  it.live.runIf(Harness.isThorough)("that was stopped for so long that its transaction was ended writes nothing", () =>
    Effect.gen(function* () {
      const { id, victim } = yield* inTrouble("stopped, disconnected", 2000, ({ id, job, other, sql, victim }) =>
        Effect.gen(function* () {
          yield* victim.signal("SIGSTOP")
          yield* other.until(Effect.map(Harness.rows(sql, job.group), (rows) => rows.some((row) => row.event === id)))
          yield* victim.signal("SIGCONT")
          return true
        })
      )
      assert.isFalse(victim.reports.some((report) => report._tag === "Wrote" && report.id === id))
    })
  )

  it.live("that was killed in the midst of a transaction leaves nothing of it", () =>
    inTrouble("killed", 20_000, ({ victim }) => Effect.as(victim.kill, false))
  )
})
