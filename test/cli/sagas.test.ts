import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Ref, Schedule } from "effect"
import { Sagas, type SagaStore } from "effect-integration/saga"
import { SqlSagas } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"
import * as path from "node:path"
import { isUp, Transfer } from "./fixtures/design.ts"
import { assertCode, fixture, folder, integration, parsed } from "./program.ts"

/** A process of its own that runs sagas, as far as the engine can tell. */
const service = (filename: string) =>
  Transfer.layer.pipe(
    Layer.provideMerge(SqlSagas.layerWith({ poll: "20 millis" })),
    Layer.provide([Sqlite.layer({ filename }), Logger.layer([])]),
    Layer.fresh
  )

/** A database with a saga that is stuck. */
const stuck = Effect.gen(function* () {
  yield* Ref.set(isUp, false)
  const filename = path.join(yield* folder, "sagas.db")
  const outcome = yield* Effect.provide(Transfer.execute({ id: "t-1" }), service(filename))
  if (outcome._tag !== "Stuck") return yield* Effect.die(outcome)
  const sagas = (...args: ReadonlyArray<string>) =>
    integration(["sagas", ...args], { env: { FIXTURE_DATABASE: filename, FIXTURE_BANK: "up" } })
  return { filename, id: outcome.id, sagas }
})

/** Its history, as soon as it is in this state. */
const untilState = (id: string, state: SagaStore.State) =>
  Effect.andThen(
    Effect.repeat(Sagas.find(id), { until: (saga) => saga.state === state, schedule: Schedule.spaced("20 millis") }),
    Sagas.history(id)
  )

describe("integration sagas", { timeout: 60_000 }, () => {
  it.live("lists sagas and shows their history", () =>
    Effect.gen(function* () {
      const { id, sagas } = yield* stuck

      const list = yield* sagas("list", fixture)
      assertCode(list, 0)
      assert.include(list.stdout, `1 saga\n  ${id} transfer (t-1): stuck, begun 2`)
      assert.include(list.stdout, "waits for a decision on compensate debit: BankDown")
      assert.deepStrictEqual(parsed(yield* sagas("list", fixture, "--json", "--state", "completed")), { sagas: [] })
      const [instance] = parsed(yield* sagas("list", fixture, "--json", "--saga", "transfer")).sagas
      assert.deepStrictEqual([instance.id, instance.state, instance.waiting[0].step], [id, "stuck", "debit"])

      const shown = yield* sagas("show", fixture, id)
      assertCode(shown, 0)
      assert.match(
        shown.stdout,
        /run credit, attempt 1 failed: BankDown.*\n(.*\n)*.*stuck in compensate debit: BankDown/
      )
      const { history, saga } = parsed(yield* sagas("show", fixture, id, "--json"))
      assert.strictEqual(saga.id, id)
      assert.deepStrictEqual([history[0].entry._tag, history.at(-1).entry._tag], ["Begun", "Stuck"])
    })
  )

  it.live("resumes one, which ends where its process runs again", () =>
    Effect.gen(function* () {
      const { filename, id, sagas } = yield* stuck

      const without = yield* sagas("resume", fixture, id)
      assertCode(without, 2)
      assert.include(without.stderr, "--reason")

      const resumed = yield* sagas("resume", fixture, id, "--reason", "ticket 4711", "--by", "ada", "--json")
      assert.deepStrictEqual(parsed(resumed), { id, verdict: "resume", reason: "ticket 4711", by: "ada" })

      yield* Ref.set(isUp, true)
      const history = yield* untilState(id, "rolledBack").pipe(Effect.provide(service(filename)))
      const decided = history.flatMap(({ entry }) => (entry._tag === "Decided" ? [entry.reason, entry.by] : []))
      assert.deepStrictEqual(decided, ["ticket 4711", "ada"])

      const again = parsed(yield* sagas("resume", fixture, id, "--reason", "again", "--json"), 2)
      assert.strictEqual(again.error.message, `cannot resume saga ${id}: it is not stuck, it is rolledBack`)
    })
  )

  it.live("abandons one, and says no where there is none", () =>
    Effect.gen(function* () {
      const { filename, id, sagas } = yield* stuck
      assertCode(yield* sagas("abandon", fixture, id, "--reason", "settled by hand"), 0)
      yield* untilState(id, "abandoned").pipe(Effect.provide(service(filename)))

      for (const command of ["show", "resume", "skip"]) {
        const reason = command === "show" ? [] : ["--reason", "x"]
        const unknown = parsed(yield* sagas(command, fixture, "nobody", ...reason, "--json"), 2)
        assert.strictEqual(unknown.error.message, "there is no saga nobody")
      }
    })
  )
})
