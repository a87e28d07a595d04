/**
 * Dead letters: look at them, correct the cause, see what a replay would do, replay, and purge what is beyond help.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Data, Effect, Layer, Queue, Ref, Schedule, Schema } from "effect"
import {
  Channel,
  Consumer,
  DeadLetters,
  DedupStore,
  EventType,
  MemoryBroker,
  Publisher
} from "effect-integration/event"
import { ErrorAction } from "effect-integration/policy"

class UnknownCountry extends Data.TaggedError("UnknownCountry")<{ readonly message: string }> {
  readonly errorAction = ErrorAction.fail
}

const Order = Schema.Struct({ country: Schema.String })
const OrderPlaced = EventType.make("com.acme.order.placed", { source: "https://acme.com/orders", data: Order })
const Orders = Channel.make("orders", [OrderPlaced], { consumers: ["shipping"] })

/** With a gap. */
const countries = Effect.runSync(Ref.make<ReadonlySet<string>>(new Set(["DE", "FR"])))
const shipped = Effect.runSync(Queue.unbounded<string>())
const Shipping = Consumer.make("shipping", Orders, {
  handlers: {
    "com.acme.order.placed": Effect.fn(function* ({ data: { country }, id }) {
      if (!(yield* Ref.get(countries)).has(country)) return yield* new UnknownCountry({ message: country })
      yield* Queue.offer(shipped, id)
    })
  },
  dedup: { window: "14 days" }
})
const app = Shipping.layer.pipe(Layer.provideMerge([MemoryBroker.layer, DedupStore.layerMemory]))
const ids = (letters: ReadonlyArray<DeadLetters.DeadLetter>) => letters.map((letter) => letter.event?.id).join(", ")
const program = Effect.gen(function* () {
  const orders = { "o-1": "DE", "o-2": "NO", "o-3": "FR", "o-4": "XX", "o-5": "NO" }
  for (const [id, country] of Object.entries(orders)) yield* Publisher.publish(Orders, OrderPlaced, { country }, { id })
  yield* Effect.repeat(DeadLetters.count(Shipping), { until: (count) => count === 3, schedule: Schedule.spaced(50) })
  for (const { error, event, reason } of yield* DeadLetters.list(Shipping)) {
    yield* Console.log(`${event?.id} is dead (${reason}): ${error}`)
  }

  yield* Ref.update(countries, (known) => new Set([...known, "NO"]))
  const where = (letter: DeadLetters.DeadLetter) => letter.error.endsWith("NO")
  const dryRun = yield* DeadLetters.replay(Shipping, { where })
  yield* Console.log(`a replay would bring ${ids(dryRun.letters)}; processed meanwhile: ${dryRun.processed.length}`)
  yield* DeadLetters.replay(Shipping, { where, confirm: true })
  yield* Console.log(`shipped: ${(yield* Queue.takeN(shipped, 4)).join(", ")}`)

  const purged = yield* DeadLetters.purge(Shipping, { where: (letter) => letter.error.endsWith("XX") })
  yield* Console.log(`purged: ${ids(purged)}, left: ${yield* DeadLetters.count(Shipping)}`)
})

program.pipe(Effect.provide(app), NodeRuntime.runMain)
