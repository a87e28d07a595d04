/**
 * A small design: orders are charged as they are placed, in the order of their tenant.
 */
import { Config, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Channel, Consumer, EventType, Ordering } from "../../src/event/index.ts"
import { Authentication, HttpContract, StatusTable } from "../../src/http/index.ts"
import { CircuitBreaker, RetryPolicy } from "../../src/policy/index.ts"

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

const contract = {
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

export class Payments extends HttpContract.Service<Payments>()("payments", { ...contract, idempotent: true }) {}

export const Order = Schema.Struct({
  id: Schema.String,
  tenant: Schema.String,
  amount: Schema.Int,
  currency: Schema.String
})

export const OrderPlaced = EventType.make("com.acme.order.placed", { source: "https://orders.acme.com", data: Order })

export const channel = Channel.make("orders", [OrderPlaced], {
  ordering: Ordering.strict("tenant"),
  partitions: 8,
  consumers: ["billing"]
})
export const consumer = Consumer.make("billing", channel, {
  handlers: {
    "com.acme.order.placed": ({ data: { id: orderId, ...rest } }) =>
      // The idempotency key is derived from the event, so a redelivered order is charged once.
      Payments.use((payments) => payments.charges.create({ payload: { orderId, ...rest } }))
  },
  retry: RetryPolicy.make({ delays: ["200 millis", "400 millis", "800 millis", "1 second", "1 second"] }),
  dedup: { window: "14 days" },
  prefetch: 512
})
