import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { constTrue } from "effect/Function"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Tracer from "effect/Tracer"
import * as Span from "../../internal/span.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as Timeouts from "../../policy/Timeouts.ts"
import * as Telemetry from "../../Telemetry.ts"
import { pathOf } from "./wire.ts"

/** What is known of a request besides itself. */
export interface Request {
  readonly integration: string
  /** Its path without what differs from call to call. */
  readonly template: string | undefined
  /** How often it was sent before. */
  readonly resends: number
  readonly requestId: string | undefined
}

/** Whether the request gets a span of ours, in place of the client's: that one has the URL with its query. */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>, request: HttpClientRequest.HttpClientRequest): boolean =>
  Span.isTracedIn(fiber) &&
  !fiber.getRef(Tracer.DisablePropagation) &&
  !fiber.getRef(HttpClient.TracerDisabledWhen)(request)

/**
 * One request as a client span (OpenTelemetry's semantic conventions of HTTP): named by method and template, without URL,
 * query, headers and what an error says.
 */
export const traced = <A, E, R>(
  fiber: Fiber.Fiber<unknown, unknown>,
  request: HttpClientRequest.HttpClientRequest,
  { integration, requestId, resends, template }: Request,
  send: (request: HttpClientRequest.HttpClientRequest, span: Tracer.Span) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const { method } = request
  const url = URL.canParse(request.url) ? new URL(request.url) : undefined
  const port = url === undefined ? undefined : url.port === "" ? defaultPorts[url.protocol] : Number(url.port)
  const attributes = {
    [Telemetry.Attribute.integration]: integration,
    [Telemetry.Attribute.method]: method,
    ...(template === undefined
      ? { [Telemetry.Attribute.path]: pathOf(request) }
      : { [Span.Attribute.template]: template }),
    ...(url === undefined ? undefined : { [Span.Attribute.address]: url.hostname.replace(/^\[|\]$/g, "") }),
    ...(port === undefined ? undefined : { [Span.Attribute.port]: port }),
    ...(resends === 0 ? undefined : { [Span.Attribute.resends]: resends }),
    ...(requestId === undefined ? undefined : { [Telemetry.Attribute.requestId]: requestId }),
    ...(fiber.getRef(Telemetry.Synthetic) ? { [Telemetry.Attribute.synthetic]: true } : undefined)
  }
  const name = template === undefined ? method : `${method} ${template}`
  return Effect.useSpan(name, { kind: "client", attributes }, (span) => {
    const propagated = fiber.getRef(HttpClient.TracerPropagationEnabled)
      ? HttpClientRequest.setHeaders(request, HttpTraceContext.toHeaders(span))
      : request
    headers(fiber, span, "request", request.headers)
    return send(propagated, span).pipe(
      Effect.provideService(HttpClient.TracerDisabledWhen, constTrue),
      Effect.withParentSpan(span, { captureStackTrace: false }),
      Effect.onExit((exit) => Effect.sync(() => end(fiber, span, exit)))
    )
  })
}

/** The response is there: what the span says of it. */
export const answered = (
  fiber: Fiber.Fiber<unknown, unknown>,
  span: Tracer.Span,
  response: HttpClientResponse.HttpClientResponse
): void => {
  span.attribute(Telemetry.Attribute.status, response.status)
  headers(fiber, span, "response", response.headers)
}

/** The headers that somebody has asked for, which are none by default. */
const headers = (
  fiber: Fiber.Fiber<unknown, unknown>,
  span: Tracer.Span,
  phase: "request" | "response",
  given: Headers.Headers
): void => {
  const isWanted = fiber.getRef(HttpClient.TracerHeaderFilter)
  const secret = fiber.getRef(Headers.CurrentRedactedNames)
  for (const [name, value] of Object.entries(given)) {
    if (!isWanted(name, phase)) continue
    span.attribute(`http.${phase}.header.${name}`, Headers.isRedactedName(name, secret) ? "<redacted>" : value)
  }
}

const defaultPorts: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 }

/** Ends the span before `useSpan` does, which would show the error. */
const end = (fiber: Fiber.Fiber<unknown, unknown>, span: Tracer.Span, exit: Exit.Exit<unknown, unknown>): void => {
  const now = fiber.getRef(Clock.Clock).currentTimeNanosUnsafe()
  const status = span.attributes.get(Telemetry.Attribute.status)
  const refused = typeof status === "number" && status >= 400 ? String(status) : undefined
  if (exit._tag === "Success") {
    if (refused === undefined) return span.end(now, exit)
    span.attribute(Telemetry.Attribute.errorTag, refused)
    return span.end(now, Span.failed(refused))
  }
  const expired = fiber.getRef(Timeouts.CurrentAttempt)?.expired
  if (Cause.hasInterruptsOnly(exit.cause) && expired === undefined) return span.end(now, exit)
  const failure = exit.cause.reasons.find(Cause.isFailReason)
  const tag = expired !== undefined ? "Timeout" : failure === undefined ? "Defect" : ErrorAction.tagOf(failure.error)
  span.attribute(Telemetry.Attribute.errorTag, expired === undefined ? (refused ?? tag) : `timeout.${expired}`)
  span.end(now, Span.failed(tag))
}
