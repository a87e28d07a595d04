import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Inspectable, Redacted, Schema } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import { Authentication, HttpContract, HttpPolicy, StatusTable } from "../../src/http/index.ts"
import { Reply, StubProvider } from "../../src/testing/index.ts"
import { connect, failure, live, once, PaymentsApi, unique, watched, withFake } from "./payments.ts"

const token = "hunter2/SECRET+abc=="

/** Everything a program can print of an error. */
const printed = (error: unknown): string =>
  [
    String(error),
    JSON.stringify(error),
    Inspectable.toStringUnknown(error),
    Cause.pretty(Cause.fail(error)),
    String(Exit.fail(error)),
    (error as Error).stack ?? "",
    JSON.stringify((error as { cause?: unknown }).cause ?? null)
  ].join("\n")

const echoes: ReadonlyArray<readonly [string, (sent: string) => Reply.Reply]> = [
  [
    "as JSON",
    (sent) => Reply.json(500, { received: { authorization: sent }, title: sent, code: sent, detail: `got ${sent}` })
  ],
  ["as text", (sent) => Reply.text(400, `you sent ${sent}`)],
  ["as a problem's type", (sent) => Reply.json(409, { type: sent })],
  ["as a name", (sent) => Reply.json(403, { [sent]: 1 })],
  [
    "escaped as PHP does",
    (sent) =>
      Reply.status(500, {
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ got: sent }).replaceAll("/", "\\/")
      })
  ],
  [
    "escaped as \\u",
    (sent) =>
      Reply.status(500, {
        headers: { "content-type": "application/json" },
        body: `{"got":"${[...sent].map((c) => `\\u${c.codePointAt(0)!.toString(16).padStart(4, "0")}`).join("")}"}`
      })
  ],
  ["plain and escaped in one text", (sent) => Reply.text(500, `${sent} and ${sent.replaceAll("/", "\\/")}`)],
  [
    "as JSON within JSON, escaped and not",
    (sent) => Reply.json(500, { a: `"${sent}" ${JSON.stringify(sent).replaceAll("/", "\\/")}` })
  ],
  ["in other letters", (sent) => Reply.json(500, { a: sent.replace("Bearer", "bearer") })],
  ["in a success that does not decode", (sent) => Reply.json(200, { id: 5, amount: sent })],
  ["in malformed JSON", (sent) => Reply.status(200, { body: `{"id": ${sent}` })],
  ["in x-request-id", (sent) => Reply.status(500, { headers: { "x-request-id": sent } })],
  ["in Retry-After", (sent) => Reply.status(503, { headers: { "retry-after": sent } })],
  ["at the very end of a long text", (sent) => Reply.text(500, `${"x".repeat(2040)}${sent}`)],
  [
    "cut in two by the bound of a long text",
    (sent) => Reply.text(500, `${"x".repeat(65_536 - 12)}${sent}${"y".repeat(100)}`)
  ]
]

describe("Secrets", () => {
  for (const [name, reply] of echoes) {
    for (const [kind, authentication, header] of [
      ["bearer", Authentication.bearer(Redacted.make(token)), "authorization"],
      ["apiKey", Authentication.apiKey({ key: Redacted.make(token), header: "X-Shop-Key" }), "x-shop-key"]
    ] as const) {
      live(
        `a ${kind} that the provider echoes ${name} is in no log line, span, metric, notice, error or its encodings`,
        (seen) =>
          Effect.gen(function* () {
            const stub = yield* StubProvider.make()
            yield* stub.on(
              "GET /v1/charges/:id",
              Reply.dynamic((request) => Effect.succeed(reply(request.headers[header]!)))
            )
            class Payments extends HttpContract.Service<Payments>()(unique(), {
              api: PaymentsApi,
              baseUrl: stub.url,
              errors: StatusTable.standard,
              authentication,
              retry: once,
              breaker: {
                failurePercent: 1,
                window: "1 minute",
                openFor: "1 minute",
                minimumCalls: 2,
                alertAfter: "1 millis"
              }
            }) {}
            const error = yield* failure(
              Payments.use((payments) => payments.charges.get({ params: { id: "1" } })).pipe(
                Effect.withSpan("caller"),
                Effect.provide(Payments.layer)
              )
            )
            const encoded = yield* Schema.encodeUnknownEffect(
              Schema.toCodecJson(Payments.errors as Schema.Codec<unknown, unknown>)
            )(error)
            yield* seen.notified
            for (const text of [printed(error), JSON.stringify(encoded), yield* seen.text]) {
              assert.notInclude(text, "hunter2")
              assert.notInclude(text, "SECRET")
            }
          })
      )
    }
  }

  live("an API key in a header of its own is redacted in spans that carry all headers", (seen) =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.status(500))
      const authentication = Authentication.apiKey({ key: Redacted.make(token), header: "X-Shop-Key" })
      const { get } = yield* connect({ baseUrl: stub.url, authentication: authentication as never })
      yield* failure(get).pipe(Effect.provideService(HttpClient.TracerHeaderFilter, () => true))
      const text = yield* seen.text
      assert.include(text, "http.request.header.x-shop-key")
      assert.notInclude(text, "hunter2")
    })
  )

  live(
    "no secret in spans, lines and metrics of calls that succeed, refresh and fail to; client secrets included",
    (seen) =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        yield* stub.on("POST /token", Reply.json(200, { access_token: "tok-SECRET", expires_in: 60 }))
        yield* stub.on("GET /v1/charges/:id", Reply.status(401), Reply.json(200, { id: "c", amount: 1 }))
        for (const send of ["basic", "form"] as const) {
          const { get } = yield* connect({
            baseUrl: stub.url,
            authentication: Authentication.clientCredentials({
              tokenUrl: `${stub.url}/token`,
              id: "shop",
              secret: Redacted.make("hunter2"),
              send
            })
          })
          yield* get
        }
        yield* stub.on(
          "POST /token",
          Reply.dynamic((request) => Effect.succeed(Reply.text(400, request.body + request.headers.authorization)))
        )
        assert.isAtLeast(seen.spans.length, 4)
        const text = yield* seen.text
        for (const word of ["SECRET", "hunter2", btoa("shop:hunter2")]) assert.notInclude(text, word)
      })
  )

  live("the password of a base URL is in no span, line or error", (seen) =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", Reply.status(404))
      const { get } = yield* connect({ baseUrl: stub.url.replace("//", "//user:hunter2@") })
      const error = yield* failure(get)
      assert.notInclude(printed(error) + (yield* seen.text), "hunter2")
    })
  )

  it.effect("an error of the client itself, whose request holds the header, leaks nothing", () =>
    watched((seen) =>
      Effect.gen(function* () {
        const client = HttpClient.make((request) =>
          Effect.fail(
            new HttpClientError.HttpClientError({
              reason: new HttpClientError.TransportError({
                request,
                cause: new Error(`bad header ${JSON.stringify(request.headers)}`),
                description: JSON.stringify(request.headers)
              })
            })
          )
        )
        const authentication = Authentication.bearer(Redacted.make(token)) as never
        const error = yield* Effect.gen(function* () {
          const { get } = yield* connect({ baseUrl: "http://127.0.0.1:9", authentication })
          return yield* failure(get)
        }).pipe(Effect.provideService(HttpClient.HttpClient, client))
        assert.strictEqual(error._tag, "NetworkError")
        assert.notInclude(printed(error) + JSON.stringify(seen.lines), "hunter2")
      })
    )
  )

  live("an API key with a header of its own is not in a response that is printed", () =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /x", Reply.json(200, {}))
      const client = yield* HttpPolicy.make(unique(), {
        baseUrl: stub.url,
        errors: StatusTable.standard,
        authentication: Authentication.apiKey({ key: Redacted.make(token), header: "X-Shop-Key" })
      })
      const response = yield* client.get("/x")
      assert.notInclude(JSON.stringify(response) + Inspectable.toStringUnknown(response) + String(response), "hunter2")
    })
  )

  it("the design of a contract prints no secret", () => {
    const authentication = Authentication.clientCredentials({
      tokenUrl: "https://x",
      id: "a",
      secret: [Redacted.make("hunter2"), Redacted.make("hunter3")],
      scope: ["s"]
    })
    assert.notInclude(JSON.stringify(authentication) + Inspectable.toStringUnknown(authentication), "hunter")
  })

  it.effect("a plain client does the same", () =>
    watched((seen) =>
      Effect.gen(function* () {
        const client = yield* HttpPolicy.make(unique(), {
          baseUrl: "http://127.0.0.1:9",
          errors: StatusTable.standard,
          authentication: Authentication.bearer(Redacted.make(token))
        })
        const error = yield* failure(client.get("/x"))
        assert.notInclude(printed(error) + (yield* seen.text), "hunter2")
      }).pipe(withFake((request) => Response.json({ a: request.headers.get("authorization") }, { status: 400 })))
    )
  )
})

describe("Personal data", () => {
  const personal = {
    name: "Bob Jones",
    email: "bob@example.com",
    nested: [{ Email: "x", email: ["bob@example.com"] }],
    ok: "fine"
  }
  const run = (reply: Reply.Reply, personalData = ["name", "email"]) =>
    Effect.gen(function* () {
      const stub = yield* StubProvider.make()
      yield* stub.on("GET /v1/charges/:id", reply)
      const { get } = yield* connect({ baseUrl: stub.url, personalData })
      const error = yield* failure(get)
      return error
    })

  live("declared fields are redacted at every depth, in the error, its encodings and the log", (seen) =>
    Effect.gen(function* () {
      const error = yield* run(Reply.json(400, personal))
      const text = printed(error) + (yield* seen.text)
      for (const word of ["Bob", "bob@"]) assert.notInclude(text, word)
      assert.include(printed(error), "fine")
    })
  )

  live("a field that also says the problem (title, code, message) is redacted there too", (seen) =>
    Effect.gen(function* () {
      const error = yield* run(Reply.json(400, { title: "Bob Jones", message: "Bob", error: { message: "Bob" } }), [
        "title",
        "message"
      ])
      assert.notInclude(printed(error) + (yield* seen.text), "Bob")
    })
  )

  for (const [name, body] of [
    ["too long to be read whole", JSON.stringify({ ...personal, filler: "x".repeat(300_000) })],
    ["not quite JSON (a comma too many)", '{"email":"bob@example.com","name":"Bob Jones",}'],
    ["JSON lines", '{"email":"bob@example.com"}\n{"name":"Bob Jones"}'],
    ["JSON after a byte order mark", '\ufeff{"email":"bob@example.com","name":"Bob Jones"}'],
    ["a form", "name=Bob+Jones&email=bob%40example.com"]
  ] as const) {
    live(`a body that is ${name} does not show declared fields`, () =>
      Effect.gen(function* () {
        const error = yield* run(Reply.status(500, { headers: { "content-type": "application/json" }, body }))
        for (const word of ["Bob", "bob@"]) assert.notInclude(printed(error), word)
      })
    )
  }
})
