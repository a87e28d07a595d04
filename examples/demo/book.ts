/**
 * The order book: what became of the money of each order, as the order service knows it.
 */
import { Context, Effect, Layer } from "effect"
import { OrderBook } from "../orders-to-payments/orders.ts"

export type Settled = "paid" | "refused"

/** What stands in it. */
export class Entries extends Context.Service<Entries, Effect.Effect<ReadonlyMap<string, Settled>>>()("Entries") {}

/** In the memory of this process, as the stores of the plain demo are. */
export const layerMemory: Layer.Layer<OrderBook | Entries> = Layer.effectContext(
  Effect.sync(() => {
    const book = new Map<string, Settled>()
    const settle = (orderId: string, state: Settled) => Effect.sync(() => void book.set(orderId, state))
    return Context.make(OrderBook, { settle }).pipe(
      Context.add(
        Entries,
        Effect.sync(() => book)
      )
    )
  })
)
