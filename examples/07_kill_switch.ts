/**
 * A kill switch: an operator stops all calls to one provider by its name, from anywhere in the process.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { CircuitBreakers, Policy } from "effect-integration/policy"

const program = Effect.gen(function* () {
  const policy = yield* Policy.make("newsletter", {
    breaker: { failurePercent: 50, window: "1 minute", openFor: "30 seconds" }
  })
  const send = Console.log("sent").pipe(
    policy,
    Effect.catchTag("CircuitOpen", (open) => Console.log(`${open.reason}: ${open.message}`))
  )
  yield* send

  // The operator's door (an admin route, a signal handler) knows the name and nothing else.
  const stopped = yield* CircuitBreakers.forceOpen("newsletter", { reason: "the mail of today is wrong" })
  yield* Console.log(`${stopped} circuit opened`)
  yield* send

  yield* CircuitBreakers.forceClosed("newsletter")
  yield* send

  // A name that does not exist is an error, and says which there are.
  yield* CircuitBreakers.forceOpen("newsleter", { reason: "a typing mistake" }).pipe(
    Effect.catchTag("NoSuchCircuit", (error) => Console.log(error.message))
  )
})

program.pipe(NodeRuntime.runMain)
