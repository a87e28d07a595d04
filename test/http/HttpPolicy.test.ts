import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, Stream } from "effect"
import { HttpClientRequest } from "effect/http"
import { Authentication, HttpPolicy, StatusTable } from "../../src/http/index.ts"
import { Reply, StubProvider } from "../../src/testing/index.ts"
import { circuitOf, counting, failure, good, live, once, unique, watched, withFake } from "./payments.ts"

const ok = Reply.json(200, good)
const plain = { errors: StatusTable.standard } as const

describe("HttpPolicy", () => {
  live("a plain client has the table, the retries, the circuit, the credentials and the headers of a contract", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("POST /v1/charges", Reply.status(500), ok)
      const name = unique()
      const client = yield* HttpPolicy.make(name, {
        ...plain,
        baseUrl: stub.url,
        idempotent: true,
        retry: once,
        breaker: counting,
        sourceSystem: "orders",
        authentication: Authentication.bearer(Redacted.make("t"))
      })
      const response = yield* client.post("/v1/charges", { body: yield* Effect.orDie(jsonBody({ amount: 1 })) })
      assert.deepStrictEqual(yield* response.json, good)
      const [first, second] = yield* stub.requests
      for (const header of ["x-request-id", "idempotency-key", "x-idempotency-key", "authorization", "accept"]) {
        assert.isString(first!.headers[header], header)
        assert.strictEqual(second!.headers[header], first!.headers[header])
      }
      assert.strictEqual((first!.json as { metadata: { sourceSystem: string } }).metadata.sourceSystem, "orders")
      assert.deepStrictEqual(yield* circuitOf(name), { state: "Closed", calls: 2, failed: 1 })
    })
  )

  live("each status of 300 and above fails with the error of its row", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      const client = yield* HttpPolicy.make(unique(), { ...plain, baseUrl: stub.url })
      for (const [status, tag] of [
        [301, "UnexpectedRedirect"],
        [404, "NotFound"],
        [409, "Conflict"],
        [418, "UnexpectedStatus"],
        [503, "Unavailable"]
      ] as const) {
        yield* stub.on("GET /x", Reply.json(status, { code: "X" }))
        const error = yield* failure(client.get("/x?secret=1"))
        assert.strictEqual(error._tag, tag)
        if ("path" in error) assert.strictEqual(error.path, "/x")
      }
    })
  )

  live("a buffered body can be read as JSON, text, bytes and stream, and again; a cut one is retried", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", ok)
      const client = yield* HttpPolicy.make(unique(), { ...plain, baseUrl: stub.url, retry: once })
      const response = yield* client.get("/x")
      assert.deepStrictEqual(yield* response.json, good)
      assert.deepStrictEqual(yield* response.text, JSON.stringify(good))
      assert.strictEqual((yield* response.arrayBuffer).byteLength, JSON.stringify(good).length)
      yield* stub.on("GET /x", Reply.truncated(ok), ok)
      yield* client.get("/x")
      yield* stub.on("HEAD /x", Reply.empty(200))
      assert.strictEqual((yield* client.head("/x")).status, 200)
      yield* stub.on("GET /x", Reply.empty(204))
      assert.strictEqual((yield* client.get("/x")).status, 204)
    })
  )

  live("a buffered body can be read as a stream", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", ok)
      const client = yield* HttpPolicy.make(unique(), { ...plain, baseUrl: stub.url })
      const response = yield* client.get("/x")
      const text = yield* response.stream.pipe(
        Stream.decodeText,
        Stream.runFold(
          () => "",
          (all, each) => all + each
        )
      )
      assert.strictEqual(text, JSON.stringify(good))
    })
  )

  live("a streamed body is left to the caller, and aborted where its scope or fiber ends", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.hangInBody(ok))
      const client = yield* HttpPolicy.make(unique(), { ...plain, baseUrl: stub.url, body: "streamed" })
      const response = yield* client.get("/x")
      const reading = yield* Effect.forkChild(response.text)
      yield* Effect.yieldNow
      yield* Fiber.interrupt(reading)
      yield* stub.awaitSockets(0)
    })
  )

  for (const [name, body, type] of [
    ["no JSON", "not json", "application/json"],
    ["truncated JSON", '{"a":', "application/json"],
    ["empty", "", "application/json"],
    ["an array", "[1]", "application/json"],
    ["a string", '"x"', "application/json"],
    ["null", "null", "application/problem+json"],
    ["a number too large for JavaScript", '{"amount":12345678901234567890}', "application/json"]
  ] as const) {
    it.effect(
      `a body that says JSON and is ${name} is sent as it is, or is a typed error: no defect, no changed values`,
      () =>
        watched(() => {
          let sent: string | undefined
          return Effect.gen(function* () {
            const client = yield* HttpPolicy.make(unique(), {
              ...plain,
              baseUrl: "http://127.0.0.1:9",
              sourceSystem: "orders"
            })
            const exit = yield* Effect.exit(
              client.execute(HttpClientRequest.post("/x").pipe(HttpClientRequest.bodyText(body, type)))
            )
            if (exit._tag === "Failure") yield* failure(exit)
            else assert.include(sent!, body.replace(/\}$/, ""))
          }).pipe(
            withFake(async (request) => {
              sent = await request.text()
              return Response.json({})
            })
          )
        })
    )
  }

  it.effect("metadata goes into every JSON type, application/vnd.acme.v2+json too", () =>
    watched(() => {
      let sent = ""
      return Effect.gen(function* () {
        const client = yield* HttpPolicy.make(unique(), {
          ...plain,
          baseUrl: "http://127.0.0.1:9",
          sourceSystem: "orders"
        })
        for (const type of [
          "application/json; charset=utf-8",
          "application/vnd.acme.v2+json",
          "application/merge-patch+json"
        ]) {
          yield* client.execute(HttpClientRequest.post("/x").pipe(HttpClientRequest.bodyText('{"a":1}', type)))
          assert.include(sent, "sourceSystem", type)
        }
      }).pipe(
        withFake(async (request) => {
          sent = await request.text()
          return Response.json({})
        })
      )
    })
  )

  live("one circuit per key: a failing tenant does not open the others' circuit", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /a", Reply.status(500))
      yield* stub.on("GET /b", ok)
      const client = yield* HttpPolicy.make(unique(), {
        ...plain,
        baseUrl: stub.url,
        breaker: { ...counting, minimumCalls: 1 },
        circuitKey: (request) => new URL(request.url).pathname
      })
      yield* failure(client.get("/a"))
      const error = yield* failure(client.get("/a"))
      assert.strictEqual(error._tag, "CircuitOpen")
      if (error._tag === "CircuitOpen") assert.strictEqual(error.key, "/a")
      yield* client.get("/b")
    })
  )
})

const jsonBody = (value: unknown) =>
  Effect.map(HttpClientRequest.bodyJson(HttpClientRequest.post("/"), value), (request) => request.body)
