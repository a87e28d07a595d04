/**
 * A consumer with retry, dead letters and dedup on the embedded broker. The handler's typed error decides what happens.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Data, Effect, Layer, Queue, Schema } from "effect"
import {
  Channel,
  Consumer,
  DeadLetters,
  DedupStore,
  EventType,
  MemoryBroker,
  Publisher
} from "effect-integration/event"
import { ErrorAction, RetryPolicy } from "effect-integration/policy"

class Busy extends Data.TaggedError("Busy")<{}> {
  readonly errorAction = ErrorAction.retry
}
class NoSuchAddress extends Data.TaggedError("NoSuchAddress")<{}> {
  readonly errorAction = ErrorAction.fail
}

let busy = 2
const sent = Effect.runSync(Queue.unbounded<string>())
/** A mail server that is busy at first, and does not know everybody. */
const send = Effect.fn("send")(function* (to: string) {
  if (to === "nobody") return yield* new NoSuchAddress()
  if (to === "ada" && busy-- > 0) return yield* new Busy()
  yield* Queue.offer(sent, to)
})

const Order = Schema.Struct({ customer: Schema.String })
const OrderPlaced = EventType.make("com.acme.order.placed", { source: "https://acme.com/orders", data: Order })
const Orders = Channel.make("orders", [OrderPlaced], { consumers: ["mailer"] })
const Mailer = Consumer.make("mailer", Orders, {
  handlers: { "com.acme.order.placed": (event) => send(event.data.customer) },
  retry: RetryPolicy.make({ delays: ["100 millis", "300 millis", "1 second"] }),
  dedup: { window: "14 days" }
})
const app = Mailer.layer.pipe(Layer.provide(DedupStore.layerMemory), Layer.provideMerge(MemoryBroker.layer))

const program = Effect.gen(function* () {
  const place = (id: string, customer: string) => Publisher.publish(Orders, OrderPlaced, { customer }, { id })
  yield* place("o-1", "grace")
  // The same event once more: its mail is not sent again.
  yield* place("o-1", "grace")
  yield* place("o-2", "nobody")
  yield* place("o-3", "ada")
  yield* Console.log(`mails to ${(yield* Queue.takeN(sent, 2)).join(" and ")}`)
  const [letter] = yield* DeadLetters.list(Mailer)
  yield* Console.log(
    `dead: ${letter?.event?.id}, ${letter?.reason} after attempt ${letter?.attempts}: ${letter?.error}`
  )
})

program.pipe(Effect.provide(app), NodeRuntime.runMain)
