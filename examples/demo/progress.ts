/**
 * How far billing is: what a person on call would want to see.
 */
import { Effect, Ref, Schedule } from "effect"
import { Consumers, DeadLetters, Parking } from "effect-integration/event"
import { Billing, Orders } from "../orders-to-payments/orders.ts"
import * as Numbers from "./numbers.ts"

export interface Progress {
  readonly published: number
  readonly handled: number
  readonly duplicates: number
  /** Messages that are at the broker. */
  readonly waiting: number
  /** Messages of tenants whose first one must be tried again later. */
  readonly parked: number
  readonly deadLettered: number
  /** `running`, or why it is not. */
  readonly consumer: string
}

export const read = Effect.fnUntraced(function* (published: Ref.Ref<number>) {
  const parking = yield* Parking.Parking
  const keys = yield* parking.keys(`${Orders.name}/${Billing.name}`, Orders.partitions * 8)
  const parked = keys.reduce((total, key) => total + key.parked, 0)
  const numbers = yield* Numbers.deliveries(Billing.name)
  const status = (yield* Consumers.all).find((each) => each.name === Billing.name)
  const count = yield* Ref.get(published)
  const progress: Progress = {
    published: count,
    handled: numbers.handled,
    // Parking keeps an event once, so it skips duplicates as well.
    duplicates: numbers.duplicates + Math.max(numbers.parked - parked - numbers.workedOff, 0),
    waiting: Math.max(count - numbers.taken, 0),
    parked,
    deadLettered: numbers.deadLettered,
    consumer: [status?.state ?? "not there", status?.reason ?? ""].filter(Boolean).join(": ")
  }
  return progress
})

/** Waits until everything that was published is handled, skipped or dead, and the dead letters are where they belong. */
export const settled = Effect.fnUntraced(function* (published: Ref.Ref<number>, replayed: number) {
  const isSettled = Effect.gen(function* () {
    const { deadLettered, parked, waiting } = yield* read(published)
    if (waiting + parked > 0) return false
    return (yield* DeadLetters.count(Billing)) === deadLettered - replayed
  })
  yield* Effect.repeat(isSettled, { until: (yes) => yes, schedule: Schedule.spaced("100 millis") })
})
