import { assert, describe } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { HttpPolicy, Idempotency, StatusTable } from "../../src/http/index.ts"
import { RequestContext, RetryPolicy } from "../../src/policy/index.ts"
import { Reply, StubProvider, Unreachable } from "../../src/testing/index.ts"
import { random } from "../policy/observe.ts"
import { connect, failure, good, live, once, runs, twice, unique } from "./payments.ts"

const ok = Reply.json(200, good)
const keys = (requests: ReadonlyArray<{ readonly headers: Readonly<Record<string, string>> }>) =>
  requests.map((each) => each.headers["x-idempotency-key"])
const slowly = RetryPolicy.make({ delays: ["1 millis", "1 millis", "1 millis"] })

/** The Retry-After that an error carries, in milliseconds, for one header value. */
const retryAfter = (value: string | ReadonlyArray<string>, status = 429) =>
  Effect.gen(function* () {
    const stub = yield* StubProvider.make()
    const values = typeof value === "string" ? [value] : value
    const headers = values.map((each) => ["retry-after", each] as const)
    yield* stub.on("GET /v1/charges/:id", Reply.status(status, { headers, body: "{}" }))
    const { get } = yield* connect({ baseUrl: stub.url })
    const error = (yield* failure(get)) as StatusTable.Failure
    assert.strictEqual(error.status, status)
    return error.retryAfter === undefined ? undefined : Duration.toMillis(error.retryAfter)
  })

const httpDate = (millis: number) => new Date(Date.now() + millis).toUTCString()

describe("Retry-After", () => {
  live("in seconds is waited for before the next attempt, and holds back the contract's other calls", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", Reply.json(429, {}, { "retry-after": "1" }), ok)
      yield* stub.on("GET /v1/charges/:id", ok)
      const { create, get } = yield* connect({ baseUrl: stub.url, retry: once })
      const creating = yield* Effect.forkChild(create)
      yield* stub.until(({ requests }) => requests[0]?.outcome === "answered")
      yield* Effect.sleep("20 millis")
      yield* get
      yield* Fiber.join(creating)
      const [refused, ...others] = yield* stub.requests
      assert.lengthOf(others, 2)
      for (const each of others) assert.isAtLeast(each.at - refused!.at, 999)
    })
  )

  live("that does not fit the budget ends the call at once, and others with RateLimitExceeded by the provider", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.json(429, {}, { "retry-after": "3600" }))
      const { get } = yield* connect({ baseUrl: stub.url, retry: once })
      const first = yield* failure(get)
      assert.strictEqual(first._tag, "RateLimited")
      const second = yield* failure(get)
      assert.strictEqual(second._tag, "RateLimitExceeded")
      if (second._tag === "RateLimitExceeded") assert.strictEqual(second.limit, "provider")
      assert.lengthOf(yield* stub.requests, 1)
    })
  )

  live("as an HTTP-date in the future is the time until then; in the past it is no time", () =>
    Effect.gen(function* () {
      const future = yield* retryAfter(httpDate(60_000))
      assert.isAtLeast(future!, 55_000)
      assert.isAtMost(future!, 60_000)
      assert.strictEqual(yield* retryAfter(httpDate(-60_000)), 0)
    })
  )

  for (const malformed of [
    "",
    "soon",
    "-5",
    "1.5",
    "1e3",
    "0x10",
    "2026-01-01",
    "Tue, 99 Foo 2026 00:00:00 GMT",
    "5; 6"
  ]) {
    live(`that is malformed (${JSON.stringify(malformed)}) is as if it were not there`, () =>
      Effect.map(retryAfter(malformed), (found) => assert.isUndefined(found))
    )
  }

  live("that is duplicated is one of the two, or none: never a defect, never NaN", () =>
    Effect.gen(function* () {
      for (const values of [
        ["1", "2"],
        ["2", "2"],
        ["1", "soon"],
        [httpDate(1000), "1"]
      ]) {
        const found = yield* retryAfter(values)
        assert.isTrue(found === undefined || (found >= 0 && found <= 2000), `${values.join()} gave ${found}`)
      }
    })
  )

  live(
    "that is absurd (99999999999999999999, year 9999) is a typed error whose Retry-After is finite and encodes",
    () =>
      Effect.gen(function* () {
        for (const value of [
          "99999999999999999999",
          "9007199254740993",
          "Fri, 31 Dec 9999 23:59:59 GMT",
          "9".repeat(400)
        ]) {
          const found = yield* retryAfter(value)
          assert.isTrue(found === undefined || Number.isFinite(found), `${value} gave ${found}`)
        }
      })
  )

  live(
    "that is absurd ends the call at once even without a total timeout, and does not block the contract for ever",
    () =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        yield* stub.on("GET /v1/charges/:id", Reply.json(429, {}, { "retry-after": "99999999999" }), ok)
        const { get } = yield* connect({ baseUrl: stub.url, retry: once, timeouts: { total: "2 seconds" } })
        yield* failure(get)
        const held = yield* failure(get)
        if (held._tag === "RateLimitExceeded") {
          assert.isAtMost(
            Duration.toHours(held.retryAfter),
            24 * 366,
            "nobody is held back for 3,000 years by one bad header"
          )
        }
      })
  )

  live("of 503 is honoured for the call only; of 500 and 404 it means nothing", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* retryAfter("7", 503), 7000)
      assert.isUndefined(yield* retryAfter("7", 500))
      assert.isUndefined(yield* retryAfter("7", 404))
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.json(503, {}, { "retry-after": "7" }), ok)
      const { get } = yield* connect({ baseUrl: stub.url, retry: once, timeouts: { total: "1 second" } })
      yield* failure(get)
      yield* get
    })
  )

  live("answered to the probe of a half-open circuit keeps it open until then", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.status(500), Reply.json(429, {}, { "retry-after": "1" }), ok)
      const breaker = { failurePercent: 50, window: "10 seconds", openFor: "30 millis", minimumCalls: 1 } as const
      const { get } = yield* connect({ baseUrl: stub.url, breaker, timeouts: { total: "500 millis" } })
      yield* failure(get)
      yield* Effect.sleep("40 millis")
      assert.strictEqual((yield* failure(get))._tag, "RateLimited")
      yield* Effect.sleep("100 millis")
      assert.strictEqual((yield* failure(get))._tag, "CircuitOpen")
      yield* Effect.sleep("1 second")
      yield* get
      const [, second, third] = yield* stub.requests
      assert.isAtLeast(third!.at - second!.at, 999)
    })
  )

  live("of a declared 429 is honoured as that of an undeclared one: the contract's calls are held back", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/queue", Reply.json(429, { _tag: "Busy", queue: 3 }, { "retry-after": "1" }), ok)
      const { client } = yield* connect({ baseUrl: stub.url, idempotent: true, retry: once })
      yield* client.charges.queue()
      const [refused, second] = yield* stub.requests
      assert.isAtLeast(second!.at - refused!.at, 999)
    })
  )
})

describe("Idempotency", () => {
  live("one key on all attempts of a call, another for the next call, quoted in Idempotency-Key", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", Reply.status(500), Reply.reset, ok, Reply.status(503), ok)
      const { create } = yield* connect({ baseUrl: stub.url, idempotent: true, retry: slowly })
      yield* create
      yield* create
      const requests = yield* stub.requests
      const [a, b, c, d, e] = keys(requests)
      assert.match(a!, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.deepStrictEqual([b, c], [a, a])
      assert.strictEqual(e, d)
      assert.notStrictEqual(d, a)
      for (const each of requests) {
        assert.strictEqual(each.headers["idempotency-key"], `"${each.headers["x-idempotency-key"]}"`)
      }
      assert.deepStrictEqual(new Set(requests.slice(0, 3).map((each) => each.body)).size, 1)
    })
  )

  live("safe requests carry no key, and a contract that is not idempotent sends none", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("* /v1/charges/:id", ok)
      yield* stub.on("POST /v1/charges", ok)
      const idempotent = yield* connect({ baseUrl: stub.url, idempotent: true })
      yield* idempotent.get
      yield* idempotent.client.charges.replace({ params: { id: "c1" }, payload: { amount: 1 } })
      const plain = yield* connect({ baseUrl: stub.url })
      yield* plain.create
      const found = keys(yield* stub.requests)
      assert.isUndefined(found[0])
      assert.isString(found[1])
      assert.isUndefined(found[2])
    })
  )

  live("withKey gives the key, also with quotes and backslashes; headers can be named", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", ok)
      const { create } = yield* connect({
        baseUrl: stub.url,
        idempotent: { headers: ["X-Request-Token", "Idempotency-Key"] }
      })
      const key = 'a"b\\c'
      yield* create.pipe(Idempotency.withKey(key))
      const [request] = yield* stub.requests
      assert.strictEqual(request!.headers["x-request-token"], key)
      assert.strictEqual(request!.headers["idempotency-key"], '"a\\"b\\\\c"')
      assert.strictEqual(Idempotency.parse(request!.headers["idempotency-key"]!), key)
      assert.isUndefined(request!.headers["x-idempotency-key"])
    })
  )

  live("derived gives the same keys when it is run again, others for other work and for each call within", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", ok)
      yield* stub.on("PUT /v1/charges/:id", ok)
      const { client, create } = yield* connect({ baseUrl: stub.url, idempotent: true })
      const handler = Effect.andThen(
        Effect.andThen(create, create),
        client.charges.replace({ params: { id: "1" }, payload: { amount: 1 } })
      )
      const work = handler.pipe(Idempotency.derived("https://orders", "event-1", "billing"))
      yield* work
      yield* work
      yield* handler.pipe(Idempotency.derived("https://orders", "event-2", "billing"))
      const found = keys(yield* stub.requests)
      assert.deepStrictEqual(found.slice(3, 6), found.slice(0, 3))
      assert.strictEqual(new Set(found).size, 6)
      assert.notInclude(Idempotency.headersOf(found[0]!, ["Idempotency-Key"])["Idempotency-Key"], stub.url)
    })
  )

  live("parts that only look alike derive different keys: a slash in a part is no boundary", () =>
    Effect.gen(function* () {
      const next = Idempotency.next("op")
      const one = yield* next.pipe(Idempotency.derived("a/b", "c"))
      const two = yield* next.pipe(Idempotency.derived("a", "b/c"))
      const three = yield* next.pipe(Idempotency.derived("a", "b", "c"))
      assert.strictEqual(new Set([one, two, three]).size, 3)
    })
  )

  live("a derived key is one whatever the part: a lone surrogate is no defect", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", ok)
      const { create } = yield* connect({ baseUrl: stub.url, idempotent: true })
      yield* create.pipe(Idempotency.derived("orders", "tenant-\ud800"))
      assert.lengthOf(yield* stub.requests, 1)
    })
  )

  live(
    "a derived key of a plain client is the same in every environment and never contains the password of the base URL",
    () =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        yield* stub.on("POST /v1/charges", ok)
        const baseUrl = stub.url.replace("//", "//user:hunter2@")
        const client = yield* HttpPolicy.make(unique(), { baseUrl, idempotent: true, errors: StatusTable.standard })
        yield* client.post("/v1/charges").pipe(Idempotency.derived("orders", "1"))
        const [request] = yield* stub.requests
        assert.notInclude(JSON.stringify(request!.headers), "hunter2")
        assert.notInclude(request!.headers["x-idempotency-key"]!, String(stub.port))
      })
  )

  live("a key that a plain request carries already is kept: whoever set it relies on it", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", ok)
      const client = yield* HttpPolicy.make(unique(), {
        baseUrl: stub.url,
        idempotent: true,
        errors: StatusTable.standard
      })
      yield* client.post("/v1/charges", { headers: { "idempotency-key": '"mine"' } })
      assert.strictEqual((yield* stub.requests)[0]!.headers["idempotency-key"], '"mine"')
    })
  )

  for (const bad of ["bad\r\nx-evil: 1", "ключ", "tab\u0000"]) {
    live(`a key that is no header value (${JSON.stringify(bad)}) is the request's fault and not retried`, () =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        yield* stub.on("POST /v1/charges", ok)
        const { create } = yield* connect({ baseUrl: stub.url, idempotent: true, retry: once })
        const error = yield* failure(create.pipe(Idempotency.withKey(bad)))
        assert.lengthOf(yield* stub.requests, 0)
        assert.strictEqual(error._tag, "ProtocolError")
        if (error._tag === "ProtocolError") assert.strictEqual(error.side, "request")
      })
    )
  }

  live("a request id that is no header value is the request's fault too, or is not forwarded", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", ok)
      const { create } = yield* connect({ baseUrl: stub.url, idempotent: true, retry: once })
      const exit = yield* Effect.exit(create.pipe(RequestContext.withRequestId("id\r\nx-evil: 1")))
      if (exit._tag === "Success") return
      const error = yield* failure(exit)
      assert.strictEqual(error._tag, "ProtocolError")
    })
  )
})

describe("Retrying is safe", () => {
  const patience = (read: "60 millis" | "3 seconds") =>
    ({ timeouts: { read, attempt: "4 seconds", total: "9 seconds" }, retry: twice }) as const

  for (const [what, reply, tag] of [
    ["a timeout", Reply.hang, "Timeout"],
    ["a reset", Reply.reset, "NetworkError"],
    ["a 500", Reply.status(500), "InternalError"],
    ["a 503", Reply.status(503), "Unavailable"],
    ["garbage", Reply.garbage("hello\r\n\r\n"), "NetworkError"],
    ["a body that is cut off", Reply.truncated(ok), "NetworkError"]
  ] as const) {
    live(`after ${what} no POST or PATCH is sent twice; GET, PUT, DELETE and an idempotent POST are`, () =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        yield* stub.on("* /*", reply)
        const unsafe = patience(tag === "Timeout" ? "60 millis" : "3 seconds")
        const { client } = yield* connect({ baseUrl: stub.url, ...unsafe })
        const params = { params: { id: "c1" } }
        const payload = { payload: { amount: 1 } }
        const sent = Effect.fnUntraced(function* (call: Effect.Effect<unknown, { readonly _tag: string }>) {
          yield* stub.reset
          const error = yield* failure(call)
          assert.strictEqual(error._tag, tag)
          return (yield* stub.requests).length
        })
        assert.strictEqual(yield* sent(client.charges.create(payload)), 1)
        assert.strictEqual(yield* sent(client.charges.change({ ...params, ...payload })), 1)
        assert.strictEqual(yield* sent(client.charges.replace({ ...params, ...payload })), 3)
        assert.strictEqual(yield* sent(client.charges.get(params)), 3)
        if (!what.startsWith("a body")) assert.strictEqual(yield* sent(client.charges.remove(params)), 3)
        const idempotent = yield* connect({ baseUrl: stub.url, idempotent: true, ...unsafe })
        assert.strictEqual(yield* sent(idempotent.create), 3)
      })
    )
  }

  live("a POST that is not idempotent is sent again after a 429 and a 425: it provably was not processed", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", Reply.status(429), Reply.status(425), ok)
      const { create } = yield* connect({ baseUrl: stub.url, retry: twice })
      yield* create
      assert.lengthOf(yield* stub.requests, 3)
    })
  )

  live("a POST that is not idempotent is sent again after connection refused, once the provider is up", (seen) =>
    Effect.gen(function* () {
      const down = yield* Unreachable.refused
      const delays = RetryPolicy.make({ delays: Array.from({ length: 200 }, () => "10 millis" as const) })
      const { create } = yield* connect({ baseUrl: down.url, retry: delays })
      const creating = yield* Effect.forkChild(create)
      yield* Effect.suspend(() => Effect.sleep("2 millis")).pipe(Effect.repeat({ until: () => seen.lines.length > 0 }))
      const stub = yield* StubProvider.make({ port: down.port })
      yield* stub.on("POST /v1/charges", ok)
      assert.deepStrictEqual({ ...(yield* Fiber.join(creating)) }, good)
      assert.lengthOf(yield* stub.requests, 1)
      assert.include(seen.lines[0]!.message, "ECONNREFUSED")
    })
  )

  live("a connect timeout is retried for any method: nothing was sent", (seen) =>
    Effect.gen(function* () {
      const silent = yield* Unreachable.silent
      const { create } = yield* connect({
        baseUrl: silent.url,
        retry: once,
        timeouts: { connect: "60 millis", attempt: "1 second", total: "3 seconds" }
      })
      const error = yield* failure(create)
      assert.strictEqual(error._tag, "Timeout")
      if (error._tag === "Timeout") assert.deepStrictEqual([error.kind, error.outcome], ["connect", "unprocessed"])
      assert.lengthOf(seen.lines, 2)
    })
  )

  live(
    "among random faults no unsafe request is sent again that may have taken effect; one key per call where it may be",
    () =>
      Effect.gen(function* () {
        const chance = random(20_261_122)
        const next = (most: number) => Math.floor(chance() * most)
        const unprocessed = [Reply.status(429), Reply.status(425), Reply.status(421)]
        const ambiguous = [
          Reply.status(500),
          Reply.status(503),
          Reply.status(408),
          Reply.reset,
          Reply.hang,
          Reply.garbage(),
          Reply.truncated(ok),
          Reply.hangInBody(ok),
          Reply.json(200, { id: 1 })
        ]
        const stub = yield* StubProvider.make()
        const answers = new Map<string, Array<"unprocessed" | "ambiguous">>()
        const faults = (one: ReadonlyArray<Reply.Reply>, kind: "unprocessed" | "ambiguous", key: string) => {
          answers.set(key, [...(answers.get(key) ?? []), kind])
          return one[next(one.length)]!
        }
        yield* stub.on(
          "* /v1/charges/:id",
          Reply.dynamic((request) =>
            Effect.sync(() =>
              next(2) === 0
                ? faults(unprocessed, "unprocessed", request.path)
                : faults(ambiguous, "ambiguous", request.path)
            )
          )
        )
        const options = {
          baseUrl: stub.url,
          retry: slowly,
          timeouts: { read: "300 millis", attempt: "400 millis" }
        } as const
        const unsafe = yield* connect(options)
        const idempotent = yield* connect({ ...options, idempotent: true })
        const calls = Array.from({ length: runs(150) }, (_, i) => {
          const { client } = i % 2 === 0 ? unsafe : idempotent
          return Effect.exit(client.charges.change({ params: { id: `${i}` }, payload: { amount: i } }))
        })
        const exits = yield* Effect.all(calls, { concurrency: 30 })
        for (const exit of exits) yield* failure(exit)
        const requests = yield* stub.requests
        for (let i = 0; i < exits.length; i++) {
          const path = `/v1/charges/${i}`
          const given = answers.get(path)!
          if (i % 2 === 0) assert.notInclude(given.slice(0, -1), "ambiguous", `call ${i}: ${given.join()}`)
          else assert.strictEqual(new Set(keys(requests.filter((each) => each.path === path))).size, 1)
        }
        assert.strictEqual(new Set(keys(requests)).size, Math.floor(exits.length / 2) + 1)
        yield* stub.until(({ requests }) => requests.every((each) => each.outcome !== "hanging"))
      }),
    30_000
  )
})
