/**
 * When a failed attempt is made again (section 3.1, Retry Policy).
 *
 * A `RetryPolicy` is a `Schedule`: give it to `Effect.retry`, or to a `Policy`, which adds the time budget and the
 * circuit.
 *
 * **Details**
 *
 * - An error that carries an `ErrorAction` is retried only where its kind is `retry` or `wait`; any other error is
 *   retried.
 * - Retry-After is never shortened: the delay is at least what the provider asked for, and jitter only adds to it.
 * - Jitter, after "Exponential Backoff And Jitter" (AWS Architecture Blog): `none`; `equal` is half fixed and half
 *   random; `full` is random from zero; `decorrelated` is random between the base and three times the delay before.
 *
 * **Example** (Retrying with `Effect.retry`)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { RetryPolicy } from "effect-integration/policy"
 *
 * declare const fetchQuote: Effect.Effect<number, Error>
 *
 * export const quote = fetchQuote.pipe(
 *   Effect.retry(RetryPolicy.make({ delays: ["100 millis", "300 millis", "900 millis"], jitter: "full" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Option from "../internal/option.ts"
import * as ErrorAction from "./ErrorAction.ts"

/**
 * How a delay is made random, so that callers that failed together do not come back together.
 *
 * @category models
 * @since 0.1.0
 */
export type Jitter = "none" | "equal" | "full" | "decorrelated"

/**
 * A bounded ladder of delays, usable as a `Schedule` whose output is the delay.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryPolicy extends Schedule.Schedule<Duration.Duration, unknown> {
  /** How many times an attempt is made again; the number of attempts is one more. */
  readonly maxRetries: number
  readonly jitter: Jitter
  /** The delay before each retry without jitter; with jitter (but `decorrelated`) no delay is longer. */
  readonly delays: ReadonlyArray<Duration.Duration>
  /**
   * Milliseconds before retry number `index` (from 0); `undefined` where the ladder has ended.
   *
   * `previous` is the delay before, `random` gives numbers from 0 to 1, `retryAfter` is what the provider asked for.
   */
  readonly delayMillis: (
    index: number,
    previous: number,
    random: () => number,
    retryAfter: number | undefined
  ) => number | undefined
}

/**
 * A policy with an explicit delay before each retry.
 *
 * **Details**
 *
 * `jitter` is `none` by default. Throws `InvalidOption` for a delay that is negative or without end. An empty list means
 * that nothing is retried.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: {
  readonly delays: ReadonlyArray<Duration.Input>
  readonly jitter?: Exclude<Jitter, "decorrelated">
}): RetryPolicy => {
  const delays = options.delays.map((delay, index) =>
    Option.millisOrZero("RetryPolicy.make", `delays[${index}]`, delay)
  )
  const jitter = Option.word("RetryPolicy.make", "jitter", options.jitter ?? "none", ["none", "equal", "full"])
  return build(delays, jitter, delays[0] ?? 0, Math.max(0, ...delays))
}

/**
 * A policy whose delays grow by `factor` (2 by default) from `base` up to `cap`, for `maxRetries` retries.
 *
 * **Details**
 *
 * `jitter` is `full` by default. Throws `InvalidOption` for a base or cap that is not a finite duration longer than zero,
 * a cap below the base, a factor below 1, or a number of retries that is not a whole number from 0 to 1000.
 *
 * @category constructors
 * @since 0.1.0
 */
export const exponential = (options: {
  readonly base: Duration.Input
  readonly cap: Duration.Input
  readonly maxRetries: number
  readonly factor?: number
  readonly jitter?: Jitter
}): RetryPolicy => {
  const where = "RetryPolicy.exponential"
  const base = Option.millis(where, "base", options.base)
  const cap = Option.millis(where, "cap", options.cap)
  if (cap < base) return Option.reject(where, "cap", options.cap, `at least the base of ${base} ms`)
  const factor = Option.number(where, "factor", options.factor ?? 2, { min: 1 })
  const maxRetries = Option.number(where, "maxRetries", options.maxRetries, { min: 0, max: 1000, integer: true })
  const delays = Array.from({ length: maxRetries }, (_, index) => Math.min(cap, base * factor ** index))
  const jitter = Option.word(where, "jitter", options.jitter ?? "full", ["none", "equal", "full", "decorrelated"])
  return build(delays, jitter, base, cap)
}

const build = (delays: ReadonlyArray<number>, jitter: Jitter, base: number, cap: number): RetryPolicy => {
  const jittered = (delay: number, previous: number, random: () => number): number => {
    switch (jitter) {
      case "none":
        return delay
      case "equal":
        return delay / 2 + (random() * delay) / 2
      case "full":
        return random() * delay
      case "decorrelated":
        return Math.min(cap, base + random() * (Math.max(previous, base) * 3 - base))
    }
  }
  const delayMillis: RetryPolicy["delayMillis"] = (index, previous, random, retryAfter) => {
    const delay = delays[index]
    if (delay === undefined) return undefined
    const backoff = jittered(delay, previous, random)
    if (retryAfter === undefined) return backoff
    return Math.max(backoff, jitter === "none" ? retryAfter : retryAfter + random() * delay)
  }
  const step = Effect.withFiber((fiber) => {
    const random = fiber.getRef(Random.Random)
    let previous = 0
    return Effect.succeed((meta: Schedule.InputMetadata<unknown>) => {
      const error = meta.input
      const again = !ErrorAction.isActionable(error) || mayRepeat(error.errorAction)
      const retryAfter = ErrorAction.retryAfterMillis(error)
      const delay = again
        ? delayMillis(meta.attempt - 1, previous, () => random.nextDoubleUnsafe(), retryAfter)
        : undefined
      if (delay === undefined) return Cause.done(Duration.millis(previous))
      previous = delay
      const duration = Duration.millis(delay)
      return Effect.succeed<[Duration.Duration, Duration.Duration]>([duration, duration])
    })
  })
  return Object.assign(Schedule.fromStepWithMetadata(step), {
    maxRetries: delays.length,
    jitter,
    delays: delays.map((delay) => Duration.millis(delay)),
    delayMillis
  })
}

/** Whether an action allows another attempt after a delay. @category getters @since 0.1.0 */
export const mayRepeat = (action: ErrorAction.ErrorAction): boolean => action.kind === "retry" || action.kind === "wait"
