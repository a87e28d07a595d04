/**
 * An order that is paid before it is shipped: stock is reserved, the card charged, and the shipment ordered by an event.
 */
import { Context, Effect, Schema } from "effect"
import { Publisher } from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import { Saga } from "effect-integration/saga"
import { ShipmentOrdered, Shipments } from "./orders.ts"
import { Amount, Charge, Currency, OrderId, Payments, TenantId } from "./payments.ts"

export const Order = Schema.Struct({
  orderId: OrderId,
  tenantId: TenantId,
  customerId: Schema.String.check(Schema.isUUID()),
  amount: Amount,
  currency: Currency
})

export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {}) {
  /** Nothing was reserved, so there is nothing to undo. */
  readonly outcome = "unprocessed"
}

/** The client of the stock service, which speaks gRPC. */
export class Stock extends Context.Service<
  Stock,
  {
    readonly reserve: (orderId: string) => Effect.Effect<string, OutOfStock>
    readonly release: (orderId: string) => Effect.Effect<void>
  }
>()("Stock") {}

export const PlaceOrder = Saga.make("place-order", { payload: Order, idempotencyKey: ({ orderId }) => orderId })
  .step("reserve", {
    success: Schema.String,
    error: OutOfStock,
    run: ({ orderId }) => Stock.use((stock) => stock.reserve(orderId)),
    compensate: (_reservation, { orderId }) => Stock.use((stock) => stock.release(orderId)),
    retry: RetryPolicy.make({ delays: ["500 millis", "2 seconds"] }),
    timeout: "5 seconds",
    service: "Stock",
    description: "reserve what was ordered",
    compensation: "release the reservation; nothing to do where there is none"
  })
  .step("charge", {
    success: Charge,
    error: Payments.errors,
    run: ({ customerId: _, ...charge }) => Payments.use((payments) => payments.charges.create({ payload: charge })),
    compensate: (_charge, { orderId }) =>
      Payments.use((payments) => payments.charges.refund({ payload: { orderId, reason: "order cancelled" } })),
    retry: RetryPolicy.make({ delays: ["5 seconds", "30 seconds", "2 minutes"] }),
    service: "Payments",
    description: "charge the order",
    compensation: "refund what was charged"
  })
  .step("ship", {
    run: ({ customerId, orderId, tenantId }) =>
      Effect.orDie(
        Publisher.publish(
          Shipments,
          ShipmentOrdered,
          { entityId: orderId, tenantId, actorId: customerId, orderId, previousState: "paid", newState: "shipped" },
          { subject: orderId }
        )
      ),
    irreversible: "the warehouse has the order to ship",
    service: "Shipments",
    description: "order the shipment"
  })
