import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, DateTime, Duration, Effect, Layer, Redacted, Schema, Stream } from "effect"
import { FetchHttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiError, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { Authentication, CallError, HttpContract, StatusTable } from "../../src/http/index.ts"
import { Bulkhead, CircuitBreaker, ErrorAction, RateLimit, RequestContext, Timeouts } from "../../src/policy/index.ts"
import { Reply, StubProvider } from "../../src/testing/index.ts"
import {
  circuitOf,
  connect,
  counting,
  failure,
  good,
  live,
  once,
  PaymentsApi,
  unique,
  watched,
  withFake
} from "./payments.ts"

const ok = Reply.json(200, good)
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

describe("The request", () => {
  live("carries a new UUID as X-Request-ID, the same on all attempts of a call, or the one of its RequestContext", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.status(500), ok, ok, Reply.status(503), ok)
      const { get } = yield* connect({ baseUrl: stub.url, retry: once })
      yield* get
      yield* get
      yield* get.pipe(RequestContext.withRequestId("inbound-1"))
      const ids = (yield* stub.requests).map((each) => each.headers["x-request-id"]!)
      assert.match(ids[0]!, uuid)
      assert.strictEqual(ids[1], ids[0])
      assert.notStrictEqual(ids[2], ids[0])
      assert.deepStrictEqual(ids.slice(3), ["inbound-1", "inbound-1"])
    })
  )

  live("is named by its id in errors and log lines; traceparent goes along, a span per attempt", (seen) =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.status(500))
      const { get } = yield* connect({ baseUrl: stub.url, retry: once })
      const error = yield* failure(get.pipe(RequestContext.withRequestId("r-1")))
      if (error._tag === "InternalError") assert.strictEqual(error.requestId, "r-1")
      assert.deepStrictEqual(
        seen.lines.map((each) => each.annotations["integration.request_id"]),
        ["r-1", "r-1"]
      )
      const parents = (yield* stub.requests).map((each) => each.headers.traceparent)
      assert.strictEqual(new Set(parents).size, 2)
    })
  )

  live("an echo of another request id is reported, in the header or in the body; the right echo is not", (seen) =>
    Effect.gen(function* () {
      const Echo = Schema.Struct({ requestId: Schema.String })
      class Echoes extends HttpContract.Service<Echoes>()(unique(), {
        api: HttpApi.make("echoes").add(
          HttpApiGroup.make("e", { topLevel: true }).add(HttpApiEndpoint.get("get", "/e", { success: Echo }))
        ),
        baseUrl: "http://127.0.0.1:9",
        errors: StatusTable.standard
      }) {}
      const run = (respond: (id: string) => Response) =>
        Effect.gen(function* () {
          seen.lines.length = 0
          yield* Effect.exit(Echoes.use((echoes) => echoes.get()))
          return seen.lines.filter((each) => each.message.includes("response is of request")).length
        }).pipe(
          Effect.provide(Echoes.layer),
          withFake((request) => respond(request.headers.get("x-request-id")!))
        )
      assert.strictEqual(yield* run((id) => Response.json({ requestId: id }, { headers: { "x-request-id": id } })), 0)
      assert.strictEqual(
        yield* run((id) => Response.json({ requestId: id }, { headers: { "x-request-id": "other" } })),
        1
      )
      assert.strictEqual(yield* run(() => Response.json({ requestId: "other" })), 1)
      assert.strictEqual(yield* run(() => Response.json({}, { status: 500, headers: { "x-request-id": "other" } })), 1)
    })
  )

  live("accepts JSON, names the type of its body, and adds metadata to JSON bodies of unsafe requests", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("* /*", ok)
      const before = yield* DateTime.now
      const { create, get } = yield* connect({ baseUrl: stub.url, sourceSystem: "orders" })
      yield* create
      yield* get
      const [post, read] = yield* stub.requests
      assert.deepStrictEqual(
        [post!.headers.accept, post!.headers["content-type"]],
        ["application/json", "application/json"]
      )
      assert.isUndefined(read!.headers["content-type"])
      assert.strictEqual(read!.body, "")
      const { amount, metadata } = post!.json as { amount: number; metadata: Record<string, string> }
      assert.strictEqual(amount, 5)
      assert.deepStrictEqual(Object.keys(metadata), ["sourceSystem", "timestamp"])
      assert.isAtLeast(DateTime.toEpochMillis(DateTime.makeUnsafe(metadata.timestamp!)), DateTime.toEpochMillis(before))
    })
  )

  live("metadata that the payload declares itself is kept beside ours", () =>
    Effect.gen(function* () {
      const api = HttpApi.make("m").add(
        HttpApiGroup.make("m", { topLevel: true }).add(
          HttpApiEndpoint.post("post", "/m", {
            payload: Schema.Struct({ metadata: Schema.Struct({ orderId: Schema.String }) }),
            success: Schema.Unknown
          })
        )
      )
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /m", Reply.json(200, {}))
      class M extends HttpContract.Service<M>()(unique(), {
        api,
        baseUrl: stub.url,
        errors: StatusTable.standard,
        sourceSystem: "s"
      }) {}
      yield* M.use((m) => m.post({ payload: { metadata: { orderId: "o1" } } })).pipe(Effect.provide(M.layer))
      const { metadata } = (yield* stub.requests)[0]!.json as { metadata: Record<string, string> }
      assert.strictEqual(metadata.orderId, "o1")
      assert.strictEqual(metadata.sourceSystem, "s")
    })
  )

  live("the path of an error has no query, and the base URL may have a path, with a slash at its end or not", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      for (const base of [`${stub.url}/api`, `${stub.url}/api/`, new URL(`${stub.url}/api/`)]) {
        yield* stub.reset
        const { client } = yield* connect({ baseUrl: base })
        const error = yield* failure(client.charges.list({ query: { limit: 7 } }))
        if (error._tag === "NotFound") assert.strictEqual(error.path, "/api/v1/charges")
        else assert.fail(error._tag)
        const [request] = yield* stub.requests
        assert.strictEqual(request!.url, "/api/v1/charges?limit=7")
      }
      const { client } = yield* connect({ baseUrl: stub.url })
      const error = yield* failure(client.charges.get({ params: { id: "a/b?c=d#e" } }))
      if (error._tag === "NotFound") assert.strictEqual(error.path, "/v1/charges/a%2Fb%3Fc%3Dd%23e")
      else assert.fail(error._tag)
    })
  )

  live("redirects are not followed, with fetch neither: credentials go nowhere else", () =>
    Effect.gen(function* () {
      const elsewhere = yield* StubProvider.make()
      yield* elsewhere.on("* /*", ok)
      const stub = yield* StubProvider.make()
      yield* stub.on("* /*", Reply.empty(307, { location: `${elsewhere.url}/stolen` }))
      const { create } = yield* connect({
        baseUrl: stub.url,
        authentication: Authentication.apiKey({ key: Redacted.make("k") }) as never
      }).pipe(Effect.provide(FetchHttpClient.layer))
      yield* Effect.exit(create)
      assert.lengthOf(yield* elsewhere.requests, 0)
    })
  )
})

describe("Declared errors", () => {
  live("are decoded first and carry their row's action", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", Reply.json(402, { _tag: "CardDeclined", reason: "no funds" }))
      const name = unique()
      const { create } = yield* connect({ name, baseUrl: stub.url, retry: once, breaker: counting })
      const error = yield* failure(create)
      if (error._tag !== "CardDeclined") return assert.fail(error._tag)
      assert.strictEqual(error.reason, "no funds")
      assert.deepStrictEqual([error.errorAction.kind, error.outcome], ["fail", "unprocessed"])
      assert.deepStrictEqual(yield* circuitOf(name), { state: "Closed", calls: 1, failed: 0 })
      assert.deepStrictEqual(JSON.parse(JSON.stringify(error)), { _tag: "CardDeclined", reason: "no funds" })
    })
  )

  live("a declared 429 is retried as its row says, a declared 409 skipped or failed by idempotency", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on(
        "POST /v1/queue",
        Reply.json(429, { _tag: "Busy", queue: 1 }),
        Reply.json(409, { _tag: "Known", id: "c1" })
      )
      for (const [idempotent, kind] of [
        [true, "skip"],
        [false, "fail"]
      ] as const) {
        yield* stub.reset
        yield* stub.on(
          "POST /v1/queue",
          Reply.json(429, { _tag: "Busy", queue: 1 }),
          Reply.json(409, { _tag: "Known", id: "c1" })
        )
        const { client } = yield* connect({ baseUrl: stub.url, idempotent, retry: once })
        const error = yield* failure(client.charges.queue())
        if (error._tag !== "Known") return assert.fail(error._tag)
        assert.strictEqual(error.errorAction.kind, kind)
        assert.lengthOf(yield* stub.requests, 2)
      }
    })
  )

  live("where one cannot be decoded the error of its row or problem row comes, with what the body says", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      const { client, create } = yield* connect({ baseUrl: stub.url, idempotent: true })
      yield* stub.on("POST /v1/charges", Reply.text(402, "<html>pay</html>", "text/html"))
      const html = yield* failure(create)
      assert.strictEqual(html._tag, "UnexpectedStatus")
      if (html._tag === "UnexpectedStatus") assert.strictEqual(html.body, "<html>pay</html>")
      yield* stub.on("POST /v1/charges", Reply.json(402, { code: "NO_FUNDS" }))
      const json = yield* failure(create)
      if (json._tag === "UnexpectedStatus") assert.strictEqual(json.problem?.code, "NO_FUNDS")
      yield* stub.on("POST /v1/queue", Reply.json(409, { type: StatusTable.ProblemType.inProgress }))
      assert.strictEqual((yield* failure(client.charges.queue()))._tag, "IdempotencyInProgress")
    })
  )

  live("a declared error that was made twice from one schema does not share its action with other contracts", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", Reply.json(402, { _tag: "CardDeclined", reason: "r" }))
      const errors = StatusTable.override(StatusTable.standard, {
        402: StatusTable.row(StatusTable.Unavailable, "X", ErrorAction.retry)
      })
      const other = yield* connect({ baseUrl: stub.url, errors: errors as never })
      const { create } = yield* connect({ baseUrl: stub.url })
      assert.strictEqual((yield* failure(other.create)).errorAction.kind, "retry")
      assert.strictEqual((yield* failure(create)).errorAction.kind, "fail")
    })
  )
})

describe("Declared errors that are awkward", () => {
  for (const [name, schema, value] of [
    ["a number of seconds", Schema.Int, 1],
    ["a text", Schema.String, "in a while"],
    ["null", Schema.Null, null],
    ["an object", Schema.Struct({ seconds: Schema.Int }), { seconds: 1 }]
  ] as const) {
    live(`a declared 429 with a field retryAfter that is ${name} ends the call with it: no defect, no hang`, () =>
      Effect.gen(function* () {
        class Slow extends Schema.TaggedError<Slow>()(
          "Slow",
          { retryAfter: schema as Schema.Schema<unknown> },
          { httpApiStatus: 429 }
        ) {}
        const api = HttpApi.make("slow").add(
          HttpApiGroup.make("s", { topLevel: true }).add(
            HttpApiEndpoint.get("get", "/s", { success: Schema.Unknown, error: Slow })
          )
        )
        class Slows extends HttpContract.Service<Slows>()(unique(), {
          api,
          baseUrl: "http://127.0.0.1:9",
          errors: StatusTable.standard,
          retry: once
        }) {}
        const error = yield* failure(
          Slows.use((s) => s.get() as unknown as Effect.Effect<unknown, { readonly _tag: string }>)
        ).pipe(
          Effect.timeout("3 seconds"),
          Effect.provide(Slows.layer),
          withFake(() => Response.json({ _tag: "Slow", retryAfter: value }, { status: 429 }))
        )
        assert.strictEqual(error._tag, "Slow")
      })
    )
  }

  live("errors without content are decoded, and each contract's table decides about them", () =>
    Effect.gen(function* () {
      const api = HttpApi.make("empty").add(
        HttpApiGroup.make("e", { topLevel: true }).add(
          HttpApiEndpoint.get("get", "/e", {
            success: Schema.Unknown,
            error: [HttpApiError.GoneNoContent, HttpApiError.UnauthorizedNoContent]
          })
        )
      )
      const run = (errors: typeof StatusTable.standard, status: number) => {
        class Empties extends HttpContract.Service<Empties>()(unique(), {
          api,
          baseUrl: "http://127.0.0.1:9",
          errors
        }) {}
        return failure(Empties.use((e) => e.get())).pipe(
          Effect.provide(Empties.layer),
          withFake(() => new Response(null, { status }))
        )
      }
      const again = StatusTable.override(StatusTable.standard, {
        410: StatusTable.row(StatusTable.Unavailable, "X", ErrorAction.retry)
      }) as never
      const first = yield* run(again, 410)
      const second = yield* run(StatusTable.standard, 410)
      assert.deepStrictEqual([first._tag, second._tag], ["Gone", "Gone"])
      assert.deepStrictEqual([first.errorAction.kind, second.errorAction.kind], ["retry", "fail"])
      assert.strictEqual((yield* run(StatusTable.standard, 401)).errorAction.kind, "refresh")
    })
  )

  live("a declared 401 is refreshed and tried once more", () =>
    Effect.gen(function* () {
      const api = HttpApi.make("auth").add(
        HttpApiGroup.make("a", { topLevel: true }).add(
          HttpApiEndpoint.get("get", "/a", { success: Schema.Unknown, error: HttpApiError.UnauthorizedNoContent })
        )
      )
      class Auths extends HttpContract.Service<Auths>()(unique(), {
        api,
        baseUrl: "http://127.0.0.1:9",
        errors: StatusTable.standard,
        authentication: Authentication.bearer([Redacted.make("a"), Redacted.make("b")])
      }) {}
      yield* Auths.use((a) => a.get()).pipe(
        Effect.provide(Auths.layer),
        withFake((request) =>
          request.headers.get("authorization") === "Bearer b" ? Response.json({}) : new Response(null, { status: 401 })
        )
      )
    })
  )
})

describe("The response", () => {
  live("comes decoded, with its response, or as a response only; errors are the same in each mode", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", ok)
      const { client } = yield* connect({ baseUrl: stub.url })
      const params = { id: "c1" }
      const [charge, response] = yield* client.charges.get({ params, responseMode: "decoded-and-response" })
      assert.deepStrictEqual([charge.id, response.status], ["c1", 200])
      const only = yield* client.charges.get({ params, responseMode: "response-only" })
      assert.deepStrictEqual(yield* only.json, good)
      yield* stub.on("GET /v1/charges/:id", Reply.json(200, { id: 5 }))
      assert.strictEqual((yield* client.charges.get({ params, responseMode: "response-only" })).status, 200)
      assert.strictEqual(
        (yield* failure(client.charges.get({ params, responseMode: "decoded-and-response" })))._tag,
        "ProtocolError"
      )
      yield* stub.on("GET /v1/charges/:id", Reply.status(404))
      for (const responseMode of ["decoded-only", "decoded-and-response", "response-only"] as const) {
        assert.strictEqual((yield* failure(client.charges.get({ params, responseMode })))._tag, "NotFound")
      }
    })
  )

  live("of a top-level group is called on the client itself, and a 204 is void", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /ping", Reply.json(200, "pong"))
      yield* stub.on("DELETE /v1/charges/:id", Reply.empty(204))
      const { client } = yield* connect({ baseUrl: stub.url })
      assert.strictEqual(yield* client.ping(), "pong")
      assert.isUndefined(yield* client.charges.remove({ params: { id: "1" } }))
    })
  )

  live(
    "that streams gives its elements after the call, beyond the timeouts; its errors are those of the contract",
    () =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        const lines = (...values: ReadonlyArray<unknown>) =>
          values.map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join("\n")
        const ndjson = (body: string) =>
          Reply.status(200, { headers: { "content-type": "application/x-ndjson" }, body })
        const { client } = yield* connect({ baseUrl: stub.url, timeouts: { attempt: "300 millis" } })
        const run = (reply: Reply.Reply) =>
          Effect.andThen(stub.on("GET /v1/watch", reply), Stream.runCollect(Stream.unwrap(client.charges.watch())))
        assert.lengthOf(
          yield* run(Reply.slowBody({ chunks: 5, every: "100 millis" }, ndjson(lines(good, good, good)))),
          3
        )
        for (const [reply, tag] of [
          [ndjson(lines(good, { id: 1 })), "ProtocolError"],
          [ndjson(lines(good, "{no json")), "ProtocolError"],
          [Reply.truncated(ndjson(lines(good, good))), "NetworkError"],
          [Reply.status(500), "InternalError"]
        ] as const) {
          const error = yield* failure(run(reply))
          assert.strictEqual(error._tag, tag)
        }
      })
  )
})

describe("Client middleware", () => {
  class Stamp extends HttpApiMiddleware.Service<Stamp>()("test/Stamp", { requiredForClient: true }) {}
  const api = HttpApi.make("stamped").add(
    HttpApiGroup.make("s", { topLevel: true }).add(
      HttpApiEndpoint.get("get", "/s", { success: Schema.Struct({ id: Schema.String }) }).middleware(Stamp)
    )
  )
  const stamped = (baseUrl: string) => {
    class Stamped extends HttpContract.Service<Stamped>()(unique(), {
      api,
      baseUrl,
      errors: StatusTable.standard,
      retry: once
    }) {}
    return Stamped
  }

  live("runs once per call, outside the policies", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /s", Reply.status(500), Reply.json(200, { id: "1" }))
      let ran = 0
      const layer = HttpApiMiddleware.layerClient(Stamp, ({ next, request }) => {
        ran++
        return next(HttpClientRequest.setHeader(request, "x-stamp", "yes"))
      })
      const Stamped = stamped(stub.url)
      const value = yield* Stamped.use((s) => s.get()).pipe(Effect.provide(Layer.provide(Stamped.layer, layer)))
      assert.deepStrictEqual({ ...value }, { id: "1" })
      assert.strictEqual(ran, 1)
      assert.deepStrictEqual(
        (yield* stub.requests).map((each) => each.headers["x-stamp"]),
        ["yes", "yes"]
      )
    })
  )

  for (const [name, response] of [
    ["that cannot be decoded", () => Response.json({ id: 5 })],
    ["with a status of the table", () => Response.json({}, { status: 404 })]
  ] as const) {
    live(
      `a response that a middleware makes itself, ${name}, fails with an error of the contract, never SchemaError`,
      () =>
        Effect.gen(function* () {
          const layer = HttpApiMiddleware.layerClient(Stamp, ({ request }) =>
            Effect.succeed(HttpClientResponse.fromWeb(request, response()))
          )
          const Stamped = stamped("http://127.0.0.1:9")
          const error = yield* failure(
            Stamped.use((s) => s.get()).pipe(Effect.provide(Layer.provide(Stamped.layer, layer)))
          )
          assert.include(["ProtocolError", "NotFound"], error._tag)
        })
    )
  }
})

const site = { integration: "payments", method: "POST", path: "/v1/charges" }

describe("The service", () => {
  class Payments extends HttpContract.Service<Payments>()(unique(), {
    api: PaymentsApi,
    baseUrl: Config.URL("PAYMENTS_URL"),
    errors: StatusTable.standard
  }) {}
  const fetched = Payments.use((payments) => payments.charges.get({ params: { id: "c1" } }))

  it.effect("is swapped in a test by mock: methods with decoded values and typed errors, by group and top level", () =>
    Effect.gen(function* () {
      const mocked = Payments.mock({
        charges: {
          get: ({ params }) => Effect.succeed({ id: params.id, amount: 5 }),
          create: () =>
            Effect.fail(new CallError.ProtocolError({ ...site, side: "request", field: "x", description: "y" }))
        }
      })
      const both = Effect.gen(function* () {
        const payments = yield* Payments
        const got = yield* payments.charges.get({ params: { id: "c7" } })
        return [got.id, (yield* Effect.flip(payments.charges.create({ payload: { amount: 1 } })))._tag]
      })
      assert.deepStrictEqual(yield* Effect.provide(both, mocked), ["c7", "ProtocolError"])
    })
  )

  it.effect("a method that a mock does not have is a defect that names it, also one asked for its response", () =>
    Effect.gen(function* () {
      const mocked = Payments.mock({ charges: { get: () => Effect.succeed({ id: "c1", amount: 5 }) } })
      const missing = yield* Payments.use((payments) => payments.charges.create({ payload: { amount: 1 } })).pipe(
        Effect.exit,
        Effect.provide(mocked)
      )
      assert.include(String(missing), "the mock has no method charges.create")
      const response = yield* Payments.use((payments) =>
        payments.charges.get({ params: { id: "c1" }, responseMode: "response-only" })
      ).pipe(Effect.exit, Effect.provide(mocked))
      assert.include(String(response), "no response to give")
    })
  )

  live("takes its base URL from Config, and a missing one is a ConfigError of the layer", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", ok)
      const program = fetched.pipe(Effect.provide(Payments.layer))
      const config = (env: Record<string, string>) =>
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(env))
      assert.strictEqual((yield* program.pipe(config({ PAYMENTS_URL: stub.url }))).id, "c1")
      assert.strictEqual((yield* failure(program.pipe(config({}))))._tag, "ConfigError")
    })
  )

  it.effect("is swapped in a test by Layer.succeed and Layer.mock", () =>
    Effect.gen(function* () {
      const charge = yield* fetched.pipe(
        Effect.provide(Layer.mock(Payments, { charges: { get: () => Effect.succeed(good as never) } as never }))
      )
      assert.strictEqual(charge.id, "c1")
      const other = yield* fetched.pipe(
        Effect.provide(
          Layer.succeed(Payments, { charges: { get: () => Effect.succeed({ id: "c2", amount: 1 }) } } as never)
        )
      )
      assert.strictEqual(other.id, "c2")
    })
  )

  it.effect("one layer is one circuit, for all that use it", () =>
    watched(() =>
      Effect.gen(function* () {
        const name = unique()
        class Shared extends HttpContract.Service<Shared>()(name, {
          api: PaymentsApi,
          baseUrl: "http://127.0.0.1:9",
          errors: StatusTable.standard,
          breaker: { ...counting, minimumCalls: 2 }
        }) {}
        const use = Layer.effectDiscard(Effect.exit(Shared.use((s) => s.ping()))).pipe(Layer.provide(Shared.layer))
        const again = Layer.effectDiscard(Effect.exit(Shared.use((s) => s.ping()))).pipe(Layer.provide(Shared.layer))
        yield* Layer.build(Layer.mergeAll(use, again))
        assert.strictEqual((yield* circuitOf(name)).state, "Open")
      }).pipe(withFake(() => new Response("", { status: 500 })))
    )
  )

  live("its errors as a schema round-trip through JSON, every one of them", () =>
    Effect.gen(function* () {
      class All extends HttpContract.Service<All>()(unique(), {
        api: PaymentsApi,
        baseUrl: "http://127.0.0.1:9",
        errors: StatusTable.standard,
        authentication: Authentication.clientCredentials({
          tokenUrl: "https://x",
          id: "i",
          secret: Redacted.make("s")
        }),
        breaker: counting,
        rateLimit: { perDay: 1 },
        bulkhead: { maxConcurrent: 1 }
      }) {}
      const codec = Schema.toCodecJson(All.errors)
      const at = { integration: "i", method: "GET", path: "/", requestId: "r" }
      const row = {
        ...at,
        status: 429,
        code: "C",
        problem: { type: "t", title: "t", detail: "d", code: "c" },
        body: { a: [1, null, { b: "x" }] },
        retryAfter: Duration.millis(1500.5),
        outcome: "unknown",
        errorAction: ErrorAction.make("wait", { holds: true })
      } as const
      const all = [
        ...StatusTable.classes(StatusTable.standard).map((Row) => new Row(row)),
        new StatusTable.NotFound({
          ...at,
          status: 404,
          code: "N",
          outcome: "unprocessed",
          errorAction: ErrorAction.fail
        }),
        new CallError.NetworkError({ ...at, kind: "dns", code: "ENOTFOUND", outcome: "unprocessed" }),
        new CallError.ProtocolError({ ...at, side: "response", status: 200, field: "body", description: "d" }),
        new CallError.ProtocolError({
          integration: "i",
          method: "GET",
          path: "/",
          side: "request",
          field: "body",
          description: "d"
        }),
        new Timeouts.Timeout({ integration: "i", kind: "total", limit: Duration.seconds(1), outcome: "unknown" }),
        new RateLimit.RateLimitExceeded({ integration: "i", limit: "provider", retryAfter: Duration.seconds(1) }),
        new Authentication.AuthenticationFailed({
          integration: "i",
          reason: "refused",
          description: "d",
          status: 400,
          retryAfter: Duration.seconds(2)
        }),
        new CircuitBreaker.CircuitOpen({ integration: "i", reason: "forced" }),
        new CircuitBreaker.CircuitOpen({
          integration: "i",
          key: "k",
          reason: "failures",
          retryAfter: Duration.millis(1)
        }),
        new RateLimit.QuotaExhausted({
          integration: "i",
          limit: 1,
          resetsAt: DateTime.makeUnsafe(0),
          retryAfter: Duration.hours(1)
        }),
        new Bulkhead.BulkheadFull({ integration: "i", maxConcurrent: 1, maxQueue: 0 })
      ]
      for (const error of all as unknown as ReadonlyArray<never>) {
        const json = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(codec)(error)))
        const again: ErrorAction.Actionable & { readonly _tag: string; readonly message: string } =
          yield* Schema.decodeEffect(codec)(json)
        const given: typeof again = error
        assert.strictEqual(again.constructor, (given as object).constructor)
        assert.deepStrictEqual(again.errorAction, given.errorAction)
        assert.deepStrictEqual([again.message, again.outcome], [given.message, given.outcome])
        assert.deepStrictEqual(
          yield* Schema.encodeEffect(codec)(again as never),
          yield* Schema.encodeEffect(codec)(error)
        )
      }
    })
  )

  it("construction refuses nonsense with InvalidOption, says what was given, and never a secret", () => {
    const base = { api: PaymentsApi, baseUrl: "http://127.0.0.1:9", errors: StatusTable.standard }
    for (const [name, options, given] of [
      ["a relative base URL", { baseUrl: "/v1" }, /absolute URL/],
      ["no base URL", { baseUrl: "" }, /absolute URL/],
      ["a host without scheme", { baseUrl: "localhost:8080" }, /URL/],
      ["another scheme", { baseUrl: "ftp://user:hunter2@x" }, /URL/],
      ["no headers for the key", { idempotent: { headers: [] } }, /idempotent\.headers/],
      ["a key header that is none", { idempotent: { headers: ["my header"] } }, /my header/],
      ["a percentage above 100", { breaker: { ...counting, failurePercent: 101 } }, /101/],
      ["a limit of 0", { rateLimit: { perMinute: 0 } }, /perMinute.*0/],
      ["a limit that is a fraction", { rateLimit: { perDay: 1.5 } }, /perDay.*1\.5/],
      [
        "an attempt longer than the total",
        { timeouts: { attempt: "2 seconds", total: "1 second" } },
        /attempt.*2 seconds/
      ],
      ["a timeout of 0", { timeouts: { read: 0 } }, /read.*0/],
      ["no concurrency", { bulkhead: { maxConcurrent: 0 } }, /maxConcurrent.*0/]
    ] as const) {
      let error: unknown
      try {
        class Bad extends HttpContract.Service<Bad>()(unique(), { ...base, ...(options as object) }) {}
        void Bad
      } catch (thrown) {
        error = thrown
      }
      assert.isDefined(error, `${name} was accepted`)
      assert.match(String(error), /InvalidOption/, name)
      assert.match(String(error), given, name)
      assert.notInclude(String(error), "hunter2")
    }
    assert.throws(() => HttpContract.Service()("  ", base), /name/)
    assert.throws(() => HttpContract.Service()("---", base), /letter or digit/)
  })
})
