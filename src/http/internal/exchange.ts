import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import type * as HttpClient from "effect/http/HttpClient"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as DateTime from "effect/DateTime"
import * as Inspectable from "effect/Inspectable"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "../../internal/option.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import type * as Policy from "../../policy/Policy.ts"
import * as RequestContext from "../../policy/RequestContext.ts"
import * as Timeouts from "../../policy/Timeouts.ts"
import * as Telemetry from "../../Telemetry.ts"
import { NetworkError, ProtocolError } from "../CallError.ts"
import * as Idempotency from "../Idempotency.ts"
import * as StatusTable from "../StatusTable.ts"
import * as Body from "./body.ts"
import type { Authenticator, Credential } from "./credential.ts"
import * as Transport from "./transport.ts"

/** What all calls of one contract share. */
export interface Wire {
  readonly name: string
  readonly httpClient: HttpClient.HttpClient
  readonly policy: Policy.Policy<any, any>
  readonly table: StatusTable.StatusTable<unknown>
  readonly authenticator: Authenticator<unknown> | undefined
  readonly idempotent: boolean
  readonly keyHeaders: ReadonlyArray<string>
  readonly sourceSystem: string | undefined
  readonly personalData: ReadonlySet<string>
  readonly circuitKey: ((request: HttpClientRequest.HttpClientRequest) => string) | undefined
  /** The limit of `connect`, to name it where the client noticed first. */
  readonly connectMillis: number
}

/** Takes the value out of a response; `undefined` where the contract does not declare such a response. */
export type Read<A, E> = (
  response: HttpClientResponse.HttpClientResponse,
  fiber: Fiber.Fiber<unknown, unknown>
) => Effect.Effect<A, E, any> | undefined

/** What is known about one call when something goes wrong. */
export interface Site {
  readonly integration: string
  readonly method: string
  readonly path: string
  readonly requestId: string
}

/** The path of a request, without the host, which may come with a password, and without the query. */
export const pathOf = (request: HttpClientRequest.HttpClientRequest): string => {
  const end = request.url.search(/[?#]/)
  const url = end < 0 ? request.url : request.url.slice(0, end)
  return url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, "") || "/"
}

const safe = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"])
const repeatable = new Set([...safe, "PUT", "DELETE"])

/**
 * One logical call: adds what the contract promises to the request, runs attempts under the policy, and turns everything
 * that is not a success into the error of its row.
 */
export const exchange = <A, E>(
  wire: Wire,
  operation: string,
  given: HttpClientRequest.HttpClientRequest,
  read: Read<A, E>
): Effect.Effect<A, unknown, any> =>
  Effect.withFiber((fiber) => {
    const { authenticator } = wire
    const makeId = fiber.getRef(RequestContext.IdGenerator)
    const inbound = fiber.getRef(RequestContext.RequestContext).requestId
    // An id that no header can carry is not forwarded: it came from outside.
    const requestId = inbound !== undefined && Option.isHeaderValue(inbound) ? inbound : makeId()
    const unsafe = !safe.has(given.method)
    const headers: Record<string, string> = { "x-request-id": requestId }
    if (given.headers.accept === undefined) headers.accept = "application/json"
    let request = HttpClientRequest.setHeaders(given, headers)
    if (wire.sourceSystem !== undefined && unsafe) {
      request = withMetadata(request, wire.sourceSystem, fiber.getRef(Clock.Clock))
    }
    const key = wire.circuitKey?.(request)
    const repeats = wire.idempotent || repeatable.has(request.method)
    const run = (ready: HttpClientRequest.HttpClientRequest) => {
      if (authenticator === undefined) {
        return wire.policy.with({ repeatable: repeats, requestId, key })(send(wire, ready, requestId, [], read))
      }
      let used: Credential | undefined
      const attempt = Effect.flatMap(credentialOf(authenticator), (credential) => {
        used = credential
        return sendWith(wire, ready, requestId, credential, read)
      })
      const refresh = () => (used === undefined ? Effect.succeed(false) : authenticator.refused(used))
      return wire.policy.with({ repeatable: repeats, requestId, key, refresh })(attempt)
    }
    if (
      !wire.idempotent ||
      !unsafe ||
      wire.keyHeaders.some((name) => request.headers[name.toLowerCase()] !== undefined)
    ) {
      return run(request)
    }
    return Effect.flatMap(fiber.getRef(Idempotency.Keys)?.(operation) ?? Effect.succeed(makeId()), (idempotencyKey) =>
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
  requestId: string,
  credential: Credential,
  read: Read<A, E>
): Effect.Effect<A, unknown, any> => {
  const secret = Redacted.value(credential.value)
  if (!Option.isHeaderValue(secret)) {
    return Effect.fail(unsendable(siteOf(wire.name, request, requestId), credential.header))
  }
  const authorized = HttpClientRequest.setHeader(request, credential.header, secret)
  const sent = send(wire, authorized, requestId, [secret, secret.replace(/^Bearer /, "")], read)
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
  requestId: string,
  secrets: ReadonlyArray<string>,
  read: Read<A, E>
): Effect.Effect<A, unknown, any> =>
  Effect.withFiber((fiber) => {
    const attempt = fiber.getRef(Timeouts.CurrentAttempt)
    const site = () => siteOf(wire.name, request, requestId)
    // Where nobody shows when the request is sent, it counts as sent from now on.
    attempt?.sent()
    const response = Effect.provideService(wire.httpClient.execute(request), FetchHttpClient.RequestInit, noRedirect)
    return Effect.matchCauseEffect(response, {
      onFailure: (cause) =>
        Effect.failCause(Cause.map(cause, (error) => fromClient(wire, error, site(), attempt?.wasSent, "request"))),
      onSuccess: (answer) => {
        attempt?.answered()
        return receive(wire, concealed(answer, secrets), site, secrets, read(answer, fiber))
      }
    })
  })

/** `FetchHttpClient` would follow redirects, with the credentials, before they are seen. Other clients do not look. */
const noRedirect: RequestInit = { redirect: "manual" }

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

/** What a response means: the value that was read from it, or the error of its status. */
export const receive = <A, E>(
  wire: Wire,
  response: HttpClientResponse.HttpClientResponse,
  site: () => Site,
  secrets: ReadonlyArray<string>,
  value: Effect.Effect<A, E, any> | undefined
): Effect.Effect<A, unknown, any> => {
  const { status } = response
  const result =
    status >= 300
      ? fromStatus(wire, response, site, secrets, value)
      : value === undefined
        ? Effect.fail(undeclared(site(), status))
        : Effect.catchCause(value, (cause) =>
            Effect.failCause(Cause.map(cause, (error) => fromClient(wire, error, site(), true, "response", response)))
          )
  const echo = response.headers["x-request-id"]
  const expected = response.request.headers["x-request-id"]
  if (echo === undefined || echo === expected) return result
  const shown = secrets.some((secret) => echo.includes(secret)) ? "<redacted>" : echo
  return Effect.andThen(reportEcho(wire.name, site(), shown), result)
}

const isUndeclared = (error: HttpClientError.HttpClientError): boolean =>
  error.reason._tag === "DecodeError" && error.reason.description === "undeclared status code"
const undeclared = (site: Site, status: number): ProtocolError =>
  new ProtocolError({
    ...site,
    side: "response",
    status,
    field: "status",
    description: "the contract does not declare it"
  })

/** The error of a response: the one that the endpoint declares, where it can be read, else the one of the row. */
const fromStatus = <A, E>(
  wire: Wire,
  response: HttpClientResponse.HttpClientResponse,
  site: () => Site,
  secrets: ReadonlyArray<string>,
  declared: Effect.Effect<A, E, any> | undefined
): Effect.Effect<A, unknown, any> => {
  const { status } = response
  // What could not be decoded was read before.
  const said = (declared === undefined ? Body.read : Body.readAgain)(response, { secrets, fields: wire.personalData })
  const fromRow = Effect.clockWith((clock) =>
    Effect.flatMap(said, (body) => {
      const problem = Body.problemOf(body)
      const row = StatusTable.rowOf(wire.table, status, problem?.type)
      const retryAfter = row.retryAfter ? Transport.retryAfterOf(response, clock) : undefined
      return Effect.fail(
        new row.error({
          ...site(),
          status,
          code: row.code,
          outcome: row.outcome,
          errorAction: actionOf(wire, row),
          ...(problem === undefined ? undefined : { problem }),
          ...(body === undefined ? undefined : { body }),
          ...(retryAfter === undefined ? undefined : { retryAfter })
        })
      )
    })
  )
  if (declared === undefined) return fromRow
  return Effect.catchCause(declared, (cause): Effect.Effect<never, unknown> => {
    const found = cause.reasons.find(Cause.isFailReason)
    if (found === undefined) return Effect.failCause(cause)
    if (!Predicate.isObject(found.error) || isRaw(found.error)) return fromRow
    const row = StatusTable.rowOf(wire.table, status)
    return Effect.clockWith((clock) => {
      const retryAfter = row.retryAfter ? Transport.retryAfterOf(response, clock) : undefined
      return Effect.fail(described(found.error as object, actionOf(wire, row), row.outcome, retryAfter))
    })
  })
}

/** A declared error that also says what the row and the headers say, where it does not say it itself. */
const described = (
  error: object,
  action: ErrorAction.ErrorAction,
  outcome: ErrorAction.Outcome,
  retryAfter: Duration.Duration | undefined
): unknown => {
  const attached = ErrorAction.attach(error, action)
  for (const [name, value] of Object.entries({ outcome, retryAfter })) {
    if (value === undefined || name in attached || !Object.isExtensible(attached)) continue
    Object.defineProperty(attached, name, { value, enumerable: false, configurable: true })
  }
  return attached
}

/** Skipping is right only where the work is known to be the same: a contract that is not idempotent fails. */
const actionOf = (wire: Wire, row: StatusTable.Row<unknown>): ErrorAction.ErrorAction =>
  row.action.kind === "skip" && !wire.idempotent
    ? { ...row.action, kind: "fail", log: "error", guidance: "in conflict with another request: fail" }
    : row.action

const isRaw = (error: unknown): error is HttpClientError.HttpClientError | Schema.SchemaError =>
  HttpClientError.isHttpClientError(error) || Schema.isSchemaError(error)

/** What the client or the decoder says, in the terms of the contract. */
const fromClient = (
  wire: Wire,
  error: unknown,
  site: Site,
  sent: boolean | undefined,
  side: "request" | "response",
  response?: HttpClientResponse.HttpClientResponse
): unknown => {
  const status = response?.status
  if (Schema.isSchemaError(error)) return protocolError(site, side, error, "body", response)
  if (!HttpClientError.isHttpClientError(error)) return error
  const failure = Transport.failureOf(error)
  if (failure === undefined) {
    if (response !== undefined && isUndeclared(error)) return undeclared(site, response.status)
    const field = side === "request" ? "url or body" : isJson(response) ? "body" : "content-type"
    const description = side === "request" ? error.reason._tag : describe(error)
    return new ProtocolError({
      ...site,
      side,
      field,
      description,
      ...(status === undefined ? undefined : { status })
    })
  }
  if (failure.kind === "connect timeout") {
    const limit = Duration.millis(Number.isFinite(wire.connectMillis) ? wire.connectMillis : 10_000)
    return new Timeouts.Timeout({ integration: wire.name, kind: "connect", limit, outcome: "unprocessed" })
  }
  const unsent = failure.kind !== "reset" || sent === false
  return new NetworkError({
    ...site,
    kind: failure.kind,
    code: failure.code,
    outcome: unsent ? "unprocessed" : "unknown"
  })
}

/** The description of a client's error about a body, without what the body said. */
const describe = (error: HttpClientError.HttpClientError): string =>
  error.reason._tag === "EmptyBodyError" || error.response === undefined ? "the body is empty" : typeOf(error.response)
const typeOf = (response: HttpClientResponse.HttpClientResponse): string => {
  const type = response.headers["content-type"]
  const got = type === undefined ? "without content-type" : `of content-type ${type.slice(0, 100)}`
  return `expected what the contract declares, got a body ${got}`
}

/** The message of a check may quote the value, so only the name of the check is told. */
const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => (issue._tag === "InvalidValue" ? "Expected a valid value" : SchemaIssue.defaultLeafHook(issue)),
  checkHook: (issue) => {
    const { expected } = (issue.filter.annotations ?? {}) as { readonly expected?: unknown }
    return typeof expected === "string" ? `Expected ${expected}` : "Expected a value that passes its check"
  }
})

/** What does not fit a schema, by path; never the values. */
export const protocolError = (
  site: Omit<Site, "requestId"> & { readonly requestId?: string },
  side: "request" | "response",
  error: Schema.SchemaError,
  part: string,
  response?: HttpClientResponse.HttpClientResponse
): ProtocolError => {
  const { issues } = format(error.issue)
  const path = issues[0]?.path?.map((each) => String(Predicate.isObject(each) ? each.key : each).slice(0, 64)) ?? []
  const foreign = path.length === 0 && response !== undefined && !isJson(response)
  const said = issues.slice(0, 5).map((issue) => issue.message)
  return new ProtocolError({
    ...site,
    side,
    field: foreign ? "content-type" : [part, ...path].join(".").slice(0, 256),
    description: (foreign ? typeOf(response) : said.join("; ")).slice(0, 512),
    ...(response === undefined ? undefined : { status: response.status })
  })
}

const isJson = (response: HttpClientResponse.HttpClientResponse | undefined): boolean =>
  response === undefined || jsonType.test(response.headers["content-type"] ?? "application/json")
const jsonType = /^application\/([\w.!#$&^-]+\+)?json\s*(;|$)/i

export const siteOf = (integration: string, request: HttpClientRequest.HttpClientRequest, requestId: string): Site => ({
  integration,
  method: request.method,
  path: pathOf(request),
  requestId
})

/** Reports a response that answers another request (section 3.1: `requestId` is the echo of X-Request-ID). */
export const reportEcho = (integration: string, site: Site, echo: string): Effect.Effect<void> =>
  Effect.logWarning(
    `${integration}: ${site.method} ${site.path}: the response is of request ${echo.slice(0, 100)}, not ${site.requestId}`
  ).pipe(
    Effect.annotateLogs({
      [Telemetry.Attribute.integration]: integration,
      [Telemetry.Attribute.requestId]: site.requestId
    })
  )

/** Adds `metadata` to a JSON object (section 3.1, Request Body); what is none is sent as it is. */
const withMetadata = (
  request: HttpClientRequest.HttpClientRequest,
  sourceSystem: string,
  clock: Clock.Clock
): HttpClientRequest.HttpClientRequest => {
  const { body } = request
  if (body._tag !== "Uint8Array" || !jsonType.test(body.contentType)) return request
  const text = new TextDecoder().decode(body.body)
  const payload = objectOf(text)
  if (payload === undefined) return request
  const timestamp = DateTime.formatIso(DateTime.makeUnsafe(clock.currentTimeMillisUnsafe()))
  const own = Predicate.isObject(payload.metadata) && !Array.isArray(payload.metadata) ? payload.metadata : undefined
  const metadata = { ...own, sourceSystem, timestamp }
  // Written into the text: to write the whole again could change its numbers.
  const filled =
    "metadata" in payload
      ? JSON.stringify({ ...payload, metadata })
      : text.replace(/\}\s*$/, `${Object.keys(payload).length === 0 ? "" : ","}"metadata":${JSON.stringify(metadata)}}`)
  return HttpClientRequest.setBody(request, HttpBody.text(filled, body.contentType))
}

const objectOf = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return Predicate.isObject(value) && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
