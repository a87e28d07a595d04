import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { Integration } from "effect-integration"
import { Findings, Markdown } from "effect-integration/document"
import { Ordering } from "effect-integration/event"
import { Authentication, StatusTable } from "effect-integration/http"
import { ErrorAction, RetryPolicy } from "effect-integration/policy"
import { Saga } from "effect-integration/saga"
import { sources } from "../house/Sources.ts"
import { breaker, channel, consumer, contract, design, ladder, readOnly, routes, saga, Order } from "./parts.ts"

interface Case {
  readonly id: string
  readonly severity: Findings.Severity
  readonly section: string
  /** What the message must say: the numbers. */
  readonly says: ReadonlyArray<string>
  readonly raises: Integration.Integration
  /** The next design that is well. */
  readonly misses: Integration.Integration
}

type Over = Parameters<typeof contract>[0]
const withContract = (
  over: Over,
  beside: Partial<Integration.Contract> = {},
  rest: Partial<Integration.Options> = {}
) => design({ contracts: [{ contract: contract(over), keyRetention: "30 days", ...beside }], ...rest })
const withBreaker = (over: Partial<typeof breaker>, rest: Over = {}, options: Partial<Integration.Options> = {}) =>
  withContract({ breaker: { ...breaker, ...over }, ...rest }, {}, options)
const withChannel = (
  over: Parameters<typeof channel>[0],
  beside: Partial<Integration.Topic> = {},
  rest: Partial<Integration.Options> = {},
  group: Parameters<typeof consumer>[0] = {}
) => {
  const orders = channel(over)
  return design({
    channels: [{ channel: orders, replayHorizon: "7 days", processes: 4, ...beside }],
    consumers: [consumer(group, orders)],
    ...rest
  })
}
const withConsumer = (over: Parameters<typeof consumer>[0], rest: Partial<Integration.Options> = {}) =>
  design({ consumers: [consumer(over)], ...rest })
const withSaga = (build: NonNullable<Parameters<typeof saga>[0]>) => design({ sagas: [saga(build)] })
const without = (condition: Integration.Condition) => routes.filter((route) => route.condition !== condition)
const noRunbook = (condition: Integration.Condition) => [
  ...without(condition),
  { condition, channels: ["Slack #payments"] }
]
const limits: Integration.Monitoring = {
  errorRate: { percent: 2 },
  latencyP99: { limit: "3 seconds" },
  lag: { messages: 1000 },
  outboxAge: { limit: "1 minute" }
}
const done = { run: () => Effect.void }
const undo = { compensate: () => Effect.void }

const cases: ReadonlyArray<Case> = [
  {
    id: "no-time-limit/payments",
    severity: "warning",
    section: "3.1 Timeout Configuration",
    says: ["neither an attempt nor a total"],
    raises: withContract({ timeouts: { connect: "1 second" }, retry: undefined }),
    misses: withContract({ timeouts: { attempt: "1 second" }, retry: undefined })
  },
  {
    id: "retry-beyond-budget/payments",
    severity: "error",
    section: "3.1 Retry Policy",
    says: ["1 retry of 3", "10.4 s", "10 s"],
    raises: withContract({ retry: ladder("100 millis", "300 millis", "10 seconds") }),
    misses: withContract({
      retry: RetryPolicy.make({ delays: ["100 millis", "300 millis", "10 seconds"], jitter: "full" })
    })
  },
  {
    id: "worst-case-beyond-budget/payments",
    severity: "warning",
    section: "3.1 Retry Policy",
    says: ["4 attempts", "13.3 s", "3 s each", "10 s", "3 of them are begun"],
    raises: withContract({ timeouts: { attempt: "3 seconds", total: "10 seconds" } }),
    misses: withContract({ timeouts: { attempt: "2175 millis", total: "10 seconds" } })
  },
  {
    id: "call-beyond-caller/payments",
    severity: "error",
    section: "3.1 Timeout Configuration",
    says: ["9.3 s", "5 s"],
    raises: withContract({}, { callerBudget: "5 seconds" }),
    misses: withContract({}, { callerBudget: "9300 millis" })
  },
  {
    id: "retry-not-idempotent/payments",
    severity: "warning",
    section: "3.1 Retry Policy",
    says: ["POST /v1/charges", "3 retries"],
    raises: withContract({ idempotent: undefined }),
    misses: withContract({ idempotent: undefined, api: readOnly })
  },
  {
    id: "rows-without-retry/payments",
    severity: "note",
    section: "3.1 Retry Policy",
    says: ["429", "503"],
    raises: withContract({ retry: undefined }),
    misses: withContract({ retry: ladder("100 millis") })
  },
  {
    id: "breaker-never-trips/payments",
    severity: "error",
    section: "3.1 Circuit Breaker Configuration",
    says: ["601 calls", "10 s", "600"],
    raises: withBreaker({ minimumCalls: 601 }, { rateLimit: { perMinute: 600, burst: 600 } }),
    misses: withBreaker({ minimumCalls: 600 }, { rateLimit: { perMinute: 600, burst: 600 } })
  },
  {
    id: "breaker-blind-to-hangs/payments",
    severity: "warning",
    section: "3.1 Circuit Breaker Configuration",
    says: ["2 calls", "2 s", "12", "13"],
    raises: withBreaker({ minimumCalls: 13 }, { bulkhead: { maxConcurrent: 2 } }),
    misses: withBreaker({ minimumCalls: 12 }, { bulkhead: { maxConcurrent: 2 } })
  },
  {
    id: "breaker-flaps/payments",
    severity: "warning",
    section: "3.1 Circuit Breaker Configuration",
    says: ["4 attempts", "3 calls", "never run"],
    raises: withBreaker({ minimumCalls: 3 }),
    misses: withBreaker({ minimumCalls: 5 })
  },
  {
    id: "breaker-flaps/payments",
    severity: "warning",
    section: "3.1 Circuit Breaker Configuration",
    says: ["1 s", "2 s"],
    raises: withBreaker({ openFor: "1 second" }),
    misses: withBreaker({ openFor: "2 seconds" })
  },
  {
    id: "breaker-flaps/payments",
    severity: "warning",
    section: "3.1 Circuit Breaker Configuration",
    says: ["2 attempts"],
    raises: withBreaker({ minimumCalls: 2, window: "11 seconds" }, { retry: ladder("10 seconds"), timeouts: {} }),
    misses: withBreaker({ minimumCalls: 2, window: "10 seconds" }, { retry: ladder("10 seconds"), timeouts: {} })
  },
  {
    id: "probe-shorter-than-attempt/payments",
    severity: "warning",
    section: "3.1 Circuit Breaker Configuration",
    says: ["1 s", "2 s"],
    raises: withBreaker({ probeTimeout: "1 second" }),
    misses: withBreaker({ probeTimeout: "2 seconds" })
  },
  {
    id: "refresh-without-credentials/payments",
    severity: "warning",
    section: "3.1 Error Handling",
    says: ["401", "one bearer credential"],
    raises: withContract({ authentication: Authentication.bearer(Redacted.make("only")) }),
    misses: withContract({
      authentication: Authentication.bearer(Redacted.make("only")),
      errors: StatusTable.override(StatusTable.standard, {
        401: StatusTable.row(StatusTable.Unauthorized, "UNAUTHORIZED", ErrorAction.fail)
      }) as typeof StatusTable.standard
    })
  },
  {
    id: "refresh-without-credentials/payments",
    severity: "warning",
    section: "3.1 Error Handling",
    says: ["sends none"],
    raises: withContract({ authentication: undefined }),
    misses: withContract({
      authentication: Authentication.clientCredentials({
        tokenUrl: "https://id.acme.com/token",
        id: "orders",
        secret: Redacted.make("s")
      })
    })
  },
  {
    id: "rto-below-open-time/payments",
    severity: "error",
    section: "3.1 Circuit Breaker Configuration",
    says: ["30 s", "20 s"],
    raises: design({ rto: "20 seconds" }),
    misses: design({ rto: "30 seconds" })
  },
  {
    id: "rto-below-alert/payments",
    severity: "error",
    section: "3.1 Circuit Breaker Configuration",
    says: ["2 h", "15 min", "1 h"],
    raises: withBreaker({ alertAfter: "2 hours" }),
    misses: withBreaker({ alertAfter: "44 minutes" })
  },
  {
    id: "rto-below-alert/payments",
    severity: "warning",
    section: "3.1 Circuit Breaker Configuration",
    says: ["nobody is told"],
    raises: design({
      contracts: [
        { contract: contract({ breaker: { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" } }) }
      ]
    }),
    misses: withBreaker({})
  },
  {
    id: "retries-multiply/billing/payments",
    severity: "note",
    section: "3.1 Retry Policy",
    says: ["5 x 4 = 20 requests", "108.2 s", "200"],
    raises: design(),
    misses: withConsumer({ retry: undefined })
  },
  {
    id: "retries-multiply/billing/payments",
    severity: "note",
    section: "3.1 Retry Policy",
    says: ["billing"],
    raises: withContract({}, { callers: ["billing"] }),
    misses: withContract({}, { callers: ["place-order"] })
  },
  {
    id: "call-beyond-handler/billing/payments",
    severity: "warning",
    section: "3.1 Timeout Configuration",
    says: ["9.3 s", "9 s"],
    raises: withConsumer({ timeout: "9 seconds" }),
    misses: withConsumer({ timeout: "9300 millis" })
  },
  {
    id: "key-retention-short/payments",
    severity: "error",
    section: "3.1 Retry Policy",
    says: ["1 day", "7d 3m 11s", "3m 11s", "7 days"],
    raises: withContract({}, { keyRetention: "1 day" }),
    misses: withContract({}, { keyRetention: "169 hours" })
  },
  {
    id: "key-retention-unknown/payments",
    severity: "note",
    section: "3.1 Retry Policy",
    says: ["7d 3m 11s"],
    raises: design({ contracts: [contract()] }),
    misses: design({ contracts: [contract({ idempotent: undefined })] })
  },
  {
    id: "no-dedup/billing",
    severity: "warning",
    section: "4.4 Idempotency Strategy",
    says: ["at least once"],
    raises: withConsumer({ dedup: undefined }),
    misses: design()
  },
  {
    id: "dedup-window/billing",
    severity: "error",
    section: "4.4 Idempotency Strategy",
    says: ["7 days", "7d 3m 11s"],
    raises: withConsumer({ dedup: { window: "7 days" } }),
    misses: withConsumer({ dedup: { window: "604991 seconds" } })
  },
  {
    id: "dedup-window/billing",
    severity: "warning",
    section: "4.4 Idempotency Strategy",
    says: ["14 days", "30 days"],
    raises: withChannel({}, { replayHorizon: "30 days" }),
    misses: withChannel({}, { replayHorizon: "13 days" })
  },
  {
    id: "dedup-window/billing",
    severity: "note",
    section: "4.4 Idempotency Strategy",
    says: ["14 days", "without end"],
    raises: design({ channels: [{ channel: channel(), processes: 4 }] }),
    misses: design()
  },
  {
    id: "held-beyond-broker/billing",
    severity: "error",
    section: "4.2 Topics / Queues",
    says: ["30 min", "34 min"],
    raises: withConsumer({ hold: "30 minutes" }),
    misses: withConsumer({ hold: "26 minutes" })
  },
  {
    id: "held-beyond-broker/billing",
    severity: "warning",
    section: "4.2 Topics / Queues",
    says: ["42 min", "64 in 1 partitions"],
    raises: withChannel({ partitions: 1 }, { processes: 1 }),
    misses: withChannel({ partitions: 1 }, { processes: 1 }, {}, { prefetch: 40 })
  },
  {
    id: "retention-below-outage/orders",
    severity: "error",
    section: "4.2 Topics / Queues",
    says: ["59 min", "1 h"],
    raises: withChannel({ retention: "59 minutes" }),
    misses: withChannel({ retention: "1 hour" })
  },
  {
    id: "capacity-below-outage/orders",
    severity: "warning",
    section: "4.2 Topics / Queues",
    says: ["1000 messages", "10 min", "100 events a minute"],
    raises: withChannel({ retention: { maxMessages: 1000 } }, { eventsPerMinute: 100 }),
    misses: withChannel({ retention: { maxMessages: 6000 } }, { eventsPerMinute: 100 })
  },
  {
    id: "dead-letters-discarded/orders",
    severity: "warning",
    section: "4.2 Topics / Queues",
    says: ["30 days", "RPO 0"],
    raises: withChannel({ deadLetters: { maxAge: "30 days" } }),
    misses: withChannel({ deadLetters: {} })
  },
  {
    id: "dead-letters-discarded/orders",
    severity: "error",
    section: "4.2 Topics / Queues",
    says: ["10 min", "15 min"],
    raises: withChannel({ deadLetters: { maxAge: "10 minutes" } }),
    misses: withChannel({ deadLetters: {} })
  },
  {
    id: "rpo-not-durable/orders",
    severity: "error",
    section: "4.2 Topics / Queues",
    says: ["RPO 0", "in memory"],
    raises: withChannel({}, { durability: "memory" }),
    misses: withChannel({}, { durability: "replicated" })
  },
  {
    id: "rpo-not-durable/orders",
    severity: "warning",
    section: "4.2 Topics / Queues",
    says: ["one machine"],
    raises: withChannel({}, { durability: "disk" }),
    misses: withChannel({}, { durability: "disk" }, { rpo: "1 minute" })
  },
  {
    id: "rpo-not-durable/orders",
    severity: "warning",
    section: "4.2 Topics / Queues",
    says: ["legacy"],
    raises: withChannel({ ordering: Ordering.none, partitions: 1, existing: { queue: "legacy" } }),
    misses: withChannel(
      { ordering: Ordering.none, partitions: 1, existing: { queue: "legacy" } },
      { durability: "replicated" }
    )
  },
  {
    id: "too-few-partitions/orders",
    severity: "warning",
    section: "4.3 Ordering Guarantees",
    says: ["8 of", "9 processes", "1 of them"],
    raises: withChannel({}, { processes: 9 }),
    misses: withChannel({}, { processes: 8 })
  },
  {
    id: "too-few-partitions/orders",
    severity: "warning",
    section: "4.3 Ordering Guarantees",
    says: ["one partition"],
    raises: design({ channels: [channel({ partitions: 1 })] }),
    misses: design({ channels: [channel({ partitions: 2 })] })
  },
  {
    id: "strict-on-existing/orders",
    severity: "warning",
    section: "4.3 Ordering Guarantees",
    says: ["legacy"],
    raises: withChannel({ partitions: 1, existing: { queue: "legacy" } }),
    misses: withChannel({ partitions: 1, existing: { queue: "legacy" }, ordering: Ordering.none })
  },
  {
    id: "ladder-breaks-order/billing",
    severity: "note",
    section: "4.3 Ordering Guarantees",
    says: ["71 s"],
    raises: withChannel({ partitions: 1, ordering: Ordering.bestEffort }),
    misses: withChannel({ partitions: 1, ordering: Ordering.bestEffort }, {}, {}, { retry: undefined })
  },
  {
    id: "ladder-beyond-lag/billing",
    severity: "warning",
    section: "4.3 Ordering Guarantees",
    says: ["tenantId", "3m 11s", "3 min"],
    raises: withChannel({ acceptableLag: "3 minutes" }),
    misses: withChannel({ acceptableLag: "191 seconds" })
  },
  {
    id: "irreversible-too-early/place-order",
    severity: "error",
    section: "5.2 Saga Pattern",
    says: ["ship cannot be undone", "mail can fail (not tried again)"],
    raises: withSaga((start) =>
      start.step("ship", { ...done, irreversible: "gone" }).step("mail", { ...done, ...undo })
    ),
    misses: withSaga((start) =>
      start.step("mail", { ...done, ...undo }).step("ship", { ...done, irreversible: "gone" })
    )
  },
  {
    id: "irreversible-too-early/place-order",
    severity: "warning",
    section: "5.2 Saga Pattern",
    says: ["tried again 1 x", "paid may not come within 3 days"],
    raises: withSaga((start) =>
      start
        .step("ship", { ...done, irreversible: "gone" })
        .parallel((group) => group.step("mail", { ...done, ...undo, retry: ladder("1 hour") }))
        .waitFor("paid", { success: Schema.String, deadline: "3 days" })
    ),
    misses: withSaga((start) =>
      start
        .step("ship", { ...done, irreversible: "gone" })
        .delay("cool off", "1 hour")
        .step("mail", { ...done, ...undo, error: Schema.Never })
    )
  },
  {
    id: "no-owner/consumer",
    severity: "error",
    section: "1 Integration Overview & Context",
    says: ["critical"],
    raises: design({ parties: { consumer: { system: "orders" } } }),
    misses: design({ parties: { consumer: { system: "orders" } }, criticality: "medium" })
  },
  {
    id: "no-objectives/integration",
    severity: "note",
    section: "1 Integration Overview & Context",
    says: ["data loss (RPO)"],
    raises: Integration.make("small", { criticality: "high", rto: "1 hour" }),
    misses: Integration.make("small", { criticality: "high", rto: "1 hour", rpo: 0 })
  },
  {
    id: "events-ignored/orders",
    severity: "warning",
    section: "4.2 Topics / Queues",
    says: ["dropped"],
    raises: withChannel({ unknownEvents: "ignore" }),
    misses: withChannel({ unknownEvents: "dead-letter" })
  },
  ...(["circuit open", "dead letters", "saga stuck", "outbox age", "probe failed"] as const).flatMap(
    (condition): ReadonlyArray<Case> => [
      {
        id: `no-alert/${condition.replace(" ", "-")}`,
        severity: "error",
        section: "7.3 Alert Routing",
        says: ["nobody is told"],
        raises: design({ alerts: without(condition) }),
        misses: design({ alerts: noRunbook(condition) })
      },
      {
        id: `no-runbook/${condition.replace(" ", "-")}`,
        severity: "warning",
        section: "7.3 Alert Routing",
        says: ["no runbook"],
        raises: design({ alerts: noRunbook(condition) }),
        misses: design()
      }
    ]
  ),
  ...(["error rate", "latency", "consumer lag", "engineering", "escalation"] as const).map((condition): Case => ({
    id: `no-alert/${condition.replace(" ", "-")}`,
    severity: "warning",
    section: "7.3 Alert Routing",
    says: ["nobody is told"],
    raises: design({ alerts: without(condition) }),
    misses: design({ alerts: noRunbook(condition) })
  })),
  ...(
    [
      ["error-rate", { ...limits, errorRate: undefined }],
      ["latency", { ...limits, latencyP99: undefined }],
      ["consumer-lag", { ...limits, lag: {} }],
      ["outbox-age", { ...limits, outboxAge: undefined }]
    ] as const
  ).map(([condition, monitoring]): Case => ({
    id: `alert-never-fires/${condition}`,
    severity: "warning",
    section: "7.3 Alert Routing",
    says: ["no rule"],
    raises: design({ monitoring: monitoring as Integration.Monitoring }),
    misses: design({ monitoring: limits })
  })),
  {
    id: "alert-never-fires/probe-failed",
    severity: "warning",
    section: "7.3 Alert Routing",
    says: ["no rule"],
    raises: design({ probes: [] }),
    misses: design()
  },
  {
    id: "rto-below-probe/rare",
    severity: "warning",
    section: "6.2 Integration Test Environments",
    says: ["1 h", "every 1 h"],
    raises: design({ probes: [{ name: "rare", every: "1 hour" }] }),
    misses: design({ probes: [{ name: "rare", every: "59 minutes" }] })
  },
  {
    id: "acknowledged-unknown/retry-beyond-budget/payments",
    severity: "note",
    section: "1 Integration Overview & Context",
    says: ["retry-beyond-budget/payments"],
    raises: design({ acknowledged: [{ finding: "retry-beyond-budget/payments", reason: "once" }] }),
    misses: withContract(
      { retry: ladder("10 seconds") },
      {},
      { acknowledged: [{ finding: "retry-beyond-budget/payments", reason: "once" }] }
    )
  }
]

const find = (value: Integration.Integration, id: string) => Findings.of(value).find((finding) => finding.id === id)

describe("Findings", () => {
  for (const { id, misses, raises, says, section, severity } of cases) {
    it(`${severity} ${id}: ${says[0]}`, () => {
      const found = find(raises, id)
      assert.isDefined(found, `${id} was not raised`)
      assert.strictEqual(found?.severity, severity)
      assert.strictEqual(found?.section, section)
      for (const part of says) assert.include(found?.message, part)
      const near = find(misses, id)
      assert.isUndefined(near, `the near miss has it too: ${near?.message}`)
    })
  }

  it("a design that adds up has notes only", () => {
    assert.deepStrictEqual(
      Findings.of(design()).filter(({ severity }) => severity !== "note"),
      []
    )
    assert.deepStrictEqual(Findings.of(Integration.make("small", {})), [])
  })

  it("each that there is has a design that raises it, and a near miss", () => {
    const source = [...sources()].filter(([file]) => file.startsWith("document/internal/findings/"))
    // However an id is written, what stands before the slash is in the source.
    const kinds = source.flatMap(([, text]) => Array.from(text.matchAll(/\bid: ["`]([^"`$]*)/g), ([, id]) => id!))
    const written = source.flatMap(([, text]) => text.match(/\bid: (?!string)/g) ?? [])
    assert.strictEqual(kinds.length, written.length)
    assert.isAbove(kinds.length, 30)
    const tried = new Set(cases.map(({ id }) => `${id.split("/")[0]}/`))
    assert.deepStrictEqual(
      [...new Set(kinds)].map((kind) => `${kind.split("/")[0]}/`).filter((kind) => !tried.has(kind)),
      []
    )
  })

  it("ids are given once, and every finding says what to do", () => {
    for (const { raises } of cases) {
      const found = Findings.of(raises)
      assert.strictEqual(new Set(found.map(({ id }) => id)).size, found.length)
      for (const { message, remedy } of found) {
        assert.notMatch(`${message} ${remedy}`, /undefined|NaN|\[object|Infinity/)
        assert.isAbove(remedy.length, 10)
      }
    }
  })

  const Some = Schema.Struct({
    delays: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20_000 }))).check(
      Schema.isMaxLength(5)
    ),
    attempt: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20_000 })),
    more: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20_000 })),
    jitter: Schema.Literals(["none", "equal", "full"]),
    minimumCalls: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2_000 })),
    burst: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 300 })),
    window: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 120_000 })),
    rto: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 }))
  })
  it.effect.prop(
    "any numbers give findings that can be read, and as the arithmetic has it",
    [Some],
    ([{ attempt, burst, delays, jitter, minimumCalls, more, rto, window }]) =>
      Effect.sync(() => {
        const total = attempt + more
        const found = Findings.of(
          withContract(
            {
              retry: RetryPolicy.make({ delays, jitter }),
              timeouts: { attempt, total },
              breaker: { ...breaker, minimumCalls, window },
              rateLimit: { burst, perMinute: 300 }
            },
            {},
            { rto }
          )
        )
        assert.notMatch(Findings.toText(found), /undefined|NaN|\[object|Infinity/)
        const least = delays.map((delay) => (jitter === "full" ? 0 : jitter === "equal" ? delay / 2 : delay))
        const never = least.reduce((sum, delay) => sum + delay, 0) >= total && delays.length > 0
        const slow = delays.reduce((sum, delay) => sum + delay + attempt, attempt) > total
        const has = (name: string) => found.some(({ id }) => id === `${name}/payments`)
        assert.strictEqual(has("retry-beyond-budget"), never)
        assert.strictEqual(has("worst-case-beyond-budget"), slow && !never)
        const sent = Math.min(burst * Math.ceil(window / 1_000), 300 * Math.ceil(window / 60_000))
        assert.strictEqual(has("breaker-never-trips"), minimumCalls > sent)
      }),
    { arbitrary: { runs: 200 } }
  )

  it("sections are those of the document", () => {
    const headings = Markdown.render(design())
      .split("\n")
      .flatMap((each) => (each.startsWith("#") ? [each.replace(/^#+ /, "").replace(/^(\d+)\. /, "$1 ")] : []))
    for (const { section } of cases) {
      const [, number, title] = /^(\S+) (.*)$/.exec(section) ?? []
      const within = headings.some((each) => each.startsWith(`${number} `))
      assert.isTrue(within, `no section ${number}`)
      const named = headings.some((each) => each.replaceAll("\\", "").includes(title ?? ""))
      assert.isTrue(named, `no section called ${title}:\n${headings.join("\n")}`)
    }
  })

  it("errors come first, then by section", () => {
    const broken = design({
      rto: "20 seconds",
      contracts: [contract({ retry: ladder("10 seconds"), idempotent: undefined })]
    })
    const found = Findings.of(broken)
    const ranks = found.map(({ severity }) => Findings.severities.indexOf(severity))
    assert.deepStrictEqual(ranks, ranks.toSorted())
    const errors = found.filter(({ severity }) => severity === "error").map(({ section }) => section)
    assert.deepStrictEqual(errors, [
      "3.1 Circuit Breaker Configuration",
      "3.1 Circuit Breaker Configuration",
      "3.1 Retry Policy"
    ])
  })

  it("an acknowledgement attaches its reason and lets the build pass", () => {
    const options = { contracts: [contract({ retry: ladder("10 seconds") })] }
    const open = Findings.of(design(options))
    assert.strictEqual(Findings.exitCode(open), 1)
    const known = Findings.of(
      design({
        ...options,
        acknowledged: [{ finding: "retry-beyond-budget/payments", reason: "until the next release" }]
      })
    )
    const found = known.find(({ id }) => id === "retry-beyond-budget/payments")
    assert.strictEqual(found?.acknowledged, "until the next release")
    assert.strictEqual(Findings.exitCode(known), 0)
    assert.strictEqual(Findings.open(known).length, known.length - 1)
    assert.include(Findings.toText(known), "Acknowledged: until the next release")
  })

  it("prints in plain text, whatever the names are", () => {
    assert.strictEqual(Findings.toText([]), "No findings.\n")
    const hostile = design({ acknowledged: [{ finding: "a\u001b[31m\nb\u202Ec", reason: "r" }] })
    const text = Findings.toText(Findings.of(hostile))
    for (const character of ["\u001b", "\u202E"]) assert.notInclude(text, character)
    assert.include(text, "note: acknowledged-unknown/a [31m b c (1 Integration Overview & Context)")
  })

  it("limits count to the last millisecond, and severities with them", () => {
    const severity = (value: Integration.Integration, id: string) => find(value, id)?.severity
    const alert = "rto-below-alert/payments"
    assert.strictEqual(severity(withBreaker({ alertAfter: "45 minutes" }), alert), "warning")
    assert.strictEqual(severity(withBreaker({ alertAfter: "1 hour" }), alert), "error")
    const letters = (maxAge: "15 minutes" | "16 minutes", rest = {}) =>
      severity(withChannel({ deadLetters: { maxAge } }, {}, rest), "dead-letters-discarded/orders")
    assert.strictEqual(letters("15 minutes"), "error")
    assert.strictEqual(letters("16 minutes"), "warning")
    assert.strictEqual(letters("16 minutes", { rpo: undefined }), "note")
    const memory = (rpo: "59 seconds" | "1 minute") =>
      severity(withChannel({ acceptableLag: "1 minute" }, { durability: "memory" }, { rpo }), "rpo-not-durable/orders")
    assert.strictEqual(memory("59 seconds"), "error")
    assert.isUndefined(memory("1 minute"))
    const held = (hold: "1770 seconds" | "1771 seconds") =>
      severity(withChannel({ partitions: 1, ordering: Ordering.none }, {}, {}, { hold }), "held-beyond-broker/billing")
    assert.isUndefined(held("1770 seconds"))
    assert.strictEqual(held("1771 seconds"), "error")
    const trips = (minimumCalls: number) =>
      severity(
        withBreaker(
          { minimumCalls },
          { rateLimit: { burst: 10 }, timeouts: { attempt: "2 seconds", total: "10 seconds" } }
        ),
        "breaker-never-trips/payments"
      )
    assert.deepStrictEqual([100, 101, 120, 121].map(trips), [undefined, "warning", "warning", "error"])
  })

  it("the remedies say what is enough", () => {
    const window = find(withConsumer({ dedup: { window: "1 day" } }), "dedup-window/billing")
    assert.include(window?.remedy, "7d 3m 11s")
    const replay = find(withChannel({}, { replayHorizon: "30 days" }), "dedup-window/billing")
    assert.include(replay?.remedy, "30d 3m 11s")
    const single = withContract({ authentication: Authentication.bearer(Redacted.make("only")) })
    assert.include(find(single, "retries-multiply/billing/payments")?.message, "4 x 4 = 16 requests")
  })

  it("a saga asks for the keys of its steps, and of the time that it is down", () => {
    const slow = [
      saga((start) =>
        start.parallel((group) => group.step("pay", { ...done, ...undo, retry: ladder("1 hour"), timeout: "1 minute" }))
      )
    ]
    const keys = (keyRetention: "10919 seconds" | "182 minutes") =>
      find(
        design({
          contracts: [{ contract: contract(), keyRetention }],
          consumers: [],
          channels: [],
          sagas: slow,
          rto: "2 hours"
        }),
        "key-retention-short/payments"
      )
    // Two attempts of a minute, an hour between them, and two hours down.
    assert.isUndefined(keys("182 minutes"))
    assert.include(keys("10919 seconds")?.message, "a step of place-order, 62 min, and downtime, 2 h")
  })

  it("the first step may be the one that cannot be undone", () => {
    const first = Saga.make("place-order", { payload: Order, idempotencyKey: ({ orderId }) => orderId })
      .step("ship", { ...done, irreversible: "gone" })
      .step("mail", { ...done, ...undo })
    assert.strictEqual(find(design({ sagas: [first] }), "irreversible-too-early/place-order")?.severity, "error")
  })

  it("nobody is to be told of what cannot happen", () => {
    const small = Integration.make("small", { criticality: "critical", rto: "1 hour", rpo: 0 })
    assert.deepStrictEqual(
      Findings.of(small).map(({ id }) => id),
      ["no-owner/consumer"]
    )
  })

  it("what findings need is checked when the design is made", () => {
    const rejects = (make: () => unknown, option: string) => assert.throws(make, `Integration.make: ${option}`)
    const orders = channel()
    rejects(() => design({ contracts: [{ contract: contract(), callers: ["nobody"] }] }), "contracts[0].callers")
    rejects(() => design({ contracts: [{ contract: contract(), callerBudget: 0 }] }), "contracts[0].callerBudget")
    rejects(() => design({ contracts: [{ contract: contract(), keyRetention: -1 }] }), "contracts[0].keyRetention")
    rejects(() => design({ channels: [{ channel: orders, durability: "tape" as never }] }), "channels[0].durability")
    rejects(() => design({ channels: [{ channel: orders, replayHorizon: -1 }] }), "channels[0].replayHorizon")
    rejects(() => design({ channels: [{ channel: orders, eventsPerMinute: -1 }] }), "channels[0].eventsPerMinute")
    rejects(() => design({ channels: [{ channel: orders, processes: 0 }] }), "channels[0].processes")
  })

  it("only warnings fail a strict build", () => {
    const warned = withConsumer({ dedup: undefined })
    assert.strictEqual(Findings.exitCode(Findings.of(warned)), 0)
    assert.strictEqual(Findings.exitCode(Findings.of(warned), { strict: true }), 1)
    assert.strictEqual(Findings.exitCode(Findings.of(design()), { strict: true }), 0)
  })
})
