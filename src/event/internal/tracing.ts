import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Span from "../../internal/span.ts"
import * as Telemetry from "../../Telemetry.ts"
import * as Broker from "../Broker.ts"
import type * as Channel from "../Channel.ts"
import type { CloudEvent } from "../CloudEvent.ts"
import { isSynthetic } from "./synthetic.ts"

/** What spans of a channel say (OpenTelemetry's semantic conventions of messaging). */
export const attributesOf = (
  broker: Broker.Broker["Service"] | undefined,
  { name }: Channel.Any,
  operation: string,
  operationType: "create" | "send" | "process"
) => ({
  ...(broker === undefined ? undefined : { [Span.Attribute.system]: broker.system ?? broker.binding }),
  [Telemetry.Attribute.channel]: name,
  [Span.Attribute.operation]: operation,
  [Span.Attribute.operationType]: operationType
})

export const attributesOfEvent = (event: CloudEvent) => ({
  [Span.Attribute.messageId]: event.id,
  [Telemetry.Attribute.eventId]: event.id,
  [Telemetry.Attribute.eventSource]: event.source,
  [Telemetry.Attribute.eventType]: event.type,
  ...(isSynthetic(event) ? { [Telemetry.Attribute.synthetic]: true } : undefined)
})

/**
 * Makes an event in a producer span, whose context travels with it. One that is stored first is only created here, and
 * published by a relay.
 */
export const produced = <A extends CloudEvent, E, R>(
  channel: Channel.Any,
  operation: "publish" | "create",
  made: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    if (!Span.isTracedIn(fiber)) return made
    const broker = operation === "publish" ? Context.getOrUndefined(fiber.context, Broker.Broker) : undefined
    const attributes = attributesOf(broker, channel, operation, operation === "publish" ? "send" : "create")
    return Effect.useSpan(`${operation} ${channel.name}`, { kind: "producer", attributes }, (span) =>
      made.pipe(
        Effect.tap((event) =>
          Effect.sync(() => {
            for (const [name, value] of Object.entries(attributesOfEvent(event))) span.attribute(name, value)
          })
        ),
        Effect.withParentSpan(span, { captureStackTrace: false })
      )
    )
  })

/** Publishes what was stored by a transaction, in its trace. The event goes on with the context that it was created in. */
export const relayed = <A, E, R>(
  broker: Broker.Broker["Service"],
  channel: Channel.Any,
  event: CloudEvent,
  sent: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withSpan(sent, `publish ${channel.name}`, {
    kind: "client",
    ...Span.continued(Span.remote(event.extensions["traceparent"])),
    attributes: { ...attributesOf(broker, channel, "publish", "send"), ...attributesOfEvent(event) }
  })
