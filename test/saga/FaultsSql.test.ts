import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Semaphore } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, SqlError, Statement } from "effect/sql"
import { RetryPolicy } from "effect-integration/policy"
import { Saga } from "effect-integration/saga"
import { SqlSagas } from "effect-integration/sql"
import * as connection from "../../src/sqlite/internal/connection.ts"
import * as fixture from "./fixture.ts"

const failure = new SqlError.SqlError({
  reason: SqlError.classifySqliteError(Object.assign(new Error("disk I/O error"), { code: 10 }), {
    message: "disk I/O error",
    operation: "execute"
  })
})

/** A client of which some statements fail, once it is armed. */
const faulty = (filename: string, from: number, count: number) => {
  const seen = { armed: false, statements: 0 }
  // SQLite rolls back by itself where it fails, so a rollback that failed would leave what never is: an open transaction.
  const guard = <A>(sql: string, self: Effect.Effect<A, SqlError.SqlError>): Effect.Effect<A, SqlError.SqlError> =>
    Effect.suspend(() => {
      if (!seen.armed || sql.startsWith("ROLLBACK")) return self
      seen.statements += 1
      return seen.statements >= from && seen.statements < from + count ? Effect.fail(failure) : self
    })
  const make = Effect.gen(function* () {
    const inner = yield* connection.open({ filename, busyMillis: 5000, preparedStatements: 200, synchronous: "normal" })
    const opened: typeof inner = {
      ...inner,
      execute: (...given) => guard(given[0], inner.execute(...given)),
      executeRaw: (...given) => guard(given[0], inner.executeRaw(...given)),
      executeValues: (...given) => guard(given[0], inner.executeValues(...given)),
      executeUnprepared: (...given) => guard(given[0], inner.executeUnprepared(...given))
    }
    return yield* SqlClient.make({
      ...SqlClient.makeSqliteAcquirers({
        connection: Effect.succeed(opened),
        semaphore: yield* Semaphore.make(1),
        isTransaction: (each) => (each as typeof opened).isTransaction()
      }),
      driver: "node:sqlite",
      beginTransaction: "BEGIN IMMEDIATE",
      releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
      compiler: Statement.makeCompilerSqlite(),
      spanAttributes: []
    })
  })
  return { seen, layer: Layer.provide(Layer.effect(SqlClient.SqlClient, make), Reactivity.layer) }
}

const performed = Effect.fnUntraced(function* (from: number) {
  const file = yield* fixture.filename
  const { layer, seen } = faulty(file, from, 2)
  const ran: Array<string> = []
  const deaths: Array<Cause.Die> = []
  const say = (what: string) => Effect.sync(() => void ran.push(what))
  const saga = Saga.make("sql-faults", { payload: fixture.Text, idempotencyKey: fixture.keyOf })
    .step("a", {
      retry: RetryPolicy.make({ delays: ["10 millis"] }),
      run: () => Effect.suspend(() => (ran.push("a") < 2 ? Effect.fail(new fixture.Failed("retry")) : Effect.void)),
      compensate: () => say("undo a")
    })
    .parallel((group) =>
      group
        .step("b", { run: () => say("b"), compensate: () => say("undo b") })
        .step("c", { run: () => say("c"), compensate: () => say("undo c") })
    )
    .step("fail", {
      run: () => Effect.andThen(say("fail"), Effect.fail(new fixture.Failed("fail"))),
      compensate: () => say("undo fail")
    })
  const engine = SqlSagas.layerWith({ poll: "20 millis" }).pipe(Layer.provideMerge(layer))
  return yield* Effect.gen(function* () {
    seen.armed = true
    const started = Effect.tapCause(saga.start({ key: "1" }), (cause) =>
      Effect.sync(() => void deaths.push(...cause.reasons.filter(Cause.isDieReason)))
    )
    yield* Effect.retry(Effect.sandbox(started), { times: 20 })
    yield* fixture.liveUntilState(yield* saga.idOf("1"), "rolledBack")
    const story = yield* Effect.retry(fixture.storyOf(yield* saga.idOf("1")), { times: 10 })
    return { deaths, ran, story, statements: seen.statements }
  }).pipe(Effect.provide(fixture.on(engine, saga)))
})

describe("a saga on SQLite whose statements fail in the middle", () => {
  const thorough = process.env.THOROUGH === "1"
  it.live(
    "ends as it would have, and repeats no step that was recorded",
    () =>
      Effect.gen(function* () {
        const froms = Array.from({ length: thorough ? 60 : 8 }, (_, n) => 1 + n * (thorough ? 2 : 15))
        yield* Effect.forEach(
          froms,
          (from) =>
            Effect.gen(function* () {
              const { deaths, ran, statements, story } = yield* performed(from)
              assert.isAtLeast(statements, from + 2, "nothing was broken")
              // What was under way when the answer was lost may be run again; else each effect is made once.
              const once = Array.from(new Set(ran))
              assert.deepStrictEqual(once.slice(0, 1), ["a"])
              assert.deepStrictEqual(once.slice(-4), ["undo fail", "undo c", "undo b", "undo a"], `from ${from}`)
              assert.isAtMost(ran.length, 10, `from ${from}: ${ran.join()}`)
              assert.strictEqual(story.filter((line) => line.startsWith("rolledBack")).length, 1)
              assert.strictEqual(story.at(-1), "rolledBack: fail,c,b,a")
              assert.deepStrictEqual(deaths, [], "start fails typed")
            }),
          { concurrency: 4 }
        )
      }),
    120_000
  )
})
