/**
 * What each field of a design is: read by people, or obeyed by what runs. `Flagship.test.ts` changes each that is printed
 * and looks at the document; `Obeyed.test.ts` runs each that is obeyed, and compares with the number that is printed.
 */
export type Verdict =
  /** For people: nothing runs on it. */
  | { readonly _tag: "Read" }
  /** What runs obeys it, and a case shows so. */
  | { readonly _tag: "Obeyed" }
  /** Made of fields that are here themselves. */
  | { readonly _tag: "Made" }
  /** Obeyed, and printed, but not run here: for what reason. */
  | { readonly _tag: "Exempt"; readonly because: string }
  /** Not printed: for what reason. */
  | { readonly _tag: "Unprinted"; readonly because: string }

const read: Verdict = { _tag: "Read" }
const obeyed: Verdict = { _tag: "Obeyed" }
const made: Verdict = { _tag: "Made" }
const exempt = (because: string): Verdict => ({ _tag: "Exempt", because })
const unprinted = (because: string): Verdict => ({ _tag: "Unprinted", because })

const provider = "a promise of the provider, which does not run here; findings compare with it"
const caller = "a promise of the caller's, who does not run here; findings compare with it"
const operation = "how the system is operated, which it cannot see; findings compare with it"
const wire = "needs a broker: test/rabbitmq consumes and publishes on existing queues"
const name = "a name, by which what runs is found; the other cases find it by it"
const secret = "a secret, or where one comes from: it must not be printed"

export const verdicts: Readonly<Record<string, Verdict>> = {
  "options.project": read,
  "options.version": read,
  "options.date": read,
  "options.author": read,
  "options.status": read,
  "options.reviewers": read,
  "options.history.version": read,
  "options.history.date": read,
  "options.history.author": read,
  "options.history.changes": read,
  "options.kind": read,
  "options.purpose": read,
  "options.criticality": read,
  "options.impactIfDown": read,
  "options.rto": read,
  "options.rpo": read,
  "options.parties.consumer": made,
  "options.parties.provider": made,
  "options.topology.gateway": read,
  "options.topology.providerDatabase": read,
  "options.topology.worker": read,
  "options.contracts": made,
  "options.grpc": made,
  "options.channels": made,
  "options.consumers": made,
  "options.sagas": made,
  "options.consistency": made,
  "options.pactBroker": read,
  "options.environments": made,
  "options.scenarios.happy": made,
  "options.scenarios.error": made,
  "options.monitoring": made,
  "options.probes": made,
  "options.tracing.tool": read,
  "options.tracing.dashboard": read,
  "options.alerts": made,
  "options.approvals": made,
  "options.acknowledged": made,

  "party.system": read,
  "party.team": read,
  "party.contact": read,
  "party.service": read,

  "agreed.contract": made,
  "agreed.direction.from": read,
  "agreed.direction.to": read,
  "agreed.rotation.every": read,
  "agreed.rotation.process": read,
  "agreed.baseUrl": exempt("shown where the contract's own is read from the configuration, which then decides"),
  "agreed.tokenEndpoint": exempt("shown where the contract's own is read from the configuration, which then decides"),
  "agreed.callers": read,
  "agreed.callerBudget": exempt(caller),
  "agreed.keyRetention": exempt(provider),

  "grpc.name": read,
  "grpc.service": read,
  "grpc.direction.from": read,
  "grpc.direction.to": read,
  "grpc.methods.name": read,
  "grpc.methods.request": read,
  "grpc.methods.response": read,
  "grpc.methods.streams": read,
  "grpc.messages.name": read,
  "grpc.messages.type": read,

  "topic.channel": made,
  "topic.producer": read,
  "topic.notes": read,
  "topic.durability": exempt(operation),
  "topic.replayHorizon": exempt(operation),
  "topic.eventsPerMinute": exempt(operation),
  "topic.processes": exempt(operation),

  "consistency.data": read,
  "consistency.model": read,
  "consistency.acceptableLag": read,

  "environment.name": read,
  "environment.purpose": read,
  "environment.trigger": read,
  "environment.sampling": obeyed,

  "scenario.name": read,
  "scenario.expected": read,

  "monitoring.errorRate.percent": obeyed,
  "monitoring.errorRate.for": obeyed,
  "monitoring.errorRate.severity": obeyed,
  "monitoring.latencyP99.limit": obeyed,
  "monitoring.latencyP99.for": obeyed,
  "monitoring.latencyP99.severity": obeyed,
  "monitoring.lag.messages": obeyed,
  "monitoring.lag.age": obeyed,
  "monitoring.lag.severity": obeyed,
  "monitoring.circuitOpen.severity": obeyed,
  "monitoring.deadLetters.severity": obeyed,
  "monitoring.outboxAge.limit": obeyed,
  "monitoring.outboxAge.severity": obeyed,
  "monitoring.sagaStuck.severity": obeyed,
  "monitoring.probeFailed.severity": obeyed,
  "monitoring.dashboard": read,

  "probe.name": obeyed,
  "probe.every": obeyed,

  "route.condition": obeyed,
  "route.channels": obeyed,
  "route.escalation": read,
  "route.investigateWithin": read,
  "route.runbook": read,

  "approval.role": read,
  "approval.name": read,
  "approval.date": read,
  "approval.signature": read,

  "acknowledged.finding": read,
  "acknowledged.reason": read,

  "contract.errors": made,
  "contract.baseUrl": obeyed,
  "contract.authentication": obeyed,
  "contract.idempotent.headers": obeyed,
  "contract.retry": made,
  "contract.breaker": made,
  "contract.circuitKey": obeyed,
  "contract.rateLimit": made,
  "contract.bulkhead": made,
  "contract.timeouts": made,
  "contract.sourceSystem": obeyed,
  "contract.personalData": obeyed,

  "row.error": obeyed,
  "row.code": obeyed,
  "row.action": obeyed,
  "row.outcome": obeyed,
  "row.problemType": unprinted("the key of the row, which is printed, says what it is for"),
  "row.retryAfter": obeyed,

  "credentials.tokenUrl": unprinted(secret),
  "credentials.id": unprinted(secret),
  "credentials.secret": unprinted(secret),
  "credentials.scope": obeyed,
  "credentials.audience": obeyed,
  "credentials.send": obeyed,
  "credentials.refreshBefore": obeyed,
  "credentials.timeout": unprinted("of the token endpoint, which the template does not know"),

  "retry.maxRetries": obeyed,
  "retry.jitter": obeyed,
  "retry.delays": obeyed,
  "retry.delayMillis": unprinted("what the delays and the jitter make"),

  "breaker.failurePercent": obeyed,
  "breaker.window": obeyed,
  "breaker.openFor": obeyed,
  "breaker.minimumCalls": obeyed,
  "breaker.probeTimeout": obeyed,
  "breaker.alertAfter": obeyed,

  "rateLimit.perMinute": obeyed,
  "rateLimit.burst": obeyed,
  "rateLimit.perDay": obeyed,
  "bulkhead.maxConcurrent": obeyed,
  "bulkhead.maxQueue": obeyed,
  "timeouts.connect": obeyed,
  "timeouts.read": obeyed,
  "timeouts.attempt": obeyed,
  "timeouts.total": obeyed,

  "channel.name": exempt(name),
  "channel.events": made,
  "channel.ordering": obeyed,
  "channel.partitions": obeyed,
  "channel.retention": made,
  "channel.consumers": obeyed,
  "channel.deadLetters.maxAge": obeyed,
  "channel.acceptableLag": read,
  "channel.unknownEvents": obeyed,
  "channel.codec": obeyed,
  "channel.existing": made,
  "retention.maxAge": obeyed,
  "retention.maxMessages": obeyed,
  "existing.queue": exempt(wire),
  "existing.exchange": unprinted("AsyncAPI has it: AsyncApi.test.ts"),
  "existing.routingKey": unprinted("AsyncAPI has it: AsyncApi.test.ts"),

  "event.type": obeyed,
  "event.source": obeyed,
  "event.data": obeyed,
  "event.datacontenttype": obeyed,
  "event.isJson": unprinted("follows from datacontenttype"),
  "event.dataschema": obeyed,
  "event.previous": obeyed,

  "consumer.types": unprinted("the handlers: an event without one is of an unknown type, which the channel decides"),
  "consumer.retry": obeyed,
  "consumer.dedup.window": obeyed,
  "consumer.dedup.mode": obeyed,
  "consumer.prefetch": obeyed,
  "consumer.timeout": obeyed,
  "consumer.lease": obeyed,
  "consumer.drain": obeyed,
  "consumer.maxRedeliveries": obeyed,
  "consumer.hold": obeyed,

  "saga.name": exempt(name),
  "saga.payload": unprinted("the snapshot keeps it, and the diff compares it"),
  "saga.idempotencyKey": unprinted("a function of the payload"),
  "saga.compensationRetry": made,
  "saga.nodes": made,
  "step.name": obeyed,
  "step.success": unprinted("the snapshot keeps it, and the diff compares it"),
  "step.isVoid": unprinted("follows from success"),
  "step.error": unprinted("a schema of what goes wrong, which sagas tell as they are"),
  "step.run": unprinted("a function; its description is printed"),
  "step.retry": obeyed,
  "step.timeout": obeyed,
  "step.compensate": unprinted("a function; what it does is printed as `compensation`"),
  "step.compensationRetry": obeyed,
  "step.irreversible": obeyed,
  "step.service": read,
  "step.description": read,
  "step.compensation": obeyed,
  "parallel.steps": obeyed,
  "wait.name": obeyed,
  "wait.success": unprinted("the snapshot keeps it, and the diff compares it"),
  "wait.deadline": obeyed,
  "wait.service": read,
  "delay.name": read,
  "delay.duration": obeyed
}

/** The fields whose change the document shows. */
export const printed = Object.keys(verdicts).filter((field) => !["Made", "Unprinted"].includes(verdicts[field]!._tag))

/** The fields that something that runs obeys. */
export const running = Object.keys(verdicts).filter((field) => verdicts[field]!._tag === "Obeyed")
