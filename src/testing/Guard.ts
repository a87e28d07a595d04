/**
 * Replies that are only given to who may have them: what a real provider checks before it works.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { answer, type Headers, type Reply } from "./internal/reply.ts"
import type { RequestLimit } from "./RequestLimit.ts"
import type { TokenIssuer } from "./TokenIssuer.ts"

const refuse = (status: number, code: string, message: string, headers: Headers): Reply =>
  answer(status, JSON.stringify({ code, message }), headers, "application/json")

const bearer = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i

const unauthorized = (why: string | undefined): Reply =>
  refuse(401, "UNAUTHORIZED", why ?? "a bearer token is required", {
    "www-authenticate": why === undefined ? "Bearer" : `Bearer error="invalid_token", error_description="${why}"`
  })

/**
 * Answers 401 unless the request bears a token that is known, not expired and not revoked (RFC 6750).
 *
 * @category guards
 * @since 0.1.0
 */
export const requireToken = (tokens: ReadonlyArray<string> | Pick<TokenIssuer, "verify">, reply: Reply): Reply => ({
  _tag: "Dynamic",
  respond: (request) => {
    const token = bearer.exec(request.headers["authorization"] ?? "")?.[1]
    if (token === undefined) {
      return Effect.succeed(unauthorized(undefined))
    }
    if ("verify" in tokens) {
      return Effect.map(tokens.verify(token), (verdict) =>
        verdict === "valid" ? reply : unauthorized(`the token is ${verdict}`)
      )
    }
    return Effect.succeed(tokens.includes(token) ? reply : unauthorized("the token is unknown"))
  }
})

/**
 * Answers 429 with a Retry-After to what exceeds a limit; several routes can share one limit.
 *
 * @category guards
 * @since 0.1.0
 */
export const rateLimit = (limit: Pick<RequestLimit, "admit">, reply: Reply): Reply => ({
  _tag: "Dynamic",
  respond: () =>
    Effect.map(
      limit.admit,
      Option.match({
        onNone: () => reply,
        onSome: (retryAfter) =>
          refuse(429, "RATE_LIMITED", "too many requests", {
            "retry-after": String(Math.ceil(Duration.toSeconds(retryAfter)))
          })
      })
    )
})
