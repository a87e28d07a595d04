/**
 * What a call inherits from the request or message that caused it: the request id that is forwarded (section 7.2), and
 * the deadline after which nobody waits for the answer.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../internal/monotonic.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface RequestContext {
  /** Forwarded as X-Request-ID; without one, each call makes a new UUID. */
  readonly requestId?: string
  /** Monotonic milliseconds of the `Clock` after which the answer is of no use. */
  readonly deadline?: number
}

/** What the current fiber has inherited; nothing by default. @category services @since 0.1.0 */
export const RequestContext = Context.Reference<RequestContext>(
  "effect-integration/policy/RequestContext/RequestContext",
  { defaultValue: () => ({}) }
)

/**
 * Makes request ids and idempotency keys. The default makes random UUIDs (RFC 9562, version 4) from the system's
 * cryptographic source.
 *
 * @category services
 * @since 0.1.0
 */
export const IdGenerator = Context.Reference<() => string>("effect-integration/policy/RequestContext/IdGenerator", {
  defaultValue: () => () => globalThis.crypto.randomUUID()
})

/** Forwards a request id with all calls of an effect. @category combinators @since 0.1.0 */
export const withRequestId =
  (requestId: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.updateService(self, RequestContext, (context) => ({ ...context, requestId }))

/**
 * Bounds the budget of all calls of an effect: each gets the smaller of its own total timeout and what is left.
 *
 * **Details**
 *
 * A nested deadline can only come nearer. The effect itself is not interrupted.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withDeadline =
  (remaining: Duration.Input) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Clock.Clock, (clock) => {
      const deadline = monotonicMillis(clock) + Duration.toMillis(Duration.fromInputUnsafe(remaining))
      return Effect.updateService(self, RequestContext, (context) => ({
        ...context,
        deadline: Math.min(deadline, context.deadline ?? Infinity)
      }))
    })
