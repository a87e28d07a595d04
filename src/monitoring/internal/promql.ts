import * as Duration from "effect/Duration"
import * as Telemetry from "../../Telemetry.ts"

/** How series of several processes become one. */
export interface Selection {
  /** Labels that are kept, such as that of the environment. Default: none. */
  readonly by: ReadonlyArray<string>
  /** The time that a rate is over. */
  readonly window: string
}

/** The latency is known no better above this: the last bound of the histogram, in milliseconds. */
export const lastBound = 60_000

/** As Prometheus writes durations. Halves of a millisecond are rounded. */
export const duration = (given: Duration.Duration): string => {
  const millis = Math.round(Duration.toMillis(given))
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
    ["ms", 1]
  ] as const
  let left = millis
  let text = ""
  for (const [unit, size] of units) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0) text += `${count}${unit}`
  }
  return text === "" ? "0s" : text
}

/** A string of PromQL, which reads escapes as Go does. */
export const quoted = (text: string): string => JSON.stringify(text.toWellFormed())

const aggregated = (
  operator: string,
  { by }: Selection,
  expression: string,
  ...labels: ReadonlyArray<string>
): string => {
  const kept = [...by, ...labels]
  return `${operator}${kept.length === 0 ? "" : ` by (${kept.join(", ")}) `}(${expression})`
}

/** Events a second of a counter, by its label. */
export const rate = (metric: Telemetry.MetricName, subject: string, selection: Selection): string => {
  const { label } = Telemetry.catalogue[metric] as Telemetry.Metered
  const name = Telemetry.metricName(metric, subject)
  return aggregated("sum", selection, `rate(${name}[${selection.window}])`, ...(label === undefined ? [] : [label]))
}

/** A quantile of a histogram over all processes. Nothing where there was nothing. */
export const quantile = (
  share: number,
  metric: Telemetry.MetricName,
  subject: string,
  selection: Selection
): string => {
  const buckets = `rate(${Telemetry.metricName(metric, subject)}_bucket[${selection.window}])`
  return `histogram_quantile(${share}, ${aggregated("sum", selection, buckets, "le")}) >= 0`
}

/**
 * The share of the calls of all processes that did not succeed. No calls: nothing. No failures are 0, also where there is
 * no series of them.
 */
const errorRate = (subject: string, selection: Selection): string => {
  const { window } = selection
  const requests = Telemetry.metricName("requests", subject)
  const all = aggregated("sum", selection, `rate(${requests}[${window}])`)
  const failed = aggregated("sum", selection, `rate(${requests}{outcome!="success"}[${window}])`)
  return `100 * (\n  ${failed}\n  or 0 * ${all}\n) / (${all} > 0)`
}

/**
 * The quantile of the histogram, which is only as fine as its buckets, and never more than the highest that a process has
 * measured itself: no quantile of all calls is above that of each process.
 */
const latencyP99 = (subject: string, selection: Selection): string => {
  const measured = aggregated("max", selection, Telemetry.metricName("latencyP99", subject))
  const estimated = quantile(0.99, "latency", subject, selection)
  return `(${estimated} < ${lastBound}) < ${measured}\nor ${measured}\nor ${estimated}`
}

/** The value of a gauge over all processes, of which several may have asked the same broker: so never the sum. */
export const gauge = (
  metric: Telemetry.MetricName,
  subject: string,
  selection: Selection
): { readonly expression: string; readonly operation: string } => {
  if (metric === "errorRate") return { expression: errorRate(subject, selection), operation: selection.window }
  if (metric === "latencyP99") return { expression: latencyP99(subject, selection), operation: selection.window }
  const operation = metric === "probeSuccess" ? "min" : "max"
  return { expression: aggregated(operation, selection, Telemetry.metricName(metric, subject)), operation }
}

/**
 * How much a counter has grown within a time, where it has. A series that was not there before has grown from nothing, which
 * `increase` does not see: the first error would tell nobody.
 */
export const increased = (
  metric: Telemetry.MetricName,
  subject: string,
  label: string | undefined,
  within: string,
  selection: Selection
): string => {
  const metered = Telemetry.catalogue[metric] as Telemetry.Metered
  const only = label === undefined || metered.label === undefined ? "" : `{${metered.label}=${quoted(label)}}`
  const series = `${Telemetry.metricName(metric, subject)}${only}`
  const grown = aggregated("sum", selection, `increase(${series}[${within}])`)
  const begun = aggregated("sum", selection, `${series} unless ${series} offset ${within}`)
  return `${grown} > 0\nor ${begun} > 0`
}
