/** The events that tests of consumers are about, and what they use to look at a consumer at work. */
import { Data, Effect, Exit, Layer, Queue, Ref, Schema, Scope } from "effect"
import {
  Broker,
  type BrokerError,
  Channel,
  DedupStore,
  EventType,
  MemoryBroker,
  Ordering,
  Parking,
  Publisher
} from "effect-integration/event"
import { ErrorAction } from "effect-integration/policy"
import { TestClock } from "effect/testing"

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

/** What an event says of itself besides its data. */
export const ids = (lines: ReadonlyArray<string>, key: string) => lines.filter((line) => line.startsWith(key))

/** Lets time pass in steps, so that what one step brings about is there in the next. */
export const pass = (seconds: number, stepMillis = 250) =>
  Effect.forEach(Array.from({ length: Math.ceil((seconds * 1000) / stepMillis) }), () => TestClock.adjust(stepMillis), {
    discard: true
  })

/** The stores in memory, with some of their methods replaced. */
export const parking = (
  change: (real: Parking.Parking["Service"]) => Partial<Parking.Parking["Service"]>
): Layer.Layer<Parking.Parking> =>
  Layer.effect(
    Parking.Parking,
    Effect.map(Parking.Parking, (real) => Parking.Parking.of({ ...real, ...change(real) }))
  ).pipe(Layer.provide(Parking.layerMemory))
export const store = (
  change: (real: DedupStore.DedupStore["Service"]) => Partial<DedupStore.DedupStore["Service"]>
): Layer.Layer<DedupStore.DedupStore> =>
  Layer.effect(
    DedupStore.DedupStore,
    Effect.map(DedupStore.DedupStore, (real) => DedupStore.DedupStore.of({ ...real, ...change(real) }))
  ).pipe(Layer.provide(DedupStore.layerMemory))
export const broker = (
  change: (real: Broker.Broker["Service"]) => Partial<Broker.Broker["Service"]>
): Layer.Layer<Broker.Broker> =>
  Layer.effect(
    Broker.Broker,
    Effect.map(Broker.Broker, (real) => Broker.Broker.of({ ...real, ...change(real) }))
  ).pipe(Layer.provide(MemoryBroker.layer))

export const parkingDown = new Parking.ParkingError({ operation: "be asked", description: "it is down" })
export const storeDown = new DedupStore.DedupStoreError({ operation: "be asked", description: "it is down" })

/** A layer that can be built and closed when the test says so: a process of its own. */
export const start = Effect.fnUntraced(function* <R>(layer: Layer.Layer<never, BrokerError, R>) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* Layer.buildWithScope(layer, scope)
  return { stop: Scope.close(scope, Exit.void) }
})

/** A queue of deliveries, each changed. */
export const mapped = (
  queue: Queue.Dequeue<Broker.Delivery>,
  change: (delivery: Broker.Delivery) => Broker.Delivery
): Effect.Effect<Queue.Dequeue<Broker.Delivery>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const changed = yield* Queue.unbounded<Broker.Delivery>()
    const pump = Effect.forever(Effect.flatMap(Queue.take(queue), (delivery) => Queue.offer(changed, change(delivery))))
    yield* Effect.forkScoped(pump)
    return changed
  })
