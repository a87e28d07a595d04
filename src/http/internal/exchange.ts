import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as DateTime from "effect/DateTime"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
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
    const requestId = fiber.getRef(RequestContext.RequestContext).requestId ?? makeId()
    const unsafe = !safe.has(given.method)
    const headers: Record<string, string> = { "x-request-id": requestId }
    if (given.headers.accept === undefined) headers.accept = "application/json"
    if (wire.idempotent && unsafe) {
      const key = fiber.getRef(Idempotency.Keys)?.(operation) ?? makeId()
      Object.assign(headers, Idempotency.headersOf(key, wire.keyHeaders))
    }
    let request = HttpClientRequest.setHeaders(given, headers)
    if (wire.sourceSystem !== undefined && unsafe) {
      request = withMetadata(request, wire.sourceSystem, fiber.getRef(Clock.Clock))
    }
    const key = wire.circuitKey?.(request)
    const repeats = wire.idempotent || repeatable.has(request.method)
    if (authenticator === undefined) {
      return wire.policy.with({ repeatable: repeats, requestId, key })(send(wire, request, requestId, [], read))
    }
    let used: Credential | undefined
    const credential = Effect.withFiber((each) => {
      each.getRef(Timeouts.CurrentAttempt)?.preparing()
      return authenticator.credential
    })
    const attempt = Effect.flatMap(credential, (given) => {
      used = given
      const secret = Redacted.value(given.value)
      const authorized = HttpClientRequest.setHeader(request, given.header, secret)
      const sent = send(wire, authorized, requestId, [secret, secret.replace(/^Bearer /, "")], read)
      if (fiber.getRef(Headers.CurrentRedactedNames).includes(given.header)) return sent
      return Effect.updateService(sent, Headers.CurrentRedactedNames, (names) => [...names, given.header])
    })
    const refresh = () => (used === undefined ? Effect.succeed(false) : authenticator.refused(used))
    return wire.policy.with({ repeatable: repeats, requestId, key, refresh })(attempt)
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
    return Effect.matchCauseEffect(wire.httpClient.execute(request), {
      onFailure: (cause) =>
        Effect.failCause(Cause.map(cause, (error) => fromClient(wire, error, site(), attempt?.wasSent, "request"))),
      onSuccess: (response) => {
        attempt?.answered()
        const { status } = response
        const value = status < 300 ? read(response, fiber) : undefined
        const result =
          value === undefined
            ? fromStatus(wire, response, site, secrets, status < 300 ? undefined : read(response, fiber))
            : Effect.catchCause(value, (cause) =>
                Effect.failCause(Cause.map(cause, (error) => fromClient(wire, error, site(), true, "response", status)))
              )
        const echo = response.headers["x-request-id"]
        if (echo === undefined || echo === requestId) return result
        return Effect.andThen(reportEcho(wire.name, site(), echo), result)
      }
    })
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
  const fromRow = Effect.clockWith((clock) =>
    Effect.flatMap(Body.read(response, { secrets, fields: wire.personalData }), (body) => {
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
    const error = ErrorAction.attach(found.error, actionOf(wire, row))
    if (row.outcome === "unprocessed" && !("outcome" in error)) {
      Object.defineProperty(error, "outcome", { value: row.outcome, enumerable: false, configurable: true })
    }
    return Effect.fail(error)
  })
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
  status?: number
): unknown => {
  if (Schema.isSchemaError(error)) return protocolError(site, side, error, status)
  if (!HttpClientError.isHttpClientError(error)) return error
  const failure = Transport.failureOf(error)
  if (failure === undefined) {
    const field = side === "request" ? "url or body" : "body"
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
const describe = (error: HttpClientError.HttpClientError): string => {
  const type = error.response?.headers["content-type"]
  const got = type === undefined ? "without content-type" : `of content-type ${type.slice(0, 100)}`
  return error.reason._tag === "EmptyBodyError"
    ? "the body is empty"
    : `expected what the contract declares, got a body ${got}`
}

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** What does not fit a schema, by path; never the values. */
export const protocolError = (
  site: Omit<Site, "requestId"> & { readonly requestId?: string },
  side: "request" | "response",
  error: Schema.SchemaError,
  status?: number
): ProtocolError => {
  const { issues } = format(error.issue)
  const path = issues[0]?.path?.map((each) => String(Predicate.isObject(each) ? each.key : each)) ?? []
  return new ProtocolError({
    ...site,
    side,
    field: ["body", ...path].join("."),
    description: issues
      .slice(0, 5)
      .map((issue) => issue.message)
      .join("; ")
      .slice(0, 512),
    ...(status === undefined ? undefined : { status })
  })
}

export const siteOf = (integration: string, request: HttpClientRequest.HttpClientRequest, requestId: string): Site => {
  const end = request.url.search(/[?#]/)
  const url = end < 0 ? request.url : request.url.slice(0, end)
  return {
    integration,
    method: request.method,
    path: url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, "") || "/",
    requestId
  }
}

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

/** Adds `metadata` to a JSON object (section 3.1, Request Body). */
const withMetadata = (
  request: HttpClientRequest.HttpClientRequest,
  sourceSystem: string,
  clock: Clock.Clock
): HttpClientRequest.HttpClientRequest => {
  const { body } = request
  if (body._tag !== "Uint8Array" || !/^application\/([a-z.-]+\+)?json/i.test(body.contentType)) return request
  const payload: unknown = JSON.parse(new TextDecoder().decode(body.body))
  if (!Predicate.isObject(payload) || Array.isArray(payload)) return request
  const timestamp = DateTime.formatIso(DateTime.makeUnsafe(clock.currentTimeMillisUnsafe()))
  const filled = JSON.stringify({ ...payload, metadata: { sourceSystem, timestamp } })
  return HttpClientRequest.setBody(request, HttpBody.text(filled, body.contentType))
}
