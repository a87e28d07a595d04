import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as Telemetry from "../../Telemetry.ts"
import * as StatusTable from "../StatusTable.ts"
import * as Body from "./body.ts"
import * as Mismatch from "./mismatch.ts"
import * as Transport from "./transport.ts"
import type { Site, Wire } from "./wire.ts"

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
        ? Effect.fail(Mismatch.undeclared(site(), status))
        : Effect.catchCause(value, (cause) =>
            Effect.failCause(
              Cause.map(cause, (error) => Mismatch.fromClient(wire, error, site(), true, "response", response))
            )
          )
  const echo = response.headers["x-request-id"]
  const expected = response.request.headers["x-request-id"]
  if (echo === undefined || echo === expected) return result
  const shown = secrets.some((secret) => echo.includes(secret)) ? "<redacted>" : echo
  return Effect.andThen(reportEcho(wire.name, site(), shown), result)
}

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
