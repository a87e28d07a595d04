/** Our broker, and consumers on it. */
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { Broker } from "../../../src/event/Broker.ts"
import type * as Channel from "../../../src/event/Channel.ts"
import * as Consumer from "../../../src/event/Consumer.ts"
import * as DedupStore from "../../../src/event/DedupStore.ts"
import type { Message } from "../../../src/event/Message.ts"
import * as Parking from "../../../src/event/Parking.ts"
import * as Publisher from "../../../src/event/Publisher.ts"
import * as RabbitMqBroker from "../../../src/rabbitmq/RabbitMqBroker.ts"
import { type channelOf, group, inFlight, order, OrderPlaced, type orderedChannelOf } from "./orders.ts"
import { ending } from "./peer.ts"

type Unordered = ReturnType<typeof channelOf>
type Ordered = ReturnType<typeof orderedChannelOf>

export const connect = (url: string) =>
  Effect.map(Layer.build(RabbitMqBroker.layer({ url })), (context) => Context.get(context, Broker))

/** So many workers that publish one after another. */
const lanes = (
  count: number,
  call: (index: number) => Effect.Effect<unknown, unknown>
): Effect.Effect<void, unknown> => {
  let next = 0
  const lane = Effect.whileLoop({
    while: () => next < count,
    body: () => call(next++),
    step: () => undefined
  })
  return Effect.forEach(Array.from({ length: inFlight }), () => lane, { concurrency: "unbounded", discard: true })
}

export const publish = (
  broker: Broker["Service"],
  channel: Channel.Any,
  count: number,
  message: (index: number) => Message
): Promise<void> => Effect.runPromise(lanes(count, (index) => broker.publish(channel, message(index))))

/** From the data on: id, time, schema, CloudEvent. */
export const publishData = (broker: Broker["Service"], channel: Unordered, count: number): Promise<void> =>
  Effect.runPromise(
    Effect.provideService(
      lanes(count, (index) => Publisher.publish(channel, OrderPlaced, order(index)) as Effect.Effect<unknown, unknown>),
      Broker,
      broker
    )
  )

const consumerOf = (channel: Unordered | Ordered, window: "2 seconds" | "5 seconds", handled: () => void) => {
  const options = {
    handlers: { [OrderPlaced.type]: () => Effect.sync(handled) },
    prefetch: inFlight,
    dedup: { window }
  } as const
  return channel.ordering._tag === "Strict"
    ? Consumer.make(group, channel as Ordered, options).layer
    : Consumer.make(group, channel as Unordered, options).layer
}

/** Begins to consume; gives what stops it. */
export const start = async (
  broker: Broker["Service"],
  channel: Unordered | Ordered,
  window: "2 seconds" | "5 seconds",
  handled: () => void
): Promise<() => Promise<void>> => {
  const scope = Scope.makeUnsafe()
  const stores = Layer.mergeAll(DedupStore.layerMemory, Parking.layerMemory, Layer.succeed(Broker, broker))
  const consumer = Layer.provide(consumerOf(channel, window, handled), stores)
  await Effect.runPromise(Layer.buildWithScope(consumer, scope))
  return () => Effect.runPromise(Scope.close(scope, Exit.void))
}

/** As a peer does it. */
export const consume = async (
  broker: Broker["Service"],
  channel: Unordered | Ordered,
  count: number
): Promise<() => Promise<void>> => {
  const { end, ended } = ending()
  let left = count
  const stop = await start(broker, channel, "5 seconds", () => {
    if (--left === 0) end()
  })
  await ended
  return stop
}
