/**
 * What one call may do, around any effect: retry, circuit breaker, rate limit, bulkhead and timeouts in one.
 *
 * **Details**
 *
 * The order, outermost first (`Policy.order`):
 *
 * total timeout ( bulkhead ( retry ( is the circuit open? -> rate limit -> circuit admission ( attempt timeout ( effect )))))
 *
 * - Every attempt spends a token of the rate limit, so retries cannot exceed the provider's limit.
 * - An open circuit rejects before a token or a request is spent, and ends retrying at once.
 * - A delay that does not fit what is left of the time budget is not waited for: the call ends with its last error. The
 *   budget is the smaller of the total timeout and the inbound deadline (`RequestContext.withDeadline`).
 * - What an error means is said by its `ErrorAction`: carried by the error, or decided by the `classify` of the policy.
 *
 * **Gotchas**
 *
 * Make a policy once and share it: each has a circuit and a limit of its own. The inbound deadline is honoured only by a policy with `timeouts`, since only then `Timeout` is in the error channel. An
 * attempt runs on a fiber of its own, so that a timeout ends it even inside an uninterruptible region; what it forks as a
 * child ends with the attempt. A deadline that is too short for a healthy provider counts as its failure.
 *
 * **Example** (One policy around plain effects)
 *
 * ```ts
 * import { Data, Effect } from "effect"
 * import { ErrorAction, Policy, RetryPolicy } from "effect-integration/policy"
 *
 * class QuoteFailed extends Data.TaggedError("QuoteFailed")<{}> {}
 * declare const fetchQuote: Effect.Effect<number, QuoteFailed>
 *
 * export const program = Effect.gen(function* () {
 *   const policy = yield* Policy.make("quotes", {
 *     classify: ErrorAction.tags({ QuoteFailed: ErrorAction.retry }),
 *     retry: RetryPolicy.make({ delays: ["100 millis", "300 millis"], jitter: "full" }),
 *     breaker: { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" },
 *     timeouts: { attempt: "1 second", total: "5 seconds" }
 *   })
 *   return yield* fetchQuote.pipe(policy)
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "../internal/option.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Bulkhead from "./Bulkhead.ts"
import * as CircuitBreaker from "./CircuitBreaker.ts"
import * as CircuitBreakers from "./CircuitBreakers.ts"
import * as ErrorAction from "./ErrorAction.ts"
import { Engine } from "./internal/call.ts"
import * as RateLimit from "./RateLimit.ts"
import type * as RetryPolicy from "./RetryPolicy.ts"
import * as Timeouts from "./Timeouts.ts"

/** The order of composition, as the document prints it. @category constants @since 0.1.0 */
export const order =
  "total timeout ( bulkhead ( retry ( is the circuit open? -> rate limit -> circuit admission ( attempt timeout ( request )))))"

/**
 * What a policy is made of; what is left out does nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly retry?: RetryPolicy.RetryPolicy
  readonly breaker?: CircuitBreaker.Options
  readonly rateLimit?: RateLimit.Options
  readonly bulkhead?: Bulkhead.Options
  readonly timeouts?: Timeouts.Timeouts
  /** Lets attempts tell how far they have come (`Timeouts.CurrentAttempt`) even without `connect` and `read`. */
  readonly phases?: boolean
}

/**
 * What a policy with these options adds to the error channel.
 *
 * @category models
 * @since 0.1.0
 */
export type Added<O> =
  | Where<O, "breaker", CircuitBreaker.CircuitOpen>
  | Where<O, "timeouts", Timeouts.Timeout>
  | Where<O, "rateLimit", RateLimit.RateLimitExceeded>
  | (O extends { readonly rateLimit?: infer Limit }
      ? Where<NonNullable<Limit>, "perDay", RateLimit.QuotaExhausted>
      : never)
  | Where<O, "bulkhead", Bulkhead.BulkheadFull>

/** `X` where the option may be given: also where that is known by the type of the options only. */
type Where<O, Key extends string, X> = O extends unknown
  ? Key extends keyof O
    ? [O[Key]] extends [undefined]
      ? never
      : X
    : never
  : never

/**
 * What one call says about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions {
  /**
   * Whether the effect may be run again when it may already have taken effect. Default true. When false, only an error
   * whose `outcome` is `unprocessed` is retried.
   */
  readonly repeatable?: boolean
  /** Which circuit is meant: a host, a tenant. Default: the one of the policy. */
  readonly key?: string | undefined
  /** Named in logs and notices. */
  readonly requestId?: string
  /** Named in the errors of the policy, for example `POST /v1/charges`; asked only when there is one. */
  readonly operation?: () => string
  /** Renews the credentials after an error of kind `refresh`, and says whether another attempt makes sense. */
  readonly refresh?: (error: unknown) => Effect.Effect<boolean>
  /** What attempts run with, instead of the context of the caller: cheaper than to provide it in each attempt. */
  readonly context?: Context.Context<never>
}

/**
 * A function from effects to effects that share one circuit, one rate limit and one bulkhead.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy<in E, out X = never> {
  <A, E1 extends E, R>(self: Effect.Effect<A, E1, R>): Effect.Effect<A, E1 | X, R>
  readonly name: string
  readonly options: Options
  /** The same policy for a call that says something about itself. */
  readonly with: (
    options: CallOptions
  ) => <A, E1 extends E, R>(self: Effect.Effect<A, E1, R>) => Effect.Effect<A, E1 | X, R>
  /** As `with`, for a single effect. */
  readonly run: <A, E1 extends E, R>(self: Effect.Effect<A, E1, R>, options: CallOptions) => Effect.Effect<A, E1 | X, R>
  /** What is to be done about an error. */
  readonly classify: (error: unknown) => ErrorAction.ErrorAction
  /** The circuit of a key; `undefined` where the policy has none. */
  readonly circuit: (key?: string) => CircuitBreaker.CircuitBreaker | undefined
  readonly rateLimit: RateLimit.RateLimit | undefined
}

/**
 * Checks a name and options. Throws `InvalidOption` for what makes no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = (name: string, options: Options): void => {
  Telemetry.recorder(Option.name("Policy.make", name))
  if (options.breaker !== undefined) CircuitBreaker.options(options.breaker)
  if (options.rateLimit !== undefined) RateLimit.options(options.rateLimit)
  if (options.bulkhead !== undefined) Bulkhead.options(options.bulkhead)
  if (options.timeouts !== undefined) Timeouts.make(options.timeouts)
}

/**
 * Makes a policy: its circuit is closed, its rate limit unspent.
 *
 * **Details**
 *
 * `classify` decides about errors that carry no action; without it, effects must fail with `Actionable` errors. The
 * options are checked when `make` is called, before the effect runs.
 *
 * **Gotchas**
 *
 * Throws `InvalidOption` for options that make no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <const O extends Options, E = ErrorAction.Actionable>(
    name: string,
    options: O & { readonly classify?: ErrorAction.Classifier<E> }
  ): Effect.Effect<Policy<E, Added<O>>>
} = (name: string, options: Options & { readonly classify?: ErrorAction.Classifier<any> }) => {
  check(name, options)
  const recorder = Telemetry.recorder(name)
  return Effect.gen(function* () {
    const circuit = options.breaker === undefined ? undefined : yield* makeCircuits(name, options.breaker)
    const gate = options.rateLimit === undefined ? undefined : RateLimit.makeUnsafe(name, options.rateLimit)
    const classify = (error: unknown) =>
      ErrorAction.carried.classify(error) ?? options.classify?.classify(error) ?? ErrorAction.fail
    const engine = new Engine({
      name,
      classify,
      retry: options.retry,
      circuit,
      gate,
      permits: options.bulkhead === undefined ? undefined : Bulkhead.makeUnsafe(name, options.bulkhead),
      timeouts: options.timeouts === undefined ? undefined : Timeouts.toMillis(options.timeouts),
      recorder,
      phases: options.phases ?? false
    })
    const run = (self: Effect.Effect<any, any, any>, call: CallOptions) => {
      const { context, key, operation, refresh, repeatable = true, requestId } = call
      return engine.run(self, { context, key, operation, refresh, repeatable, requestId })
    }
    const withOptions = (call: CallOptions) => (self: Effect.Effect<any, any, any>) => run(self, call)
    return Object.defineProperty(
      Object.assign(withOptions({}), {
        options,
        with: withOptions,
        run,
        classify,
        circuit: (key?: string) => circuit?.(key),
        rateLimit: gate
      }),
      "name",
      { value: name }
    ) as any
  })
}

/** The circuit of the policy, and one more for each key that a call names. */
const makeCircuits = Effect.fnUntraced(function* (name: string, options: CircuitBreaker.Options) {
  const own = yield* CircuitBreaker.make(name, options)
  const keyed = yield* CircuitBreakers.keyed(name, options)
  return (key: string | undefined) => (key === undefined ? own : keyed.get(key))
})
