/**
 * How the integration is operated: environments, limits, probes, and who is told.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"

/** @category models @since 0.1.0 */
export const severities = ["critical", "high", "medium", "low"] as const
/** What can raise an alert. @category models @since 0.1.0 */
export const conditions = [
  "circuit open",
  "dead letters",
  "error rate",
  "latency",
  "consumer lag",
  "saga stuck",
  "outbox age",
  "probe failed",
  "engineering",
  "escalation"
] as const

/** How urgent an alert is. @category models @since 0.1.0 */
export type Severity = (typeof severities)[number]

/** @category models @since 0.1.0 */
export type Condition = (typeof conditions)[number]

/**
 * @category models
 * @since 0.1.0
 */
export interface Environment {
  readonly name: string
  readonly purpose: string
  readonly trigger: string
  /** Which part of the traces is kept, in percent. */
  readonly sampling?: number
}

/**
 * When people are told (section 7.1).
 *
 * @category models
 * @since 0.1.0
 */
export interface Monitoring {
  /** Default duration: 5 minutes; severity high. */
  readonly errorRate?: { readonly percent: number; readonly for?: Duration.Input; readonly severity?: Severity }
  /** Default duration: 5 minutes; severity medium. */
  readonly latencyP99?: { readonly limit: Duration.Input; readonly for?: Duration.Input; readonly severity?: Severity }
  /** Of messages that wait, and of the age of the oldest, in a group of consumers. Severity: high. */
  readonly lag?: { readonly messages?: number; readonly age?: Duration.Input; readonly severity?: Severity }
  /** Default: critical. */
  readonly circuitOpen?: { readonly severity?: Severity }
  /** Default: high. */
  readonly deadLetters?: { readonly severity?: Severity }
  /** Of the oldest event that is stored in the outbox and not published. Severity: high. */
  readonly outboxAge?: { readonly limit: Duration.Input; readonly severity?: Severity }
  /** Default: high. */
  readonly sagaStuck?: { readonly severity?: Severity }
  /** Default: high. */
  readonly probeFailed?: { readonly severity?: Severity }
  /** Where the metrics are looked at. */
  readonly dashboard?: string
}

/**
 * A synthetic probe that runs in production (section 6.2), as `SyntheticProbe` of `effect-integration/monitoring` makes
 * them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Probe {
  readonly name: string
  readonly every: Duration.Input
}

/**
 * Who is told of what (section 7.3).
 *
 * @category models
 * @since 0.1.0
 */
export interface Route {
  readonly condition: Condition
  /** For example `PagerDuty payments` or `Slack #payments`. */
  readonly channels: ReadonlyArray<string>
  /** For example `on-call engineer`. */
  readonly escalation?: string
  readonly investigateWithin?: Duration.Input
  /** What to do, for whoever is woken. */
  readonly runbook?: string
}
