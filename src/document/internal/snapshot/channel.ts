import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type * as Channel from "../../../event/Channel.ts"
import type * as Consumer from "../../../event/Consumer.ts"
import * as Ordering from "../../../event/Ordering.ts"
import type * as Integration from "../../../Integration.ts"
import * as Queues from "../../../rabbitmq/Queues.ts"
import { jsonSchemaOf } from "./schemas.ts"
import { given, Millis, millis, Retry, retryOf } from "./times.ts"

const optional = Schema.optionalKey

const Arguments = Schema.Record(Schema.String, Schema.Json)

export const Topic = Schema.Struct({
  producer: optional(Schema.String),
  notes: optional(Schema.String),
  durability: optional(Schema.String),
  replayHorizonMillis: optional(Millis),
  eventsPerMinute: optional(Schema.Finite),
  processes: optional(Schema.Int),
  ordering: Schema.String,
  exhausted: optional(Schema.String),
  partitions: Schema.Int,
  maxAgeMillis: optional(Millis),
  maxMessages: optional(Schema.Int),
  deadLettersMaxAgeMillis: optional(Millis),
  consumers: Schema.Array(Schema.String),
  acceptableLagMillis: optional(Millis),
  unknownEvents: Schema.String,
  codec: Schema.String,
  existing: optional(
    Schema.Struct({ queue: Schema.String, exchange: optional(Schema.String), routingKey: optional(Schema.String) })
  ),
  /** Of the quorum queues that RabbitMQ is asked for, besides their names: they cannot be changed. */
  queueArguments: Schema.Struct({ queue: optional(Arguments), deadLetters: Arguments }),
  events: Schema.Record(
    Schema.String,
    Schema.Struct({
      source: Schema.String,
      datacontenttype: Schema.String,
      dataschema: optional(Schema.String),
      data: Schema.Json,
      /** Older versions by the URI of their schema. */
      previous: Schema.Record(Schema.String, Schema.Json)
    })
  )
})

export const topicOf = (topic: Integration.Topic): typeof Topic.Type => {
  const { channel } = topic
  const { existing, ordering } = channel
  return given({
    producer: topic.producer,
    notes: topic.notes,
    durability: topic.durability,
    replayHorizonMillis: millis(topic.replayHorizon),
    eventsPerMinute: topic.eventsPerMinute,
    processes: topic.processes,
    ordering: Ordering.describe(ordering),
    exhausted: ordering._tag === "Strict" ? ordering.exhausted : undefined,
    partitions: channel.partitions,
    maxAgeMillis: millis(channel.retention.maxAge),
    maxMessages: channel.retention.maxMessages,
    deadLettersMaxAgeMillis: millis(channel.deadLetters.maxAge),
    consumers: channel.consumers,
    acceptableLagMillis: millis(channel.acceptableLag),
    unknownEvents: channel.unknownEvents,
    codec: channel.codec.name,
    existing:
      existing === undefined
        ? undefined
        : given({ queue: existing.queue, exchange: existing.exchange, routingKey: existing.routingKey }),
    queueArguments: queueArgumentsOf(channel),
    events: Object.fromEntries(
      channel.events.map((event) => [
        event.type,
        given({
          source: event.source,
          datacontenttype: event.datacontenttype,
          dataschema: event.dataschema,
          data: jsonSchemaOf(event.data),
          previous: Object.fromEntries(
            Object.entries(event.previous).map(([uri, version]) => [uri, jsonSchemaOf(version.data)])
          )
        })
      ])
    )
  })
}

/** As the topology of RabbitMQ has them; the names of the queues, which are in them too, are left out. */
const queueArgumentsOf = (channel: Channel.Any): (typeof Topic.Type)["queueArguments"] => {
  const deadLetters = Queues.deadArgumentsOf(channel, "quorum")
  if (channel.existing !== undefined) return { deadLetters }
  const { "x-dead-letter-routing-key": _, ...queue } = Queues.argumentsOf(channel, "", "quorum")
  return { queue, deadLetters }
}

export const Group = Schema.Struct({
  channel: Schema.String,
  types: Schema.Array(Schema.String),
  retry: Schema.NullOr(Retry),
  dedup: Schema.NullOr(Schema.Struct({ windowMillis: Millis, mode: Schema.String })),
  prefetch: Schema.Int,
  timeoutMillis: Millis,
  leaseMillis: Millis,
  drainMillis: Millis,
  maxRedeliveries: Schema.Int,
  holdMillis: Millis
})

export const groupOf = ({ channel, options }: Consumer.Any): typeof Group.Type => ({
  channel: channel.name,
  types: options.types.toSorted(),
  retry: retryOf(options.retry),
  dedup:
    options.dedup === undefined
      ? null
      : { windowMillis: Duration.toMillis(options.dedup.window), mode: options.dedup.mode },
  prefetch: options.prefetch,
  timeoutMillis: Duration.toMillis(options.timeout),
  leaseMillis: Duration.toMillis(options.lease),
  drainMillis: Duration.toMillis(options.drain),
  maxRedeliveries: options.maxRedeliveries,
  holdMillis: Duration.toMillis(options.hold)
})
