import * as Duration from "effect/Duration"
import type * as Integration from "../../../Integration.ts"
import * as Rule from "../../../monitoring/Rule.ts"
import { span } from "../span.ts"
import { contractsOf, rowsOf, toMillis } from "./facts.ts"
import { type Finding, type Look, section } from "./finding.ts"

/** What an integration that people depend on must have for its operation. */
export const look: Look = (design) => {
  const { criticality } = design
  if (criticality !== "critical" && criticality !== "high") return []
  const severity = criticality === "critical" ? "error" : "warning"
  return [
    ...owner(design, severity),
    ...objectives(design),
    ...deadLetters(design),
    ...conditionsOf(design).flatMap((needed) => alerting(design, needed, severity)),
    ...unused(design),
    ...rareProbes(design)
  ]
}

const owner = (design: Integration.Integration, severity: "error" | "warning"): ReadonlyArray<Finding> => {
  const { contact, team } = design.parties?.consumer ?? {}
  if (contact !== undefined || team !== undefined) return []
  return [
    {
      id: "no-owner/consumer",
      severity,
      section: section.overview,
      subject: "consumer",
      message: `The integration is of ${design.criticality} criticality, and no team or contact of the consumer is named.`,
      remedy: "Give `parties.consumer` a team and a contact."
    }
  ]
}

const objectives = (design: Integration.Integration): ReadonlyArray<Finding> => {
  const missing = [
    ...(design.rto === undefined ? ["downtime (RTO)"] : []),
    ...(design.rpo === undefined ? ["data loss (RPO)"] : [])
  ]
  if (missing.length === 0) return []
  return [
    {
      id: "no-objectives/integration",
      severity: "note",
      section: section.overview,
      subject: design.name,
      message: `The integration is of ${design.criticality} criticality, and it is not said how much ${missing.join(" and ")} is acceptable.`,
      remedy: "Agree on `rto` and `rpo`: what depends on them is not checked without."
    }
  ]
}

const deadLetters = (design: Integration.Integration): ReadonlyArray<Finding> =>
  design.channels.flatMap(({ channel }): ReadonlyArray<Finding> =>
    channel.unknownEvents === "dead-letter"
      ? []
      : [
          {
            id: `events-ignored/${channel.name}`,
            severity: "warning",
            section: section.topics,
            subject: channel.name,
            message:
              `Events of a type that no one knows are dropped without a trace, in an integration of ${design.criticality} ` +
              `criticality.`,
            remedy: "Put them with the dead letters (`unknownEvents`)."
          }
        ]
  )

interface Needed {
  readonly condition: Integration.Condition
  /** Why somebody must be told. */
  readonly because: string
  /** Whether the integration stands still, or loses something, until somebody acts. */
  readonly urgent: boolean
}

const conditionsOf = (design: Integration.Integration): ReadonlyArray<Needed> => {
  const contracts = contractsOf(design)
  const { latencyP99, outboxAge } = design.monitoring ?? {}
  const notices = new Set(contracts.flatMap((contract) => rowsOf(contract).map(({ action }) => action.notify)))
  const needed = (given: boolean, condition: Integration.Condition, because: string, urgent: boolean) =>
    given ? [{ condition, because, urgent }] : []
  return [
    ...needed(
      contracts.some(({ options }) => options.breaker !== undefined),
      "circuit open",
      "a circuit can open",
      true
    ),
    ...needed(design.consumers.length > 0, "dead letters", "events can fail for good", true),
    ...needed(design.sagas.length > 0, "saga stuck", "a saga can get stuck", true),
    ...needed(outboxAge !== undefined, "outbox age", "events can be left in the outbox", true),
    ...needed(design.probes.length > 0, "probe failed", "a synthetic probe can fail", true),
    ...needed(contracts.length > 0 && latencyP99 !== undefined, "latency", "calls can be slow", false),
    ...needed(contracts.length > 0, "error rate", "calls can fail", false),
    ...needed(design.consumers.length > 0, "consumer lag", "consumers can fall behind", false),
    ...needed(notices.has("alert"), "engineering", "rows of the error table alert engineering", false),
    ...needed(notices.has("escalate"), "escalation", "rows of the error table escalate", false)
  ]
}

const alerting = (
  design: Integration.Integration,
  { because, condition, urgent }: Needed,
  severity: "error" | "warning"
): ReadonlyArray<Finding> => {
  const routes = design.alerts.filter((route) => route.condition === condition)
  const at = { section: section.alerts, subject: condition }
  const slug = condition.replaceAll(" ", "-")
  if (routes.length === 0) {
    return [
      {
        id: `no-alert/${slug}`,
        severity: urgent ? severity : "warning",
        ...at,
        message: `${because[0]!.toUpperCase()}${because.slice(1)}, and nobody is told.`,
        remedy: `Give \`alerts\` a route for "${condition}".`
      }
    ]
  }
  if (!urgent || routes.some((route) => route.runbook !== undefined)) return []
  return [
    {
      id: `no-runbook/${slug}`,
      severity: "warning",
      ...at,
      message: `${because[0]!.toUpperCase()}${because.slice(1)}, and whoever is woken has no runbook.`,
      remedy: `Give the route for "${condition}" a runbook.`
    }
  ]
}

/** Routes of conditions that no rule has: whoever reads them believes to be told. */
const unused = (design: Integration.Integration): ReadonlyArray<Finding> => {
  const firing = new Set(Rule.of(design).map(({ condition }) => condition))
  const conditions = new Set(design.alerts.map(({ condition }) => condition))
  return [...conditions].flatMap((condition): ReadonlyArray<Finding> =>
    firing.has(condition)
      ? []
      : [
          {
            id: `alert-never-fires/${condition.replaceAll(" ", "-")}`,
            severity: "warning",
            section: section.alerts,
            subject: condition,
            message: `There is a route for "${condition}", and no rule of the design that can fire: nobody is ever told.`,
            remedy: remedies[condition] ?? "Remove the route, or add what it is about to the design."
          }
        ]
  )
}

/** What makes a rule fire that has no limit of its own. */
const remedies: { readonly [K in Integration.Condition]?: string } = {
  "error rate": "Give `monitoring.errorRate` a limit.",
  latency: "Give `monitoring.latencyP99` a limit.",
  "consumer lag": "Give `monitoring.lag` a number of messages or an age.",
  "outbox age": "Give `monitoring.outboxAge` a limit.",
  "probe failed": "Name the synthetic probes in `probes`."
}

const rareProbes = (design: Integration.Integration): ReadonlyArray<Finding> => {
  const { rto } = design
  if (rto === undefined) return []
  return design.probes.flatMap(({ every, name }): ReadonlyArray<Finding> =>
    toMillis(every) < Duration.toMillis(rto)
      ? []
      : [
          {
            id: `rto-below-probe/${name}`,
            severity: "warning",
            section: section.environments,
            subject: name,
            message:
              `A downtime of ${span(Duration.toMillis(rto))} is acceptable (RTO), but the probe runs every ` +
              `${span(toMillis(every))}: the downtime may be over before it is noticed.`,
            remedy: `Probe more often than every ${span(Duration.toMillis(rto))}.`
          }
        ]
  )
}
