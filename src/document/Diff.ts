/**
 * What the change of a design means: not which lines differ, but who must act, what the running system will do otherwise,
 * and which migration it needs.
 *
 * **Details**
 *
 * - `breaking` needs somebody else to act, or a migration, which is named; `behavioural` makes the running system do
 *   something else; `documentation` changes what people read.
 * - Each change says what follows from it: `retry attempts 3 -> 5: worst case 4.2 s -> 14 s, over the total timeout of 10 s`.
 * - Nothing is passed over: two snapshots that differ have at least one change, and equal ones none.
 * - Payloads are compared by what their schemas admit. A request may come to admit more, a response to say more; events and
 *   the state of sagas are read by others and later, so both may break.
 *
 * **Gotchas**
 *
 * Queue arguments are those of quorum queues, which `RabbitMqBroker` declares unless told otherwise.
 *
 * **Example** (A gate in a build)
 *
 * ```ts
 * import { Diff, type Snapshot } from "effect-integration/document"
 *
 * declare const before: Snapshot.Snapshot
 * declare const after: Snapshot.Snapshot
 *
 * const changes = Diff.between(before, after)
 *
 * export const report = Diff.toText(changes)
 * export const code = Diff.exitCode(changes) // 1 where something breaks
 * ```
 *
 * @since 0.1.0
 */
import type { Change, Kind } from "./internal/diff/change.ts"
import { channelChanges } from "./internal/diff/channels.ts"
import { consumerChanges } from "./internal/diff/consumers.ts"
import { contractChanges } from "./internal/diff/contracts.ts"
import { grpcChanges } from "./internal/diff/grpc.ts"
import { overviewChanges } from "./internal/diff/overviews.ts"
import { sagaChanges } from "./internal/diff/sagas.ts"
import { line } from "./internal/plain.ts"
import type { Snapshot } from "./Snapshot.ts"

/** @category models @since 0.1.0 */
export type { Change, Kind }

/** From the worst. @category constants @since 0.1.0 */
export const kinds = ["breaking", "behavioural", "documentation"] as const

/**
 * What has changed between two snapshots, the worst first, then by section.
 *
 * @category constructors
 * @since 0.1.0
 */
export const between = (before: Snapshot, after: Snapshot): ReadonlyArray<Change> =>
  [
    ...contractChanges(before, after),
    ...grpcChanges(before, after),
    ...channelChanges(before, after),
    ...consumerChanges(before, after),
    ...sagaChanges(before, after),
    ...overviewChanges(before, after)
  ].toSorted(
    (a, b) =>
      kinds.indexOf(a.kind) - kinds.indexOf(b.kind) ||
      a.section.localeCompare(b.section, "en", { numeric: true }) ||
      a.subject.localeCompare(b.subject, "en") ||
      a.what.localeCompare(b.what, "en")
  )

/**
 * For people, without colours: a line for each change, and below it what follows and what to do.
 *
 * @category rendering
 * @since 0.1.0
 */
export const toText = (changes: ReadonlyArray<Change>): string => {
  if (changes.length === 0) return "No changes.\n"
  const blocks = changes.map((change) => {
    const { after, before, consequences, kind, migration, section, subject, what } = change
    const values = before === undefined && after === undefined ? "" : ` ${short(before)} -> ${short(after)}`
    const follows = consequences.length === 0 ? "" : `: ${line(consequences.join("; "))}`
    const head = `${kind}: ${line(subject)}: ${line(what)}${values}${follows} (${line(section)})`
    return migration === undefined ? head : `${head}\n  Migration: ${line(migration)}`
  })
  return `${blocks.join("\n")}\n`
}

const short = (value: string | undefined): string => {
  const text = line(value ?? "none")
  return text.length <= 120 ? text : `${text.slice(0, 117)}...`
}

/**
 * What a build ends with: 1 where a change is at least as bad as `failOn` (default: `breaking`), else 0.
 *
 * @category getters
 * @since 0.1.0
 */
export const exitCode = (changes: ReadonlyArray<Change>, options?: { readonly failOn?: Kind }): 0 | 1 => {
  const limit = kinds.indexOf(options?.failOn ?? "breaking")
  return changes.some(({ kind }) => kinds.indexOf(kind) <= limit) ? 1 : 0
}
