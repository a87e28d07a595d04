import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Metric from "effect/Metric"
import * as Result from "effect/Result"
import * as Telemetry from "../../Telemetry.ts"
import * as Rule from "../Rule.ts"

/** How a rule stands. Times are monotonic milliseconds. */
export type Phase =
  | { readonly _tag: "Idle" }
  /** It holds, and not yet for long enough. */
  | { readonly _tag: "Pending"; readonly since: number }
  | { readonly _tag: "Firing"; readonly since: number }

export const idle: Phase = { _tag: "Idle" }

/** What becomes of a rule that holds now, or does not. It fires at the first evaluation at or after the moment. */
export const step = (rule: Rule.Rule, phase: Phase, holds: boolean, now: number): Phase => {
  if (!holds) return idle
  if (phase._tag === "Firing") return phase
  const since = phase._tag === "Pending" ? phase.since : now
  return { _tag: now - since >= Duration.toMillis(rule.for) ? "Firing" : "Pending", since }
}

/** When a rule that holds on will fire. */
export const dueAt = (rule: Rule.Rule, phase: Phase): number =>
  phase._tag === "Pending" ? phase.since + Duration.toMillis(rule.for) : Infinity

/** Whether a value is beyond the limit of a rule: what has no value is not. */
export const isBeyond = (
  comparison: Exclude<Rule.Comparison, { readonly _tag: "Increased" }>,
  value: number
): boolean => (comparison._tag === "Above" ? value > comparison.value : value < comparison.value)

/** What a broker or a store is asked for: it may be away for a moment, which changes nothing of what there is. */
const asked: ReadonlySet<Telemetry.MetricName> = new Set(["deadLetters", "lag", "lagAge", "sagasStuck", "outboxAge"])
const patience = Duration.toMillis("5 minutes")

/** Whether an alert stays though there is no value now. `since`: of its last value, in monotonic milliseconds. */
export const isUnknown = ({ metric }: Rule.Rule, value: number, since: number, now: number): boolean =>
  Number.isNaN(value) && asked.has(metric) && now - since < patience

/** Whether a counter has grown lately. */
export class Growth {
  #highest: number | undefined
  #grownAt = -Infinity
  /** The first reading is where it begins: what was counted before is not news. */
  read(value: number, now: number): void {
    if (this.#highest !== undefined && value > this.#highest) this.#grownAt = now
    this.#highest = Math.max(this.#highest ?? value, value)
  }
  within(millis: number, now: number): boolean {
    return now - this.#grownAt < millis
  }
}

/** The values of the metrics of rules, of all series that count for them; NaN where there is none. */
export const readings = (
  rules: ReadonlyArray<Rule.Rule>,
  context: Context.Context<never>
): ((rule: Rule.Rule) => number) => {
  const wanted = new Set(rules.map(Rule.metricName))
  const found = new Map<string, Array<{ readonly labels: Metric.Metric.AttributeSet; readonly value: number }>>()
  for (const { attributes = {}, hooks, id } of Context.get(context, Metric.MetricRegistry).values()) {
    if (!wanted.has(id)) continue
    // Of one that cannot be read there is no value: it is no reason not to look at the others.
    const state = Result.getOrElse(
      Result.try(() => hooks.get(context)),
      () => ({ value: Number.NaN })
    )
    const { count, value } = state as { readonly count?: number | bigint; readonly value?: number | bigint }
    const series = found.get(id) ?? []
    found.set(id, series)
    series.push({ labels: attributes, value: Number(value ?? count) })
  }
  return (rule) => {
    const { label }: Telemetry.Metered = Telemetry.catalogue[rule.metric]
    const counted = (found.get(Rule.metricName(rule)) ?? [])
      .filter(({ labels }) => label === undefined || rule.label === undefined || labels[label] === rule.label)
      .map(({ value }) => value)
      .filter((value) => !Number.isNaN(value))
    return counted.length === 0 ? Number.NaN : gathered[rule.comparison._tag](counted)
  }
}

/** Of several series the worst counts; counters are added up. */
const gathered: { readonly [K in Rule.Comparison["_tag"]]: (values: ReadonlyArray<number>) => number } = {
  Above: (values) => Math.max(...values),
  Below: (values) => Math.min(...values),
  Increased: (values) => values.reduce((sum, value) => sum + value, 0)
}
