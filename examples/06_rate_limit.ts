/**
 * A rate limit alone: callers wait their turn, and who cannot wait long enough is told so at once.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Duration, Effect } from "effect"
import { RateLimit, RequestContext } from "effect-integration/policy"

const program = Effect.gen(function* () {
  const limit = yield* RateLimit.make("geocoder", { burst: 3, perMinute: 8 })
  const timed = Effect.timed(limit.take).pipe(
    Effect.map(([waited]) => (Duration.toMillis(waited) < 500 ? "at once" : "a second later"))
  )

  // Six at the same moment: three go, the others in the next second, first come first served.
  const six = yield* Effect.all(
    Array.from({ length: 6 }, () => timed),
    { concurrency: "unbounded" }
  )
  yield* Console.log(six.join(", "))

  // Who holds a deadline never waits past it: the answer comes at once, and says when there is room.
  yield* limit.take.pipe(
    RequestContext.withDeadline("100 millis"),
    Effect.catchTag("RateLimitExceeded", (error) => Console.log(`${error.limit} is reached: ${error._tag}`))
  )

  // A provider that asks to be left alone holds back everyone.
  yield* limit.hold("300 millis")
  const [held] = yield* Effect.timed(limit.tryTake.pipe(Effect.flip))
  yield* Console.log(Duration.toMillis(held) < 100 ? "held back, and told without waiting" : "waited")

  for (const status of yield* limit.status) {
    yield* Console.log(`${status.limit}: ${status.remaining} of ${status.quota} left in ${status.windowSeconds} s`)
  }
})

program.pipe(NodeRuntime.runMain)
