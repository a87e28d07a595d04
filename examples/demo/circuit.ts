/**
 * The circuit of the contract, as it changes.
 */
import { Effect, Ref, Stream } from "effect"
import { type CircuitBreaker, CircuitBreakers } from "effect-integration/policy"
import { Payments } from "../orders-to-payments/payments.ts"
import type { Outage } from "./outage.ts"

/** Its history, the present state last. That it is open is also what the provider needs to recover. */
export const follow = Effect.fnUntraced(function* (outage: Outage) {
  const history = yield* Ref.make<ReadonlyArray<CircuitBreaker.State["_tag"]>>(["Closed"])
  const add = Effect.fnUntraced(function* ({ to }: CircuitBreaker.Transition) {
    yield* Ref.update(history, (states) => [...states.slice(-20), to])
    if (to === "Open") yield* outage.circuitOpened
  })
  for (const circuit of yield* CircuitBreakers.all) {
    // Alerts are sent through circuits of their own.
    if (circuit.name !== Payments.key) continue
    yield* Effect.forkScoped(Stream.runForEach(circuit.transitions, add), { startImmediately: true })
  }
  return history
})
