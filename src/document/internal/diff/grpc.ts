import type { Snapshot } from "../../Snapshot.ts"
import { type Change, differences, type Json, same } from "./change.ts"
import { appearance, byRules, paired, type Rule } from "./rules.ts"

/** What has changed in the gRPC services. */
export const grpcChanges = (before: Snapshot, after: Snapshot): ReadonlyArray<Change> =>
  paired(before.grpc, after.grpc).flatMap(({ after: is, before: was, name }): ReadonlyArray<Change> => {
    const section = `3.${(is ?? was)?.position ?? 0}`
    if (was === undefined) {
      return [appearance("service", name, "added", { kind: "behavioural", section, consequence: "compatible" })]
    }
    if (is === undefined) {
      return [appearance("service", name, "removed", { kind: "breaking", section, consequence: "breaks who calls it" })]
    }
    return byRules(rules, differences(was, is), { subject: name, section: () => section })
  })

const rules: ReadonlyArray<Rule> = [
  { at: "position", kind: "documentation", section: "", what: "place among the contracts" },
  { at: "direction.**", kind: "documentation", section: "" },
  {
    at: "messages.*",
    kind: ({ after, before }) => (before === undefined || extended(before, after) ? "behavioural" : "breaking"),
    section: "",
    consequences: ({ after, before }) =>
      before === undefined || extended(before, after)
        ? ["compatible"]
        : ["the numbers of fields are their places: both sides read other fields than were written"]
  },
  {
    at: "methods.*",
    kind: ({ before }) => (before === undefined ? "behavioural" : "breaking"),
    section: "",
    consequences: ({ before }) => [before === undefined ? "compatible" : "breaks who calls it"]
  },
  { at: "**", kind: "breaking", section: "", consequences: () => ["breaks who calls it"] }
]

/** Whether fields were only added, behind those that were there. */
const extended = (before: Json, after: Json | undefined): boolean =>
  Array.isArray(before) && Array.isArray(after) && same(before, after.slice(0, before.length))
