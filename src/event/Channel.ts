/**
 * A channel (section 4.2, Topics / Queues) as data: which events travel on it, in how many partitions, how long they are
 * kept, who consumes them, and in what order.
 *
 * **Example** (Ordered by tenant)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Channel, EventType, Ordering } from "effect-integration/event"
 *
 * const OrderPlaced = EventType.make("com.acme.order.placed", {
 *   source: "https://acme.com/orders",
 *   data: Schema.Struct({ orderId: Schema.String, tenantId: Schema.String })
 * })
 *
 * export const Orders = Channel.make("orders", [OrderPlaced], {
 *   ordering: Ordering.strict("tenantId"),
 *   partitions: 8,
 *   retention: "7 days",
 *   consumers: ["billing", "audit"]
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Option from "../internal/option.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Codec from "./Codec.ts"
import type * as EventType from "./EventType.ts"
import * as Ordering from "./Ordering.ts"

/**
 * How long, or how many, messages wait for a consumer that does not come.
 *
 * **Details**
 *
 * What is older goes to the dead letters. What would be more than `maxMessages` is refused to the publisher.
 *
 * @category models
 * @since 0.1.0
 */
export interface Retention {
  readonly maxAge: Duration.Duration | undefined
  readonly maxMessages: number | undefined
}

/**
 * A queue that others have declared, used as it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Existing {
  /** The queue that is consumed. */
  readonly queue: string
  /** Where is published: an exchange and a routing key; left out, the queue itself. */
  readonly exchange?: string
  readonly routingKey?: string
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Channel<
  out Name extends string,
  out Events extends EventType.Any,
  out Order extends Ordering.Ordering
> {
  readonly name: Name
  readonly events: ReadonlyArray<Events>
  readonly ordering: Order
  readonly partitions: number
  readonly retention: Retention
  /** Groups whose queues are there before their consumers are: what is published meanwhile waits for them. */
  readonly consumers: ReadonlyArray<string>
  readonly deadLetters: { readonly maxAge: Duration.Duration | undefined }
  /** How old the oldest waiting event may be (section 5.1). */
  readonly acceptableLag: Duration.Duration | undefined
  /** What becomes of an event whose type the channel or the consumer does not know. */
  readonly unknownEvents: "dead-letter" | "ignore"
  readonly codec: Codec.Codec
  readonly existing: Existing | undefined
}

/** @category models @since 0.1.0 */
export interface Any extends Channel<string, EventType.Any, Ordering.Ordering> {}

type Split<Path extends string> = Path extends `${infer Head}.${infer Tail}` ? [Head, ...Split<Tail>] : [Path]
type Get<Data, Names> = Names extends [infer Head, ...infer Tail]
  ? Head extends keyof Data
    ? Get<Data[Head], Tail>
    : undefined
  : Data
type Keyed<Data, Path extends string> = string extends Path
  ? true
  : [Get<Data, Split<Path>>] extends [string | number | bigint]
    ? true
    : false
type KeyedEvents<Events extends EventType.Any, Path extends string> = Events extends unknown
  ? Keyed<Events["data"]["Type"], Path>
  : never

/** Refuses an ordering whose path is no text or number in the data of each event. */
export type OrderingCheck<Events extends EventType.Any, Order> =
  Order extends Ordering.Strict<infer Path>
    ? false extends KeyedEvents<Events, Path>
      ? { readonly ordering: "the path must be a text or a number in the data of every event of the channel" }
      : unknown
    : unknown

/**
 * @category models
 * @since 0.1.0
 */
export interface Options<Order> {
  /** Default: `Ordering.none`. */
  readonly ordering?: Order
  /**
   * Default: 1. Only for a strict ordering (RabbitMQ: one queue each, for each group) and for Kafka. Changing the number
   * moves keys to other partitions: drain the channel first.
   */
  readonly partitions?: number
  /** A maximum age, or age and number. Default: none. */
  readonly retention?: Duration.Input | { readonly maxAge?: Duration.Input; readonly maxMessages?: number }
  readonly consumers?: ReadonlyArray<string>
  /** How long dead letters are kept. Default: until they are replayed or purged. */
  readonly deadLetters?: { readonly maxAge?: Duration.Input }
  readonly acceptableLag?: Duration.Input
  /** Default: `dead-letter`. */
  readonly unknownEvents?: "dead-letter" | "ignore"
  /** Default: CloudEvents in binary mode. */
  readonly codec?: Codec.Codec
  readonly existing?: Existing
}

const where = "Channel.make"

/**
 * Whether a group, the consumers of one name, may be called so. Brokers put names of channels and groups together with
 * dots, so groups have none.
 *
 * @category guards
 * @since 0.1.0
 */
export const isGroupName = (name: string): boolean =>
  /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/.test(name) && !/^(dead|delay|\d+)$/.test(name)

/** What `isGroupName` asks for. @category constants @since 0.1.0 */
export const groupNames =
  "1 to 100 letters, digits, dashes and underscores, neither a number nor one of the words dead and delay"

/**
 * A channel.
 *
 * **Gotchas**
 *
 * The events are an argument of their own, so that the ordering is checked against their data.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Name extends string,
  const Events extends EventType.Any,
  const Order extends Ordering.Ordering = Ordering.None
>(
  name: Name,
  events: ReadonlyArray<Events>,
  options?: Options<Order> & OrderingCheck<Events, Order>
): Channel<Name, Events, Order> => {
  const given: Options<Order> = options ?? {}
  const legal = (option: string, text: string): string =>
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(text)
      ? text
      : Option.reject(where, option, text, "1 to 100 letters, digits, dots, dashes and underscores")
  const age = (option: string, input: Duration.Input | undefined) =>
    input === undefined ? undefined : Duration.millis(Option.millis(where, option, input))
  const consumers = given.consumers ?? []
  const illegal = consumers.find((consumer) => !isGroupName(consumer))
  if (illegal !== undefined) Option.reject(where, "consumers", illegal, groupNames)
  if (new Set(consumers).size < consumers.length) Option.reject(where, "consumers", consumers, "names that differ")
  const types = events.map((each) => each.type)
  if (new Set(types).size < types.length) Option.reject(where, "events", types, "event types that differ")
  const ordering = given.ordering ?? Ordering.none
  if (given.existing?.queue === "") Option.reject(where, "existing.queue", "", "the name of a queue")
  const partitions = Option.number(where, "partitions", given.partitions ?? 1, { min: 1, max: 1024, integer: true })
  if (given.existing !== undefined && partitions > 1) {
    Option.reject(where, "partitions", partitions, "1 where the queue is an existing one")
  }
  legal("name", name)
  // Two channels whose metrics would be the same are refused here, and not when something is published.
  Telemetry.recorder(name)
  return {
    name,
    events,
    ordering: ordering as Order,
    partitions,
    retention: retentionOf(given.retention, age),
    consumers,
    deadLetters: { maxAge: age("deadLetters.maxAge", given.deadLetters?.maxAge) },
    acceptableLag: age("acceptableLag", given.acceptableLag),
    unknownEvents: Option.word(where, "unknownEvents", given.unknownEvents ?? "dead-letter", ["dead-letter", "ignore"]),
    codec: given.codec ?? Codec.binary,
    existing: given.existing
  }
}

const retentionOf = (
  given: Options<unknown>["retention"],
  age: (option: string, input: Duration.Input | undefined) => Duration.Duration | undefined
): Retention => {
  if (typeof given !== "object" || given === null || !("maxAge" in given || "maxMessages" in given)) {
    return { maxAge: age("retention", given as Duration.Input | undefined), maxMessages: undefined }
  }
  const { maxAge, maxMessages } = given
  return {
    maxAge: age("retention.maxAge", maxAge),
    maxMessages:
      maxMessages === undefined
        ? undefined
        : Option.number(where, "retention.maxMessages", maxMessages, { min: 1, integer: true })
  }
}

/**
 * The partition of a key, from 0: FNV-1a (32 bits) of its UTF-8 bytes, modulo the number of partitions. Messages without
 * a key are in partition 0.
 *
 * @category getters
 * @since 0.1.0
 */
export const partitionOf = (channel: Any, key: string | undefined): number => {
  if (key === undefined || channel.partitions === 1) return 0
  let hash = 0x811c9dc5
  for (const byte of utf8.encode(key)) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0) % channel.partitions
}
const utf8 = new TextEncoder()
