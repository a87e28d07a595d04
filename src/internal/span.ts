import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** Names of span attributes, besides those that logs have too: OpenTelemetry's, and what it has no name for. */
export const Attribute = {
  address: "server.address",
  port: "server.port",
  template: "url.template",
  resends: "http.request.resend_count",
  system: "messaging.system",
  operation: "messaging.operation.name",
  operationType: "messaging.operation.type",
  messageId: "messaging.message.id",
  saga: "integration.saga.name",
  sagaId: "integration.saga.id",
  step: "integration.saga.step",
  phase: "integration.saga.phase",
  outcome: "integration.saga.outcome"
} as const

/** Whether spans are kept by anybody: the default tracer forgets them, so nothing is to be made for it. */
export const isTraced = (context: Context.Context<never>): boolean =>
  Context.get(context, Tracer.Tracer) !== Tracer.nativeTracer

/** The same of a running fiber, which has looked its tracer up already. */
export const isTracedIn = ({ cache }: Fiber.Fiber<unknown, unknown>): boolean =>
  cache.tracer !== undefined && cache.tracer !== Tracer.nativeTracer

/** The W3C form of a span's context; `undefined` where it is not to be told to others. */
export const traceparentOf = (span: Tracer.AnySpan): string | undefined =>
  Context.get(span.annotations, Tracer.DisablePropagation)
    ? undefined
    : `00-${span.traceId.padStart(32, "0")}-${span.spanId}-${span.sampled ? "01" : "00"}`

/** The span of another process, by what it has told of itself. */
export const remote = (traceparent: unknown): Tracer.ExternalSpan | undefined =>
  typeof traceparent === "string"
    ? Option.getOrUndefined(HttpTraceContext.w3c(Headers.fromRecordUnsafe({ traceparent })))
    : undefined

/** How a span goes on from one of another process: as its child, in its trace, and linked to it; else in a new trace. */
export const continued = (
  parent: Tracer.ExternalSpan | undefined
): Pick<Tracer.SpanOptions, "parent" | "links" | "root"> =>
  parent === undefined ? { root: true } : { parent, links: [{ span: parent, attributes: {} }] }

/** A failure by its tag. What the error says may name what nobody but the caller should read. */
export const failed = (tag: string): Exit.Exit<never, Error> => {
  const error = new Error()
  error.name = tag
  error.stack = tag
  return Exit.fail(error)
}
