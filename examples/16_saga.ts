/**
 * A saga that fails at each of its steps, and leaves nothing half done. Its engine is of memory, for tests and trials.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { ErrorAction, RetryPolicy } from "effect-integration/policy"
import { Saga, SagaEngine } from "effect-integration/saga"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { sku: Schema.String }) {}
class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {
  readonly errorAction = ErrorAction.retry
}
class NoCourier extends Schema.TaggedError<NoCourier>()("NoCourier", {}) {
  /** It is certain that nothing has left, so there is a way back. */
  readonly outcome = "unprocessed"
}
let busy = 1

const Order = Schema.Struct({ id: Schema.String, sku: Schema.String, country: Schema.String })

const PlaceOrder = Saga.make("place-order", { payload: Order, idempotencyKey: (order) => order.id })
  .step("reserve", {
    success: Schema.String,
    error: OutOfStock,
    run: ({ sku }) =>
      sku === "lamp" ? Effect.fail(new OutOfStock({ sku })) : Effect.as(Console.log(`  reserve ${sku}`), `r-${sku}`),
    // `None`: the step failed, so it is not known whether it has happened.
    compensate: (reservation) =>
      Console.log(`  release ${reservation._tag === "Some" ? reservation.value : "if reserved"}`)
  })
  .step("charge", {
    error: Busy,
    run: (_order, { reserve }) => (busy-- > 0 ? Effect.fail(new Busy()) : Console.log(`  charge for ${reserve}`)),
    retry: RetryPolicy.make({ delays: ["100 millis", "300 millis"] }),
    timeout: "2 seconds",
    compensate: () => Console.log("  refund")
  })
  .step("ship", {
    error: NoCourier,
    run: ({ country }) => (country === "XX" ? Effect.fail(new NoCourier()) : Console.log("  ship")),
    irreversible: "the parcel has left"
  })

const program = Effect.forEach(
  [
    { id: "o-1", sku: "chair", country: "NO" },
    { id: "o-2", sku: "lamp", country: "NO" },
    { id: "o-3", sku: "table", country: "XX" }
  ],
  Effect.fnUntraced(function* (order) {
    yield* Console.log(`${order.id}:`)
    const outcome = yield* PlaceOrder.execute(order)
    const at = outcome._tag === "RolledBack" ? ` at ${outcome.failedStep}: ${outcome.error._tag}` : ""
    yield* Console.log(`  ${outcome._tag}${at}`)
  })
)

program.pipe(Effect.provide(Layer.provideMerge(PlaceOrder.layer, SagaEngine.layerMemory)), NodeRuntime.runMain)
