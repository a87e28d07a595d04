import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import type { Integration } from "effect-integration"
import { Diff, Snapshot } from "effect-integration/document"
import { Codec, Ordering } from "effect-integration/event"
import { Authentication, StatusTable } from "effect-integration/http"
import { ErrorAction, RetryPolicy } from "effect-integration/policy"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import {
  apiOf,
  breaker,
  channel,
  Charge,
  consumer,
  contract,
  design,
  ladder,
  NewCharge,
  Order,
  orderPlaced,
  saga
} from "./parts.ts"

const before = Snapshot.of(design())
const diff = (after: Integration.Integration, from: Integration.Integration | undefined = undefined) =>
  Diff.between(from === undefined ? before : Snapshot.of(from), Snapshot.of(after))

type Over = Parameters<typeof contract>[0]
const withContract = (over: Over, beside: Partial<Integration.Contract> = {}) =>
  design({ contracts: [{ contract: contract(over), keyRetention: "30 days", ...beside }] })
const withChannel = (
  over: Parameters<typeof channel>[0],
  beside: Partial<Integration.Topic> = {},
  event = orderPlaced(),
  group: Parameters<typeof consumer>[0] = {}
) => {
  const orders = channel(over, event)
  return design({
    channels: [{ channel: orders, replayHorizon: "7 days", processes: 4, ...beside }],
    consumers: [consumer(group, orders)]
  })
}
const withEvent = (data: Schema.Codec<any, any>, version?: string, previous = {}) =>
  withChannel({}, {}, orderPlaced(data, version, previous))
const undo = { compensate: () => Effect.void }
const done = { run: () => Effect.void }
class Broke extends StatusTable.Error<Broke>()("Broke") {}
const table = (rows: { readonly [K in StatusTable.Key]?: StatusTable.Row<any> }) =>
  StatusTable.override(StatusTable.standard, rows) as unknown as typeof StatusTable.standard

const onlyGet = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.get("get", "/v1/charges/:id", { params: { id: Schema.String }, success: Charge })
  )
)

const grpc = (...fields: ReadonlyArray<string>) =>
  design({
    grpc: [
      {
        name: "stock",
        service: "Stock",
        methods: [],
        messages: { Ask: fields.map((name) => ({ name, type: "string" })) }
      }
    ]
  })

interface Case {
  readonly name: string
  readonly from?: Integration.Integration
  readonly after: Integration.Integration
  readonly what: string
  readonly kind: Diff.Kind
  readonly section: string
  readonly values?: readonly [string | undefined, string | undefined]
  readonly says?: ReadonlyArray<string>
  readonly migration?: string
}

const cases: ReadonlyArray<Case> = [
  {
    name: "more retries",
    after: withContract({ retry: RetryPolicy.exponential({ base: 100, cap: 2000, maxRetries: 5, jitter: "none" }) }),
    what: "retry attempts",
    kind: "behavioural",
    section: "3.1 Retry Policy",
    values: ["4", "6"],
    says: ["+50 % requests", "worst case 9.3 s -> 15.1 s, over the total timeout of 10 s"]
  },
  {
    name: "other delays",
    after: withContract({ retry: ladder("100 millis", "300 millis", "300 millis") }),
    what: "retry delays",
    kind: "behavioural",
    section: "3.1 Retry Policy",
    values: ["100 ms, 300 ms, 900 ms", "100 ms, 300 ms, 300 ms"],
    says: ["9.3 s -> 8.7 s"]
  },
  {
    name: "no retries",
    after: withContract({ retry: undefined }),
    what: "retry attempts",
    kind: "behavioural",
    section: "3.1 Retry Policy",
    values: ["4", "1"],
    says: ["-75 %"]
  },
  {
    name: "an attempt timeout",
    after: withContract({ timeouts: { attempt: "3 seconds", total: "10 seconds" } }, { callerBudget: "8 seconds" }),
    what: "timeouts attempt",
    kind: "behavioural",
    section: "3.1 Timeout Configuration",
    values: ["2 s", "3 s"],
    says: ["9.3 s -> 13.3 s, over the total timeout of 10 s, over the 8 s that its caller waits"]
  },
  {
    name: "a breaker",
    after: withContract({ breaker: { ...breaker, openFor: "2 hours" } }),
    what: "breaker open for",
    kind: "behavioural",
    section: "3.1 Circuit Breaker Configuration",
    values: ["30 s", "2 h"],
    says: ["RTO"]
  },
  {
    name: "no breaker",
    after: withContract({ breaker: undefined }),
    what: "breaker",
    kind: "behavioural",
    section: "3.1 Circuit Breaker Configuration"
  },
  {
    name: "a rate limit",
    after: withContract({ rateLimit: { perMinute: 300, burst: 50 } }),
    what: "rate limit per minute",
    kind: "behavioural",
    section: "3.1 Rate Limiting",
    values: ["600", "300"]
  },
  {
    name: "a bulkhead",
    after: withContract({ bulkhead: { maxConcurrent: 5 } }),
    what: "bulkhead",
    kind: "behavioural",
    section: "3.1 Rate Limiting",
    values: [undefined, "max concurrent 5, max queue 0"]
  },
  {
    name: "authentication",
    after: withContract({ authentication: undefined }),
    what: "authentication",
    kind: "breaking",
    section: "3.1 Authentication"
  },
  {
    name: "another header for the key",
    after: withContract({ idempotent: { headers: ["X-Key"] } }),
    what: "idempotency headers",
    kind: "breaking",
    section: "3.1 Request Contract",
    values: ["Idempotency-Key, X-Idempotency-Key", "X-Key"]
  },
  {
    name: "no idempotency",
    after: withContract({ idempotent: undefined }),
    what: "idempotency headers",
    kind: "behavioural",
    section: "3.1 Request Contract",
    values: ["Idempotency-Key, X-Idempotency-Key", "none"],
    says: ["done twice"]
  },
  {
    name: "the action of a row",
    after: withContract({
      errors: table({
        500: StatusTable.row(StatusTable.InternalError, "INTERNAL_ERROR", ErrorAction.fail, { retryAfter: false })
      })
    }),
    what: "rows 500 action kind",
    kind: "behavioural",
    section: "3.1 Error Handling",
    values: ["retry", "fail"]
  },
  {
    name: "the error of a row",
    after: withContract({ errors: table({ 500: StatusTable.row(Broke, "BROKE", ErrorAction.retry) }) }),
    what: "rows 500 error",
    kind: "breaking",
    section: "3.1 Error Handling",
    values: ["InternalError", "Broke"]
  },
  {
    name: "a new row with a new error",
    after: withContract({ errors: table({ 402: StatusTable.row(Broke, "BROKE", ErrorAction.fail) }) }),
    what: "rows 402",
    kind: "breaking",
    section: "3.1 Error Handling"
  },
  {
    name: "a new row with a known error",
    after: withContract({ errors: table({ 402: StatusTable.row(StatusTable.BusinessRule, "PAY", ErrorAction.fail) }) }),
    what: "rows 402",
    kind: "behavioural",
    section: "3.1 Error Handling"
  },
  {
    name: "a required field of a request",
    after: withContract({ api: apiOf(Schema.Struct({ ...NewCharge.fields, currency: Schema.String })) }),
    what: "POST /v1/charges body application/json.currency: required field added",
    kind: "breaking",
    section: "3.1 Request Contract",
    says: ["breaks callers"]
  },
  {
    name: "an optional field of a request",
    after: withContract({
      api: apiOf(Schema.Struct({ ...NewCharge.fields, currency: Schema.optionalKey(Schema.String) }))
    }),
    what: "POST /v1/charges body application/json.currency: optional field added",
    kind: "behavioural",
    section: "3.1 Request Contract",
    says: ["compatible"]
  },
  {
    name: "a field of a response that went",
    after: withContract({ api: apiOf(NewCharge, Schema.Struct({ id: Schema.String })) }),
    what: "GET /v1/charges/:id response 200.cents: field removed",
    kind: "breaking",
    section: "3.1 Request Contract"
  },
  {
    name: "a field of a response that came",
    after: withContract({ api: apiOf(NewCharge, Schema.Struct({ ...Charge.fields, at: Schema.String })) }),
    what: "GET /v1/charges/:id response 200.at: required field added",
    kind: "behavioural",
    section: "3.1 Request Contract"
  },
  {
    name: "an endpoint that went",
    after: withContract({ api: onlyGet }),
    what: "POST /v1/charges: endpoint removed",
    kind: "breaking",
    section: "3.1 Request Contract"
  },
  {
    name: "an endpoint that came",
    from: withContract({ api: onlyGet }),
    after: design(),
    what: "POST /v1/charges: endpoint added",
    kind: "behavioural",
    section: "3.1 Request Contract"
  },
  {
    name: "who owns the rotation",
    after: withContract({}, { rotation: { every: "90 days", process: "a ticket" } }),
    what: "rotation",
    kind: "documentation",
    section: "3.1 Authentication"
  },
  {
    name: "a contract that went",
    after: design({ contracts: [] }),
    what: "contract removed",
    kind: "breaking",
    section: "3.1"
  },
  {
    name: "retention",
    after: withChannel({ retention: "30 minutes" }),
    what: "retention",
    kind: "behavioural",
    section: "4.2 Topics / Queues",
    values: ["7 days", "30 min"],
    says: ["RTO"]
  },
  {
    name: "a queue argument",
    after: withChannel({ retention: "30 minutes" }),
    what: "queue argument x-message-ttl",
    kind: "breaking",
    section: "4.2 Topics / Queues",
    values: ["604800000", "1800000"],
    says: ["the existing queue orders.<group> must be replaced"],
    migration: "let the consumers empty"
  },
  {
    name: "an argument of the dead letters",
    after: withChannel({ deadLetters: { maxAge: "30 days" } }),
    what: "queue argument x-message-ttl",
    kind: "breaking",
    section: "4.2 Topics / Queues",
    values: [undefined, "2592000000"],
    says: ["orders.<group>.dead"],
    migration: "replay or purge"
  },
  {
    name: "partitions",
    after: withChannel({ partitions: 16 }),
    what: "partitions",
    kind: "breaking",
    section: "4.2 Topics / Queues",
    values: ["8", "16"],
    says: ["keys move"],
    migration: "stop the publishers"
  },
  {
    name: "a promise of order that went",
    after: withChannel({ ordering: Ordering.none }),
    what: "ordering",
    kind: "breaking",
    section: "4.3 Ordering Guarantees",
    values: ["strict per tenantId", "none"],
    migration: "parked"
  },
  {
    name: "the form of messages",
    after: withChannel({ codec: Codec.structured }),
    what: "codec",
    kind: "breaking",
    section: "4.1 Event Schemas (CloudEvents 1.0)"
  },
  {
    name: "another queue",
    after: withChannel({ partitions: 1, existing: { queue: "legacy" } }),
    what: "existing",
    kind: "breaking",
    section: "4.2 Topics / Queues",
    values: [undefined, "queue legacy"]
  },
  {
    name: "an event field that went",
    after: withEvent(Schema.Struct({ tenantId: Schema.String })),
    what: "com.acme.order.placed data.orderId: field removed",
    kind: "breaking",
    section: "4.1 Event Schemas (CloudEvents 1.0)",
    says: ["breaks consumers"],
    migration: "previous"
  },
  {
    name: "an optional event field that came",
    after: withEvent(Schema.Struct({ ...Order.fields, note: Schema.optionalKey(Schema.String) })),
    what: "com.acme.order.placed data.note: optional field added",
    kind: "behavioural",
    section: "4.1 Event Schemas (CloudEvents 1.0)",
    says: ["compatible"]
  },
  {
    name: "a required event field that came",
    after: withEvent(Schema.Struct({ ...Order.fields, note: Schema.String })),
    what: "com.acme.order.placed data.note: required field added",
    kind: "breaking",
    section: "4.1 Event Schemas (CloudEvents 1.0)",
    says: ["what was written before"]
  },
  {
    name: "a version with upcasting",
    from: withEvent(Order, "https://acme.com/order/1"),
    after: withEvent(Schema.Struct({ ...Order.fields, note: Schema.String }), "https://acme.com/order/2", {
      "https://acme.com/order/1": { data: Order, upcast: (old: object) => ({ ...old, note: "" }) }
    }),
    what: "com.acme.order.placed data.note: required field added",
    kind: "breaking",
    section: "4.1 Event Schemas (CloudEvents 1.0)",
    migration: "are upcast: deploy the consumers before the publishers"
  },
  {
    name: "a ladder of a consumer",
    after: withChannel({}, {}, orderPlaced(), { retry: RetryPolicy.make({ delays: ["1 second", "30 seconds"] }) }),
    what: "redelivery ladder",
    kind: "behavioural",
    section: "4.2 Topics / Queues",
    values: ["1 s, 10 s, 1 min", "1 s, 30 s"],
    says: ["attempts 4 -> 3", "3m 11s -> 2m 1s"],
    migration: "delay queues of 10 s, 1 min"
  },
  {
    name: "a shorter window",
    after: withChannel({}, {}, orderPlaced(), { dedup: { window: "8 days" } }),
    what: "dedup window",
    kind: "behavioural",
    section: "4.4 Idempotency Strategy",
    values: ["14 days", "8 days"],
    says: ["not known any more"]
  },
  {
    name: "no dedup",
    after: withChannel({}, {}, orderPlaced(), { dedup: undefined }),
    what: "dedup",
    kind: "behavioural",
    section: "4.4 Idempotency Strategy",
    says: ["handled twice"]
  },
  {
    name: "a consumer that went",
    after: design({ consumers: [] }),
    what: "consumer removed",
    kind: "breaking",
    section: "4.2 Topics / Queues",
    migration: "delete the queues orders.billing"
  },
  {
    name: "a channel that came",
    from: design({ channels: [], consumers: [] }),
    after: design(),
    what: "channel added",
    kind: "behavioural",
    section: "4.2 Topics / Queues"
  },
  {
    name: "steps of a saga",
    after: design({ sagas: [saga((start) => start.step("mail", { ...done, ...undo }))] }),
    what: "saga steps",
    kind: "breaking",
    section: "5.2 Saga Pattern",
    values: ["reserve > ship!", "reserve > mail"],
    migration: "layerWith({ previous"
  },
  {
    name: "the timeout of a step",
    after: design({
      sagas: [
        saga((start) => start.step("ship", { ...done, irreversible: "the parcel has left", timeout: "5 seconds" }))
      ]
    }),
    what: "step ship: timeout",
    kind: "behavioural",
    section: "5.2 Saga Pattern",
    values: [undefined, "5 s"]
  },
  {
    name: "what a step is called in the diagram",
    after: design({ sagas: [saga((start) => start.step("ship", { ...done, irreversible: "gone" }))] }),
    what: "step ship: irreversible",
    kind: "documentation",
    section: "5.2 Saga Pattern",
    values: ["the parcel has left", "gone"]
  },
  {
    name: "the result of a step",
    after: design({
      sagas: [
        saga((start) =>
          start.step("ship", {
            success: Schema.String,
            run: () => Effect.succeed(""),
            irreversible: "the parcel has left"
          })
        )
      ]
    }),
    what: "result of ship: type",
    kind: "breaking",
    section: "5.2 Saga Pattern"
  },
  {
    name: "a total timeout below the worst case",
    after: withContract({ timeouts: { attempt: "2 seconds", total: "5 seconds" } }),
    what: "timeouts total",
    kind: "behavioural",
    section: "3.1 Timeout Configuration",
    values: ["10 s", "5 s"],
    says: ["worst case 9.3 s, over the total timeout of 5 s"]
  },
  {
    name: "a caller who waits less",
    after: withContract({}, { callerBudget: "5 seconds" }),
    what: "caller budget",
    kind: "documentation",
    section: "3.1 Timeout Configuration",
    says: ["worst case 9.3 s, over the 5 s that its caller waits"]
  },
  {
    name: "a field of a gRPC message behind the others",
    from: grpc("id"),
    after: grpc("id", "amount"),
    what: "messages Ask",
    kind: "behavioural",
    section: "3.2",
    says: ["compatible"]
  },
  {
    name: "a field of a gRPC message before the others",
    from: grpc("id"),
    after: grpc("amount", "id"),
    what: "messages Ask",
    kind: "breaking",
    section: "3.2",
    says: ["numbers of fields"]
  },
  {
    name: "a gRPC service that went",
    from: grpc("id"),
    after: design(),
    what: "service removed",
    kind: "breaking",
    section: "3.2"
  },
  {
    name: "an alert",
    after: design({ alerts: [{ condition: "circuit open", channels: ["Slack"], runbook: "r" }] }),
    what: "alerts dead letters",
    kind: "behavioural",
    section: "7.3 Alert Routing"
  },
  ...(
    [
      ["errorRate", { percent: 5 }, "error rate percent", ["2", "5"]],
      ["errorRate", { percent: 2, for: "1 minute" }, "error rate for", [undefined, "1 min"]],
      ["errorRate", { percent: 2, severity: "low" }, "error rate severity", [undefined, "low"]],
      ["latencyP99", { limit: "5 seconds" }, "latencyP99 limit", ["3 s", "5 s"]],
      ["lag", { messages: 7, age: "5 minutes" }, "lag messages", ["1000", "7"]],
      ["lag", { messages: 1000, age: "1 minute" }, "lag age", ["5 min", "1 min"]],
      ["outboxAge", { limit: "2 minutes" }, "outbox age limit", ["1 min", "2 min"]],
      ["sagaStuck", { severity: "low" }, "saga stuck", [undefined, "severity low"]],
      ["probeFailed", { severity: "low" }, "probe failed", [undefined, "severity low"]],
      ["circuitOpen", { severity: "low" }, "circuit open", [undefined, "severity low"]],
      ["deadLetters", { severity: "low" }, "dead letters", [undefined, "severity low"]]
    ] as const
  ).map(([field, value, what, values]): Case => ({
    name: `a limit: ${what}`,
    after: design({ monitoring: { ...design().monitoring, [field]: value } }),
    what: `monitoring ${what}`,
    kind: "behavioural",
    section: "7.1 Key Metrics",
    values,
    says: ["alert rules"]
  })),
  {
    name: "how often is probed",
    after: design({ probes: [{ name: "charge-one-cent", every: "1 minute" }] }),
    what: "probes charge-one-cent every",
    kind: "behavioural",
    section: "6.2 Integration Test Environments",
    values: ["5 min", "1 min"],
    says: ["noticed"]
  },
  {
    name: "the purpose",
    after: design({ purpose: "Orders are charged" }),
    what: "purpose",
    kind: "documentation",
    section: "1 Integration Overview & Context",
    values: [undefined, "Orders are charged"]
  },
  {
    name: "the objective",
    after: design({ rto: "2 hours" }),
    what: "acceptable downtime (RTO)",
    kind: "documentation",
    section: "1 Integration Overview & Context",
    values: ["1 h", "2 h"]
  }
]

describe("Diff", () => {
  for (const { after, from, kind, migration, name, says = [], section, values, what } of cases) {
    it(`${kind}: ${name}`, () => {
      const changes = diff(after, from)
      const found = changes.find(
        (change) => change.what === what && (values === undefined || change.after === values[1])
      )
      assert.isDefined(found, changes.map((change) => change.what).join("\n"))
      assert.strictEqual(found?.kind, kind)
      assert.strictEqual(found?.section, section)
      if (values !== undefined) assert.deepStrictEqual([found?.before, found?.after], [...values])
      for (const part of says) assert.include(found?.consequences.join("; "), part)
      if (migration !== undefined) assert.include(found?.migration, migration)
    })
  }

  it("no change gives no diff", () => {
    assert.deepStrictEqual(diff(design()), [])
    assert.strictEqual(Diff.toText([]), "No changes.\n")
    assert.strictEqual(Diff.exitCode([]), 0)
  })

  it("one change of meaning is said once", () => {
    assert.deepStrictEqual(
      diff(withContract({ rateLimit: { perMinute: 300, burst: 50, perDay: 100_000 } })).map(({ what }) => what),
      ["rate limit per minute"]
    )
    assert.deepStrictEqual(
      diff(design({ sagas: [saga((start) => start.step("mail", { ...done, ...undo }))] })).map(({ what }) => what),
      ["saga steps"]
    )
  })

  it("the worst comes first, and the text says it all", () => {
    const changes = diff(
      design({
        purpose: "Orders are charged",
        contracts: [
          {
            contract: contract({
              retry: RetryPolicy.exponential({ base: 100, cap: 2000, maxRetries: 5, jitter: "none" })
            }),
            keyRetention: "30 days"
          }
        ],
        channels: [{ channel: channel({ partitions: 16 }), replayHorizon: "7 days", processes: 4 }]
      })
    )
    assert.deepStrictEqual(
      changes.map(({ kind }) => kind),
      ["breaking", "behavioural", "documentation"]
    )
    assert.deepStrictEqual(Diff.toText(changes).split("\n"), [
      "breaking: orders: partitions 8 -> 16: keys move to other partitions: events of one key could overtake each other (4.2 Topics / Queues)",
      "  Migration: stop the publishers, let the consumers empty the queues orders.*, deploy, then start the publishers again; " +
        "delete the queues of partitions that are not there any more",
      "behavioural: payments: retry attempts 4 -> 6: +50 % requests while the provider fails; " +
        "worst case 9.3 s -> 15.1 s, over the total timeout of 10 s (3.1 Retry Policy)",
      "documentation: orders-to-payments: purpose none -> Orders are charged (1 Integration Overview & Context)",
      ""
    ])
    assert.strictEqual(Diff.exitCode(changes), 1)
  })

  it("a build fails at the kind that it is told", () => {
    const behavioural = diff(withContract({ retry: undefined }))
    assert.strictEqual(Diff.exitCode(behavioural), 0)
    assert.strictEqual(Diff.exitCode(behavioural, { failOn: "behavioural" }), 1)
    const words = diff(design({ purpose: "Orders" }))
    assert.strictEqual(Diff.exitCode(words, { failOn: "behavioural" }), 0)
    assert.strictEqual(Diff.exitCode(words, { failOn: "documentation" }), 1)
  })

  it("sections are those of the design, also in a snapshot that was read", () => {
    const two = (retry: RetryPolicy.RetryPolicy | undefined) =>
      design({
        contracts: [
          contract({ retry: ladder("100 millis") }),
          { contract: Object.assign(contract({ retry }), { key: "audit" }), keyRetention: "30 days" }
        ]
      })
    const [was, is] = [Snapshot.of(two(ladder("100 millis"))), Snapshot.of(two(undefined))]
    const changes = Diff.between(was, is)
    assert.deepStrictEqual(
      changes.map(({ section, subject }) => [section, subject]),
      [["3.2 Retry Policy", "audit"]]
    )
  })

  it("new credentials of one kind break nothing", () => {
    const rotated = Authentication.bearer([..."abc"].map((key) => Redacted.make(key)) as never)
    assert.deepStrictEqual(
      diff(withContract({ authentication: rotated })).map(({ kind }) => kind),
      ["behavioural"]
    )
  })
})
