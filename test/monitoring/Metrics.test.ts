import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { assert, describe, it } from "@effect/vitest"
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader
} from "@opentelemetry/sdk-metrics"
import { type Context, Deferred, Effect, Exit, Layer, Metric, Ref, Scope } from "effect"
import { FetchHttpClient, HttpRouter } from "effect/http"
import { Telemetry } from "effect-integration"
import { Metrics } from "effect-integration/monitoring"
import { InvalidOption } from "effect-integration/policy"
import { type RecordedRequest, Reply, StubProvider } from "effect-integration/testing"
import { ask, listen } from "../http/server.ts"
import { observed } from "../policy/observe.ts"

/** Something with a counter, a histogram, and a gauge that is asked for. */
const recorded = Effect.fnUntraced(function* (name: string, depth: Effect.Effect<number>) {
  const recorder = Telemetry.recorder(name)
  yield* Telemetry.sampler(Effect.map(depth, (value) => [{ metric: "deadLetters", name, value }] as const))
  const call = Effect.contextWith((context: Context.Context<never>) =>
    Effect.sync(() => {
      recorder.call("success", 40, context)
      recorder.call("Timeout", 3000, context)
    })
  )
  return { call }
})

describe("the page for Prometheus", () => {
  it.live("is served where it is wanted, with what is asked for at each scrape", () =>
    observed(() =>
      Effect.gen(function* () {
        const depth = yield* Ref.make(0)
        const { call } = yield* recorded(
          "paged",
          Ref.updateAndGet(depth, (n) => n + 1)
        )
        yield* call
        const url = yield* listen(yield* HttpRouter.toHttpEffect(Metrics.route({ path: "/internal/metrics" })))
        const first = yield* ask(`${url}/internal/metrics`, { method: "GET" })
        assert.strictEqual(first.status, 200)
        assert.strictEqual(first.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        const lines = first.text.split("\n")
        assert.include(lines, 'integration_paged_requests_total{outcome="success"} 1')
        assert.include(lines, 'integration_paged_requests_total{outcome="Timeout"} 1')
        assert.include(lines, "# TYPE integration_paged_requests_total counter")
        assert.include(lines, "# TYPE integration_paged_latency_ms histogram")
        assert.include(lines, 'integration_paged_latency_ms_bucket{le="50"} 1')
        assert.include(lines, 'integration_paged_latency_ms_bucket{le="+Inf"} 2')
        assert.include(lines, "integration_paged_latency_ms_sum 3040")
        assert.include(lines, "integration_paged_dlq_depth 1")
        const second = yield* ask(`${url}/internal/metrics`, { method: "GET" })
        assert.include(second.text.split("\n"), "integration_paged_dlq_depth 2")
        assert.strictEqual((yield* ask(`${url}/metrics`, { method: "GET" })).status, 404)
      })
    )
  )

  it.effect("leaves out a gauge that has no value now, and brings it back", () =>
    observed(() =>
      Effect.gen(function* () {
        const depth = yield* Ref.make(3)
        yield* recorded("absent", Ref.get(depth))
        assert.include(yield* Metrics.text, "integration_absent_dlq_depth 3")
        yield* Ref.set(depth, Number.NaN)
        assert.notMatch(yield* Metrics.text, /^integration_absent_|NaN/m)
        yield* Ref.set(depth, 0)
        assert.include(yield* Metrics.text, "integration_absent_dlq_depth 0")
      })
    )
  )

  it.effect("reads back whatever stands in a label or a description", () =>
    observed(() =>
      Effect.gen(function* () {
        const hostile = 'a"b\\c\nd{e="f"} # é 🚀 1'
        yield* Metric.update(
          Metric.counter("own_total", { description: hostile, attributes: { reason: hostile, "odd name": "x" } }),
          1
        )
        const lines = (yield* Metrics.text).split("\n")
        assert.deepStrictEqual(lines, [
          '# HELP own_total a"b\\\\c\\nd{e="f"} # é 🚀 1',
          "# TYPE own_total counter",
          'own_total{reason="a\\"b\\\\c\\nd{e=\\"f\\"} # é 🚀 1",odd_name="x"} 1',
          ""
        ])
      })
    )
  )
})

/** What a collector was sent, by the name of the metric. */
const metricsOf = ({ json }: RecordedRequest): ReadonlyMap<string, any> =>
  new Map((json as any).resourceMetrics[0].scopeMetrics[0].metrics.map((metric: any) => [metric.name, metric]))

const resource = { serviceName: "orders" }

describe("OTLP", () => {
  it.live("sends what is recorded and asked for, and once more at the end", () =>
    observed(() =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        yield* stub.on("POST /v1/metrics", Reply.json(200, {}))
        const depth = yield* Ref.make(2)
        const { call } = yield* recorded("sent", Ref.get(depth))
        yield* call
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(
          Metrics.otlp({
            url: `${stub.url}/v1/metrics`,
            encoding: "json",
            every: "30 millis",
            resource,
            headers: { "x-tenant": "t-1" }
          }).pipe(Layer.provide(FetchHttpClient.layer)),
          scope
        )
        const [request] = yield* stub.awaitRequests(1)
        assert.strictEqual(request!.headers["x-tenant"], "t-1")
        assert.include(request!.body, '"stringValue":"orders"')
        const metrics = metricsOf(request!)
        const { dataPoints, isMonotonic } = metrics.get("integration_sent_requests_total").sum
        assert.isTrue(isMonotonic)
        assert.deepStrictEqual(
          dataPoints.map((point: any) => [point.attributes[0].value.stringValue, point.asDouble]),
          [
            ["success", 1],
            ["Timeout", 1]
          ]
        )
        assert.strictEqual(metrics.get("integration_sent_latency_ms").histogram.dataPoints[0].count, 2)
        assert.strictEqual(metrics.get("integration_sent_dlq_depth").gauge.dataPoints[0].asDouble, 2)

        // A later one says what is so then, and no value is no point.
        yield* Ref.set(depth, Number.NaN)
        yield* stub.until(({ requests }) => requests.some((each) => !metricsOf(each).has("integration_sent_dlq_depth")))
        yield* call
        yield* Scope.close(scope, Exit.void)
        const last = metricsOf((yield* stub.requests).at(-1)!)
        assert.strictEqual(last.get("integration_sent_requests_total").sum.dataPoints[0].asDouble, 2)
        assert.notInclude((yield* stub.requests).map(({ body }) => body).join(), "NaN")
      })
    )
  )

  it.live("is protobuf unless something else is wanted", () =>
    observed(() =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        yield* stub.on("POST /v1/metrics", Reply.empty(200))
        const { call } = yield* recorded("binary", Effect.succeed(1))
        yield* call
        yield* Layer.build(
          Metrics.otlp({ url: `${stub.url}/v1/metrics`, resource, every: "20 millis" }).pipe(
            Layer.provide(FetchHttpClient.layer)
          )
        )
        const [request] = yield* stub.awaitRequests(1)
        assert.strictEqual(request!.headers["content-type"], "application/x-protobuf")
        assert.include(request!.body, "integration_binary_requests_total")
      })
    )
  )

  it.live("is held up by no collector that fails or hangs, and tells no one its headers", () =>
    observed((lines) =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        yield* stub.on("POST /v1/metrics", Reply.reset, Reply.hang)
        const { call } = yield* recorded("failing", Effect.succeed(1))
        yield* call
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(
          Metrics.otlp({
            url: `${stub.url}/v1/metrics`,
            resource,
            headers: { authorization: "Bearer hunter2" },
            every: "20 millis",
            shutdownTimeout: "50 millis"
          }).pipe(Layer.provide(FetchHttpClient.layer)),
          scope
        )
        yield* stub.awaitRequests(1)
        yield* Scope.close(scope, Exit.void).pipe(Effect.timeout("10 seconds"))
        assert.notInclude(JSON.stringify(lines), "hunter2")
      })
    )
  )

  it("refuses options that make no sense, without showing the URL", () => {
    const url = "http://localhost:4318/v1/metrics"
    assert.throws(
      () => Metrics.otlp({ resource, url: "ftp://ada:hunter2@x" }),
      InvalidOption,
      /url must be an absolute URL/
    )
    assert.throws(() => Metrics.otlp({ resource, url: "hunter2" }), /^((?!hunter2).)*$/)
    assert.throws(() => Metrics.otlp({ resource, url, every: 0 }), InvalidOption, /every must be/)
    assert.throws(() => Metrics.otlp({ resource, url, shutdownTimeout: -1 }), InvalidOption, /shutdownTimeout must be/)
    assert.throws(() => Metrics.otlp({ resource, url, encoding: "xml" as never }), InvalidOption, /encoding must be/)
  })
})

describe("the SDK of OpenTelemetry", () => {
  it.live("exports the same metrics", () =>
    observed(() =>
      Effect.gen(function* () {
        const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
        const metricReader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
        const asked = yield* Deferred.make<void>()
        const { call } = yield* recorded("sdk", Effect.as(Deferred.succeed(asked, undefined), 4))
        yield* call
        const sdk = NodeSdk.layer(() => ({ resource: { serviceName: "orders" }, metricReader }))
        yield* Layer.build(Layer.merge(sdk, Telemetry.layer({ every: "10 millis" })))
        yield* Deferred.await(asked)
        // The gauge is there after the sampler that has answered.
        yield* Telemetry.sample
        yield* Effect.promise(() => metricReader.forceFlush())
        const values = new Map(
          exporter
            .getMetrics()
            .flatMap(({ scopeMetrics }) => scopeMetrics)
            .flatMap(({ metrics }) => metrics)
            .map(({ dataPoints, descriptor }) => [
              descriptor.name,
              dataPoints.map(({ attributes, value }) => [attributes["outcome"], value])
            ])
        )
        assert.deepStrictEqual(values.get("integration_sdk_requests_total"), [
          ["success", 1],
          ["Timeout", 1]
        ])
        assert.deepStrictEqual(values.get("integration_sdk_dlq_depth"), [[undefined, 4]])
      })
    )
  )
})
