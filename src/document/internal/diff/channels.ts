import type { Snapshot } from "../../Snapshot.ts"
import type { Topic } from "../snapshot/channel.ts"
import { type Change, changed, differences, whereTrue } from "./change.ts"
import { eventChanges, eventSection } from "./events.ts"
import { appearance, byRules, paired, type Rule, without } from "./rules.ts"

type Kept = typeof Topic.Type

const topics = "4.2 Topics / Queues"

/** What has changed in the channels. */
export const channelChanges = (before: Snapshot, after: Snapshot): ReadonlyArray<Change> =>
  paired(before.channels, after.channels).flatMap(({ after: is, before: was, name }): ReadonlyArray<Change> => {
    if (was === undefined) {
      const consequence = "its queues are declared when the first publisher or consumer starts"
      return [appearance("channel", name, "added", { kind: "behavioural", section: topics, consequence })]
    }
    if (is === undefined) {
      const migration = `stop its publishers, let its consumers empty the queues ${name}.*, then delete them and the exchange ${name}`
      const consequence = "its queues stay on the broker with what is in them"
      return [appearance("channel", name, "removed", { kind: "breaking", section: topics, consequence, migration })]
    }
    const at = { subject: name, section: (title: string) => title }
    return [
      ...byRules(
        rules(name, after),
        differences(without(was, ["events", "queueArguments"]), without(is, ["events", "queueArguments"])),
        at
      ),
      ...queueArguments(name, was, is),
      ...eventChanges(name, was, is)
    ]
  })

const rules = (name: string, after: Snapshot): ReadonlyArray<Rule> => [
  ...["producer", "notes", "durability", "replayHorizonMillis", "eventsPerMinute", "processes"].map((field): Rule => ({
    at: field,
    kind: "documentation",
    section: field === "notes" ? "4.3 Ordering Guarantees" : topics
  })),
  {
    at: "partitions",
    kind: "breaking",
    section: topics,
    consequences: () => ["keys move to other partitions: events of one key could overtake each other"],
    migration: () =>
      `stop the publishers, let the consumers empty the queues ${name}.*, deploy, then start the publishers again; ` +
      `delete the queues of partitions that are not there any more`
  },
  {
    at: "ordering",
    kind: ({ before }) => (String(before).startsWith("strict") ? "breaking" : "behavioural"),
    section: "4.3 Ordering Guarantees",
    consequences: ({ before }) =>
      whereTrue(
        String(before).startsWith("strict"),
        "events of one key may overtake each other, and what is parked is not worked off"
      ),
    migration: ({ before }) =>
      String(before).startsWith("strict")
        ? "let the consumers work off what is parked before they are deployed"
        : undefined
  },
  { at: "exhausted", kind: "behavioural", section: "4.3 Ordering Guarantees", what: "when attempts are exhausted" },
  {
    at: "maxAgeMillis",
    kind: "behavioural",
    section: topics,
    what: "retention",
    consequences: ({ after: kept }) => {
      const rto = after.overview.rtoMillis
      return whereTrue(
        typeof kept === "number" && typeof rto === "number" && kept < rto,
        "shorter than the acceptable downtime (RTO): events go to the dead letters unread"
      )
    }
  },
  { at: "maxMessages", kind: "behavioural", section: topics, what: "messages that may wait" },
  { at: "deadLettersMaxAgeMillis", kind: "behavioural", section: topics, what: "retention of dead letters" },
  {
    at: "consumers",
    kind: "behavioural",
    section: topics,
    what: "groups",
    consequences: ({ after: is, before: was }) => {
      const gone = listOf(was).filter((group) => !listOf(is).includes(group))
      return whereTrue(gone.length > 0, `the queues of ${gone.join(", ")} stay on the broker and fill: delete them`)
    }
  },
  {
    at: "codec",
    kind: "breaking",
    section: eventSection,
    consequences: () => [
      "consumers must read the new form before it is published, and messages that wait are in the old one"
    ]
  },
  {
    at: "existing.**",
    kind: "breaking",
    section: topics,
    consequences: () => ["another queue is used: what waits in the old one is not consumed"],
    migration: () => "empty the old queue before the consumers are deployed"
  },
  { at: "**", kind: "behavioural", section: topics }
]

const listOf = (value: unknown): ReadonlyArray<string> => (Array.isArray(value) ? value : [])

const queueArguments = (name: string, before: Kept, after: Kept): ReadonlyArray<Change> =>
  differences(without(before.queueArguments, []), without(after.queueArguments, []))
    // Another queue altogether is told as such.
    .filter(({ path }) => path.length > 1)
    .map((difference) => {
      const [which, argument] = difference.path
      const queue = which === "deadLetters" ? `${name}.<group>.dead` : `${name}.<group>`
      return changed(difference, {
        kind: "breaking",
        section: topics,
        subject: name,
        what: `queue argument ${argument}`,
        consequences: [`the existing queue ${queue} must be replaced: arguments cannot be changed`],
        migration:
          which === "deadLetters"
            ? `replay or purge the dead letters, delete ${queue}, then deploy`
            : `stop the publishers, let the consumers empty ${queue}, delete it, deploy, then start the publishers again`
      })
    })
