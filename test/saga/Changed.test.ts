import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Schedule, Schema } from "effect"
import { Saga, Sagas } from "effect-integration/saga"
import * as fixture from "./fixture.ts"

const payload = { payload: fixture.Text, idempotencyKey: fixture.keyOf }
const nothing = { compensate: () => Effect.void }

/** A saga that waits between its steps, so that it is under way when the process ends. */
const before = (name: string, ran: Array<string>) =>
  Saga.make(name, payload)
    .step("a", { success: Schema.Int, run: () => Effect.sync(() => ran.push("a")), ...nothing })
    .waitFor("go", { success: Schema.Int, deadline: "1 hour" })
    .step("b", { run: () => Effect.sync(() => void ran.push("b")), ...nothing })

/** The same name, with other steps. */
const other = (name: string, ran: Array<string>) =>
  Saga.make(name, payload)
    .step("a", { success: Schema.Int, run: () => Effect.sync(() => ran.push("new a")), ...nothing })
    .step("c", { run: () => Effect.sync(() => void ran.push("c")), ...nothing })

const untilRan = (ran: ReadonlyArray<string>, what: string): Effect.Effect<void> =>
  Effect.suspend(() =>
    ran.includes(what) ? Effect.void : Effect.andThen(Effect.sleep("10 millis"), untilRan(ran, what))
  )

const untilTold = (notices: ReadonlyArray<unknown>, count: number): Effect.Effect<void> =>
  Effect.suspend(() =>
    notices.length >= count ? Effect.void : Effect.andThen(Effect.sleep("10 millis"), untilTold(notices, count))
  )

/** Begun under the old steps, in a process that has ended. */
const begun = Effect.fnUntraced(function* (file: string, saga: ReturnType<typeof before>, ran: ReadonlyArray<string>) {
  return yield* fixture.restarted(file, saga)(Effect.tap(saga.start({ key: "1" }), () => untilRan(ran, "a")))
})

describe("a saga that was begun under other steps", () => {
  it.live(
    "is stuck and says so once, and goes on where the process has them again",
    () => {
      const ran: Array<string> = []
      const Old = before("other-steps", ran)
      const New = other("other-steps", ran)
      const told = fixture.alerts()
      return Effect.gen(function* () {
        const file = yield* fixture.filename
        const id = yield* begun(file, Old, ran)
        yield* Effect.gen(function* () {
          yield* Old.signal(id, "go", 1)
          const [stuck] = (yield* fixture.liveUntilState(id, "stuck")).waiting
          assert.strictEqual(stuck?.failure.tag, "DefinitionChanged")
          assert.include(stuck?.failure.description, "a > go? > b")
          assert.strictEqual(stuck?.skippable, false)
          const outcome = Option.getOrThrow(yield* New.outcome(id))
          assert.strictEqual(outcome._tag, "Stuck")
          // To resume it here changes nothing.
          yield* Sagas.resume(id, { reason: "too early" })
          while ((yield* fixture.storyOf(id)).filter((line) => line.startsWith("stuck")).length < 2) {
            yield* Effect.sleep("10 millis")
          }
          yield* untilTold(told.notices, 2)
        }).pipe(fixture.restarted(file, New), Effect.provide(told.layer))
        assert.deepStrictEqual(
          told.notices.map(({ integration, kind }) => `${kind} ${integration}`),
          ["alert other-steps", "alert other-steps"]
        )
        assert.include(told.notices[0]!.message, id)
        assert.deepStrictEqual(ran, ["a"])
        yield* Effect.gen(function* () {
          yield* Sagas.resume(id, { reason: "the old one is back", by: "ada" })
          yield* fixture.liveUntilState(id, "completed")
          const outcome = Option.getOrThrow(yield* Old.outcome(id))
          assert.deepStrictEqual(outcome, { _tag: "Completed", id, results: { a: 1, go: 1, b: undefined } })
        }).pipe(fixture.restarted(file, Old))
        assert.deepStrictEqual(ran, ["a", "b"])
      })
    },
    60_000
  )

  it.live(
    "is running again once it was resumed, and its history says who did it",
    () => {
      const ran: Array<string> = []
      const Old = before("resumed-steps", ran)
      const New = other("resumed-steps", ran)
      return Effect.gen(function* () {
        const file = yield* fixture.filename
        const id = yield* begun(file, Old, ran)
        yield* Effect.gen(function* () {
          yield* Old.signal(id, "go", 1)
          yield* fixture.liveUntilState(id, "stuck")
        }).pipe(fixture.restarted(file, New))
        const told = yield* Effect.gen(function* () {
          yield* Sagas.resume(id, { reason: "the old one is back", by: "ada" })
          yield* fixture.liveUntilState(id, "completed")
          return yield* fixture.storyOf(id)
        }).pipe(fixture.restarted(file, Old))
        assert.isTrue(
          told.some((line) => line.startsWith("resume definition/") && line.endsWith(": the old one is back (ada)")),
          told.join("\n")
        )
      })
    },
    60_000
  )

  it.live(
    "is finished under them where they are among the previous ones",
    () => {
      const ran: Array<string> = []
      const Old = before("previous", ran)
      const New = other("previous", ran)
      return Effect.gen(function* () {
        const file = yield* fixture.filename
        const id = yield* begun(file, Old, ran)
        const engine = Layer.provideMerge(New.layerWith({ previous: [Old] }), Layer.fresh(fixture.sqlite(file)))
        yield* Effect.gen(function* () {
          yield* Old.signal(id, "go", 7)
          yield* fixture.liveUntilState(id, "completed")
          // The history knows it a moment before the engine.
          const outcome = yield* Effect.repeat(Old.outcome(id), {
            until: Option.isSome,
            schedule: Schedule.spaced("20 millis")
          })
          assert.deepStrictEqual(Option.getOrThrow(outcome), {
            _tag: "Completed",
            id,
            results: { a: 1, go: 7, b: undefined }
          })
          const fresh = yield* New.execute({ key: "2" })
          assert.strictEqual(fresh._tag, "Completed")
        }).pipe(Effect.provide(engine))
        assert.deepStrictEqual(ran, ["a", "b", "new a", "c"])
      })
    },
    60_000
  )

  it.live(
    "can be abandoned",
    () => {
      const ran: Array<string> = []
      const Old = before("given-up", ran)
      const New = other("given-up", ran)
      return Effect.gen(function* () {
        const file = yield* fixture.filename
        const id = yield* begun(file, Old, ran)
        yield* Effect.gen(function* () {
          yield* Old.signal(id, "go", 1)
          yield* fixture.liveUntilState(id, "stuck")
          yield* Sagas.abandon(id, { reason: "no use", by: "ada" })
          yield* fixture.liveUntilState(id, "abandoned")
          const outcome = yield* New.execute({ key: "1" })
          assert.strictEqual(outcome._tag, "Abandoned")
          if (outcome._tag !== "Abandoned") return
          assert.strictEqual(outcome.reason, "no use")
          assert.strictEqual(outcome.error?.tag, "DefinitionChanged")
        }).pipe(fixture.restarted(file, New))
        assert.deepStrictEqual(ran, ["a"])
      })
    },
    60_000
  )
})

describe("a changed schema", () => {
  it.live(
    "of a result that no longer fits leaves it stuck, runs nothing again, and it goes on where it fits again",
    () => {
      const ran: Array<string> = []
      const Old = before("result", ran)
      const New = Saga.make("result", payload)
        .step("a", {
          success: Schema.Struct({ id: Schema.String }),
          run: () => Effect.sync(() => ({ id: String(ran.push("again")) })),
          compensate: () => Effect.sync(() => ran.push("undone"))
        })
        .waitFor("go", { success: Schema.Int, deadline: "1 hour" })
        .step("b", { run: () => Effect.sync(() => void ran.push("b")), ...nothing })
      const told = fixture.alerts()
      return Effect.gen(function* () {
        const file = yield* fixture.filename
        const id = yield* begun(file, Old, ran)
        yield* Effect.gen(function* () {
          yield* New.signal(id, "go", 1)
          const [stuck] = (yield* fixture.liveUntilState(id, "stuck")).waiting
          assert.deepStrictEqual([stuck?.step, stuck?.failure.tag], ["a", "SchemaError"])
          assert.include(stuck?.failure.description, "no longer fits its schema")
          yield* untilTold(told.notices, 1)
        }).pipe(fixture.restarted(file, New), Effect.provide(told.layer))
        assert.deepStrictEqual(ran, ["a"])
        yield* Effect.gen(function* () {
          yield* Sagas.resume(id, { reason: "the old schema is back" })
          yield* fixture.liveUntilState(id, "completed")
        }).pipe(fixture.restarted(file, Old))
        assert.deepStrictEqual(ran, ["a", "b"])
      })
    },
    60_000
  )

  it.live(
    "of a payload that no longer fits leaves it stuck, and it goes on where it fits again",
    () => {
      const ran: Array<string> = []
      const Old = before("payload", ran)
      const New = Saga.make("payload", {
        payload: Schema.Struct({ key: Schema.String, amount: Schema.Int }),
        idempotencyKey: ({ key }) => key
      })
        .step("a", { success: Schema.Int, run: () => Effect.sync(() => ran.push("new a")), ...nothing })
        .waitFor("go", { success: Schema.Int, deadline: "1 hour" })
        .step("b", { run: () => Effect.sync(() => void ran.push("new b")), ...nothing })
      const told = fixture.alerts()
      return Effect.gen(function* () {
        const file = yield* fixture.filename
        const id = yield* begun(file, Old, ran)
        yield* Effect.gen(function* () {
          yield* New.signal(id, "go", 1)
          const [stuck] = (yield* fixture.liveUntilState(id, "stuck")).waiting
          assert.strictEqual(stuck?.failure.tag, "SchemaError")
          assert.include(stuck?.failure.description, "payload")
          yield* untilTold(told.notices, 1)
        }).pipe(fixture.restarted(file, New), Effect.provide(told.layer))
        assert.strictEqual(told.notices.length, 1)
        yield* Effect.gen(function* () {
          yield* Sagas.resume(id, { reason: "the old schema is back" })
          yield* fixture.liveUntilState(id, "completed")
        }).pipe(fixture.restarted(file, Old))
        assert.deepStrictEqual(ran, ["a", "b"])
      })
    },
    60_000
  )

  it.live(
    "that a saga's end no longer fits is a defect for who asks, and never another answer",
    () => {
      const Old = Saga.make("end", payload).step("a", { success: Schema.Int, run: () => Effect.succeed(1), ...nothing })
      const New = Saga.make("end", payload).step("a", {
        success: Schema.Struct({ id: Schema.String }),
        run: () => Effect.succeed({ id: "x" }),
        ...nothing
      })
      return Effect.gen(function* () {
        const file = yield* fixture.filename
        const { id } = yield* fixture.restarted(file, Old)(Old.execute({ key: "1" }))
        yield* Effect.gen(function* () {
          for (const asked of [Effect.exit(New.outcome(id)), Effect.exit(New.execute({ key: "1" }))]) {
            const exit = yield* asked as Effect.Effect<Exit.Exit<unknown, unknown>>
            assert.isTrue(Exit.isFailure(exit))
            if (Exit.isFailure(exit)) assert.include(String(exit.cause), "no longer fits its schema")
          }
        }).pipe(fixture.restarted(file, New))
      })
    },
    60_000
  )
})
