import * as Duration from "effect/Duration"
import { TopologyMismatch } from "../../event/BrokerError.ts"
import type * as Channel from "../../event/Channel.ts"
import * as Queues from "../Queues.ts"
import { longestTimeToLive } from "./delays.ts"

/** Something to ask of the broker. */
export type Step =
  | { readonly _tag: "Exchange"; readonly name: string }
  | { readonly _tag: "Queue"; readonly name: string; readonly arguments: Queues.Arguments }
  | { readonly _tag: "Bind"; readonly name: string; readonly exchange: string; readonly routingKey: string }
  | { readonly _tag: "QueueIsThere"; readonly name: string }
  | { readonly _tag: "ExchangeIsThere"; readonly name: string }

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
export const groupSteps = (channel: Channel.Any, group: string, type: Queues.QueueType): ReadonlyArray<Step> => {
  const letters: Step = {
    _tag: "Queue",
    name: Queues.deadQueueOf(channel, group),
    arguments: Queues.deadArgumentsOf(channel, type)
  }
  if (channel.existing !== undefined) return [{ _tag: "QueueIsThere", name: channel.existing.queue }, letters]
  const own = Queues.argumentsOf(channel, group, type)
  return [
    { _tag: "Exchange", name: channel.name },
    letters,
    ...Queues.queuesOf(channel, group).flatMap((name, partition): ReadonlyArray<Step> => [
      { _tag: "Queue", name, arguments: own },
      { _tag: "Bind", name, exchange: channel.name, routingKey: String(partition) }
    ])
  ]
}

/** What must be there before something is published. */
export const channelSteps = (channel: Channel.Any, type: Queues.QueueType): ReadonlyArray<Step> => {
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
  type: Queues.QueueType
): ReadonlyArray<Step> =>
  Queues.queuesOf(channel, group).flatMap((queue, partition) =>
    rungs.map((rung): Step => ({
      _tag: "Queue",
      name: Queues.delayQueueOf(channel, group, partition, rung),
      arguments: Queues.delayArgumentsOf(queue, rung, type)
    }))
  )
