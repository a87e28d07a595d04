import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { RetryPolicy } from "effect-integration/policy"
import { NotStuck, Saga, SagaNotFound, Sagas } from "effect-integration/saga"
import * as fixture from "./fixture.ts"

const options = { payload: fixture.Text, idempotencyKey: fixture.keyOf }
const reason = { reason: "corrected", by: "ada" }

/** Two steps; what fails is switched on and off. */
const switched = (name: string) => {
  const down = new Set<string>()
  const ran: Array<string> = []
  const at = (what: string) =>
    Effect.suspend(() => {
      ran.push(what)
      return down.has(what) ? Effect.fail(new fixture.Failed("fail")) : Effect.void
    })
  const saga = Saga.make(name, { ...options, compensationRetry: RetryPolicy.make({ delays: ["1 second"] }) })
    .step("a", { run: () => at("a"), compensate: () => at("undo a") })
    .step("b", { run: () => at("b"), compensate: () => at("undo b") })
  return { down, ran, saga }
}

describe("the history of a saga", () => {
  it.effect("that was completed", () => {
    const { saga } = switched("completed")
    return Effect.gen(function* () {
      const { id } = yield* fixture.ended(saga.execute({ key: "1" }))
      const entries = yield* fixture.entriesOf(id)
      const [begun, ...rest] = entries
      assert.deepInclude(begun as object, { _tag: "Begun", saga: "completed", key: "1", definition: "a > b" })
      assert.match((begun as { digest: string }).digest, /^[0-9a-f]{64}$/)
      assert.deepStrictEqual(rest, [
        { _tag: "AttemptBegun", step: "a", phase: "run", attempt: 1 },
        { _tag: "AttemptEnded", step: "a", phase: "run", attempt: 1 },
        { _tag: "AttemptBegun", step: "b", phase: "run", attempt: 1 },
        { _tag: "AttemptEnded", step: "b", phase: "run", attempt: 1 },
        { _tag: "Ended", state: "completed", compensated: [] }
      ])
    }).pipe(Effect.provide(fixture.memory(saga)))
  })

  it.effect("that was rolled back, with the attempts of its compensation", () => {
    const { down, saga } = switched("rolled-back")
    down.add("b").add("undo a")
    return Effect.gen(function* () {
      const id = yield* saga.start({ key: "1" })
      yield* fixture.quiet
      down.delete("undo a")
      yield* fixture.untilState(id, "rolledBack")
      assert.deepStrictEqual(yield* fixture.storyOf(id), [
        "begun 1",
        "run a 1",
        "run a 1: done",
        "run b 1",
        "run b 1: Failed",
        "compensate b 1",
        "compensate b 1: done",
        "compensate a 1",
        "compensate a 1: Failed",
        "compensate a 2",
        "compensate a 2: done",
        "rolledBack: b,a"
      ])
      const failed = (yield* fixture.entriesOf(id)).filter(({ _tag }) => _tag === "AttemptEnded")
      assert.deepInclude(failed[1] as object, { failure: { tag: "Failed", description: "fail" } })
      assert.notProperty(failed[1], "next")
      assert.deepInclude(failed[3] as object, { next: 1000 })
      assert.deepStrictEqual((yield* Sagas.find(id)).step, "b")
    }).pipe(Effect.provide(fixture.memory(saga)))
  })

  it.effect("that was stuck and resumed, with who said so, and why", () => {
    const { down, saga } = switched("resumed")
    down.add("b").add("undo a")
    const told = fixture.alerts()
    return Effect.gen(function* () {
      const id = yield* saga.start({ key: "1" })
      yield* fixture.untilState(id, "stuck")
      const outcome = Option.getOrThrow(yield* saga.outcome(id))
      const error = { tag: "Failed", description: "fail" }
      assert.deepStrictEqual(outcome, { _tag: "Stuck", id, step: "a", phase: "compensate", error })
      assert.deepStrictEqual(yield* fixture.ended(saga.execute({ key: "1" })), outcome)
      down.clear()
      yield* Sagas.resume(id, reason)
      yield* fixture.untilState(id, "rolledBack")
      const story = yield* fixture.storyOf(id)
      assert.deepStrictEqual(story.slice(7), [
        "compensate a 1",
        "compensate a 1: Failed",
        "compensate a 2",
        "compensate a 2: Failed",
        "stuck compensate/a/1",
        "resume compensate/a/1: corrected (ada)",
        "compensate a 3",
        "compensate a 3: done",
        "rolledBack: b,a"
      ])
      yield* fixture.quiet
      assert.strictEqual(told.notices.length, 1)
      assert.include(told.notices[0]!.message, "resume, skip or abandon")
      assert.strictEqual(told.notices[0]!.integration, "resumed")
    }).pipe(Effect.provide(Layer.provideMerge(fixture.memory(saga), told.layer)))
  })

  it.effect("that was abandoned, whose outcome says what was undone before", () => {
    const { down, ran, saga } = switched("abandoned")
    down.add("b").add("undo a")
    return Effect.gen(function* () {
      const id = yield* saga.start({ key: "1" })
      yield* fixture.untilState(id, "stuck")
      yield* Sagas.abandon(id, reason)
      yield* fixture.untilState(id, "abandoned")
      assert.deepStrictEqual(Option.getOrThrow(yield* saga.outcome(id)), {
        _tag: "Abandoned",
        id,
        step: "a",
        phase: "compensate",
        error: { tag: "Failed", description: "fail" },
        reason: "corrected",
        compensated: ["b"]
      })
      assert.deepStrictEqual((yield* fixture.storyOf(id)).slice(-2), [
        "abandon compensate/a/1: corrected (ada)",
        "abandoned: b"
      ])
      const count = ran.length
      yield* fixture.pass("1 hour")
      assert.strictEqual(ran.length, count)
    }).pipe(Effect.provide(fixture.memory(saga)))
  })

  it.effect("that goes on without a compensation", () => {
    const { down, saga } = switched("skipped")
    down.add("b").add("undo b")
    return Effect.gen(function* () {
      const id = yield* saga.start({ key: "1" })
      yield* fixture.untilState(id, "stuck")
      yield* Sagas.skip(id, { reason: "done by hand" })
      yield* fixture.untilState(id, "rolledBack")
      const outcome = Option.getOrThrow(yield* saga.outcome(id))
      assert.deepInclude(outcome as object, { _tag: "RolledBack", failedStep: "b", compensated: ["a"] })
      assert.include(yield* fixture.storyOf(id), "skip compensate/b/1: done by hand (nobody)")
    }).pipe(Effect.provide(fixture.memory(saga)))
  })
})

describe("a decision", () => {
  it.effect("is refused where there is no saga, where it is not stuck, and without a reason", () => {
    const { down, saga } = switched("refused")
    return Effect.gen(function* () {
      for (const decide of [Sagas.resume, Sagas.skip, Sagas.abandon]) {
        assert.deepStrictEqual(yield* Effect.flip(decide("none", reason)), new SagaNotFound({ id: "none" }))
      }
      assert.instanceOf(yield* Effect.flip(Sagas.find("none")), SagaNotFound)
      assert.instanceOf(yield* Effect.flip(Sagas.history("none")), SagaNotFound)
      const { id } = yield* fixture.ended(saga.execute({ key: "1" }))
      const error = yield* Effect.flip(Sagas.resume(id, reason))
      assert.instanceOf(error, NotStuck)
      assert.include(error.message, "completed")
      down.add("b").add("undo a")
      const stuck = yield* saga.start({ key: "2" })
      yield* fixture.untilState(stuck, "stuck")
      for (const empty of ["", " \n"]) {
        assert.instanceOf(yield* Effect.flip(Sagas.abandon(stuck, { reason: empty })), NotStuck)
      }
      yield* fixture.pass("1 second")
      assert.strictEqual((yield* Sagas.find(stuck)).state, "stuck")
    }).pipe(Effect.provide(fixture.memory(saga)))
  })

  it.effect("to skip a step whose result others need is refused", () => {
    const saga = Saga.make("needed", options)
      .step("pay", { run: () => Effect.void, irreversible: "paid" })
      .step("a", { success: Schema.String, run: () => Effect.fail("no"), compensate: () => Effect.void })
    return Effect.gen(function* () {
      const id = yield* saga.start({ key: "1" })
      yield* fixture.untilState(id, "stuck")
      assert.instanceOf(yield* Effect.flip(Sagas.skip(id, reason)), NotStuck)
      yield* fixture.pass("1 second")
      assert.strictEqual((yield* Sagas.find(id)).state, "stuck")
      yield* Sagas.abandon(id, reason)
      yield* fixture.untilState(id, "abandoned")
    }).pipe(Effect.provide(fixture.memory(saga)))
  })

  it.effect("that comes second changes nothing", () => {
    const { down, ran, saga } = switched("two-decisions")
    down.add("b").add("undo a")
    return Effect.gen(function* () {
      const id = yield* saga.start({ key: "1" })
      yield* fixture.untilState(id, "stuck")
      yield* Effect.all([Effect.exit(Sagas.skip(id, reason)), Effect.exit(Sagas.abandon(id, reason))])
      yield* fixture.untilState(id, "rolledBack")
      const story = yield* fixture.storyOf(id)
      assert.deepStrictEqual(story.slice(-2), ["skip compensate/a/1: corrected (ada)", "rolledBack: b"])
      const late = yield* Effect.exit(Sagas.resume(id, reason))
      assert.isTrue(Exit.isFailure(late))
      assert.strictEqual(ran.filter((what) => what === "undo a").length, 2)
    }).pipe(Effect.provide(fixture.memory(saga)))
  })

  it.live(
    "can be waited for by a process that runs no sagas, and needs no process that does",
    () => {
      const { down, ran, saga } = switched("client")
      return Effect.gen(function* () {
        const file = yield* fixture.filename
        const client = Layer.fresh(fixture.client(file))
        // Nobody runs it yet, and nothing is lost.
        const id = yield* Effect.provide(saga.start({ key: "1" }), client)
        assert.deepStrictEqual(ran, [])
        down.add("b").add("undo a")
        yield* Effect.gen(function* () {
          yield* fixture.liveUntilState(id, "stuck")
          const joined = yield* Effect.provide(saga.execute({ key: "1" }), client)
          assert.strictEqual(joined._tag, "Stuck")
        }).pipe(fixture.restarted(file, saga))
        // And the decision waits for whoever runs it next.
        yield* Effect.provide(Sagas.resume(id, { reason: "repaired" }), client)
        down.clear()
        yield* fixture.liveUntilState(id, "rolledBack").pipe(fixture.restarted(file, saga))
      })
    },
    60_000
  )

  it.live(
    "is made on SQLite by another process, which runs no sagas",
    () => {
      const { down, saga } = switched("remote")
      down.add("b").add("undo a")
      return Effect.gen(function* () {
        const file = yield* fixture.filename
        yield* Effect.gen(function* () {
          const id = yield* saga.start({ key: "1" })
          yield* fixture.liveUntilState(id, "stuck")
          const exits = yield* Effect.all(
            [Sagas.resume(id, { reason: "one" }), Sagas.resume(id, { reason: "two" })].map((each) =>
              Effect.exit(Effect.provide(each, fixture.on(fixture.client(file))))
            ),
            { concurrency: 2 }
          )
          assert.isTrue(exits.some(Exit.isSuccess))
          down.clear()
          yield* fixture.liveUntilState(id, "rolledBack")
          const decided = (yield* fixture.entriesOf(id)).filter(({ _tag }) => _tag === "Decided")
          assert.strictEqual(decided.length, 1)
        }).pipe(fixture.restarted(file, saga))
      })
    },
    60_000
  )
})

describe("lists", () => {
  it.effect("are by saga, state and number, oldest first", () => {
    const one = switched("list-one")
    const two = switched("list-two")
    return Effect.gen(function* () {
      const ids: Array<string> = []
      for (const [saga, key] of [
        [one, "1"],
        [two, "2"],
        [one, "3"]
      ] as const) {
        if (key === "3") one.down.add("a").add("undo a")
        ids.push(yield* saga.saga.start({ key }))
        yield* fixture.pass("5 seconds")
      }
      const list = (query?: Parameters<typeof Sagas.list>[0]) =>
        Effect.map(Sagas.list(query), (all) => all.map(({ id }) => ids.indexOf(id)))
      assert.deepStrictEqual(yield* list(), [0, 1, 2])
      assert.deepStrictEqual(yield* list({ saga: "list-one" }), [0, 2])
      assert.deepStrictEqual(yield* list({ state: "stuck" }), [2])
      assert.deepStrictEqual(yield* list({ state: "completed", limit: 1 }), [0])
      yield* TestClock.adjust("1 hour")
      // The memory engine forgets nothing, so neither does its history.
      const { updated } = yield* Sagas.find(ids[1]!)
      assert.strictEqual(yield* Sagas.purge(updated), 0)
      assert.deepStrictEqual(yield* list(), [0, 1, 2])
    }).pipe(Effect.provide(fixture.memory(one.saga, two.saga)))
  })
})
