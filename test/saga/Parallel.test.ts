import { assert, describe, it } from "@effect/vitest"
import { Effect, Latch, Option, Schema } from "effect"
import { RetryPolicy } from "effect-integration/policy"
import { Saga, Sagas } from "effect-integration/saga"
import * as fixture from "./fixture.ts"

const long = RetryPolicy.make({ delays: ["2 minutes", "2 minutes"] })
const make = (name: string) => Saga.make(name, { payload: fixture.Text, idempotencyKey: fixture.keyOf })

describe("steps in parallel", () => {
  it.live("run at the same time, and their results are those of later steps", () => {
    const both = [Latch.makeUnsafe(), Latch.makeUnsafe()] as const
    const meet = (mine: 0 | 1) => Effect.andThen(both[mine].open, both[mine === 0 ? 1 : 0].await)
    const S = make("meet")
      .step("first", { success: Schema.Int, run: () => Effect.succeed(1), compensate: () => Effect.void })
      .parallel((group) =>
        group
          .step("left", {
            success: Schema.String,
            run: (_payload, { first }) => Effect.as(meet(0), `left ${first}`),
            compensate: () => Effect.void
          })
          .step("right", {
            success: Schema.Int,
            run: (_payload, results) => Effect.as(meet(1), Object.keys(results).length),
            compensate: () => Effect.void
          })
      )
      .step("last", {
        success: Schema.String,
        run: (_payload, { first, left, right }) => Effect.succeed(`${first} ${left} ${right}`),
        compensate: () => Effect.void
      })
    return Effect.gen(function* () {
      const outcome = yield* S.execute({ key: "1" })
      assert.deepStrictEqual(outcome, {
        _tag: "Completed",
        id: outcome.id,
        results: { first: 1, left: "left 1", right: 1, last: "1 left 1 1" }
      })
    }).pipe(Effect.provide(fixture.memory(S)))
  })

  it.effect("are all finished when one fails, and undone in reverse, before the steps before them", () => {
    const log: Array<string> = []
    const say = (text: string) => Effect.sync(() => void log.push(text))
    const undo = (name: string) => (result: Option.Option<unknown>) => say(`undo ${name} ${Option.isSome(result)}`)
    const S = make("finish")
      .step("before", { run: () => say("before"), compensate: undo("before") })
      .parallel((group) =>
        group
          .step("slow", {
            run: () => Effect.andThen(Effect.sleep("5 seconds"), say("slow")),
            compensate: undo("slow")
          })
          .step("bad", {
            run: () => Effect.andThen(say("bad"), Effect.fail(new fixture.Failed("fail"))),
            compensate: undo("bad")
          })
          .step("nothing", {
            run: () => Effect.fail(new fixture.Failed("fail", "unprocessed")),
            compensate: undo("nothing")
          })
          .step("fast", { run: () => say("fast"), compensate: undo("fast") })
      )
      .step("never", { run: () => say("never"), compensate: undo("never") })
    return Effect.gen(function* () {
      const outcome = yield* fixture.ended(S.execute({ key: "1" }))
      assert.deepStrictEqual(log.slice(0, 4), ["before", "bad", "fast", "slow"])
      assert.deepStrictEqual(log.slice(4), ["undo fast true", "undo bad false", "undo slow true", "undo before true"])
      assert.strictEqual(outcome._tag, "RolledBack")
      if (outcome._tag !== "RolledBack") return
      assert.strictEqual(outcome.failedStep, "bad")
      assert.deepStrictEqual(outcome.compensated, ["fast", "bad", "slow", "before"])
    }).pipe(Effect.provide(fixture.memory(S)))
  })

  it.effect("that only wait do not keep the others: each is tried again when its own time has come", () => {
    const at: Array<string> = []
    const failing = (name: string, retry: RetryPolicy.RetryPolicy) => ({
      retry,
      run: () =>
        Effect.clockWith((clock) => {
          at.push(`${name} ${clock.currentTimeMillisUnsafe() / 60_000}`)
          return Effect.fail(new fixture.Failed("retry"))
        }),
      compensate: () => Effect.void
    })
    const S = make("own-times").parallel((group) =>
      group
        .step("a", failing("a", RetryPolicy.make({ delays: ["10 minutes"] })))
        .step("b", failing("b", RetryPolicy.make({ delays: ["2 minutes", "2 minutes"] })))
    )
    return Effect.gen(function* () {
      const id = yield* S.start({ key: "1" })
      yield* fixture.untilState(id, "rolledBack", "30 seconds")
      assert.deepStrictEqual(at, ["a 0", "b 0", "b 2", "b 4", "a 10"])
    }).pipe(Effect.provide(fixture.memory(S)))
  })

  it.effect("that are under way are not interrupted when another's long delay is over", () => {
    let begun = 0
    let interrupted = 0
    const S = make("undisturbed").parallel((group) =>
      group
        .step("again", {
          retry: long,
          run: () => Effect.fail(new fixture.Failed("retry")),
          compensate: () => Effect.void
        })
        .step("long", {
          run: () =>
            Effect.suspend(() => {
              begun += 1
              return Effect.onInterrupt(Effect.sleep("10 minutes"), () => Effect.sync(() => void (interrupted += 1)))
            }),
          compensate: () => Effect.void
        })
    )
    return Effect.gen(function* () {
      const id = yield* S.start({ key: "1" })
      yield* fixture.untilState(id, "rolledBack", "30 seconds")
      assert.deepStrictEqual({ begun, interrupted }, { begun: 1, interrupted: 0 })
    }).pipe(Effect.provide(fixture.memory(S)))
  })

  it.effect("behind an irreversible step can both be stuck, and both be decided", () => {
    let isDown = true
    const ran: Array<string> = []
    const flaky = (name: string) => ({
      run: () =>
        Effect.suspend(() => {
          ran.push(name)
          return isDown ? Effect.fail(new fixture.Failed("fail")) : Effect.void
        }),
      compensate: () => Effect.void
    })
    const S = make("both-stuck")
      .step("pay", { run: () => Effect.void, irreversible: "paid" })
      .parallel((group) => group.step("a", flaky("a")).step("b", flaky("b")))
    return Effect.gen(function* () {
      const id = yield* S.start({ key: "1" })
      yield* fixture.untilState(id, "stuck")
      yield* fixture.pass("1 second")
      assert.deepStrictEqual(ran, ["a", "b"])
      isDown = false
      yield* Sagas.resume(id, { reason: "one" })
      yield* fixture.pass("10 seconds")
      assert.strictEqual((yield* Sagas.find(id)).state, "stuck", "the other is stuck still")
      yield* Sagas.resume(id, { reason: "two" })
      yield* fixture.untilState(id, "completed")
      assert.deepStrictEqual(ran.toSorted(), ["a", "a", "b", "b"])
    }).pipe(Effect.provide(fixture.memory(S)))
  })

  it.live("with long delays are finished on SQLite, and the one under way is begun once", () => {
    const ran: Array<string> = []
    const S = make("sqlite-parallel").parallel((group) =>
      group
        .step("a", {
          retry: RetryPolicy.make({ delays: ["100 millis", "100 millis"] }),
          run: () => Effect.suspend(() => (ran.push("a") < 5 ? Effect.fail(new fixture.Failed("retry")) : Effect.void)),
          compensate: () => Effect.sync(() => void ran.push("undo a"))
        })
        .step("b", {
          success: Schema.String,
          run: () =>
            Effect.as(
              Effect.andThen(
                Effect.sync(() => ran.push("b")),
                Effect.sleep("500 millis")
              ),
              "b"
            ),
          compensate: (result) => Effect.sync(() => void ran.push(`undo ${Option.getOrElse(result, () => "?")}`))
        })
    )
    return Effect.gen(function* () {
      const file = yield* fixture.filename
      const outcome = yield* Effect.provide(S.execute({ key: "1" }), fixture.on(fixture.sqlite(file), S))
      assert.strictEqual(outcome._tag, "RolledBack")
      assert.deepStrictEqual(ran.toSorted(), ["a", "a", "a", "b", "undo a", "undo b"])
      assert.deepStrictEqual(ran.slice(-2), ["undo b", "undo a"])
    })
  })
})
