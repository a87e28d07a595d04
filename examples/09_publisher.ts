/**
 * A publisher: it returns when the broker has the event, and says definitely why not. What is published while a known
 * consumer is away waits for it.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Deferred, Effect, Layer, Schema } from "effect"
import { Channel, Consumer, EventType, MemoryBroker, Publisher } from "effect-integration/event"
import { RequestContext } from "effect-integration/policy"

const OrderPlaced = EventType.make("com.acme.order.placed", {
  source: "https://acme.com/orders",
  data: Schema.Struct({ orderId: Schema.String, cents: Schema.Int })
})
const Orders = Channel.make("orders", [OrderPlaced], { consumers: ["billing"], retention: { maxMessages: 2 } })
const Drafts = Channel.make("drafts", [OrderPlaced])

const billed = Deferred.makeUnsafe<void>()
const Billing = Consumer.make("billing", Orders, {
  handlers: {
    "com.acme.order.placed": ({ data, extensions, id }) =>
      Console.log(`billed ${data.cents} for event ${id}, request ${extensions["requestid"]}`).pipe(
        Effect.andThen(data.orderId === "o-2" ? Deferred.succeed(billed, undefined) : Effect.void)
      )
  }
})

const program = Effect.gen(function* () {
  // The id of the request travels with the event, and is the handler's request id too.
  const first = yield* Publisher.publish(Orders, OrderPlaced, { orderId: "o-1", cents: 4200 }, { id: "e-1" }).pipe(
    RequestContext.withRequestId("req-7")
  )
  yield* Console.log(`published ${first.type} ${first.id} of ${first.source}`)
  yield* Publisher.publish(Orders, OrderPlaced, { orderId: "o-2", cents: 100 }, { id: "e-2", subject: "o-2" })

  const fails = <A, E extends Error, R>(what: string, effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Effect.flip(effect), (error) => Console.log(`${what}: ${error.message}`))
  // The queue takes no more than was designed; a channel without consumers would lose the event; bad data is not sent.
  yield* fails("full", Publisher.publish(Orders, OrderPlaced, { orderId: "o-3", cents: 1 }, { id: "e-3" }))
  yield* fails("nobody", Publisher.publish(Drafts, OrderPlaced, { orderId: "o-4", cents: 1 }, { id: "e-4" }))
  yield* fails("invalid", Publisher.publish(Orders, OrderPlaced, { orderId: "o-5", cents: 0.5 }, { id: "e-5" }))

  // Only now the consumer starts.
  yield* Effect.scoped(Effect.andThen(Layer.build(Billing.layer), Deferred.await(billed)))
})

program.pipe(Effect.provide(MemoryBroker.layer), NodeRuntime.runMain)
