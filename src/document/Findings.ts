/**
 * What does not add up in a design: retries that no budget has room for, circuits that cannot open, windows that forget
 * too early. Each finding says the numbers, the section of the document, and what to do.
 *
 * **Details**
 *
 * - Findings have stable ids. `Integration.make({ acknowledged: [{ finding, reason }] })` accepts one by its id, and the
 *   document prints the reason.
 * - An acknowledgement that no finding answers to is a note, so that reasons do not outlive what they were given for.
 * - The formulas are those of `WorstCase`.
 *
 * **Example** (A check in a build)
 *
 * ```ts
 * import type { Integration } from "effect-integration"
 * import { Findings } from "effect-integration/document"
 *
 * declare const design: Integration.Integration
 *
 * const findings = Findings.of(design)
 *
 * export const report = Findings.toText(findings)
 * export const code = Findings.exitCode(findings) // 1 where an error is not acknowledged
 * ```
 *
 * @since 0.1.0
 */
import type * as Integration from "../Integration.ts"
import * as Breakers from "./internal/findings/breakers.ts"
import * as Channels from "./internal/findings/channels.ts"
import * as Consumers from "./internal/findings/consumers.ts"
import * as Credentials from "./internal/findings/credentials.ts"
import { type Finding, type Look, section, type Severity } from "./internal/findings/finding.ts"
import * as Objectives from "./internal/findings/objectives.ts"
import * as Operations from "./internal/findings/operations.ts"
import * as Orderings from "./internal/findings/orderings.ts"
import * as Redelivery from "./internal/findings/redelivery.ts"
import * as Retries from "./internal/findings/retries.ts"
import * as Sagas from "./internal/findings/sagas.ts"
import { line } from "./internal/plain.ts"

/** @category models @since 0.1.0 */
export type { Finding, Severity }

/** From the worst. @category constants @since 0.1.0 */
export const severities = ["error", "warning", "note"] as const

const looks: ReadonlyArray<Look> = [
  Retries.look,
  Breakers.look,
  Credentials.look,
  Objectives.look,
  Redelivery.look,
  Channels.look,
  Orderings.look,
  Consumers.look,
  Sagas.look,
  Operations.look
]

/**
 * The findings of a design, errors first, then by section.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (design: Integration.Integration): ReadonlyArray<Finding> => {
  const reasons = new Map(design.acknowledged.map(({ finding, reason }) => [finding, reason]))
  const found = looks.flatMap((look) => look(design))
  const known = new Set(found.map(({ id }) => id))
  const stale = [...reasons.keys()].filter((id) => !known.has(id)).map(unanswered)
  return [...found, ...stale]
    .map((finding) => {
      const acknowledged = reasons.get(finding.id)
      return acknowledged === undefined ? finding : { ...finding, acknowledged }
    })
    .toSorted(
      (a, b) =>
        severities.indexOf(a.severity) - severities.indexOf(b.severity) ||
        compareNumbers(a.section, b.section) ||
        a.id.localeCompare(b.id, "en")
    )
}

const unanswered = (id: string): Finding => ({
  id: `acknowledged-unknown/${id}`,
  severity: "note",
  section: section.overview,
  subject: id,
  message: `The finding ${id} is acknowledged, but there is no such finding.`,
  remedy: "Remove the acknowledgement, or correct its id."
})

/** Sections by their numbers, so that 3.10 comes after 3.9. */
const compareNumbers = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true })

/** Those that nobody has acknowledged. @category getters @since 0.1.0 */
export const open = (findings: ReadonlyArray<Finding>): ReadonlyArray<Finding> =>
  findings.filter(({ acknowledged }) => acknowledged === undefined)

/**
 * For people, without colours: a block for each finding.
 *
 * @category rendering
 * @since 0.1.0
 */
export const toText = (findings: ReadonlyArray<Finding>): string => {
  if (findings.length === 0) return "No findings.\n"
  const blocks = findings.map(({ acknowledged, id, message, remedy, section, severity }) =>
    [
      `${severity}: ${line(id)} (${line(section)})`,
      `  ${line(message)}`,
      `  ${line(acknowledged === undefined ? remedy : `Acknowledged: ${acknowledged}`)}`
    ].join("\n")
  )
  return `${blocks.join("\n\n")}\n`
}

/**
 * What a build ends with: 1 where an error is not acknowledged, else 0. With `strict`, warnings count too.
 *
 * @category getters
 * @since 0.1.0
 */
export const exitCode = (findings: ReadonlyArray<Finding>, options?: { readonly strict?: boolean }): 0 | 1 => {
  const bad = open(findings).some(
    ({ severity }) => severity === "error" || (options?.strict === true && severity === "warning")
  )
  return bad ? 1 : 0
}
