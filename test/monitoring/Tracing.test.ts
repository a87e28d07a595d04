import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http"
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Effect, Layer } from "effect"
import { MemoryBroker } from "effect-integration/event"
import { Tracing } from "effect-integration/monitoring"
import design from "../../examples/orders-to-payments/design.ts"
import { type Collector, collect, named, record, type Span, tree } from "./collector.ts"
import { expected, ids, run } from "./flagship.ts"

const otlp = (collector: Collector, options?: Partial<Tracing.Options>) =>
  Tracing.layer(design, { environment: "Local", endpoint: collector.url, format: "json", ...options }).pipe(
    Layer.provide(NodeHttpClient.layerUndici)
  )

const sdk = (collector: Collector) =>
  Tracing.sampled(design, { environment: "local" })(
    NodeSdk.layer(() => ({
      resource: { serviceName: "shop" },
      spanProcessor: new BatchSpanProcessor(new OTLPTraceExporter({ url: `${collector.url}/v1/traces` }))
    }))
  )

const attributes = (span: Span | undefined) => record(span!.attributes)

/** What is to be said of each, however it was exported. */
const check = (spans: ReadonlyArray<Span>) => {
  assert.deepStrictEqual(tree(spans), expected)
  assert.strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 1)

  const [first, second, third] = named(spans, "POST /gateway/v1/charges")
  const { "server.port": port, ...call } = attributes(first)
  assert.isAbove(port as number, 1023)
  assert.deepStrictEqual(call, {
    "integration.name": "payments",
    "integration.request_id": "req-1",
    "http.request.method": "POST",
    "url.template": "/gateway/v1/charges",
    "server.address": "127.0.0.1",
    "http.response.status_code": 503,
    "error.type": "503"
  })
  assert.deepInclude(attributes(second), { "http.request.resend_count": 1, "http.response.status_code": 200 })
  assert.notProperty(attributes(second), "error.type")
  assert.notProperty(attributes(third), "http.request.resend_count")
  assert.deepStrictEqual(
    [first, second].map((span) => span!.status.code),
    [2, 1]
  )
  assert.strictEqual(first!.status.message, first!.status.message === undefined ? undefined : "")

  for (const channel of ["orders", "settlements", "shipments"]) {
    const published = named(spans, `publish ${channel}`)
    const processed = named(spans, `process ${channel}`)
    for (const [at, producer] of published.entries()) {
      const { traceId, spanId } = producer
      const consumer = processed[at]!
      assert.strictEqual(consumer.parentSpanId, spanId)
      assert.deepStrictEqual(
        consumer.links.map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
        [{ traceId, spanId }]
      )
      const said = attributes(producer)
      assert.deepInclude(said, {
        "messaging.system": "memory",
        "messaging.destination.name": channel,
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "cloudevents.event_id": said["messaging.message.id"]
      })
      assert.match(String(said["messaging.message.id"]), /^([0-9a-f-]{36}|saga\/place-order\/.*)$/)
      const heard = attributes(consumer)
      assert.deepInclude(heard, {
        "messaging.system": "memory",
        "messaging.destination.name": channel,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.id": said["messaging.message.id"],
        "integration.attempt": 1
      })
    }
  }
  const groups = ["orders", "settlements", "shipments"].map(
    (channel) => attributes(named(spans, `process ${channel}`)[0])["messaging.consumer.group.name"]
  )
  assert.deepStrictEqual(groups, ["billing", "order-status", "warehouse"])

  const saga = attributes(named(spans, "saga place-order")[0])
  assert.deepInclude(saga, { "integration.saga.name": "place-order", "integration.saga.outcome": "Completed" })
  assert.deepStrictEqual(attributes(named(spans, "step charge")[0]), {
    "integration.saga.name": "place-order",
    "integration.saga.id": saga["integration.saga.id"],
    "integration.saga.step": "charge",
    "integration.saga.phase": "run",
    "integration.attempt": 1
  })
  for (const server of named(spans, "POST").slice(1)) {
    assert.strictEqual(attributes(server)["integration.request_id"], "req-1")
  }
}

describe("the flagship, end to end", () => {
  it.live("is one trace over OTLP", () =>
    Effect.gen(function* () {
      const collector = yield* collect
      assert.deepStrictEqual(yield* run(MemoryBroker.layer, otlp(collector)), {
        outcome: "Completed",
        requestId: "req-1"
      })
      check(collector.spans())
      assert.deepInclude(collector.resource(), {
        "service.name": "Order Service",
        "service.version": "1.2",
        "deployment.environment.name": "Local"
      })
      for (const text of collector.bodies) for (const id of Object.values(ids)) assert.notInclude(text, id)
    })
  )

  it.live("is the same trace with the SDK of OpenTelemetry", () =>
    Effect.gen(function* () {
      const collector = yield* collect
      yield* run(MemoryBroker.layer, sdk(collector))
      check(collector.spans())
      assert.strictEqual(collector.resource()["service.name"], "shop")
    })
  )

  it.live("is exported as protobuf unless it is said otherwise, with headers, under a name of choice", () =>
    Effect.gen(function* () {
      const collector = yield* collect
      const { format: _, ...options } = { format: undefined, service: "till", attributes: { region: "eu-1" } }
      const tracing = Tracing.layer(design, { environment: "Local", endpoint: `${collector.url}/`, ...options })
      yield* run(MemoryBroker.layer, tracing.pipe(Layer.provide(NodeHttpClient.layerUndici)))
      assert.deepStrictEqual(new Set(collector.types), new Set(["/v1/traces application/x-protobuf"]))
      const text = collector.bodies.join("")
      for (const part of ["saga place-order", "process shipments", "till", "eu-1"]) assert.include(text, part)
    })
  )
})

describe("Tracing.layer", () => {
  it("rejects what makes no sense", () => {
    const make = (options: object) => () => Tracing.layer(design, { environment: "Local", ...options })
    assert.throws(make({ endpoint: "collector:4318" }), /Tracing.layer: endpoint must be an absolute URL/)
    assert.throws(make({ endpoint: "ftp://ada:pass@x" }), /but "<text>" was given|<text>/)
    assert.throws(make({ endpoint: "http://ada:pass@x" }), /without credentials, which are headers, but "?<text>/)
    assert.throws(make({ format: "xml" }), /Tracing.layer: format must be one of json, protobuf/)
    assert.throws(make({ every: 0 }), /Tracing.layer: every must be a finite duration/)
    assert.throws(make({ batch: 0 }), /Tracing.layer: batch must be a whole number of at least 1/)
  })
})
