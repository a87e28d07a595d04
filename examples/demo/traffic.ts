/**
 * Traffic without an end: orders arrive as events, some are placed by the saga, and now and then an event is none. Whoever
 * is on call clears the dead letters away.
 */
import { Effect, Random, Ref, Schedule } from "effect"
import { DeadLetters } from "effect-integration/event"
import design from "../orders-to-payments/design.ts"
import { Billing, Orders } from "../orders-to-payments/orders.ts"
import { PlaceOrder } from "../orders-to-payments/placing.ts"
import * as Arrivals from "./arrivals.ts"
import { customerId, type Order, orderId, tenantId } from "./orders.ts"
import { sandbox } from "./provider.ts"

/** Orders a minute at the busiest time, as the design says. */
export const busiest = design.channels.find(({ channel }) => channel === Orders)!.eventsPerMinute!

/** Of so many events the fiftieth lacks its amount; of so many sagas the last has a card that is declined. */
const everyIncomplete = 150
const everyDeclined = 6

/** Orders like those of the day, in any order, with numbers of their own. */
const next = (orders: ReadonlyArray<Order>, numbers: Ref.Ref<number>) =>
  Effect.gen(function* () {
    const number = yield* Ref.updateAndGet(numbers, (count) => count + 1)
    const like = orders[yield* Random.nextIntBetween(0, orders.length, { halfOpen: true })]!
    return [number, { ...like, id: `ord-${30_000_000 + number}` }] as const
  })

const eventually = Schedule.spaced("1 second")

/** Half of what the design expects at most. */
const events = Effect.fnUntraced(function* (orders: ReadonlyArray<Order>) {
  const numbers = yield* Ref.make(0)
  const arrive = Effect.gen(function* () {
    const [number, order] = yield* next(orders, numbers)
    const _tag = number % everyIncomplete === 50 ? "Incomplete" : "Order"
    yield* Effect.retry(Arrivals.publish({ _tag, order }), {
      schedule: eventually,
      while: (error) => error._tag === "PublishError"
    })
  })
  return yield* Effect.repeat(arrive, Schedule.spaced((2 * 60_000) / busiest))
})

const sagas = Effect.fnUntraced(function* (orders: ReadonlyArray<Order>) {
  const numbers = yield* Ref.make(10_000_000)
  const place = Effect.gen(function* () {
    const [number, order] = yield* next(orders, numbers)
    const amount = number % everyDeclined === 0 ? sandbox.declined : order.amount
    const ids = { orderId: orderId(order), tenantId: tenantId(order), customerId }
    yield* PlaceOrder.start({ ...ids, amount, currency: order.currency })
  })
  return yield* Effect.repeat(Effect.retry(place, eventually), Schedule.spaced("5 seconds"))
})

const onCall = Effect.repeat(
  Effect.ignore(DeadLetters.purge(Billing, { where: () => true }), { log: true }),
  Schedule.spaced("90 seconds")
)

/** All of it, until it is interrupted. */
export const run = (orders: ReadonlyArray<Order>) =>
  Effect.all([events(orders), sagas(orders), Effect.andThen(Effect.sleep("90 seconds"), onCall)], {
    concurrency: "unbounded",
    discard: true
  })
