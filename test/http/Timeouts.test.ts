import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { FetchHttpClient, type HttpClient } from "effect/http"
import { HttpPolicy, StatusTable } from "../../src/http/index.ts"
import { RequestContext } from "../../src/policy/index.ts"
import { Reply, StubProvider, Unreachable } from "../../src/testing/index.ts"
import { connect, failure, good, once, twice, unique, watched } from "./payments.ts"
import type { Layer, Scope } from "effect"

const ok = Reply.json(200, good)

const clients: ReadonlyArray<readonly [string, Layer.Layer<HttpClient.HttpClient>]> = [
  ["undici", NodeHttpClient.layerUndici],
  ["fetch", FetchHttpClient.layer]
]

const both = (
  name: string,
  test: (client: string) => Effect.Effect<unknown, unknown, HttpClient.HttpClient | Scope.Scope>
) => {
  for (const [client, layer] of clients) {
    it.live(`${client}: ${name}`, () => watched(() => test(client)).pipe(Effect.provide(layer)))
  }
}

describe("Timeouts", () => {
  it.live("undici: connect is told apart on an address that never answers, and nothing was sent", () =>
    watched(() =>
      Effect.gen(function* () {
        const { url } = yield* Unreachable.silent
        const { create } = yield* connect({
          baseUrl: url,
          timeouts: { connect: "60 millis", read: "50 millis", attempt: "3 seconds", total: "5 seconds" }
        })
        const error = yield* failure(create)
        assert.strictEqual(error._tag, "Timeout")
        if (error._tag !== "Timeout") return
        assert.deepStrictEqual(
          [error.kind, error.outcome, Duration.toMillis(error.limit)],
          ["connect", "unprocessed", 60]
        )
      })
    ).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("fetch: an address that never answers is a Timeout too, in whatever phase it is seen", () =>
    watched(() =>
      Effect.gen(function* () {
        const { url } = yield* Unreachable.silent
        const { create } = yield* connect({
          baseUrl: url,
          timeouts: { connect: "60 millis", attempt: "200 millis", total: "5 seconds" }
        })
        const error = yield* failure(create)
        assert.strictEqual(error._tag, "Timeout")
      })
    ).pipe(Effect.provide(FetchHttpClient.layer))
  )

  for (const [name, reply, kind, timeouts] of [
    [
      "read: a request that is never answered",
      Reply.hang,
      "read",
      { connect: "2 seconds", read: "60 millis", attempt: "3 seconds", total: "5 seconds" }
    ],
    [
      "attempt: headers, and a body that hangs",
      Reply.hangInBody(ok),
      "attempt",
      { read: "1 second", attempt: "1050 millis", total: "5 seconds" }
    ],
    [
      "attempt: a body that drips",
      Reply.slowBody({ chunks: 20, every: "200 millis" }, ok),
      "attempt",
      { read: "500 millis", attempt: "700 millis", total: "5 seconds" }
    ],
    [
      "attempt: an error whose body hangs",
      Reply.hangInBody(Reply.json(404, good)),
      "attempt",
      { read: "300 millis", attempt: "400 millis", total: "5 seconds" }
    ],
    ["total: a request that is never answered", Reply.hang, "total", { total: "100 millis" }]
  ] as const) {
    both(`${name}; the request is aborted and its socket freed`, () =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        yield* stub.on("POST /v1/charges", reply)
        const { create } = yield* connect({ baseUrl: stub.url, timeouts })
        const error = yield* failure(create)
        assert.strictEqual(error._tag, "Timeout")
        if (error._tag !== "Timeout") return
        assert.deepStrictEqual([error.kind, error.outcome], [kind, "unknown"])
        const limit: Duration.Input = (timeouts as { readonly [K in typeof kind]?: Duration.Input })[kind]!
        assert.strictEqual(Duration.toMillis(error.limit), Duration.toMillis(limit))
        yield* stub.until(({ requests }) => requests[0]?.outcome === "aborted")
        yield* stub.awaitSockets(0)
      })
    )
  }

  both("total over several attempts: each read in time, the last is cut short and says total", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.times(2, Reply.delay("150 millis", Reply.status(500))), Reply.hang)
      const { get } = yield* connect({
        baseUrl: stub.url,
        retry: twice,
        timeouts: { read: "450 millis", total: "500 millis" }
      })
      const error = yield* failure(get)
      assert.strictEqual(error._tag, "Timeout")
      if (error._tag === "Timeout") assert.strictEqual(error.kind, "total")
      assert.lengthOf(yield* stub.requests, 3)
      yield* stub.awaitSockets(0)
    })
  )

  both("the budget is what is left of the inbound deadline", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.hang)
      const { get } = yield* connect({ baseUrl: stub.url, retry: once })
      const error = yield* failure(get.pipe(RequestContext.withDeadline("80 millis")))
      assert.strictEqual(error._tag, "Timeout")
      const spent = yield* failure(get.pipe(RequestContext.withDeadline("0 millis")))
      assert.strictEqual(spent._tag, "Timeout")
      if (spent._tag === "Timeout") assert.strictEqual(spent.outcome, "unprocessed")
      assert.lengthOf(yield* stub.requests, 1)
    })
  )

  both("interruption aborts the request, and its socket is freed", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", Reply.hang)
      yield* stub.on("GET /v1/charges/:id", Reply.hangInBody(ok))
      const { create, get } = yield* connect({ baseUrl: stub.url, retry: twice })
      for (const call of [create, get]) {
        yield* stub.reset
        const fiber = yield* Effect.forkChild(call)
        yield* stub.awaitRequests(1)
        yield* Fiber.interrupt(fiber)
        yield* stub.until(({ requests }) => requests[0]?.outcome === "aborted")
        yield* stub.awaitSockets(0)
        assert.lengthOf(yield* stub.requests, 1)
      }
    })
  )

  both("one call's timeout does not disturb a concurrent one of the same contract", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", Reply.hang)
      yield* stub.on("GET /v1/charges/:id", Reply.delay("300 millis", ok))
      const { create, get } = yield* connect({
        baseUrl: stub.url,
        timeouts: { read: "1500 millis", total: "5 seconds" }
      })
      const others = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 10 }, () => get),
          { concurrency: "unbounded" }
        )
      )
      yield* failure(create.pipe(RequestContext.withDeadline("100 millis")))
      assert.lengthOf(yield* Fiber.join(others), 10)
    })
  )

  both("an error response whose body never ends (1 MiB and more) is read to its bound, and its socket freed", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.hangInBody(Reply.garbageBody(1024 * 1024, 500), { sent: 512 * 1024 }))
      const { get } = yield* connect({ baseUrl: stub.url, timeouts: { total: "5 seconds" } })
      const error = yield* failure(get)
      assert.strictEqual(error._tag, "InternalError")
      if (error._tag === "InternalError") assert.isAtMost(JSON.stringify(error.body).length, 20_000)
      yield* stub.awaitSockets(0)
    })
  )

  both("a streamed body of a plain client is not covered, a buffered one is", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.delayBody("400 millis", ok))
      const options = { baseUrl: stub.url, errors: StatusTable.standard, timeouts: { attempt: "200 millis" } } as const
      const buffered = yield* HttpPolicy.make(unique(), options)
      assert.strictEqual((yield* failure(buffered.get("/x")))._tag, "Timeout")
      const streamed = yield* HttpPolicy.make(unique(), { ...options, body: "streamed" })
      const response = yield* streamed.get("/x")
      assert.deepStrictEqual(yield* response.json, good)
    })
  )
})
