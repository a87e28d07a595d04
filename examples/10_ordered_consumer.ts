/**
 * Strict order per key: while one customer's event is tried again, those behind it wait parked, and all others go on.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Data, Effect, Layer, Queue, Schema } from "effect"
import { Channel, Consumer, EventType, MemoryBroker, Ordering, Parking, Publisher } from "effect-integration/event"
import { ErrorAction, RetryPolicy } from "effect-integration/policy"
import * as assert from "node:assert/strict"

class Locked extends Data.TaggedError("Locked")<{}> {
  readonly errorAction = ErrorAction.retry
}

const Moved = EventType.make("com.acme.stock.moved", {
  source: "https://acme.com/stock",
  data: Schema.Struct({ item: Schema.String, step: Schema.Int })
})
const Stock = Channel.make("stock", [Moved], {
  ordering: Ordering.strict("item"),
  partitions: 4,
  consumers: ["ledger"]
})

/** The first lamp can be booked only at the third attempt. */
let locked = 2
const booked = Effect.runSync(Queue.unbounded<string>())
const Ledger = Consumer.make("ledger", Stock, {
  handlers: {
    "com.acme.stock.moved": Effect.fn(function* ({ data: { item, step } }) {
      if (item === "lamp" && locked-- > 0) return yield* new Locked()
      yield* Queue.offer(booked, `${item} ${step}`)
    })
  },
  retry: RetryPolicy.make({ delays: ["200 millis", "400 millis"] })
})
const app = Ledger.layer.pipe(Layer.provide(Parking.layerMemory), Layer.provideMerge(MemoryBroker.layer))

const program = Effect.gen(function* () {
  for (const step of [1, 2, 3]) {
    for (const item of ["lamp", "desk", "sofa"]) yield* Publisher.publish(Stock, Moved, { item, step })
  }
  const order = yield* Queue.takeN(booked, 9)
  yield* Console.log(order.join(", "))
  const stepsOf = (item: string) => order.filter((each) => each.startsWith(item))
  for (const item of ["lamp", "desk", "sofa"]) {
    assert.deepEqual(stepsOf(item), [`${item} 1`, `${item} 2`, `${item} 3`])
  }
  assert.equal(
    order.findIndex((each) => each.startsWith("lamp")),
    6
  )
  yield* Console.log("each item in order, and nobody waited for the lamp")
})

program.pipe(Effect.provide(app), NodeRuntime.runMain)
