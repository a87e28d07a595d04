/** The events that tests of consumers are about, and what they use to look at a consumer at work. */
import { Data, Effect, Ref, Schema } from "effect"
import { Channel, EventType, Ordering, Publisher } from "effect-integration/event"
import { ErrorAction } from "effect-integration/policy"

export const Order = Schema.Struct({ id: Schema.String, tenant: Schema.String, amount: Schema.Int })
export type Order = typeof Order.Type

export const OrderPlaced = EventType.make("com.acme.order.placed", { source: "https://acme.com/orders", data: Order })
export const OrderCancelled = EventType.make("com.acme.order.cancelled", {
  source: "https://acme.com/orders",
  data: Schema.Struct({ id: Schema.String, tenant: Schema.String })
})

export const Orders = Channel.make("orders", [OrderPlaced])
export const Ordered = Channel.make("ordered", [OrderPlaced], {
  ordering: Ordering.strict("tenant"),
  partitions: 2,
  consumers: ["billing"]
})

export class Overloaded extends Data.TaggedError("Overloaded")<{}> {
  readonly errorAction = ErrorAction.retry
}
export class Refused extends Data.TaggedError("Refused")<{}> {
  readonly errorAction = ErrorAction.make("fail", { notify: "escalate" })
}
export class AlreadyDone extends Data.TaggedError("AlreadyDone")<{}> {
  readonly errorAction = ErrorAction.skip
}
export class Down extends Data.TaggedError("Down")<{}> {
  readonly errorAction = ErrorAction.make("retry", { outage: true })
  readonly outcome = "unprocessed"
}

export const order = (id: string, tenant = "t-1"): Order => ({ id, tenant, amount: 1 })

export const place = (id: string, tenant?: string) => Publisher.publish(Orders, OrderPlaced, order(id, tenant), { id })
export const placeOrdered = (id: string, tenant: string) =>
  Publisher.publish(Ordered, OrderPlaced, order(id, tenant), { id })

/** Remembers what happened, in order. */
export const journal = Effect.map(Ref.make<ReadonlyArray<string>>([]), (ref) => ({
  add: (line: string) => Ref.update(ref, (lines) => [...lines, line]),
  all: Ref.get(ref)
}))
