import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { InvalidPayload, Saga, Sagas } from "effect-integration/saga"
import * as fixture from "./fixture.ts"

const Answer = Schema.Struct({ by: Schema.String, at: Schema.DateFromString })
const yes = { by: "ada", at: new Date(0) }
const make = (name: string) => Saga.make(name, { payload: fixture.Text, idempotencyKey: fixture.keyOf })

/** A saga that waits an hour for an answer between two steps. */
const approval = (name: string) => {
  const ran: Array<string> = []
  const saga = make(name)
    .step("ask", {
      run: () => Effect.sync(() => void ran.push("ask")),
      compensate: () => Effect.sync(() => void ran.push("undo ask"))
    })
    .waitFor("answer", { success: Answer, deadline: "1 hour" })
    .step("act", {
      success: Schema.String,
      run: (_payload, { answer }) => Effect.sync(() => `${answer.by} at ${answer.at.toISOString()}`),
      compensate: () => Effect.void
    })
  return { ran, saga }
}
const acted = { ask: undefined, answer: yes, act: "ada at 1970-01-01T00:00:00.000Z" }

describe("waitFor", () => {
  it.effect("takes what was said before the saga was started", () => {
    const { saga } = approval("early")
    return Effect.gen(function* () {
      yield* saga.signal(yield* saga.idOf("1"), "answer", yes)
      const outcome = yield* fixture.ended(saga.execute({ key: "1" }))
      assert.deepStrictEqual(outcome, { _tag: "Completed", id: outcome.id, results: acted })
    }).pipe(Effect.provide(fixture.memory(saga)))
  })

  it.effect("takes what is said while it waits, and what is said first counts", () => {
    const { ran, saga } = approval("during")
    return Effect.gen(function* () {
      const id = yield* saga.start({ key: "1" })
      yield* fixture.pass("59 minutes")
      assert.deepStrictEqual(ran, ["ask"])
      assert.isTrue(Option.isNone(yield* saga.outcome(id)))
      yield* saga.signal(id, "answer", yes)
      yield* saga.signal(id, "answer", { by: "bob", at: new Date(1) })
      const outcome = yield* fixture.ended(saga.execute({ key: "1" }))
      assert.deepStrictEqual(outcome, { _tag: "Completed", id, results: acted })
    }).pipe(Effect.provide(fixture.memory(saga)))
  })

  it.effect("ends with its deadline: the saga is rolled back, and what is said later changes nothing", () => {
    const { ran, saga } = approval("late")
    return Effect.gen(function* () {
      const id = yield* saga.start({ key: "1" })
      yield* fixture.pass("59 minutes")
      assert.deepStrictEqual(ran, ["ask"])
      yield* fixture.pass("2 minutes")
      assert.deepStrictEqual(ran, ["ask", "undo ask"])
      yield* saga.signal(id, "answer", yes)
      yield* fixture.pass("2 hours")
      const outcome = Option.getOrThrow(yield* saga.outcome(id))
      assert.strictEqual(outcome._tag, "RolledBack")
      if (outcome._tag !== "RolledBack") return
      assert.strictEqual(outcome.failedStep, "answer")
      assert.deepStrictEqual(outcome.compensated, ["ask"])
      assert.strictEqual(outcome.error.reason, "deadline")
      assert.deepStrictEqual(ran, ["ask", "undo ask"])
    }).pipe(Effect.provide(fixture.memory(saga)))
  })

  it.effect(
    "behind an irreversible step is stuck at its deadline, waits again when resumed, and can be abandoned",
    () => {
      const saga = make("forward")
        .step("pay", { run: () => Effect.void, irreversible: "paid" })
        .waitFor("answer", { success: Answer, deadline: "1 hour" })
      const told = fixture.alerts()
      return Effect.gen(function* () {
        for (const key of ["1", "2"]) {
          const id = yield* saga.start({ key })
          const [stuck] = (yield* fixture.untilState(id, "stuck", "1 minute")).waiting
          assert.deepStrictEqual([stuck?.step, stuck?.failure.tag, stuck?.skippable], ["answer", "Deadline", false])
          assert.strictEqual((yield* Effect.flip(Sagas.skip(id, { reason: "no" })))._tag, "NotStuck")
          yield* Sagas.resume(id, { reason: "ask again" })
          yield* fixture.pass("59 minutes")
          assert.strictEqual((yield* Sagas.find(id)).state, "running")
          if (key === "1") {
            yield* saga.signal(id, "answer", yes)
            yield* fixture.untilState(id, "completed")
            assert.deepStrictEqual(Option.getOrThrow(yield* saga.outcome(id)), {
              _tag: "Completed",
              id,
              results: { pay: undefined, answer: yes }
            })
          } else {
            yield* fixture.untilState(id, "stuck", "1 minute")
            yield* Sagas.abandon(id, { reason: "never" })
            yield* fixture.untilState(id, "abandoned")
          }
        }
        assert.strictEqual(told.notices.length, 3)
      }).pipe(Effect.provide(Layer.provideMerge(fixture.memory(saga), told.layer)))
    }
  )

  it.effect("refuses a value that does not fit, naming where", () => {
    const { saga } = approval("bad-value")
    return Effect.gen(function* () {
      const id = yield* saga.idOf("1")
      const error = yield* Effect.flip(saga.signal(id, "answer", { by: 1, at: new Date(0) } as never))
      assert.instanceOf(error, InvalidPayload)
      assert.deepStrictEqual((error as InvalidPayload).path, ["answer", "by"])
      yield* saga.signal(id, "answer", yes)
      assert.strictEqual((yield* fixture.ended(saga.execute({ key: "1" })))._tag, "Completed")
    }).pipe(Effect.provide(fixture.memory(saga)))
  })

  it.live("outlasts a restart on SQLite, also what was said in between", () => {
    const { ran, saga } = approval("restarts")
    return Effect.gen(function* () {
      const file = yield* fixture.filename
      const engine = fixture.on(fixture.sqlite(file), saga)
      const ids = yield* Effect.gen(function* () {
        const ids = [yield* saga.start({ key: "1" }), yield* saga.start({ key: "2" })] as const
        while (ran.length < 2) yield* Effect.sleep("10 millis")
        return ids
      }).pipe(Effect.provide(engine))
      yield* Effect.gen(function* () {
        yield* saga.signal(ids[0], "answer", yes)
        yield* fixture.liveUntilState(ids[0], "completed")
      }).pipe(Effect.provide(fixture.on(fixture.sqlite(file), saga)))
      // Said by a process that runs no sagas of this name.
      yield* Effect.provide(saga.signal(ids[1], "answer", yes), Layer.fresh(fixture.sqlite(file)))
      yield* Effect.gen(function* () {
        yield* fixture.liveUntilState(ids[1], "completed")
        const outcome = yield* saga.execute({ key: "2" })
        assert.deepStrictEqual(outcome, { _tag: "Completed", id: ids[1], results: acted })
      }).pipe(Effect.provide(fixture.on(fixture.sqlite(file), saga)))
      assert.deepStrictEqual(ran, ["ask", "ask"])
    })
  })
})

describe("delay", () => {
  for (const [duration, millis] of [
    ["30 seconds", 30_000],
    ["5 minutes", 300_000]
  ] as const) {
    it.effect(`waits ${duration}, neither shorter nor longer`, () => {
      const at: Array<number> = []
      const now = Effect.clockWith((clock) => Effect.sync(() => void at.push(clock.currentTimeMillisUnsafe())))
      const saga = make(`delay-${millis}`)
        .step("before", { run: () => now, compensate: () => Effect.void })
        .delay("pause", duration)
        .step("after", { run: () => now, compensate: () => Effect.void })
      return Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(saga.execute({ key: "1" }))
        while (at.length === 0) yield* fixture.quiet
        yield* fixture.quiet
        yield* TestClock.adjust(millis - 1)
        yield* fixture.quiet
        assert.strictEqual(at.length, 1)
        yield* TestClock.adjust(1)
        yield* fixture.quiet
        assert.strictEqual(at.length, 2)
        assert.strictEqual(at[1]! - at[0]!, millis)
        const outcome = yield* fixture.ended(Fiber.join(fiber))
        assert.deepStrictEqual(outcome, {
          _tag: "Completed",
          id: outcome.id,
          results: { before: undefined, after: undefined }
        })
      }).pipe(Effect.provide(fixture.memory(saga)))
    })
  }
})
