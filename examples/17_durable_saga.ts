/**
 * A saga on SQLite that waits for an answer. Its engine ends meanwhile, as in a deployment or a crash, and the next one on
 * the same file goes on where it was.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, FileSystem, Layer, Option, Schedule, Schema } from "effect"
import { OperationKey } from "effect-integration/policy"
import { Saga, Sagas } from "effect-integration/saga"
import { SqlSagas } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"

const Loan = Schema.Struct({ id: Schema.String, amount: Schema.Int })

const GrantLoan = Saga.make("grant-loan", { payload: Loan, idempotencyKey: (loan) => loan.id })
  .step("check", {
    success: Schema.Int,
    // The key is the same whenever this step is run again, so the bureau asks for its fee once.
    run: ({ id }) =>
      Effect.as(
        Effect.tap(OperationKey.next("score"), (key) => Console.log(`check ${id} (${key})`)),
        750
      ),
    compensate: () => Console.log("the check is cancelled")
  })
  .waitFor("approved", { success: Schema.Struct({ by: Schema.String }), deadline: "3 days" })
  .step("pay out", {
    run: ({ amount }, { approved, check }) => Console.log(`pay out ${amount} (score ${check}, by ${approved.by})`),
    irreversible: "the money is gone"
  })

const engine = (filename: string) =>
  GrantLoan.layer.pipe(Layer.provideMerge(SqlSagas.layer), Layer.provide(Sqlite.layer({ filename })))

const program = Effect.gen(function* () {
  const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const run = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(effect, engine(`${folder}/sagas.db`), { local: true })

  const id = yield* GrantLoan.start({ id: "l-1", amount: 5000 }).pipe(
    Effect.tap((id) =>
      Effect.repeat(Sagas.history(id), { until: (h) => h.length >= 3, schedule: Schedule.spaced(20) })
    ),
    run
  )
  yield* Console.log("the engine has ended; another one starts")
  const outcome = yield* run(
    Effect.gen(function* () {
      yield* GrantLoan.signal(id, "approved", { by: "grace" })
      // The same key: it joins the saga that is there.
      return yield* GrantLoan.execute({ id: "l-1", amount: 5000 })
    })
  )
  yield* Console.log(outcome._tag, Option.isSome(yield* run(GrantLoan.outcome(id))))
})

program.pipe(Effect.scoped, Effect.provide(NodeServices.layer), NodeRuntime.runMain)
