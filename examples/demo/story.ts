/**
 * The story: orders arrive and are charged through the outage; then the dead letters are looked at, and replayed; then
 * orders are placed by the saga.
 */
import { Clock, Console, Effect, Fiber, Layer, Logger, Ref, Schedule } from "effect"
import { DeadLetters } from "effect-integration/event"
import { Alerts } from "effect-integration/monitoring"
import { Billing } from "../orders-to-payments/orders.ts"
import * as Alerting from "./alerting.ts"
import * as App from "./app.ts"
import * as Arrivals from "./arrivals.ts"
import type * as Backend from "./backend.ts"
import { Entries } from "./book.ts"
import * as Circuit from "./circuit.ts"
import * as Wall from "./clock.ts"
import { keepWarnings } from "./dashboard.ts"
import * as Letters from "./letters.ts"
import * as Numbers from "./numbers.ts"
import * as Orders from "./orders.ts"
import * as Outage from "./outage.ts"
import * as Placing from "./placing.ts"
import * as Progress from "./progress.ts"
import * as Provider from "./provider.ts"
import * as Readings from "./readings.ts"
import * as Summary from "./summary.ts"
import { table } from "./table.ts"
import { terms } from "./terms.ts"
import * as Terminal from "./terminal.ts"
import { busiest } from "./traffic.ts"

export interface Options {
  readonly orders: number
  readonly backend: Backend.Options
  readonly keyless: boolean
  readonly json: boolean
  readonly speed: number
}

/** Waits, within reason, until the order book knows of every order that the provider has booked. */
const bookedInFull = Effect.fnUntraced(function* (orders: ReadonlyArray<Orders.Order>) {
  const paid = Effect.map(
    Effect.flatten(Entries),
    (book) => orders.filter((order) => book.get(Orders.orderId(order)) === "paid").length
  )
  return yield* Effect.repeat(paid, {
    until: (count) => count === orders.length,
    schedule: Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(600)])
  })
})

export const run = Effect.fnUntraced(function* ({ backend, json, keyless, orders: count, speed }: Options) {
  const orders = yield* Orders.load(count)
  // Three orders are larger than what was agreed with the provider.
  const [first, second, third, fourth] = orders.toSorted((a, b) => b.amount - a.amount)
  const refused = [first!, second!, third!]
  const outage = yield* Outage.make(Outage.badDay(count))
  const provider = yield* Provider.make(outage, { limit: fourth!.amount })
  const warnings: Array<string> = []
  const tell = (text: string) => (json ? Effect.void : Terminal.write(`${text}\n`))

  const story = Effect.gen(function* () {
    const published = yield* Ref.make(0)
    const [start, startOnTheWall] = yield* Effect.all([Clock.currentTimeMillis, Wall.millisOnTheWall])
    const view = Effect.all({
      total: Effect.succeed(orders.length),
      phase: outage.phase,
      progress: Effect.orDie(Progress.read(published)),
      calls: Numbers.calls("payments"),
      readings: Readings.read,
      circuit: Ref.get(yield* Circuit.follow(outage)),
      alerts: Ref.get(yield* Alerting.follow(20)),
      firing: Alerts.Alerts.use(({ firing }) => Effect.map(firing, (alerts) => alerts.length)),
      warnings: Effect.succeed(warnings),
      seconds: Effect.map(Clock.currentTimeMillis, (now) => (now - start) / 1000),
      speed: Effect.succeed(speed)
    })
    yield* tell(terms(speed))
    const dashboard = yield* Effect.forkScoped(json ? Effect.never : Terminal.show(view))
    const arrivals = Arrivals.plan(orders, refused)
    yield* Arrivals.publishAll(arrivals, published, busiest)
    yield* Progress.settled(published, 0)
    yield* Fiber.interrupt(dashboard)

    const dead = yield* DeadLetters.list(Billing)
    yield* tell(Letters.list("dead letters", dead))
    yield* tell("\nthe provider lifts its limit, so what it has refused can be charged")
    yield* provider.liftLimit
    const replayed = yield* Letters.replay(tell)
    yield* Ref.update(published, (count) => count + replayed.length)
    yield* Progress.settled(published, replayed.length)
    const left = yield* DeadLetters.list(Billing)
    yield* tell(Letters.list("dead letters that stay", left))

    const numbers = yield* Numbers.calls("payments")
    // There is nothing to wait for, but a database to write to, which does not become faster with the clock.
    yield* Wall.slowDown(2)
    const placed = yield* Placing.run(provider, tell)
    const sagas = (yield* Readings.read).series("sagas", "place-order")
    yield* tell(`  sagas by outcome: ${sagas.map(([outcome, ended]) => `${outcome} ${ended}`).join(", ")}`)
    const arrived = (tag: Arrivals.Arrival["_tag"]) => arrivals.filter((arrival) => arrival._tag === tag).length
    return Summary.make(
      orders.map((order) => ({ orderId: Orders.orderId(order), tenantId: Orders.tenantId(order) })),
      yield* provider.ledger,
      new Set(replayed.flatMap(({ event }) => (event === undefined ? [] : Orders.orderId(event)))),
      numbers,
      {
        ...backend,
        ...placed,
        paid: yield* bookedInFull(orders),
        duplicatesInjected: arrived("Duplicate"),
        duplicatesSkipped: (yield* Progress.read(published)).duplicates,
        poisonInjected: arrived("Garbage") + arrived("Incomplete") + refused.length,
        poisonFound: dead.length,
        deadLettersLeft: left.length,
        speed,
        designMs: (yield* Clock.currentTimeMillis) - start,
        durationMs: Math.round((yield* Wall.millisOnTheWall) - startOnTheWall)
      }
    )
  })

  const app = Layer.provideMerge(App.layer({ backend, provider, keyless }), Logger.layer([keepWarnings(warnings)]))
  const summary = yield* Effect.provide(story, app)
  yield* Console.log(json ? JSON.stringify(summary) : table(summary))
  if (Summary.faults(summary).length > 0) return yield* new Summary.NotExactlyOnce({ summary })
})
