import * as Duration from "effect/Duration"
import type * as Consumer from "../../../event/Consumer.ts"
import type * as Integration from "../../../Integration.ts"
import * as WorstCase from "../../WorstCase.ts"
import { span } from "../span.ts"
import { type Finding, type Look, section } from "./finding.ts"

/** Orders that cannot be kept, or that cost more than was meant. */
export const look: Look = (design) => [
  ...design.channels.flatMap((topic) => [...partitions(topic), ...existing(topic)]),
  ...design.consumers.flatMap(ladder)
]

const partitions = ({ channel, processes }: Integration.Topic): ReadonlyArray<Finding> => {
  const enough = processes === undefined ? 2 : processes
  if (channel.ordering._tag !== "Strict" || channel.existing !== undefined || channel.partitions >= enough) return []
  const { name, ordering } = channel
  return [
    {
      id: `too-few-partitions/${name}`,
      severity: "warning",
      section: section.ordering,
      subject: name,
      message:
        processes === undefined
          ? `Order is strict per ${ordering.path} in one partition: one process of a group works, and all others stand by.`
          : `Order is strict per ${ordering.path} in ${channel.partitions} of the partitions that ${processes} processes need: ` +
            `${processes - channel.partitions} of them stand by.`,
      remedy:
        "Use at least as many partitions as processes, before the first event: changing the number later needs a drained " +
        "channel. Where one process is meant, say `processes: 1`."
    }
  ]
}

const existing = ({ channel }: Integration.Topic): ReadonlyArray<Finding> =>
  channel.ordering._tag !== "Strict" || channel.existing === undefined
    ? []
    : [
        {
          id: `strict-on-existing/${channel.name}`,
          severity: "warning",
          section: section.ordering,
          subject: channel.name,
          message:
            `Order is strict, but the queue ${channel.existing.queue} is declared by others: without ` +
            `x-single-active-consumer and a delivery limit of its own, what is given back comes out of order.`,
          remedy:
            "Ask that the queue has a single active consumer, and acknowledge it; or let the channel declare its queues."
        }
      ]

const ladder = ({ channel, name, options }: Consumer.Any): ReadonlyArray<Finding> => {
  const retries = options.retry?.maxRetries ?? 0
  if (retries === 0) return []
  const at = { section: section.ordering, subject: name }
  const longest = WorstCase.longestDelays(options.retry).reduce((sum, delay) => sum + delay, 0)
  if (channel.ordering._tag === "BestEffort") {
    return [
      {
        id: `ladder-breaks-order/${name}`,
        severity: "note",
        ...at,
        message:
          `The queue is first-in first-out, but an event that is retried comes up to ${span(longest)} after those that ` +
          `followed it.`,
        remedy: "Where order matters, make it strict; else say that there is none."
      }
    ]
  }
  if (channel.ordering._tag !== "Strict" || channel.acceptableLag === undefined) return []
  const lag = Duration.toMillis(channel.acceptableLag)
  const worst = WorstCase.redeliveryMillis(options.retry, Duration.toMillis(options.timeout))
  if (worst <= lag) return []
  return [
    {
      id: `ladder-beyond-lag/${name}`,
      severity: "warning",
      ...at,
      message:
        `One event that keeps failing holds back its ${channel.ordering.path} for up to ${span(worst)}, but a lag of ` +
        `${span(lag)} is acceptable.`,
      remedy: "Shorten the ladder or the handlers' timeout, or accept a longer lag."
    }
  ]
}
