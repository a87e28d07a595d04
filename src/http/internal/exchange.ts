import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Inspectable from "effect/Inspectable"
import * as Redacted from "effect/Redacted"
import type { Span } from "effect/Tracer"
import * as Option from "../../internal/option.ts"
import * as RequestContext from "../../policy/RequestContext.ts"
import * as Timeouts from "../../policy/Timeouts.ts"
import * as Telemetry from "../../Telemetry.ts"
import { ProtocolError } from "../CallError.ts"
import * as Idempotency from "../Idempotency.ts"
import * as Answer from "./answer.ts"
import type { Authenticator, Credential } from "./credential.ts"
import { withMetadata } from "./metadata.ts"
import * as Mismatch from "./mismatch.ts"
import * as Tracing from "./tracing.ts"
import { pathOf, type Site, siteOf, type Wire } from "./wire.ts"

/** Takes the value out of a response; `undefined` where the contract does not declare such a response. */
export type Read<A, E> = (
  response: HttpClientResponse.HttpClientResponse,
  fiber: Fiber.Fiber<unknown, unknown>
) => Effect.Effect<A, E, any> | undefined

const safe = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"])
const repeatable = new Set([...safe, "PUT", "DELETE"])

/**
 * One logical call: adds what the contract promises to the request, runs attempts under the policy, and turns everything
 * that is not a success into the error of its row.
 */
export const exchange = <A, E>(
  wire: Wire,
  /** Names the operation for derived idempotency keys; by default the method and path. */
  operation: string | undefined,
  relative: HttpClientRequest.HttpClientRequest,
  read: Read<A, E>,
  /** The path of the endpoint as it is declared, for spans. */
  template?: string
): Effect.Effect<A, unknown, any> =>
  Effect.withFiber((fiber) => {
    const { authenticator } = wire
    const given = HttpClientRequest.prependUrl(relative, wire.baseUrl)
    const makeId = fiber.getRef(RequestContext.IdGenerator)
    const inbound = fiber.getRef(RequestContext.RequestContext).requestId
    // An id that no header can carry is not forwarded: it came from outside.
    const requestId = inbound !== undefined && Option.isHeaderValue(inbound) ? inbound : makeId()
    const unsafe = !safe.has(given.method)
    const headers: Record<string, string> = { "x-request-id": requestId }
    if (given.headers.accept === undefined) headers.accept = "application/json"
    if (fiber.getRef(Telemetry.Synthetic)) headers["x-synthetic"] = "true"
    let request = HttpClientRequest.setHeaders(given, headers)
    if (wire.sourceSystem !== undefined && unsafe) {
      request = withMetadata(request, wire.sourceSystem, fiber.getRef(Clock.Clock))
    }
    const name = () => `${given.method} ${pathOf(given)}`
    const options = {
      repeatable: wire.idempotent || repeatable.has(given.method),
      requestId,
      operation: name,
      key: wire.circuitKey?.(request),
      // `FetchHttpClient` would follow redirects, with the credentials, before they are seen. Other clients do not look.
      context: withoutRedirects(fiber.context)
    }
    const sending: Sending = { requestId, template, times: 0 }
    const run = (ready: HttpClientRequest.HttpClientRequest) => {
      if (authenticator === undefined) {
        return wire.policy.run(send(wire, ready, sending, [], read), options)
      }
      let used: Credential | undefined
      const attempt = Effect.flatMap(credentialOf(authenticator), (credential) => {
        used = credential
        return sendWith(wire, ready, sending, credential, read)
      })
      const refresh = () => (used === undefined ? Effect.succeed(false) : authenticator.refused(used))
      return wire.policy.run(attempt, { ...options, refresh })
    }
    if (
      !wire.idempotent ||
      !unsafe ||
      wire.keyHeaders.some((name) => request.headers[name.toLowerCase()] !== undefined)
    ) {
      return run(request)
    }
    return Effect.flatMap(
      fiber.getRef(Idempotency.Keys)?.(operation ?? name()) ?? Effect.succeed(makeId()),
      (idempotencyKey) =>
        Option.isHeaderValue(idempotencyKey)
          ? run(HttpClientRequest.setHeaders(request, Idempotency.headersOf(idempotencyKey, wire.keyHeaders)))
          : Effect.fail(unsendable(siteOf(wire.name, request, requestId), wire.keyHeaders[0]!.toLowerCase()))
    )
  })

/** Nothing is sent while the credentials are fetched. */
const credentialOf = <E>(authenticator: Authenticator<E>): Effect.Effect<Credential, E> =>
  Effect.withFiber((fiber) => {
    fiber.getRef(Timeouts.CurrentAttempt)?.preparing()
    return authenticator.credential
  })

/** An attempt with credentials, which are kept out of what is logged, traced or carried by errors. */
const sendWith = <A, E>(
  wire: Wire,
  request: HttpClientRequest.HttpClientRequest,
  sending: Sending,
  credential: Credential,
  read: Read<A, E>
): Effect.Effect<A, unknown, any> => {
  const secret = Redacted.value(credential.value)
  if (!Option.isHeaderValue(secret)) {
    return Effect.fail(unsendable(siteOf(wire.name, request, sending.requestId), credential.header))
  }
  const authorized = HttpClientRequest.setHeader(request, credential.header, secret)
  const sent = send(wire, authorized, sending, [secret, secret.replace(/^Bearer /, "")], read)
  return Effect.updateService(sent, Headers.CurrentRedactedNames, (names) =>
    names.includes(credential.header) ? names : [...names, credential.header]
  )
}

const unsendable = (site: Site, field: string): ProtocolError =>
  new ProtocolError({
    ...site,
    side: "request",
    field,
    description: "the value has characters that no header can carry (RFC 9110, 5.5)"
  })

/** One attempt, from the request to the value. */
const send = <A, E>(
  wire: Wire,
  request: HttpClientRequest.HttpClientRequest,
  sending: Sending,
  secrets: ReadonlyArray<string>,
  read: Read<A, E>
): Effect.Effect<A, unknown, any> =>
  Effect.withFiber((fiber) => {
    const { requestId, template } = sending
    const resends = sending.times++
    if (!Tracing.isTraced(fiber, request)) return sendIn(fiber, wire, request, requestId, secrets, read, undefined)
    const about = {
      integration: wire.name,
      requestId,
      resends,
      template: template === undefined ? undefined : templateOf(wire.baseUrl, template)
    }
    return Tracing.traced(fiber, request, about, (request, span) =>
      sendIn(fiber, wire, request, requestId, secrets, read, span)
    )
  })

/** What the attempts of a call have in common. */
interface Sending {
  readonly requestId: string
  readonly template: string | undefined
  times: number
}

/** The path of an endpoint below that of the provider. */
const templateOf = (baseUrl: string, template: string): string =>
  URL.canParse(baseUrl) ? new URL(baseUrl).pathname.replace(/\/$/, "") + template : template

const sendIn = <A, E>(
  fiber: Fiber.Fiber<unknown, unknown>,
  wire: Wire,
  request: HttpClientRequest.HttpClientRequest,
  requestId: string,
  secrets: ReadonlyArray<string>,
  read: Read<A, E>,
  span: Span | undefined
): Effect.Effect<A, unknown, any> => {
  const attempt = fiber.getRef(Timeouts.CurrentAttempt)
  const site = () => siteOf(wire.name, request, requestId)
  // Where nobody shows when the request is sent, it counts as sent from now on.
  attempt?.sent()
  return Effect.matchCauseEffect(wire.httpClient.execute(request), {
    onFailure: (cause) =>
      Effect.failCause(
        Cause.map(cause, (error) => Mismatch.fromClient(wire, error, site(), attempt?.wasSent, "request"))
      ),
    onSuccess: (answer) => {
      attempt?.answered()
      if (span !== undefined) Tracing.answered(fiber, span, answer)
      return Answer.receive(wire, concealed(answer, secrets), site, secrets, read(answer, fiber))
    }
  })
}

const withoutRedirects = (context: Context.Context<never>): Context.Context<never> => {
  if (context !== last.given)
    last = { given: context, made: Context.add(context, FetchHttpClient.RequestInit, noRedirect) }
  return last.made
}
const noRedirect: RequestInit = { redirect: "manual" }
/** Calls mostly come from fibers that share their context. */
let last = {
  given: Context.empty(),
  made: Context.make(FetchHttpClient.RequestInit, noRedirect) as Context.Context<never>
}

/** What prints a response prints its request: without the credentials, whatever their header is called. */
const concealed = (
  response: HttpClientResponse.HttpClientResponse,
  secrets: ReadonlyArray<string>
): HttpClientResponse.HttpClientResponse => {
  if (secrets.length === 0) return response
  const { method, url } = response.request
  const printed = () => ({
    _id: "effect/http/HttpClientResponse",
    request: { _id: "effect/http/HttpClientRequest", method, url: UrlParams.redactUrl(url) },
    status: response.status
  })
  return Object.defineProperties(response, {
    toJSON: { value: printed },
    [Inspectable.NodeInspectSymbol]: { value: printed },
    toString: { value: () => JSON.stringify(printed()) }
  })
}
