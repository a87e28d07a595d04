/**
 * What arrives on the channel: each order as an event, one in ten a second time, and messages that no handler can help.
 */
import { Effect, Ref, Result, Schedule, Stream } from "effect"
import { Broker, CloudEvent, Publisher } from "effect-integration/event"
import { OrderPlaced, Orders } from "../orders-to-payments/orders.ts"
import { type Order, placed } from "./orders.ts"

export type Arrival =
  | { readonly _tag: "Order"; readonly order: Order }
  | { readonly _tag: "Duplicate"; readonly order: Order }
  /** An event without the amount. */
  | { readonly _tag: "Incomplete"; readonly order: Order }
  /** Bytes that are no event. */
  | { readonly _tag: "Garbage" }

export const plan = (orders: ReadonlyArray<Order>, refused: ReadonlyArray<Order>): ReadonlyArray<Arrival> =>
  orders.flatMap((order, index) => {
    const arrivals: Array<Arrival> = [{ _tag: "Order", order }]
    if (index % 10 === 9) {
      // A producer that was not told repeats itself a little later. An order that was refused would be refused again.
      const earlier = orders.slice(0, index - 4).findLast((each) => !refused.includes(each))
      if (earlier !== undefined) arrivals.push({ _tag: "Duplicate", order: earlier })
    }
    if (index === 11 || index === 33) arrivals.push({ _tag: "Garbage" })
    if (index === 17 || index === 28) arrivals.push({ _tag: "Incomplete", order: { ...order, id: `broken-${index}` } })
    return arrivals
  })

const utf8 = new TextEncoder()

export const publish = Effect.fnUntraced(function* (arrival: Arrival) {
  const broker = yield* Broker.Broker
  switch (arrival._tag) {
    case "Order":
    case "Duplicate": {
      // The same id twice is the same event.
      const { id } = arrival.order
      return yield* Publisher.publish(Orders, OrderPlaced, placed(arrival.order), { id, subject: id })
    }
    case "Incomplete": {
      // The publisher would refuse it, so this comes from a producer without one.
      const { amount: _, ...data } = placed(arrival.order)
      const { source, type } = OrderPlaced
      const extensions = { partitionkey: data.tenantId }
      const event = CloudEvent.make({ id: arrival.order.id, source, type, extensions, data })
      return yield* broker.publish(Orders, Orders.codec.encode(Result.getOrThrow(event), broker.binding))
    }
    case "Garbage":
      return yield* broker.publish(Orders, { body: utf8.encode("<order><id>4711</order>"), headers: {} })
  }
})

/** Publishes one after another, as many a minute as the design expects at most, and counts what the broker has confirmed. */
export const publishAll = (arrivals: ReadonlyArray<Arrival>, published: Ref.Ref<number>, perMinute: number) =>
  Stream.fromIterable(arrivals).pipe(
    Stream.schedule(Schedule.spaced(60_000 / perMinute)),
    Stream.runForEach((arrival) =>
      Effect.andThen(
        publish(arrival),
        Ref.update(published, (count) => count + 1)
      )
    )
  )
