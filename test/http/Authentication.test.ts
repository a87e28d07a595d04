import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Redacted, References } from "effect"
import { TestClock } from "effect/testing"
import { Authentication } from "../../src/http/index.ts"
import { Reply, StubProvider, TokenIssuer, Unreachable } from "../../src/testing/index.ts"
import {
  brittle,
  circuitOf,
  connect,
  counting,
  failure,
  good,
  live,
  once,
  runs,
  twice,
  unique,
  watched,
  withFake
} from "./payments.ts"

const ok = Reply.json(200, good)
const secret = (text: string) => Redacted.make(text)

const credentials = (stub: StubProvider.StubProvider, options?: Partial<Authentication.ClientCredentialsOptions>) =>
  Authentication.clientCredentials({ tokenUrl: `${stub.url}/token`, id: "shop", secret: secret("s3cret"), ...options })

/** A provider that wants a token of this issuer. */
const guarded = Effect.fnUntraced(function* (options?: Partial<Parameters<typeof TokenIssuer.make>[0]>) {
  const stub = yield* StubProvider.make()
  const issuer = yield* TokenIssuer.make({ clients: { shop: "s3cret" }, ...options })
  yield* stub.on("POST /token", issuer.endpoint)
  yield* stub.on("GET /v1/charges/:id", Reply.requireToken(issuer, ok))
  yield* stub.on("POST /v1/charges", Reply.requireToken(issuer, ok))
  return { stub, issuer }
})

describe("Client credentials", () => {
  live("each request for a token is counted with its outcome", (seen) =>
    Effect.gen(function* () {
      const { issuer, stub } = yield* guarded()
      yield* issuer.failNext(1, Reply.status(503))
      const { get } = yield* connect({ baseUrl: stub.url, authentication: credentials(stub) })
      yield* failure(get)
      yield* get
      const counted = (yield* seen.text).match(/_token_refreshes_total.*?"outcome":"(\w+)".*?"count":(\d+)/g) ?? []
      const outcomes = counted.map((each) => /"outcome":"(\w+)".*?"count":(\d+)/.exec(each)!.slice(1))
      assert.deepStrictEqual(outcomes.toSorted(), [
        ["AuthenticationFailed", "1"],
        ["success", "1"]
      ])
    })
  )

  live("the token is fetched when it is first needed, once, and used by all later calls", () =>
    Effect.gen(function* () {
      const { stub } = yield* guarded()
      const { create, get } = yield* connect({ baseUrl: stub.url, authentication: credentials(stub) })
      assert.lengthOf(yield* stub.requests, 0)
      yield* get
      yield* get
      yield* create
      assert.lengthOf(yield* stub.requestsTo("POST /token"), 1)
    })
  )

  live("50 concurrent calls without a token cause one request for a token", () =>
    Effect.gen(function* () {
      const { stub } = yield* guarded()
      const { get } = yield* connect({ baseUrl: stub.url, authentication: credentials(stub) })
      yield* Effect.all(
        Array.from({ length: 50 }, () => get),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(yield* stub.requestsTo("POST /token"), 1)
    })
  )

  live("50 concurrent calls with an expired token cause one refresh, and each is sent at most twice", () =>
    Effect.gen(function* () {
      const { issuer, stub } = yield* guarded()
      const { create, get } = yield* connect({ baseUrl: stub.url, authentication: credentials(stub) })
      yield* get
      yield* issuer.expireAll
      yield* stub.reset
      yield* Effect.all(
        Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? get : create)),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(yield* stub.requestsTo("POST /token"), 1)
      const calls = (yield* stub.requests).length - 1
      assert.isAtMost(calls, 100)
    })
  )

  live(
    "a 401 after the refresh surfaces as Unauthorized after exactly two requests, though there are retries",
    (seen) =>
      Effect.gen(function* () {
        const { stub } = yield* guarded()
        yield* stub.on("GET /v1/charges/:id", Reply.status(401))
        const name = unique()
        const { get } = yield* connect({
          name,
          baseUrl: stub.url,
          authentication: credentials(stub),
          retry: twice,
          breaker: counting
        })
        const error = yield* failure(get)
        assert.strictEqual(error._tag, "Unauthorized")
        assert.lengthOf(yield* stub.requestsTo("GET /v1/charges/:id"), 2)
        assert.lengthOf(yield* stub.requestsTo("POST /token"), 2)
        assert.deepStrictEqual(
          seen.lines.map((each) => each.level),
          ["Warn", "Error"]
        )
        assert.deepStrictEqual(yield* circuitOf(name), { state: "Closed", calls: 2, failed: 0 })
      })
  )

  live("a refresh spends none of the retries: 401, then as many 500 as the policy allows, then success", () =>
    Effect.gen(function* () {
      const { stub } = yield* guarded()
      yield* stub.on("GET /v1/charges/:id", Reply.status(401), Reply.times(2, Reply.status(500)), ok)
      const { get } = yield* connect({ baseUrl: stub.url, authentication: credentials(stub), retry: twice })
      yield* get
      assert.lengthOf(yield* stub.requestsTo("GET /v1/charges/:id"), 4)
    })
  )

  live("the request is form-encoded with scope and audience; the credentials are Basic, or in the form", () =>
    Effect.gen(function* () {
      const { stub } = yield* guarded()
      const more = { scope: ["a:b", "c"], audience: "https://api" }
      yield* (yield* connect({ baseUrl: stub.url, authentication: credentials(stub, more) })).get
      yield* failure((yield* connect({ baseUrl: stub.url, authentication: credentials(stub, { send: "form" }) })).get)
      const [basic, form] = yield* stub.requestsTo("POST /token")
      assert.strictEqual(basic!.headers["content-type"], "application/x-www-form-urlencoded")
      assert.deepStrictEqual(Object.fromEntries(new URLSearchParams(basic!.body)), {
        grant_type: "client_credentials",
        scope: "a:b c",
        audience: "https://api"
      })
      assert.deepStrictEqual(Object.fromEntries(new URLSearchParams(form!.body)), {
        grant_type: "client_credentials",
        client_id: "shop",
        client_secret: "s3cret"
      })
      assert.isUndefined(form!.headers.authorization)
    })
  )

  for (const [id, password] of [
    ["a:b", "c:d"],
    ["me@shop", "p%2Fq +&=?#/\\\"'"],
    ["größe", "пароль 漢字 🔑"],
    ["*-._~", "!()~*'"]
  ] as const) {
    live(`Basic credentials with special characters are form-encoded first: ${id} / ${password}`, () =>
      Effect.gen(function* () {
        const { stub } = yield* guarded({ clients: { [id]: password } })
        const { get } = yield* connect({
          baseUrl: stub.url,
          authentication: credentials(stub, { id, secret: secret(password) })
        })
        yield* get
      })
    )
  }

  for (const [name, expires_in, fetched] of [
    ["absent", undefined, 1],
    ["null", null, 1],
    ["a string", "3600", 1],
    ["0", 0, 3],
    ["negative", -5, 3],
    ["enormous", 1e300, 1]
  ] as const) {
    live(`expires_in ${name}: three calls fetch ${fetched} token(s)`, () =>
      Effect.gen(function* () {
        const { stub } = yield* guarded()
        yield* stub.on("POST /token", Reply.json(200, { access_token: "t", token_type: "bearer", expires_in }))
        yield* stub.on("GET /v1/charges/:id", Reply.requireToken(["t"], ok))
        const { get } = yield* connect({ baseUrl: stub.url, authentication: credentials(stub) })
        yield* get
        yield* get
        yield* get
        assert.lengthOf(yield* stub.requestsTo("POST /token"), fetched)
      })
    )
  }

  for (const [name, reply, reason, status, requests] of [
    ["is answered 400 invalid_client", Reply.json(400, { error: "invalid_client" }), "refused", 400, 1],
    ["is answered 401", Reply.json(401, { error: "invalid_client", error_description: "s3cret" }), "refused", 401, 1],
    ["is answered 403 with HTML", Reply.text(403, "<html>s3cret</html>", "text/html"), "refused", 403, 1],
    ["is redirected", Reply.empty(302, { location: "/login" }), "refused", 302, 1],
    ["is answered 500", Reply.status(500), "unavailable", 500, 2],
    ["is answered 503", Reply.status(503), "unavailable", 503, 2],
    ["is answered 429", Reply.status(429), "unavailable", 429, 2],
    ["is answered 408", Reply.status(408), "unavailable", 408, 2],
    ["is reset", Reply.reset, "unavailable", undefined, 2],
    ["is garbage", Reply.garbage("no http\r\n\r\n"), "unavailable", undefined, 2],
    [
      "is malformed JSON",
      Reply.status(200, { headers: { "content-type": "application/json" }, body: '{"access_token":' }),
      "malformed",
      200,
      1
    ],
    ["is 1 MiB of garbage", Reply.garbageBody(1024 * 1024), "malformed", 200, 1],
    ["has no access_token", Reply.json(200, { token_type: "bearer" }), "malformed", 200, 1],
    ["has an empty access_token", Reply.json(200, { access_token: "" }), "malformed", 200, 1],
    ["has a number as access_token", Reply.json(200, { access_token: 5 }), "malformed", 200, 1],
    ["is of another type", Reply.json(200, { access_token: "t", token_type: "mac" }), "malformed", 200, 1],
    ["has nonsense as expires_in", Reply.json(200, { access_token: "t", expires_in: "soon" }), "malformed", 200, 1],
    ["has a token that is no header value", Reply.json(200, { access_token: "a\r\nx-evil: 1" }), "malformed", 200, 1],
    ["is empty", Reply.empty(200), "malformed", 200, 1]
  ] as const) {
    live(`a token endpoint whose answer ${name} is AuthenticationFailed(${reason}), ignored by the circuit`, (seen) =>
      Effect.gen(function* () {
        const { stub } = yield* guarded()
        yield* stub.on("POST /token", reply)
        const circuit = unique()
        const { create } = yield* connect({
          name: circuit,
          baseUrl: stub.url,
          authentication: credentials(stub),
          retry: once,
          breaker: counting
        })
        const error = yield* failure(create)
        assert.strictEqual(error._tag, "AuthenticationFailed")
        if (error._tag !== "AuthenticationFailed") return
        assert.strictEqual(error.reason, reason)
        assert.strictEqual(error.status, status)
        assert.lengthOf(yield* stub.requestsTo("POST /token"), requests)
        assert.lengthOf(yield* stub.requestsTo("POST /v1/charges"), 0)
        const { calls, failed } = yield* circuitOf(circuit)
        assert.strictEqual(failed, 0)
        if (reason !== "refused") assert.strictEqual(calls, 0)
        assert.deepStrictEqual(yield* seen.notified, reason === "unavailable" ? [] : ["alert"])
        assert.notInclude(yield* seen.text, "s3cret")
        assert.notInclude(JSON.stringify(error) + String(error), "s3cret")
      })
    )
  }

  live("a token endpoint that is down is AuthenticationFailed(unavailable) with the system's code", () =>
    Effect.gen(function* () {
      const { stub } = yield* guarded()
      const { url } = yield* Unreachable.refused
      const { get } = yield* connect({ baseUrl: stub.url, authentication: credentials(stub, { tokenUrl: url }) })
      const error = yield* failure(get)
      assert.strictEqual(error._tag, "AuthenticationFailed")
      if (error._tag === "AuthenticationFailed")
        assert.deepStrictEqual([error.reason, error.description], ["unavailable", "ECONNREFUSED"])
    })
  )

  for (const [name, reply] of [
    ["hangs", Reply.hang],
    ["hangs in its body", Reply.hangInBody(Reply.json(200, { access_token: "t" }))]
  ] as const) {
    live(`a token endpoint that ${name} is AuthenticationFailed after its timeout, and the next call asks again`, () =>
      Effect.gen(function* () {
        const { issuer, stub } = yield* guarded()
        yield* issuer.failNext(1, reply)
        const { get } = yield* connect({
          baseUrl: stub.url,
          authentication: credentials(stub, { timeout: "80 millis" })
        })
        const error = yield* failure(get)
        assert.strictEqual(error._tag, "AuthenticationFailed")
        yield* stub.until(({ requests }) => requests[0]?.outcome === "aborted")
        yield* get
      })
    )
  }

  live("a token endpoint that hangs longer than the attempt may take does not open the provider's circuit", () =>
    Effect.gen(function* () {
      const { stub } = yield* guarded()
      yield* stub.on("POST /token", Reply.hang)
      const name = unique()
      const { get } = yield* connect({
        name,
        baseUrl: stub.url,
        authentication: credentials(stub),
        breaker: brittle,
        timeouts: { attempt: "60 millis", total: "5 seconds" }
      })
      yield* failure(get)
      assert.strictEqual((yield* circuitOf(name)).state, "Closed", "the provider was not even asked")
    })
  )

  live("the read timeout counts from the sending of the request, not from the request for a token", () =>
    Effect.gen(function* () {
      const { issuer, stub } = yield* guarded()
      yield* issuer.failNext(1, Reply.delay("400 millis", Reply.json(200, { access_token: "t" })))
      yield* stub.on("GET /v1/charges/:id", Reply.requireToken(["t"], ok))
      const { get } = yield* connect({
        baseUrl: stub.url,
        authentication: credentials(stub),
        timeouts: { read: "200 millis", attempt: "5 seconds", total: "6 seconds" }
      })
      yield* get
    })
  )

  live("interruption of the caller who started the refresh does not fail the others", () =>
    Effect.gen(function* () {
      const { issuer, stub } = yield* guarded()
      const gate = yield* Deferred.make<void>()
      yield* issuer.failNext(
        1,
        Reply.dynamic(() => Effect.as(Deferred.await(gate), Reply.json(200, { access_token: "t" })))
      )
      yield* stub.on("GET /v1/charges/:id", Reply.requireToken(["t"], ok))
      const { get } = yield* connect({ baseUrl: stub.url, authentication: credentials(stub) })
      const first = yield* Effect.forkChild(get)
      yield* stub.awaitRequests(1)
      const others = yield* Effect.forkChild(Effect.all([get, get, get], { concurrency: "unbounded" }))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(first)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(others)
      assert.lengthOf(yield* stub.requestsTo("POST /token"), 1)
    })
  )

  it.live("an interruption at any step of the caller who starts the refresh never jams the token", () =>
    Effect.gen(function* () {
      let asked = 0
      const fakeProvider = withFake((request) => {
        if (!request.url.endsWith("/token")) return Response.json(good)
        asked++
        return Response.json({ access_token: "t" })
      })
      for (let run = 0; run < runs(200); run++) {
        const step = run % 50
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { get } = yield* connect({
              baseUrl: "http://127.0.0.1:9",
              authentication: Authentication.clientCredentials({
                tokenUrl: "http://127.0.0.1:9/token",
                id: "a",
                secret: secret("b")
              })
            })
            // The fiber yields after a few operations, so that it can be interrupted nearly anywhere.
            const first = yield* get.pipe(
              Effect.provideService(References.MaxOpsBeforeYield, 2 + Math.floor(run / 50)),
              Effect.forkChild
            )
            for (let i = 0; i < step; i++) yield* Effect.yieldNow
            yield* Fiber.interrupt(first)
            yield* get.pipe(Effect.timeout("2 seconds"))
          }).pipe(fakeProvider)
        )
      }
      assert.isAtLeast(asked, 1)
    })
  )

  it.effect("a token is fetched again before it expires, in the background, while calls still use the old one", () =>
    watched(() =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const tokens: Array<string> = []
        const used: Array<string | null> = []
        let waits: Promise<void> | undefined
        const provider = withFake(async (request) => {
          if (request.url.endsWith("/token")) {
            tokens.push(`t${tokens.length + 1}`)
            const token = tokens.at(-1)
            await waits
            return Response.json({ access_token: token, expires_in: 1000 })
          }
          used.push(request.headers.get("authorization"))
          return Response.json(good)
        })
        yield* Effect.gen(function* () {
          const { get } = yield* connect({
            baseUrl: "http://127.0.0.1:9",
            authentication: Authentication.clientCredentials({
              tokenUrl: "http://127.0.0.1:9/token",
              id: "a",
              secret: secret("b"),
              refreshBefore: "30 seconds"
            })
          })
          const idle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
          yield* get
          yield* TestClock.adjust("969 seconds")
          yield* get
          assert.deepStrictEqual(tokens, ["t1"])
          waits = Effect.runPromise(Deferred.await(gate))
          yield* TestClock.adjust("2 seconds")
          yield* get
          yield* idle
          yield* get
          assert.deepStrictEqual(tokens, ["t1", "t2"], "one refresh, however many calls")
          assert.deepStrictEqual(new Set(used), new Set(["Bearer t1"]))
          yield* Deferred.succeed(gate, undefined)
          yield* idle
          yield* get
          assert.strictEqual(used.at(-1), "Bearer t2")
          // Where it has expired, calls wait for the new one.
          yield* TestClock.adjust("1000 seconds")
          yield* get
          assert.strictEqual(used.at(-1), "Bearer t3")
        }).pipe(provider)
      })
    )
  )

  it.effect(
    "a failing refresh in the background harms no call, and is not repeated by every call while the old token is good",
    () =>
      watched(() => {
        let asked = 0
        return Effect.gen(function* () {
          const { get } = yield* connect({
            baseUrl: "http://127.0.0.1:9",
            authentication: Authentication.clientCredentials({
              tokenUrl: "http://127.0.0.1:9/token",
              id: "a",
              secret: secret("b")
            })
          })
          yield* get
          yield* TestClock.adjust("975 seconds")
          const idle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2)))
          for (let i = 0; i < 20; i++) {
            yield* get
            yield* idle
          }
          assert.isAtMost(asked - 1, 5, "an issuer that is down is not asked 20 times within one moment")
        }).pipe(
          withFake((request) => {
            if (!request.url.endsWith("/token")) return Response.json(good)
            return ++asked === 1
              ? Response.json({ access_token: "t", expires_in: 1000 })
              : new Response("", { status: 503 })
          })
        )
      })
  )

  live("a 401 discards a token only where it is the current one: a straggler causes no second refresh", () =>
    Effect.gen(function* () {
      const { issuer, stub } = yield* guarded()
      const gate = yield* Deferred.make<void>()
      const { create, get } = yield* connect({ baseUrl: stub.url, authentication: credentials(stub) })
      yield* get
      yield* stub.on(
        "POST /v1/charges",
        Reply.dynamic(() => Effect.as(Deferred.await(gate), Reply.status(401))),
        Reply.requireToken(issuer, ok)
      )
      const straggler = yield* Effect.forkChild(create)
      yield* stub.awaitRequests(1, "POST /v1/charges")
      yield* issuer.expireAll
      yield* get
      assert.strictEqual(yield* issuer.issued, 2)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(straggler)
      assert.strictEqual(yield* issuer.issued, 2)
    })
  )

  live(
    "rotation of the client secret: the next is tried where the endpoint refuses the first, and then used first",
    () =>
      Effect.gen(function* () {
        const { issuer, stub } = yield* guarded({ clients: { shop: "new" } })
        const { get } = yield* connect({
          baseUrl: stub.url,
          authentication: credentials(stub, { secret: [secret("old"), secret("new")] })
        })
        yield* get
        assert.lengthOf(yield* stub.requestsTo("POST /token"), 2)
        yield* issuer.expireAll
        yield* get
        assert.lengthOf(yield* stub.requestsTo("POST /token"), 3)
      })
  )

  live("rotation of the client secret: where all are refused each is asked once, and the error is typed", () =>
    Effect.gen(function* () {
      const { stub } = yield* guarded({ clients: { shop: "other" } })
      const { get } = yield* connect({
        baseUrl: stub.url,
        authentication: credentials(stub, { secret: [secret("a"), secret("b"), secret("c")] })
      })
      const error = yield* failure(get)
      assert.strictEqual(error._tag, "AuthenticationFailed")
      assert.lengthOf(yield* stub.requestsTo("POST /token"), 3)
    })
  )

  live("a call after the layer has ended ends too: it does not wait for a token that nobody fetches", () =>
    Effect.gen(function* () {
      const { stub } = yield* guarded()
      const { get } = yield* Effect.scoped(
        connect({ baseUrl: stub.url, authentication: credentials(stub), timeouts: {} })
      )
      const ended = yield* Effect.timeoutOption(Effect.exit(get), "1 second")
      assert.strictEqual(ended._tag, "Some")
    })
  )

  live("a layer that ends while a token is fetched ends the calls that wait for it", () =>
    Effect.gen(function* () {
      const { stub } = yield* guarded()
      yield* stub.on("POST /token", Reply.hang)
      const waiting = yield* Effect.scoped(
        Effect.gen(function* () {
          const { get } = yield* connect({ baseUrl: stub.url, authentication: credentials(stub), timeouts: {} })
          const fiber = yield* Effect.forkDetach(get)
          yield* stub.awaitRequests(1)
          return fiber
        })
      )
      const exit = yield* Effect.timeoutOption(Fiber.await(waiting), "1 second")
      assert.strictEqual(exit._tag, "Some")
      yield* stub.awaitSockets(0)
    })
  )

  live("a Retry-After of the token endpoint is carried by the error and honoured by the retry", () =>
    Effect.gen(function* () {
      const { issuer, stub } = yield* guarded()
      yield* issuer.failNext(1, Reply.empty(503, { "retry-after": "1" }))
      const { get } = yield* connect({ baseUrl: stub.url, authentication: credentials(stub), retry: once })
      yield* get
      const [first, second] = yield* stub.requestsTo("POST /token")
      assert.isAtLeast(second!.at - first!.at, 999)
      yield* issuer.expireAll
      yield* issuer.failNext(1, Reply.empty(503, { "retry-after": "100" }))
      const error = yield* failure(get.pipe(Effect.andThen(get)))
      if (error._tag === "AuthenticationFailed") assert.strictEqual(Duration.toSeconds(error.retryAfter!), 100)
      else assert.fail(error._tag)
    })
  )
})

describe("Keys that are configured", () => {
  live(
    "a bearer token and an API key are sent in their headers, and without another there is one request per 401",
    () =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        yield* stub.on("GET /v1/charges/:id", Reply.status(401))
        const bearer = yield* connect({
          baseUrl: stub.url,
          retry: once,
          authentication: Authentication.bearer(secret("abc")) as never
        })
        const apiKey = yield* connect({
          baseUrl: stub.url,
          authentication: Authentication.apiKey({ key: secret("k"), header: "X-Shop-Key" }) as never
        })
        yield* failure(bearer.get)
        yield* failure(apiKey.get)
        const requests = yield* stub.requests
        assert.lengthOf(requests, 2)
        assert.strictEqual(requests[0]!.headers.authorization, "Bearer abc")
        assert.strictEqual(requests[1]!.headers["x-shop-key"], "k")
      })
  )

  live("rotation overlap: a refused key gives way to the next within the same call, and stays out of use", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.requireToken(["old"], ok))
      const authentication = Authentication.bearer([secret("new"), secret("old")]) as never
      const { get } = yield* connect({ baseUrl: stub.url, authentication })
      yield* Effect.all(
        Array.from({ length: 20 }, () => get),
        { concurrency: "unbounded" }
      )
      yield* stub.reset
      yield* get
      assert.lengthOf(yield* stub.requests, 1)
      // The provider ends the old key and accepts the new one.
      yield* stub.on("GET /v1/charges/:id", Reply.requireToken(["new"], ok))
      yield* get
      assert.lengthOf(yield* stub.requests, 3)
    })
  )

  live(
    "a secret with a line end is no network error of the provider: typed, not retried, and not in the error",
    (seen) =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        yield* stub.on("GET /v1/charges/:id", ok)
        const { get } = yield* connect({
          baseUrl: stub.url,
          retry: once,
          authentication: Authentication.bearer(secret("hunter2\n")) as never
        })
        const exit = yield* Effect.exit(get)
        assert.notInclude(yield* seen.text, "hunter2")
        if (exit._tag === "Success") return
        const error = yield* failure(exit)
        assert.notInclude(JSON.stringify(error) + String(error), "hunter2")
        assert.notStrictEqual(error._tag, "NetworkError")
      })
  )

  it("construction refuses nonsense and says what was given, never a secret", () => {
    const key = secret("hunter2")
    for (const [name, make] of [
      ["no bearer", () => Authentication.bearer([])],
      ["no key", () => Authentication.apiKey({ key: [] })],
      ["a header with a space", () => Authentication.apiKey({ key, header: "my header" })],
      ["an empty header", () => Authentication.apiKey({ key, header: "" })],
      ["a header with a line end", () => Authentication.apiKey({ key, header: "a\nb" })],
      ["no client secret", () => Authentication.clientCredentials({ tokenUrl: "https://x", id: "a", secret: [] })],
      [
        "a timeout of zero",
        () => Authentication.clientCredentials({ tokenUrl: "https://x", id: "a", secret: key, timeout: 0 })
      ],
      [
        "a negative refresh",
        () => Authentication.clientCredentials({ tokenUrl: "https://x", id: "a", secret: key, refreshBefore: -1 })
      ],
      ["no URL", () => Authentication.clientCredentials({ tokenUrl: "nonsense", id: "a", secret: key })],
      ["an empty id", () => Authentication.clientCredentials({ tokenUrl: "https://x", id: "", secret: key })]
    ] as const) {
      try {
        make()
      } catch (error) {
        assert.match(String(error), /InvalidOption.*Authentication\./, name)
        assert.notInclude(String(error), "hunter2")
        continue
      }
      assert.fail(`${name} was accepted`)
    }
  })
})
