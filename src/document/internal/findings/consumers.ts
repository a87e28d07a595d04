import * as Duration from "effect/Duration"
import type * as Consumer from "../../../event/Consumer.ts"
import type * as Integration from "../../../Integration.ts"
import * as WorstCase from "../../WorstCase.ts"
import { span } from "../span.ts"
import { millisOf, topicOf } from "./facts.ts"
import { type Finding, type Look, section } from "./finding.ts"

/** Dedup windows, and messages that a process keeps for too long. */
export const look: Look = (design) =>
  design.consumers.flatMap((consumer) => [...dedup(design, consumer), ...inHand(consumer)])

const dedup = (design: Integration.Integration, consumer: Consumer.Any): ReadonlyArray<Finding> => {
  const { channel, name, options } = consumer
  const at = { section: section.idempotency, subject: name }
  if (options.dedup === undefined) {
    return [
      {
        id: `no-dedup/${name}`,
        severity: "warning",
        ...at,
        message: "Delivery is at least once, and processed events are not remembered: a duplicate is handled twice.",
        remedy: "Give the consumer a dedup window, or acknowledge that its handlers are idempotent."
      }
    ]
  }
  const window = Duration.toMillis(options.dedup.window)
  const ladder = WorstCase.redeliveryMillis(options.retry, Duration.toMillis(options.timeout))
  const waits = millisOf(channel.retention.maxAge) ?? millisOf(design.rto) ?? 0
  const replay = millisOf(topicOf(design, channel.name)?.replayHorizon ?? channel.deadLetters.maxAge)
  const id = `dedup-window/${name}`
  const remedy = (millis: number) => `Remember processed events for at least ${span(millis)}.`
  if (window < ladder + waits) {
    return [
      {
        id,
        severity: "error",
        ...at,
        message:
          `Processed events are remembered for ${span(window)}, but a redelivery can come after ${span(ladder + waits)} ` +
          `(${span(waits)} in the queue, ${span(ladder)} on the ladder): it would be handled twice.`,
        remedy: remedy(ladder + waits)
      }
    ]
  }
  if (replay === undefined) {
    return [
      {
        id,
        severity: "note",
        ...at,
        message:
          `Processed events are remembered for ${span(window)}, and dead letters are kept without end: of those that are ` +
          `replayed later, it is not known whether they were processed meanwhile.`,
        remedy: "Give dead letters a maximum age, or the channel a replay horizon, within the window."
      }
    ]
  }
  if (window >= replay + ladder) return []
  return [
    {
      id,
      severity: "warning",
      ...at,
      message:
        `Processed events are remembered for ${span(window)}, but events of the last ${span(replay)} may be replayed, and take ` +
        `up to ${span(ladder)} on the ladder: duplicates among them are handled twice.`,
      remedy: remedy(replay + ladder)
    }
  ]
}

/** How long RabbitMQ lets a message be unsettled before it closes the channel: `consumer_timeout`, by default. */
const consumerTimeout = 30 * 60_000

const inHand = ({ channel, name, options }: Consumer.Any): ReadonlyArray<Finding> => {
  const strict = channel.ordering._tag === "Strict"
  const holdMillis = Duration.toMillis(options.hold)
  const timeoutMillis = Duration.toMillis(options.timeout)
  const { prefetch } = options
  const most = WorstCase.inHandMillis({ holdMillis, timeoutMillis, prefetch, partitions: channel.partitions, strict })
  if (most <= consumerTimeout) return []
  const alone = holdMillis + timeoutMillis > consumerTimeout
  return [
    {
      id: `held-beyond-broker/${name}`,
      severity: alone ? "error" : "warning",
      section: section.topics,
      subject: name,
      message:
        `A message can be in hand for ${span(most)} (held ${span(holdMillis)} in an outage, handlers ${span(timeoutMillis)} each` +
        (alone ? "" : `, those before it of the same key among ${prefetch} in ${channel.partitions} partitions`) +
        `), but RabbitMQ closes the channel of a consumer after ${span(consumerTimeout)} (consumer_timeout).`,
      remedy: alone
        ? "Lower hold or the handlers' timeout: what waits longer waits on the broker."
        : "Lower the prefetch or the handlers' timeout, or use more partitions."
    }
  ]
}
