/**
 * The numbers of the contract, as the library counts them: what a Prometheus endpoint would show.
 */
import { Effect, Metric } from "effect"
import { Telemetry } from "effect-integration"

export interface Numbers {
  readonly calls: number
  readonly attempts: number
  readonly retries: number
  readonly retriesByReason: ReadonlyArray<readonly [reason: string, count: number]>
  readonly circuitOpenings: number
  readonly tokenRefreshes: number
  readonly rateLimitWaits: number
}

export const read = (integration: string): Effect.Effect<Numbers> =>
  Effect.map(Metric.snapshot, (snapshots) => {
    const series = (metric: keyof typeof Telemetry.MetricName) =>
      snapshots.flatMap(({ attributes, id, state, type }) =>
        type === "Counter" && id === Telemetry.metricName(metric, integration)
          ? [[attributes?.["reason"] ?? "", Number(state.count)] as const]
          : []
      )
    const total = (metric: keyof typeof Telemetry.MetricName) =>
      series(metric).reduce((sum, [, count]) => sum + count, 0)
    return {
      calls: total("requests"),
      attempts: total("attempts"),
      retries: total("retries"),
      retriesByReason: series("retries").toSorted(([, a], [, b]) => b - a),
      circuitOpenings: total("circuitOpenings"),
      tokenRefreshes: total("tokenRefreshes"),
      rateLimitWaits: total("rateLimitWait")
    }
  })
