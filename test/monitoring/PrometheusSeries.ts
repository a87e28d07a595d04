/** Series that make a rule fire from a moment on and for some time, and series that never do, for `promtool test rules`. */
import * as Duration from "effect/Duration"
import type * as PrometheusRules from "../../src/monitoring/PrometheusRules.ts"
import * as Rule from "../../src/monitoring/Rule.ts"
import * as Telemetry from "../../src/Telemetry.ts"

export interface Series {
  readonly series: string
  readonly values: string
}

/** Seconds between samples, and between evaluations. */
export const step = 15

/** How many samples are calm, then too much, then calm again. */
const phases = { before: 24, during: 24, after: 28 }

/** The first evaluation that sees too much, in seconds. */
export const begin = phases.before * step

/** Some time after the last one, when no rate or increase remembers it. */
export const over = (phases.before + phases.during) * step + 360

const held = (calm: number, high: number | undefined): string =>
  high === undefined
    ? `${calm}x${phases.before + phases.during + phases.after - 1}`
    : `${calm}x${phases.before - 1} ${high}x${phases.during - 1} ${calm}x${phases.after - 1}`

/** A counter that grows at one speed, then at another, then at the first again. */
const growing = (calm: number, high: number): string => {
  const values: Array<number> = []
  let value = 0
  for (let n = 0; n < phases.before + phases.during + phases.after; n += 1) {
    value += n < phases.before || n >= phases.before + phases.during ? calm : high
    values.push(value)
  }
  return values.join(" ")
}

const bounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000, Infinity]

/** The series of a rule: those of a quiet process, beside those of one that has too much where `fires`. */
export const seriesOf = (rule: Rule.Rule, fires: boolean): ReadonlyArray<Series> => {
  const { comparison, label, metric, subject } = rule
  const name = Rule.metricName(rule)
  const calmAndHigh = (calm: number, high: number): ReadonlyArray<Series> => [
    { series: `${name}{instance="a"}`, values: held(calm, fires ? high : undefined) },
    { series: `${name}{instance="b"}`, values: held(calm, undefined) }
  ]
  if (comparison._tag === "Increased") {
    const series = (instance: string) =>
      `${name}{${(Telemetry.catalogue[metric] as Telemetry.Metered).label}="${label}",instance="${instance}"}`
    return [
      { series: series("a"), values: `5x${phases.before - 1} ${fires ? 6 : 5}x${phases.during + phases.after - 1}` },
      { series: series("b"), values: `7x${phases.before + phases.during + phases.after - 1}` }
    ]
  }
  if (metric === "errorRate") {
    const requests = Telemetry.metricName("requests", subject)
    // Half of the limit: at the limit itself it would be about the last digit of a float.
    const calm = comparison.value / 2
    return ["a", "b"].flatMap((instance) => [
      {
        series: `${requests}{outcome="success",instance="${instance}"}`,
        values: growing(100 - calm, fires ? 0 : 100 - calm)
      },
      { series: `${requests}{outcome="Unavailable",instance="${instance}"}`, values: growing(calm, fires ? 100 : calm) }
    ])
  }
  if (metric === "latencyP99") {
    const buckets = Telemetry.metricName("latency", subject)
    const calm = comparison.value / 2
    const high = fires ? comparison.value * 2 : calm
    return [
      ...calmAndHigh(calm, high),
      ...bounds.map((bound) => ({
        series: `${buckets}_bucket{le="${bound === Infinity ? "+Inf" : bound}",instance="a"}`,
        values: growing(calm <= bound ? 100 : 0, high <= bound ? 100 : 0)
      }))
    ]
  }
  return comparison._tag === "Above"
    ? calmAndHigh(comparison.value, comparison.value + 1)
    : calmAndHigh(comparison.value, comparison.value - 1)
}

/** What the description says of a rule that fires by `seriesOf`. */
const shownValue = ({ comparison, metric }: Rule.Rule): string => {
  if (comparison._tag === "Increased") return "1"
  if (metric === "errorRate") return "100.0"
  if (metric === "latencyP99") return String(comparison.value * 2)
  return String(comparison._tag === "Above" ? comparison.value + 1 : comparison.value - 1)
}

const printed = (template: string, value: string): string =>
  template.replaceAll(/\{\{ printf "%\.\df" \$value \}\}/g, value).replaceAll('{{"{{"}}', "{{")

/** The alert that is to be seen, with its templates filled. */
export const expected = (rule: Rule.Rule, { annotations, labels }: PrometheusRules.Alerting) => {
  const filled = (texts: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, printed(text, shownValue(rule))]))
  return { exp_labels: filled(labels), exp_annotations: filled(annotations) }
}

export const seconds = (time: Duration.Duration): number => Duration.toSeconds(time)
