/** A broker of a test file, and what its tests publish and take. */
import { Context, Duration, Effect, Layer, Queue, type Scope } from "effect"
import { Broker, Channel, type Message, type Ordering } from "effect-integration/event"
import { RabbitMqBroker } from "effect-integration/rabbitmq"
import { unique } from "../servers/Servers.ts"

export type Options = Parameters<typeof RabbitMqBroker.layer>[0]
export type Service = Broker.Broker["Service"]
export type Delivery = Broker.Delivery

/** A broker until the scope closes. */
export const connect = (options: Options) =>
  Effect.map(Layer.build(RabbitMqBroker.layer(options)), (context) => Context.get(context, Broker.Broker))

/** A channel of a name that no other has, with the group `g`. */
export const fresh = (options?: Channel.Options<Ordering.Ordering>): Channel.Any =>
  Channel.make(unique("ch"), [], { consumers: ["g"], ...(options as Channel.Options<Ordering.None>) })

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const text = (body: string, rest?: Partial<Message.Message>): Message.Message => ({
  body: encoder.encode(body),
  headers: {},
  ...rest
})

export const read = (delivery: Delivery): string => decoder.decode(delivery.message.body)

export const subscribe = (
  broker: Service,
  channel: Channel.Any,
  options?: Partial<Broker.Subscription>
): Effect.Effect<Queue.Dequeue<Delivery>, unknown, Scope.Scope> =>
  broker.subscribe({ channel, group: "g", prefetch: 10, delays: [], drain: Duration.seconds(5), ...options })

export const ack = (delivery: Delivery) => delivery.settle(Broker.Settlement.Ack())

export const takeAck = (deliveries: Queue.Dequeue<Delivery>) => Effect.tap(Queue.take(deliveries), ack)
