import type * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type * as Integration from "../../../Integration.ts"
import { millisOf } from "./times.ts"

/** What people have written down beside the values that run. Fields of the design keep their names. */
export const Overview = Schema.Record(Schema.String, Schema.Json)

/** What has a part of the snapshot of its own. A new field of the design must be in one of the two. */
type Elsewhere = "name" | "contracts" | "grpc" | "channels" | "consumers" | "sagas"

export const overviewOf = (design: Integration.Integration): typeof Overview.Type => {
  const { acknowledged, alerts, approvals, environments, history, monitoring, reviewers, scenarios } = design
  const fields: { readonly [K in Exclude<keyof Integration.Integration, Elsewhere>]: unknown } = {
    project: design.project,
    version: design.version,
    date: design.date,
    author: design.author,
    status: design.status,
    reviewers,
    history,
    kind: design.kind,
    purpose: design.purpose,
    criticality: design.criticality,
    impactIfDown: design.impactIfDown,
    rto: design.rto,
    rpo: design.rpo,
    parties: design.parties ?? {},
    topology: design.topology ?? {},
    consistency: Object.fromEntries(design.consistency.map(({ data, ...each }) => [data, each])),
    pactBroker: design.pactBroker,
    environments: Object.fromEntries(environments.map(({ name, ...each }) => [name, each])),
    scenarios,
    monitoring: monitoring ?? {},
    probes: Object.fromEntries(design.probes.map(({ every, name }) => [name, { every }])),
    tracing: design.tracing ?? {},
    alerts: Object.fromEntries(
      [...new Set(alerts.map(({ condition }) => condition))].map((condition) => [
        condition,
        alerts.filter((route) => route.condition === condition).map(({ condition: _, ...route }) => route)
      ])
    ),
    approvals,
    acknowledged: Object.fromEntries(acknowledged.map(({ finding, reason }) => [finding, reason]))
  }
  return json(fields) as typeof Overview.Type
}

/** Fields of the design that are times: the only ones that are not plain already. */
const times = new Set(["rto", "rpo", "acceptableLag", "every", "for", "limit", "age", "investigateWithin"])

const json = (value: unknown): Schema.Json => {
  if (Array.isArray(value)) return value.map(json)
  if (typeof value !== "object" || value === null) return value as Schema.Json
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .map(([key, each]) => (times.has(key) ? [`${key}Millis`, millisOf(each as Duration.Input)] : [key, json(each)]))
  )
}
