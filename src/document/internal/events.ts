import type * as Channel from "../../event/Channel.ts"
import type * as EventType from "../../event/EventType.ts"
import * as Ordering from "../../event/Ordering.ts"
import type * as Integration from "../../Integration.ts"
import * as RabbitMq from "../../rabbitmq/Queues.ts"
import * as Blocks from "./blocks.ts"
import * as Json from "./jsonSchema.ts"
import * as Queues from "./queues.ts"
import { shapeOf } from "./shape.ts"

const { code, codeBlock, codes, field, given, heading, lines, table, time } = Blocks

/** Section 4.1: each event with who publishes and consumes it. */
export const schemas = (design: Integration.Integration): ReadonlyArray<Blocks.Block> => {
  const events = design.channels.flatMap((topic) => topic.channel.events.map((event) => ({ topic, event })))
  return [
    heading(3, "4.1 Event Schemas (CloudEvents 1.0)"),
    ...(events.length === 0 ? [lines("The design has no events.")] : []),
    ...events.flatMap(({ event, topic }) => [
      heading(4, `Event: ${shortName(event.type)}`),
      lines(
        field("Published by", topic.producer),
        field("Consumed by", consumersOf(design, topic.channel)),
        field("Channel", [code(topic.channel.name), ` (${topic.channel.codec.name})`])
      ),
      ...exampleOf(topic.channel, event),
      ...(event.isJson
        ? [lines([Blocks.strong("Data:")]), codeBlock("json", shapeOf(event.data))]
        : [lines(field("Data", event.datacontenttype))]),
      ...versionsOf(event)
    ])
  ]
}

/** `com.acme.order.placed` is called `order.placed`. */
const shortName = (type: string): string => type.split(".").slice(-2).join(".")

const consumersOf = (design: Integration.Integration, channel: Channel.Any): Blocks.Line => {
  const names = Queues.groupsOf(design, channel).map(({ consumer, name }) =>
    consumer === undefined ? `${name} (outside of this design)` : name
  )
  return names.length === 0 ? Blocks.notGiven : names.join(", ")
}

const attributes = {
  id: "6f1d1b9e-8a6c-4c0f-9a43-2f1f0a3d6b52",
  time: "2026-01-01T00:00:00.000Z",
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
}

/** The event as the publisher makes it. */
const exampleOf = (channel: Channel.Any, type: EventType.Any): ReadonlyArray<Blocks.Block> => {
  const data = type.isJson ? Json.exampleOf(type.data) : type.datacontenttype.startsWith("text/") ? "text" : "(bytes)"
  if (data === undefined) {
    return [lines("Example: none could be made of what the schema says; annotate it with `examples`.")]
  }
  const key = channel.ordering._tag === "Strict" ? Ordering.keyOf(channel.ordering, data) : undefined
  const subject = subjectOf(data)
  const event = {
    specversion: "1.0",
    type: type.type,
    source: type.source,
    id: attributes.id,
    time: attributes.time,
    datacontenttype: type.datacontenttype,
    ...(type.dataschema === undefined ? {} : { dataschema: type.dataschema }),
    ...(subject === undefined ? {} : { subject }),
    ...(key === undefined ? {} : { partitionkey: key }),
    traceparent: attributes.traceparent,
    data
  }
  return [
    codeBlock("json", JSON.stringify(event, null, 2)),
    lines(
      `The id is a new UUID, or derived where the publisher may run again (a handler, a step of a saga), so that the same work publishes the same event. The subject is what the publisher says${
        subject === undefined ? "" : ", here the id of the affected resource"
      }.`
    )
  ]
}

const subjectOf = (data: unknown): string | undefined =>
  typeof data === "object" && data !== null && "entityId" in data && typeof data.entityId === "string"
    ? data.entityId
    : undefined

const versionsOf = (event: EventType.Any): ReadonlyArray<Blocks.Block> => {
  const previous = Object.keys(event.previous)
  return previous.length === 0
    ? []
    : [lines(field("Earlier versions, brought to the current one when they are read", codes(previous)))]
}

/** Section 4.2. */
export const topics = (design: Integration.Integration): ReadonlyArray<Blocks.Block> => {
  const queues = design.channels.flatMap(({ channel, durability, processes }) =>
    Queues.groupsOf(design, channel).map(({ name }) => [
      [code(Queues.rangeOf(RabbitMq.queuesOf(channel, name)))],
      name,
      [code(RabbitMq.deadQueueOf(channel, name))],
      channel.deadLetters.maxAge === undefined ? "until they are replayed or purged" : time(channel.deadLetters.maxAge),
      durability ?? (channel.existing === undefined ? "replicated (quorum queues)" : Blocks.notGiven),
      processes === undefined ? Blocks.notGiven : String(processes)
    ])
  )
  return [
    heading(3, "4.2 Topics / Queues"),
    ...(design.channels.length === 0
      ? [lines("The design has no channels.")]
      : [
          table(
            ["Topic/Queue", "Partitions", "Retention", "Consumers", "Producer", "Events per minute"],
            design.channels.map(({ channel, eventsPerMinute, producer }) => [
              [code(channel.existing?.queue ?? channel.name)],
              String(channel.partitions),
              retentionOf(channel),
              codes(
                Queues.groupsOf(design, channel).map(({ name }) => name),
                Blocks.notGiven
              ),
              given(producer),
              eventsPerMinute === undefined ? Blocks.notGiven : String(eventsPerMinute)
            ])
          )
        ]),
    ...(queues.length === 0
      ? []
      : [
          lines("Queues as RabbitMQ has them, one set for each group of consumers:"),
          table(["Queue", "Group", "Dead letters", "Dead letters kept", "Durability", "Processes at most"], queues)
        ]),
    ...design.channels.map(({ channel }) =>
      lines([
        code(channel.name),
        ": an event of an unknown type ",
        channel.unknownEvents === "ignore" ? "is ignored" : "goes to the dead letters",
        channel.existing === undefined ? "." : "; the queue was declared by others and is used as it is."
      ])
    )
  ]
}

const retentionOf = ({ retention: { maxAge, maxMessages } }: Channel.Any): string => {
  const bounds = [
    ...(maxAge === undefined ? [] : [`${time(maxAge)}, then to the dead letters`]),
    ...(maxMessages === undefined ? [] : [`${maxMessages} messages, then refused to the publisher`])
  ]
  return bounds.length === 0 ? "no limit" : bounds.join("; ")
}
