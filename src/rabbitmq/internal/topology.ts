import * as Duration from "effect/Duration"
import { TopologyMismatch } from "../../event/BrokerError.ts"
import type * as Channel from "../../event/Channel.ts"
import { longestTimeToLive } from "./delays.ts"

export type QueueType = "quorum" | "classic"

export type Arguments = Readonly<Record<string, string | number | boolean>>

/** Something to ask of the broker. */
export type Step =
  | { readonly _tag: "Exchange"; readonly name: string }
  | { readonly _tag: "Queue"; readonly name: string; readonly arguments: Arguments }
  | { readonly _tag: "Bind"; readonly name: string; readonly exchange: string; readonly routingKey: string }
  | { readonly _tag: "QueueIsThere"; readonly name: string }
  | { readonly _tag: "ExchangeIsThere"; readonly name: string }

/** What the queues of a group have in common as the beginning of their names. */
export const baseOf = (channel: Channel.Any, group: string): string =>
  `${channel.existing === undefined ? channel.name : channel.existing.queue}.${group}`

export const queueOf = (channel: Channel.Any, group: string, partition: number): string => {
  if (channel.existing !== undefined) return channel.existing.queue
  return channel.partitions === 1 ? baseOf(channel, group) : `${baseOf(channel, group)}.${partition}`
}

export const queuesOf = (channel: Channel.Any, group: string): ReadonlyArray<string> =>
  Array.from({ length: channel.partitions }, (_, partition) => queueOf(channel, group, partition))

export const deadQueueOf = (channel: Channel.Any, group: string): string => `${baseOf(channel, group)}.dead`

export const delayQueueOf = (channel: Channel.Any, group: string, partition: number, millis: number): string => {
  const queue = channel.existing === undefined ? queueOf(channel, group, partition) : baseOf(channel, group)
  return `${queue}.delay.${millis}`
}

/** Whether a queue is a delay queue of the group whose names begin so. */
export const isDelayQueue = (base: string, queue: unknown): boolean =>
  typeof queue === "string" && queue.startsWith(base) && /\.delay\.\d+$/.test(queue)

/** Where messages of a channel are published. */
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

/** What makes a channel's design impossible here, known without asking the broker. */
export const impossible = (channel: Channel.Any): TopologyMismatch | undefined => {
  for (const age of [channel.retention.maxAge, channel.deadLetters.maxAge]) {
    if (age !== undefined && Math.ceil(Duration.toMillis(age)) > longestTimeToLive) {
      return new TopologyMismatch({
        entity: "queue",
        name: channel.name,
        argument: "x-message-ttl",
        description: `RabbitMQ keeps messages for at most ${longestTimeToLive} milliseconds (49 days)`
      })
    }
  }
  return undefined
}

/** The queues of a group: where its dead letters go, and one for each partition. */
export const groupSteps = (channel: Channel.Any, group: string, type: QueueType): ReadonlyArray<Step> => {
  const dead = deadQueueOf(channel, group)
  const letters: Step = {
    _tag: "Queue",
    name: dead,
    arguments: typed(type, timeToLive(channel.deadLetters.maxAge))
  }
  if (channel.existing !== undefined) return [{ _tag: "QueueIsThere", name: channel.existing.queue }, letters]
  const { maxAge, maxMessages } = channel.retention
  const bounds: Arguments =
    maxMessages === undefined ? {} : { "x-max-length": maxMessages, "x-overflow": "reject-publish" }
  const order: Arguments = channel.ordering._tag === "Strict" ? { "x-single-active-consumer": true } : {}
  const own = typed(type, { ...lettersTo(type, dead), ...timeToLive(maxAge), ...bounds, ...order })
  return [
    { _tag: "Exchange", name: channel.name },
    letters,
    ...queuesOf(channel, group).flatMap((name, partition): ReadonlyArray<Step> => [
      { _tag: "Queue", name, arguments: own },
      { _tag: "Bind", name, exchange: channel.name, routingKey: String(partition) }
    ])
  ]
}

/** What must be there before something is published. */
export const channelSteps = (channel: Channel.Any, type: QueueType): ReadonlyArray<Step> => {
  const { existing } = channel
  const ways: ReadonlyArray<Step> =
    existing === undefined
      ? [{ _tag: "Exchange", name: channel.name }]
      : [
          { _tag: "QueueIsThere", name: existing.queue },
          ...(existing.exchange === undefined || existing.exchange === ""
            ? []
            : [{ _tag: "ExchangeIsThere" as const, name: existing.exchange }])
        ]
  return [...ways, ...channel.consumers.flatMap((group) => groupSteps(channel, group, type))]
}

/** One queue for each delay, whose messages go to the group's queue when their time has come. */
export const delaySteps = (
  channel: Channel.Any,
  group: string,
  rungs: ReadonlyArray<number>,
  type: QueueType
): ReadonlyArray<Step> =>
  queuesOf(channel, group).flatMap((queue, partition) =>
    rungs.map((rung): Step => ({
      _tag: "Queue",
      name: delayQueueOf(channel, group, partition, rung),
      arguments: typed(type, { ...lettersTo(type, queue), "x-message-ttl": rung })
    }))
  )
