/**
 * The order service's side of the design: its event, the channel, and the consumer that charges what was ordered.
 */
import { Effect, Schema } from "effect"
import { Channel, Consumer, EventType, Ordering } from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import data from "./orders.json" with { type: "json" }
import { Payments } from "./payments.ts"

export const Order = Schema.Struct({
  id: Schema.String,
  tenant: Schema.String,
  amount: Schema.Int,
  currency: Schema.String
})
export type Order = typeof Order.Type

export const available = data.length

export const load = (count: number): Effect.Effect<ReadonlyArray<Order>> =>
  Effect.orDie(Schema.decodeUnknownEffect(Schema.Array(Order))(data.slice(0, count)))

export const OrderPlaced = EventType.make("com.acme.order.placed", { source: "https://orders.acme.com", data: Order })

/** The channel and its consumer. Runs that share a server differ in their suffix. */
export const design = (suffix: string) => {
  const channel = Channel.make(`orders${suffix}`, [OrderPlaced], {
    ordering: Ordering.strict("tenant"),
    partitions: 8,
    consumers: [`billing${suffix}`]
  })
  const consumer = Consumer.make(`billing${suffix}`, channel, {
    handlers: {
      "com.acme.order.placed": ({ data: { id: orderId, ...rest } }) =>
        // The idempotency key is derived from the event, so a redelivered order is charged once.
        Payments.use((payments) => payments.charges.create({ payload: { orderId, ...rest } }))
    },
    retry: RetryPolicy.make({ delays: ["200 millis", "400 millis", "800 millis", "1 second", "1 second"] }),
    dedup: { window: "14 days" },
    // One tenant's orders may pile up: they shall not fill all that is in hand.
    prefetch: 512
  })
  return { channel, consumer }
}
export type Design = ReturnType<typeof design>
