/**
 * An alert: what people are told when a rule fires, and once more when it is over.
 *
 * **Details**
 *
 * - `id` is the same for every incident of one rule, in every process that runs the design and after a restart: the key
 *   by which the other side finds what it knows already. `incident` tells apart what happened one after another.
 * - It says what happened, since when, to which integration, with the numbers, who is to do what about it, and which
 *   requests or events it is about (the latest ten).
 * - All texts are bounded, whatever they are made of.
 *
 * **Example** (A line for a terminal)
 *
 * ```ts
 * import { Alert } from "effect-integration/monitoring"
 *
 * export const line = (alert: Alert.Alert): string => `${Alert.title(alert)}: ${alert.summary}`
 * // [FIRING] CRITICAL circuit open: payments
 * ```
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Hash from "effect/Hash"
import type * as Integration from "../Integration.ts"
import * as Telemetry from "../Telemetry.ts"
import { bounded, oneLine } from "./internal/alertText.ts"
import { withoutCredentials } from "./internal/shown.ts"
import type * as Rule from "./Rule.ts"

/** @category models @since 0.1.0 */
export type State = "firing" | "resolved"

/**
 * The numbers of a rule that fired.
 *
 * @category models
 * @since 0.1.0
 */
export interface Measured {
  readonly metric: Telemetry.MetricName
  /** The full name, as it is exported. */
  readonly name: string
  /** The latest; `undefined` where there is none any more. */
  readonly value: number | undefined
  readonly comparison: Rule.Comparison
  /** How long it had to hold. */
  readonly for: Duration.Duration
}

/**
 * The error that people are told of.
 *
 * @category models
 * @since 0.1.0
 */
export interface Raised {
  readonly tag: string
  /** Of the latest occurrence, bounded. */
  readonly message: string
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Alert {
  /** For example `orders-to-payments/circuit-open/payments`. */
  readonly id: string
  /** Counts the incidents of this id in this process, from 1. */
  readonly incident: number
  readonly state: State
  /** Name of the design. */
  readonly design: string
  readonly condition: Integration.Condition
  readonly severity: Integration.Severity
  /** The contract, channel, consumer, saga or probe that it is about. */
  readonly subject: string
  /** What happens, in one sentence. */
  readonly summary: string
  /** When it began: for a rule that must hold for a while, the begin of that while. */
  readonly since: DateTime.Utc
  readonly resolvedAt?: DateTime.Utc
  readonly measured?: Measured
  readonly error?: Raised
  /** Request ids and event ids, the latest last. At most ten. */
  readonly ids: ReadonlyArray<string>
  /** How often the error has occurred; 1 for what is measured. */
  readonly count: number
  /** Incidents of this id that came and went while nobody could be told. */
  readonly earlier: number
  /** Who is told, and what they do: of a message, only the routes that name its channel. */
  readonly routes: ReadonlyArray<Integration.Route>
  /** Where the metrics are looked at. */
  readonly dashboard?: string
}

/** The longest text that an alert carries. @category constants @since 0.1.0 */
export const maximumText = 1000

const longestKey = 255

/**
 * A key of at most 255 characters. A longer id, or one that cannot be sent as it is, is cut, and told apart from others by a
 * hash of the whole.
 *
 * @category getters
 * @since 0.1.0
 */
export const dedupKey = ({ id }: Pick<Alert, "id">): string => {
  if (bounded(id, longestKey) === id) return id
  const [one, two] = [Hash.string(id), Hash.string(id.split("").toReversed().join(""))]
  const hash = `${(one >>> 0).toString(16)}${(two >>> 0).toString(16)}`
  return `${bounded(id, longestKey - 1 - hash.length)}-${hash}`
}

/** One line: its state, how urgent it is, what and where. @category getters @since 0.1.0 */
export const title = (alert: Alert): string =>
  oneLine(`[${alert.state.toUpperCase()}] ${alert.severity.toUpperCase()} ${alert.condition}: ${alert.subject}`, 300)

/** The one line of a log or a pager: the title and what happened, with the numbers. @category getters @since 0.1.0 */
export const describe = (alert: Alert): string => {
  const { error, measured, resolvedAt } = alert
  const numbers = measured === undefined ? "" : ` (${valueOf(measured)}, alert ${limitOf(measured)})`
  const said = error === undefined ? "" : `: ${error.message}`
  const when = `since ${DateTime.formatIso(alert.since)}`
  const until = resolvedAt === undefined ? when : `${when}, over at ${DateTime.formatIso(resolvedAt)}`
  return oneLine(`${title(alert)}: ${alert.summary}${said}${numbers}, ${until}`, 2 * maximumText)
}

/**
 * What is known, as names and texts in the order of their importance. What is not known is not there.
 *
 * @category getters
 * @since 0.1.0
 */
export const details = (alert: Alert): ReadonlyArray<readonly [name: string, text: string]> => {
  const { error, measured, resolvedAt, routes } = alert
  const each = (pick: (route: Integration.Route) => string | undefined): string =>
    Array.from(new Set(routes.map(pick).filter((text) => text !== undefined))).join(", ")
  const known: ReadonlyArray<readonly [string, string]> = [
    ["Integration", alert.design],
    ["Subject", alert.subject],
    ["Condition", alert.condition],
    ["Severity", alert.severity],
    ["Since", DateTime.formatIso(alert.since)],
    ["Resolved", resolvedAt === undefined ? "" : DateTime.formatIso(resolvedAt)],
    ["Value", measured === undefined ? "" : valueOf(measured)],
    ["Limit", measured === undefined ? "" : limitOf(measured)],
    ["Error", error?.tag ?? ""],
    ["Occurrences", error === undefined ? "" : String(alert.count)],
    ["Requests and events", alert.ids.join(", ")],
    ["Earlier incidents that were not told", alert.earlier === 0 ? "" : String(alert.earlier)],
    ["Escalation", each((route) => route.escalation)],
    ["Investigate within", each(({ investigateWithin: within }) => (within === undefined ? undefined : text(within)))],
    ["Runbook", each((route) => route.runbook)],
    ["Dashboard", alert.dashboard ?? ""],
    ["Metric", measured?.name ?? ""]
  ]
  return known
    .filter(([, told]) => told !== "")
    .map(([name, told]) => [name, bounded(withoutCredentials(told), maximumText)])
}

/** At most nine runbooks and the dashboard, where they are URLs of http or https. @category getters @since 0.1.0 */
export const links = (alert: Alert): ReadonlyArray<{ readonly href: string; readonly text: string }> => {
  const runbooks = Array.from(new Set(alert.routes.map((route) => route.runbook))).flatMap((each) =>
    link(each, "Runbook")
  )
  return [...runbooks.slice(0, 9), ...link(alert.dashboard, "Dashboard")]
}

const link = (url: string | undefined, text: string) => {
  if (url === undefined || !URL.canParse(url)) return []
  const { href, protocol } = new URL(withoutCredentials(url))
  return /^https?:$/.test(protocol) && href.length <= maximumText ? [{ href, text }] : []
}

const text = (given: Duration.Input): string => Duration.format(Duration.fromInputUnsafe(given))

const units = { percent: " %", milliseconds: " ms", seconds: " s" } as const
const unitOf = (metric: Telemetry.MetricName): string => {
  const { unit }: Telemetry.Metered = Telemetry.catalogue[metric]
  return unit === undefined ? "" : units[unit]
}

const valueOf = ({ metric, value }: Measured): string =>
  value === undefined || Number.isNaN(value) ? "no value" : `${Number(value.toFixed(3))}${unitOf(metric)}`

const limitOf = ({ comparison, for: held, metric }: Measured): string => {
  const during = Duration.isZero(held) ? "" : ` for ${Duration.format(held)}`
  return comparison._tag === "Increased"
    ? `when it has increased within ${Duration.format(comparison.within)}${during}`
    : `${comparison._tag === "Above" ? "above" : "below"} ${comparison.value}${unitOf(metric)}${during}`
}
