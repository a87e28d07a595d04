/**
 * The contract between the order service and the payments provider. Times are short, so that the outage fits in a
 * coffee break.
 */
import { Config, Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Authentication, HttpContract, StatusTable } from "effect-integration/http"
import { CircuitBreaker, RetryPolicy } from "effect-integration/policy"

export const NewCharge = Schema.Struct({
  orderId: Schema.String,
  tenant: Schema.String,
  amount: Schema.Int,
  currency: Schema.String
})
export const Charge = Schema.Struct({ id: Schema.String, ...NewCharge.fields })
export const NewRefund = Schema.Struct({ orderId: Schema.String })
/** Nothing is given back for an order that was never charged. */
export const Refund = Schema.Struct({ refunded: Schema.Boolean })

const design = {
  api: HttpApi.make("payments").add(
    HttpApiGroup.make("charges").add(
      HttpApiEndpoint.post("create", "/v1/charges", { payload: NewCharge, success: Charge }),
      HttpApiEndpoint.post("refund", "/v1/refunds", { payload: NewRefund, success: Refund })
    )
  ),
  baseUrl: Config.URL("PAYMENTS_URL"),
  authentication: Authentication.clientCredentials({
    tokenUrl: Config.URL("TOKEN_URL"),
    id: Config.String("CLIENT_ID"),
    secret: Config.Redacted("CLIENT_SECRET")
  }),
  errors: StatusTable.standard,
  retry: RetryPolicy.make({ delays: ["50 millis", "150 millis", "400 millis"], jitter: "full" }),
  breaker: CircuitBreaker.options({
    failurePercent: 40,
    // So few and so short that the probes of a paused consumer are enough to open it.
    minimumCalls: 4,
    window: "1 second",
    openFor: "800 millis",
    probeTimeout: "500 millis",
    alertAfter: "1 second"
  }),
  rateLimit: { perMinute: 3000, burst: 60, perDay: 100_000 },
  timeouts: { connect: "500 millis", read: "400 millis", attempt: "600 millis", total: "4 seconds" },
  sourceSystem: "order-service"
} as const

export class Payments extends HttpContract.Service<Payments>()("payments", { ...design, idempotent: true }) {}

class Keyless extends HttpContract.Service<Keyless>()("payments", { ...design, idempotent: false }) {}

/** The same contract without idempotency keys, to see what they are good for. */
export const withoutKeys = Layer.effect(Payments, Effect.service(Keyless)).pipe(Layer.provide(Keyless.layer))
