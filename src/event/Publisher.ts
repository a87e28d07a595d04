/**
 * Publishes events on a channel.
 *
 * **Details**
 *
 * - It returns when the broker has taken responsibility for the event; else it fails with a definite reason, or `unknown`.
 * - Inside a consumer's handler or a saga step the id is derived from what is being handled, so that a redelivery publishes
 *   the same event again and not another one. Elsewhere it is a new UUID.
 * - Request id and trace of the fiber travel with the event (`requestid`, `traceparent`). Where spans are kept, there is
 *   one of the publish, which the event goes on from.
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
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Broker from "./Broker.ts"
import type { PublishError } from "./BrokerError.ts"
import type * as Channel from "./Channel.ts"
import type { CloudEvent, InvalidEvent } from "./CloudEvent.ts"
import type * as EventType from "./EventType.ts"
import { build, messageOf, recorderOf } from "./internal/building.ts"
import { KeyedLocks } from "./internal/keyedLocks.ts"
import * as Tracing from "./internal/tracing.ts"
import type * as Ordering from "./Ordering.ts"

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
> = ((channel: Channel.Any, type: EventType.Any, data: unknown, options?: Options) =>
  Tracing.produced(channel, "publish", send(channel, type, data, options))) as any

const send = Effect.fnUntraced(function* (
  channel: Channel.Any,
  type: EventType.Any,
  data: unknown,
  options: Options = {}
): Effect.fn.Return<CloudEvent<any, any>, PublishError | InvalidEvent, Broker.Broker> {
  const broker = yield* Broker.Broker
  const { context, event, key } = yield* build(channel, type, data, options)
  const message = yield* messageOf(channel, event, key, broker.binding)
  const sent = broker.publish(channel, message)
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
})

const locksOf = (broker: Broker.Broker["Service"]): KeyedLocks => {
  const known = locks.get(broker) ?? new KeyedLocks()
  locks.set(broker, known)
  return known
}
const locks = new WeakMap<Broker.Broker["Service"], KeyedLocks>()
