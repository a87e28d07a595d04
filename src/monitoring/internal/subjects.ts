import type * as Integration from "../../Integration.ts"
import * as Telemetry from "../../Telemetry.ts"

/** Something of a design that has metrics, and those that it has. */
export interface Subject {
  readonly kind: Exclude<Telemetry.Subject, "any">
  readonly name: string
  readonly metrics: ReadonlyArray<Telemetry.MetricName>
}

/** In the order of the document. */
export const of = (design: Integration.Integration): ReadonlyArray<Subject> => [
  ...design.contracts.map(({ contract: { contract, key } }) =>
    subject("contract", key, [
      ...(contract.breaker === undefined ? (["circuitOpen", "circuitOpenings"] as const) : []),
      ...(contract.rateLimit === undefined ? (["rateLimitWait"] as const) : []),
      ...(contract.authentication?.kind === "clientCredentials" ? [] : (["tokenRefreshes"] as const))
    ])
  ),
  ...design.channels.map(({ channel }) => subject("channel", channel.name)),
  ...design.consumers.map(({ name }) => subject("consumer", name)),
  ...design.sagas.map(({ name }) => subject("saga", name)),
  ...design.probes.map(({ name }) => subject("probe", name)),
  subject("design", design.name)
]

const names = Object.keys(Telemetry.catalogue) as ReadonlyArray<Telemetry.MetricName>

const notifying: ReadonlySet<Subject["kind"]> = new Set(["contract", "consumer", "saga"])

const subject = (kind: Subject["kind"], name: string, without: ReadonlyArray<Telemetry.MetricName> = []): Subject => ({
  kind,
  name,
  metrics: names.filter((metric) => {
    const { of } = Telemetry.catalogue[metric]
    return (of === kind || (of === "any" && notifying.has(kind))) && !without.includes(metric)
  })
})
