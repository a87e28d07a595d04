/**
 * The order service: charges every order, however long it takes. An order whose call failed goes back to the queue.
 */
import { type Cause, Duration, Effect, Queue, Ref, Schema, Stream } from "effect"
import { Idempotency } from "effect-integration/http"
import type { ErrorAction } from "effect-integration/policy"
import data from "./orders.json" with { type: "json" }
import { Payments } from "./payments.ts"

export const Order = Schema.Struct({
  id: Schema.String,
  tenant: Schema.String,
  amount: Schema.Int,
  currency: Schema.String
})
export type Order = typeof Order.Type

export const available = data.length

export const load = (count: number): Effect.Effect<ReadonlyArray<Order>> =>
  Effect.orDie(Schema.decodeUnknownEffect(Schema.Array(Order))(data.slice(0, count)))

export interface Progress {
  readonly charged: number
  /** Orders that wait before they go back to the queue. */
  readonly waiting: number
  readonly requeued: number
  /** Orders that no repetition can help, with the reason: for people to look at. */
  readonly refused: ReadonlyArray<readonly [Order, string]>
}

export const noProgress: Progress = { charged: 0, waiting: 0, requeued: 0, refused: [] }

/** What an error means to the order. Only what no repetition can help is given up, and a person is told. */
const fate = ({ errorAction }: ErrorAction.Actionable): "charged" | "again" | "refused" =>
  errorAction.kind === "skip" ? "charged" : errorAction.kind === "fail" && !errorAction.outage ? "refused" : "again"

/** As long as the provider or the circuit says; where neither does, a moment. */
const pause = ({ retryAfter = Duration.millis(200) }: ErrorAction.Actionable): Duration.Duration => retryAfter

export const chargeAll = Effect.fn("chargeAll")(function* (
  orders: ReadonlyArray<Order>,
  options: { readonly concurrency: number; readonly progress: Ref.Ref<Progress> }
) {
  const payments = yield* Payments
  const { concurrency, progress } = options
  const queue = yield* Queue.unbounded<Order, Cause.Done>()
  yield* Queue.offerAll(queue, orders)

  const settle = Effect.fnUntraced(function* (change: (self: Progress) => Partial<Progress>) {
    const { charged, refused } = yield* Ref.updateAndGet(progress, (self) => ({ ...self, ...change(self) }))
    if (charged + refused.length === orders.length) yield* Queue.end(queue)
  })
  const charged = settle((self) => ({ charged: self.charged + 1 }))

  const requeue = Effect.fnUntraced(function* (order: Order, after: Duration.Duration) {
    yield* Ref.update(progress, (self) => ({ ...self, waiting: self.waiting + 1, requeued: self.requeued + 1 }))
    yield* Effect.sleep(after)
    yield* Ref.update(progress, (self) => ({ ...self, waiting: self.waiting - 1 }))
    yield* Queue.offer(queue, order)
  })

  const charge = (order: Order) => {
    const { id: orderId, ...rest } = order
    return payments.charges.create({ payload: { orderId, ...rest } }).pipe(
      // An order that comes back from the queue is the same operation, so its key is the same too.
      Idempotency.withKey(orderId),
      Effect.matchEffect({
        onSuccess: () => charged,
        onFailure: (error) => {
          switch (fate(error)) {
            case "charged":
              return charged
            case "again":
              return requeue(order, pause(error))
            case "refused":
              return settle(({ refused }) => ({ refused: [...refused, [order, error.message]] }))
          }
        }
      })
    )
  }

  yield* Stream.fromQueue(queue).pipe(Stream.mapEffect(charge, { concurrency, unordered: true }), Stream.runDrain)
})
