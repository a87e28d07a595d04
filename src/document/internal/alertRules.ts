import * as Duration from "effect/Duration"
import type * as Integration from "../../Integration.ts"
import * as Rule from "../../monitoring/Rule.ts"
import * as Blocks from "./blocks.ts"

const { code, lines, strong, table, time } = Blocks

/** Every rule that can fire (section 7.3): the very values that alerts are made of. */
export const alertRules = (design: Integration.Integration): ReadonlyArray<Blocks.Block> => {
  const rules = Rule.of(design)
  if (rules.length === 0) return []
  return [
    lines([strong("Rules that can fire:")]),
    table(
      ["Rule", "Fires when", "For", "Severity", "Told"],
      rules.map((rule) => [
        [code(rule.id)],
        [code(Rule.metricName(rule)), ...labelOf(rule), ` ${compared(rule)}`],
        Duration.isZero(rule.for) ? "at once" : time(rule.for),
        rule.severity.toUpperCase(),
        told(rule)
      ])
    )
  ]
}

const labelOf = ({ label }: Rule.Rule): ReadonlyArray<Blocks.Part> => (label === undefined ? [] : [" of ", code(label)])

/** Metrics that are times, by their unit. */
const units: { readonly [K in Rule.Rule["metric"]]?: (value: number) => string } = {
  errorRate: (value) => `${value}%`,
  latencyP99: (value) => `${value}ms`,
  lagAge: (value) => time(Duration.seconds(value)),
  outboxAge: (value) => time(Duration.seconds(value))
}

const compared = ({ comparison, metric }: Rule.Rule): string => {
  const show = units[metric] ?? String
  switch (comparison._tag) {
    case "Above":
      return `> ${show(comparison.value)}`
    case "Below":
      return `below ${show(comparison.value)}`
    case "Increased":
      return `has grown within ${time(comparison.within)}`
  }
}

const told = ({ routes }: Rule.Rule): string =>
  routes.length === 0 ? "nobody: logged only" : routes.flatMap(({ channels }) => channels).join(" + ")
