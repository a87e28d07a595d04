import { assert, describe, it } from "@effect/vitest"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Exit, Layer, Schema, Tracer } from "effect"
import { Integration, Telemetry } from "effect-integration"
import { Channel, EventType, MemoryBroker, Publisher } from "effect-integration/event"
import { HttpPolicy, StatusTable } from "effect-integration/http"
import { Tracing } from "effect-integration/monitoring"
import { RetryPolicy } from "effect-integration/policy"
import { HttpClient, HttpClientRequest } from "effect/http"
import { Reply, StubProvider, Unreachable } from "../../src/testing/index.ts"
import { recording } from "./collector.ts"

const design = Integration.make("d", { environments: [{ name: "Local", purpose: "p", trigger: "t" }] })

/** The spans of a program that calls a stub. */
const spansOf = Effect.fnUntraced(function* (
  program: (client: HttpClient.HttpClient.With<any>) => Effect.Effect<unknown, unknown>,
  options: Partial<Parameters<typeof HttpPolicy.make>[1]> & { readonly baseUrl: string }
) {
  const { layer, spans } = recording()
  yield* Effect.gen(function* () {
    const client = yield* HttpPolicy.make("stock", { errors: StatusTable.standard, ...options } as any)
    yield* Effect.exit(program(client as never))
  }).pipe(
    Effect.provide(Layer.merge(NodeHttpClient.layerUndici, Tracing.sampled(design, { environment: "Local" })(layer)))
  )
  return spans
})

const said = (span: Tracer.Span | undefined, ...names: ReadonlyArray<string>) =>
  names.map((name) => span!.attributes.get(name))

describe("spans of calls", () => {
  it.live("are named by the method, without a template, and have neither query nor user", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/items/:id", Reply.json(200, {}))
      const [span, ...others] = yield* spansOf(
        (client) =>
          client.execute(HttpClientRequest.get("/v1/items/42?api_key=topsecret", { urlParams: { q: "ada" } })),
        { baseUrl: stub.url }
      )
      assert.lengthOf(others, 0, "none of the client's own")
      assert.strictEqual(span!.name, "GET")
      assert.strictEqual(span!.kind, "client")
      assert.deepStrictEqual(Object.fromEntries(span!.attributes), {
        "integration.name": "stock",
        "http.request.method": "GET",
        "url.path": "/v1/items/42",
        "server.address": "127.0.0.1",
        "server.port": stub.port,
        "integration.request_id": span!.attributes.get("integration.request_id"),
        "http.response.status_code": 200
      })
      const [request] = yield* stub.requests
      assert.strictEqual(request!.headers["traceparent"], `00-${span!.traceId}-${span!.spanId}-01`)
      assert.strictEqual(request!.headers["x-request-id"], span!.attributes.get("integration.request_id"))
    })
  )

  it.live("say that they are synthetic, and so do events", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      const Placed = EventType.make("com.acme.placed", { source: "https://acme.com", data: Schema.String })
      const Orders = Channel.make("orders", [Placed], { consumers: ["last"] })
      const publish = Effect.provide(Publisher.publish(Orders, Placed, "a"), MemoryBroker.layer)
      const both = (client: HttpClient.HttpClient.With<any>) => Effect.andThen(Effect.exit(client.get("/a")), publish)
      const spans = yield* spansOf(
        (client) => Effect.andThen(Effect.provideService(both(client), Telemetry.Synthetic, true), both(client)),
        { baseUrl: stub.url }
      )
      assert.deepStrictEqual(
        spans.map((span) => [span.name, ...said(span, "integration.synthetic")]),
        [
          ["GET", true],
          ["publish orders", true],
          ["GET", undefined],
          ["publish orders", undefined]
        ]
      )
    })
  )

  it.live("count how often a request was sent before", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /a", Reply.json(503, {}), Reply.json(503, {}), Reply.json(200, {}))
      const retry = RetryPolicy.make({ delays: ["1 millis", "1 millis"], jitter: "none" })
      const spans = yield* spansOf((client) => Effect.andThen(client.get("/a"), client.get("/a")), {
        baseUrl: stub.url,
        retry
      })
      assert.deepStrictEqual(
        spans.map((span) => said(span, "http.request.resend_count", "http.response.status_code", "error.type")),
        [
          [undefined, 503, "503"],
          [1, 503, "503"],
          [2, 200, undefined],
          [undefined, 200, undefined]
        ]
      )
      assert.deepStrictEqual(
        spans.map(({ status }) => status._tag === "Ended" && Exit.isFailure(status.exit)),
        [true, true, false, false]
      )
    })
  )

  it.live("say which limit has ended them, and what kept them from being sent", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /slow", Reply.hang)
      const [late] = yield* spansOf((client) => client.get("/slow"), {
        baseUrl: stub.url,
        timeouts: { read: "50 millis", attempt: "5 seconds" }
      })
      assert.deepStrictEqual(said(late, "error.type", "http.response.status_code"), ["timeout.read", undefined])
      assert.isTrue(late!.status._tag === "Ended" && Exit.isFailure(late!.status.exit))
      const nowhere = yield* Unreachable.refused
      const [refused] = yield* spansOf((client) => client.get("/x"), { baseUrl: nowhere.url })
      assert.deepStrictEqual(said(refused, "error.type"), ["NetworkError"])
    })
  )

  it.live("are none where tracing is switched off for them, by the client's own switches", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      const off = yield* spansOf(
        (client) => Effect.provideService(client.get("/a"), HttpClient.TracerDisabledWhen, () => true),
        { baseUrl: stub.url }
      )
      assert.lengthOf(off, 0)
      const [quiet] = yield* spansOf(
        (client) => Effect.provideService(client.get("/b"), HttpClient.TracerPropagationEnabled, false),
        { baseUrl: stub.url }
      )
      assert.strictEqual(quiet!.name, "GET")
      const requests = yield* stub.requests
      assert.deepStrictEqual(
        requests.map(({ headers }) => headers["traceparent"]),
        [undefined, undefined]
      )
    })
  )
})

describe("without a tracer", () => {
  it.effect("publishes make no span, and events no trace", () =>
    Effect.gen(function* () {
      const Placed = EventType.make("com.acme.placed", { source: "https://acme.com", data: Schema.String })
      const Orders = Channel.make("orders", [Placed], { consumers: ["last"] })
      const counting = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })
      const event = yield* Effect.provide(Publisher.publish(Orders, Placed, "a"), MemoryBroker.layer)
      assert.deepStrictEqual(event.extensions, {})
      const traced = yield* Publisher.publish(Orders, Placed, "a").pipe(
        Effect.provide(MemoryBroker.layer),
        Effect.withTracer(counting)
      )
      assert.match(String(traced.extensions["traceparent"]), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    })
  )

  it.effect("a span that is not to be told to others is not written into events", () =>
    Effect.gen(function* () {
      const Placed = EventType.make("com.acme.placed", { source: "https://acme.com", data: Schema.String })
      const Orders = Channel.make("orders", [Placed], { consumers: ["last"] })
      const event = yield* Publisher.publish(Orders, Placed, "a").pipe(
        Effect.withSpan("caller"),
        Effect.withTracerEnabled(false),
        Effect.provide(MemoryBroker.layer)
      )
      assert.notProperty(event.extensions, "traceparent")
    })
  )
})
