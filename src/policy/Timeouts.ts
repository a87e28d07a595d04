/**
 * The four timeouts of a call (section 3.1, Timeout Configuration).
 *
 * - `connect`: time to establish the connection;
 * - `read`: time from the request being sent to the first byte of the response;
 * - `attempt`: time of one attempt, the body of its response included;
 * - `total`: the end-to-end budget of a call, with all its attempts, waits and backoffs.
 *
 * **Details**
 *
 * A wire tells its phases through `CurrentAttempt`. Where it does not (a plain effect, an HTTP client that hides its
 * connections), `connect` is not enforced apart and `read` counts from the start of the attempt.
 *
 * **Gotchas**
 *
 * A timeout interrupts the attempt and waits for its finalizers; the attempt cannot succeed any more, so a body that can
 * not be interrupted is a `Timeout` with an unknown outcome, as late as the body ends.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Option from "../internal/option.ts"
import * as Site from "../internal/site.ts"
import * as ErrorAction from "./ErrorAction.ts"

/**
 * Limits of a call; what is left out is not limited.
 *
 * @category models
 * @since 0.1.0
 */
export interface Timeouts {
  readonly connect?: Duration.Input
  readonly read?: Duration.Input
  readonly attempt?: Duration.Input
  readonly total?: Duration.Input
}

/**
 * Checks the limits. Throws `InvalidOption` where one is not a finite duration longer than zero, or where an inner limit
 * is longer than an outer one and so could never be reached.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (timeouts: Timeouts): Timeouts => {
  const { attempt, total } = toMillis(timeouts)
  for (const inner of ["connect", "read", "attempt"] as const) {
    const limit = toMillis(timeouts)[inner]
    const outer = inner === "attempt" ? total : Math.min(attempt, total)
    if (limit !== Infinity && limit > outer) {
      const expected = `no longer than the ${inner === "attempt" || attempt > total ? "total" : "attempt"} timeout`
      return Option.reject("Timeouts.make", inner, timeouts[inner], `${expected} of ${outer} ms`)
    }
  }
  return timeouts
}

/** The limits in milliseconds, `Infinity` where there is none. @category getters @since 0.1.0 */
export const toMillis = (timeouts: Timeouts): { readonly [K in keyof Required<Timeouts>]: number } => {
  const limit = (name: keyof Timeouts) => {
    const given = timeouts[name]
    return given === undefined ? Infinity : Option.millis("Timeouts.make", name, given)
  }
  return { connect: limit("connect"), read: limit("read"), attempt: limit("attempt"), total: limit("total") }
}

const late = ErrorAction.make("retry", { outage: true })

const actions: { readonly [K in keyof Required<Timeouts>]: ErrorAction.ErrorAction } = {
  connect: late,
  read: late,
  attempt: late,
  total: ErrorAction.make("fail", {
    circuit: "failure",
    outage: true,
    guidance: "the time budget is spent: do not wait"
  })
}

/**
 * A limit was reached. `kind` says which, `limit` how long it was, `outcome` whether the request may have taken effect.
 *
 * **Details**
 *
 * `connect`, `read` and `attempt` are retried. `total` ends the call. It counts as a failure of the provider where an
 * attempt was running; where the budget was spent before, the outcome is `unprocessed` and it counts for nothing.
 *
 * @category errors
 * @since 0.1.0
 */
export class Timeout extends Schema.TaggedError<Timeout>()("Timeout", {
  integration: Schema.String,
  ...Site.fields,
  kind: Schema.Literals(["connect", "read", "attempt", "total"]),
  limit: Schema.Duration,
  outcome: Schema.Literals(["unprocessed", "unknown", "processed"])
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return actions[this.kind]
  }
  override get message(): string {
    const state =
      this.outcome === "unprocessed" ? "the request was not processed" : "the request may have been processed"
    return Site.describe(this, `the ${this.kind} timeout of ${Option.brief(this.limit)} was reached; ${state}`)
  }
}

/**
 * The attempt in hand. A wire tells it how far it has come, so that the kinds of timeout can be told apart.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attempt {
  /** Nothing is sent yet, so nothing can have taken effect. Without it, an attempt counts as sent from its start. */
  readonly preparing: () => void
  /** A connection is being waited for: `connect` runs, `read` does not, and nothing is sent yet. */
  readonly connecting: () => void
  /** The request is being sent: `read` starts. From now on it may take effect. */
  readonly sent: () => void
  /** The first byte of the response is there: `read` ends. */
  readonly answered: () => void
  /** Whether the request was sent, so that it may have taken effect. */
  readonly wasSent: boolean
  /** Which limit has ended the attempt, if one has. */
  readonly expired?: Timeout["kind"] | undefined
}

/**
 * The attempt that the current fiber works for; `undefined` outside a policy that has `connect`, `read` or
 * `phases`.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentAttempt = Context.Reference<Attempt | undefined>(
  "effect-integration/policy/Timeouts/CurrentAttempt",
  { defaultValue: () => undefined }
)
