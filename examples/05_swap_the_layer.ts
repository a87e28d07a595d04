/**
 * The contract is a service, so a test of what uses it swaps one layer: no server, no socket, and the errors are typed.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Duration, Effect, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { HttpContract, StatusTable } from "effect-integration/http"
import { CircuitBreaker } from "effect-integration/policy"
import * as assert from "node:assert/strict"

const Charge = Schema.Struct({ id: Schema.String, amount: Schema.Int })
const PaymentsApi = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.post("create", "/v1/charges", { payload: Schema.Struct({ amount: Schema.Int }), success: Charge })
  )
)

class Payments extends HttpContract.Service<Payments>()("payments", {
  api: PaymentsApi,
  baseUrl: Config.URL("PAYMENTS_URL"),
  errors: StatusTable.standard,
  breaker: { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" }
}) {}

/** What is under test: a checkout that takes the order also while payments are down. */
const checkout = Effect.fn("checkout")(function* (amount: number) {
  const payments = yield* Payments
  return yield* payments.charges.create({ payload: { amount } }).pipe(
    Effect.map((charge) => `paid, ${charge.id}`),
    Effect.catchTag("CircuitOpen", (open) =>
      Effect.succeed(`taken, to be paid in ${Duration.format(open.retryAfter ?? Duration.zero)}`)
    )
  )
})

const paid = Payments.mock({
  charges: { create: ({ payload }) => Effect.succeed({ id: "c1", amount: payload.amount }) }
})

const open = new CircuitBreaker.CircuitOpen({
  integration: "payments",
  reason: "failures",
  retryAfter: Duration.seconds(30)
})
const down = Payments.mock({ charges: { create: () => Effect.fail(open) } })

const program = Effect.gen(function* () {
  assert.equal(yield* checkout(4200).pipe(Effect.provide(paid)), "paid, c1")
  assert.equal(yield* checkout(4200).pipe(Effect.provide(down)), "taken, to be paid in 30s")
  yield* Console.log("both tests passed, and no request was sent")
})

program.pipe(NodeRuntime.runMain)
