/**
 * The metrics of the catalogue, as whatever exports them would see them.
 */
import { Effect, Metric } from "effect"
import { Telemetry } from "effect-integration"

export interface Readings {
  /** The value of a gauge, the count of a counter; of all its series where no label is given. */
  readonly of: (metric: Telemetry.MetricName, name: string, label?: string) => number | undefined
  /** The series of a counter, by the value of its label, the largest first. */
  readonly series: (
    metric: Telemetry.MetricName,
    name: string
  ) => ReadonlyArray<readonly [label: string, count: number]>
}

const valueOf = (snapshot: Metric.Metric.Snapshot): number | undefined => {
  if (snapshot.type === "Counter") return Number(snapshot.state.count)
  if (snapshot.type !== "Gauge") return undefined
  const value = Number(snapshot.state.value)
  return Number.isNaN(value) ? undefined : value
}

/** What is there, without asking for what must be asked for. */
export const glance: Effect.Effect<Readings> = Effect.map(Metric.snapshot, (snapshots) => {
  const known = new Map<string, Array<readonly [label: string, value: number]>>()
  for (const snapshot of snapshots) {
    const value = valueOf(snapshot)
    if (value === undefined) continue
    const label = Object.values(snapshot.attributes ?? {})[0] ?? ""
    known.set(snapshot.id, [...(known.get(snapshot.id) ?? []), [String(label), value]])
  }
  const series: Readings["series"] = (metric, name) =>
    (known.get(Telemetry.metricName(metric, name)) ?? []).toSorted(([, a], [, b]) => b - a)
  return {
    series,
    of: (metric, name, label) => {
      const found = series(metric, name).filter(([each]) => label === undefined || each === label)
      return found.length === 0 ? undefined : found.reduce((sum, [, value]) => sum + value, 0)
    }
  }
})

/** What is there now: error rates, depths and ages are asked for first. */
export const read: Effect.Effect<Readings> = Effect.andThen(Telemetry.sample, glance)
