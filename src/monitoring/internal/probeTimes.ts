import * as Clock from "effect/Clock"
import * as Cron from "effect/Cron"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as Option from "../../internal/option.ts"

/** When probes are due. */
export interface Times {
  /** Of a cron expression the longest of its pauses. */
  readonly every: Duration.Duration
  /** Milliseconds from now until the first, so many after its time. */
  readonly first: (offset: number) => Effect.Effect<{
    /** Returns when the next is due. One that was due while another ran is left out. */
    readonly next: Effect.Effect<void>
  }>
}

/** The wall clock may be set meanwhile, so that a long sleep would end at the wrong time. */
const slice = 60_000

const sleepUntil = (at: number, now: () => number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const left = at - now()
    // Times in floating point are never quite equal.
    return left < 0.5
      ? Effect.void
      : Effect.andThen(Effect.sleep(Duration.millis(Math.min(left, slice))), sleepUntil(at, now))
  })

/** In equal steps from the first on, by monotonic time. */
export const ofEvery = (every: Duration.Duration): Times => ({
  every,
  first: (offset) =>
    Effect.map(Clock.Clock, (clock) => {
      const now = () => monotonicMillis(clock)
      const step = Duration.toMillis(every)
      const start = now() + offset
      let due = 0
      return {
        next: Effect.suspend(() => {
          const beat = Math.max(due, Math.ceil((now() - start - 0.5) / step))
          due = beat + 1
          return sleepUntil(start + beat * step, now)
        })
      }
    })
})

/** How many pauses of a cron expression are looked at. */
const pauses = 50

const longestPause = (cron: Cron.Cron): number => {
  let before: number | undefined
  let longest = 0
  let seen = 0
  for (const next of Cron.sequence(cron, 0)) {
    if (before !== undefined) longest = Math.max(longest, next.getTime() - before)
    before = next.getTime()
    if (++seen > pauses) break
  }
  return longest
}

/** Throws `InvalidOption` where the expression is none, or is never due. */
export const ofCron = (where: string, given: string | Cron.Cron): Times => {
  const parsed = typeof given === "string" ? Cron.parse(given, "UTC") : Result.succeed(given)
  const checked = Result.flatMap(parsed, (cron) =>
    Result.try(() => ({ cron, every: Duration.millis(longestPause(cron)) }))
  )
  if (Result.isFailure(checked)) return Option.reject(where, "cron", given, "a cron expression that is due some day")
  const { cron, every } = checked.success
  return {
    every,
    first: (offset) =>
      Effect.map(Clock.Clock, (clock) => {
        const now = () => clock.currentTimeMillisUnsafe()
        return {
          next: Effect.suspend(() => sleepUntil(Cron.next(cron, now() - offset).getTime() + offset, now))
        }
      })
  }
}
