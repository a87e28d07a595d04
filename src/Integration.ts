/**
 * The design of an integration as one value: what a team writes down about it, beside the contracts, channels, consumers
 * and sagas that run. From it come the document, its findings, what has changed, and the alerts.
 *
 * **Details**
 *
 * - As small as a name and one contract, and as full as the template of the document. What is not given, the document
 *   says to be not given.
 * - Contracts, channels, consumers and sagas are the values that run, so what is printed about them is what they obey.
 * - A constant that makes no sense throws `InvalidOption` with the path of the field, for example
 *   `parties.consumer.contact`.
 *
 * **Example** (A small one)
 *
 * ```ts
 * import { Integration } from "effect-integration"
 * import type { HttpContract } from "effect-integration/http"
 *
 * declare const Payments: HttpContract.Any // a class made with HttpContract.Service
 *
 * export const design = Integration.make("orders-to-payments", {
 *   purpose: "Orders are charged when they are placed",
 *   criticality: "critical",
 *   rto: "1 hour",
 *   contracts: [Payments]
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import type * as Channel from "./event/Channel.ts"
import type * as Consumer from "./event/Consumer.ts"
import type * as HttpContract from "./http/HttpContract.ts"
import * as Check from "./internal/option.ts"
import type { Contract, GrpcService, Party, Topic } from "./integration/Agreement.ts"
import { date, grpc, monitoring, operations, text, texts, unique, where } from "./integration/checks.ts"
import { conditions, type Environment, type Monitoring, type Probe, type Route } from "./integration/Operation.ts"
import {
  type Acknowledged,
  type Approval,
  consistencies,
  type Consistency,
  type Scenario
} from "./integration/Paper.ts"
import type * as Saga from "./saga/Saga.ts"
import * as Telemetry from "./Telemetry.ts"

export * from "./integration/Agreement.ts"
export * from "./integration/Operation.ts"
export * from "./integration/Paper.ts"

/** @category models @since 0.1.0 */
export const statuses = ["Draft", "In Review", "Approved"] as const
/** @category models @since 0.1.0 */
export const kinds = ["synchronous", "asynchronous", "bidirectional", "file"] as const
/** @category models @since 0.1.0 */
export const criticalities = ["critical", "high", "medium", "low"] as const

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly project?: string
  readonly version?: string
  /** ISO 8601, for example `2026-11-23`. */
  readonly date?: string
  readonly author?: string
  /** Default: Draft. */
  readonly status?: (typeof statuses)[number]
  readonly reviewers?: ReadonlyArray<string>
  readonly history?: ReadonlyArray<{
    readonly version: string
    readonly date: string
    readonly author: string
    readonly changes: string
  }>
  /** Default: what the contracts and channels say. */
  readonly kind?: (typeof kinds)[number]
  readonly purpose?: string
  readonly criticality?: (typeof criticalities)[number]
  readonly impactIfDown?: string
  /** Acceptable downtime: the recovery time objective. */
  readonly rto?: Duration.Input
  /** Maximum data loss, as time: the recovery point objective. Zero means that nothing may be lost. */
  readonly rpo?: Duration.Input
  readonly parties?: { readonly consumer?: Party; readonly provider?: Party }
  /** What stands between and behind the services, for the topology. */
  readonly topology?: {
    readonly gateway?: string
    readonly providerDatabase?: string
    readonly worker?: string
  }
  readonly contracts?: ReadonlyArray<HttpContract.Any | Contract>
  readonly grpc?: ReadonlyArray<GrpcService>
  readonly channels?: ReadonlyArray<Channel.Any | Topic>
  readonly consumers?: ReadonlyArray<Consumer.Any>
  readonly sagas?: ReadonlyArray<Saga.Any>
  readonly consistency?: ReadonlyArray<Consistency>
  readonly pactBroker?: string
  readonly environments?: ReadonlyArray<Environment>
  readonly scenarios?: { readonly happy?: ReadonlyArray<Scenario>; readonly error?: ReadonlyArray<Scenario> }
  readonly monitoring?: Monitoring
  readonly probes?: ReadonlyArray<Probe>
  readonly tracing?: { readonly tool?: string; readonly dashboard?: string }
  readonly alerts?: ReadonlyArray<Route>
  readonly approvals?: ReadonlyArray<Approval>
  readonly acknowledged?: ReadonlyArray<Acknowledged>
}

/**
 * The design. Lists that were not given are empty, and channels that only a consumer names are among the channels.
 *
 * @category models
 * @since 0.1.0
 */
export interface Integration extends Omit<
  Options,
  | "status"
  | "reviewers"
  | "history"
  | "rto"
  | "rpo"
  | "contracts"
  | "grpc"
  | "channels"
  | "consumers"
  | "sagas"
  | "consistency"
  | "environments"
  | "scenarios"
  | "probes"
  | "alerts"
  | "approvals"
  | "acknowledged"
  | "kind"
> {
  readonly name: string
  readonly kind: (typeof kinds)[number]
  readonly status: (typeof statuses)[number]
  readonly reviewers: ReadonlyArray<string>
  readonly history: NonNullable<Options["history"]>
  readonly rto: Duration.Duration | undefined
  readonly rpo: Duration.Duration | undefined
  readonly contracts: ReadonlyArray<Contract>
  readonly grpc: ReadonlyArray<GrpcService>
  readonly channels: ReadonlyArray<Topic>
  readonly consumers: ReadonlyArray<Consumer.Any>
  readonly sagas: ReadonlyArray<Saga.Any>
  readonly consistency: ReadonlyArray<Consistency>
  readonly environments: ReadonlyArray<Environment>
  readonly scenarios: { readonly happy: ReadonlyArray<Scenario>; readonly error: ReadonlyArray<Scenario> }
  readonly probes: ReadonlyArray<Probe>
  readonly alerts: ReadonlyArray<Route>
  readonly approvals: ReadonlyArray<Approval>
  readonly acknowledged: ReadonlyArray<Acknowledged>
}

/**
 * A design, checked.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, options: Options): Integration => {
  if (Telemetry.legalName(Check.name(where, name)) === "") {
    Check.reject(where, "name", name, "a name with a letter or digit")
  }
  texts("", options, ["project", "version", "author", "purpose", "impactIfDown", "pactBroker"])
  if (options.date !== undefined) date("date", options.date)
  if (options.status !== undefined) Check.word(where, "status", options.status, statuses)
  if (options.kind !== undefined) Check.word(where, "kind", options.kind, kinds)
  if (options.criticality !== undefined) Check.word(where, "criticality", options.criticality, criticalities)
  for (const [at, reviewer] of (options.reviewers ?? []).entries()) text(`reviewers[${at}]`, reviewer)
  for (const [at, entry] of (options.history ?? []).entries()) {
    texts(`history[${at}].`, entry, ["version", "author", "changes"])
    date(`history[${at}].date`, entry.date)
  }
  for (const side of ["consumer", "provider"] as const) {
    const party = options.parties?.[side]
    if (party !== undefined) texts(`parties.${side}.`, party, ["system", "team", "contact", "service"])
  }
  texts("topology.", options.topology ?? {}, ["gateway", "providerDatabase", "worker"])

  const contracts = (options.contracts ?? []).map((each): Contract => (isContract(each) ? each : { contract: each }))
  for (const [at, { callerBudget, direction, keyRetention, rotation }] of contracts.entries()) {
    if (callerBudget !== undefined) Check.millis(where, `contracts[${at}].callerBudget`, callerBudget)
    if (keyRetention !== undefined) Check.millis(where, `contracts[${at}].keyRetention`, keyRetention)
    if (direction !== undefined) texts(`contracts[${at}].direction.`, direction, ["from", "to"])
    if (rotation === undefined) continue
    Check.millis(where, `contracts[${at}].rotation.every`, rotation.every)
    text(`contracts[${at}].rotation.process`, rotation.process)
  }
  unique("contracts", contracts, ({ contract }) => contract.key)
  for (const [at, service] of (options.grpc ?? []).entries()) grpc(`grpc[${at}]`, service)
  unique("grpc", options.grpc ?? [], (service) => service.name)
  const given = (options.channels ?? []).map((each): Topic => ("channel" in each ? each : { channel: each }))
  for (const [at, topic] of given.entries()) operations(`channels[${at}].`, topic)
  unique("channels", given, ({ channel }) => channel.name)
  const consumers = options.consumers ?? []
  unique("consumers", consumers, (consumer) => consumer.name)
  const known = new Set(given.map(({ channel }) => channel.name))
  const added = consumers.map(({ channel }) => channel).filter(({ name }) => !known.has(name) && known.add(name))
  const channels = [...given, ...added.map((channel): Topic => ({ channel }))]
  const sagas = options.sagas ?? []
  unique("sagas", sagas, (saga) => saga.name)
  const workers = new Set([...consumers, ...sagas].map((each) => each.name))
  for (const [at, { callers = [] }] of contracts.entries()) {
    const unknown = callers.find((caller) => !workers.has(caller))
    if (unknown !== undefined) {
      Check.reject(where, `contracts[${at}].callers`, unknown, "names of consumers and sagas of the design")
    }
  }

  for (const [at, each] of (options.consistency ?? []).entries()) {
    text(`consistency[${at}].data`, each.data)
    Check.word(where, `consistency[${at}].model`, each.model, consistencies)
    if (each.acceptableLag !== undefined) {
      Check.millisOrZero(where, `consistency[${at}].acceptableLag`, each.acceptableLag)
    }
  }
  for (const [at, each] of (options.environments ?? []).entries()) {
    texts(`environments[${at}].`, each, ["name", "purpose", "trigger"])
    if (each.sampling !== undefined) {
      Check.number(where, `environments[${at}].sampling`, each.sampling, { min: 0, max: 100 })
    }
  }
  unique("environments", options.environments ?? [], (environment) => environment.name)
  for (const list of ["happy", "error"] as const) {
    for (const [at, each] of (options.scenarios?.[list] ?? []).entries()) {
      texts(`scenarios.${list}[${at}].`, each, ["name", "expected"])
    }
  }
  monitoring(options.monitoring ?? {})
  for (const [at, probe] of (options.probes ?? []).entries()) {
    if (Telemetry.legalName(Check.name(where, probe.name)) === "") {
      Check.reject(where, `probes[${at}].name`, probe.name, "a name with a letter or digit")
    }
    Check.millis(where, `probes[${at}].every`, probe.every)
  }
  unique("probes", options.probes ?? [], (probe) => Telemetry.legalName(probe.name))
  texts("tracing.", options.tracing ?? {}, ["tool", "dashboard"])
  for (const [at, route] of (options.alerts ?? []).entries()) {
    Check.word(where, `alerts[${at}].condition`, route.condition, conditions)
    if (route.channels.length === 0) Check.reject(where, `alerts[${at}].channels`, [], "at least one channel")
    for (const [index, channel] of route.channels.entries()) text(`alerts[${at}].channels[${index}]`, channel)
    texts(`alerts[${at}].`, route, ["escalation", "runbook"])
    if (route.investigateWithin !== undefined) {
      Check.millis(where, `alerts[${at}].investigateWithin`, route.investigateWithin)
    }
  }
  for (const [at, approval] of (options.approvals ?? []).entries()) {
    texts(`approvals[${at}].`, approval, ["role", "name", "signature"])
    if (approval.date !== undefined) date(`approvals[${at}].date`, approval.date)
  }
  for (const [at, each] of (options.acknowledged ?? []).entries()) {
    texts(`acknowledged[${at}].`, each, ["finding", "reason"])
  }

  const calls = contracts.length > 0
  const events = channels.length > 0
  const design: Integration = {
    ...options,
    name,
    kind: options.kind ?? (calls && events ? "bidirectional" : events ? "asynchronous" : "synchronous"),
    status: options.status ?? "Draft",
    reviewers: options.reviewers ?? [],
    history: options.history ?? [],
    rto: duration("rto", options.rto),
    rpo: duration("rpo", options.rpo),
    contracts,
    grpc: options.grpc ?? [],
    channels,
    consumers,
    sagas,
    consistency: options.consistency ?? [],
    environments: options.environments ?? [],
    scenarios: { happy: options.scenarios?.happy ?? [], error: options.scenarios?.error ?? [] },
    probes: options.probes ?? [],
    alerts: options.alerts ?? [],
    approvals: options.approvals ?? [],
    acknowledged: options.acknowledged ?? []
  }
  // Known to `isIntegration`, and not printed.
  return Object.defineProperty(design, TypeId, { value: TypeId, enumerable: false })
}

/** Whether a value is a design. @category guards @since 0.1.0 */
export const isIntegration = (u: unknown): u is Integration => Predicate.hasProperty(u, TypeId)

const TypeId = "~effect-integration/Integration"

const isContract = (each: HttpContract.Any | Contract): each is Contract =>
  typeof each === "object" && "contract" in each && "key" in each.contract

const duration = (option: string, given: Duration.Input | undefined): Duration.Duration | undefined =>
  given === undefined ? undefined : Duration.millis(Check.millisOrZero(where, option, given))
