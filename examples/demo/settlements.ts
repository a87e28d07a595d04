/**
 * The settlement worker of the provider: tells on the design's channel what it has booked and what it has given back.
 */
import { Effect, Layer, Schedule, Stream } from "effect"
import { Publisher } from "effect-integration/event"
import { PaymentCaptured, PaymentRefunded, Settlements } from "../orders-to-payments/orders.ts"
import { workerId } from "./orders.ts"
import type { Booking, Provider } from "./provider.ts"

const tell = Effect.fnUntraced(function* ({ charge, refund: reason }: Booking) {
  const { id, orderId, tenantId } = charge
  const ids = { entityId: orderId, tenantId, actorId: workerId, orderId, chargeId: id }
  if (reason === undefined) {
    const captured = { ...ids, previousState: null, newState: "captured" } as const
    return yield* Effect.asVoid(Publisher.publish(Settlements, PaymentCaptured, captured, { id }))
  }
  const refunded = { ...ids, previousState: "captured", newState: "refunded", reason } as const
  yield* Publisher.publish(Settlements, PaymentRefunded, refunded, { id: `${id}-refund` })
})

const unconfirmed = {
  schedule: Schedule.spaced("1 second"),
  while: (error: { readonly _tag: string }) => error._tag === "PublishError"
}

/** Tells again what the broker did not confirm: an event has the same id each time. */
export const layer = (provider: Provider) =>
  Stream.fromQueue(provider.bookings).pipe(
    Stream.runForEach((booking) => Effect.orDie(Effect.retry(tell(booking), unconfirmed))),
    Effect.forkScoped,
    Layer.effectDiscard
  )
