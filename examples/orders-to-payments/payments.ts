/**
 * What the order service and the payments provider have agreed upon: charges and refunds over HTTP.
 */
import { Config, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Authentication, HttpContract, StatusTable } from "effect-integration/http"
import { ErrorAction, RetryPolicy } from "effect-integration/policy"

export const OrderId = Schema.String.check(Schema.isUUID()).annotate({
  description: "id of the order",
  examples: ["0d6f7a1e-3b52-4c8e-9d0e-5a1f6b7c8d9e"]
})
export const TenantId = Schema.String.check(Schema.isUUID()).annotate({
  description: "id of the tenant",
  examples: ["7c9e6679-7425-40de-944b-e07fc1f90ae7"]
})
export const Amount = Schema.Int.check(Schema.isGreaterThan(0)).annotate({
  description: "in the smallest unit of the currency, such as cents",
  examples: [4200]
})
export const Currency = Schema.Literals(["EUR", "USD", "GBP"]).annotate({ description: "ISO 4217" })

export const NewCharge = Schema.Struct({ orderId: OrderId, tenantId: TenantId, amount: Amount, currency: Currency })
export const Charge = Schema.Struct({
  id: Schema.String.annotate({ description: "id of the charge", examples: ["ch_1042"] }),
  ...NewCharge.fields,
  status: Schema.Literals(["captured", "pending"]),
  requestId: Schema.optionalKey(
    Schema.String.annotate({ description: "echo of X-Request-ID", examples: ["6f1d1b9e-8a6c-4c0f-9a43-2f1f0a3d6b52"] })
  )
})
export const NewRefund = Schema.Struct({
  orderId: OrderId,
  reason: Schema.String.annotate({ description: "for the statement of account", examples: ["out of stock"] })
})
/** Nothing is given back for an order that was never charged. */
export const Refund = Schema.Struct({
  refunded: Schema.Boolean.annotate({ description: "whether there was anything to give back" })
})

/** The card was declined: no retry helps, and the order is told so. */
export class PaymentRequired extends StatusTable.Error<PaymentRequired>()("PaymentRequired") {}

export const api = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.post("create", "/v1/charges", { payload: NewCharge, success: Charge }),
    HttpApiEndpoint.get("find", "/v1/charges/:orderId", { params: { orderId: OrderId }, success: Charge }),
    HttpApiEndpoint.post("refund", "/v1/refunds", { payload: NewRefund, success: Refund })
  )
)

export class Payments extends HttpContract.Service<Payments>()("payments", {
  api,
  baseUrl: Config.URL("PAYMENTS_URL"),
  authentication: Authentication.clientCredentials({
    tokenUrl: Config.URL("TOKEN_URL"),
    id: Config.String("CLIENT_ID"),
    secret: Config.Redacted("CLIENT_SECRET"),
    scope: ["charges:write", "refunds:write"]
  }),
  errors: StatusTable.override(StatusTable.standard, {
    402: StatusTable.row(
      PaymentRequired,
      "CARD_DECLINED",
      ErrorAction.make("fail", { log: "info", guidance: "tell the customer" }),
      { outcome: "unprocessed" }
    )
  }),
  idempotent: true,
  retry: RetryPolicy.make({ delays: ["100 millis", "300 millis", "900 millis"], jitter: "full" }),
  breaker: {
    failurePercent: 50,
    minimumCalls: 20,
    window: "10 seconds",
    openFor: "30 seconds",
    probeTimeout: "5 seconds",
    alertAfter: "2 minutes"
  },
  rateLimit: { perMinute: 600, burst: 50, perDay: 100_000 },
  bulkhead: { maxConcurrent: 64, maxQueue: 128 },
  timeouts: { connect: "1 second", read: "1500 millis", attempt: "2 seconds", total: "10 seconds" },
  sourceSystem: "order-service",
  personalData: ["cardholder"]
}) {}
