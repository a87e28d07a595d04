import * as Duration from "effect/Duration"
import type * as Schema from "effect/Schema"
import type * as Channel from "../../event/Channel.ts"
import * as Queues from "../../rabbitmq/Queues.ts"

type JsonObject = Schema.JsonObject

/** The key of the channel that a group consumes; no name of a channel or group has a colon. */
export const groupKey = (channel: Channel.Any, group: string): string => `${channel.name}:${group}`

const bindingVersion = "0.3.0"

const exchange = (name: string, own: boolean): JsonObject => ({
  amqp: {
    is: "routingKey",
    exchange: own ? { name, type: "direct", durable: true, autoDelete: false } : { name },
    bindingVersion
  }
})

const queue = (name: string | undefined, own: boolean): JsonObject => ({
  amqp: {
    is: "queue",
    queue: {
      ...(name === undefined ? undefined : { name }),
      ...(own ? { durable: true, exclusive: false, autoDelete: false } : undefined)
    },
    bindingVersion
  }
})

/** The partition as a variable of the address, where there are several. */
const partition = ({ partitions }: Channel.Any): JsonObject =>
  partitions === 1
    ? {}
    : {
        parameters: {
          partition: {
            description: "FNV-1a (32 bits) of the key's UTF-8 bytes, modulo the number of partitions",
            enum: Array.from({ length: partitions }, (_, index) => String(index))
          }
        }
      }

/** Where is published: the address is the routing key, or the queue where it goes to one that others have declared. */
export const publishedAt = (channel: Channel.Any): JsonObject => {
  const { existing, partitions } = channel
  const route = Queues.routeOf(channel, 0)
  if (route.exchange === "") return { address: route.routingKey, bindings: queue(route.routingKey, false) }
  return {
    address: partitions === 1 ? route.routingKey : "{partition}",
    ...partition(channel),
    bindings: exchange(route.exchange, existing === undefined)
  }
}

/** The queues of a group. */
export const consumedAt = (channel: Channel.Any, group: string): JsonObject => {
  const { deadLetters, existing, partitions, retention } = channel
  const [first] = Queues.queuesOf(channel, group)
  const name = partitions === 1 ? first! : `${Queues.baseOf(channel, group)}.{partition}`
  return {
    address: name,
    ...partition(channel),
    bindings: queue(partitions === 1 ? name : undefined, existing === undefined),
    "x-retention": {
      ...(retention.maxAge === undefined ? undefined : { maxAge: Duration.toMillis(retention.maxAge) }),
      ...(retention.maxMessages === undefined ? undefined : { maxMessages: retention.maxMessages })
    },
    "x-dead-letters": {
      queue: Queues.deadQueueOf(channel, group),
      ...(deadLetters.maxAge === undefined ? undefined : { maxAge: Duration.toMillis(deadLetters.maxAge) })
    }
  }
}

/** What a channel promises, beside its queues. */
export const promises = ({ acceptableLag, ordering, partitions, unknownEvents }: Channel.Any): JsonObject => ({
  "x-ordering":
    ordering._tag === "Strict"
      ? { kind: "strict", path: ordering.path, exhausted: ordering.exhausted }
      : { kind: ordering._tag === "None" ? "none" : "best effort" },
  "x-partitions": partitions,
  "x-unknown-events": unknownEvents,
  ...(acceptableLag === undefined ? undefined : { "x-acceptable-lag": Duration.toMillis(acceptableLag) })
})
