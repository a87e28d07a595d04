/**
 * The consumer of 08 on RabbitMQ: one layer is another one. `AMQP_URL` names the broker.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Data, Effect, Layer, Queue, Schema } from "effect"
import { Channel, Consumer, DeadLetters, DedupStore, EventType, Publisher } from "effect-integration/event"
import { ErrorAction, RetryPolicy } from "effect-integration/policy"
import { RabbitMqBroker } from "effect-integration/rabbitmq"

class Busy extends Data.TaggedError("Busy")<{}> {
  readonly errorAction = ErrorAction.retry
}
class NoSuchAddress extends Data.TaggedError("NoSuchAddress")<{}> {
  readonly errorAction = ErrorAction.fail
}

let busy = 2
const sent = Effect.runSync(Queue.unbounded<string>())
const send = Effect.fn("send")(function* (to: string) {
  if (to === "nobody") return yield* new NoSuchAddress()
  if (to === "ada" && busy-- > 0) return yield* new Busy()
  yield* Queue.offer(sent, to)
})

const Order = Schema.Struct({ customer: Schema.String })
const OrderPlaced = EventType.make("com.acme.order.placed", { source: "https://acme.com/orders", data: Order })
const Orders = Channel.make("example-13", [OrderPlaced], { consumers: ["mailer"] })
const Mailer = Consumer.make("mailer", Orders, {
  handlers: { "com.acme.order.placed": (event) => send(event.data.customer) },
  retry: RetryPolicy.make({ delays: ["100 millis", "300 millis", "1 second"] }),
  dedup: { window: "14 days" }
})
const broker = RabbitMqBroker.layerConfig({ url: Config.Redacted("AMQP_URL") })
const app = Mailer.layer.pipe(Layer.provide(DedupStore.layerMemory), Layer.provideMerge(broker))

const program = Effect.gen(function* () {
  const place = (id: string, customer: string) => Publisher.publish(Orders, OrderPlaced, { customer }, { id })
  yield* place("o-1", "grace")
  yield* place("o-1", "grace")
  yield* place("o-2", "nobody")
  yield* place("o-3", "ada")
  yield* Console.log(`mails to ${(yield* Queue.takeN(sent, 2)).join(" and ")}`)
  // What is purged is listed, and no later run finds it.
  const [letter] = yield* DeadLetters.purge(Mailer, { where: () => true })
  yield* Console.log(
    `dead: ${letter?.event?.id}, ${letter?.reason} after attempt ${letter?.attempts}: ${letter?.error}`
  )
})

program.pipe(Effect.provide(app), NodeRuntime.runMain)
