import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Redaction } from "./redaction.ts"
import type { Sampler } from "./sampler.ts"

/**
 * A tracer that gets only the spans that are kept, redacted. A span does as its parent does, wherever that is; the first of
 * a trace is kept as the sampler says. What is not kept still has its ids, so that others are told not to keep theirs.
 */
export const make = (tracer: Tracer.Tracer, keeps: Sampler, redaction: Redaction): Tracer.Tracer =>
  Tracer.make({
    span: (options) => {
      if (!options.sampled) return new Tracer.NativeSpan(options)
      const span = tracer.span(options)
      if (Option.isNone(span.parent) && (options.name === transaction || !keeps(span.traceId))) {
        const dropped = new Tracer.NativeSpan({ ...options, sampled: false })
        dropped._traceId = span.traceId
        return dropped
      }
      return span.sampled ? redacted(span, redaction) : span
    },
    context: tracer.context
  })

/** How Effect's SQL clients name the span of a transaction. */
const transaction = "sql.transaction"

/** A statement outside of any trace is one of a timer: stores look every second whether there is anything to do. */
const isStatement = ({ attributes, kind, parent }: Tracer.Span): boolean =>
  kind === "client" && Option.isNone(parent) && attributes.has("db.system.name")

/** The same object, since tracers know their own spans again. */
const redacted = (span: Tracer.Span, redaction: Redaction): Tracer.Span => {
  const { attribute, end, event } = span
  span.attribute = (name, value) => {
    const told = redaction.attribute(name, value)
    if (told !== undefined) attribute.call(span, name, told)
  }
  span.event = (name, startTime, attributes) => {
    const told = Object.entries(attributes ?? {}).map(([key, value]) => [key, redaction.attribute(key, value)])
    event.call(span, name, startTime, Object.fromEntries(told))
  }
  span.end = (endTime, exit) => {
    if (!isStatement(span)) end.call(span, endTime, redaction.exit(exit))
  }
  return span
}
