import { assert, describe, it } from "@effect/vitest"
import { Config, Duration, Effect, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import design, { options } from "../../examples/orders-to-payments/design.ts"
import { Billing, Orders, Settlements } from "../../examples/orders-to-payments/orders.ts"
import { api, Payments } from "../../examples/orders-to-payments/payments.ts"
import { Integration } from "../../src/index.ts"
import { Markdown } from "../../src/document/index.ts"
import { type Channel, Consumer } from "../../src/event/index.ts"
import { Authentication, HttpContract, type HttpPolicy, StatusTable } from "../../src/http/index.ts"
import { RetryPolicy } from "../../src/policy/index.ts"
import { root } from "../house/Sources.ts"
import { sources } from "./placeholders.ts"
import { changed, part } from "./sections.ts"

const file = path.join(root, "examples/orders-to-payments/DOCUMENT.md")
const text = Markdown.render(design)

it("is the document beside the design (UPDATE=1 writes it)", () => {
  if (process.env.UPDATE === "1") fs.writeFileSync(file, text)
  assert.strictEqual(fs.readFileSync(file, "utf8"), text)
})

describe("the placeholders of the template", () => {
  it("are 104 in 134 places", () => {
    assert.strictEqual(Object.keys(sources).length, 104)
    assert.strictEqual(Object.values(sources).flat().length, 134)
  })

  for (const [placeholder, places] of Object.entries(sources)) {
    it(`${placeholder} comes from ${[...new Set(places.map(({ field }) => field))].join(" and ")}`, () => {
      for (const place of places) {
        const found = part(text, place.part)
        assert.include(place.text === "order." || place.text === ".placed" ? place.part : found, place.text)
      }
    })
  }

  it("are all given in the flagship", () => {
    assert.notMatch(text, /not given|\{\{|\}\}|undefined|\[object|NaN|Infinity/)
  })
})

/** What changes when the options do. */
const after = (over: Partial<Integration.Options>): ReadonlyArray<string> =>
  changed(text, Markdown.render(Integration.make("orders-to-payments", { ...options, ...over })))

const overview = "1. Integration Overview & Context"
const topology = "2. Integration Topology Diagram"
const metrics = "7. Monitoring & Alerting > 7.1 Key Metrics"
const routing = "7. Monitoring & Alerting > 7.3 Alert Routing"
const front = "Integration Design Document"
const { consumer, provider } = options.parties!
const [first, ...others] = options.contracts as ReadonlyArray<Integration.Contract>
const [orders, ...channels] = options.channels as ReadonlyArray<Integration.Topic>
const alerts = options.alerts!

describe("a changed field changes its part, and no other", () => {
  const fields: ReadonlyArray<readonly [string, Partial<Integration.Options>, ReadonlyArray<string>]> = [
    ["project", { project: "Other" }, [front]],
    ["version", { version: "9" }, [front]],
    ["date", { date: "2030-01-01" }, [front]],
    ["author", { author: "Other" }, [front]],
    ["status", { status: "Approved" }, [front]],
    ["reviewers", { reviewers: ["Other"] }, [front]],
    ["history", { history: [] }, ["Document History"]],
    ["kind", { kind: "file" }, [overview]],
    ["purpose", { purpose: "Other" }, [overview]],
    ["criticality", { criticality: "low" }, [overview]],
    ["impactIfDown", { impactIfDown: "Other" }, [overview]],
    ["rto", { rto: "2 hours" }, [overview]],
    ["rpo", { rpo: "2 hours" }, [overview]],
    [
      "parties.consumer.team",
      { parties: { consumer: { ...consumer!, team: "Other" }, provider: provider! } },
      [overview]
    ],
    [
      "parties.consumer.contact",
      { parties: { consumer: { ...consumer!, contact: "Other" }, provider: provider! } },
      [overview]
    ],
    [
      "parties.provider.service",
      { parties: { consumer: consumer!, provider: { ...provider!, service: "Other" } } },
      [topology]
    ],
    [
      "parties.provider.system",
      { parties: { consumer: consumer!, provider: { ...provider!, system: "Other" } } },
      [overview, topology]
    ],
    ["topology", { topology: { ...options.topology, gateway: "Other" } }, [topology]],
    [
      "pactBroker",
      { pactBroker: "https://other.example" },
      ["6. Integration Testing Strategy > 6.1 Contract Testing (Pact)"]
    ],
    [
      "environments",
      { environments: [{ ...options.environments![0]!, trigger: "Other" }, ...options.environments!.slice(1)] },
      ["6. Integration Testing Strategy > 6.2 Integration Test Environments"]
    ],
    [
      "environments.sampling",
      { environments: [{ ...options.environments![0]!, sampling: 1 }, ...options.environments!.slice(1)] },
      ["7. Monitoring & Alerting > 7.2 Distributed Tracing"]
    ],
    [
      "scenarios",
      { scenarios: { ...options.scenarios, happy: [] } },
      ["6. Integration Testing Strategy > 6.3 Test Scenarios"]
    ],
    ["consistency", { consistency: [] }, ["5. Data Consistency Patterns > 5.1 Consistency Model"]],
    ["monitoring.errorRate", { monitoring: { ...options.monitoring, errorRate: { percent: 7 } } }, [metrics, routing]],
    [
      "monitoring.latencyP99",
      { monitoring: { ...options.monitoring, latencyP99: { limit: "7 seconds" } } },
      [metrics, routing]
    ],
    ["monitoring.lag", { monitoring: { ...options.monitoring, lag: { messages: 7 } } }, [metrics, routing]],
    ["monitoring.circuitOpen", { monitoring: { ...options.monitoring, circuitOpen: { severity: "low" } } }, [metrics]],
    ["monitoring.deadLetters", { monitoring: { ...options.monitoring, deadLetters: { severity: "low" } } }, [metrics]],
    ["monitoring.dashboard", { monitoring: { ...options.monitoring, dashboard: "Other" } }, [metrics]],
    [
      "tracing",
      { tracing: { ...options.tracing, tool: "Other" } },
      ["7. Monitoring & Alerting > 7.2 Distributed Tracing"]
    ],
    ["alerts", { alerts: [{ ...alerts[0]!, escalation: "Other" }, ...alerts.slice(1)] }, [routing]],
    ["alerts.channels", { alerts: [{ ...alerts[0]!, channels: ["Other"] }, ...alerts.slice(1)] }, [topology, routing]],
    ["approvals", { approvals: [] }, ["Approval"]],
    ["acknowledged", { acknowledged: [{ finding: "rto", reason: "known" }] }, ["Accepted Findings"]],
    [
      "contracts.baseUrl",
      { contracts: [{ ...first!, baseUrl: "https://other.example" }, ...others] },
      [of("Request Contract")]
    ],
    [
      "contracts.tokenEndpoint",
      { contracts: [{ ...first!, tokenEndpoint: "https://other.example" }, ...others] },
      [of("Authentication")]
    ],
    [
      "contracts.rotation",
      { contracts: [{ ...first!, rotation: { every: "1 day", process: "hand" } }, ...others] },
      [of("Authentication")]
    ],
    ["contracts.keyRetention", { contracts: [{ ...first!, keyRetention: "1 day" }, ...others] }, [of("")]],
    ["contracts.callerBudget", { contracts: [{ ...first!, callerBudget: "1 day" }, ...others] }, [of("")]],
    ["contracts.callers", { contracts: [{ ...first!, callers: ["billing"] }, ...others] }, [of("")]],
    ["grpc", { grpc: [{ ...options.grpc![0]!, service: "Other" }] }, ["3. Service Contracts > 3.2 Integration: stock"]],
    [
      "channels.notes",
      { channels: [{ ...orders!, notes: "Other" }, ...channels] },
      ["4. Event-Driven Integrations > 4.3 Ordering Guarantees"]
    ],
    [
      "channels.durability",
      { channels: [{ ...orders!, durability: "disk" }, ...channels] },
      ["4. Event-Driven Integrations > 4.2 Topics / Queues"]
    ],
    [
      "channels.eventsPerMinute",
      { channels: [{ ...orders!, eventsPerMinute: 1 }, ...channels] },
      ["4. Event-Driven Integrations > 4.2 Topics / Queues"]
    ],
    [
      "channels.processes",
      { channels: [{ ...orders!, processes: 1 }, ...channels] },
      ["4. Event-Driven Integrations > 4.2 Topics / Queues"]
    ],
    [
      "channels.replayHorizon",
      { channels: [{ ...orders!, replayHorizon: "1 day" }, ...channels] },
      ["4. Event-Driven Integrations > 4.4 Idempotency Strategy > Consumer: billing"]
    ]
  ]
  for (const [name, over, expected] of fields) {
    it(`options.${name}`, () => {
      assert.deepStrictEqual(after(over), expected.toSorted())
    })
  }

  it("of every field of the options", () => {
    const tried = new Set(fields.map(([name]) => name.split(".")[0]))
    // The sagas and consumers are tried below, with what runs.
    assert.deepStrictEqual(
      Object.keys(options).filter((name) => !tried.has(name)),
      ["consumers", "sagas"]
    )
  })
})

function of(name: string): string {
  return `3. Service Contracts > 3.1 Integration: payments${name === "" ? "" : ` > ${name}`}`
}

describe("what runs is what is printed", () => {
  const { contract } = Payments
  const variant = (over: Partial<HttpPolicy.Any>): ReadonlyArray<string> => {
    class Variant extends HttpContract.Service<Variant>()("payments", { ...(contract as any), api, ...over } as any) {}
    return after({ contracts: [{ ...first!, contract: Variant as unknown as HttpContract.Any }, ...others] })
  }
  const errors = StatusTable.override(StatusTable.standard, {})
  const contracts: ReadonlyArray<readonly [string, Partial<HttpPolicy.Any>, ReadonlyArray<string>]> = [
    ["errors", { errors }, [of("Error Handling")]],
    ["idempotent", { idempotent: false }, [of(""), of("Error Handling"), of("Request Contract")]],
    ["idempotent.headers", { idempotent: { headers: ["X-Key"] } }, [of(""), of("Request Contract")]],
    [
      "retry",
      { retry: RetryPolicy.make({ delays: ["1 second"] }) },
      [of("Error Handling"), of("Retry Policy"), "6. Integration Testing Strategy > 6.3 Test Scenarios"]
    ],
    [
      "breaker.failurePercent",
      { breaker: { ...contract.breaker!, failurePercent: 7 } },
      [of("Circuit Breaker Configuration"), "6. Integration Testing Strategy > 6.3 Test Scenarios"]
    ],
    [
      "breaker.window",
      { breaker: { ...contract.breaker!, window: "7 seconds" } },
      [of("Circuit Breaker Configuration")]
    ],
    [
      "breaker.minimumCalls",
      { breaker: { ...contract.breaker!, minimumCalls: 7 } },
      [of("Circuit Breaker Configuration")]
    ],
    [
      "breaker.openFor",
      { breaker: { ...contract.breaker!, openFor: "7 seconds" } },
      [of("Circuit Breaker Configuration")]
    ],
    [
      "breaker.probeTimeout",
      { breaker: { ...contract.breaker!, probeTimeout: "7 seconds" } },
      [of("Circuit Breaker Configuration")]
    ],
    [
      "breaker.alertAfter",
      { breaker: { ...contract.breaker!, alertAfter: "7 seconds" } },
      [of("Circuit Breaker Configuration")]
    ],
    ["rateLimit.perMinute", { rateLimit: { ...contract.rateLimit, perMinute: 77 } }, [of("Rate Limiting")]],
    ["rateLimit.burst", { rateLimit: { ...contract.rateLimit, burst: 7 } }, [of("Rate Limiting")]],
    ["rateLimit.perDay", { rateLimit: { ...contract.rateLimit, perDay: 7777 } }, [of("Rate Limiting")]],
    ["bulkhead", { bulkhead: { maxConcurrent: 7 } }, [of("Rate Limiting")]],
    ["timeouts.connect", { timeouts: { ...contract.timeouts, connect: "7 millis" } }, [of("Timeout Configuration")]],
    ["timeouts.read", { timeouts: { ...contract.timeouts, read: "7 millis" } }, [of("Timeout Configuration")]],
    [
      "timeouts.attempt",
      { timeouts: { ...contract.timeouts, attempt: "3 seconds" } },
      [of("Retry Policy"), of("Timeout Configuration")]
    ],
    ["timeouts.total", { timeouts: { ...contract.timeouts, total: "7 seconds" } }, [of("Timeout Configuration")]],
    ["personalData", { personalData: ["iban"] }, [of("")]],
    ["circuitKey", { circuitKey: () => "tenant" }, [of("")]],
    ["sourceSystem", { sourceSystem: "other" }, [of("Request Contract")]],
    [
      "authentication",
      { authentication: Authentication.apiKey({ key: Config.Redacted("KEY") }) },
      [
        of("Authentication"),
        of("Error Handling"),
        of("Request Contract"),
        "6. Integration Testing Strategy > 6.3 Test Scenarios",
        metrics
      ]
    ]
  ]
  for (const [name, over, expected] of contracts) {
    it(`contract.${name}`, () => assert.deepStrictEqual(variant(over), expected.toSorted()))
  }

  const replaced = (channel: Partial<Channel.Any>) => {
    const made: Channel.Any = { ...Orders, ...channel }
    return after({
      channels: [{ ...orders!, channel: made }, ...channels],
      consumers: [{ ...Billing, channel: made }, options.consumers![1]!]
    })
  }
  const events = (name: string) => `4. Event-Driven Integrations > ${name}`
  const minute = Duration.minutes(1)
  const ofChannel: ReadonlyArray<readonly [string, Partial<Channel.Any>, ReadonlyArray<string>]> = [
    [
      "ordering",
      { ordering: Settlements.ordering },
      [events("4.1 Event Schemas (CloudEvents 1.0) > Event: order.placed"), events("4.3 Ordering Guarantees")]
    ],
    ["partitions", { partitions: 4 }, [topology, events("4.2 Topics / Queues"), events("4.3 Ordering Guarantees")]],
    ["retention", { retention: { maxAge: minute, maxMessages: undefined } }, [events("4.2 Topics / Queues")]],
    ["deadLetters", { deadLetters: { maxAge: minute } }, [events("4.2 Topics / Queues")]],
    ["unknownEvents", { unknownEvents: "ignore" }, [events("4.2 Topics / Queues")]],
    ["acceptableLag", { acceptableLag: Duration.hours(7) }, ["5. Data Consistency Patterns > 5.1 Consistency Model"]],
    [
      "codec",
      { codec: { ...Orders.codec, name: "other" } },
      [events("4.1 Event Schemas (CloudEvents 1.0) > Event: order.placed")]
    ],
    [
      "consumers",
      { consumers: ["billing", "audit"] },
      [
        topology,
        events("4.1 Event Schemas (CloudEvents 1.0) > Event: order.placed"),
        events("4.2 Topics / Queues"),
        routing
      ]
    ]
  ]
  for (const [name, over, expected] of ofChannel) {
    it(`channel.${name}`, () => assert.deepStrictEqual(replaced(over), expected.toSorted()))
  }

  const handlers = { "com.acme.order.placed": () => Effect.void }
  const ofConsumer: ReadonlyArray<readonly [string, Consumer.Options & { dedup?: Consumer.Dedup }]> = [
    ["retry", { retry: RetryPolicy.make({ delays: ["7 seconds"] }) }],
    ["dedup.window", { dedup: { window: "7 days" } }],
    ["dedup.mode", { dedup: { window: "60 days", mode: "transactional" } }],
    ["timeout", { timeout: "7 seconds" }],
    ["lease", { lease: "7 seconds" }],
    ["drain", { drain: "7 seconds" }],
    ["hold", { hold: "7 seconds" }],
    ["prefetch", { prefetch: 8 }],
    ["maxRedeliveries", { maxRedeliveries: 7 }]
  ]
  for (const [name, over] of ofConsumer) {
    it(`consumer.${name}`, () => {
      const variant = Consumer.make("billing", Orders, {
        handlers,
        retry: Billing.options.retry!,
        dedup: { window: "60 days" },
        ...over
      })
      assert.deepStrictEqual(after({ consumers: [variant, options.consumers![1]!] }), [
        events("4.4 Idempotency Strategy > Consumer: billing")
      ])
    })
  }

  it("sagas", () => {
    assert.deepStrictEqual(after({ sagas: [], contracts: [{ ...first!, callers: ["billing", "order-status"] }] }), [
      of(""),
      "5. Data Consistency Patterns > 5.2 Saga Pattern (if used for distributed transactions)",
      "5. Data Consistency Patterns > 5.2 Saga Pattern (if used for distributed transactions) > Saga: place-order",
      metrics
    ])
  })

  it("schemas", () => {
    const [placed] = Orders.events
    const data = Schema.Struct({ tenantId: Schema.String, other: Schema.Int })
    assert.deepStrictEqual(replaced({ events: [{ ...placed!, data } as any] }), [
      events("4.1 Event Schemas (CloudEvents 1.0) > Event: order.placed")
    ])
  })
})
