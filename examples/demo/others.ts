/**
 * Those of other teams who read the channels of the design: the warehouse ships, and reporting reports.
 */
import { Context, Effect, Layer, Ref } from "effect"
import { Consumer } from "effect-integration/event"
import { Settlements, Shipments } from "../orders-to-payments/orders.ts"

/** The orders that the warehouse was told to ship. Whoever is told twice ships once. */
export class Shipped extends Context.Service<Shipped, Ref.Ref<ReadonlySet<string>>>()("Shipped") {}

const Warehouse = Consumer.make("warehouse", Shipments, {
  handlers: {
    "com.acme.shipment.ordered": ({ data }) =>
      Shipped.use((shipped) => Ref.update(shipped, (orders) => new Set(orders).add(data.orderId)))
  }
})

const Reporting = Consumer.make("reporting", Settlements, {
  handlers: { "com.acme.payment.captured": () => Effect.void, "com.acme.payment.refunded": () => Effect.void }
})

export const layer = Layer.merge(Warehouse.layer, Reporting.layer).pipe(
  Layer.provideMerge(Layer.effect(Shipped, Ref.make<ReadonlySet<string>>(new Set())))
)
