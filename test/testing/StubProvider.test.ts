import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Reply, type Route, StubProvider } from "../../src/testing/index.ts"
import { ask, connect, exchange, jsonOf, open, send } from "./client.ts"

describe("StubProvider", () => {
  it.live("gives the replies of a script one after another, and repeats the last", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on(
        "POST /v1/charges",
        Reply.status(500),
        Reply.status(503, { headers: { "retry-after": "1" } }),
        Reply.json(201, { id: "c1" })
      )
      const responses = yield* Effect.replicateEffect(ask(stub, "POST /v1/charges"), 4)
      assert.deepStrictEqual(
        responses.map((response) => response.status),
        [500, 503, 201, 201]
      )
      assert.strictEqual(responses[1]!.headers.get("retry-after"), "1")
      assert.deepStrictEqual(JSON.parse(responses[3]!.body), { id: "c1" })
    })
  )

  it.live("counts times and goes round in cycles", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.times(2, Reply.status(500)), Reply.cycle([Reply.status(200), Reply.status(202)]))
      const responses = yield* Effect.replicateEffect(ask(stub, "GET /x"), 6)
      assert.deepStrictEqual(
        responses.map((response) => response.status),
        [500, 500, 200, 202, 200, 202]
      )
    })
  )

  it.live("switches the script at run time, and starts it from its beginning", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.status(200))
      assert.strictEqual((yield* ask(stub, "GET /x")).status, 200)
      yield* stub.on("GET /x", Reply.status(500), Reply.status(200))
      assert.strictEqual((yield* ask(stub, "GET /x")).status, 500)
      assert.strictEqual((yield* ask(stub, "GET /x")).status, 200)
    })
  )

  it.live("answers an unknown route with 404 and says which", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      const response = yield* send(stub, "DELETE /nowhere?a=1")
      assert.strictEqual(response.status, 404)
      assert.deepStrictEqual(yield* jsonOf(response), {
        code: "NO_ROUTE",
        message: "no script answers DELETE /nowhere"
      })
      assert.strictEqual((yield* stub.requests)[0]!.route, undefined)
    })
  )

  it.live("lets the most literal route answer, whatever the order", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("* /*", Reply.text(200, "anything"))
      yield* stub.on(
        "GET /v1/:kind/:id",
        Reply.dynamic(({ params }) => Effect.succeed(Reply.text(200, `${params["kind"]} ${params["id"]}`)))
      )
      yield* stub.on("GET /v1/charges/latest", Reply.text(200, "latest"))
      const bodies = yield* Effect.forEach(
        ["GET /v1/charges/latest", "GET /v1/charges/a%20b", "PUT /v1/charges/latest", "GET /"],
        (route) => Effect.map(ask(stub, route), (response) => response.body)
      )
      assert.deepStrictEqual(bodies, ["latest", "charges a b", "anything", "anything"])
    })
  )

  it.live("records what arrived and what became of it", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges/:id", Reply.json(201, {}))
      const body = JSON.stringify({ amount: 12, note: "grüße" })
      yield* exchange(
        stub.port,
        `POST /v1/charges/c%2F1?a=1&a=2 HTTP/1.1\r\nHost: x\r\nX-Tag: one\r\nx-tag: two\r\nConnection: close\r\n` +
          `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
      )
      const [request] = yield* stub.requestsTo("POST /v1/charges/:id")
      assert.strictEqual(request!.method, "POST")
      assert.strictEqual(request!.url, "/v1/charges/c%2F1?a=1&a=2")
      assert.strictEqual(request!.path, "/v1/charges/c%2F1")
      assert.deepStrictEqual(request!.params, { id: "c/1" })
      assert.deepStrictEqual(request!.query.getAll("a"), ["1", "2"])
      assert.strictEqual(request!.headers["x-tag"], "one, two")
      assert.deepStrictEqual(request!.rawHeaders.slice(1, 3), [
        ["X-Tag", "one"],
        ["x-tag", "two"]
      ])
      assert.strictEqual(request!.body, body)
      assert.deepStrictEqual(request!.json, { amount: 12, note: "grüße" })
      assert.strictEqual(request!.status, 201)
      assert.strictEqual(request!.outcome, "answered")
    })
  )

  it.effect("measures arrivals on the clock of the test", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.empty(204))
      yield* ask(stub, "GET /x")
      yield* TestClock.adjust("1500 millis")
      yield* ask(stub, "GET /x")
      const [first, second] = yield* stub.requests
      assert.strictEqual(second!.at - first!.at, 1500)
    })
  )

  it.live("forgets its records and goes on with its scripts", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.status(500), Reply.status(200))
      yield* ask(stub, "GET /x")
      yield* stub.reset
      assert.deepStrictEqual(yield* stub.requests, [])
      assert.strictEqual((yield* ask(stub, "GET /x")).status, 200)
    })
  )

  it.live("serves concurrent requests, each reply of the script once", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.times(30, Reply.status(500)), Reply.status(200))
      const waiting = yield* Effect.forkChild(stub.awaitRequests(100, "GET /x"))
      const responses = yield* Effect.all(
        Array.from({ length: 100 }, () => ask(stub, "GET /x")),
        {
          concurrency: "unbounded"
        }
      )
      assert.strictEqual(responses.filter((response) => response.status === 500).length, 30)
      assert.strictEqual((yield* Fiber.join(waiting)).length, 100)
      const ids = (yield* stub.requests).map((request) => request.id)
      assert.deepStrictEqual(
        ids,
        Array.from({ length: 100 }, (_, i) => i + 1)
      )
    })
  )

  it.live("shows that an interrupted request was aborted and its socket freed", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.hang)
      const request = yield* Effect.forkChild(ask(stub, "GET /x"))
      const [hanging] = yield* stub.awaitRequests(1)
      assert.strictEqual(hanging!.outcome, "hanging")
      assert.strictEqual(yield* stub.openSockets, 1)
      yield* Fiber.interrupt(request)
      yield* stub.awaitSockets(0)
      const [aborted] = yield* stub.requests
      assert.strictEqual(aborted!.outcome, "aborted")
      assert.strictEqual(aborted!.status, undefined)
    })
  )

  it.live("records a request that the client broke off in its own body", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /x", Reply.status(500), Reply.status(200))
      const { socket } = yield* open(stub.port)
      socket.write("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345", () => socket.destroy())
      const [request] = yield* stub.awaitRequests(1)
      assert.strictEqual(request!.body, "12345")
      assert.strictEqual(request!.outcome, "aborted")
      assert.strictEqual((yield* ask(stub, "POST /x")).status, 500)
    })
  )

  it.live("numbers connections, so that reuse can be proved", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.text(200, "ok"))
      const { socket, until } = yield* open(stub.port)
      socket.write("GET /x?1 HTTP/1.1\r\nHost: x\r\n\r\n")
      yield* until("ok")
      socket.write("GET /x?2 HTTP/1.1\r\nHost: x\r\n\r\n")
      yield* stub.awaitRequests(2)
      yield* exchange(stub.port, "GET /x?3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      assert.deepStrictEqual(
        (yield* stub.requests).map((request) => request.connection),
        [1, 1, 2]
      )
    })
  )

  it.live("survives bytes that are not HTTP", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.status(200))
      assert.match(yield* exchange(stub.port, "this is not HTTP\r\n\r\n"), /^HTTP\/1\.1 400 /)
      assert.strictEqual((yield* ask(stub, "GET /x")).status, 200)
    })
  )

  it.live("frees its port and every socket when the scope closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const stub = yield* Scope.provide(StubProvider.make(), scope)
      yield* stub.on("GET /hang", Reply.hang)
      yield* stub.on("GET /late", Reply.delay("1 hour", Reply.status(200)))
      yield* stub.on(
        "GET /never",
        Reply.dynamic(() => Effect.never)
      )
      const requests = yield* Effect.forEach(["GET /hang", "GET /late", "GET /never"], (route) =>
        Effect.forkChild(Effect.flip(ask(stub, route)))
      )
      const idle = yield* open(stub.port)
      yield* stub.awaitSockets(4)
      yield* stub.awaitRequests(3)
      yield* Scope.close(scope, Exit.void)
      yield* Effect.forEach(requests, Fiber.join)
      yield* Effect.exit(idle.all)
      assert.strictEqual(yield* stub.openSockets, 0)
      const refused = yield* Effect.flip(connect({ host: "127.0.0.1", port: stub.port }))
      assert.strictEqual(refused.code, "ECONNREFUSED")
      const again = yield* StubProvider.make({ port: stub.port })
      assert.strictEqual(again.url, stub.url)
    })
  )

  it.live("says which port it cannot have", () =>
    Effect.gen(function* () {
      const { port } = yield* StubProvider.make()
      const exit = yield* Effect.exit(StubProvider.make({ port }))
      assert.include(String(exit), `A stub provider cannot listen on 127.0.0.1:${port}`)
    })
  )

  it.live("does not compile a route or a script that is none", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      // @ts-expect-error a route has a path
      void stub.on("POST", Reply.hang)
      // @ts-expect-error an unknown method
      void stub.on("FETCH /x", Reply.hang)
      // @ts-expect-error a script has a reply
      void stub.on("POST /x")
      // @ts-expect-error nothing comes after a cycle
      void stub.on("POST /x", Reply.cycle([Reply.hang]), Reply.reset)
    })
  )

  it.live.each([
    ["POST", "one space and a path"],
    ["FETCH /x", `the method "FETCH" is none of`],
    ["post /x", `the method "post" is none of`],
    ["POST x", `the path "x" does not begin with a slash`],
    ["POST /x?a=1", "without its query"],
    ["POST /x /y", "one space and a path"],
    ["GET /:", "a parameter needs a name"]
  ] as const)("refuses the route %s and quotes it", ([route, why]) =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      const exit = yield* Effect.exit(stub.on(route as Route.Route, Reply.status(200)))
      assert.include(String(exit), `Invalid route ${JSON.stringify(route)}`)
      assert.include(String(exit), why)
    })
  )
})
