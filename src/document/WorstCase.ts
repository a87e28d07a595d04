/**
 * The arithmetic of retries, budgets and windows that people get wrong, as functions of milliseconds. The findings and the
 * diff say their numbers, and a property test holds them against a simulation.
 *
 * **Details**
 *
 * - Times are upper bounds: every attempt takes its whole timeout, every delay is as long as its jitter may make it.
 * - A Retry-After of the provider can make any delay longer, without a bound of its own. Then only the total timeout bounds
 *   the call, since a delay that does not fit what is left of it ends the call.
 *
 * **Example** (A ladder)
 *
 * ```ts
 * import { WorstCase } from "effect-integration/document"
 * import { RetryPolicy } from "effect-integration/policy"
 *
 * const retry = RetryPolicy.make({ delays: ["100 millis", "300 millis", "900 millis"] })
 *
 * export const attempts = WorstCase.attempts(retry) // 4
 * export const millis = WorstCase.ladderMillis(retry, 2_000) // 4 x 2,000 + 1,300 = 9,300
 * ```
 *
 * @since 0.1.0
 */
import type * as RateLimit from "../policy/RateLimit.ts"
import type { RetryPolicy } from "../policy/RetryPolicy.ts"

/** Some policy, or none. @category models @since 0.1.0 */
export type Ladder = Pick<RetryPolicy, "maxRetries" | "delayMillis"> | undefined

const delays = (retry: Ladder, random: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let index = 0; index < (retry?.maxRetries ?? 0); index++) {
    found.push(retry?.delayMillis(index, found.at(-1) ?? 0, () => random, undefined) ?? 0)
  }
  return found
}

/** The longest that each delay can be, jitter at its most. @category ladders @since 0.1.0 */
export const longestDelays = (retry: Ladder): ReadonlyArray<number> => delays(retry, 1)

/** The shortest that each delay can be, jitter at its least: zero with `full`. @category ladders @since 0.1.0 */
export const shortestDelays = (retry: Ladder): ReadonlyArray<number> => delays(retry, 0)

/**
 * Attempts of one call: `1 + retries`, and one more where a refused credential is refreshed, which spends no retry.
 *
 * @category ladders
 * @since 0.1.0
 */
export const attempts = (retry: Ladder, refreshes = false): number => 1 + (retry?.maxRetries ?? 0) + (refreshes ? 1 : 0)

/**
 * How long a ladder takes where every attempt times out: `attempts x attempt timeout + the longest delays`. `Infinity`
 * where attempts have no timeout.
 *
 * @category ladders
 * @since 0.1.0
 */
export const ladderMillis = (retry: Ladder, attemptMillis: number): number =>
  attempts(retry) * attemptMillis + sum(longestDelays(retry))

/**
 * How long a call takes at most: the smaller of its ladder and its total timeout.
 *
 * @category ladders
 * @since 0.1.0
 */
export const callMillis = (retry: Ladder, attemptMillis: number, totalMillis: number): number =>
  Math.min(totalMillis, ladderMillis(retry, Math.min(attemptMillis, totalMillis)))

/**
 * How many retries are begun within a budget where each attempt takes `attemptMillis`: a retry is begun only where its
 * delay ends before the budget does.
 *
 * **Details**
 *
 * With the shortest delays and attempts of no time it says how many retries can ever run; with the longest delays and the
 * timeout of an attempt, how many are left when the provider hangs.
 *
 * @category ladders
 * @since 0.1.0
 */
export const retriesWithin = (delays: ReadonlyArray<number>, attemptMillis: number, totalMillis: number): number => {
  let at = attemptMillis
  let begun = 0
  for (const delay of delays) {
    if (!(at + delay < totalMillis)) break
    at += delay + attemptMillis
    begun++
  }
  return begun
}

/**
 * Handlings of one event at most: `attempts x redeliveries`. Each attempt can be preceded by crashes of its process, and a
 * failure that the handler survives begins to count them anew.
 *
 * @category events
 * @since 0.1.0
 */
export const handlings = (retry: Ladder, maxRedeliveries: number): number => attempts(retry) * maxRedeliveries

/**
 * How long after its first handling an event may be handled again by itself: `attempts x handler timeout + the longest
 * delays`. Time in which consumption was paused, and time in the queue, come on top.
 *
 * @category events
 * @since 0.1.0
 */
export const redeliveryMillis = (retry: Ladder, timeoutMillis: number): number => ladderMillis(retry, timeoutMillis)

/**
 * How long a message may be in the hands of a process before it is settled: the hold of an outage and its handler; on a
 * channel of strict order also the handlers of those before it, which may all be of its key:
 * `hold + handler timeout x (strict ? floor(prefetch / partitions) : 1)`.
 *
 * @category events
 * @since 0.1.0
 */
export const inHandMillis = (options: {
  readonly holdMillis: number
  readonly timeoutMillis: number
  readonly prefetch: number
  readonly partitions: number
  readonly strict: boolean
}): number => {
  const before = options.strict ? Math.max(1, Math.floor(options.prefetch / options.partitions)) : 1
  return options.holdMillis + options.timeoutMillis * before
}

const windows: { readonly [K in keyof Required<RateLimit.Options>]: number } = {
  burst: 1_000,
  perMinute: 60_000,
  perDay: 86_400_000
}

/**
 * Requests that limits allow in any stretch of time: the smallest of `limit x ceil(stretch / window)`. `Infinity` where
 * there is no limit.
 *
 * @category circuits
 * @since 0.1.0
 */
export const requestsWithin = (limits: RateLimit.Options, millis: number): number => {
  let most = Infinity
  for (const [name, window] of Object.entries(windows)) {
    const limit = limits[name as keyof RateLimit.Options]
    if (limit !== undefined) most = Math.min(most, limit * Math.max(1, Math.ceil(millis / window)))
  }
  return most
}

/**
 * Attempts that can time out in a stretch of time where only so many are under way at once:
 * `maxConcurrent x (floor(stretch / attempt timeout) + 1)`.
 *
 * @category circuits
 * @since 0.1.0
 */
export const timeoutsWithin = (maxConcurrent: number, attemptMillis: number, millis: number): number =>
  maxConcurrent * (Math.floor(millis / attemptMillis) + 1)

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, each) => total + each, 0)
