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
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Channel from "./event/Channel.ts"
import type * as Consumer from "./event/Consumer.ts"
import type * as HttpContract from "./http/HttpContract.ts"
import * as Check from "./internal/option.ts"
import type * as Saga from "./saga/Saga.ts"
import * as Telemetry from "./Telemetry.ts"

/** @category models @since 0.1.0 */
export const statuses = ["Draft", "In Review", "Approved"] as const
/** @category models @since 0.1.0 */
export const kinds = ["synchronous", "asynchronous", "bidirectional", "file"] as const
/** @category models @since 0.1.0 */
export const criticalities = ["critical", "high", "medium", "low"] as const
/** @category models @since 0.1.0 */
export const severities = ["critical", "high", "medium", "low"] as const
/** @category models @since 0.1.0 */
export const consistencies = ["strong", "eventual", "causal"] as const
/** @category models @since 0.1.0 */
export const durabilities = ["memory", "disk", "replicated"] as const
/** What can raise an alert. @category models @since 0.1.0 */
export const conditions = [
  "circuit open",
  "dead letters",
  "error rate",
  "latency",
  "consumer lag",
  "saga stuck",
  "outbox age",
  "probe failed",
  "engineering",
  "escalation"
] as const

/** How urgent an alert is. @category models @since 0.1.0 */
export type Severity = (typeof severities)[number]

/** @category models @since 0.1.0 */
export type Condition = (typeof conditions)[number]

/**
 * One side of the integration.
 *
 * @category models
 * @since 0.1.0
 */
export interface Party {
  readonly system: string
  readonly team?: string
  readonly contact?: string
  /** The service of the system that takes part. Default: the system. */
  readonly service?: string
}

/**
 * A contract, and what its two teams have agreed about it beside the code.
 *
 * @category models
 * @since 0.1.0
 */
export interface Contract {
  readonly contract: HttpContract.Any
  /** Default: from the consumer to the provider. */
  readonly direction?: { readonly from: string; readonly to: string }
  /** How credentials are changed, and how that is coordinated. */
  readonly rotation?: { readonly every: Duration.Input; readonly process: string }
  /** Shown where the contract's own are read from the configuration. */
  readonly baseUrl?: string
  readonly tokenEndpoint?: string
  /** Names of the consumers and sagas of this design that call it. Default: all of them. */
  readonly callers?: ReadonlyArray<string>
  /** How long whoever asks the consumer for something waits for the answer that needs this call. */
  readonly callerBudget?: Duration.Input
  /** How long the provider remembers an idempotency key. */
  readonly keyRetention?: Duration.Input
}

/**
 * A gRPC service that takes part (section 3.2), as its proto file says it. It is agreed upon, and called by code of your
 * own.
 *
 * @category models
 * @since 0.1.0
 */
export interface GrpcService {
  /** Of the integration, as a contract has one. */
  readonly name: string
  /** The service of the proto file. */
  readonly service: string
  /** Default: from the consumer to the provider. */
  readonly direction?: { readonly from: string; readonly to: string }
  readonly methods: ReadonlyArray<{
    readonly name: string
    readonly request: string
    readonly response: string
    /** Whether the response is a stream. Default: one message. */
    readonly streams?: boolean
  }>
  /** The fields of each message, numbered from 1 in their order. */
  readonly messages: Readonly<Record<string, ReadonlyArray<{ readonly name: string; readonly type: string }>>>
}

/**
 * A channel, and who publishes on it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Topic {
  readonly channel: Channel.Any
  readonly producer?: string
  /** About its ordering. */
  readonly notes?: string
  /**
   * What its events outlast: `memory` the end of no broker, `disk` a restart of the broker, `replicated` also the loss of
   * one of its machines. Default: `replicated`, as quorum queues are; not known of an existing queue.
   */
  readonly durability?: (typeof durabilities)[number]
  /** How old an event may be that is replayed. Default: as long as dead letters are kept. */
  readonly replayHorizon?: Duration.Input
  /** How many events are published at the busiest time. */
  readonly eventsPerMinute?: number
  /** How many processes of each consumer share the work, at most. */
  readonly processes?: number
}

/**
 * How consistent some data is (section 5.1).
 *
 * @category models
 * @since 0.1.0
 */
export interface Consistency {
  readonly data: string
  readonly model: (typeof consistencies)[number]
  readonly acceptableLag?: Duration.Input
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Environment {
  readonly name: string
  readonly purpose: string
  readonly trigger: string
  /** Which part of the traces is kept, in percent. */
  readonly sampling?: number
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Scenario {
  readonly name: string
  readonly expected: string
}

/**
 * When people are told (section 7.1).
 *
 * @category models
 * @since 0.1.0
 */
export interface Monitoring {
  /** Default duration: 5 minutes; severity high. */
  readonly errorRate?: { readonly percent: number; readonly for?: Duration.Input; readonly severity?: Severity }
  /** Default duration: 5 minutes; severity medium. */
  readonly latencyP99?: { readonly limit: Duration.Input; readonly for?: Duration.Input; readonly severity?: Severity }
  /** Of messages that wait, and of the age of the oldest, in a group of consumers. Severity: high. */
  readonly lag?: { readonly messages?: number; readonly age?: Duration.Input; readonly severity?: Severity }
  /** Default: critical. */
  readonly circuitOpen?: { readonly severity?: Severity }
  /** Default: high. */
  readonly deadLetters?: { readonly severity?: Severity }
  /** Of the oldest event that is stored in the outbox and not published. Severity: high. */
  readonly outboxAge?: { readonly limit: Duration.Input; readonly severity?: Severity }
  /** Default: high. */
  readonly sagaStuck?: { readonly severity?: Severity }
  /** Default: high. */
  readonly probeFailed?: { readonly severity?: Severity }
  /** Where the metrics are looked at. */
  readonly dashboard?: string
}

/**
 * A synthetic probe that runs in production (section 6.2), as `SyntheticProbe` of `effect-integration/monitoring` makes
 * them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Probe {
  readonly name: string
  readonly every: Duration.Input
}

/**
 * Who is told of what (section 7.3).
 *
 * @category models
 * @since 0.1.0
 */
export interface Route {
  readonly condition: Condition
  /** For example `PagerDuty payments` or `Slack #payments`. */
  readonly channels: ReadonlyArray<string>
  /** For example `on-call engineer`. */
  readonly escalation?: string
  readonly investigateWithin?: Duration.Input
  /** What to do, for whoever is woken. */
  readonly runbook?: string
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Approval {
  readonly role: string
  readonly name?: string
  readonly date?: string
  readonly signature?: string
}

/**
 * A finding that the team knows and accepts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Acknowledged {
  /** The finding's id, as the findings print it. */
  readonly finding: string
  readonly reason: string
}

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

const where = "Integration.make"

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

const operations = (path: string, topic: Topic): void => {
  texts(path, topic, ["producer", "notes"])
  const { durability, eventsPerMinute, processes, replayHorizon } = topic
  if (durability !== undefined) Check.word(where, `${path}durability`, durability, durabilities)
  if (replayHorizon !== undefined) Check.millisOrZero(where, `${path}replayHorizon`, replayHorizon)
  if (eventsPerMinute !== undefined) Check.number(where, `${path}eventsPerMinute`, eventsPerMinute, { min: 0 })
  if (processes !== undefined) Check.number(where, `${path}processes`, processes, { min: 1, integer: true })
}

const duration = (option: string, given: Duration.Input | undefined): Duration.Duration | undefined =>
  given === undefined ? undefined : Duration.millis(Check.millisOrZero(where, option, given))

const text = (option: string, given: unknown): void => {
  if (typeof given !== "string" || given.trim() === "") Check.reject(where, option, given, "a text that is not empty")
}

/** Texts that may be left out, but not be empty. */
const texts = <const Name extends string>(
  path: string,
  given: { readonly [K in Name]?: unknown },
  names: ReadonlyArray<Name>
): void => {
  for (const name of names) if (given[name] !== undefined) text(`${path}${name}`, given[name])
}

const date = (option: string, given: string): void => {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(given) || Option.isNone(DateTime.make(`${given}T00:00:00Z`))) {
    Check.reject(where, option, given, "a date such as 2026-11-23")
  }
}

const unique = <A>(option: string, given: ReadonlyArray<A>, nameOf: (each: A) => string): void => {
  const seen = new Set<string>()
  for (const [at, each] of given.entries()) {
    const name = nameOf(each)
    if (seen.has(name)) Check.reject(where, `${option}[${at}]`, name, "a name of its own")
    seen.add(name)
  }
}

const grpc = (at: string, { direction, messages, methods, name, service }: GrpcService): void => {
  const identifier = (option: string, given: string, pattern = /^[A-Za-z]\w*$/) => {
    if (!pattern.test(given)) Check.reject(where, option, given, "a name of a proto file")
  }
  text(`${at}.name`, name)
  identifier(`${at}.service`, service)
  if (direction !== undefined) texts(`${at}.direction.`, direction, ["from", "to"])
  for (const [index, method] of methods.entries()) {
    identifier(`${at}.methods[${index}].name`, method.name)
    for (const part of ["request", "response"] as const) {
      const message = method[part]
      if (!Object.hasOwn(messages, message) && !message.includes(".")) {
        Check.reject(where, `${at}.methods[${index}].${part}`, message, "one of the messages, or one of a package")
      }
      identifier(`${at}.methods[${index}].${part}`, message, typeName)
    }
  }
  for (const [message, fields] of Object.entries(messages)) {
    identifier(`${at}.messages`, message)
    for (const [index, field] of fields.entries()) {
      identifier(`${at}.messages.${message}[${index}].name`, field.name)
      identifier(`${at}.messages.${message}[${index}].type`, field.type, fieldType)
    }
  }
}
const typeName = /^[A-Za-z]\w*(\.[A-Za-z]\w*)*$/
const fieldType = /^((repeated|optional) )?(map<\w+, ?[\w.]+>|[A-Za-z]\w*(\.[A-Za-z]\w*)*)$/

const monitoring = (given: Monitoring): void => {
  const { circuitOpen, deadLetters, errorRate, lag, latencyP99, outboxAge, probeFailed, sagaStuck } = given
  const at = "monitoring"
  if (outboxAge !== undefined) Check.millis(where, `${at}.outboxAge.limit`, outboxAge.limit)
  if (errorRate !== undefined) {
    Check.number(where, `${at}.errorRate.percent`, errorRate.percent, { min: 0, max: 100 })
    if (errorRate.for !== undefined) Check.millis(where, `${at}.errorRate.for`, errorRate.for)
  }
  if (latencyP99 !== undefined) {
    Check.millis(where, `${at}.latencyP99.limit`, latencyP99.limit)
    if (latencyP99.for !== undefined) Check.millis(where, `${at}.latencyP99.for`, latencyP99.for)
  }
  if (lag?.messages !== undefined) {
    Check.number(where, `${at}.lag.messages`, lag.messages, { min: 0, integer: true })
  }
  if (lag?.age !== undefined) Check.millis(where, `${at}.lag.age`, lag.age)
  const rules = { errorRate, latencyP99, lag, circuitOpen, deadLetters, outboxAge, probeFailed, sagaStuck }
  for (const [name, rule] of Object.entries(rules)) {
    if (rule?.severity !== undefined) Check.word(where, `${at}.${name}.severity`, rule.severity, severities)
  }
}
