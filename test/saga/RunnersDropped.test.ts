import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Option, Schema, Semaphore } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, SqlError, Statement } from "effect/sql"
import { Saga, SagaStore } from "effect-integration/saga"
import { SqlSagas } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"
import { Activity, DurableDeferred, Workflow, WorkflowEngine } from "effect/workflow"
import * as connection from "../../src/sqlite/internal/connection.ts"
import { until } from "../servers/until.ts"
import * as fixture from "./fixture.ts"

const failure = new SqlError.SqlError({
  reason: SqlError.classifySqliteError(Object.assign(new Error("disk I/O error"), { code: 10 }), {
    message: "disk I/O error",
    operation: "execute"
  })
})

/** Of how many shards the locks are renewed, where a statement does that. */
const renews = (statement: string): number | undefined =>
  /^\s*UPDATE "?saga_locks"?/.test(statement) ? statement.match(/'default:\d+'/g)?.length : undefined

/** A client that cannot confirm the lock of one saga, so often, once it is armed. */
const unconfirmed = (filename: string, times: number) => {
  const seen = { armed: false, failed: 0 }
  const make = Effect.gen(function* () {
    const inner = yield* connection.open({ filename, busyMillis: 5000, preparedStatements: 200, synchronous: "normal" })
    const opened: typeof inner = {
      ...inner,
      executeValues: (...given) =>
        Effect.suspend(() => {
          if (!seen.armed || seen.failed === times || renews(given[0]) !== 1) return inner.executeValues(...given)
          seen.failed += 1
          return Effect.fail(failure)
        })
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

/** The engine tries to confirm a lock four times before it gives an answer up. */
const givesUp = 4

describe("A saga whose answer the engine has dropped, since it could not confirm its lock", () => {
  it.live("was suspended for ever, and goes on without a step being run again", () =>
    Effect.gen(function* () {
      const { layer, seen } = unconfirmed(yield* fixture.filename, givesUp)
      const ran: Array<string> = []
      const saga = Saga.make("dropped", { payload: fixture.Text, idempotencyKey: fixture.keyOf })
        .step("one", {
          run: () =>
            Effect.sync(() => {
              ran.push("one")
              seen.armed = true
              return undefined
            }),
          irreversible: "it is counted"
        })
        .step("two", { run: () => Effect.sync(() => void ran.push("two")), irreversible: "it is counted" })
      const engine = SqlSagas.layerWith({ takeover: "3 seconds", poll: "20 millis" }).pipe(Layer.provideMerge(layer))
      yield* Effect.gen(function* () {
        const id = yield* saga.start({ key: "1" })
        yield* fixture.liveUntilState(id, "completed").pipe(Effect.timeout(Duration.seconds(20)))
        assert.strictEqual(seen.failed, givesUp, "the answer was not dropped")
        assert.deepStrictEqual(ran, ["one", "two"])
        const history = yield* (yield* SagaStore.SagaStore).history(id)
        assert.deepStrictEqual(
          history.filter(({ runs }) => runs > 1).map(({ entry }) => SagaStore.nameOf(entry)),
          []
        )
      }).pipe(Effect.provide(fixture.on(engine, saga)))
    })
  )

  it.live("is told so where a step has failed", () =>
    Effect.gen(function* () {
      const { layer, seen } = unconfirmed(yield* fixture.filename, givesUp)
      const ran: Array<string> = []
      const saga = Saga.make("dropped-failure", { payload: fixture.Text, idempotencyKey: fixture.keyOf }).step("one", {
        run: () =>
          Effect.suspend(() => {
            ran.push("one")
            seen.armed = true
            return Effect.fail(new fixture.Failed("fail"))
          }),
        compensate: () => Effect.sync(() => void ran.push("undo one"))
      })
      const engine = SqlSagas.layerWith({ takeover: "3 seconds", poll: "20 millis" }).pipe(Layer.provideMerge(layer))
      yield* Effect.gen(function* () {
        const id = yield* saga.start({ key: "1" })
        yield* fixture.liveUntilState(id, "rolledBack").pipe(Effect.timeout(Duration.seconds(20)))
        assert.strictEqual(seen.failed, givesUp, "the answer was not dropped")
        assert.deepStrictEqual(ran, ["one", "undo one"])
      }).pipe(Effect.provide(fixture.on(engine, saga)))
    })
  )
})

const Awaited = DurableDeferred.make("awaited", { success: Schema.String })

/** Its only activity waits for what somebody says. */
const waits = Workflow.make("waits", {
  payload: { key: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ key }) => key
})

/** Runs the workflow to where it is suspended. */
const suspended = Effect.fnUntraced(function* (bodies: Array<string>) {
  const engine = yield* WorkflowEngine.WorkflowEngine
  const activity = Activity.make({
    name: "wait",
    success: Schema.String,
    execute: Effect.suspend(() => {
      bodies.push("begun")
      return DurableDeferred.await(Awaited)
    })
  })
  yield* engine.register(waits, () => activity)
  const fiber = yield* Effect.forkChild(waits.execute({ key: "1" }), { startImmediately: true })
  const executionId = yield* waits.executionId({ key: "1" })
  yield* until(
    Effect.map(waits.poll(executionId), (result) => Option.isSome(result) && result.value._tag === "Suspended")
  )
  return { executionId, fiber }
})

const quick = (file: string) =>
  Layer.fresh(
    SqlSagas.layerWith({ takeover: "3 seconds", poll: "20 millis" }).pipe(
      Layer.provide(Sqlite.layer({ filename: file }))
    )
  )

describe("An activity that waits for something durable", () => {
  it.live("stays suspended, and is replayed once when it comes", () =>
    Effect.gen(function* () {
      const bodies: Array<string> = []
      yield* Effect.gen(function* () {
        const { executionId, fiber } = yield* suspended(bodies)
        assert.deepStrictEqual(bodies, ["begun"])
        const token = DurableDeferred.tokenFromExecutionId(Awaited, { workflow: waits, executionId })
        yield* DurableDeferred.succeed(Awaited, { token, value: "said" })
        assert.strictEqual(yield* Fiber.join(fiber), "said")
        assert.deepStrictEqual(bodies, ["begun", "begun"])
      }).pipe(Effect.provide(quick(yield* fixture.filename)), Effect.scoped)
    })
  )

  it.live("ends where its workflow is interrupted", () =>
    Effect.gen(function* () {
      const bodies: Array<string> = []
      yield* Effect.gen(function* () {
        const { executionId, fiber } = yield* suspended(bodies)
        yield* waits.interrupt(executionId)
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.hasInterrupts(exit))
        assert.deepStrictEqual(bodies, ["begun"])
      }).pipe(Effect.provide(quick(yield* fixture.filename)), Effect.scoped)
    })
  )
})
