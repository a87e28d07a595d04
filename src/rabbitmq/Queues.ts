/**
 * What the queues of a channel are called on RabbitMQ, and the arguments that they are declared with: known without a
 * broker, for whoever draws, documents or administrates them.
 *
 * **Details**
 *
 * A channel `orders` with the group `billing` has the queue `orders.billing`, or `orders.billing.0` to `.7` where there are
 * 8 partitions, and `orders.billing.dead` for its dead letters. The groups of an existing queue share it, and have dead
 * letters of their own.
 *
 * **Gotchas**
 *
 * Arguments cannot be changed: RabbitMQ refuses to declare a queue that is there with others.
 *
 * **Example** (The queues of a group)
 *
 * ```ts
 * import type { Channel } from "effect-integration/event"
 * import { Queues } from "effect-integration/rabbitmq"
 *
 * declare const Orders: Channel.Any
 *
 * export const queues = [...Queues.queuesOf(Orders, "billing"), Queues.deadQueueOf(Orders, "billing")]
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Channel from "../event/Channel.ts"

/** @category models @since 0.1.0 */
export type QueueType = "quorum" | "classic"

/** Of a queue. @category models @since 0.1.0 */
export type Arguments = Readonly<Record<string, string | number | boolean>>

/** What the queues of a group have in common as the beginning of their names. @category names @since 0.1.0 */
export const baseOf = (channel: Channel.Any, group: string): string =>
  `${channel.existing === undefined ? channel.name : channel.existing.queue}.${group}`

/** The queue of a partition; partitions are counted from 0. @category names @since 0.1.0 */
export const queueOf = (channel: Channel.Any, group: string, partition: number): string => {
  if (channel.existing !== undefined) return channel.existing.queue
  return channel.partitions === 1 ? baseOf(channel, group) : `${baseOf(channel, group)}.${partition}`
}

/** The queues of all partitions. @category names @since 0.1.0 */
export const queuesOf = (channel: Channel.Any, group: string): ReadonlyArray<string> =>
  Array.from({ length: channel.partitions }, (_, partition) => queueOf(channel, group, partition))

/** Where the dead letters of a group are. @category names @since 0.1.0 */
export const deadQueueOf = (channel: Channel.Any, group: string): string => `${baseOf(channel, group)}.dead`

/** Where messages wait for a delay. @category names @since 0.1.0 */
export const delayQueueOf = (channel: Channel.Any, group: string, partition: number, millis: number): string => {
  const queue = channel.existing === undefined ? queueOf(channel, group, partition) : baseOf(channel, group)
  return `${queue}.delay.${millis}`
}

/** Whether a queue is a delay queue of the group whose names begin so. @category names @since 0.1.0 */
export const isDelayQueue = (base: string, queue: unknown): boolean =>
  typeof queue === "string" && queue.startsWith(base) && /\.delay\.\d+$/.test(queue)

/** Where messages of a channel are published. @category names @since 0.1.0 */
export const routeOf = (
  channel: Channel.Any,
  partition: number
): { readonly exchange: string; readonly routingKey: string } => {
  const { existing } = channel
  if (existing === undefined) return { exchange: channel.name, routingKey: String(partition) }
  if (existing.exchange === undefined) return { exchange: "", routingKey: existing.queue }
  return { exchange: existing.exchange, routingKey: existing.routingKey ?? "" }
}

/**
 * Without a delivery limit, a quorum queue puts what is given back behind all others, and RabbitMQ 4 takes 20 for the
 * limit. How often a message may be tried is the consumer's decision, so this one is never reached.
 */
const deliveryLimit = 1_000_000

const typed = (type: QueueType, rest: Arguments): Arguments =>
  type === "quorum"
    ? { "x-queue-type": type, "x-delivery-limit": deliveryLimit, ...rest }
    : { "x-queue-type": type, ...rest }

/** A quorum queue does not let go of a message until the other queue has it. */
const lettersTo = (type: QueueType, queue: string): Arguments => ({
  "x-dead-letter-exchange": "",
  "x-dead-letter-routing-key": queue,
  ...(type === "quorum" ? { "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish" } : {})
})

const timeToLive = (age: Duration.Duration | undefined): Arguments =>
  age === undefined ? {} : { "x-message-ttl": Math.ceil(Duration.toMillis(age)) }

/** Of each queue of a group; none of an existing queue. @category arguments @since 0.1.0 */
export const argumentsOf = (channel: Channel.Any, group: string, type: QueueType): Arguments => {
  const { maxAge, maxMessages } = channel.retention
  const bounds: Arguments =
    maxMessages === undefined ? {} : { "x-max-length": maxMessages, "x-overflow": "reject-publish" }
  const order: Arguments = channel.ordering._tag === "Strict" ? { "x-single-active-consumer": true } : {}
  return typed(type, { ...lettersTo(type, deadQueueOf(channel, group)), ...timeToLive(maxAge), ...bounds, ...order })
}

/** Of the queue of the dead letters. @category arguments @since 0.1.0 */
export const deadArgumentsOf = (channel: Channel.Any, type: QueueType): Arguments =>
  typed(type, timeToLive(channel.deadLetters.maxAge))

/** Of a delay queue, from which messages go to `queue` when their time has come. @category arguments @since 0.1.0 */
export const delayArgumentsOf = (queue: string, millis: number, type: QueueType): Arguments =>
  typed(type, { ...lettersTo(type, queue), "x-message-ttl": millis })
