/**
 * What the page shows at one moment: the metrics of the catalogue, the alerts, and what each node of the topology does.
 */
import { Clock, DateTime, Effect, Ref } from "effect"
import { Consumers } from "effect-integration/event"
import { Alert, Alerts, Health } from "effect-integration/monitoring"
import { CircuitBreakers } from "effect-integration/policy"
import design from "../../orders-to-payments/design.ts"
import type { Outage } from "../outage.ts"
import * as Readings from "../readings.ts"

export type Level = "good" | "warn" | "bad" | "none"

export interface Figure {
  readonly name: string
  /** None: there is no value now. */
  readonly value: number | undefined
  readonly unit: string
  /** Whether its course is drawn. */
  readonly drawn?: boolean
}

/** A contract, a consumer or a saga. */
export interface Card {
  readonly name: string
  readonly kind: string
  readonly state: string
  readonly level: Level
  readonly figures: ReadonlyArray<Figure>
}

/** What is told beside a node whose label begins so. */
export interface Badge {
  readonly node: string
  readonly text: string
  readonly level: Level
}

const figure = (name: string, value: number | undefined, unit = "", drawn = false): Figure => ({
  name,
  value,
  unit,
  drawn
})

const circuits = { Closed: "closed", HalfOpen: "half-open", Open: "open", ForcedOpen: "forced open" } as const
const levels = { Closed: "good", HalfOpen: "warn", Open: "bad", ForcedOpen: "bad" } as const

const contract = Effect.fnUntraced(function* (name: string, readings: Readings.Readings) {
  const all = yield* CircuitBreakers.all
  const circuit = all.find((each) => each.name === name)
  const state = circuit === undefined ? "Closed" : (yield* circuit.state)._tag
  const card: Card = {
    name,
    kind: "contract",
    state: `circuit ${circuits[state]}`,
    level: levels[state],
    figures: [
      figure("requests", readings.of("requests", name) ?? 0),
      figure("error rate", readings.of("errorRate", name), "%", true),
      figure("p99", readings.of("latencyP99", name), "ms", true),
      figure("attempts", readings.of("attempts", name) ?? 0),
      figure("retries", readings.of("retries", name) ?? 0),
      figure("circuit openings", readings.of("circuitOpenings", name) ?? 0)
    ]
  }
  return card
})

const consumer = Effect.fnUntraced(function* (name: string, readings: Readings.Readings) {
  const status = (yield* Consumers.all).find((each) => each.name === name)
  const of = (outcome: string) => readings.of("deliveries", name, outcome)
  const card: Card = {
    name,
    kind: "consumer",
    state: status === undefined ? "not there" : status.state,
    level: status?.state === "running" ? "good" : "warn",
    figures: [
      figure("handled", (of("done") ?? 0) + (of("parked: done") ?? 0)),
      figure("lag", readings.of("lag", name), "", true),
      figure("oldest", readings.of("lagAge", name), "s", true),
      figure("dead letters", readings.of("deadLetters", name))
    ]
  }
  return card
})

/** `RolledBack` becomes `rolled back`. */
const worded = (outcome: string): string => outcome.replaceAll(/(?<=[a-z])[A-Z]/g, " $&").toLowerCase()

const saga = (name: string, readings: Readings.Readings): Card => {
  const stuck = readings.of("sagasStuck", name)
  return {
    name,
    kind: "saga",
    state: (stuck ?? 0) > 0 ? "stuck" : "running",
    level: (stuck ?? 0) > 0 ? "bad" : "good",
    figures: [
      ...readings.series("sagas", name).map(([outcome, count]) => figure(worded(outcome), count)),
      figure("stuck", stuck)
    ]
  }
}

const badges = (
  readings: Readings.Readings,
  cards: ReadonlyArray<Card>,
  firing: ReadonlyArray<Alert.Alert>,
  phase: string
): ReadonlyArray<Badge> => {
  const groups = design.channels.flatMap(({ channel }) => channel.consumers.map((group) => ({ channel, group })))
  const routes = Array.from(new Set(design.alerts.flatMap(({ channels }) => channels)))
  return [
    ...cards.flatMap((card): ReadonlyArray<Badge> => {
      if (card.kind !== "contract") return []
      const retries = `${readings.of("retries", card.name) ?? 0} retries`
      return [
        { node: `Circuit Breaker ${card.name}`, text: card.state.replace("circuit ", ""), level: card.level },
        { node: `Retry Handler ${card.name}`, text: retries, level: "none" }
      ]
    }),
    ...groups.flatMap(({ channel, group }): ReadonlyArray<Badge> => {
      const [lag, dead] = [readings.of("lag", group) ?? 0, readings.of("deadLetters", group) ?? 0]
      return [
        { node: `Message Queue ${channel.name}.${group}`, text: `lag ${lag}`, level: lag > 20 ? "warn" : "none" },
        { node: `Dead Letter Queue ${channel.name}.${group}`, text: `${dead} dead`, level: dead > 0 ? "bad" : "none" }
      ]
    }),
    ...routes.flatMap((route): ReadonlyArray<Badge> => {
      const told = firing.filter(({ routes }) => routes.some(({ channels }) => channels.includes(route))).length
      return told === 0 ? [] : [{ node: route, text: `${told} firing`, level: "bad" }]
    }),
    { node: design.parties?.provider?.service ?? "", text: phase, level: phase === "healthy" ? "good" : "warn" }
  ]
}

const numbers = (alert: Alert.Alert): string => {
  const known = new Map(Alert.details(alert))
  const value = known.get("Value")
  return value === undefined ? "" : `${value}, limit ${known.get("Limit") ?? ""}`
}

const shown = (alert: Alert.Alert) => ({
  id: `${alert.id} ${alert.incident}`,
  state: alert.state,
  severity: alert.severity,
  condition: alert.condition,
  subject: alert.subject,
  summary: alert.summary,
  numbers: numbers(alert),
  since: DateTime.formatIso(alert.since),
  count: alert.count,
  told: Array.from(new Set(alert.routes.flatMap(({ channels }) => channels))),
  runbook: alert.routes[0]?.runbook
})

/** The state, whenever it is asked for. */
export const make = Effect.fnUntraced(function* (options: {
  readonly outage: Outage
  readonly latest: Ref.Ref<ReadonlyArray<Alert.Alert>>
  readonly speed: number
}) {
  const start = yield* Clock.currentTimeMillis
  const alerts = yield* Alerts.Alerts
  const context = yield* Effect.context<Health.Health>()
  const state = Effect.gen(function* () {
    const readings = yield* Readings.read
    const phase = yield* options.outage.phase
    const firing = yield* alerts.firing
    const contracts = yield* Effect.forEach(design.contracts, (each) => contract(each.contract.key, readings))
    const consumers = yield* Effect.forEach(design.consumers, (each) => consumer(each.name, readings))
    const cards = [...contracts, ...consumers, ...design.sagas.map((each) => saga(each.name, readings))]
    const now = yield* Clock.currentTimeMillis
    return {
      seconds: (now - start) / 1000,
      speed: options.speed,
      health: (yield* Health.ready).status,
      phase: { name: phase.name, story: phase.story },
      cards,
      badges: badges(readings, cards, firing, phase.name),
      firing: firing.map(shown),
      latest: (yield* Ref.get(options.latest)).map(shown).toReversed()
    }
  })
  return { now: Effect.provideContext(state, context) }
})
