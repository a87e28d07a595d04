import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Exit from "effect/Exit"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as Option from "../../internal/option.ts"
import type * as Telemetry from "../../Telemetry.ts"
import * as Timeouts from "../../policy/Timeouts.ts"
import * as Body from "./body.ts"
import type { Authenticator, Credential } from "./credential.ts"
import * as Tracing from "./tracing.ts"
import * as Transport from "./transport.ts"
import { pathOf } from "./wire.ts"

/** What a failure says about itself. */
interface Failure {
  readonly reason: "refused" | "unavailable" | "malformed"
  readonly description: string
  readonly status?: number
  readonly retryAfter?: Duration.Duration
}

interface Options<E> {
  readonly integration: string
  readonly httpClient: HttpClient.HttpClient
  readonly recorder: Telemetry.Recorder
  readonly tokenUrl: string
  readonly id: string
  readonly secrets: ReadonlyArray<Redacted.Redacted>
  readonly scope: ReadonlyArray<string> | undefined
  readonly audience: string | undefined
  readonly form: boolean
  readonly refreshBefore: number
  readonly timeout: number
  readonly failed: (failure: Failure) => E
}

interface Token {
  readonly credential: Credential
  /** Monotonic milliseconds; `Infinity` where the endpoint did not say. */
  readonly refreshAt: number
  readonly expiresAt: number
}

/** RFC 6749, 5.1. Some issuers write `expires_in` as a string. */
const TokenResponse = Schema.Struct({
  access_token: Schema.String.check(Schema.makeFilter((token) => token !== "" && Option.isHeaderValue(token))),
  token_type: Schema.optionalKey(Schema.String),
  expires_in: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.FiniteFromString, Schema.Null]))
})
const decode = Schema.decodeUnknownEffect(TokenResponse)

/** Octets of application/x-www-form-urlencoded, as RFC 6749, 2.3.1 wants the client's id and secret in HTTP Basic. */
const formEncode = (text: string): string => new URLSearchParams({ v: text }).toString().slice(2)

/** A token that is fetched by one request at a time, whoever asks, and survives the interruption of whoever asked. */
export const make = Effect.fnUntraced(function* <E extends { readonly reason: Failure["reason"] }>(
  options: Options<E>
) {
  const scope = yield* Scope.Scope
  let token: Token | undefined
  let pending: Deferred.Deferred<Token, E> | undefined
  let secret = 0
  /** Monotonic milliseconds before which the background does not ask again an endpoint that has just failed. */
  let quietUntil = -Infinity

  const refresh = Effect.uninterruptibleMask((restore) => {
    if (pending !== undefined) return restore(Deferred.await(pending))
    const deferred = Deferred.makeUnsafe<Token, E>()
    pending = deferred
    const done = (exit: Exit.Exit<Token, E>, context: Context.Context<never>) => {
      pending = undefined
      if (Exit.isSuccess(exit)) token = exit.value
      else quietUntil = monotonicMillis(Context.get(context, Clock.Clock)) + quiet
      options.recorder.tokenRefresh(Exit.isSuccess(exit) ? "success" : "AuthenticationFailed", context)
      Deferred.doneUnsafe(deferred, exit)
    }
    return Effect.flatMap(Effect.forkIn(Effect.interruptible(apart(fetchToken)), scope), (fiber) => {
      // Whatever becomes of it, also where the scope has ended: nobody waits for ever.
      fiber.addObserver((exit) => done(exit, fiber.context))
      return restore(Deferred.await(deferred))
    })
  })

  const fetchToken = Effect.suspend(() => {
    const first = secret
    const ask = (): Effect.Effect<Token, E> =>
      Effect.catch(request(options, options.secrets[secret]!), (failure) => {
        if (failure.reason !== "refused" || options.secrets.length === 1) return Effect.fail(failure)
        secret = (secret + 1) % options.secrets.length
        return secret === first ? Effect.fail(failure) : ask()
      })
    return ask()
  })

  const credential = Effect.withFiber<Credential, E>((fiber) => {
    const now = monotonicMillis(fiber.getRef(Clock.Clock))
    const current = token
    if (current !== undefined && now < current.refreshAt) return Effect.succeed(current.credential)
    const fresh = Effect.map(refresh, (each) => each.credential)
    if (current === undefined || now >= current.expiresAt) return fresh
    // The old token is good for a while: it is used, and the new one is fetched meanwhile.
    if (pending !== undefined || now < quietUntil) return Effect.succeed(current.credential)
    return Effect.as(Effect.forkIn(Effect.exit(fresh), scope), current.credential)
  })

  const authenticator: Authenticator<E> = {
    credential,
    refused: (refused) =>
      Effect.sync(() => {
        if (token?.credential === refused) token = undefined
        return true
      })
  }
  return authenticator
})

const quiet = 1000

/** The request for a token is none of the attempt that waits for it. */
const apart = Effect.provideService(Timeouts.CurrentAttempt, undefined)

const request = Effect.fnUntraced(function* <E>(
  options: Options<E>,
  secret: Redacted.Redacted
): Effect.fn.Return<Token, E> {
  const form = new URLSearchParams({ grant_type: "client_credentials" })
  if (options.scope !== undefined) form.set("scope", options.scope.join(" "))
  if (options.audience !== undefined) form.set("audience", options.audience)
  if (options.form) {
    form.set("client_id", options.id)
    form.set("client_secret", Redacted.value(secret))
  }
  const basic = Base64.encode(`${formEncode(options.id)}:${formEncode(Redacted.value(secret))}`)
  const asked = HttpClientRequest.post(options.tokenUrl, {
    headers: { accept: "application/json", ...(options.form ? undefined : { authorization: `Basic ${basic}` }) },
    body: HttpBody.text(form.toString(), "application/x-www-form-urlencoded")
  })
  const clock = yield* Clock.Clock
  const sentAt = monotonicMillis(clock)
  const about = { integration: options.integration, template: pathOf(asked), resends: 0, requestId: undefined }
  const execute = Effect.withFiber((fiber) =>
    Tracing.isTraced(fiber, asked)
      ? Tracing.traced(fiber, asked, about, (request, span) =>
          Effect.tap(options.httpClient.execute(request), (response) =>
            Effect.sync(() => Tracing.answered(fiber, span, response))
          )
        )
      : options.httpClient.execute(asked)
  )
  return yield* execute.pipe(
    Effect.mapError((error) =>
      options.failed({ reason: "unavailable", description: Transport.failureOf(error)?.code ?? "no response" })
    ),
    Effect.flatMap((response) => read(options, response, sentAt)),
    Effect.timeoutOrElse({
      duration: options.timeout,
      orElse: () =>
        Effect.fail(options.failed({ reason: "unavailable", description: `no answer within ${options.timeout} ms` }))
    })
  )
})

const read = Effect.fnUntraced(function* <E>(
  options: Options<E>,
  response: HttpClientResponse.HttpClientResponse,
  sentAt: number
): Effect.fn.Return<Token, E> {
  const { status } = response
  const body = yield* Body.read(response)
  const clock = yield* Clock.Clock
  if (status !== 200 && status !== 201) {
    const unavailable = status === 408 || status === 429 || status >= 500
    const retryAfter = unavailable ? Transport.retryAfterOf(response, clock) : undefined
    return yield* Effect.fail(
      options.failed({
        reason: unavailable ? "unavailable" : "refused",
        status,
        description: oauthError(body),
        ...(retryAfter === undefined ? undefined : { retryAfter })
      })
    )
  }
  const parsed = yield* Effect.mapError(decode(body), () =>
    options.failed({ reason: "malformed", status, description: "the answer has no access_token (RFC 6749, 5.1)" })
  )
  if (parsed.token_type !== undefined && parsed.token_type.toLowerCase() !== "bearer") {
    return yield* Effect.fail(
      options.failed({ reason: "malformed", status, description: "the token is not of type Bearer" })
    )
  }
  const lifetime = Math.max(0, (parsed.expires_in ?? Infinity) * 1000)
  const expiresAt = sentAt + lifetime
  return {
    credential: { header: "authorization", value: Redacted.make(`Bearer ${parsed.access_token}`) },
    expiresAt,
    refreshAt: expiresAt === Infinity ? Infinity : expiresAt - Math.min(options.refreshBefore, lifetime / 10)
  }
})

/** The `error` code (RFC 6749, 5.2), which has a small alphabet; the description could repeat what was sent. */
const oauthError = (body: Schema.Json | undefined): string => {
  const error = typeof body === "object" && body !== null && "error" in body ? body.error : undefined
  return typeof error === "string" && /^[a-z_]{1,64}$/.test(error) ? error : "no error code"
}
