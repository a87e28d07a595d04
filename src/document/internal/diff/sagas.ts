import type { Snapshot } from "../../Snapshot.ts"
import { type Change, differences, type Fields, isFields, keysOf, same } from "./change.ts"
import { payloadChanges } from "./payloads.ts"
import { appearance, byRules, paired, type Rule, without } from "./rules.ts"
import { delaysOf } from "./ladders.ts"

const section = "5.2 Saga Pattern"
const keepOld = "keep the old definition in `layerWith({ previous: [...] })` until its last run has ended"

/** What has changed in the sagas. */
export const sagaChanges = (before: Snapshot, after: Snapshot): ReadonlyArray<Change> =>
  paired(before.sagas, after.sagas).flatMap(({ after: is, before: was, name }): ReadonlyArray<Change> => {
    if (was === undefined) {
      return [appearance("saga", name, "added", { kind: "behavioural", section, consequence: "compatible" })]
    }
    if (is === undefined) {
      const consequence = "runs that are under way are not finished"
      const migration = "start none any more, and let its last run end before it is removed"
      return [appearance("saga", name, "removed", { kind: "breaking", section, consequence, migration })]
    }
    const place = { section, subject: name }
    const shape: ReadonlyArray<Change> = same(was.fingerprint, is.fingerprint)
      ? []
      : [
          {
            kind: "breaking",
            ...place,
            what: "saga steps",
            before: was.fingerprint,
            after: is.fingerprint,
            consequences: ["runs that are under way get stuck without the definition they were started with"],
            migration: keepOld
          }
        ]
    return [
      ...payloadChanges("stored", was.payload, is.payload, { ...place, path: "payload", migration: keepOld }),
      ...shape,
      ...steps(was.steps, is.steps, place)
    ]
  })

const steps = (
  before: Fields,
  after: Fields,
  place: { readonly section: string; readonly subject: string }
): ReadonlyArray<Change> =>
  keysOf(before, after).flatMap((step): ReadonlyArray<Change> => {
    const [was, is] = [before[step], after[step]]
    // Steps that come, go or become another kind are in the change of the saga's shape.
    if (!isFields(was) || !isFields(is) || was.kind !== is.kind) return []
    return [
      ...payloadChanges("stored", was.success, is.success, { ...place, path: `result of ${step}`, migration: keepOld }),
      ...["retry", "compensationRetry"].flatMap((field) => ladder(field, step, was, is, place)),
      ...byRules(rulesOf(step), differences(without(was, told), without(is, told)), {
        subject: place.subject,
        section: () => section
      })
    ]
  })

const told = ["success", "retry", "compensationRetry"]

const rulesOf = (step: string): ReadonlyArray<Rule> => [
  ...["service", "description", "compensation", "irreversible"].map((field): Rule => ({
    at: field,
    kind: "documentation",
    section,
    what: `step ${step}: ${field}`
  })),
  ...["timeoutMillis", "deadlineMillis", "durationMillis"].map((field): Rule => ({
    at: field,
    kind: "behavioural",
    section,
    what: `step ${step}: ${field.replace("Millis", "")}`
  })),
  { at: "**", kind: "behavioural", section, what: `step ${step}` }
]

const ladder = (
  field: string,
  step: string,
  before: Fields,
  after: Fields,
  place: { readonly section: string; readonly subject: string }
): ReadonlyArray<Change> => {
  if (same(before[field], after[field])) return []
  const show = (retry: unknown) => delaysOf((retry ?? null) as Parameters<typeof delaysOf>[0])
  return [
    {
      kind: "behavioural",
      ...place,
      what: `step ${step}: ${field === "retry" ? "retry delays" : "retry delays of its compensation"}`,
      before: show(before[field]),
      after: show(after[field]),
      consequences: []
    }
  ]
}
