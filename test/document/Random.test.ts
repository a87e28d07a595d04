import { assert, describe, it } from "@effect/vitest"
import { Config, Effect, Redacted, Schema } from "effect"
import flagship from "../../examples/orders-to-payments/design.ts"
import { Billing, Orders, OrderStatus, Settlements, Shipments } from "../../examples/orders-to-payments/orders.ts"
import { Payments } from "../../examples/orders-to-payments/payments.ts"
import { PlaceOrder } from "../../examples/orders-to-payments/placing.ts"
import { Integration } from "../../src/index.ts"
import { Html, Markdown } from "../../src/document/index.ts"
import { Authentication, HttpContract, StatusTable } from "../../src/http/index.ts"
import { Saga } from "../../src/saga/index.ts"
import { runs } from "../policy/observe.ts"
import { kindOf } from "./mermaid.ts"
import { diagramsOf, partsOf, tablesOf } from "./sections.ts"

const hostile = [
  "| a | b |\n|---|---|\n| c | d |",
  "```\n# Heading\n```mermaid\nflowchart LR",
  "<script>alert(1)</script><!-- <img src=x onerror=alert(1)> -->",
  "</svg></code></pre><style>*{display:none}</style>",
  'end"]; A --> B; %%{init: {"theme": "dark"}}%%',
  "# 1. Title\n- item\n> quote\n===\n---",
  "**bold** _it_ `code` ~~gone~~ $x$ [link](javascript:alert(1)) ![i](x)",
  "\\| \\\\| \\` `|` ``|``",
  "\u202eevil\u2066 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
  "&lt;b&gt; &#124; #59; #quot;",
  "https://user:hunter2@example.com/x?y=z",
  "x".repeat(10_000),
  "word ".repeat(2_000),
  "\ud800 \u0000 \u0007 \ufeff \u2028 \r\n\t",
  "1. one",
  "{{ braces }} {{",
  "+ plus",
  "participant A as B\nNote over A: x"
]

const Name = Schema.Union([Schema.Literals(hostile), Schema.NonEmptyString])
const Text = Name.check(Schema.makeFilter((text) => text.trim() !== ""))
const optional = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(schema)
const Day = Schema.Literals(["2026-01-31", "1999-12-01"])
const Time = Schema.Literals(["0 seconds", "1 millis", "3 days"])
const Longer = Schema.Literals(["1 millis", "90 seconds", "3 days"])
const Party = Schema.Struct({ system: Text, team: optional(Text), contact: optional(Text), service: optional(Text) })
const Severity = optional(Schema.Literals(Integration.severities))
const some = <S extends Schema.Constraint>(schema: S) => Schema.Array(schema).check(Schema.isMaxLength(3))

const Options = Schema.Struct({
  project: optional(Text),
  version: optional(Text),
  date: optional(Day),
  author: optional(Text),
  status: optional(Schema.Literals(Integration.statuses)),
  reviewers: optional(some(Text)),
  history: optional(some(Schema.Struct({ version: Text, date: Day, author: Text, changes: Text }))),
  kind: optional(Schema.Literals(Integration.kinds)),
  purpose: optional(Text),
  criticality: optional(Schema.Literals(Integration.criticalities)),
  impactIfDown: optional(Text),
  rto: optional(Time),
  rpo: optional(Time),
  parties: optional(Schema.Struct({ consumer: optional(Party), provider: optional(Party) })),
  topology: optional(
    Schema.Struct({ gateway: optional(Text), providerDatabase: optional(Text), worker: optional(Text) })
  ),
  pactBroker: optional(Text),
  scenarios: optional(
    Schema.Struct({
      happy: optional(some(Schema.Struct({ name: Text, expected: Text }))),
      error: optional(some(Schema.Struct({ name: Text, expected: Text })))
    })
  ),
  consistency: optional(
    some(
      Schema.Struct({
        data: Text,
        model: Schema.Literals(Integration.consistencies),
        acceptableLag: optional(Time)
      })
    )
  ),
  monitoring: optional(
    Schema.Struct({
      errorRate: optional(
        Schema.Struct({ percent: Schema.Literals([0, 2.5, 100]), for: optional(Longer), severity: Severity })
      ),
      latencyP99: optional(Schema.Struct({ limit: Longer, for: optional(Longer), severity: Severity })),
      lag: optional(
        Schema.Struct({ messages: optional(Schema.Literals([0, 7])), age: optional(Longer), severity: Severity })
      ),
      circuitOpen: optional(Schema.Struct({ severity: Severity })),
      deadLetters: optional(Schema.Struct({ severity: Severity })),
      outboxAge: optional(Schema.Struct({ limit: Longer, severity: Severity })),
      sagaStuck: optional(Schema.Struct({ severity: Severity })),
      probeFailed: optional(Schema.Struct({ severity: Severity })),
      dashboard: optional(Text)
    })
  ),
  tracing: optional(Schema.Struct({ tool: optional(Text), dashboard: optional(Text) })),
  alerts: optional(
    some(
      Schema.Struct({
        condition: Schema.Literals(Integration.conditions),
        channels: Schema.Tuple([Text]),
        escalation: optional(Text),
        investigateWithin: optional(Longer),
        runbook: optional(Text)
      })
    )
  ),
  approvals: optional(
    some(Schema.Struct({ role: Text, name: optional(Text), date: optional(Day), signature: optional(Text) }))
  ),
  acknowledged: optional(some(Schema.Struct({ finding: Text, reason: Text })))
})

/** Metrics are called by it, so that nothing of it can be left out. */
const shown = (name: string): string => name.replaceAll("hunter2", "")
/** Names whose metrics are the same are refused. */
const Probes = Schema.Array(Schema.Struct({ name: Text, every: Longer })).check(Schema.isMaxLength(1))
const Environments = some(
  Schema.Struct({ name: Text, purpose: Text, trigger: Text, sampling: optional(Schema.Literals([0, 0.1, 100])) })
)
const Agreed = Schema.Struct({
  direction: optional(Schema.Struct({ from: Text, to: Text })),
  rotation: optional(Schema.Struct({ every: Longer, process: Text })),
  baseUrl: optional(Text),
  tokenEndpoint: optional(Text),
  callerBudget: optional(Longer),
  keyRetention: optional(Longer)
})
const Published = Schema.Struct({
  producer: optional(Text),
  notes: optional(Text),
  durability: optional(Schema.Literals(Integration.durabilities)),
  replayHorizon: optional(Time),
  eventsPerMinute: optional(Schema.Literals([0, 0.5, 1_000_000])),
  processes: optional(Schema.Literals([1, 64]))
})
const Service = Schema.Struct({ direction: optional(Schema.Struct({ from: Text, to: Text })), name: Text })

/** Secrets wherever there may be some. */
class Secretive extends HttpContract.Service<Secretive>()(hostile.slice(0, 9).join(""), {
  api: Payments.contract.api as any,
  baseUrl: "https://user:hunter2@example.com",
  authentication: Authentication.clientCredentials({
    tokenUrl: "https://user:hunter2@example.com/token?key=hunter2",
    id: "hunter2-id",
    secret: [Redacted.make("hunter2"), Config.succeed(Redacted.make("hunter2"))]
  }),
  errors: StatusTable.standard
}) {}

const Odd = hostile.slice(0, 9).reduce<any>(
  (saga, name, index) =>
    saga.step(`${index} ${name.replaceAll(/[/!?~&>()]/g, "")}`, {
      run: () => Effect.void,
      ...(index === 7 ? { irreversible: name } : { compensate: () => Effect.void, compensation: name }),
      service: name,
      description: name
    }),
  Saga.make("odd", { payload: Schema.Struct({}), idempotencyKey: () => "1" })
)

/** A placeholder of the template, and not any brace: a name may have some. */
const defect = /undefined|\[object Object\]|\{\{[A-Z0-9_]+\}\}|\bNaN\b|hunter2/

const check = Effect.fnUntraced(function* (design: Integration.Integration) {
  const markdown = Markdown.render(design)
  assert.notMatch(markdown, defect)
  assert.isTrue(markdown.isWellFormed())
  assert.deepStrictEqual(
    partsOf(markdown)
      .map(({ path }) => path)
      .filter((path) => !path.includes(" > ")),
    [
      "Integration Design Document",
      "Document History",
      "1. Integration Overview & Context",
      "2. Integration Topology Diagram",
      "3. Service Contracts",
      "4. Event-Driven Integrations",
      "5. Data Consistency Patterns",
      "6. Integration Testing Strategy",
      "7. Monitoring & Alerting",
      "Approval",
      ...(design.acknowledged.length === 0 ? [] : ["Accepted Findings"])
    ]
  )
  for (const rows of tablesOf(markdown)) assert.strictEqual(new Set(rows).size, 1)
  const diagrams = diagramsOf(markdown)
  assert.strictEqual(diagrams.length, 1 + design.sagas.length)
  for (const diagram of diagrams) {
    assert.isBelow(diagram.length, 50_000)
    assert.include(["flowchart-v2", "sequence"], yield* kindOf(diagram))
  }
  const html = Html.render(design)
  assert.notMatch(html, /<script|<img|<iframe|hunter2|\bNaN\b|\[object Object\]|undefined/)
  assert.strictEqual(html.match(/<style/g)?.length, 1)
  assert.deepStrictEqual(unbalanced(html), [])
})

/** The elements of a page that are not closed in the order in which they were opened. */
const unbalanced = (html: string): ReadonlyArray<string> => {
  const open: Array<string> = []
  const wrong: Array<string> = []
  for (const [, end, name, , self] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:\s[^<>]*?)?)(\/?)>/g)) {
    if (self === "/" || ["meta", "br", "wbr"].includes(name!)) continue
    if (end === "") open.push(name!)
    else if (open.pop() !== name) wrong.push(name!)
  }
  return [...wrong, ...open]
}

describe("the document of any design", { timeout: 600_000 }, () => {
  it.effect.prop(
    "renders whole, whatever it is called",
    [Name, Options, Environments, Agreed, Published, Probes, Service, Schema.Literals([0, 1, 2, 3])],
    ([name, options, environments, agreed, published, probes, service, size]) =>
      check(
        Integration.make(`a ${name}`, {
          ...options,
          environments: environments.filter(
            (each, index) => environments.findIndex((other) => other.name === each.name) === index
          ),
          contracts: [
            { contract: Payments as unknown as HttpContract.Any, ...agreed },
            { contract: Secretive as unknown as HttpContract.Any, ...agreed }
          ].slice(0, size),
          channels: [Orders, Settlements, Shipments].slice(0, size).map((channel) => ({ channel, ...published })),
          consumers: [Billing, OrderStatus].slice(0, size),
          sagas: [PlaceOrder, Odd].slice(0, size),
          probes: probes.map((probe) => ({ ...probe, name: `a ${shown(probe.name)}` })),
          grpc: size < 2 ? [] : [{ ...flagship.grpc[0]!, ...service }]
        } as Integration.Options)
      ),
    { arbitrary: { runs: runs(60) } }
  )

  for (const [index, name] of hostile.entries()) {
    it.effect(`is not broken by name ${index}`, () =>
      check(
        Integration.make(`a ${name}`, {
          purpose: name,
          author: name,
          parties: { consumer: { system: name, team: name }, provider: { system: `${name}!`, contact: name } },
          topology: { gateway: name, worker: name, providerDatabase: name },
          contracts: [{ contract: Secretive as unknown as HttpContract.Any, baseUrl: name, tokenEndpoint: name }],
          channels: [{ channel: Orders, producer: name, notes: name }],
          scenarios: { happy: [{ name, expected: name }] },
          alerts: [{ condition: "dead letters", channels: [name], runbook: name }],
          acknowledged: [{ finding: name, reason: name }],
          sagas: [Odd],
          probes: [{ name: `a ${shown(name)}`, every: "1 minute" }],
          grpc: [{ ...flagship.grpc[0]!, name, direction: { from: name, to: name } }],
          environments: [{ name, purpose: name, trigger: name }],
          consistency: [{ data: name, model: "strong" }],
          tracing: { tool: name, dashboard: name },
          monitoring: { dashboard: name, outboxAge: { limit: "1 minute" } },
          approvals: [{ role: name, name, signature: name }],
          history: [{ version: name, date: "2026-01-31", author: name, changes: name }]
        })
      )
    )
  }
})
