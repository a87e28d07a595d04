import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as Span from "../../internal/span.ts"
import * as Telemetry from "../../Telemetry.ts"
import type { Failure } from "../Outcome.ts"

/** What an attempt needs to be traced. Without a tracer, the trace is only handed on. */
export interface Tracing {
  readonly tracer: Tracer.Tracer | undefined
  readonly span: Tracer.AnySpan | undefined
}

/**
 * Spans that nobody sees, each under the name of its parent. The engine makes one for all that it looks up, and again
 * with each replay; what is done in a step is to hang below the step.
 */
export const silent: Tracer.Tracer = Tracer.make({
  span: (options) => {
    const span = new Tracer.NativeSpan(options)
    span._spanId = Option.getOrUndefined(options.parent)?.spanId
    return span
  }
})

/** What a run has been started with. */
interface Start {
  readonly traceparent?: string
  readonly synthetic?: boolean
}

/** What a run has ended with. */
type End = { readonly _tag: "Completed" } | { readonly _tag: "RolledBack" | "Abandoned"; readonly failure: Failure }

/** More runs than this are not kept in mind: those that went on elsewhere never end here. */
const most = 10_000

/**
 * The spans of the runs that a process has in hand: one of a run, however often it is suspended and replayed. What a crash
 * leaves open is lost; the process that goes on with the run has a span of its own for it, in the same trace.
 */
export class Spans {
  readonly tracer: Tracer.Tracer
  readonly #open = new Map<string, Tracer.Span>()
  constructor(tracer: Tracer.Tracer) {
    this.tracer = tracer
  }

  of(saga: string, id: string, { synthetic, traceparent }: Start): Effect.Effect<Tracer.Span> {
    const known = this.#open.get(id)
    if (known !== undefined) return Effect.succeed(known)
    const parent = Span.remote(traceparent)
    const made = Effect.makeSpan(`saga ${saga}`, {
      ...(parent === undefined ? { root: true } : { parent }),
      attributes: {
        [Span.Attribute.saga]: saga,
        [Span.Attribute.sagaId]: id,
        ...(synthetic === true ? { [Telemetry.Attribute.synthetic]: true } : undefined)
      }
    })
    return Effect.tap(Effect.withTracer(made, this.tracer), (span) => {
      const [oldest] = this.#open.size < most ? [] : this.#open.keys()
      this.#open.set(id, span)
      return oldest === undefined ? Effect.void : this.#close(oldest, Exit.interrupt())
    })
  }

  end(id: string, final: End | undefined): Effect.Effect<void> {
    const span = this.#open.get(id)
    if (span === undefined || final === undefined) return Effect.void
    span.attribute(Span.Attribute.outcome, final._tag)
    if (final._tag === "Completed") return this.#close(id, Exit.void)
    span.attribute(Telemetry.Attribute.errorTag, final.failure.tag)
    return this.#close(id, Span.failed(final.failure.tag))
  }

  /** Ends those of runs that go on elsewhere, or later. */
  readonly closeAll: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(Array.from(this.#open.keys()), (id) => this.#close(id, Exit.interrupt()), { discard: true })
  )

  #close(id: string, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.clockWith((clock: Clock.Clock) =>
      Effect.sync(() => {
        this.#open.get(id)?.end(clock.currentTimeNanosUnsafe(), exit)
        this.#open.delete(id)
      })
    )
  }
}

/** A step, or its compensation, as a span below that of its run: one for each attempt. */
export const ofStep = <A, E, R>(
  { span, tracer }: Tracing,
  at: {
    readonly saga: string
    readonly id: string
    readonly step: string
    readonly phase: "run" | "compensate"
    readonly attempt: number
  },
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  if (tracer === undefined) return span === undefined ? self : (Effect.withParentSpan(self, span) as typeof self)
  const attributes = {
    [Span.Attribute.saga]: at.saga,
    [Span.Attribute.sagaId]: at.id,
    [Span.Attribute.step]: at.step,
    [Span.Attribute.phase]: at.phase,
    [Telemetry.Attribute.attempt]: at.attempt
  }
  const name = `${at.phase === "run" ? "step" : "compensate"} ${at.step}`
  const parent = span === undefined ? { root: true } : { parent: span }
  return Effect.withTracer(Effect.withSpan(self, name, { ...parent, attributes }) as typeof self, tracer)
}
