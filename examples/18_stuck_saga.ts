/**
 * A compensation that keeps failing: people are told, look at what happened, and one of them decides.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { ErrorAction, RetryPolicy } from "effect-integration/policy"
import { Saga, SagaEngine, Sagas } from "effect-integration/saga"

class Declined extends Schema.TaggedError<Declined>()("Declined", {}) {}
class BankDown extends Schema.TaggedError<BankDown>()("BankDown", { status: Schema.Int }) {}
let isDown = true

const Transfer = Saga.make("transfer", {
  payload: Schema.Struct({ id: Schema.String }),
  idempotencyKey: ({ id }) => id,
  compensationRetry: RetryPolicy.make({ delays: ["50 millis", "100 millis"] })
})
  .step("debit", {
    run: () => Effect.void,
    compensate: () => (isDown ? Effect.fail(new BankDown({ status: 503 })) : Console.log("debit given back"))
  })
  .step("credit", { error: Declined, run: () => Effect.fail(new Declined()), compensate: () => Effect.void })

const program = Effect.gen(function* () {
  const outcome = yield* Transfer.execute({ id: "t-1" })
  if (outcome._tag !== "Stuck") return yield* Effect.die(outcome)
  yield* Console.log(`${outcome._tag} in ${outcome.phase} ${outcome.step}: ${outcome.error.tag}`)
  for (const { entry } of yield* Sagas.history(outcome.id)) {
    if (entry._tag !== "AttemptEnded") continue
    yield* Console.log(`  ${entry.phase} ${entry.step} ${entry.attempt}: ${entry.failure?.tag ?? "done"}`)
  }

  isDown = false
  const [stuck] = yield* Sagas.list({ saga: "transfer", state: "stuck" })
  yield* Sagas.resume(stuck!.id, { reason: "the bank is back, ticket 4711", by: "ada" })
  // To start it again joins it.
  const end = yield* Transfer.execute({ id: "t-1" })
  yield* Console.log(end._tag, end._tag === "RolledBack" ? end.compensated.join(", ") : "")
})

const pager = Layer.succeed(ErrorAction.AlertHook, ({ message }) => Console.log(`PAGER: ${message}`))
const app = Transfer.layer.pipe(Layer.provideMerge(SagaEngine.layerMemory), Layer.provideMerge(pager))

program.pipe(Effect.provide(app), NodeRuntime.runMain)
