import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Reply, RequestLimit, StubProvider, TokenIssuer } from "../../src/testing/index.ts"
import { ask, jsonOf, send } from "./client.ts"

const basic = (id: string, secret: string) =>
  `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString("base64")}`

const authorization = basic("shop", "s:é cret")

const tokenRequest = (headers: Record<string, string> = {}, body = "grant_type=client_credentials"): RequestInit => ({
  headers: { authorization, "content-type": "application/x-www-form-urlencoded", ...headers },
  body
})

const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } })

const provider = Effect.fnUntraced(function* (options?: Partial<Parameters<typeof TokenIssuer.make>[0]>) {
  const stub = yield* StubProvider.make()
  const issuer = yield* TokenIssuer.make({ clients: { shop: ["s:é cret", "next"] }, ...options })
  yield* stub.on("POST /token", issuer.endpoint)
  yield* stub.on("GET /x", Reply.requireToken(issuer, Reply.status(200)))
  return { stub, issuer, token: Effect.flatMap(send(stub, "POST /token", tokenRequest()), jsonOf) }
})

describe("TokenIssuer", () => {
  it.live("issues tokens that the guard knows", () =>
    Effect.gen(function* () {
      const { issuer, stub, token } = yield* provider()
      assert.deepStrictEqual(yield* token, { access_token: "token-1", token_type: "Bearer", expires_in: 3600 })
      assert.strictEqual((yield* ask(stub, "GET /x", bearer("token-1"))).status, 200)
      const none = yield* ask(stub, "GET /x")
      assert.deepStrictEqual([none.status, none.headers.get("www-authenticate")], [401, "Bearer"])
      const unknown = yield* ask(stub, "GET /x", bearer("token-2"))
      assert.strictEqual(unknown.status, 401)
      assert.strictEqual(
        unknown.headers.get("www-authenticate"),
        `Bearer error="invalid_token", error_description="the token is unknown"`
      )
      assert.strictEqual(yield* issuer.issued, 1)
    })
  )

  it.effect("measures lifetimes on the clock", () =>
    Effect.gen(function* () {
      const { stub, token } = yield* provider({ lifetime: "10 seconds", expiresIn: false })
      assert.deepStrictEqual(yield* token, { access_token: "token-1", token_type: "Bearer" })
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual((yield* ask(stub, "GET /x", bearer("token-1"))).status, 200)
      yield* TestClock.adjust("1 millis")
      const expired = yield* ask(stub, "GET /x", bearer("token-1"))
      assert.strictEqual(expired.status, 401)
      assert.include(expired.headers.get("www-authenticate")!, "the token is expired")
    })
  )

  it.live("expires and revokes, and what was issued later is valid", () =>
    Effect.gen(function* () {
      const { issuer, token } = yield* provider({ expiresIn: "1 minute" })
      assert.strictEqual((yield* token).expires_in, 60)
      yield* token
      yield* issuer.revoke("token-2")
      yield* issuer.expireAll
      yield* token
      const verdicts = yield* Effect.forEach(["token-1", "token-2", "token-3", "token-4"], issuer.verify)
      assert.deepStrictEqual(verdicts, ["expired", "revoked", "valid", "unknown"])
      assert.strictEqual(yield* issuer.latest, "token-3")
    })
  )

  it.live("fails as often as it is told", () =>
    Effect.gen(function* () {
      const { issuer, stub } = yield* provider()
      yield* issuer.failNext(2)
      yield* issuer.failNext(1, Reply.json(500, { error: "server_error" }))
      const responses = yield* Effect.replicateEffect(ask(stub, "POST /token", tokenRequest()), 4)
      assert.deepStrictEqual(
        responses.map((response) => response.status),
        [503, 503, 500, 200]
      )
      assert.strictEqual(yield* issuer.issued, 1)
    })
  )

  it.live("refuses wrong requests as RFC 6749 5.2 says", () =>
    Effect.gen(function* () {
      const { issuer, stub } = yield* provider()
      const post = (init: RequestInit) =>
        Effect.flatMap(send(stub, "POST /token", init), (response) =>
          Effect.map(jsonOf(response), (body) => [response.status, body.error])
        )
      const seen = yield* Effect.forEach(
        [
          tokenRequest({ authorization: basic("shop", "wrong") }),
          tokenRequest({ authorization: basic("toString", "wrong") }),
          tokenRequest({ authorization: "Bearer x" }),
          tokenRequest({ "content-type": "application/json" }, "{}"),
          tokenRequest({}, "scope=a"),
          tokenRequest({}, "grant_type=password"),
          tokenRequest({}, "grant_type=client_credentials&grant_type=client_credentials")
        ],
        post
      )
      assert.deepStrictEqual(seen, [
        [401, "invalid_client"],
        [401, "invalid_client"],
        [401, "invalid_client"],
        [400, "invalid_request"],
        [400, "invalid_request"],
        [400, "unsupported_grant_type"],
        [400, "invalid_request"]
      ])
      assert.strictEqual(yield* issuer.issued, 0)
    })
  )

  it.live("knows both secrets of a rotation, and echoes the scope", () =>
    Effect.gen(function* () {
      const { stub } = yield* provider()
      const init = tokenRequest({ authorization: basic("shop", "next") }, "grant_type=client_credentials&scope=a+b")
      assert.strictEqual((yield* Effect.flatMap(send(stub, "POST /token", init), jsonOf)).scope, "a b")
    })
  )

  it.live("a list of tokens needs no issuer", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.requireToken(["key"], Reply.status(200)))
      assert.strictEqual((yield* ask(stub, "GET /x", bearer("key"))).status, 200)
      assert.strictEqual((yield* ask(stub, "GET /x", bearer("other"))).status, 401)
    })
  )
})

describe("RequestLimit", () => {
  it.effect("admits so many in any window, and counts the rest", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      const limit = yield* RequestLimit.make({ limit: 3, window: "10 seconds" })
      yield* stub.on("GET /a", Reply.rateLimit(limit, Reply.status(200)))
      yield* stub.on("GET /b", Reply.rateLimit(limit, Reply.status(202)))
      const statusOf = (route: string) => Effect.map(ask(stub, route), (response) => response.status)
      assert.strictEqual(yield* statusOf("GET /a"), 200)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Effect.forEach(["GET /b", "GET /a"], statusOf), [202, 200])
      yield* TestClock.adjust("2500 millis")
      const refused = yield* ask(stub, "GET /b")
      assert.deepStrictEqual([refused.status, refused.headers.get("retry-after")], [429, "3"])
      yield* TestClock.adjust("2500 millis")
      assert.deepStrictEqual(yield* Effect.forEach(["GET /a", "GET /a"], statusOf), [200, 429])
      assert.deepStrictEqual([yield* limit.admitted, yield* limit.violations], [4, 2])
    })
  )

  it.live("says the Retry-After that it is told", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      const limit = yield* RequestLimit.make({ limit: 1, window: "1 hour", retryAfter: "7 seconds" })
      yield* stub.on("GET /x", Reply.rateLimit(limit, Reply.status(200)))
      const responses = yield* Effect.all(
        Array.from({ length: 20 }, () => ask(stub, "GET /x")),
        { concurrency: 20 }
      )
      const refused = responses.filter((response) => response.status === 429)
      assert.strictEqual(refused.length, 19)
      assert.isTrue(refused.every((response) => response.headers.get("retry-after") === "7"))
      assert.strictEqual(yield* limit.violations, 19)
    })
  )
})
