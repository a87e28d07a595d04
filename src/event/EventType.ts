/**
 * A type of event (section 4.1): its name, who publishes it, and the schema of its data in each version.
 *
 * **Example** (Two versions)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { EventType } from "effect-integration/event"
 *
 * export const OrderPlaced = EventType.make("com.acme.order.placed", {
 *   source: "https://acme.com/orders",
 *   data: Schema.Struct({ orderId: Schema.String, cents: Schema.Int }),
 *   dataschema: "https://acme.com/schemas/order-placed/2",
 *   previous: {
 *     "https://acme.com/schemas/order-placed/1": EventType.version(
 *       Schema.Struct({ orderId: Schema.String, euros: Schema.Int }),
 *       ({ euros, orderId }) => ({ orderId, cents: euros * 100 })
 *     )
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Option from "../internal/option.ts"
import type { CloudEvent } from "./CloudEvent.ts"
import * as Syntax from "./internal/cloudEventSyntax.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface EventType<out Type extends string, out Data extends Schema.Constraint> {
  readonly type: Type
  readonly source: string
  readonly data: Data
  /** Media type of the data. */
  readonly datacontenttype: string
  /** Whether the data travels in the JSON form of its schema; else it is a text or bytes. */
  readonly isJson: boolean
  /** URI of the current version of the data's schema. */
  readonly dataschema: string | undefined
  /** Older versions, by the URI of their schema. */
  readonly previous: Readonly<Record<string, Version<Data["Type"]>>>
}

/**
 * An older version of the data, and how it becomes the current one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Version<out Current> {
  readonly data: Schema.Codec<any, any>
  readonly upcast: (old: any) => Current
}

/** @category models @since 0.1.0 */
export interface Any extends EventType<string, Schema.Constraint> {}

/** The event of a type. @category models @since 0.1.0 */
export type Event<E> = E extends EventType<infer Type, infer Data> ? CloudEvent<Type, Data["Type"]> : never

/** What decoding the data of a type needs. @category models @since 0.1.0 */
export type DecodingServices<E> = E extends EventType<any, infer Data> ? Data["DecodingServices"] : never

/** What encoding the data of a type needs. @category models @since 0.1.0 */
export type EncodingServices<E> = E extends EventType<any, infer Data> ? Data["EncodingServices"] : never

const where = "EventType.make"
const mediaType = /^[\w.!#$&^+-]+\/[\w.!#$&^+-]+(\s*;\s*[\w.!#$&^+-]+=("[^"]*"|[\w.!#$&^+-]+))*$/

/**
 * A type of event.
 *
 * **Details**
 *
 * - `type` should begin with a reversed DNS name; `source` is a URI-reference (CloudEvents 1.0.2, 3.1).
 * - An event without `dataschema` is taken for the current version; one with an unknown `dataschema` is invalid.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Type extends string, Data extends Schema.Constraint>(
  type: Type,
  options: {
    readonly source: string
    readonly data: Data
    /** Default: `application/json`. Data of another media type is a text (`text/*`) or bytes. */
    readonly datacontenttype?: string
    readonly dataschema?: string
    readonly previous?: Readonly<Record<string, Version<NoInfer<Data["Type"]>>>>
  }
): EventType<Type, Data> => {
  const { data, datacontenttype = "application/json", dataschema, previous = {}, source } = options
  if (typeof type !== "string" || type === "" || !Syntax.isText(type)) {
    Option.reject(where, "type", type, "a text that is not empty")
  }
  if (typeof source !== "string" || source === "" || !Syntax.isUriReference(source)) {
    Option.reject(where, "source", source, "a URI-reference that is not empty")
  }
  for (const uri of [...(dataschema === undefined ? [] : [dataschema]), ...Object.keys(previous)]) {
    if (!Syntax.isAbsoluteUri(uri)) Option.reject(where, "dataschema", uri, "an absolute URI without a fragment")
  }
  if (Object.keys(previous).length > 0 && dataschema === undefined) {
    Option.reject(where, "dataschema", dataschema, "given where there are previous versions")
  }
  if (dataschema !== undefined && Object.hasOwn(previous, dataschema)) {
    Option.reject(where, "previous", dataschema, "schemas other than the current one")
  }
  if (!mediaType.test(datacontenttype)) Option.reject(where, "datacontenttype", datacontenttype, "a media type")
  const isJson = /^[^;]*[/+]json\s*(;|$)/i.test(datacontenttype)
  return { type, source, data, datacontenttype, isJson, dataschema, previous }
}

/** An older version of the data. @category constructors @since 0.1.0 */
export const version = <Old, Encoded, Current>(
  data: Schema.Codec<Old, Encoded>,
  upcast: (old: Old) => Current
): Version<Current> => ({ data, upcast })

/**
 * Fields that section 4.1 asks of the data of each event, to spread into a `Schema.Struct`: `entityId`, `tenantId` and
 * `actorId` (UUIDs).
 *
 * @category schemas
 * @since 0.1.0
 */
export const entity = {
  entityId: Schema.String.check(Schema.isUUID()),
  tenantId: Schema.String.check(Schema.isUUID()),
  actorId: Schema.String.check(Schema.isUUID())
}

/**
 * Fields of an event that is a change of state (section 4.1): `previousState` is null where there was none before.
 *
 * @category schemas
 * @since 0.1.0
 */
export const stateChange = <State extends Schema.Constraint>(
  state: State
): { readonly previousState: Schema.NullOr<State>; readonly newState: State } => ({
  previousState: Schema.NullOr(state),
  newState: state
})
