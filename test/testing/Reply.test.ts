import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Ref } from "effect"
import { TestClock } from "effect/testing"
import { Reply, StubProvider } from "../../src/testing/index.ts"
import { ask, bodyOf, exchange, open, send } from "./client.ts"

const get = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"

const serving = Effect.fnUntraced(function* (reply: Reply.Reply) {
  const stub = yield* StubProvider.make()
  yield* stub.on("GET /x", reply)
  return stub
})

const outcome = (stub: StubProvider.StubProvider) => Effect.map(stub.requests, (requests) => requests[0]!.outcome)

describe("Reply", () => {
  it.live("json, text, status and empty answer as they say", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on(
        "GET /x",
        Reply.json(200, { a: 1 }, { "content-type": "application/problem+json" }),
        Reply.text(503, "<h1>503</h1>", "text/html"),
        Reply.status(418, { headers: { "x-a": "1" }, body: "teapot" }),
        Reply.empty(204)
      )
      const seen = yield* Effect.replicateEffect(ask(stub, "GET /x"), 4)
      assert.deepStrictEqual(
        seen.map((response) => [response.status, response.headers.get("content-type"), response.body]),
        [
          [200, "application/problem+json", `{"a":1}`],
          [503, "text/html", "<h1>503</h1>"],
          [418, null, "teapot"],
          [204, null, ""]
        ]
      )
      assert.strictEqual(seen[2]!.headers.get("x-a"), "1")
    })
  )

  it.live("headers may be repeated", () =>
    Effect.gen(function* () {
      const stub = yield* serving(
        Reply.empty(200, [
          ["Retry-After", "1"],
          ["Retry-After", "2"],
          ["Connection", "close"]
        ])
      )
      assert.include(yield* exchange(stub.port, get), "Retry-After: 1\r\nRetry-After: 2\r\n")
    })
  )

  it.effect("delay waits before the headers", () =>
    Effect.gen(function* () {
      const stub = yield* serving(Reply.delay("10 seconds", Reply.status(200)))
      const request = yield* Effect.forkChild(ask(stub, "GET /x"))
      yield* stub.awaitRequests(1)
      yield* TestClock.adjust("9999 millis")
      const [waiting] = yield* stub.requests
      assert.deepStrictEqual([waiting!.status, waiting!.outcome], [undefined, "hanging"])
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(request)).status, 200)
    })
  )

  it.effect("delayBody sends the headers at once", () =>
    Effect.gen(function* () {
      const stub = yield* serving(Reply.delayBody("10 seconds", Reply.text(200, "late")))
      const response = yield* send(stub, "GET /x")
      assert.strictEqual(response.status, 200)
      assert.strictEqual(yield* outcome(stub), "hanging")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* bodyOf(response), "late")
      assert.strictEqual(yield* outcome(stub), "answered")
    })
  )

  it.effect("slowBody drips", () =>
    Effect.gen(function* () {
      const stub = yield* serving(Reply.slowBody({ chunks: 3, every: "1 second" }, Reply.text(200, "one,two,six,")))
      const connection = yield* open(stub.port)
      connection.socket.write(get)
      yield* connection.until("\r\n\r\n")
      for (const text of ["one,", "one,two,", "one,two,six,"]) {
        yield* TestClock.adjust("1 second")
        const received = yield* connection.until(text)
        assert.isTrue(received.endsWith(`\r\n\r\n${text}`))
      }
      assert.strictEqual(yield* outcome(stub), "answered")
    })
  )

  it.effect("a client that gave up is not answered later", () =>
    Effect.gen(function* () {
      const stub = yield* serving(Reply.delay("1 hour", Reply.status(200)))
      const request = yield* Effect.forkChild(ask(stub, "GET /x"))
      yield* stub.awaitRequests(1)
      yield* Fiber.interrupt(request)
      yield* stub.awaitSockets(0)
      yield* TestClock.adjust("1 hour")
      const [aborted] = yield* stub.requests
      assert.deepStrictEqual([aborted!.status, aborted!.outcome], [undefined, "aborted"])
    })
  )

  it.live("hangInBody stops after a part", () =>
    Effect.gen(function* () {
      const stub = yield* serving(Reply.hangInBody(Reply.text(200, "0123456789")))
      const connection = yield* open(stub.port)
      connection.socket.write(get)
      const received = yield* connection.until("\r\n\r\n01234")
      assert.include(received, "content-length: 10\r\n")
      assert.deepStrictEqual((yield* stub.requests)[0]!.status, 200)
      assert.strictEqual(yield* outcome(stub), "hanging")
      connection.socket.destroy()
      yield* stub.until(({ requests }) => requests[0]!.outcome === "aborted")
    })
  )

  it.live("truncated promises more than it sends", () =>
    Effect.gen(function* () {
      const stub = yield* serving(Reply.truncated(Reply.text(200, "0123456789"), { sent: 3 }))
      const received = yield* exchange(stub.port, get)
      assert.include(received, "content-length: 10\r\n")
      assert.isTrue(received.endsWith("\r\n\r\n012"))
      assert.strictEqual(yield* outcome(stub), "truncated")
      const response = yield* send(stub, "GET /x")
      assert.strictEqual((yield* Effect.flip(bodyOf(response))).code, "UND_ERR_SOCKET")
    })
  )

  it.live("reset is a TCP reset before any byte", () =>
    Effect.gen(function* () {
      const stub = yield* serving(Reply.reset)
      assert.strictEqual((yield* Effect.flip(exchange(stub.port, get))).code, "ECONNRESET")
      assert.strictEqual((yield* Effect.flip(ask(stub, "GET /x"))).code, "ECONNRESET")
      const [request] = yield* stub.requests
      assert.deepStrictEqual([request!.status, request!.outcome], [undefined, "reset"])
    })
  )

  it.live("garbage is not HTTP", () =>
    Effect.gen(function* () {
      const stub = yield* serving(Reply.garbage())
      assert.strictEqual((yield* exchange(stub.port, get)).length, 64)
      const error = yield* Effect.flip(ask(stub, "GET /x"))
      assert.match(error.code, /^HPE_|HTTP/)
      yield* stub.on("GET /x", Reply.garbage("SSH-2.0-OpenSSH_9.2\r\n"))
      assert.strictEqual(yield* exchange(stub.port, get), "SSH-2.0-OpenSSH_9.2\r\n")
    })
  )

  it.live("garbageBody is HTTP whose body is no JSON", () =>
    Effect.gen(function* () {
      const stub = yield* serving(Reply.garbageBody(1_000_000))
      const response = yield* send(stub, "GET /x")
      assert.strictEqual(response.headers.get("content-type"), "application/json")
      const bytes = yield* Effect.promise(() => response.bytes())
      assert.strictEqual(bytes.length, 1_000_000)
      assert.throws(() => new TextDecoder("utf-8", { fatal: true }).decode(bytes))
    })
  )

  it.live("raw sends exactly these bytes, then closes, hangs or resets", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      const bytes = "HTTP/1.1 200 OK\r\nbroken header\r\n"
      yield* stub.on("GET /x", Reply.raw(bytes), Reply.raw(bytes, { end: "reset" }), Reply.raw(bytes, { end: "hang" }))
      assert.strictEqual(yield* exchange(stub.port, get), bytes)
      assert.strictEqual((yield* Effect.flip(exchange(stub.port, get))).code, "ECONNRESET")
      const hanging = yield* open(stub.port)
      hanging.socket.write(get)
      assert.strictEqual(yield* hanging.until("broken header\r\n"), bytes)
      const outcomes = (yield* stub.requests).map((request) => request.outcome)
      assert.deepStrictEqual(outcomes, ["answered", "reset", "hanging"])
    })
  )

  it.live("a body that the client did not read to its end was not answered", () =>
    Effect.gen(function* () {
      const stub = yield* serving(Reply.garbageBody(50_000_000))
      const connection = yield* open(stub.port)
      connection.socket.once("data", () => connection.socket.resetAndDestroy())
      connection.socket.write(get)
      yield* stub.awaitSockets(0).pipe(Effect.andThen(stub.until(({ requests }) => requests[0]?.outcome === "aborted")))
    })
  )

  it.live("dynamic has state, and finishes although the client gave up", () =>
    Effect.gen(function* () {
      const charges = yield* Ref.make(0)
      const entered = yield* Deferred.make<void>()
      const proceed = yield* Deferred.make<void>()
      const charged = yield* Deferred.make<void>()
      const stub = yield* serving(
        Reply.dynamic(
          Effect.fnUntraced(function* () {
            yield* Deferred.succeed(entered, undefined)
            yield* Deferred.await(proceed)
            const n = yield* Ref.updateAndGet(charges, (n) => n + 1)
            yield* Deferred.succeed(charged, undefined)
            return Reply.json(201, { id: `c${n}` })
          })
        )
      )
      const request = yield* Effect.forkChild(ask(stub, "GET /x"))
      yield* Deferred.await(entered)
      yield* Fiber.interrupt(request)
      yield* stub.awaitSockets(0)
      yield* Deferred.succeed(proceed, undefined)
      yield* Deferred.await(charged)
      assert.strictEqual((yield* ask(stub, "GET /x")).body, `{"id":"c2"}`)
      assert.strictEqual(yield* outcome(stub), "aborted")
    })
  )

  it.live("a dynamic reply that dies is answered with 500", () =>
    Effect.gen(function* () {
      const stub = yield* serving(
        Reply.dynamic(() => {
          throw new Error("no such account")
        })
      )
      const response = yield* ask(stub, "GET /x")
      assert.strictEqual(response.status, 500)
      assert.include(response.body, "STUB_FAILED")
      assert.include(response.body, "no such account")
    })
  )

  it("refuses constants that make no sense, and says what was given", () => {
    assert.throws(() => Reply.status(99), "from 200 to 999, but 99 was given")
    assert.throws(() => Reply.json(204, {}), "A 204 has no body, but 2 bytes were given")
    assert.throws(
      () => Reply.times(0, Reply.hang),
      "The number of times must be an integer of at least 1, but 0 was given"
    )
    assert.throws(() => Reply.truncated(Reply.status(200)), "A part of a body of 0 bytes cannot be 0 bytes")
    assert.throws(
      () => Reply.hangInBody(Reply.text(200, "abc"), { sent: 3 }),
      "A part of a body of 3 bytes cannot be 3 bytes"
    )
    assert.throws(() => Reply.status(200, { headers: { "x-a": "a\r\nb" } }), "Invalid character in header content")
    assert.throws(() => Reply.garbageBody(0), "The size of garbage must be an integer of at least 1, but 0 was given")
  })
})
