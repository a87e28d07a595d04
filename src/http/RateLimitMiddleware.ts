/**
 * Rate limits on the provider's side (section 3.1, Rate Limiting), from the same value as on the caller's.
 *
 * **Details**
 *
 * - Above a limit: 429 at once with Retry-After in whole seconds (RFC 9110, 10.2.3) and problem details (RFC 9457) that
 *   name the limit. The daily quota says to contact support.
 * - Every response carries `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers): the policies, and
 *   how the limit with the least left stands.
 * - One limiter per key of a request; at most 10,000 keys are kept, of which the one that was not used for longest is
 *   forgotten.
 *
 * **Example** (A limit per client)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import { RateLimitMiddleware } from "effect-integration/http"
 *
 * export const app = Effect.succeed(HttpServerResponse.text("hello")).pipe(
 *   RateLimitMiddleware.make("orders", {
 *     limits: { perMinute: 600, burst: 50, perDay: 100_000 },
 *     key: (request) => request.headers["x-client-id"] ?? "anonymous"
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "../internal/option.ts"
import * as RateLimit from "../policy/RateLimit.ts"
import { problem } from "./internal/problemResponse.ts"

const maximumKeys = 10_000

/**
 * Limits the requests of each key. Throws `InvalidOption` for limits that make no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  name: string,
  options: {
    readonly limits: RateLimit.Options
    /** Whose limit it is. Default: all share one. */
    readonly key?: (request: HttpServerRequest.HttpServerRequest) => string
  }
) => {
  RateLimit.options(options.limits)
  Option.name("RateLimitMiddleware.make", name)
  const limiters = new Map<string, RateLimit.RateLimit>()
  const limiterOf = (key: string): RateLimit.RateLimit => {
    const limiter = limiters.get(key) ?? RateLimit.makeUnsafe(name, options.limits)
    limiters.delete(key)
    limiters.set(key, limiter)
    const oldest = limiters.size > maximumKeys ? limiters.keys().next().value : undefined
    if (oldest !== undefined) limiters.delete(oldest)
    return limiter
  }
  return <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const limiter = limiterOf(options.key?.(request) ?? "")
      const refused = yield* Effect.match(limiter.tryTake, { onSuccess: () => undefined, onFailure: refusal })
      const headers = headersOf(yield* limiter.status)
      // Also where the application fails and the server makes the response.
      yield* HttpEffect.appendPreResponseHandler((_, response) =>
        Effect.succeed(HttpServerResponse.setHeaders(response, headers))
      )
      return HttpServerResponse.setHeaders(refused ?? (yield* app), headers)
    })
}

const refusal = (
  error: RateLimit.RateLimitExceeded | RateLimit.QuotaExhausted
): HttpServerResponse.HttpServerResponse => {
  const exhausted = error._tag === "QuotaExhausted"
  return problem(
    429,
    {
      type: "about:blank",
      title: exhausted ? "Daily quota exhausted" : "Too Many Requests",
      code: exhausted ? "QUOTA_EXHAUSTED" : "RATE_LIMITED",
      detail: exhausted ? "The daily quota is used up: contact support." : `The limit ${error.limit} is reached.`
    },
    { "retry-after": String(Math.max(1, Math.ceil(Duration.toSeconds(error.retryAfter)))) }
  )
}

const headersOf = (statuses: ReadonlyArray<RateLimit.Status>): Record<string, string> => {
  const tightest = statuses.toSorted((a, b) => a.remaining - b.remaining || b.resetMillis - a.resetMillis)[0]
  if (tightest === undefined) return {}
  const reset = tightest.resetMillis > 0 ? `;t=${Math.ceil(tightest.resetMillis / 1000)}` : ""
  return {
    "ratelimit-policy": statuses.map((each) => `"${each.limit}";q=${each.quota};w=${each.windowSeconds}`).join(", "),
    ratelimit: `"${tightest.limit}";r=${tightest.remaining}${reset}`
  }
}
