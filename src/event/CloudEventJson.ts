/**
 * The JSON format of CloudEvents 1.0.2: one event (`application/cloudevents+json`) and a batch of events
 * (`application/cloudevents-batch+json`).
 *
 * **Details**
 *
 * - A member that is not known is an extension. A member that is `null` is not set; `data: null` is data.
 * - Bytes travel as `data_base64`. Text data of a media type that is neither JSON nor text becomes bytes in UTF-8.
 * - A member that is given twice, or `data` beside `data_base64`, makes an event invalid.
 *
 * **Example** (An HTTP API that takes events)
 *
 * ```ts
 * import { CloudEventJson } from "effect-integration/event"
 * import { HttpApiEndpoint } from "effect/http-api"
 *
 * export const receive = HttpApiEndpoint.post("receive", "/events", { payload: CloudEventJson.Event })
 * ```
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as CloudEvent from "./CloudEvent.ts"
import * as Payload from "./internal/cloudEventData.ts"
import * as Structured from "./internal/cloudEventStructured.ts"

/** Media type of one event. @category constants @since 0.1.0 */
export const mediaType = "application/cloudevents+json"

/** Media type of a batch of events. @category constants @since 0.1.0 */
export const batchMediaType = "application/cloudevents-batch+json"

const resultOf = <A>(made: A | CloudEvent.InvalidEvent): Result.Result<A, CloudEvent.InvalidEvent> =>
  made instanceof CloudEvent.InvalidEvent ? Result.fail(made) : Result.succeed(made)

/** An event as UTF-8. @category encoding @since 0.1.0 */
export const encode = (event: CloudEvent.CloudEvent): Result.Result<Uint8Array, CloudEvent.InvalidEvent> =>
  Result.map(resultOf(Structured.write(event)), Payload.writeUtf8)

/** The event in UTF-8 bytes. @category decoding @since 0.1.0 */
export const decode = (bytes: Uint8Array): Result.Result<CloudEvent.CloudEvent, CloudEvent.InvalidEvent> =>
  resultOf(Structured.read(bytes))

/** Events as UTF-8. @category encoding @since 0.1.0 */
export const encodeBatch = (
  events: ReadonlyArray<CloudEvent.CloudEvent>
): Result.Result<Uint8Array, CloudEvent.InvalidEvent> =>
  Result.map(resultOf(Structured.writeBatch(events)), Payload.writeUtf8)

/**
 * The events in UTF-8 bytes. One that is not valid makes the batch invalid; the description says which.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeBatch = (
  bytes: Uint8Array
): Result.Result<ReadonlyArray<CloudEvent.CloudEvent>, CloudEvent.InvalidEvent> => resultOf(Structured.readBatch(bytes))

const text = Schema.optionalKey(Schema.NullOr(Schema.String))

/** The members of an event in JSON, before they are validated. @category schemas @since 0.1.0 */
export const Members = Schema.StructWithRest(
  Schema.Struct({
    specversion: Schema.String,
    id: Schema.String,
    source: Schema.String,
    type: Schema.String,
    time: text,
    subject: text,
    datacontenttype: text,
    dataschema: text,
    data: Schema.optionalKey(Schema.Json),
    data_base64: text
  }),
  [Schema.Record(Schema.String, Schema.Json)]
).annotate({ identifier: "CloudEvent" })

const isText = (u: unknown): boolean => u === undefined || Predicate.isString(u)

const isCloudEvent = (u: unknown): u is CloudEvent.CloudEvent =>
  Predicate.isObject(u) &&
  Predicate.hasProperty(u, "specversion") &&
  u.specversion === "1.0" &&
  Predicate.hasProperty(u, "extensions") &&
  Predicate.isObject(u.extensions) &&
  "data" in u &&
  ["id", "source", "type"].every((name) => Predicate.isString((u as Record<string, unknown>)[name])) &&
  ["subject", "datacontenttype", "dataschema"].every((name) => isText((u as Record<string, unknown>)[name])) &&
  (!Predicate.hasProperty(u, "time") || u.time === undefined || DateTime.isDateTime(u.time))

const checked = <A>(made: A | CloudEvent.InvalidEvent): Effect.Effect<A, SchemaIssue.Issue> =>
  made instanceof CloudEvent.InvalidEvent
    ? Effect.fail(
        new SchemaIssue.Pointer([made.attribute], new SchemaIssue.InvalidValue({ message: made.message }, undefined))
      )
    : Effect.succeed(made)

/**
 * An event, whose encoded form is its JSON: for HTTP APIs and documents.
 *
 * **Gotchas**
 *
 * A member that is given twice cannot be seen here, since the text was parsed before.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Event: Schema.Codec<CloudEvent.CloudEvent, typeof Members.Encoded> = Members.pipe(
  Schema.decodeTo(
    Schema.declare(isCloudEvent, { expected: "a CloudEvent" }),
    SchemaTransformation.transformEffect({
      decode: (members: typeof Members.Type) => checked(Structured.fromMembers(members)),
      encode: (event) => checked(Structured.toMembers(event) as typeof Members.Type | CloudEvent.InvalidEvent)
    })
  )
)

/** A batch of events, whose encoded form is its JSON. @category schemas @since 0.1.0 */
export const Batch: Schema.Codec<
  ReadonlyArray<CloudEvent.CloudEvent>,
  ReadonlyArray<typeof Members.Encoded>
> = Schema.Array(Event)
