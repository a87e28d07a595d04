import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { AlertNotDelivered } from "../AlertChannel.ts"
import { longestHold } from "./alertDelivery.ts"

/** What is posted where, and what may be told of an answer. */
export interface Post {
  /** Name of the channel. */
  readonly channel: string
  readonly url: Redacted.Redacted<string>
  readonly body: unknown
  /** What a body that is no success says, as a word that is known; `undefined` where it is none. */
  readonly read: (body: string) => string | undefined
}

/**
 * Posts JSON. The URL may be a secret, and so may the body: there is no span, and no error of the client is passed on,
 * since it carries the request.
 */
export const post = ({
  body,
  channel,
  read,
  url
}: Post): Effect.Effect<void, AlertNotDelivered, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const request = HttpClientRequest.post(Redacted.value(url)).pipe(HttpClientRequest.bodyJsonUnsafe(body))
    const response = yield* Effect.mapError(client.execute(request), (error) => unreachable(channel, error))
    const { status } = response
    if (status >= 200 && status < 300) return yield* discard(response)
    const detail = read(yield* beginning(response))
    const retryAfter = retryAfterOf(response, yield* Clock.Clock)
    return yield* new AlertNotDelivered({
      channel,
      reason: reasonOf(status),
      status,
      ...(detail === undefined ? undefined : { detail }),
      ...(retryAfter === undefined ? undefined : { retryAfter })
    })
  }).pipe(
    Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
    // A redirect is not followed: what is posted is for nobody else.
    Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
  )

const reasonOf = (status: number): AlertNotDelivered["reason"] => {
  if (status === 400 || status === 413 || status === 422) return "rejected"
  if (status === 429) return "rate limited"
  return status >= 500 || status === 408 || status === 425 ? "unavailable" : "refused"
}

const unreachable = (channel: string, error: HttpClientError.HttpClientError): AlertNotDelivered => {
  const code = codeOf(error.reason)
  return new AlertNotDelivered({
    channel,
    reason: "unreachable",
    ...(code === undefined ? undefined : { detail: code })
  })
}

/** The system's code, for example ECONNREFUSED: the only part of an error that cannot quote the URL. */
const codeOf = (error: unknown, depth = 0): string | undefined => {
  if (!Predicate.isObject(error) || depth > 4) return undefined
  if ("code" in error && typeof error.code === "string" && /^[A-Z][A-Z_]{2,40}$/.test(error.code)) return error.code
  return "cause" in error ? codeOf(error.cause, depth + 1) : undefined
}

/** It was taken: whatever becomes of the body, it is not sent again. */
const discard = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<void> =>
  Effect.ignore(Effect.timeoutOption(Stream.runDrain(Stream.take(response.stream, 16)), "1 second"))

const beginning = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string> =>
  Stream.runHead(response.stream).pipe(
    Effect.timeoutOption("1 second"),
    Effect.map((bytes) => new TextDecoder().decode(Option.getOrUndefined(Option.flatten(bytes))?.subarray(0, 4096))),
    Effect.catchCause(() => Effect.succeed(""))
  )

const retryAfterOf = (
  response: HttpClientResponse.HttpClientResponse,
  clock: Clock.Clock
): Duration.Duration | undefined => {
  const value = response.headers["retry-after"]
  const parsed = value === undefined ? undefined : Headers.parseRetryAfter(value)
  return parsed === undefined || Result.isFailure(parsed)
    ? undefined
    : Duration.min(Headers.retryAfterDelay(parsed.success, clock.currentTimeMillisUnsafe()), longestHold)
}
