/**
 * What arrives on the channel: each order as an event, one in ten a second time, and messages that no handler can help.
 */
import { Effect, Ref, Result, Schedule, Stream } from "effect"
import { Broker, CloudEvent, Publisher } from "effect-integration/event"
import { type Design, type Order, OrderPlaced } from "./orders.ts"

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

const publish = Effect.fnUntraced(function* (channel: Design["channel"], arrival: Arrival) {
  const broker = yield* Broker.Broker
  switch (arrival._tag) {
    case "Order":
    case "Duplicate": {
      // The same id twice is the same event.
      const { id } = arrival.order
      return yield* Publisher.publish(channel, OrderPlaced, arrival.order, { id, subject: id })
    }
    case "Incomplete": {
      // The publisher would refuse it, so this comes from a producer without one.
      const { amount: _, ...data } = arrival.order
      const { source, type } = OrderPlaced
      const event = CloudEvent.make({ id: data.id, source, type, extensions: { partitionkey: data.tenant }, data })
      return yield* broker.publish(channel, channel.codec.encode(Result.getOrThrow(event), broker.binding))
    }
    case "Garbage":
      return yield* broker.publish(channel, { body: utf8.encode("<order><id>4711</order>"), headers: {} })
  }
})

/** Publishes one after another, some hundred a second, and counts what the broker has confirmed. */
export const publishAll = (channel: Design["channel"], arrivals: ReadonlyArray<Arrival>, published: Ref.Ref<number>) =>
  Stream.fromIterable(arrivals).pipe(
    Stream.schedule(Schedule.spaced("8 millis")),
    Stream.runForEach((arrival) =>
      Effect.andThen(
        publish(channel, arrival),
        Ref.update(published, (count) => count + 1)
      )
    )
  )
