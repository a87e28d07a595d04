import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Option from "effect/Option"
import type { Entry } from "../../internal/alarm.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as OperationKey from "../../policy/OperationKey.ts"
import * as RequestContext from "../../policy/RequestContext.ts"
import * as Telemetry from "../../Telemetry.ts"
import { CurrentDelivery } from "../CurrentDelivery.ts"
import type { Handling, Session, Setup, Work } from "./setup.ts"

/**
 * The handler of a message with what it inherits from the event: request id, trace, deadline, and keys that a redelivery
 * has too. It begins at `start` (monotonic milliseconds).
 */
export const of = (
  setup: Setup,
  work: Work,
  fencingToken: number | undefined,
  start: number
): Effect.Effect<unknown, unknown, any> => {
  const { channel, handlers, name, timeoutMillis, traced } = setup
  const { event, history, key, message, redeliveries } = work
  const { requestid, traceparent, tracestate } = event.extensions
  const deadline = start + timeoutMillis
  const inherited: RequestContext.RequestContext =
    typeof requestid === "string" && requestid !== "" ? { deadline, requestId: requestid } : { deadline }
  const delivery = { group: name, attempt: history.failures + 1, redeliveries, message, key, fencingToken }
  // Services that are added, unlike contexts that are merged, leave the fiber what it has looked up of its context.
  const services = (outer: Context.Context<any>) => {
    const withDelivery = Context.add(outer, CurrentDelivery, delivery)
    const withRequest = Context.add(withDelivery, RequestContext.RequestContext, inherited)
    return Context.add(withRequest, OperationKey.Keys, OperationKey.keysOf(event.source, event.id, name))
  }
  const handler = Effect.suspend(() => handlers[event.type]!(event))
  const provided = Effect.scoped(Effect.updateContext(handler, services))
  if (!traced && typeof traceparent !== "string") return provided
  const headers = Headers.fromInput({ traceparent: String(traceparent), tracestate: String(tracestate ?? "") })
  const parent = typeof traceparent === "string" ? HttpTraceContext.w3c(headers) : Option.none()
  return Effect.withSpan(provided, `process ${channel.name}`, {
    kind: "consumer",
    ...(Option.isSome(parent) ? { parent: parent.value } : undefined),
    attributes: {
      [Telemetry.Attribute.channel]: channel.name,
      [Telemetry.Attribute.consumer]: name,
      [Telemetry.Attribute.eventId]: event.id,
      [Telemetry.Attribute.eventSource]: event.source,
      [Telemetry.Attribute.eventType]: event.type
    }
  })
}

/** How a handler ended: by itself, or stopped. */
export interface Ended<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly stopped: "timeout" | "lost" | undefined
}

/**
 * Begins a handler at once, which is `start` (monotonic milliseconds), on a fiber of its own, so that it can be stopped while
 * what surrounds it goes on and settles the message. `begun` gets the handle by which others can stop it.
 */
export const begin = <A, E>(
  setup: Setup,
  session: Session,
  handler: Effect.Effect<A, E, any>,
  start: number,
  begun?: (handling: Handling) => void
): Effect.Effect<Ended<A, E>> => {
  const fiber = setup.fork(handler)
  const exit = fiber.pollUnsafe()
  if (exit === undefined) return watch(setup, session, fiber, start, begun)
  // Nothing is to be watched of a handler that has ended already.
  record(setup, start)
  return Effect.succeed({ exit, stopped: undefined })
}

const record = ({ alarm, context, recorder }: Setup, start: number): void =>
  recorder.handled(monotonicMillis(alarm.clock) - start, context)

const watch = <A, E>(
  setup: Setup,
  session: Session,
  fiber: Fiber.Fiber<A, E>,
  start: number,
  begun: ((handling: Handling) => void) | undefined
): Effect.Effect<Ended<A, E>> =>
  Effect.callback<Ended<A, E>>((resume) => {
    let stopped: "timeout" | "lost" | undefined
    const { alarm, context, timeoutMillis } = setup
    const handling: Handling = {
      stop: (why) => {
        stopped ??= why
        fiber.interruptUnsafe()
      }
    }
    const timeout: Entry = { at: start + timeoutMillis, place: -1, order: 0, fire: () => handling.stop("timeout") }
    session.handling.add(handling)
    begun?.(handling)
    alarm.add(timeout, start, context)
    fiber.addObserver((exit) => {
      record(setup, start)
      alarm.remove(timeout)
      session.handling.delete(handling)
      resume(Effect.succeed({ exit, stopped: exit._tag === "Failure" ? stopped : undefined }))
    })
  })
