import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"

/**
 * A store does not do what its interface promises.
 *
 * @category errors
 * @since 0.1.0
 */
export class SuiteFailure extends Data.TaggedError("SuiteFailure")<{
  /** Name of the test. */
  readonly test: string
  /** What was expected, and what was found. */
  readonly description: string
}> {
  override get message(): string {
    return `${this.test}: ${this.description}`
  }
}

/**
 * One promise, to be run by any test runner.
 *
 * @category models
 * @since 0.1.0
 */
export interface Test<R> {
  readonly name: string
  readonly run: Effect.Effect<void, SuiteFailure, R>
}

/**
 * How the time of a store passes: by the `TestClock` of the test, or by itself.
 *
 * @category models
 * @since 0.1.0
 */
export type Time = "clock" | "real"

/** Assertions are defects and errors of the store are failures; both say that the promise was not kept. */
export const test = <E, R>(name: string, effect: Effect.Effect<void, E, R>): Test<R> => ({
  name,
  run: Effect.catchCause(effect, (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.interrupt
      : Effect.fail(new SuiteFailure({ test: name, description: Cause.pretty(cause) }))
  )
})

/** By the timer of the process: under a `TestClock` the clock of the test does not move by itself. */
const pause: Effect.Effect<void> = Effect.callback((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 10)
  return Effect.sync(() => clearTimeout(timer))
})

const patience = 1000

/** Repeats the effect until its answer is accepted, once the duration has passed on the clock of the store. */
export const after = <A, E, R>(
  time: Time,
  duration: Duration.Duration,
  effect: Effect.Effect<A, E, R>,
  accepts: (answer: A) => boolean
): Effect.Effect<A, E, R> => {
  if (time === "clock") return Effect.andThen(TestClock.adjust(Duration.sum(duration, Duration.millis(1))), effect)
  const attempt = (left: number): Effect.Effect<A, E, R> =>
    Effect.flatMap(effect, (answer) =>
      accepts(answer) || left === 0 ? Effect.succeed(answer) : Effect.andThen(pause, attempt(left - 1))
    )
  return attempt(patience)
}
