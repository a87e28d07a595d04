/**
 * One call with the whole policy. The contract below is the design: what stands in it is what happens.
 */
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Config, ConfigProvider, Console, Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { HttpContract, StatusTable } from "effect-integration/http"
import { RetryPolicy } from "effect-integration/policy"
import { Reply, StubProvider } from "effect-integration/testing"

const Money = Schema.Struct({ amount: Schema.Int, currency: Schema.String })
const Charge = Schema.Struct({ id: Schema.String, ...Money.fields })

const PaymentsApi = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(HttpApiEndpoint.post("create", "/v1/charges", { payload: Money, success: Charge }))
)

class Payments extends HttpContract.Service<Payments>()("payments", {
  api: PaymentsApi,
  baseUrl: Config.URL("PAYMENTS_URL"),
  errors: StatusTable.standard,
  idempotent: true,
  retry: RetryPolicy.make({ delays: ["50 millis", "100 millis", "200 millis"], jitter: "equal" }),
  breaker: { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" },
  rateLimit: { perMinute: 600, burst: 50 },
  timeouts: { connect: "1 second", read: "200 millis", attempt: "1 second", total: "5 seconds" }
}) {}

const program = Effect.gen(function* () {
  // A provider that is down, then loses the connection, then does not answer in time, then is well.
  const stub = yield* StubProvider.make()
  const charged = Reply.json(200, { id: "c1", amount: 4200, currency: "EUR" })
  yield* stub.on("POST /v1/charges", Reply.status(503), Reply.reset, Reply.hang, charged)

  const environment = ConfigProvider.layer(ConfigProvider.fromUnknown({ PAYMENTS_URL: stub.url }))
  const charge = yield* Payments.use((payments) =>
    payments.charges.create({ payload: { amount: 4200, currency: "EUR" } })
  ).pipe(Effect.provide(Payments.layer.pipe(Layer.provide(environment))))

  const requests = yield* stub.requests
  const keys = new Set(requests.map((request) => request.headers["idempotency-key"]))
  yield* Console.log(`charged ${charge.id}: ${requests.length} attempts, ${keys.size} idempotency key`)
})

program.pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici), NodeRuntime.runMain)
