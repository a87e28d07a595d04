import { assert, describe, it } from "@effect/vitest"
import { Config, Effect, Redacted, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Integration } from "../../src/index.ts"
import { Markdown } from "../../src/document/index.ts"
import { Channel, Consumer, EventType, Ordering } from "../../src/event/index.ts"
import { Authentication, HttpContract, StatusTable } from "../../src/http/index.ts"
import { ErrorAction, RetryPolicy } from "../../src/policy/index.ts"
import { part, partsOf, tablesOf } from "./sections.ts"

const Thing = Schema.Struct({ id: Schema.String, note: Schema.optionalKey(Schema.NullOr(Schema.Int)) })
const api = HttpApi.make("things").add(
  HttpApiGroup.make("things").add(
    HttpApiEndpoint.get("get", "/things/:id", {
      params: { id: Schema.String },
      query: { limit: Schema.optionalKey(Schema.String) },
      success: Thing
    }),
    HttpApiEndpoint.put("put", "/things", { payload: Schema.Array(Thing) })
  )
)

class Bare extends HttpContract.Service<Bare>()("bare things", {
  api,
  baseUrl: "https://user:hunter2@things.example.com/api/?token=hunter2",
  errors: StatusTable.standard
}) {}

const design = Integration.make("bare", { contracts: [Bare] })
const text = Markdown.render(design)

describe("the headings", () => {
  it("are those of the template, in its order and with its numbers", () => {
    assert.deepStrictEqual(
      partsOf(text).map(({ path }) => path.split(" > ").at(-1)),
      [
        "Integration Design Document",
        "Document History",
        "1. Integration Overview & Context",
        "2. Integration Topology Diagram",
        "3. Service Contracts",
        "3.1 Integration: bare things",
        "Authentication",
        "Request Contract",
        "Error Handling",
        "Retry Policy",
        "Circuit Breaker Configuration",
        "Rate Limiting",
        "Timeout Configuration",
        "4. Event-Driven Integrations",
        "4.1 Event Schemas (CloudEvents 1.0)",
        "4.2 Topics / Queues",
        "4.3 Ordering Guarantees",
        "4.4 Idempotency Strategy",
        "5. Data Consistency Patterns",
        "5.1 Consistency Model",
        "5.2 Saga Pattern (if used for distributed transactions)",
        "6. Integration Testing Strategy",
        "6.1 Contract Testing (Pact)",
        "6.2 Integration Test Environments",
        "6.3 Test Scenarios",
        "7. Monitoring & Alerting",
        "7.1 Key Metrics",
        "7.2 Distributed Tracing",
        "7.3 Alert Routing",
        "Approval"
      ]
    )
  })
})

describe("what is not given", () => {
  it("is said to be not given", () => {
    assert.include(text, "**Project:** not given\\\n")
    assert.include(text, "**Business Purpose:** not given\n")
    assert.include(text, "| Consumer (caller) | not given | not given | not given |")
    assert.include(part(text, "7.3 Alert Routing"), "| not given | not given | not given | not given | not given |")
    assert.include(part(text, "Approval"), "| Platform/Infra | not given | not given | not given |")
    assert.notMatch(text, /undefined|\[object|\{\{/)
  })

  it("is not a policy that the contract does not have", () => {
    assert.include(part(text, "Retry Policy"), "**Max retries:** 0 (the contract has no retries)")
    assert.include(part(text, "Circuit Breaker Configuration"), "no circuit breaker")
    assert.include(part(text, "Timeout Configuration"), "| Connection timeout | 5000ms (5s) (default) |")
    assert.include(part(text, "Timeout Configuration"), "| Read timeout | not limited (default) |")
    assert.notInclude(part(text, "Error Handling"), "CircuitOpen")
    assert.notInclude(part(text, "7.1 Key Metrics"), "circuit_open")
  })
})

describe("the status table", () => {
  const row = (markdown: string, status: string) =>
    part(markdown, "Error Handling")
      .split("\n")
      .find((line) => line.startsWith(`| \`${status}\` |`))

  it("says what is really done without retries, keys and credentials", () => {
    assert.include(row(text, "500"), "Fail: the contract has no retries")
    assert.include(row(text, "409"), "Fail, do NOT retry; in conflict with another request; log error")
    assert.include(row(text, "409"), "dead letter")
    assert.include(row(text, "401"), "Fail: there are no other credentials")
  })

  it("has the rows that were overridden", () => {
    class Teapot extends StatusTable.Error<Teapot>()("Teapot") {}
    class Kettle extends HttpContract.Service<Kettle>()("kettle", {
      api,
      baseUrl: Config.URL("KETTLE_URL"),
      authentication: Authentication.bearer([Redacted.make("hunter2"), Config.Redacted("NEW_TOKEN")]),
      retry: RetryPolicy.exponential({ base: "1 second", cap: "4 seconds", maxRetries: 4, jitter: "equal" }),
      errors: StatusTable.override(StatusTable.standard, {
        404: StatusTable.row(StatusTable.NotFound, "GONE", ErrorAction.make("skip", { guidance: "it is deleted" })),
        418: StatusTable.row(Teapot, "TEAPOT", ErrorAction.make("fail", { notify: "alert", guidance: "buy a kettle" })),
        503: StatusTable.row(StatusTable.Unavailable, "DOWN", ErrorAction.make("fail"))
      })
    }) {}
    const markdown = Markdown.render(Integration.make("kettles", { contracts: [Kettle] }))
    assert.include(
      row(markdown, "418"),
      "`TEAPOT` | Fail, do NOT retry; buy a kettle; log error; alert engineering | `Teapot`"
    )
    assert.include(row(markdown, "503"), "`DOWN` | Fail, do NOT retry")
    assert.include(row(markdown, "502/504"), "Retry with backoff, up to 4 retries, but never a POST or PATCH")
    assert.include(row(markdown, "404"), "`GONE` | Fail, do NOT retry; in conflict with another request")
    assert.include(row(markdown, "401"), "Refresh the credentials, retry once")
    assert.include(
      part(markdown, "Retry Policy"),
      "on 408, 409 in progress, 421, 425, 429, 500, 502, 504, network errors"
    )
    assert.include(part(markdown, "Retry Policy"), "`[1000ms, 2000ms, 4000ms, 4000ms]`")
    assert.include(part(markdown, "Retry Policy"), "Backoff by a list of delays, with equal jitter")
    assert.include(part(markdown, "Authentication"), "| Type | Bearer token |")
    assert.include(part(markdown, "Request Contract"), "`GET (base URL from the configuration)/things/:id`")
    assert.notInclude(markdown, "hunter2")
    assert.notInclude(markdown, "504 has the row")
  })
})

describe("bodies", () => {
  it("are those of the schemas, with examples that fit them", () => {
    const request = part(text, "Request Contract")
    assert.include(request, "`GET https://things.example.com/api/things/:id`")
    assert.include(request, '"note?": "integer | null"')
    assert.include(request, "**Query:**")
    assert.include(request, '"limit?": "string"')
    assert.include(request, '[\n  {\n    "id": "id"')
    assert.include(request, "**Successful Response 204:** no body")
    assert.notInclude(text, "hunter2")
  })
})

describe("events", () => {
  const Placed = EventType.make("com.acme.order.placed", {
    source: "https://acme.com/orders",
    data: Schema.Struct({ customer: Schema.Struct({ id: Schema.Int.annotate({ examples: [7] }) }) })
  })
  const Printed = EventType.make("com.acme.label.printed", {
    source: "/printer",
    data: Schema.String,
    datacontenttype: "text/plain"
  })
  const Orders = Channel.make("document-orders", [Placed], {
    ordering: Ordering.strict("customer.id", { exhausted: "halt" }),
    partitions: 4
  })
  const Labels = Channel.make("document-labels", [Printed], {
    existing: { queue: "erp.labels" },
    unknownEvents: "ignore"
  })
  const Billing = Consumer.make("document-billing", Orders, {
    handlers: { "com.acme.order.placed": () => Effect.void },
    dedup: { window: "2 days" },
    lease: "20 seconds"
  })
  const Printer = Consumer.make("document-printer", Labels, {
    handlers: { "com.acme.label.printed": () => Effect.void }
  })
  const markdown = Markdown.render(Integration.make("events", { consumers: [Billing, Printer], channels: [Orders] }))

  it("are printed as they are published", () => {
    const placed = part(markdown, "Event: order.placed")
    assert.include(placed, '"partitionkey": "7"')
    assert.include(placed, "**Published by:** not given")
    assert.include(placed, "**Consumed by:** document-billing")
    assert.include(part(markdown, "Event: label.printed"), '"data": "text"')
  })

  it("travel in the queues that RabbitMQ has", () => {
    const topics = part(markdown, "4.2 Topics / Queues")
    assert.include(topics, "| `document-orders` | 4 | no limit | `document-billing` | not given | not given |")
    assert.include(
      topics,
      "| `document-orders.document-billing.0 to .3` | document-billing | `document-orders.document-billing.dead` |"
    )
    assert.include(topics, "| `erp.labels` | document-printer | `erp.labels.document-printer.dead` |")
    assert.include(topics, "is ignored; the queue was declared by others")
  })

  it("are ordered and told apart as configured, and it is said where that deviates from the template", () => {
    assert.include(part(markdown, "4.3 Ordering Guarantees"), "| Strict order | Per `customer.id` | not given |")
    assert.include(part(markdown, "4.3 Ordering Guarantees"), "halts its key until an operator resumes it")
    const billing = part(markdown, "Consumer: document-billing")
    assert.include(billing, "claim the event under a lease of 20s")
    assert.include(billing, "**Deduplication window:** 2d")
    assert.include(part(markdown, "4.4 Idempotency Strategy"), "source and id, and not by the id alone")
    assert.include(part(markdown, "Consumer: document-printer"), "Without dedup: a redelivered event is handled again")
  })
})

it("has tables whose rows have as many cells as their heads", () => {
  const tables = tablesOf(text)
  assert.isAbove(tables.length, 10)
  for (const rows of tables) assert.strictEqual(new Set(rows).size, 1, rows.join())
})
