import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpApi } from "effect/http-api"
import flagship from "../../examples/orders-to-payments/design.ts"
import { Integration } from "../../src/index.ts"
import { Topology } from "../../src/document/index.ts"
import { Channel, EventType } from "../../src/event/index.ts"
import { HttpContract, StatusTable } from "../../src/http/index.ts"
import { RetryPolicy } from "../../src/policy/index.ts"
import { kindOf } from "./mermaid.ts"

const Happened = EventType.make("happened", { source: "/x", data: Schema.Struct({ id: Schema.String }) })
const Letters = Channel.make("topology-letters", [Happened], { consumers: ["readers"] })
const options = { api: HttpApi.make("api"), baseUrl: "https://x.example.com", errors: StatusTable.standard }
class Plain extends HttpContract.Service<Plain>()("topology plain", options) {}
class Guarded extends HttpContract.Service<Guarded>()("topology guarded", {
  ...options,
  retry: RetryPolicy.make({ delays: ["1 second"] }),
  breaker: { failurePercent: 50, window: "1 second", openFor: "1 second" }
}) {}

const draw = (given: Integration.Options) => Topology.flowchart(Integration.make("topology", given))
const parties = { consumer: { system: "shop" }, provider: { system: "bank", service: "api" } }

const parses = (source: string) => Effect.map(kindOf(source), (kind) => assert.strictEqual(kind, "flowchart-v2"))

describe("a topology", () => {
  it("has only what the design has", () => {
    const bare = draw({ parties, contracts: [Plain] })
    assert.strictEqual(
      bare,
      [
        "flowchart LR",
        '  subgraph ConsumerSide["Consumer — shop"]',
        '    C_SVC["shop"]',
        "  end",
        '  subgraph ProviderSide["Provider — bank"]',
        '    P_SVC["api"]',
        "  end",
        '  C_SVC -->|"HTTPS REST"| P_SVC'
      ].join("\n")
    )
    const full = draw({
      parties,
      contracts: [Guarded],
      topology: { gateway: "gateway", providerDatabase: "db", worker: "worker" },
      channels: [{ channel: Letters, producer: "worker" }],
      alerts: [
        { condition: "dead letters", channels: ["pager"] },
        { condition: "latency", channels: ["nobody here"] }
      ]
    })
    for (const text of [
      "  C_SVC --> CB1",
      "  CB1 --> RETRY1",
      '  RETRY1 -->|"HTTPS REST"| GW',
      "  GW --> P_SVC",
      '    P_DB[("db")]',
      '  P_WORKER -->|"Publish"| Q1_1',
      '    Q1_1["Message Queue<br/>topology-letters.readers"]',
      '  Q1_1 -->|"Failed"| DLQ1_1',
      '    DLQ1_1["Dead Letter Queue<br/>topology-letters.readers.dead"]',
      '  DLQ1_1 -->|"Alert"| A1',
      '    A1["pager"]'
    ]) {
      assert.include(full, text)
    }
    assert.notInclude(full, "nobody here")
    for (const word of ["Circuit Breaker", "Retry Handler", "Queue", "Alert", "Gateway"]) assert.notInclude(bare, word)
  })

  it("has who a contract or channel names, on either side", () => {
    const drawn = draw({
      parties,
      contracts: [{ contract: Guarded, direction: { from: "bank", to: "auditor" } }],
      channels: [{ channel: Letters, producer: "printer" }]
    })
    assert.match(drawn, /subgraph ProviderSide[^]*CB1[^]*end\n {2}subgraph Others/)
    assert.include(drawn, '    X1["auditor"]\n    X2["printer"]\n    X3["readers"]')
    assert.include(drawn, '  RETRY1 -->|"HTTPS REST"| X1')
  })

  it.effect("is what the parser of Mermaid takes", () =>
    Effect.gen(function* () {
      yield* parses(draw({}))
      yield* parses(Topology.flowchart(flagship))
      for (const name of ['end"]; x --> y', "`a`", "1. one", "- two", "<b>&amp;</b> #35; %%{init: {}}%%", '\\"|']) {
        yield* parses(draw({ parties: { consumer: { system: name }, provider: { system: name } } }))
      }
    })
  )
})

describe("a gRPC service", () => {
  const messages = { Ask: [{ type: "string", name: "id" }] }
  const methods = [{ name: "Get", request: "Ask", response: "google.protobuf.Empty" }]
  const make = (service: Partial<Integration.GrpcService>) => () =>
    Integration.make("grpc", { grpc: [{ name: "stock", service: "Stock", methods, messages, ...service }] })

  it("is refused where it is none of a proto file, with the path of the field", () => {
    make({
      messages: {
        Ask: [
          { type: "map<string, int32>", name: "counts" },
          { type: "repeated a.B", name: "bs" }
        ]
      }
    })()
    assert.throws(make({ service: "a b" }), "grpc[0].service")
    assert.throws(make({ name: " " }), "grpc[0].name")
    assert.throws(make({ methods: [{ ...methods[0]!, name: "get()" }] }), "grpc[0].methods[0].name")
    assert.throws(make({ methods: [{ ...methods[0]!, request: "Other" }] }), "grpc[0].methods[0].request")
    assert.throws(make({ messages: { Ask: [{ type: "string;", name: "id" }] } }), "grpc[0].messages.Ask[0].type")
    assert.throws(make({ messages: { Ask: [{ type: "string", name: "}" }] } }), "grpc[0].messages.Ask[0].name")
    assert.throws(make({ direction: { from: "", to: "x" } }), "grpc[0].direction.from")
  })
})
