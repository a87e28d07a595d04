/** For each field that is printed, the flagship with another value of it. */
import { Config, Duration, Effect, Redacted, Schema } from "effect"
import { options } from "../../examples/orders-to-payments/design.ts"
import { Billing, OrderPlaced, Orders, Settlements } from "../../examples/orders-to-payments/orders.ts"
import { type Channel, Codec, Consumer, type EventType } from "../../src/event/index.ts"
import { Authentication, type HttpPolicy, StatusTable } from "../../src/http/index.ts"
import type { Integration } from "../../src/index.ts"
import { ErrorAction, RetryPolicy } from "../../src/policy/index.ts"
import { Saga } from "../../src/saga/index.ts"
import * as Variants from "./variants.ts"

type Over = Partial<Integration.Options>

const { consumer, provider } = options.parties!
const party = (over: Partial<Integration.Party>): Over => ({
  parties: { consumer: { ...consumer!, ...over }, provider: provider! }
})
const agreed = (over: Partial<Integration.Contract>): Over => ({
  contracts: [{ ...Variants.agreed!, ...over }, ...Variants.otherContracts]
})
const first = <A>(list: ReadonlyArray<A>, over: Partial<A>): ReadonlyArray<A> => [
  { ...list[0]!, ...over },
  ...list.slice(1)
]
const topic = (over: Partial<Integration.Topic>): Over => ({ channels: first(Variants.topics, over) })
const [service] = options.grpc!
const grpc = (over: Partial<Integration.GrpcService>): Over => ({ grpc: [{ ...service!, ...over }] })
const method = (over: Partial<Integration.GrpcService["methods"][number]>) =>
  grpc({ methods: first(service!.methods, over) })
const message = (over: { readonly name?: string; readonly type?: string }) =>
  grpc({ messages: { ...service!.messages, ReserveRequest: first(service!.messages["ReserveRequest"]!, over) } })
const monitoring = (over: Integration.Monitoring): Over => ({ monitoring: { ...options.monitoring, ...over } })
const { errorRate, lag, latencyP99, outboxAge } = options.monitoring!
const severity = "low" as const

const contract = (over: Parameters<typeof Variants.contractWith>[0]): Over =>
  Variants.withContract(Variants.contractWith(over))
const { breaker, bulkhead, rateLimit, timeouts } = Variants.policies
const withBreaker = (over: Partial<NonNullable<HttpPolicy.Any["breaker"]>>) =>
  contract({ breaker: { ...breaker!, ...over } })
const withRow = (over: {
  readonly error?: StatusTable.ErrorClass
  readonly code?: string
  readonly action?: ErrorAction.ErrorAction
  readonly outcome?: ErrorAction.Outcome
  readonly retryAfter?: boolean
}) => {
  const { action, code, error, ...rest } = { ...StatusTable.standard.rows[408], ...over }
  const changed = StatusTable.row(error as StatusTable.ErrorClass, code, action, {
    outcome: rest.outcome,
    retryAfter: rest.retryAfter
  })
  return contract({
    // Without idempotency, the outcome of a row decides what may be made again.
    idempotent: over.outcome === undefined,
    errors: StatusTable.override(StatusTable.standard, { 408: changed })
  })
}
class Odd extends StatusTable.Error<Odd>()("Odd") {}
const credentials = (over: Partial<Authentication.ClientCredentialsOptions>) =>
  contract({
    authentication: Authentication.clientCredentials({
      tokenUrl: Config.URL("TOKEN_URL"),
      id: Config.String("CLIENT_ID"),
      secret: Config.Redacted("CLIENT_SECRET"),
      scope: ["charges:write", "refunds:write"],
      ...over
    })
  })

const channel = (over: Partial<Channel.Any>): Over => {
  const made: Channel.Any = { ...Orders, ...over }
  return {
    channels: first(Variants.topics, { channel: made }),
    consumers: [{ ...Billing, channel: made }, options.consumers![1]!]
  }
}
const event = (over: Partial<EventType.Any>) => channel({ events: [{ ...OrderPlaced, ...over } as EventType.Any] })
const minute = Duration.minutes(1)

const group = (over: Consumer.Options & { readonly dedup?: Consumer.Dedup }): Over =>
  Variants.withConsumer(
    Consumer.make("billing", Orders, {
      handlers: { "com.acme.order.placed": () => Effect.void },
      retry: Billing.options.retry!,
      dedup: { window: "60 days" },
      ...over
    })
  )

interface Parts {
  readonly step?: object
  readonly name?: string
  readonly wait?: object
  readonly waitName?: string
  readonly pause?: Duration.Input
  readonly pauseName?: string
  readonly parallel?: boolean
}
const run = () => Effect.void
const undo = { compensate: () => Effect.void }
const ladder = RetryPolicy.make({ delays: ["1 second", "1 minute"] })

/** A saga with everything that sagas have. */
const saga = (over: Parts): Over => {
  const { name = "reserve", parallel = true, pause = "1 hour", pauseName = "cool off", waitName = "paid" } = over
  const begun: any = Saga.make("place-order", {
    payload: Schema.Struct({ id: Schema.String }),
    idempotencyKey: ({ id }) => id
  })
  const step = {
    run,
    retry: ladder,
    timeout: "5 seconds",
    service: "Stock",
    description: "reserve it",
    ...("irreversible" in (over.step ?? {}) ? {} : { ...undo, compensation: "release it", compensationRetry: ladder }),
    ...over.step
  }
  const stepped = begun.step(name, step)
  const both = parallel
    ? stepped.parallel((group: any) => group.step("a", { run, ...undo }).step("b", { run, ...undo }))
    : stepped.step("a", { run, ...undo }).step("b", { run, ...undo })
  return Variants.withSaga(
    both
      .waitFor(waitName, { success: Schema.Void, deadline: "3 days", service: "Bank", ...over.wait })
      .delay(pauseName, pause)
  )
}

export interface Change {
  readonly field: string
  readonly over: Over
  /** What it is compared with. Default: the flagship. */
  readonly from?: Over
}

const of = (field: string, over: Over, from?: Over): Change => ({
  field,
  over,
  ...(from === undefined ? {} : { from })
})
const ofSaga = (field: string, over: Parts) => of(field, saga(over), saga({}))
const plain = contract({ errors: StatusTable.standard })

export const changes: ReadonlyArray<Change> = [
  of("options.project", { project: "Other" }),
  of("options.version", { version: "9" }),
  of("options.date", { date: "2030-01-01" }),
  of("options.author", { author: "Other" }),
  of("options.status", { status: "Approved" }),
  of("options.reviewers", { reviewers: ["Other"] }),
  of("options.history.version", { history: first(options.history!, { version: "9" }) }),
  of("options.history.date", { history: first(options.history!, { date: "2030-01-01" }) }),
  of("options.history.author", { history: first(options.history!, { author: "Other" }) }),
  of("options.history.changes", { history: first(options.history!, { changes: "Other" }) }),
  of("options.kind", { kind: "file" }),
  of("options.purpose", { purpose: "Other" }),
  of("options.criticality", { criticality: "low" }),
  of("options.impactIfDown", { impactIfDown: "Other" }),
  of("options.rto", { rto: "2 hours" }),
  of("options.rpo", { rpo: "2 hours" }),
  of("options.topology.gateway", { topology: { ...options.topology, gateway: "Other" } }),
  of("options.topology.providerDatabase", { topology: { ...options.topology, providerDatabase: "Other" } }),
  of("options.topology.worker", { topology: { ...options.topology, worker: "Other" } }),
  of("options.pactBroker", { pactBroker: "https://other.example" }),
  of("options.tracing.tool", { tracing: { ...options.tracing, tool: "Other" } }),
  of("options.tracing.dashboard", { tracing: { ...options.tracing, dashboard: "Other" } }),

  of("party.system", party({ system: "Other" })),
  of("party.team", party({ team: "Other" })),
  of("party.contact", party({ contact: "Other" })),
  of("party.service", party({ service: "Other" })),

  of("agreed.direction.from", agreed({ direction: { from: "Other", to: "Payments" } })),
  of("agreed.direction.to", agreed({ direction: { from: "Shop", to: "Other" } })),
  of("agreed.rotation.every", agreed({ rotation: { ...Variants.agreed!.rotation!, every: "1 day" } })),
  of("agreed.rotation.process", agreed({ rotation: { ...Variants.agreed!.rotation!, process: "Other" } })),
  of("agreed.baseUrl", agreed({ baseUrl: "https://other.example" })),
  of("agreed.tokenEndpoint", agreed({ tokenEndpoint: "https://other.example" })),
  of("agreed.callers", agreed({ callers: ["billing"] })),
  of("agreed.callerBudget", agreed({ callerBudget: "1 day" })),
  of("agreed.keyRetention", agreed({ keyRetention: "1 day" })),

  of("grpc.name", grpc({ name: "other" })),
  of("grpc.service", grpc({ service: "Other" })),
  of("grpc.direction.from", grpc({ direction: { from: "Other", to: "Stock" } })),
  of("grpc.direction.to", grpc({ direction: { from: "Shop", to: "Other" } })),
  of("grpc.methods.name", method({ name: "Other" })),
  of("grpc.methods.request", method({ request: "Reservation" })),
  of("grpc.methods.response", method({ response: "ReserveRequest" })),
  of("grpc.methods.streams", method({ streams: true })),
  of("grpc.messages.name", message({ name: "other" })),
  of("grpc.messages.type", message({ type: "bytes" })),

  of("topic.producer", topic({ producer: "Other" })),
  of("topic.notes", topic({ notes: "Other" })),
  of("topic.durability", topic({ durability: "disk" })),
  of("topic.replayHorizon", topic({ replayHorizon: "1 day" })),
  of("topic.eventsPerMinute", topic({ eventsPerMinute: 1 })),
  of("topic.processes", topic({ processes: 1 })),

  of("consistency.data", { consistency: first(options.consistency!, { data: "Other" }) }),
  of("consistency.model", { consistency: first(options.consistency!, { model: "strong" }) }),
  of("consistency.acceptableLag", { consistency: first(options.consistency!, { acceptableLag: "1 day" }) }),

  of("environment.name", { environments: first(options.environments!, { name: "Other" }) }),
  of("environment.purpose", { environments: first(options.environments!, { purpose: "Other" }) }),
  of("environment.trigger", { environments: first(options.environments!, { trigger: "Other" }) }),
  of("environment.sampling", { environments: first(options.environments!, { sampling: 1 }) }),

  of("scenario.name", {
    scenarios: { ...options.scenarios, happy: first(options.scenarios!.happy!, { name: "Other" }) }
  }),
  of("scenario.expected", {
    scenarios: { ...options.scenarios, error: first(options.scenarios!.error!, { expected: "Other" }) }
  }),

  of("monitoring.errorRate.percent", monitoring({ errorRate: { ...errorRate!, percent: 7 } })),
  of("monitoring.errorRate.for", monitoring({ errorRate: { ...errorRate!, for: "7 minutes" } })),
  of("monitoring.errorRate.severity", monitoring({ errorRate: { ...errorRate!, severity } })),
  of("monitoring.latencyP99.limit", monitoring({ latencyP99: { ...latencyP99!, limit: "7 seconds" } })),
  of("monitoring.latencyP99.for", monitoring({ latencyP99: { ...latencyP99!, for: "7 minutes" } })),
  of("monitoring.latencyP99.severity", monitoring({ latencyP99: { ...latencyP99!, severity } })),
  of("monitoring.lag.messages", monitoring({ lag: { ...lag!, messages: 7 } })),
  of("monitoring.lag.age", monitoring({ lag: { ...lag!, age: "7 minutes" } })),
  of("monitoring.lag.severity", monitoring({ lag: { ...lag!, severity } })),
  of("monitoring.circuitOpen.severity", monitoring({ circuitOpen: { severity } })),
  of("monitoring.deadLetters.severity", monitoring({ deadLetters: { severity } })),
  of("monitoring.outboxAge.limit", monitoring({ outboxAge: { ...outboxAge!, limit: "7 minutes" } })),
  of("monitoring.outboxAge.severity", monitoring({ outboxAge: { ...outboxAge!, severity } })),
  of("monitoring.sagaStuck.severity", monitoring({ sagaStuck: { severity } })),
  of("monitoring.probeFailed.severity", monitoring({ probeFailed: { severity } })),
  of("monitoring.dashboard", monitoring({ dashboard: "Other" })),

  of("probe.name", { probes: first(options.probes!, { name: "other" }) }),
  of("probe.every", { probes: first(options.probes!, { every: "7 minutes" }) }),

  of("route.condition", { alerts: options.alerts!.filter(({ condition }) => condition !== "dead letters") }),
  of("route.channels", { alerts: first(options.alerts!, { channels: ["Other"] }) }),
  of("route.escalation", { alerts: first(options.alerts!, { escalation: "Other" }) }),
  of("route.investigateWithin", { alerts: first(options.alerts!, { investigateWithin: "7 minutes" }) }),
  of("route.runbook", { alerts: first(options.alerts!, { runbook: "Other" }) }),

  of("approval.role", { approvals: first(options.approvals!, { role: "Other" }) }),
  of("approval.name", { approvals: first(options.approvals!, { name: "Other" }) }),
  of("approval.date", { approvals: first(options.approvals!, { date: "2030-01-01" }) }),
  of("approval.signature", { approvals: first(options.approvals!, { signature: "Other" }) }),

  of("acknowledged.finding", { acknowledged: first(options.acknowledged!, { finding: "rto" }) }),
  of("acknowledged.reason", { acknowledged: first(options.acknowledged!, { reason: "Other" }) }),

  of(
    "contract.baseUrl",
    Variants.withContract(Variants.contractWith({ baseUrl: "https://other.example" }), { baseUrl: undefined as never })
  ),
  of(
    "contract.authentication",
    contract({ authentication: Authentication.apiKey({ key: [Redacted.make("a"), Redacted.make("b")] }) })
  ),
  of("contract.idempotent.headers", contract({ idempotent: { headers: ["X-Key"] } })),
  of("contract.circuitKey", contract({ circuitKey: () => "tenant" })),
  of("contract.sourceSystem", contract({ sourceSystem: "other" })),
  of("contract.personalData", contract({ personalData: ["iban"] })),

  of("row.error", withRow({ error: Odd }), plain),
  of("row.code", withRow({ code: "OTHER" }), plain),
  of("row.action", withRow({ action: ErrorAction.fail }), plain),
  of("row.outcome", withRow({ outcome: "unprocessed" }), withRow({ outcome: "unknown" })),
  of("row.retryAfter", withRow({ retryAfter: false }), plain),

  of("credentials.scope", credentials({ scope: ["other"] })),
  of("credentials.audience", credentials({ audience: "other" })),
  of("credentials.send", credentials({ send: "form" })),
  of("credentials.refreshBefore", credentials({ refreshBefore: "7 seconds" })),

  of("retry.maxRetries", contract({ retry: RetryPolicy.make({ delays: ["100 millis"], jitter: "full" }) })),
  of(
    "retry.jitter",
    contract({ retry: RetryPolicy.make({ delays: ["100 millis", "300 millis", "900 millis"], jitter: "equal" }) })
  ),
  of(
    "retry.delays",
    contract({ retry: RetryPolicy.make({ delays: ["100 millis", "300 millis", "700 millis"], jitter: "full" }) })
  ),

  of("breaker.failurePercent", withBreaker({ failurePercent: 7 })),
  of("breaker.window", withBreaker({ window: "7 seconds" })),
  of("breaker.openFor", withBreaker({ openFor: "7 seconds" })),
  of("breaker.minimumCalls", withBreaker({ minimumCalls: 7 })),
  of("breaker.probeTimeout", withBreaker({ probeTimeout: "7 seconds" })),
  of("breaker.alertAfter", withBreaker({ alertAfter: "7 seconds" })),

  of("rateLimit.perMinute", contract({ rateLimit: { ...rateLimit, perMinute: 77 } })),
  of("rateLimit.burst", contract({ rateLimit: { ...rateLimit, burst: 7 } })),
  of("rateLimit.perDay", contract({ rateLimit: { ...rateLimit, perDay: 7777 } })),
  of("bulkhead.maxConcurrent", contract({ bulkhead: { ...bulkhead!, maxConcurrent: 7 } })),
  of("bulkhead.maxQueue", contract({ bulkhead: { ...bulkhead!, maxQueue: 7 } })),
  of("timeouts.connect", contract({ timeouts: { ...timeouts, connect: "7 millis" } })),
  of("timeouts.read", contract({ timeouts: { ...timeouts, read: "7 millis" } })),
  of("timeouts.attempt", contract({ timeouts: { ...timeouts, attempt: "3 seconds" } })),
  of("timeouts.total", contract({ timeouts: { ...timeouts, total: "7 seconds" } })),

  of("channel.name", channel({ name: "other" })),
  of("channel.ordering", channel({ ordering: Settlements.ordering })),
  of("channel.partitions", channel({ partitions: 4 })),
  of("channel.consumers", channel({ consumers: ["billing", "audit"] })),
  of("channel.deadLetters.maxAge", channel({ deadLetters: { maxAge: minute } })),
  of("channel.acceptableLag", channel({ acceptableLag: Duration.hours(7) })),
  of("channel.unknownEvents", channel({ unknownEvents: "ignore" })),
  of("channel.codec", channel({ codec: Codec.structured })),
  of("retention.maxAge", channel({ retention: { ...Orders.retention, maxAge: minute } })),
  of("retention.maxMessages", channel({ retention: { ...Orders.retention, maxMessages: 7 } })),
  of("existing.queue", channel({ partitions: 1, existing: { queue: "legacy" } }), channel({ partitions: 1 })),

  of("event.type", event({ type: "com.acme.order.other" })),
  of("event.source", event({ source: "https://other.example" })),
  of("event.data", event({ data: Schema.Struct({ tenantId: Schema.String, other: Schema.Int }) as any })),
  of("event.datacontenttype", event({ datacontenttype: "application/other+json" })),
  of("event.dataschema", event({ dataschema: "https://other.example/schema" })),
  of("event.previous", event({ previous: {} })),

  of("consumer.retry", group({ retry: RetryPolicy.make({ delays: ["7 seconds"] }) })),
  of("consumer.dedup.window", group({ dedup: { window: "7 days" } })),
  of("consumer.dedup.mode", group({ dedup: { window: "60 days", mode: "transactional" } })),
  of("consumer.prefetch", group({ prefetch: 8 })),
  of("consumer.timeout", group({ timeout: "7 seconds" })),
  of("consumer.lease", group({ lease: "7 seconds" })),
  of("consumer.drain", group({ drain: "7 seconds" })),
  of("consumer.maxRedeliveries", group({ maxRedeliveries: 7 })),
  of("consumer.hold", group({ hold: "7 seconds" })),

  of("saga.name", {
    sagas: options.sagas!.map((each) => ({ ...each, name: "other" })),
    ...agreed({ callers: ["billing", "other"] })
  }),
  ofSaga("step.name", { name: "other" }),
  ofSaga("step.retry", { step: { retry: RetryPolicy.make({ delays: ["1 second", "7 minutes"] }) } }),
  ofSaga("step.timeout", { step: { timeout: "7 seconds" } }),
  ofSaga("step.compensationRetry", { step: { compensationRetry: RetryPolicy.make({ delays: ["7 seconds"] }) } }),
  ofSaga("step.irreversible", { step: { irreversible: "it is gone" } }),
  ofSaga("step.service", { step: { service: "Other" } }),
  ofSaga("step.description", { step: { description: "Other" } }),
  ofSaga("step.compensation", { step: { compensation: "Other" } }),
  ofSaga("parallel.steps", { parallel: false }),
  ofSaga("wait.name", { waitName: "other" }),
  ofSaga("wait.deadline", { wait: { deadline: "7 days" } }),
  ofSaga("wait.service", { wait: { service: "Other" } }),
  ofSaga("delay.name", { pauseName: "other" }),
  ofSaga("delay.duration", { pause: "7 hours" })
]
