/**
 * The numbers of the contract and of the consumer, as the library counts them: what a Prometheus endpoint would show.
 */
import { Effect, Metric } from "effect"
import { Telemetry } from "effect-integration"

type Counter = Telemetry.MetricName

/** The series of a counter, by the value of its label. */
const reader = (integration: string, label: string) =>
  Effect.map(
    Metric.snapshot,
    (snapshots) =>
      (metric: Counter): ReadonlyArray<readonly [string, number]> =>
        snapshots.flatMap(({ attributes, id, state, type }) =>
          type === "Counter" && id === Telemetry.metricName(metric, integration)
            ? [[String(attributes?.[label] ?? ""), Number(state.count)] as const]
            : []
        )
  )

const sum = (series: ReadonlyArray<readonly [string, number]>): number =>
  series.reduce((total, [, count]) => total + count, 0)

export interface Calls {
  readonly calls: number
  readonly attempts: number
  readonly retries: number
  readonly retriesByReason: ReadonlyArray<readonly [reason: string, count: number]>
  readonly circuitOpenings: number
  readonly tokenRefreshes: number
  readonly rateLimitWaits: number
}

export const calls = (integration: string): Effect.Effect<Calls> =>
  Effect.map(reader(integration, "reason"), (series) => ({
    calls: sum(series("requests")),
    attempts: sum(series("attempts")),
    retries: sum(series("retries")),
    retriesByReason: series("retries").toSorted(([, a], [, b]) => b - a),
    circuitOpenings: sum(series("circuitOpenings")),
    tokenRefreshes: sum(series("tokenRefreshes")),
    rateLimitWaits: sum(series("rateLimitWait"))
  }))

export interface Deliveries {
  /** Messages that the consumer has taken responsibility for: the broker may forget them. */
  readonly taken: number
  readonly handled: number
  readonly deadLettered: number
  /** Duplicates that dedup has skipped. */
  readonly duplicates: number
  /** Messages that were parked, and those that came to their end there. */
  readonly parked: number
  readonly workedOff: number
}

export const deliveries = (consumer: string): Effect.Effect<Deliveries> =>
  Effect.map(reader(consumer, "outcome"), (series) => {
    const counts = new Map(series("deliveries"))
    const count = (...outcomes: ReadonlyArray<string>) =>
      outcomes.reduce((total, outcome) => total + (counts.get(outcome) ?? 0), 0)
    return {
      taken: count("done", "skipped", "duplicate", "dead-lettered", "parked"),
      handled: count("done", "skipped", "parked: done", "parked: skipped"),
      deadLettered: count("dead-lettered", "parked: Dead"),
      duplicates: count("duplicate", "parked: duplicate"),
      parked: count("parked"),
      workedOff: count("parked: done", "parked: skipped", "parked: duplicate", "parked: Dead")
    }
  })
