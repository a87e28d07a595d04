import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Random, Ref } from "effect"
import { Reply, StubProvider } from "effect-integration/testing"
import { amqpUrl, databaseUrl, describeServers, unique } from "../servers/Servers.ts"
import { until } from "../servers/until.ts"
import { connect } from "./fixture.ts"
import * as Harness from "./kill/harness.ts"
import type { Job } from "./kill/orders.ts"

const minutes = Harness.isThorough ? 10 * 60_000 : 120_000

/** Keeps a process running: each is killed when `moment` returns, until so many were; the last one goes on. */
const keepKilling = Effect.fnUntraced(function* <E, R>(options: {
  readonly start: ReturnType<typeof Harness.start>
  readonly kills: number
  readonly moment: (child: Harness.Child) => Effect.Effect<void, E, R>
  readonly begun: Ref.Ref<number>
  readonly killed: Latch.Latch
  readonly finish: Latch.Latch
}) {
  const count = (child: Harness.Child) =>
    Ref.update(options.begun, (sum) => sum + child.reports.filter(({ _tag }) => _tag === "Begun").length)
  for (let kill = 0; kill < options.kills; kill++) {
    yield* Effect.scoped(
      Effect.gen(function* () {
        const child = yield* options.start
        yield* child.said("Begun")
        yield* options.moment(child)
        yield* child.kill
        yield* count(child)
      })
    )
  }
  yield* Effect.scoped(
    Effect.gen(function* () {
      const child = yield* options.start
      yield* options.killed.open
      yield* child.until(Effect.as(options.finish.await, true))
      yield* child.stop
      yield* count(child)
    })
  )
})

/** Two processes that are killed again and again while events are published; gives the counts when all is done. */
const run = Effect.fnUntraced(function* <E, R>(options: {
  readonly job: Job
  readonly kills: number
  readonly env?: Readonly<Record<string, string>>
  readonly moment: (child: Harness.Child) => Effect.Effect<void, E, R>
  readonly isDone: (confirmed: number) => Effect.Effect<boolean, unknown>
}) {
  const { job, kills } = options
  const url = yield* amqpUrl
  const broker = yield* connect({ url })
  const publisher = Harness.makePublisher(broker, job)
  const begun = yield* Ref.make(0)
  const finish = Latch.makeUnsafe()
  const publishing = yield* Effect.forkScoped(publisher.steadily)
  const jobs = { amqpUrl: url, databaseUrl: yield* databaseUrl, jobs: [job] }
  const lanes = [Math.ceil(kills / 2), Math.floor(kills / 2)].map((kills) => ({ kills, killed: Latch.makeUnsafe() }))
  const consuming = yield* Effect.forkScoped(
    Effect.forEach(
      lanes,
      (lane) =>
        keepKilling({ ...lane, start: Harness.start(jobs, options.env), moment: options.moment, begun, finish }),
      { concurrency: "unbounded", discard: true }
    )
  )
  const orFails = <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.raceFirst(self, Effect.andThen(Fiber.join(consuming), Effect.never))
  yield* orFails(Effect.forEach(lanes, ({ killed }) => killed.await))
  yield* Fiber.interrupt(publishing)
  const { confirmed } = publisher
  yield* orFails(until(options.isDone(confirmed.size)))
  const deadLetters = yield* orFails(Harness.drained(broker, job))
  yield* finish.open
  yield* Fiber.join(consuming)
  assert.strictEqual(yield* Harness.drained(broker, job), deadLetters)
  assert.strictEqual(deadLetters, 0)
  assert.strictEqual(publisher.sent, confirmed.size)
  return { sent: publisher.sent, confirmed, begun: yield* Ref.get(begun), kills }
})

const jobOf = (dedup: Job["dedup"], does: Job["does"]): Job => ({
  channel: unique("kill"),
  strict: false,
  group: unique("billing"),
  dedup,
  does,
  work: 40,
  prefetch: 16,
  lease: 1500,
  timeout: 10_000,
  delays: [100, 500, 1000, 2000]
})

const atRandom = () => Effect.flatMap(Harness.between(50, 600), (millis) => Effect.sleep(millis))

const seeded = Random.withSeed(Harness.seed)

describeServers(`Consumers killed with -9 (SEED=${Harness.seed})`, () => {
  it.live(
    "write one row for each event, in the transaction of its mark",
    () =>
      Effect.gen(function* () {
        const job = jobOf("transactional", "write")
        const sql = yield* Harness.database(yield* databaseUrl)
        const result = yield* run({
          job,
          kills: Harness.isThorough ? 50 : 6,
          moment: atRandom,
          isDone: (confirmed) => Effect.map(Harness.written(sql, job.group), (count) => count >= confirmed)
        })
        const { begun, confirmed, kills, sent } = result
        const rows = yield* Harness.rows(sql, job.group)
        const { duplicates, lost } = Harness.compare(
          confirmed.keys(),
          rows.map((row) => row.event)
        )
        console.log(
          `transactional, rows: seed ${Harness.seed}, kills ${kills}, sent ${sent}, confirmed ${confirmed.size}, ` +
            `handlers begun ${begun}, consumed ${rows.length}, duplicates ${duplicates.length}, lost ${lost.length}`
        )
        assert.deepStrictEqual({ duplicates, lost }, { duplicates: [], lost: [] })
        assert.strictEqual(rows.length, confirmed.size)
        // Some were killed in the midst of it, and none of it is left.
        assert.isAbove(begun, rows.length)
      }).pipe(seeded),
    minutes
  )

  /** Charges in the order in which they were recorded, and whom they were recorded for. */
  const provider = Effect.gen(function* () {
    const stub = yield* StubProvider.make()
    const charges: Array<{ readonly order: string; readonly process: number; readonly key: string }> = []
    yield* stub.on(
      "POST /v1/charges",
      Reply.dynamic(({ headers, json }) =>
        Effect.sync(() => {
          const { order } = json as { readonly order: string }
          const key = headers["idempotency-key"]!
          const known = charges.some((charge) => charge.key === key)
          if (!known) charges.push({ order, process: Number(headers["x-process"]), key })
          // The answer comes so late that whoever asked can be killed before.
          return Reply.delay(known ? 0 : "150 millis", Reply.json(200, json))
        })
      )
    )
    return { stub, charges }
  })

  const chargeAndKill = Effect.fnUntraced(function* (does: Job["does"], kills: number) {
    const job = jobOf("claimed", does)
    const sql = yield* Harness.database(yield* databaseUrl)
    const { charges, stub } = yield* provider
    const result = yield* run({
      job,
      kills,
      env: { PAYMENTS_URL: stub.url },
      // Right after the provider has recorded a charge, and before its answer.
      moment: Effect.fnUntraced(function* (child) {
        yield* atRandom()
        const before = charges.length
        yield* child.until(Effect.sync(() => charges.slice(before).some((charge) => charge.process === child.pid)))
      }),
      isDone: (confirmed) => Effect.map(Harness.marked(sql, job.group), ({ size }) => size >= confirmed)
    })
    const { begun, confirmed, sent } = result
    const { duplicates, lost } = Harness.compare(
      confirmed.keys(),
      charges.map((charge) => charge.order)
    )
    const requests = (yield* stub.requests).length
    console.log(
      `claimed, ${does}: seed ${Harness.seed}, kills ${kills}, sent ${sent}, confirmed ${confirmed.size}, ` +
        `handlers begun ${begun}, requests ${requests}, charges ${charges.length}, ` +
        `duplicates ${duplicates.length}, lost ${lost.length}`
    )
    assert.deepStrictEqual(lost, [])
    // Requests were repeated by processes that came after.
    assert.isAbove(requests, confirmed.size)
    return { duplicates, charges, confirmed }
  })

  it.live(
    "charge once for each event, by the key that is derived from it",
    () =>
      Effect.gen(function* () {
        const { charges, confirmed, duplicates } = yield* chargeAndKill("charge", Harness.isThorough ? 50 : 3)
        assert.deepStrictEqual(duplicates, [])
        assert.strictEqual(charges.length, confirmed.size)
      }).pipe(seeded),
    minutes
  )

  it.live(
    "charge twice with random keys",
    () =>
      Effect.gen(function* () {
        const { duplicates } = yield* chargeAndKill("charge with random keys", Harness.isThorough ? 10 : 2)
        assert.isAbove(duplicates.length, 0)
      }).pipe(seeded),
    minutes
  )
})
