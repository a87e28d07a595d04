/**
 * When people are told, as data (section 7.1, 7.3): the rules of a design. Alerts in the process, the rules of Prometheus
 * and the dashboard are made of the same rules.
 *
 * **Details**
 *
 * - A rule is about one metric of the catalogue, of one contract, consumer, channel, saga or probe.
 * - It is there where the thing that can go wrong is: no circuit without a breaker. Error rate, latency and lag have a rule
 *   only where the design gives a limit.
 * - Without a route of its condition a rule still fires, and is only logged.
 *
 * **Example** (The rules of a design)
 *
 * ```ts
 * import type { Integration } from "effect-integration"
 * import { Rule } from "effect-integration/monitoring"
 *
 * declare const design: Integration.Integration
 *
 * export const names = Rule.of(design).map((rule) => `${rule.id}: ${rule.severity}`)
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Integration from "../Integration.ts"
import * as Telemetry from "../Telemetry.ts"

/**
 * How a metric is compared: `Above` and `Below` with its value, `Increased` whether a counter has grown `within` a time.
 *
 * @category models
 * @since 0.1.0
 */
export type Comparison =
  | { readonly _tag: "Above"; readonly value: number }
  | { readonly _tag: "Below"; readonly value: number }
  | { readonly _tag: "Increased"; readonly within: Duration.Duration }

/**
 * @category models
 * @since 0.1.0
 */
export interface Rule {
  /** Unique in the design and stable, for example `circuit-open/payments`. */
  readonly id: string
  readonly condition: Integration.Condition
  /** What it is about: the key of a contract, or the name of a channel, consumer, saga or probe. */
  readonly subject: string
  readonly metric: Telemetry.MetricName
  /** The value of the metric's label, where only one of its series counts. */
  readonly label?: string
  readonly comparison: Comparison
  /** How long it must hold without a break before the rule fires. Zero: at once. */
  readonly for: Duration.Duration
  readonly severity: Integration.Severity
  /** What happens, without numbers that change. */
  readonly summary: string
  /** Who is told, and what they do about it. */
  readonly routes: ReadonlyArray<Integration.Route>
}

/** How long an alert stays that nothing ends, such as an error that engineering is told of. */
const remembered = Duration.minutes(5)

const fiveMinutes = "5 minutes"

type Made = Omit<Rule, "id" | "subject" | "routes"> & { readonly variant?: string }

/** The rules of a design, in the order of its document. @category constructors @since 0.1.0 */
export const of = (design: Integration.Integration): ReadonlyArray<Rule> => {
  const finish = (subject: string, made: ReadonlyArray<Made>): ReadonlyArray<Rule> =>
    made.map(({ variant, ...rule }) => ({
      ...rule,
      id: `${(variant ?? rule.condition).replaceAll(" ", "-")}/${subject}`,
      subject,
      routes: design.alerts.filter((route) => route.condition === rule.condition)
    }))
  const rules = [
    ...design.contracts.flatMap((each) => finish(each.contract.key, ofContract(design, each))),
    ...design.channels.flatMap(({ channel }) => finish(channel.name, ofChannel(design, channel.name))),
    ...design.consumers.flatMap(({ name }) => finish(name, ofConsumer(design, name))),
    ...design.sagas.flatMap(({ name }) => finish(name, ofSaga(design, name))),
    ...design.probes.flatMap((probe) => finish(probe.name, ofProbe(design, probe)))
  ]
  // A contract and a consumer of one name have the counter of notices in common.
  return Array.from(new Map(rules.map((rule) => [rule.id, rule])).values())
}

const atOnce = Duration.zero
const above = (value: number): Comparison => ({ _tag: "Above", value })
const text = (given: Duration.Input): string => Duration.format(Duration.fromInputUnsafe(given))

const ofContract = (
  { monitoring = {} }: Integration.Integration,
  { contract: { contract, key } }: Integration.Contract
): ReadonlyArray<Made> => {
  const { circuitOpen, errorRate, latencyP99 } = monitoring
  const { breaker } = contract
  const made: Array<Made> = []
  if (breaker !== undefined) {
    const severity = circuitOpen?.severity ?? "critical"
    const circuit = { condition: "circuit open", metric: "circuitOpen", comparison: above(0), severity } as const
    made.push({ ...circuit, for: atOnce, summary: `the circuit to ${key} is open: calls fail at once` })
    if (breaker.alertAfter !== undefined) {
      made.push({
        ...circuit,
        variant: "circuit open long",
        for: Duration.fromInputUnsafe(breaker.alertAfter),
        summary: `the circuit to ${key} has been open for longer than ${text(breaker.alertAfter)}`
      })
    }
  }
  if (errorRate !== undefined) {
    made.push({
      condition: "error rate",
      metric: "errorRate",
      comparison: above(errorRate.percent),
      for: Duration.fromInputUnsafe(errorRate.for ?? fiveMinutes),
      severity: errorRate.severity ?? "high",
      summary: `more than ${errorRate.percent} % of the calls to ${key} fail`
    })
  }
  if (latencyP99 !== undefined) {
    made.push({
      condition: "latency",
      metric: "latencyP99",
      comparison: above(Duration.toMillis(latencyP99.limit)),
      for: Duration.fromInputUnsafe(latencyP99.for ?? fiveMinutes),
      severity: latencyP99.severity ?? "medium",
      summary: `1 of 100 calls to ${key} takes longer than ${text(latencyP99.limit)}`
    })
  }
  return [...made, ...notices(key)]
}

/** Errors whose action tells people, of whatever records them. */
const notices = (subject: string): ReadonlyArray<Made> =>
  (
    [
      ["engineering", "alert", "engineering is to look at an error of", "high"],
      ["escalation", "escalate", "the owners of the business rules are to decide about an error of", "medium"]
    ] as const
  ).map(([condition, label, what, severity]) => ({
    condition,
    metric: "notices" as const,
    label,
    comparison: { _tag: "Increased", within: remembered } as const,
    for: atOnce,
    severity,
    summary: `${what} ${subject}`
  }))

const ofChannel = ({ monitoring = {} }: Integration.Integration, name: string): ReadonlyArray<Made> => {
  const { outboxAge } = monitoring
  if (outboxAge === undefined) return []
  return [
    {
      condition: "outbox age",
      metric: "outboxAge",
      comparison: above(Duration.toSeconds(outboxAge.limit)),
      for: atOnce,
      severity: outboxAge.severity ?? "high",
      summary: `events for ${name} have waited in the outbox for longer than ${text(outboxAge.limit)}`
    }
  ]
}

const ofConsumer = ({ monitoring = {} }: Integration.Integration, name: string): ReadonlyArray<Made> => {
  const { deadLetters, lag } = monitoring
  const late = { condition: "consumer lag", for: atOnce, severity: lag?.severity ?? "high" } as const
  return [
    {
      condition: "dead letters",
      metric: "deadLetters",
      comparison: above(0),
      for: atOnce,
      severity: deadLetters?.severity ?? "high",
      summary: `there are dead letters of ${name}`
    },
    ...(lag?.messages === undefined
      ? []
      : [
          {
            ...late,
            metric: "lag" as const,
            comparison: above(lag.messages),
            summary: `more than ${lag.messages} messages wait for ${name}`
          }
        ]),
    ...(lag?.age === undefined
      ? []
      : [
          {
            ...late,
            variant: "consumer lag age",
            metric: "lagAge" as const,
            comparison: above(Duration.toSeconds(lag.age)),
            summary: `messages have waited for ${name} for longer than ${text(lag.age)}`
          }
        ]),
    ...notices(name)
  ]
}

const ofSaga = ({ monitoring = {} }: Integration.Integration, name: string): ReadonlyArray<Made> => [
  {
    condition: "saga stuck",
    metric: "sagasStuck",
    comparison: above(0),
    for: atOnce,
    severity: monitoring.sagaStuck?.severity ?? "high",
    summary: `sagas of ${name} are stuck: they wait for an operator`
  },
  ...notices(name)
]

const ofProbe = ({ monitoring = {} }: Integration.Integration, { name }: Integration.Probe): ReadonlyArray<Made> => [
  {
    condition: "probe failed",
    metric: "probeSuccess",
    comparison: { _tag: "Below", value: 1 },
    for: atOnce,
    severity: monitoring.probeFailed?.severity ?? "high",
    summary: `the synthetic probe ${name} has failed`
  }
]

/** The full name of a rule's metric. @category getters @since 0.1.0 */
export const metricName = (rule: Rule): string => Telemetry.metricName(rule.metric, rule.subject)
