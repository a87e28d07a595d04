import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type { RetryPolicy } from "../../../policy/RetryPolicy.ts"
import * as WorstCase from "../../WorstCase.ts"

/** Fields that hold a time end in `Millis`. */
export const Millis = Schema.Finite

/** A ladder of delays. `longest` says them with the jitter at its most, which `decorrelated` makes longer than they are. */
export const Retry = Schema.Struct({
  delays: Schema.Array(Millis),
  jitter: Schema.String,
  longest: Schema.Array(Millis),
  shortest: Schema.Array(Millis)
})

export const millisOf = (given: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(given))

export const retryOf = (retry: RetryPolicy | undefined): typeof Retry.Type | null =>
  retry === undefined
    ? null
    : {
        delays: retry.delays.map((delay) => Duration.toMillis(delay)),
        jitter: retry.jitter,
        longest: WorstCase.longestDelays(retry),
        shortest: WorstCase.shortestDelays(retry)
      }

type Given<A> = { [K in keyof A as undefined extends A[K] ? never : K]: A[K] } & {
  [K in keyof A as undefined extends A[K] ? K : never]?: Exclude<A[K], undefined>
}

/** The fields that are there: JSON knows no `undefined`. */
export const given = <A extends object>(fields: A): Given<A> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<A>

/** A field of milliseconds, where the time is given. */
export const millis = (time: Duration.Input | undefined): number | undefined =>
  time === undefined ? undefined : millisOf(time)
