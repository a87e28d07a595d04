import { assert, describe, it } from "@effect/vitest"
import { Cause, DateTime, Effect, Exit, Fiber, Latch, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { InvalidPayload, KeyReused, Saga, type SagaStoreError, Sagas } from "effect-integration/saga"
import * as fixture from "./fixture.ts"

const Order = Schema.Struct({ key: Schema.String, items: Schema.Array(Schema.Struct({ amount: Schema.Int })) })
const order = (key: string, amount = 1) => ({ key, items: [{ amount }] })

const counted = (name: string) => {
  const ran: Array<string> = []
  const saga = Saga.make(name, { payload: Order, idempotencyKey: ({ key }) => key })
    .step("a", {
      success: Schema.String,
      run: ({ key }) => Effect.sync(() => (ran.push(`a ${key}`), `a of ${key}`)),
      compensate: () => Effect.void
    })
    .step("b", { run: ({ key }) => Effect.sync(() => void ran.push(`b ${key}`)), irreversible: "gone" })
  return { ran, saga }
}

const engines = {
  memory: (saga: Saga.Any<never>) => Effect.succeed(fixture.memory(saga)),
  "SQLite, a file": (saga: Saga.Any<never>) =>
    Effect.map(fixture.filename, (file) => fixture.on(fixture.sqlite(file), saga))
}

for (const [where, engineOf] of Object.entries(engines)) {
  describe(`starting a saga on ${where}`, () => {
    it.live("fifty times at once with one key is one saga, and each effect is made once", () => {
      const { ran, saga } = counted("fifty")
      return Effect.gen(function* () {
        const outcomes = yield* Effect.forEach(Array.from({ length: 50 }), () => saga.execute(order("1")), {
          concurrency: "unbounded"
        }).pipe(Effect.provide(yield* engineOf(saga)))
        assert.deepStrictEqual(ran, ["a 1", "b 1"])
        const id = yield* saga.idOf("1")
        for (const outcome of outcomes) {
          assert.deepStrictEqual(outcome, { _tag: "Completed", id, results: { a: "a of 1", b: undefined } })
        }
      })
    })

    it.live("joins also one that has ended, and tells its outcome again", () => {
      const { ran, saga } = counted("ended")
      return Effect.gen(function* () {
        const engine = yield* engineOf(saga)
        yield* Effect.gen(function* () {
          const id = yield* saga.idOf("1")
          assert.isTrue(Option.isNone(yield* saga.outcome(id)))
          const first = yield* saga.execute(order("1"))
          assert.deepStrictEqual(yield* saga.execute(order("1")), first)
          assert.deepStrictEqual(yield* saga.outcome(id), Option.some(first))
          assert.strictEqual(yield* saga.start(order("1")), id)
          assert.strictEqual(first.id, id)
          assert.deepStrictEqual(ran, ["a 1", "b 1"])
          assert.notStrictEqual(yield* saga.idOf("2"), id)
        }).pipe(Effect.provide(engine))
      })
    })

    it.live("refuses a key that has another payload", () => {
      const { ran, saga } = counted("reused")
      return Effect.gen(function* () {
        const engine = yield* engineOf(saga)
        yield* Effect.gen(function* () {
          const { id } = yield* saga.execute(order("1", 1))
          for (const again of [saga.start(order("1", 2)), saga.execute(order("1", 2))]) {
            assert.deepStrictEqual(
              yield* Effect.flip(
                Effect.asVoid<unknown, InvalidPayload | KeyReused | SagaStoreError, fixture.Engine>(again)
              ),
              new KeyReused({ saga: "reused", id, key: "1" })
            )
          }
          assert.strictEqual(ran.length, 2)
        }).pipe(Effect.provide(engine))
      })
    })

    it.live("with another payload at the same moment is refused, and not lost silently", () => {
      const { saga } = counted("at-once")
      return Effect.gen(function* () {
        const engine = yield* engineOf(saga)
        yield* Effect.gen(function* () {
          const exits = yield* Effect.forEach([1, 2, 3], (amount) => Effect.exit(saga.execute(order("1", amount))), {
            concurrency: "unbounded"
          })
          const refused = exits.filter(Exit.isFailure)
          assert.strictEqual(refused.length, 2)
          for (const { cause } of refused) assert.instanceOf(Cause.squash(cause), KeyReused)
        }).pipe(Effect.provide(engine))
      })
    })

    it.live("is a new saga where the one with its key was purged, also with another payload", () => {
      const { ran, saga } = counted("purged")
      return Effect.gen(function* () {
        const engine = yield* engineOf(saga)
        yield* Effect.gen(function* () {
          const first = yield* saga.execute(order("1", 1))
          const { updated } = yield* fixture.liveUntilState(first.id, "completed")
          const purged = yield* Sagas.purge(DateTime.add(updated, { hours: 1 }))
          if (purged === 0) {
            // The memory engine forgets nothing: the key is still that of the first.
            assert.instanceOf(yield* Effect.flip(saga.execute(order("1", 2))), KeyReused)
            return
          }
          assert.isTrue(Option.isNone(yield* saga.outcome(first.id)))
          for (const again of [1, 2]) {
            const outcome = yield* saga.execute(order("1", 2))
            assert.strictEqual(outcome._tag, "Completed")
            yield* fixture.liveUntilState(outcome.id, "completed")
            assert.strictEqual(ran.length, 4, `start ${again}`)
          }
        }).pipe(Effect.provide(engine))
      })
    })

    it.live("is refused for a payload that does not fit, naming where, and for an empty key", () => {
      const { ran, saga } = counted("invalid")
      return Effect.gen(function* () {
        const engine = yield* engineOf(saga)
        yield* Effect.gen(function* () {
          const bad = yield* Effect.flip(saga.start({ key: "1", items: [{ amount: 1 }, { amount: 1.5 }] }))
          assert.instanceOf(bad, InvalidPayload)
          assert.deepStrictEqual((bad as InvalidPayload).path, ["items", "1", "amount"])
          const missing = yield* Effect.flip(saga.execute({ key: "1" } as never))
          assert.deepStrictEqual((missing as InvalidPayload).path, ["items"])
          for (const key of ["", "  ", undefined as never]) {
            assert.instanceOf(yield* Effect.flip(saga.start(order(key))), InvalidPayload)
          }
          assert.deepStrictEqual(ran, [])
          assert.deepStrictEqual(yield* Sagas.list(), [])
        }).pipe(Effect.provide(engine))
      })
    })

    it.live("goes on when whoever executes it stops waiting", () => {
      const begun = Latch.makeUnsafe()
      const end = Latch.makeUnsafe()
      let ran = 0
      const saga = Saga.make("left", { payload: fixture.Text, idempotencyKey: fixture.keyOf })
        .step("a", {
          run: () =>
            Effect.andThen(
              begun.open,
              Effect.andThen(
                end.await,
                Effect.sync(() => void (ran += 1))
              )
            ),
          compensate: () => Effect.void
        })
        .step("b", { run: () => Effect.sync(() => void (ran += 1)), compensate: () => Effect.void })
      return Effect.gen(function* () {
        const engine = yield* engineOf(saga)
        yield* Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(saga.execute({ key: "1" }))
          yield* begun.await
          yield* Fiber.interrupt(fiber)
          yield* end.open
          yield* fixture.liveUntilState(yield* saga.idOf("1"), "completed")
          assert.strictEqual(ran, 2)
        }).pipe(Effect.provide(engine))
      })
    })

    it.live("in a step of another is no part of it: it goes on when that one is rolled back", () => {
      const done: Array<string> = []
      const inner = Saga.make("inner", { payload: fixture.Text, idempotencyKey: fixture.keyOf })
        .step("wait", {
          run: () => Effect.sleep("50 millis"),
          compensate: () => Effect.sync(() => done.push("undone"))
        })
        .step("end", { run: () => Effect.sync(() => void done.push("inner")), compensate: () => Effect.void })
      const outer = Saga.make("outer", { payload: fixture.Text, idempotencyKey: fixture.keyOf })
        .step("start", {
          success: Schema.String,
          run: ({ key }) => inner.start({ key: `${key} inner` }),
          compensate: () => Effect.sync(() => done.push("outer undone"))
        })
        .step("execute", {
          success: Schema.String,
          run: ({ key }) => Effect.map(inner.execute({ key: `${key} waited` }), ({ _tag }) => _tag),
          compensate: (result) => Effect.sync(() => done.push(`undo ${Option.getOrElse(result, () => "?")}`))
        })
        .step("fail", { run: () => Effect.fail("no"), compensate: () => Effect.void })
      return Effect.gen(function* () {
        const file = yield* fixture.filename
        const engine = where === "memory" ? fixture.memory(inner) : fixture.on(fixture.sqlite(file), inner)
        yield* Effect.gen(function* () {
          const outcome = yield* outer.execute({ key: "1" })
          assert.strictEqual(outcome._tag, "RolledBack")
          yield* fixture.liveUntilState(yield* inner.idOf("1 inner"), "completed")
          assert.deepStrictEqual(done.toSorted(), ["inner", "inner", "outer undone", "undo Completed"])
        }).pipe(Effect.provide(Layer.provideMerge(outer.layer, engine)))
      })
    })
  })
}

describe("starting a saga in a transaction of SQLite", () => {
  it.live(
    "is refused, and does not wait for the transaction that waits for it",
    () => {
      const { ran, saga } = counted("in-transaction")
      return Effect.gen(function* () {
        const file = yield* fixture.filename
        yield* Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const exit = yield* Effect.timeoutOption(
            Effect.exit(sql.withTransaction(saga.start(order("1")))),
            "5 seconds"
          )
          assert.isTrue(Option.isSome(exit), "it hangs")
          if (Option.isNone(exit)) return
          assert.isTrue(Exit.isFailure(exit.value))
          assert.deepStrictEqual(ran, [])
          // Afterwards it can be started.
          const outcome: Exit.Exit<{ readonly _tag: string }, InvalidPayload | KeyReused | SagaStoreError> =
            yield* Effect.exit(saga.execute(order("1")))
          assert.isTrue(Exit.isSuccess(outcome))
        }).pipe(Effect.provide(fixture.on(fixture.sqlite(file), saga)))
      })
    },
    20_000
  )
})
