/**
 * The rules of a design for Prometheus (section 7.1): recording rules that make one number of the series of all processes,
 * and an alerting rule for each `Rule`.
 *
 * **Details**
 *
 * - The error rate is that of the calls of all processes. The p99 is that of the histogram over all processes, and never
 *   more than the highest that a process has measured itself.
 * - Gauges that several processes ask the same broker or database for are taken once: the highest.
 * - An alert has the labels `severity`, `integration`, `condition`, `subject`, `rule` and `team`, and the annotations
 *   `summary`, `description` with the numbers, `runbook_url`, `escalation`, `investigate_within` and `dashboard`.
 * - No value is no alert: an integration without calls has no error rate.
 *
 * **Gotchas**
 *
 * - Processes of several environments that one Prometheus scrapes need a label that tells them apart, named by `by`.
 * - Errors that engineering is told of fire when their counter grows, also from nothing. When Prometheus has not seen a
 *   process for longer than five minutes, it takes what was counted meanwhile, and before, for new: it may tell once too
 *   often.
 * - A process that cannot be scraped has no values. Let an alert on `up` tell of that.
 *
 * **Example** (A file of rules)
 *
 * ```ts
 * import type { Integration } from "effect-integration"
 * import { PrometheusRules } from "effect-integration/monitoring"
 *
 * declare const design: Integration.Integration
 *
 * export const yaml = PrometheusRules.render(design, { by: ["environment"] })
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Integration from "../Integration.ts"
import * as Option from "../internal/option.ts"
import * as Telemetry from "../Telemetry.ts"
import * as PromQL from "./internal/promql.ts"
import * as Shown from "./internal/shown.ts"
import * as Subjects from "./internal/subjects.ts"
import * as Yaml from "./internal/yaml.ts"
import * as Rule from "./Rule.ts"

/** @category models @since 0.1.0 */
export interface Recording {
  readonly record: string
  readonly expr: string
}

/** @category models @since 0.1.0 */
export interface Alerting {
  readonly alert: string
  readonly expr: string
  /** Left out where the rule fires at once. */
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/**
 * A file of rules. Its one group is evaluated in its order, so that alerts see the numbers that were just recorded.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rules {
  readonly groups: ReadonlyArray<{
    readonly name: string
    readonly interval: string
    readonly rules: ReadonlyArray<Recording | Alerting>
  }>
}

/** @category models @since 0.1.0 */
export interface Options {
  /** Labels that are kept when processes are taken together, for example `environment`. Default: none. */
  readonly by?: ReadonlyArray<string>
  /**
   * How often Prometheus scrapes and evaluates. A rate needs some scrapes: above 15 seconds it is over four of them, and no
   * longer over one minute. Default: 15 seconds.
   */
  readonly scrapeInterval?: Duration.Input
}

/**
 * The rules of a design.
 *
 * **Gotchas**
 *
 * Throws `InvalidOption` for a label that Prometheus does not allow, and for a scrape interval that makes no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (design: Integration.Integration, options: Options = {}): Rules => {
  const where = "PrometheusRules.of"
  const { by = [], scrapeInterval = "15 seconds" } = options
  const unfit = by.find((label) => !/^[A-Za-z_]\w*$/.test(label))
  if (unfit !== undefined) Option.reject(where, "by", unfit, "names of labels such as environment")
  const interval = Duration.millis(Option.millis(where, "scrapeInterval", scrapeInterval))
  const atLeast = (time: Duration.Duration) => PromQL.duration(Duration.max(time, Duration.times(interval, 4)))
  const selection: PromQL.Selection = { by, window: atLeast(Duration.minutes(1)) }
  const rules = unique(Rule.of(design), ({ id }) => id)
  return {
    groups: [
      {
        name: design.name,
        interval: PromQL.duration(interval),
        rules: [
          ...unique(recordings(design, selection), ({ record }) => record),
          ...rules.map((rule) => alerting(design, rule, selection, atLeast))
        ]
      }
    ]
  }
}

/**
 * The rules of a design as a file for `rule_files`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const render = (design: Integration.Integration, options?: Options): string =>
  Yaml.encode(of(design, options) as unknown as Yaml.Value)

/** A contract and a consumer of one name share their metrics, and what is said of them. */
const unique = <A>(all: ReadonlyArray<A>, keyOf: (each: A) => string): ReadonlyArray<A> => {
  const seen = new Set<string>()
  return all.filter((each) => !seen.has(keyOf(each)) && seen.add(keyOf(each)))
}

const recordings = (design: Integration.Integration, selection: PromQL.Selection): ReadonlyArray<Recording> =>
  Subjects.of(design).flatMap(({ metrics, name }) =>
    metrics
      .filter((metric) => Telemetry.catalogue[metric].kind === "gauge")
      .map((metric) => ({
        record: recorded(metric, name, selection),
        expr: PromQL.gauge(metric, name, selection).expression
      }))
  )

/** Named as Prometheus advises: level, metric, operation. */
const recorded = (metric: Telemetry.MetricName, subject: string, selection: PromQL.Selection): string => {
  const { operation } = PromQL.gauge(metric, subject, selection)
  return [Telemetry.catalogue[metric].of, Telemetry.metricName(metric, subject), operation].join(":")
}

const alerting = (
  design: Integration.Integration,
  rule: Rule.Rule,
  selection: PromQL.Selection,
  atLeast: (time: Duration.Duration) => string
): Alerting => {
  const { comparison, metric, subject } = rule
  const record = () => recorded(metric, subject, selection)
  const expr =
    comparison._tag === "Increased"
      ? PromQL.increased(metric, subject, rule.label, atLeast(comparison.within), selection)
      : `${record()} ${comparison._tag === "Above" ? ">" : "<"} ${comparison.value}`
  return {
    alert: alertName(rule),
    expr,
    ...(Duration.isZero(rule.for) ? {} : { for: PromQL.duration(rule.for) }),
    labels: labelsOf(design, rule),
    annotations: annotationsOf(design, rule)
  }
}

/** `IntegrationCircuitOpenLong` of `circuit-open-long/payments`. */
const alertName = ({ id, subject }: Rule.Rule): string =>
  `integration-${id.slice(0, -subject.length - 1)}`.replaceAll(/(?:^|-)(\w)/g, (_, first: string) =>
    first.toUpperCase()
  )

const labelsOf = (design: Integration.Integration, rule: Rule.Rule): Readonly<Record<string, string>> => {
  const team = design.parties?.consumer?.team
  return {
    severity: rule.severity,
    integration: Shown.inTemplate(design.name),
    condition: rule.condition,
    subject: Shown.inTemplate(rule.subject),
    rule: Shown.inTemplate(rule.id),
    ...(team === undefined ? {} : { team: Shown.inTemplate(team) })
  }
}

const annotationsOf = (design: Integration.Integration, rule: Rule.Rule): Readonly<Record<string, string>> => {
  const joined = (each: (route: Integration.Route) => string | undefined): string | undefined => {
    const texts = new Set(rule.routes.map(each).filter((text) => text !== undefined))
    return texts.size === 0 ? undefined : Shown.inTemplate([...texts].join(", "))
  }
  const dashboard = design.monitoring?.dashboard
  const annotations = {
    summary: Shown.inTemplate(rule.summary),
    description: descriptionOf(rule),
    // A link, of which there can be one.
    runbook_url: runbookOf(rule),
    escalation: joined(({ escalation }) => escalation),
    investigate_within: joined(({ investigateWithin }) =>
      investigateWithin === undefined ? undefined : Duration.format(Duration.fromInputUnsafe(investigateWithin))
    ),
    dashboard: dashboard === undefined ? undefined : Shown.inTemplate(dashboard)
  }
  const given = Object.entries(annotations).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return Object.fromEntries(given)
}

const runbookOf = ({ routes }: Rule.Rule): string | undefined => {
  const runbook = routes.find(({ runbook }) => runbook !== undefined)?.runbook
  return runbook === undefined ? undefined : Shown.inTemplate(runbook)
}

/** What is measured, its value, and when that is too much. */
const descriptionOf = (rule: Rule.Rule): string => {
  const { comparison, for: time, metric } = rule
  const { description, unit } = Telemetry.catalogue[metric] as Telemetry.Metered
  const of = unit === undefined ? "" : ` ${symbols[unit]}`
  const value = `{{ printf "${unit === "percent" ? "%.1f" : "%.0f"}" $value }}${of}`
  const name = Rule.metricName(rule)
  const lasting = Duration.isZero(time) ? "" : ` for ${Duration.format(time)}`
  switch (comparison._tag) {
    case "Above":
      return `${name} is ${value}, above ${comparison.value}${of}${lasting}. ${description}.`
    case "Below":
      return `${name} is ${value}, below ${comparison.value}${of}${lasting}. ${description}.`
    case "Increased":
      return `${name} has grown by ${value} within ${Duration.format(comparison.within)}. ${description}.`
  }
}

const symbols = { percent: "%", milliseconds: "ms", seconds: "s" } as const
