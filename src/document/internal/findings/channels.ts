import * as Duration from "effect/Duration"
import type * as Integration from "../../../Integration.ts"
import { span } from "../span.ts"
import { investigatedWithin, millisOf } from "./facts.ts"
import { type Finding, type Look, section } from "./finding.ts"

/** What a channel loses: retention and durability against the objectives. */
export const look: Look = (design) =>
  design.channels.flatMap((topic) => [
    ...age(design, topic),
    ...capacity(design, topic),
    ...discarded(design, topic),
    ...durability(design, topic)
  ])

const age = (design: Integration.Integration, { channel }: Integration.Topic): ReadonlyArray<Finding> => {
  const rto = millisOf(design.rto)
  const kept = millisOf(channel.retention.maxAge)
  if (rto === undefined || kept === undefined || kept >= rto) return []
  return [
    {
      id: `retention-below-outage/${channel.name}`,
      severity: "error",
      section: section.topics,
      subject: channel.name,
      message:
        `An event waits for ${span(kept)} at most, but an outage of ${span(rto)} is acceptable: what was published at its ` +
        `beginning goes to the dead letters unread.`,
      remedy: `Keep events for at least ${span(rto)}.`
    }
  ]
}

const capacity = (design: Integration.Integration, topic: Integration.Topic): ReadonlyArray<Finding> => {
  const { channel, eventsPerMinute } = topic
  const { maxMessages } = channel.retention
  const rto = millisOf(design.rto)
  if (rto === undefined || maxMessages === undefined || !eventsPerMinute) return []
  const full = (maxMessages / eventsPerMinute) * 60_000
  if (full >= rto) return []
  return [
    {
      id: `capacity-below-outage/${channel.name}`,
      severity: "warning",
      section: section.topics,
      subject: channel.name,
      message:
        `${maxMessages} messages are ${span(full)} of ${eventsPerMinute} events a minute, but an outage of ${span(rto)} is ` +
        `acceptable: then publishers are refused.`,
      remedy: `Let at least ${Math.ceil((rto / 60_000) * eventsPerMinute)} messages wait.`
    }
  ]
}

const discarded = (design: Integration.Integration, { channel }: Integration.Topic): ReadonlyArray<Finding> => {
  const kept = millisOf(channel.deadLetters.maxAge)
  if (kept === undefined) return []
  const looked = investigatedWithin(design, "dead letters")
  const unseen = looked !== undefined && kept <= looked
  const nothingLost = design.rpo !== undefined && Duration.isZero(design.rpo)
  return [
    {
      id: `dead-letters-discarded/${channel.name}`,
      severity: unseen ? "error" : nothingLost ? "warning" : "note",
      section: section.topics,
      subject: channel.name,
      message:
        `Dead letters are discarded after ${span(kept)}` +
        (unseen
          ? `, and somebody looks at them within ${span(looked)}: they are gone unread.`
          : nothingLost
            ? ", but no data may be lost (RPO 0)."
            : ", read or not."),
      remedy: "Keep dead letters until they are replayed or purged."
    }
  ]
}

const durability = (design: Integration.Integration, topic: Integration.Topic): ReadonlyArray<Finding> => {
  const { channel } = topic
  if (design.rpo === undefined) return []
  const rpo = Duration.toMillis(design.rpo)
  const said = topic.durability ?? (channel.existing === undefined ? "replicated" : undefined)
  const at = { id: `rpo-not-durable/${channel.name}`, section: section.topics, subject: channel.name }
  const objective = rpo === 0 ? "no data may be lost (RPO 0)" : `no more than ${span(rpo)} of data may be lost (RPO)`
  if (said === undefined) {
    return [
      {
        ...at,
        severity: "warning",
        message: `${objective}, and it is not known whether the existing queue ${channel.existing?.queue} outlasts a crash.`,
        remedy: "Ask who declares the queue, and give its `durability`."
      }
    ]
  }
  const lag = millisOf(channel.acceptableLag) ?? Infinity
  if (said === "memory" && lag > rpo) {
    return [
      {
        ...at,
        severity: "error",
        message:
          `${objective}, but events are in memory only: a crash of the broker loses all that wait` +
          (lag === Infinity ? "." : `, up to ${span(lag)} of them.`),
        remedy: "Use a broker that keeps events on disk, in replicated queues."
      }
    ]
  }
  if (said !== "disk" || rpo > 0) return []
  return [
    {
      ...at,
      severity: "warning",
      message: `${objective}, but events are on the disk of one machine: with it, those that wait are lost.`,
      remedy: "Use replicated (quorum) queues."
    }
  ]
}
