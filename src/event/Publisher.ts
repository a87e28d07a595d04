/**
 * Publishes events on a channel.
 *
 * **Details**
 *
 * - It returns when the broker has taken responsibility for the event; else it fails with a definite reason, or `unknown`.
 * - Inside a consumer's handler or a saga step the id is derived from what is being handled, so that a redelivery publishes
 *   the same event again and not another one. Elsewhere it is a new UUID.
 * - Request id and trace of the fiber travel with the event (`requestid`, `traceparent`).
 * - On a channel of strict order, one event per key is under way at a time, so that sending one again cannot change the
 *   order.
 *
 * **Example** (Publishing)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Channel, EventType, Publisher } from "effect-integration/event"
 *
 * const OrderPlaced = EventType.make("com.acme.order.placed", {
 *   source: "https://acme.com/orders",
 *   data: Schema.Struct({ orderId: Schema.String })
 * })
 * const Orders = Channel.make("orders", [OrderPlaced], { consumers: ["billing"] })
 *
 * export const placed = Publisher.publish(Orders, OrderPlaced, { orderId: "o-1" }, { subject: "o-1" })
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import * as Issue from "../internal/issue.ts"
import * as OperationKey from "../policy/OperationKey.ts"
import * as RequestContext from "../policy/RequestContext.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Broker from "./Broker.ts"
import type { PublishError } from "./BrokerError.ts"
import type * as Channel from "./Channel.ts"
import { type CloudEvent, InvalidEvent } from "./CloudEvent.ts"
import type * as EventType from "./EventType.ts"
import { KeyedLocks } from "./internal/keyedLocks.ts"
import * as Ordering from "./Ordering.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: derived in a handler or saga step, else a new UUID. */
  readonly id?: string
  /** Default: now. */
  readonly time?: DateTime.Utc
  /** What the event is about, for example the id of the resource. */
  readonly subject?: string
  /** Further extension attributes: names of lower-case letters and digits. */
  readonly extensions?: CloudEvent["extensions"]
}

/**
 * Publishes an event of a type, and gives it as it was published.
 *
 * **Details**
 *
 * Fails with `InvalidEvent` where the data does not fit its schema, or has no key on a channel of strict order; nothing was
 * sent then.
 *
 * @category combinators
 * @since 0.1.0
 */
export const publish: <Events extends EventType.Any, const Type extends Events["type"], Data extends Schema.Constraint>(
  channel: Channel.Channel<string, Events, Ordering.Ordering>,
  type: EventType.EventType<Type, Data>,
  data: NoInfer<Data["Type"]>,
  options?: Options
) => Effect.Effect<
  CloudEvent<Type, Data["Type"]>,
  PublishError | InvalidEvent,
  Broker.Broker | Data["EncodingServices"]
> = Effect.fnUntraced(function* (
  channel: Channel.Any,
  type: EventType.Any,
  data: unknown,
  options: Options = {}
): Effect.fn.Return<CloudEvent<any, any>, PublishError | InvalidEvent, Broker.Broker> {
  const broker = yield* Broker.Broker
  const context = yield* Effect.context()
  const { requestId } = Context.get(context, RequestContext.RequestContext)
  const { ordering } = channel
  const key = ordering._tag === "Strict" ? Ordering.keyOf(ordering, data) : undefined
  const invalid = (attribute: string, description: string) =>
    new InvalidEvent({
      attribute: attribute.slice(0, 256),
      description: description.slice(0, 512),
      source: type.source,
      type: type.type
    })
  if (ordering._tag === "Strict" && key === undefined) {
    return yield* invalid(`data.${ordering.path}`, "is no key: a text that is not empty, or a number")
  }
  const encoded = yield* Effect.mapError(encode(type, data), (error) => {
    const { description, path } = Issue.describe(error)
    return invalid(["data", ...path].join("."), description)
  })
  const span = Context.getOrUndefined(context, Tracer.ParentSpan)
  const traced =
    span?._tag === "Span" ? { traceparent: HttpTraceContext.toHeaders(span)["traceparent"] ?? "" } : undefined
  const event: CloudEvent = {
    specversion: "1.0",
    id: options.id ?? (yield* OperationKey.next(`publish ${type.type}`)),
    source: type.source,
    type: type.type,
    time: options.time ?? (yield* DateTime.now),
    ...(options.subject === undefined ? undefined : { subject: options.subject }),
    datacontenttype: type.datacontenttype,
    ...(type.dataschema === undefined ? undefined : { dataschema: type.dataschema }),
    extensions: {
      ...traced,
      ...(requestId === undefined ? undefined : { requestid: requestId }),
      ...(key === undefined ? undefined : { partitionkey: key }),
      ...options.extensions
    },
    data: encoded
  }
  const message = yield* Effect.try({
    try: () => channel.codec.encode(event, broker.binding),
    catch: (error) => (error instanceof InvalidEvent ? error : new Unencodable({ error }))
  }).pipe(Effect.catchTag("Unencodable", ({ error }) => Effect.die(error)))
  const sent = broker.publish(channel, key === undefined ? message : { ...message, key })
  const ordered = key === undefined ? sent : locksOf(broker).hold(`${channel.name}\n${key}`, sent)
  const recorder = recorderOf(channel)
  yield* Effect.onExit(ordered, (exit) =>
    Effect.sync(() => {
      const failed = exit._tag === "Failure" ? exit.cause.reasons.find((reason) => reason._tag === "Fail") : undefined
      const outcome = exit._tag === "Success" ? "confirmed" : (failed?.error.reason ?? "interrupted")
      recorder.published(outcome, context)
    })
  )
  return { ...event, data }
}) as any

/** A codec has thrown what it may not. */
class Unencodable extends Data.TaggedError("Unencodable")<{ readonly error: unknown }> {}

/** Data of JSON media types travels in the JSON form of its schema. */
const encode = (type: EventType.Any, data: unknown): Effect.Effect<unknown, Schema.SchemaError> => {
  let encoder = encoders.get(type)
  if (encoder === undefined) {
    const schema = type.isJson ? Schema.toCodecJson(type.data as Schema.Top) : type.data
    encoder = Schema.encodeUnknownEffect(schema as Schema.Codec<any, any, never>)
    encoders.set(type, encoder)
  }
  return encoder(data)
}
const encoders = new WeakMap<EventType.Any, (data: unknown) => Effect.Effect<unknown, Schema.SchemaError>>()

const recorderOf = (channel: Channel.Any): Telemetry.Recorder => {
  const recorder = recorders.get(channel) ?? Telemetry.recorder(channel.name)
  recorders.set(channel, recorder)
  return recorder
}
const recorders = new WeakMap<Channel.Any, Telemetry.Recorder>()

const locksOf = (broker: Broker.Broker["Service"]): KeyedLocks => {
  const known = locks.get(broker) ?? new KeyedLocks()
  locks.set(broker, known)
  return known
}
const locks = new WeakMap<Broker.Broker["Service"], KeyedLocks>()
