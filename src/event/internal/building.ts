import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import * as Issue from "../../internal/issue.ts"
import * as Span from "../../internal/span.ts"
import * as OperationKey from "../../policy/OperationKey.ts"
import * as RequestContext from "../../policy/RequestContext.ts"
import * as Telemetry from "../../Telemetry.ts"
import type * as Channel from "../Channel.ts"
import { type CloudEvent, InvalidEvent } from "../CloudEvent.ts"
import type { Binding } from "../Codec.ts"
import type * as EventType from "../EventType.ts"
import type { Message } from "../Message.ts"
import * as Ordering from "../Ordering.ts"

/** What a publisher may say of an event. */
export interface Options {
  readonly id?: string
  readonly time?: DateTime.Utc
  readonly subject?: string
  readonly extensions?: CloudEvent["extensions"]
}

export interface Built {
  /** With its data as it travels. */
  readonly event: CloudEvent
  /** On a channel of strict order. */
  readonly key: string | undefined
  readonly context: Context.Context<never>
}

/**
 * The event that is published, of data that fits its schema. A generator to delegate to, since an effect of its own would
 * cost every publisher.
 */
export function* build(
  channel: Channel.Any,
  type: EventType.Any,
  data: unknown,
  options: Options
): Generator<Effect.Effect<any, InvalidEvent>, Built, any> {
  const context: Context.Context<never> = yield* Effect.context()
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
  const encoded: unknown = yield* Effect.mapError(encode(type, data), (error) => {
    const { description, path } = Issue.describe(error)
    return invalid(["data", ...path].join("."), description)
  })
  const span = Context.getOrUndefined(context, Tracer.ParentSpan)
  const traceparent = span === undefined ? undefined : Span.traceparentOf(span)
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
      ...(traceparent === undefined ? undefined : { traceparent }),
      ...(requestId === undefined ? undefined : { requestid: requestId }),
      ...(key === undefined ? undefined : { partitionkey: key }),
      ...(Context.get(context, Telemetry.Synthetic) ? { synthetic: true } : undefined),
      ...options.extensions
    },
    data: encoded
  }
  return { event, key, context }
}

/** A codec has thrown what it may not. */
class Unencodable extends Data.TaggedError("Unencodable")<{ readonly error: unknown }> {}

/** The message of an event by the codec of its channel, with the key by which the channel is ordered. */
export const messageOf = (
  channel: Channel.Any,
  event: CloudEvent,
  key: string | undefined,
  binding: Binding
): Effect.Effect<Message, InvalidEvent> =>
  Effect.try({
    try: () => {
      const message = channel.codec.encode(event, binding)
      return key === undefined ? message : { ...message, key }
    },
    catch: (error) => (error instanceof InvalidEvent ? error : new Unencodable({ error }))
  }).pipe(Effect.catchTag("Unencodable", ({ error }) => Effect.die(error)))

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

export const recorderOf = (channel: Channel.Any): Telemetry.Recorder => {
  const recorder = recorders.get(channel) ?? Telemetry.recorder(channel.name)
  recorders.set(channel, recorder)
  return recorder
}
const recorders = new WeakMap<Channel.Any, Telemetry.Recorder>()
