import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Timeouts from "../../policy/Timeouts.ts"

/** Why there was no response. */
export interface TransportFailure {
  readonly kind: "connect" | "reset" | "dns" | "connect timeout"
  readonly code: string
}

/** The failure of the transport behind a client's error; `undefined` where there was a whole response. */
export const failureOf = (error: HttpClientError.HttpClientError): TransportFailure | undefined => {
  const { reason } = error
  if (reason._tag === "TransportError") return classify(codeOf(reason.cause) ?? "no code")
  // A body that was cut off is the connection's failure; one that is no JSON is the provider's.
  const code = reason._tag === "DecodeError" ? codeOf(reason.cause) : undefined
  return code === undefined || reason._tag !== "DecodeError" ? undefined : classify(code)
}

const codeOf = (cause: unknown, depth = 0): string | undefined => {
  if (!Predicate.isObject(cause) || depth > 4) return undefined
  if ("code" in cause && typeof cause.code === "string" && /^[A-Z][A-Z0-9_]+$/.test(cause.code)) return cause.code
  const inner = "cause" in cause ? codeOf(cause.cause, depth + 1) : undefined
  if (inner !== undefined) return inner
  const first = "errors" in cause && Array.isArray(cause.errors) ? codeOf(cause.errors[0], depth + 1) : undefined
  if (first !== undefined) return first
  return "name" in cause && cause.name === "HTTPParserError" ? "HTTPParserError" : undefined
}

const neverConnected =
  /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/
const classify = (code: string): TransportFailure => {
  if (code === "UND_ERR_CONNECT_TIMEOUT") return { kind: "connect timeout", code }
  if (code === "ENOTFOUND" || code.startsWith("EAI_")) return { kind: "dns", code }
  return { kind: neverConnected.test(code) ? "connect" : "reset", code }
}

/** Retry-After (RFC 9110, 10.2.3) as a duration from now; `undefined` where there is none that can be read. */
export const retryAfterOf = (
  response: HttpClientResponse.HttpClientResponse,
  clock: Clock.Clock
): Duration.Duration | undefined => {
  const value = response.headers["retry-after"]
  if (value === undefined) return undefined
  const parsed = Headers.parseRetryAfter(value)
  if (Result.isFailure(parsed)) return undefined
  const delay = Headers.retryAfterDelay(parsed.success, clock.currentTimeMillisUnsafe())
  return Duration.min(delay, longestWait)
}

/** Longer is a mistake of the provider's, which must not hold back the contract for ever. */
const longestWait = Duration.days(365)

interface DiagnosticsChannel {
  readonly subscribe: (name: string, listener: (message: { readonly request: Followed }) => void) => void
}

let observing = false
/** The attempt that an undici request belongs to, kept on the request: a WeakMap of many is a burden for the collector. */
const followed = Symbol.for("effect-integration/http/attempt")
interface Followed {
  [followed]?: Timeouts.Attempt
}

/**
 * Has attempts told when their request is made and when it is sent, so that a connection that is not made in time is told
 * apart from an answer that does not come, and a request that was never sent from one that may have taken effect.
 *
 * An `HttpClient` does not show this. Node's undici (the client of `@effect/platform-node`) does, on its diagnostics
 * channels. With any other client a request counts as sent from the start.
 */
export const observe = (): void => {
  if (observing) return
  observing = true
  const { process } = globalThis as {
    readonly process?: { readonly getBuiltinModule?: (name: string) => DiagnosticsChannel | undefined }
  }
  const channels = process?.getBuiltinModule?.("node:diagnostics_channel")
  // Published while the request is made, in the fiber that makes it.
  channels?.subscribe("undici:request:create", ({ request }) => {
    const attempt = Fiber.getCurrent()?.getRef(Timeouts.CurrentAttempt)
    if (attempt === undefined) return
    request[followed] = attempt
    attempt.connecting()
  })
  channels?.subscribe("undici:client:sendHeaders", ({ request }) => request[followed]?.sent())
}
