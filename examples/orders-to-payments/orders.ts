/**
 * The events between the order service and the payments provider, and what the order service does with them.
 */
import { Context, type Effect, Schema } from "effect"
import { Channel, Consumer, EventType, Ordering } from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import { Amount, Currency, OrderId, Payments } from "./payments.ts"

export const OrderState = Schema.Literals(["placed", "paid", "refused", "shipped"])

const ids = {
  entityId: "0d6f7a1e-3b52-4c8e-9d0e-5a1f6b7c8d9e",
  tenantId: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
  actorId: "5b0f3a5e-8a0c-4f6e-9a53-6f2f4f1d9c11",
  orderId: "0d6f7a1e-3b52-4c8e-9d0e-5a1f6b7c8d9e"
}

/** An order is charged by whoever handles this. */
export const OrderPlaced = EventType.make("com.acme.order.placed", {
  source: "https://orders.acme.com/orders",
  dataschema: "https://orders.acme.com/schemas/order-placed/2",
  data: Schema.Struct({
    ...EventType.entity,
    orderId: OrderId,
    amount: Amount,
    currency: Currency,
    ...EventType.stateChange(OrderState)
  }).annotate({
    examples: [{ ...ids, amount: 4200, currency: "EUR", previousState: null, newState: "placed" }]
  }),
  previous: {
    "https://orders.acme.com/schemas/order-placed/1": EventType.version(
      Schema.Struct({ ...EventType.entity, orderId: OrderId, euros: Schema.Int }),
      ({ euros, ...rest }) => ({
        ...rest,
        amount: euros * 100,
        currency: "EUR" as const,
        previousState: null,
        newState: "placed" as const
      })
    )
  }
})

const settled = {
  ...EventType.entity,
  orderId: OrderId,
  chargeId: Schema.String.annotate({ description: "id of the charge", examples: ["ch_1042"] }),
  ...EventType.stateChange(Schema.Literals(["captured", "pending", "refunded"]))
}
const charged = { ...ids, chargeId: "ch_1042" }

export const PaymentCaptured = EventType.make("com.acme.payment.captured", {
  source: "https://payments.acme.com/charges",
  data: Schema.Struct(settled).annotate({
    examples: [{ ...charged, previousState: "pending", newState: "captured" }]
  })
})
export const PaymentRefunded = EventType.make("com.acme.payment.refunded", {
  source: "https://payments.acme.com/refunds",
  data: Schema.Struct({
    ...settled,
    reason: Schema.String.annotate({ description: "for the statement of account" })
  }).annotate({
    examples: [{ ...charged, previousState: "captured", newState: "refunded", reason: "out of stock" }]
  })
})

export const ShipmentOrdered = EventType.make("com.acme.shipment.ordered", {
  source: "https://orders.acme.com/shipments",
  data: Schema.Struct({ ...EventType.entity, orderId: OrderId, ...EventType.stateChange(OrderState) }).annotate({
    examples: [{ ...ids, previousState: "paid", newState: "shipped" }]
  })
})

/** One tenant's orders are charged in the order in which they were placed. */
export const Orders = Channel.make("orders", [OrderPlaced], {
  ordering: Ordering.strict("tenantId"),
  partitions: 8,
  retention: { maxAge: "7 days", maxMessages: 1_000_000 },
  consumers: ["billing"],
  deadLetters: { maxAge: "30 days" },
  acceptableLag: "15 minutes"
})

export const Settlements = Channel.make("settlements", [PaymentCaptured, PaymentRefunded], {
  ordering: Ordering.bestEffort,
  retention: "7 days",
  consumers: ["order-status", "reporting"],
  deadLetters: { maxAge: "30 days" },
  acceptableLag: "5 minutes"
})

export const Shipments = Channel.make("shipments", [ShipmentOrdered], {
  retention: "7 days",
  consumers: ["warehouse"],
  deadLetters: { maxAge: "30 days" },
  unknownEvents: "ignore"
})

/** Where orders are kept. */
export class OrderBook extends Context.Service<
  OrderBook,
  { readonly settle: (orderId: string, state: "paid" | "refused") => Effect.Effect<void> }
>()("OrderBook") {}

/** Charges what was ordered. The idempotency key is derived from the event, so a redelivered order is charged once. */
export const Billing = Consumer.make("billing", Orders, {
  handlers: {
    "com.acme.order.placed": ({ data: { amount, currency, orderId, tenantId } }) =>
      Payments.use((payments) => payments.charges.create({ payload: { orderId, tenantId, amount, currency } }))
  },
  retry: RetryPolicy.make({ delays: ["1 second", "10 seconds", "1 minute", "10 minutes"] }),
  dedup: { window: "60 days" }
})

/** The order's new state and the mark of the event are written in one transaction. */
export const OrderStatus = Consumer.make("order-status", Settlements, {
  handlers: {
    "com.acme.payment.captured": ({ data }) => OrderBook.use((book) => book.settle(data.orderId, "paid")),
    "com.acme.payment.refunded": ({ data }) => OrderBook.use((book) => book.settle(data.orderId, "refused"))
  },
  retry: RetryPolicy.make({ delays: ["1 second", "10 seconds", "1 minute"] }),
  dedup: { window: "60 days", mode: "transactional" },
  timeout: "10 seconds"
})
