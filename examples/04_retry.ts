/**
 * A retry schedule alone: `RetryPolicy` is a `Schedule`, so `Effect.retry` takes it. It asks the error what to do.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Data, Duration, Effect, Ref } from "effect"
import { ErrorAction, RetryPolicy } from "effect-integration/policy"

class Overloaded extends Data.TaggedError("Overloaded")<{ readonly retryAfter?: Duration.Duration }> {
  readonly errorAction = ErrorAction.wait
}
class CardDeclined extends Data.TaggedError("CardDeclined")<{}> {
  readonly errorAction = ErrorAction.fail
}

const policy = RetryPolicy.make({ delays: ["50 millis", "150 millis", "450 millis"], jitter: "full" })

/** Answers by script, one answer per attempt, and says how it went. */
const charge = Effect.fnUntraced(function* (name: string, script: ReadonlyArray<Overloaded | CardDeclined | "paid">) {
  const attempts = yield* Ref.make(0)
  const attempt = Effect.gen(function* () {
    const answer = script[yield* Ref.getAndUpdate(attempts, (n) => n + 1)] ?? "paid"
    return answer === "paid" ? answer : yield* answer
  })
  const [took, outcome] = yield* attempt.pipe(
    Effect.retry(policy),
    Effect.catch((error) => Effect.succeed(error._tag)),
    Effect.timed
  )
  yield* Console.log(`${name}: ${outcome}, attempts: ${yield* Ref.get(attempts)}`)
  return took
})

const program = Effect.gen(function* () {
  const overloaded = new Overloaded({})
  yield* charge("overloaded twice", [overloaded, overloaded, "paid"])
  yield* charge(
    "never well",
    Array.from({ length: 9 }, () => overloaded)
  )
  // No second attempt helps a declined card, and its action says so.
  yield* charge("declined", [new CardDeclined()])
  // Retry-After is never shortened: the backoff alone would have been 50 ms at most.
  const took = yield* charge("asked to wait", [new Overloaded({ retryAfter: Duration.millis(400) }), "paid"])
  yield* Console.log(`waited as told: ${Duration.toMillis(took) >= 400}`)
})

program.pipe(NodeRuntime.runMain)
