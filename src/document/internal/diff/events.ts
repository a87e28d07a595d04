import type { Topic } from "../snapshot/channel.ts"
import { type Change, differences, whereTrue } from "./change.ts"
import { payloadChanges } from "./payloads.ts"
import { appearance, byRules, paired, type Rule, without } from "./rules.ts"

type Kept = typeof Topic.Type

/** Where the document has the events. */
export const eventSection = "4.1 Event Schemas (CloudEvents 1.0)"

/** What has changed in the events of a channel. */
export const eventChanges = (name: string, before: Kept, after: Kept): ReadonlyArray<Change> =>
  paired(before.events, after.events).flatMap(({ after: is, before: was, name: type }): ReadonlyArray<Change> => {
    if (was === undefined) {
      const unknown = after.unknownEvents === "ignore" ? "ignore it" : "put it with the dead letters"
      const consequence = `consumers that do not know it yet ${unknown}`
      const migration = "deploy the consumers before the publishers"
      return [
        {
          ...appearance("event", type, "added", { kind: "behavioural", section: eventSection, consequence, migration }),
          subject: name,
          what: `event ${type} added`
        }
      ]
    }
    if (is === undefined) {
      const consequence = "breaks consumers: events of it that still wait are unknown"
      const migration = "stop publishing it, let the consumers handle those that wait, then deploy the consumers"
      return [
        {
          ...appearance("event", type, "removed", { kind: "breaking", section: eventSection, consequence, migration }),
          subject: name,
          what: `event ${type} removed`
        }
      ]
    }
    const uri = was.dataschema
    const upcast = uri !== undefined && uri !== is.dataschema && Object.hasOwn(is.previous, uri)
    const migration = upcast
      ? `events of version ${uri} are upcast: deploy the consumers before the publishers`
      : "give the event a new `dataschema` with the old one among its `previous` versions, or let the queues run empty first"
    return [
      ...payloadChanges("stored", was.data, is.data, {
        section: eventSection,
        subject: name,
        path: `${type} data`,
        migration
      }),
      ...byRules(eventRules(type, upcast), differences(without(was, ["data"]), without(is, ["data"])), {
        subject: name,
        section: () => eventSection
      })
    ]
  })

const eventRules = (type: string, upcast: boolean): ReadonlyArray<Rule> => [
  {
    at: "dataschema",
    kind: ({ before }) => (before === undefined ? "behavioural" : "breaking"),
    section: eventSection,
    what: `${type} version`,
    consequences: ({ before }) => [
      "consumers that do not know the version put its events with the dead letters",
      ...whereTrue(before === undefined, "events that wait and say no version are read as this one")
    ],
    migration: () =>
      upcast
        ? "deploy the consumers before the publishers: they read both versions"
        : "keep the old version among the `previous` ones, and deploy the consumers before the publishers"
  },
  {
    at: "previous.*",
    kind: ({ after }) => (after === undefined ? "breaking" : "behavioural"),
    section: eventSection,
    what: `${type} older versions`,
    quiet: true,
    consequences: ({ after, path }) =>
      after === undefined
        ? [`events of ${path[1]} that still wait, or are replayed, are invalid`]
        : [`${path[1]} is read`]
  },
  {
    at: "source",
    kind: "breaking",
    section: eventSection,
    what: `${type} source`,
    consequences: () => ["events are known by source and id: a duplicate from before is not known as one"]
  },
  {
    at: "**",
    kind: "breaking",
    section: eventSection,
    what: `${type} content type`,
    consequences: () => ["breaks consumers"]
  }
]
