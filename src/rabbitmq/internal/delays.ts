import * as Duration from "effect/Duration"
import * as Option from "../../internal/option.ts"

/** What RabbitMQ takes for a time to live, in milliseconds. */
export const longestTimeToLive = 2 ** 32 - 1

/** For subscriptions that name no delays: 1 s, 10 s, 1 min, 10 min, 1 h. */
const ladder: ReadonlyArray<number> = [1_000, 10_000, 60_000, 600_000, 3_600_000]

/** Each rung is a queue (for each partition). */
const mostRungs = 32

/** The delays of a subscription in whole milliseconds, rising. Throws `InvalidOption`. */
export const rungsOf = (delays: ReadonlyArray<Duration.Duration>): ReadonlyArray<number> => {
  if (delays.length === 0) return ladder
  const rungs = new Set<number>()
  for (const delay of delays) {
    const millis = Math.max(1, Math.ceil(Duration.toMillis(delay)))
    if (!(millis <= longestTimeToLive)) {
      Option.reject("Broker.subscribe", "delays", delay, "delays of at most 4294967295 milliseconds (49 days)")
    }
    rungs.add(millis)
  }
  if (rungs.size > mostRungs) {
    Option.reject("Broker.subscribe", "delays", rungs.size, `at most ${mostRungs} that differ`)
  }
  return [...rungs].toSorted((a, b) => a - b)
}

/**
 * The rung for a delay: the shortest that is long enough; the longest where none is, with `again` set, so that the
 * message goes round once more.
 */
export const rungFor = (
  rungs: ReadonlyArray<number>,
  millis: number
): { readonly rung: number; readonly again: boolean } => {
  for (const rung of rungs) if (rung >= millis) return { rung, again: false }
  return { rung: rungs.at(-1)!, again: true }
}
