import * as WorstCase from "../../WorstCase.ts"
import type { Snapshot } from "../../Snapshot.ts"
import type { Group } from "../snapshot/channel.ts"
import { span } from "../span.ts"
import { type Change, differences, same, whereTrue } from "./change.ts"
import { delaysOf, ladderOf } from "./ladders.ts"
import { appearance, byRules, paired, type Rule, without } from "./rules.ts"
import { eventSection } from "./events.ts"

const topics = "4.2 Topics / Queues"

/** What has changed in the consumers. */
export const consumerChanges = (before: Snapshot, after: Snapshot): ReadonlyArray<Change> =>
  paired(before.consumers, after.consumers).flatMap(({ after: is, before: was, name }): ReadonlyArray<Change> => {
    if (was === undefined) {
      return [
        appearance("consumer", name, "added", {
          kind: "behavioural",
          section: topics,
          consequence: "a group of its own gets every event"
        })
      ]
    }
    if (is === undefined) {
      const consequence = "its queues stay on the broker and fill"
      const migration = `delete the queues ${was.channel}.${name}*, and its name among the groups of the channel`
      return [appearance("consumer", name, "removed", { kind: "breaking", section: topics, consequence, migration })]
    }
    return [
      ...ladder(name, was, is),
      ...byRules(groupRules, differences(without(was, ["retry"]), without(is, ["retry"])), {
        subject: name,
        section: (title) => title
      })
    ]
  })

const groupRules: ReadonlyArray<Rule> = [
  {
    at: "channel",
    kind: "breaking",
    section: topics,
    consequences: ({ before }) => [`what waits for it on ${String(before)} is not consumed`],
    migration: ({ before }) => `let it empty its queue on ${String(before)} first, then delete that`
  },
  {
    at: "dedup.**",
    kind: "behavioural",
    section: "4.4 Idempotency Strategy",
    consequences: ({ after, before, path }) => [
      ...whereTrue(path.length === 1 && after === null, "a duplicate is handled twice"),
      ...whereTrue(typeof after === "number" && Number(before) > after, "older duplicates are not known any more")
    ]
  },
  { at: "types", kind: "behavioural", section: eventSection, what: "handled types" },
  { at: "**", kind: "behavioural", section: topics }
]

const ladder = (name: string, before: typeof Group.Type, after: typeof Group.Type): ReadonlyArray<Change> => {
  if (same(before.retry, after.retry)) return []
  const [b, a] = [before, after].map(({ retry, timeoutMillis }) =>
    WorstCase.redeliveryMillis(ladderOf(retry), timeoutMillis)
  )
  const gone = (before.retry?.delays ?? []).filter((delay) => !(after.retry?.delays ?? []).includes(delay))
  return [
    {
      kind: "behavioural",
      section: topics,
      subject: name,
      what: "redelivery ladder",
      before: delaysOf(before.retry),
      after: delaysOf(after.retry),
      consequences: [
        `attempts ${WorstCase.attempts(ladderOf(before.retry))} -> ${WorstCase.attempts(ladderOf(after.retry))}`,
        `worst case ${span(b ?? 0)} -> ${span(a ?? 0)}`
      ],
      ...(gone.length === 0
        ? {}
        : {
            migration: `the delay queues of ${gone.map((delay) => span(delay)).join(", ")} are not used any more: delete them when they are empty`
          })
    }
  ]
}
