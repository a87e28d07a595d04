/**
 * The saga of an order that is paid before it is shipped: stock, charge over HTTP, shipment as an event. In the middle its
 * engine stops, as in a deployment, and another one goes on.
 */
import { Context, Effect, FileSystem, Layer, Ref, Schedule, Schema } from "effect"
import { Channel, EventType, Publisher } from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import { Saga } from "effect-integration/saga"
import { SqlSagas } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"
import { Order } from "./orders.ts"
import { Charge, Payments } from "./payments.ts"
import type { Provider } from "./provider.ts"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {}) {}
class NoCourier extends Schema.TaggedError<NoCourier>()("NoCourier", {}) {
  /** Nothing has left yet, so there still is a way back. */
  readonly outcome = "unprocessed"
}

/** What is in the warehouse, by order. Reserving and releasing twice is once. */
class Stock extends Context.Service<Stock, Ref.Ref<ReadonlySet<string>>>()("Stock") {}

const ShipmentOrdered = EventType.make("com.acme.shipment.ordered", {
  source: "https://orders.acme.com",
  data: Schema.Struct({ orderId: Schema.String })
})
const Shipments = Channel.make("shipments", [ShipmentOrdered], { consumers: ["warehouse"] })

export const PlaceOrder = Saga.make("place-order", { payload: Order, idempotencyKey: (order) => order.id })
  .step("reserve", {
    error: OutOfStock,
    run: Effect.fn("reserve")(function* ({ currency, id }) {
      if (currency === "OUT") return yield* new OutOfStock()
      yield* Ref.update(yield* Stock, (reserved) => new Set([...reserved, id]))
    }),
    compensate: (_none, { id }) =>
      Stock.use(Ref.update((reserved) => new Set(Array.from(reserved).filter((each) => each !== id)))),
    service: "stock"
  })
  .step("charge", {
    success: Charge,
    run: ({ id: orderId, ...rest }) =>
      Payments.use((payments) => payments.charges.create({ payload: { orderId, ...rest } })),
    retry: RetryPolicy.make({ delays: ["200 millis", "500 millis", "1 second"] }),
    compensate: (_charge, { id }) => Payments.use((payments) => payments.charges.refund({ payload: { orderId: id } })),
    service: "payments"
  })
  .step("ship", {
    error: NoCourier,
    run: Effect.fn("ship")(function* ({ currency, id }) {
      if (currency === "FAR") return yield* new NoCourier()
      yield* Effect.orDie(Publisher.publish(Shipments, ShipmentOrdered, { orderId: id }))
    }),
    irreversible: "the parcel has left",
    service: "shipments"
  })

/** Mostly good ones; and one for each step that can fail. */
const orders: ReadonlyArray<Order> = Array.from({ length: 24 }, (_, index) => ({
  id: `saga-${index}`,
  tenant: "acme",
  amount: index === 9 ? 0 : 100 + index,
  currency: index === 5 ? "OUT" : index === 13 ? "FAR" : "EUR"
}))

export const run = Effect.fnUntraced(function* (provider: Provider, tell: (text: string) => Effect.Effect<void>) {
  const files = yield* FileSystem.FileSystem
  const filename = `${yield* files.makeTempDirectoryScoped({ prefix: "sagas-" })}/sagas.db`
  const reserved = yield* Ref.make<ReadonlySet<string>>(new Set())
  const engine = PlaceOrder.layer.pipe(
    Layer.provide(Layer.succeed(Stock, reserved)),
    Layer.provideMerge(SqlSagas.layerWith({ takeover: "3 seconds", poll: "100 millis" })),
    Layer.provide(Sqlite.layer({ filename, synchronous: "normal" }))
  )
  const charged = Effect.map(provider.ledger, (ledger) =>
    ledger.filter(({ orderId }) => orderId.startsWith("saga-")).map(({ orderId }) => orderId)
  )

  yield* tell(`\n${orders.length} sagas are started: reserve stock, charge over HTTP, ship by event`)
  yield* Effect.gen(function* () {
    yield* Effect.forEach(orders, PlaceOrder.start, { concurrency: 8, discard: true })
    yield* Effect.repeat(charged, { until: (ids) => ids.length >= 6, schedule: Schedule.spaced("5 millis") })
  }).pipe(Effect.provide(engine, { local: true }))
  yield* tell(
    `their engine stops in the middle, with ${(yield* charged).length} orders charged, and another one goes on`
  )
  const outcomes = yield* Effect.forEach(orders, PlaceOrder.execute, { concurrency: "unbounded" }).pipe(
    Effect.provide(engine, { local: true })
  )

  const booked = yield* charged
  const refunded = yield* provider.refunds
  const shipped = new Set(orders.flatMap(({ id }, index) => (outcomes[index]!._tag === "Completed" ? [id] : [])))
  const kept = yield* Ref.get(reserved)
  const wrong = orders.filter(({ id }) => {
    const charges = booked.filter((each) => each === id).length - (refunded.has(id) ? 1 : 0)
    const wanted = shipped.has(id) ? 1 : 0
    return charges !== wanted || kept.has(id) !== shipped.has(id)
  })
  for (const outcome of outcomes) {
    if (outcome._tag !== "RolledBack") continue
    const undone = outcome.compensated.length === 0 ? "nothing to undo" : `undone: ${outcome.compensated.join(", ")}`
    yield* tell(`  rolled back at ${outcome.failedStep.padEnd(8)} ${tagOf(outcome.error).padEnd(13)} ${undone}`)
  }
  return {
    sagas: orders.length,
    sagasCompleted: shipped.size,
    sagasRolledBack: outcomes.filter(({ _tag }) => _tag === "RolledBack").length,
    sagasInconsistent: wrong.length
  }
})

const tagOf = (error: { readonly _tag: string; readonly tag?: string }): string => error.tag ?? error._tag
