/**
 * The saga of the design: orders that are paid before they are shipped. In the middle its engine stops, as in a deployment,
 * and another one goes on.
 */
import { Effect, Layer, Ref, Schedule } from "effect"
import { type Order, PlaceOrder } from "../orders-to-payments/placing.ts"
import * as Engine from "./engine.ts"
import { customerId, orderId, tenantId } from "./orders.ts"
import { Shipped } from "./others.ts"
import { type Provider, sandbox } from "./provider.ts"
import * as Stock from "./stock.ts"

type Order = typeof Order.Type

const count = 24
const [soldOut, declined, unreadable] = [5, 9, 13]

/** Mostly good ones; one that nothing is left for, one whose card is declined, and one whose receipt nobody can read. */
const orders: ReadonlyArray<Order> = Array.from({ length: count }, (_, index) => ({
  orderId: orderId({ id: `saga-${index}` }),
  tenantId: tenantId({ tenant: "acme-books" }),
  customerId,
  amount: index === declined ? sandbox.declined : index === unreadable ? sandbox.unreadable : 1000 + index,
  currency: "EUR"
}))
const ids = new Set(orders.map((order) => order.orderId))

export const run = Effect.fnUntraced(function* (provider: Provider, tell: (text: string) => Effect.Effect<void>) {
  const engine = PlaceOrder.layer.pipe(Layer.provideMerge(yield* Engine.make))
  const charged = Effect.map(provider.ledger, (ledger) =>
    ledger.flatMap((each) => (ids.has(each.orderId) ? each.orderId : []))
  )

  return yield* Effect.gen(function* () {
    yield* tell(`\n${orders.length} sagas are started: reserve stock, charge over HTTP, ship by event`)
    yield* Effect.gen(function* () {
      yield* Effect.forEach(orders, PlaceOrder.start, { concurrency: 8, discard: true })
      yield* Effect.repeat(charged, { until: (found) => found.length >= 6, schedule: Schedule.spaced("10 millis") })
    }).pipe(Effect.provide(engine, { local: true }))
    yield* tell(
      `their engine stops in the middle, with ${(yield* charged).length} orders charged, and another one goes on`
    )
    const outcomes = yield* Effect.forEach(orders, PlaceOrder.execute, { concurrency: "unbounded" }).pipe(
      Effect.provide(engine, { local: true })
    )
    for (const outcome of outcomes) {
      if (outcome._tag !== "RolledBack") continue
      const undone = outcome.compensated.length === 0 ? "nothing to undo" : `undone: ${outcome.compensated.join(", ")}`
      yield* tell(`  rolled back at ${outcome.failedStep.padEnd(8)} ${tagOf(outcome.error).padEnd(16)} ${undone}`)
    }

    const completed = orders.filter((_, index) => outcomes[index]!._tag === "Completed").map((order) => order.orderId)
    const shipped = yield* Effect.repeat(Effect.flatMap(Shipped, Ref.get), {
      until: (found) => completed.every((id) => found.has(id)),
      schedule: Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(600)])
    })
    const reserved = yield* Effect.flatMap(Stock.Reserved, Ref.get)
    const booked = yield* charged
    const refunded = yield* provider.refunds
    const wrong = orders.filter(({ orderId: id }) => {
      const charges = booked.filter((each) => each === id).length - (refunded.has(id) ? 1 : 0)
      return charges !== (shipped.has(id) ? 1 : 0) || reserved.has(id) !== shipped.has(id)
    })
    return {
      sagas: orders.length,
      sagasCompleted: completed.length,
      sagasRolledBack: outcomes.filter(({ _tag }) => _tag === "RolledBack").length,
      sagasInconsistent: wrong.length
    }
  }).pipe(Effect.provide(Stock.layer(new Set([orders[soldOut]!.orderId]))))
})

const tagOf = (error: { readonly _tag: string; readonly tag?: string }): string => error.tag ?? error._tag
