/**
 * The story: orders arrive and are charged through the outage; then the dead letters are looked at, and replayed.
 */
import { Clock, Effect, Fiber, Ref, Stream } from "effect"
import { DeadLetters } from "effect-integration/event"
import { type CircuitBreaker, CircuitBreakers } from "effect-integration/policy"
import * as Arrivals from "./arrivals.ts"
import type * as Backend from "./backend.ts"
import * as Letters from "./letters.ts"
import * as Numbers from "./numbers.ts"
import type { Design, Order } from "./orders.ts"
import type { Outage } from "./outage.ts"
import * as Placing from "./placing.ts"
import * as Progress from "./progress.ts"
import type { Provider } from "./provider.ts"
import * as Summary from "./summary.ts"
import * as Terminal from "./terminal.ts"

/** Follows the circuit: its history is shown, and that it is open is what the provider needs to recover. */
const followCircuit = Effect.fnUntraced(function* (outage: Outage) {
  const history = yield* Ref.make<ReadonlyArray<CircuitBreaker.State["_tag"]>>(["Closed"])
  const follow = Effect.fnUntraced(function* ({ to }: CircuitBreaker.Transition) {
    yield* Ref.update(history, (states) => [...states, to])
    if (to === "Open") yield* outage.circuitOpened
  })
  for (const circuit of yield* CircuitBreakers.all) {
    yield* Effect.forkScoped(Stream.runForEach(circuit.transitions, follow), { startImmediately: true })
  }
  return history
})

export interface Options {
  readonly orders: ReadonlyArray<Order>
  /** Those of them that the provider refuses until its limit is lifted. */
  readonly refused: ReadonlyArray<Order>
  readonly design: Design
  readonly backend: Backend.Options
  readonly outage: Outage
  readonly provider: Provider
  readonly silent: boolean
  readonly warnings: ReadonlyArray<string>
}

export const run = Effect.fnUntraced(function* (options: Options) {
  const { backend, design, orders, outage, provider, refused, silent, warnings } = options
  const published = yield* Ref.make(0)
  const start = yield* Clock.currentTimeMillis
  const elapsed = Effect.map(Clock.currentTimeMillis, (now) => now - start)
  const tell = (text: string) => (silent ? Effect.void : Terminal.write(`${text}\n`))

  const view = Effect.all({
    total: Effect.succeed(orders.length),
    phase: outage.phase,
    progress: Effect.orDie(Progress.read(design, published)),
    calls: Numbers.calls("payments"),
    circuit: Ref.get(yield* followCircuit(outage)),
    warnings: Effect.succeed(warnings),
    seconds: Effect.map(elapsed, (millis) => millis / 1000)
  })
  const dashboard = yield* Effect.forkScoped(silent ? Effect.never : Terminal.show(view))
  const arrivals = Arrivals.plan(orders, refused)
  yield* Arrivals.publishAll(design.channel, arrivals, published)
  yield* Progress.settled(design, published, 0)
  yield* Fiber.interrupt(dashboard)

  const dead = yield* DeadLetters.list(design.consumer)
  yield* tell(Letters.list("dead letters", dead))
  yield* tell("\nthe provider lifts its limit, so what it has refused can be charged")
  yield* provider.liftLimit
  const replayed = yield* Letters.replay(design, tell)
  yield* Ref.update(published, (count) => count + replayed.length)
  yield* Progress.settled(design, published, replayed.length)
  const left = yield* DeadLetters.list(design.consumer)
  yield* tell(Letters.list("dead letters that stay", left))

  const numbers = yield* Numbers.calls("payments")
  const placed = yield* Placing.run(provider, tell)

  const ids = new Set(orders.map(({ id }) => id))
  const count = (tag: Arrivals.Arrival["_tag"]) => arrivals.filter((arrival) => arrival._tag === tag).length
  return Summary.make(
    orders,
    (yield* provider.ledger).filter(({ orderId }) => ids.has(orderId)),
    new Set(replayed.flatMap((letter) => letter.event?.id ?? [])),
    numbers,
    {
      ...backend,
      ...placed,
      duplicatesInjected: count("Duplicate"),
      duplicatesSkipped: (yield* Progress.read(design, published)).duplicates,
      poisonInjected: count("Garbage") + count("Incomplete") + refused.length,
      poisonFound: dead.length,
      deadLettersLeft: left.length,
      durationMs: Math.round(yield* elapsed)
    }
  )
})
