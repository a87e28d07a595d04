/**
 * AsyncAPI 3.0 of the channels of a design, with bindings for AMQP (RabbitMQ).
 *
 * **Details**
 *
 * - A channel is where is published (an exchange and its routing key), and one more for each group that consumes it (its
 *   queues), called `orders:billing`.
 * - Messages have the headers of their codec, the JSON Schema of their data (draft 7), and an example that the schema
 *   decodes, where one can be made. Older versions that are still read are messages of the consumers only.
 * - Order, partitions, retention, dead letters, retries and dedup are extensions, durations in milliseconds.
 * - Brokers are deployment and no design, so no servers are named.
 *
 * **Example** (The document of a design)
 *
 * ```ts
 * import { Integration } from "effect-integration"
 * import { AsyncApi } from "effect-integration/document"
 *
 * declare const design: Integration.Integration
 *
 * export const text = JSON.stringify(AsyncApi.of(design), undefined, 2)
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Schema from "effect/Schema"
import type * as Channel from "../event/Channel.ts"
import type * as Consumer from "../event/Consumer.ts"
import * as Ordering from "../event/Ordering.ts"
import type * as Integration from "../Integration.ts"
import * as Channels from "./internal/asyncApiChannels.ts"
import { messagesOf } from "./internal/asyncApiMessages.ts"

type JsonObject = Schema.JsonObject
type Components = Readonly<Record<string, JsonObject>>

/**
 * An AsyncAPI 3.0 document, as JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface Document {
  readonly asyncapi: "3.0.0"
  readonly info: JsonObject & { readonly title: string; readonly version: string }
  readonly channels: Components
  readonly operations: Components
  readonly components: Readonly<Record<string, Components>>
}

/**
 * The document of a design.
 *
 * @category rendering
 * @since 0.1.0
 */
export const of = (design: Integration.Integration): Document => {
  const { messages, published, read, schemas } = messagesOf(design.channels.map(({ channel }) => channel))
  const refer = (names: ReadonlyArray<string>): JsonObject =>
    Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }]))
  const channels: Array<[string, JsonObject]> = []
  const operations: Array<[string, JsonObject]> = []
  const operation = (key: string, names: ReadonlyArray<string>): JsonObject => ({
    channel: { $ref: `#/channels/${key}` },
    // Without any, the specification takes all messages of the channel.
    messages: names.map((name) => ({ $ref: `#/channels/${key}/messages/${name}` }))
  })
  for (const { channel, notes, producer } of design.channels) {
    const { name } = channel
    const consumers = design.consumers.filter((each) => each.channel.name === name)
    channels.push([
      name,
      {
        title: name,
        description: [`Order: ${Ordering.describe(channel.ordering)}.`, ...(notes === undefined ? [] : [notes])].join(
          " "
        ),
        ...Channels.publishedAt(channel),
        messages: refer(published(channel)),
        ...Channels.promises(channel)
      }
    ])
    operations.push([
      `publish.${name}`,
      {
        action: "send",
        title: `Publish on ${name}`,
        ...(producer === undefined ? undefined : { summary: `By ${producer}` }),
        ...operation(name, published(channel)),
        bindings: { amqp: { deliveryMode: 2, mandatory: true, bindingVersion: "0.3.0" } }
      }
    ])
    for (const group of groupsOf(channel, consumers)) {
      const key = Channels.groupKey(channel, group)
      channels.push([
        key,
        { title: `${group} of ${name}`, ...Channels.consumedAt(channel, group), messages: refer(read(channel)) }
      ])
    }
    for (const consumer of consumers) {
      operations.push([
        `consume.${consumer.name}`,
        {
          action: "receive",
          title: `Consume ${name}`,
          summary: `By ${consumer.name}`,
          ...operation(Channels.groupKey(channel, consumer.name), read(channel)),
          bindings: { amqp: { ack: true, bindingVersion: "0.3.0" } },
          ...handling(consumer)
        }
      ])
    }
  }
  return {
    asyncapi: "3.0.0",
    info: {
      title: design.project ?? design.name,
      version: design.version ?? "0.0.1",
      ...(design.purpose === undefined ? undefined : { description: design.purpose })
    },
    channels: Object.fromEntries(channels),
    operations: Object.fromEntries(operations),
    components: { messages, schemas }
  }
}

/** Those that the channel is made for, and those of the design. */
const groupsOf = (channel: Channel.Any, consumers: ReadonlyArray<Consumer.Any>): ReadonlyArray<string> => [
  ...new Set([...channel.consumers, ...consumers.map((each) => each.name)])
]

/** What the consumer does with a message, beside its handlers. */
const handling = ({ options }: Consumer.Any): JsonObject => {
  const { dedup, maxRedeliveries, prefetch, retry, timeout } = options
  return {
    ...(retry === undefined
      ? undefined
      : { "x-retry": { delays: retry.delays.map((each) => Duration.toMillis(each)), jitter: retry.jitter } }),
    ...(dedup === undefined ? undefined : { "x-dedup": { window: Duration.toMillis(dedup.window), mode: dedup.mode } }),
    "x-prefetch": prefetch,
    "x-timeout": Duration.toMillis(timeout),
    "x-max-redeliveries": maxRedeliveries
  }
}
