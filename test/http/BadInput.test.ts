import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { HttpContract, StatusTable } from "../../src/http/index.ts"
import { Reply, StubProvider } from "../../src/testing/index.ts"
import { random } from "../policy/observe.ts"
import { connect, failure, good, live, once, runs, unique, watched, withFake } from "./payments.ts"

const ask = (reply: Reply.Reply) =>
  Effect.gen(function* () {
    const stub = yield* StubProvider.make()
    yield* stub.on("GET /v1/charges/:id", reply)
    const { get } = yield* connect({ baseUrl: stub.url })
    return yield* failure(get)
  })
const json = (body: string) => Reply.status(200, { headers: { "content-type": "application/json" }, body })

describe("Bad input", () => {
  live("an HTML 503 from a load balancer is Unavailable with the text, bounded", () =>
    Effect.gen(function* () {
      const error = yield* ask(Reply.text(503, `<html>${"down ".repeat(1000)}</html>`, "text/html"))
      assert.strictEqual(error._tag, "Unavailable")
      if (error._tag !== "Unavailable") return
      assert.isString(error.body)
      assert.isAtMost((error.body as string).length, 2100)
    })
  )

  for (const [name, reply, field] of [
    ["truncated JSON", json('{"id":"c1","amo'), "body"],
    ["an empty 200", Reply.empty(200), "body"],
    ["an empty 204", Reply.empty(204), "status"],
    ["an undeclared 202", Reply.json(202, good), "status"],
    ["HTML", Reply.text(200, "<html>hunter2</html>", "text/html"), "content-type"],
    ["JSON as text/plain", Reply.text(200, JSON.stringify({ id: 1 })), "body.id"],
    ["1 MiB of garbage", Reply.garbageBody(1024 * 1024), "body"],
    ["null", json("null"), "body"],
    ["an array", json("[]"), "body"],
    ["a missing field", json('{"id":"hunter2"}'), "body.amount"],
    ["a field of the wrong type", json('{"id":"c1","amount":"hunter2"}'), "body.amount"],
    ["a number that is not whole", json('{"id":"c1","amount":1.5}'), "body.amount"],
    ["a number that is not finite", json('{"id":"c1","amount":1e999}'), "body.amount"],
    ["a polluting key", json('{"__proto__":{"id":"c1","amount":5}}'), "body.id"],
    ["brackets 100,000 deep", json("[".repeat(100_000) + "]".repeat(100_000)), "body"]
  ] as const) {
    live(`a 200 that is ${name} is a ProtocolError that names ${field}, and never the values`, (seen) =>
      Effect.gen(function* () {
        const error = yield* ask(reply)
        assert.strictEqual(error._tag, "ProtocolError")
        if (error._tag !== "ProtocolError") return
        assert.strictEqual(error.side, "response")
        assert.strictEqual(error.status, (reply as Reply.Answer).status)
        assert.notInclude(JSON.stringify(error) + String(error) + (yield* seen.text), "hunter2")
        assert.isAtMost(error.description.length, 512)
        assert.strictEqual(error.field, field)
      })
    )
  }

  for (const [name, body] of [
    ["a number that is not finite", '{"code":"X","limit":1e999}'],
    ["a polluting key", '{"__proto__":{"a":1},"constructor":{"prototype":{}}}'],
    ["brackets 30,000 deep", "[".repeat(30_000) + "]".repeat(30_000)],
    ["a lone surrogate", '{"code":"\\ud800"}'],
    ["an error that is null", '{"error":null,"title":null}'],
    ["an error that is an array", '{"error":["a"],"code":{"a":1}}'],
    ["10,000 keys", JSON.stringify(Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`k${i}`, i])))],
    ["a string", '"just a string"'],
    ["a number", "5"],
    ["null", "null"],
    ["false", "false"]
  ] as const) {
    live(`a 500 whose body is ${name} is an InternalError that encodes`, () =>
      Effect.gen(function* () {
        const error = yield* ask(Reply.status(500, { headers: { "content-type": "application/json" }, body }))
        assert.strictEqual(error._tag, "InternalError")
        if (error._tag !== "InternalError") return
        const codec = Schema.toCodecJson(StatusTable.InternalError)
        const again = yield* Schema.decodeEffect(codec)(
          JSON.parse(JSON.stringify(yield* Schema.encodeEffect(codec)(error)))
        )
        assert.deepStrictEqual(again.body, error.body)
      })
    )
  }

  live("1 MiB of garbage as a 500 is an InternalError with a bounded body", () =>
    Effect.gen(function* () {
      const error = yield* ask(Reply.garbageBody(1024 * 1024, 500))
      assert.strictEqual(error._tag, "InternalError")
      if (error._tag === "InternalError") assert.isAtMost(JSON.stringify(error.body).length, 20_000)
    })
  )

  live("duplicate headers (content type, request id, date) break nothing", () =>
    Effect.gen(function* () {
      const headers = [
        ["content-type", "application/json"],
        ["content-type", "text/html"],
        ["x-request-id", "a"],
        ["x-request-id", "b"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b"]
      ] as const
      const error = yield* ask(Reply.status(500, { headers, body: '{"code":"X"}' }))
      assert.strictEqual(error._tag, "InternalError")
    })
  )

  it.effect("a body longer than its content-length says (a client that decompresses) is read to its bound", () =>
    watched(() =>
      Effect.gen(function* () {
        const { get } = yield* connect({ baseUrl: "http://127.0.0.1:9" })
        const error = yield* failure(get)
        assert.strictEqual(error._tag, "InternalError")
        if (error._tag === "InternalError") assert.isAtMost(JSON.stringify(error.body).length, 64 * 1024 + 100)
      }).pipe(
        withFake(
          () =>
            new Response(JSON.stringify(Array.from({ length: 100 }, () => "x".repeat(2000))), {
              status: 500,
              headers: { "content-length": "10" }
            })
        )
      )
    )
  )

  live(
    "what does not fit is not sent: a ProtocolError of the request that names where, body, params or query",
    (seen) =>
      Effect.gen(function* () {
        const stub = yield* StubProvider.make()
        const { client } = yield* connect({ baseUrl: stub.url, retry: once })
        const cases = [
          [client.charges.create({ payload: { amount: 1.5 } }), /^body\.amount$/],
          [client.charges.get({ params: { id: 5 as never } }), /^params\.id$/],
          [client.charges.list({ query: { limit: "hunter2" as never } }), /^query\.limit$/]
        ] as const
        for (const [call, field] of cases) {
          const error = yield* failure(call as Effect.Effect<unknown, { readonly _tag: string }>)
          assert.strictEqual(error._tag, "ProtocolError")
          const { field: found, side } = error as unknown as { readonly field: string; readonly side: string }
          assert.strictEqual(side, "request")
          assert.match(found, field)
        }
        assert.lengthOf(yield* stub.requests, 0)
        assert.notInclude(yield* seen.text, "hunter2")
      })
  )

  it.effect("the message of a user's own check, which may quote the value, is not repeated", () =>
    watched((seen) =>
      Effect.gen(function* () {
        const Card = Schema.String.check(
          Schema.makeFilter((value: string) => (value.length === 16 ? undefined : `no card number: ${value}`))
        )
        class Cards extends HttpContract.Service<Cards>()(unique(), {
          api: HttpApi.make("cards").add(
            HttpApiGroup.make("cards").add(
              HttpApiEndpoint.get("get", "/card", { success: Schema.Struct({ card: Card }) })
            )
          ),
          baseUrl: "http://127.0.0.1:9",
          errors: StatusTable.standard
        }) {}
        const error = yield* failure(Cards.use((cards) => cards.cards.get()).pipe(Effect.provide(Cards.layer)))
        assert.notInclude(JSON.stringify(error) + String(error) + (yield* seen.text), "4111")
      }).pipe(withFake(() => Response.json({ card: "4111-1111" })))
    )
  )

  it.effect("the message of a transformation that forbids the value, which may quote it, is not repeated", () =>
    watched((seen) =>
      Effect.gen(function* () {
        const Card = Schema.String.pipe(
          Schema.decodeTo(
            Schema.String,
            SchemaTransformation.transformEffect({
              decode: (value: string) => Effect.fail(new SchemaIssue.Forbidden({ message: `no card ${value}` }, value)),
              encode: (value: string) => Effect.succeed(value)
            })
          )
        )
        class Cards extends HttpContract.Service<Cards>()(unique(), {
          api: HttpApi.make("cards").add(
            HttpApiGroup.make("cards").add(
              HttpApiEndpoint.get("get", "/card", { success: Schema.Struct({ card: Card }) })
            )
          ),
          baseUrl: "http://127.0.0.1:9",
          errors: StatusTable.standard
        }) {}
        const error = yield* failure(Cards.use((cards) => cards.cards.get()).pipe(Effect.provide(Cards.layer)))
        assert.strictEqual(error._tag, "ProtocolError")
        assert.notInclude(JSON.stringify(error) + String(error) + (yield* seen.text), "4111")
      }).pipe(withFake(() => Response.json({ card: "4111-1111" })))
    )
  )

  it.effect("names of a record that the provider chose are bounded in field", () =>
    watched(() =>
      Effect.gen(function* () {
        class Cards extends HttpContract.Service<Cards>()(unique(), {
          api: HttpApi.make("cards").add(
            HttpApiGroup.make("cards").add(
              HttpApiEndpoint.get("get", "/card", { success: Schema.Record(Schema.String, Schema.Int) })
            )
          ),
          baseUrl: "http://127.0.0.1:9",
          errors: StatusTable.standard
        }) {}
        const error = yield* failure(Cards.use((cards) => cards.cards.get()).pipe(Effect.provide(Cards.layer)))
        assert.strictEqual(error._tag, "ProtocolError")
        if (error._tag === "ProtocolError") assert.isAtMost(error.field.length, 1024)
      }).pipe(withFake(() => Response.json({ ["k".repeat(100_000)]: "x" })))
    )
  )

  describe("10,000 random bodies and headers", () => {
    const tags = new Set([
      "ProtocolError",
      ...StatusTable.classes(StatusTable.standard).map(
        (each) => (each as unknown as { readonly identifier: string }).identifier
      )
    ])
    const answers = (seed: number) => {
      const next = random(seed)
      const pick = <A>(from: ReadonlyArray<A>): A => from[Math.floor(next() * from.length)]!
      const text = () =>
        Array.from({ length: Math.floor(next() * 40) }, () =>
          String.fromCharCode(pick([0, 32, 34, 44, 58, 65, 91, 92, 93, 123, 125, 0xe9, 0xd800, 0xfffd]))
        ).join("")
      const value = (depth: number): unknown =>
        pick([
          () => null,
          () => next() * 1e20,
          () => text(),
          () => next() < 0.5,
          () => (depth > 4 ? 1 : Array.from({ length: Math.floor(next() * 4) }, () => value(depth + 1))),
          () =>
            depth > 4
              ? {}
              : Object.fromEntries(
                  ["id", "amount", "code", "title", "type", "error", "requestId", "__proto__", text()]
                    .filter(() => next() < 0.4)
                    .map((key) => [key, value(depth + 1)])
                )
        ])()
      return () => {
        const status = pick([200, 200, 201, 202, 300, 400, 401, 402, 404, 409, 422, 429, 500, 503, 507, 599])
        const body = pick([
          () => JSON.stringify(value(0)),
          () => JSON.stringify(good).slice(0, Math.floor(next() * 22)),
          () => text(),
          () => new Uint8Array(Array.from({ length: 50 }, () => Math.floor(next() * 256))),
          () => ""
        ])()
        const headers = pick<Record<string, string>>([
          {},
          { "content-type": "application/json" },
          { "content-type": "" },
          { "content-type": "multipart/form-data; boundary=" },
          { "content-length": pick(["-1", "0", "nonsense", "1e9"]) },
          { "retry-after": pick(["", "0", "-1", "soon", "NaN", "Mon, 01 Jan 0001 00:00:00 GMT"]) },
          { "x-request-id": pick(["", "é", "x".repeat(5000)]) },
          { "content-encoding": "gzip" }
        ])
        return { status, body, headers }
      }
    }
    const judge = (error: { readonly _tag: string }, label: string) => {
      assert.isTrue(tags.has(error._tag) || error._tag === "CardDeclined", `${label}: ${error._tag}`)
      if (error._tag === "ProtocolError")
        assert.match((error as unknown as { readonly field: string }).field, /^(body|status|content-type)/)
    }

    it.live(
      "are typed errors or values, never a defect (over a stubbed client)",
      () =>
        watched(() => {
          const next = answers(7)
          let last: unknown
          return Effect.gen(function* () {
            const { create, get } = yield* connect({
              baseUrl: "http://127.0.0.1:9",
              idempotent: true,
              personalData: ["title"]
            })
            for (let i = 0; i < runs(9_500); i++) {
              const exit = yield* Effect.exit(i % 2 === 0 ? get : create)
              if (exit._tag === "Success") continue
              judge(yield* failure(exit), JSON.stringify(last))
            }
          }).pipe(
            withFake(() => {
              const { body, headers, status } = next()
              last = { body, headers, status }
              return new Response(body as string, {
                status,
                headers: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, v]))
              })
            })
          )
        }),
      60_000
    )

    live(
      "are the same over real sockets",
      () =>
        Effect.gen(function* () {
          const next = answers(11)
          const stub = yield* StubProvider.make()
          yield* stub.on(
            "* /*",
            Reply.dynamic(() =>
              Effect.sync(() => {
                const { body, headers, status } = next()
                const { "content-length": _, "content-encoding": __, ...safe } = headers
                return Reply.status(status, { headers: safe, body: body as string })
              })
            )
          )
          const { create, get } = yield* connect({ baseUrl: stub.url, idempotent: true })
          for (let i = 0; i < runs(500); i++) {
            const exit = yield* Effect.exit(i % 2 === 0 ? get : create)
            if (exit._tag === "Failure") judge(yield* failure(exit), "real")
            if (i % 100 === 0) yield* stub.reset
          }
        }),
      60_000
    )
  })
})
