import * as Telemetry from "../../Telemetry.ts"
import type * as Rule from "../Rule.ts"
import * as PromQL from "./promql.ts"

export interface Place {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}

export interface Row {
  readonly id: number
  readonly type: "row"
  readonly title: string
  readonly collapsed: false
  readonly gridPos: Place
  readonly panels: readonly []
}

export interface Step {
  readonly color: string
  /** Null: from the lowest value on. */
  readonly value: number | null
}

export interface Panel {
  readonly id: number
  readonly type: "timeseries"
  readonly title: string
  readonly description: string
  readonly datasource: typeof datasource
  readonly gridPos: Place
  readonly fieldConfig: {
    readonly defaults: {
      readonly unit: string
      readonly min: number
      readonly custom: { readonly thresholdsStyle: { readonly mode: string } }
      readonly thresholds: { readonly mode: "absolute"; readonly steps: ReadonlyArray<Step> }
    }
    readonly overrides: readonly []
  }
  readonly targets: ReadonlyArray<{
    readonly refId: string
    readonly datasource: typeof datasource
    readonly expr: string
    readonly legendFormat: string
  }>
}

/** What is chosen in the dashboard. */
export const datasource = { type: "prometheus", uid: "${datasource}" } as const

export const row = (id: number, title: string, y: number): Row => ({
  id,
  type: "row",
  title,
  collapsed: false,
  gridPos: { x: 0, y, w: 24, h: 1 },
  panels: []
})

/** The panel of a metric, with the limit of the rule that watches it. */
export const make = (
  id: number,
  metric: Telemetry.MetricName,
  subject: string,
  gridPos: Place,
  rule: Rule.Rule | undefined
): Panel => {
  const { description, kind, unit } = Telemetry.catalogue[metric] as Telemetry.Metered
  const steps = stepsOf(rule)
  return {
    id,
    type: "timeseries",
    title: titleOf(metric),
    description,
    datasource,
    gridPos,
    fieldConfig: {
      defaults: {
        unit: kind === "counter" ? "cps" : unit === undefined ? "short" : units[unit],
        min: 0,
        custom: { thresholdsStyle: { mode: steps.length > 1 ? "line" : "off" } },
        thresholds: { mode: "absolute", steps }
      },
      overrides: []
    },
    targets: targetsOf(metric, subject).map(([legendFormat, expr], index) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + index),
      datasource,
      expr,
      legendFormat
    }))
  }
}

const units = { percent: "percent", milliseconds: "ms", seconds: "s" } as const

/** `dlq depth` of `integration_{name}_dlq_depth`. */
const titleOf = (metric: Telemetry.MetricName): string =>
  Telemetry.catalogue[metric].name
    .slice("integration_{name}_".length)
    .replace(/_(total|ms|seconds)$/, "")
    .replaceAll("_", " ")

/** The limits of the design are over one minute; what is only looked at follows the zoom. */
const exact: PromQL.Selection = { by: [], window: "1m" }
const zoomed: PromQL.Selection = { by: [], window: "$__rate_interval" }

const targetsOf = (
  metric: Telemetry.MetricName,
  subject: string
): ReadonlyArray<readonly [legend: string, expression: string]> => {
  const { kind, label } = Telemetry.catalogue[metric] as Telemetry.Metered
  switch (kind) {
    case "counter":
      return [[label === undefined ? "all" : `{{${label}}}`, PromQL.rate(metric, subject, zoomed)]]
    case "gauge":
      return [[titleOf(metric), PromQL.gauge(metric, subject, exact).expression]]
    case "histogram":
      return [0.5, 0.9, 0.99].map(
        (share) => [`p${share * 100}`, PromQL.quantile(share, metric, subject, zoomed)] as const
      )
  }
}

const stepsOf = (rule: Rule.Rule | undefined): ReadonlyArray<Step> => {
  switch (rule?.comparison._tag) {
    case "Above":
      return [
        { color: "green", value: null },
        { color: colours[rule.severity], value: rule.comparison.value }
      ]
    case "Below":
      return [
        { color: colours[rule.severity], value: null },
        { color: "green", value: rule.comparison.value }
      ]
    default:
      return [{ color: "blue", value: null }]
  }
}

const colours = { critical: "dark-red", high: "red", medium: "orange", low: "yellow" } as const
