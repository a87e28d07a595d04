import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Entry } from "../../internal/alarm.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as Span from "../../internal/span.ts"
import * as OperationKey from "../../policy/OperationKey.ts"
import * as RequestContext from "../../policy/RequestContext.ts"
import * as Telemetry from "../../Telemetry.ts"
import type { CloudEvent } from "../CloudEvent.ts"
import { CurrentDelivery } from "../CurrentDelivery.ts"
import type { Handling, Session, Setup, Work } from "./setup.ts"
import { recordedWith } from "./synthetic.ts"
import * as Tracing from "./tracing.ts"

/** The handler of a message. What it inherits is provided by `fork`. */
export const of = (setup: Setup, work: Work): Effect.Effect<unknown, unknown, any> => {
  const { event } = work
  const handler = Effect.scoped(Effect.suspend(() => setup.handlers[event.type]!(event)))
  const { traceparent } = event.extensions
  return setup.traced || typeof traceparent === "string" ? inSpan(setup, work, handler, traceparent) : handler
}

const inSpan = <A, E, R>(
  { broker, channel, name }: Setup,
  { event, history }: Work,
  handler: Effect.Effect<A, E, R>,
  traceparent: unknown
) =>
  Effect.withSpan(handler, `process ${channel.name}`, {
    kind: "consumer",
    ...Span.continued(Span.remote(traceparent)),
    attributes: {
      ...Tracing.attributesOf(broker, channel, "process", "process"),
      ...Tracing.attributesOfEvent(event),
      [Telemetry.Attribute.consumer]: name,
      [Telemetry.Attribute.attempt]: history.failures + 1
    }
  })

/**
 * Begins a handler at once, which is `start` (monotonic milliseconds), on a fiber of its own, so that it can be stopped while
 * what surrounds it goes on and settles the message. It inherits from the event: request id, trace, deadline, and keys that
 * a redelivery has too.
 */
export const fork = <A, E>(
  setup: Setup,
  handler: Effect.Effect<A, E, any>,
  work: Work,
  fencingToken: number | undefined,
  start: number
): Fiber.Fiber<A, E> => {
  const { name, timeoutMillis } = setup
  const { event, history, key, message, redeliveries } = work
  const { requestid } = event.extensions
  const deadline = start + timeoutMillis
  const inherited: RequestContext.RequestContext =
    typeof requestid === "string" && requestid !== "" ? { deadline, requestId: requestid } : { deadline }
  const delivery = { group: name, attempt: history.failures + 1, redeliveries, message, key, fencingToken }
  // Services that are added, unlike contexts that are merged, leave the fiber what it has looked up of its context.
  const withDelivery = Context.add(recordedWith(setup, event), CurrentDelivery, delivery)
  const withRequest = Context.add(withDelivery, RequestContext.RequestContext, inherited)
  const keys = OperationKey.keysOf(event.source, event.id, name)
  return Effect.runForkWith(Context.add(withRequest, OperationKey.Keys, keys))(handler)
}

/** How a handler ended: by itself, or stopped. */
export interface Ended<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly stopped: "timeout" | "lost" | undefined
}

export const record = (setup: Setup, event: CloudEvent, start: number): void =>
  setup.recorder.handled(monotonicMillis(setup.alarm.clock) - start, recordedWith(setup, event))

/** Waits for a handler, and stops it when its time is over. `begun` gets the handle by which others can stop it. */
export const watch = <A, E>(
  setup: Setup,
  session: Session,
  event: CloudEvent,
  fiber: Fiber.Fiber<A, E>,
  start: number,
  begun: (handling: Handling) => void
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
    begun(handling)
    alarm.add(timeout, start, context)
    fiber.addObserver((exit) => {
      record(setup, event, start)
      alarm.remove(timeout)
      session.handling.delete(handling)
      resume(Effect.succeed({ exit, stopped: exit._tag === "Failure" ? stopped : undefined }))
    })
  })
