/**
 * A circuit breaker alone, around any effect: it opens, rejects without calling, asks once whether all is well, and closes.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Data, Effect, Ref, Stream } from "effect"
import { CircuitBreaker } from "effect-integration/policy"

class OutOfPaper extends Data.TaggedError("OutOfPaper")<{}> {}

const program = Effect.gen(function* () {
  const breaker = yield* CircuitBreaker.make("printer", {
    failurePercent: 50,
    minimumCalls: 4,
    window: "10 seconds",
    openFor: "200 millis"
  })
  yield* breaker.transitions.pipe(
    Stream.runForEach((change) => Console.log(`  ${change.from} -> ${change.to} (${change.reason})`)),
    Effect.forkScoped({ startImmediately: true })
  )

  const paper = yield* Ref.make(2)
  const print = Effect.gen(function* () {
    const left = yield* Ref.getAndUpdate(paper, (sheets) => sheets - 1)
    if (left <= 0) return yield* new OutOfPaper()
    yield* Console.log("printed")
  })
  const guarded = print.pipe(
    breaker.execute,
    Effect.catchTags({
      OutOfPaper: () => Console.log("out of paper"),
      CircuitOpen: (open) => Console.log(`not even tried: ${open.message}`)
    })
  )

  // Two pages succeed, two fail: half of four, so the circuit opens, and the other two never reach the printer.
  yield* Effect.repeat(guarded, { times: 5 })

  yield* Ref.set(paper, 100)
  yield* Effect.sleep("250 millis")
  yield* guarded
})

program.pipe(Effect.scoped, NodeRuntime.runMain)
