/**
 * The stock service: what is reserved, by order. Reserving and releasing twice is once.
 */
import { Context, Effect, Layer, Ref } from "effect"
import { OutOfStock, Stock } from "../orders-to-payments/placing.ts"

/** The orders that something is reserved for. */
export class Reserved extends Context.Service<Reserved, Ref.Ref<ReadonlySet<string>>>()("Reserved") {}

/** Nothing is left of what these orders ask for. */
export const layer = (soldOut: ReadonlySet<string>): Layer.Layer<Stock | Reserved> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const reserved = yield* Ref.make<ReadonlySet<string>>(new Set())
      const stock = Stock.of({
        reserve: Effect.fnUntraced(function* (orderId) {
          if (soldOut.has(orderId)) return yield* new OutOfStock()
          yield* Ref.update(reserved, (orders) => new Set(orders).add(orderId))
          return `reservation of ${orderId}`
        }),
        release: (orderId) =>
          Ref.update(reserved, (orders) => new Set(Array.from(orders).filter((each) => each !== orderId)))
      })
      return Context.make(Stock, stock).pipe(Context.add(Reserved, reserved))
    })
  )
