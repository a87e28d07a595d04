/**
 * CloudEvents 1.0.2.
 *
 * **Details**
 *
 * - An event is validated when it is made and when it is received, and never repaired: what is wrong is an `InvalidEvent`
 *   that names the attribute, and not its value.
 * - A time is kept to the millisecond; finer fractions are cut off. A leap second is the second after it.
 * - `traceparent`, `tracestate`, `partitionkey`, `sequence` and `sequencetype` have the form that their extensions ask
 *   for. Other extensions are texts, whole numbers of 32 bits, or truth values.
 *
 * **Gotchas**
 *
 * - Kafka and HTTP carry attributes as texts: an extension `5` arrives as `"5"`.
 * - Binary mode cannot tell an empty text, or no bytes, from no data: they arrive as `undefined`.
 *
 * **Example** (An event to be sent)
 *
 * ```ts
 * import { Result } from "effect"
 * import { CloudEvent } from "effect-integration/event"
 *
 * const event = CloudEvent.make({
 *   id: "A234-1234-1234",
 *   source: "https://orders.acme.com",
 *   type: "com.acme.order.placed",
 *   extensions: { partitionkey: "tenant-1" },
 *   data: { orderId: "o1" }
 * })
 *
 * export const type = Result.map(event, (event) => event.type)
 * ```
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as ErrorAction from "../policy/ErrorAction.ts"
import { Attributes, Problem } from "./internal/cloudEventAttributes.ts"
import * as Payload from "./internal/cloudEventData.ts"

/**
 * An event. Its identity is (source, id).
 *
 * @category models
 * @since 0.1.0
 */
export interface CloudEvent<out Type extends string = string, out Data = unknown> {
  readonly specversion: "1.0"
  readonly id: string
  /** URI-reference of where it happened. */
  readonly source: string
  readonly type: Type
  /** When it happened (RFC 3339). */
  readonly time?: DateTime.Utc
  /** What it is about, for example the id of the resource. */
  readonly subject?: string
  readonly datacontenttype?: string
  readonly dataschema?: string
  /** Extension attributes by name: `traceparent`, `tracestate`, `partitionkey`, `sequence` and any other. */
  readonly extensions: Readonly<Record<string, string | number | boolean>>
  /** A JSON value for JSON media types, a text for texts, else bytes; `undefined` where the event has none. */
  readonly data: Data
}

const invalid = ErrorAction.make("fail", { circuit: "ignored", guidance: "tell the producer; replay it when fixed" })

/**
 * A message that is no valid event. It is never repaired.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidEvent extends Schema.TaggedError<InvalidEvent>()("InvalidEvent", {
  /** The attribute that is wrong: `time`, `data`, `data.amount`. Else `body` or `content-type`. */
  attribute: Schema.String,
  /** What is wrong with it, without its value. */
  description: Schema.String,
  /** As far as they could be read. */
  id: Schema.optionalKey(Schema.String),
  source: Schema.optionalKey(Schema.String),
  type: Schema.optionalKey(Schema.String)
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return invalid
  }
  override get message(): string {
    return `not a valid event: ${this.attribute} ${this.description}`
  }
}

/**
 * What an event is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<out Type extends string, out Data> {
  readonly id: string
  readonly source: string
  readonly type: Type
  /** A text is one of RFC 3339. */
  readonly time?: DateTime.Utc | string | undefined
  readonly subject?: string | undefined
  /** Default, where there is data: `application/octet-stream` for bytes, else `application/json`. */
  readonly datacontenttype?: string | undefined
  /** Absolute URI, without a fragment. */
  readonly dataschema?: string | undefined
  /** Those that are `undefined` are left out. */
  readonly extensions?: Readonly<Record<string, string | number | boolean | undefined>> | undefined
  readonly data?: Data
}

/**
 * An event to be sent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Type extends string, Data = undefined>(
  options: Options<Type, Data>
): Result.Result<CloudEvent<Type, Data>, InvalidEvent> => {
  const { data } = options
  const implied =
    data === undefined ? undefined : data instanceof Uint8Array ? "application/octet-stream" : "application/json"
  const attributes = attributesOf({
    ...options,
    specversion: "1.0",
    datacontenttype: options.datacontenttype ?? implied
  })
  const made = build(attributes, attributes.problem ?? Payload.check(data, attributes.media) ?? data)
  return made instanceof Problem
    ? Result.fail(failure(made, attributes))
    : Result.succeed(made as CloudEvent<Type, Data>)
}

/** An event to be sent. Throws `InvalidEvent`. @category constructors @since 0.1.0 */
export const makeUnsafe = <const Type extends string, Data = undefined>(
  options: Options<Type, Data>
): CloudEvent<Type, Data> => Result.getOrThrow(make(options))

/** @internal What is taken for an event, before it was validated. */
export interface Unvalidated extends Omit<Options<string, unknown>, "data"> {
  readonly specversion: unknown
}

/** @internal */
export const attributesOf = (event: Unvalidated): Attributes => {
  const attributes = new Attributes()
  attributes.set("specversion", event.specversion)
  for (const name of ["id", "source", "type", "subject", "datacontenttype", "dataschema"] as const) {
    if (event[name] !== undefined) attributes.set(name, event[name])
  }
  const { extensions = {}, time } = event
  if (DateTime.isDateTime(time)) attributes.setTime(DateTime.toEpochMillis(time))
  else if (time !== undefined) attributes.set("time", time)
  for (const name of Object.keys(extensions)) {
    if (extensions[name] !== undefined) attributes.setExtension(name, extensions[name])
  }
  attributes.complete()
  return attributes
}

/** @internal The event of attributes and data, or what is wrong with either. */
export const build = (attributes: Attributes, data: unknown): CloudEvent | Problem => {
  const problem = attributes.complete()
  if (problem !== undefined) return problem
  if (data instanceof Problem) return data
  const event: { -readonly [Name in keyof CloudEvent]: CloudEvent[Name] } = {
    specversion: "1.0",
    id: attributes.id!,
    source: attributes.source!,
    type: attributes.type!,
    extensions: attributes.extensions,
    data
  }
  if (attributes.time !== undefined) event.time = DateTime.makeUnsafe(attributes.time)
  if (attributes.subject !== undefined) event.subject = attributes.subject
  if (attributes.datacontenttype !== undefined) event.datacontenttype = attributes.datacontenttype
  if (attributes.dataschema !== undefined) event.dataschema = attributes.dataschema
  return event
}

/** @internal */
export const failure = (problem: Problem, attributes?: Attributes): InvalidEvent =>
  new InvalidEvent({
    attribute: problem.attribute,
    description: problem.description,
    ...(attributes?.id === undefined ? {} : { id: attributes.id }),
    ...(attributes?.source === undefined ? {} : { source: attributes.source }),
    ...(attributes?.type === undefined ? {} : { type: attributes.type })
  })
