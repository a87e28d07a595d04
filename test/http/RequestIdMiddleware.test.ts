import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Queue, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { HttpContract, RequestIdMiddleware, StatusTable } from "../../src/http/index.ts"
import { RequestContext } from "../../src/policy/index.ts"
import * as Telemetry from "../../src/Telemetry.ts"
import { ask, askApp, listen, live } from "./server.ts"

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const inherited = Effect.map(RequestContext.RequestContext, ({ requestId }) =>
  HttpServerResponse.text(requestId ?? "none")
)
const app = RequestIdMiddleware.make(inherited)

describe("a request id", () => {
  live("is echoed, and inherited by the handler, as it came", () =>
    Effect.gen(function* () {
      const url = yield* listen(app)
      for (const id of ["r", "order-1/2", "!~\"'<>", "x".repeat(128)]) {
        const answer = yield* ask(url, { method: "GET", headers: { "x-request-id": id } })
        assert.deepStrictEqual([answer.headers["x-request-id"], answer.text], [id, id])
      }
    })
  )

  live("is made where there is none, another for each request", () =>
    Effect.gen(function* () {
      const url = yield* listen(app)
      const [a, b] = yield* Effect.all([ask(url), ask(url)], { concurrency: 2 })
      for (const answer of [a, b]) {
        assert.match(answer.text, uuid)
        assert.strictEqual(answer.headers["x-request-id"], answer.text)
      }
      assert.notStrictEqual(a.text, b.text)
    })
  )

  live("is replaced where it is empty, too long, or has anything but visible ASCII", () =>
    Effect.gen(function* () {
      const url = yield* listen(app)
      for (const id of ["", "a b", "a\tb", "é", "x".repeat(129), "a, b"]) {
        assert.match((yield* ask(url, { headers: { "x-request-id": id } })).text, uuid, JSON.stringify(id))
      }
    })
  )

  it.effect("with line breaks that a server let through is replaced: it goes into logs", () =>
    Effect.gen(function* () {
      for (const id of ["a\r\nb", "a\n", "\na", "\u0000", "\u001b[31m"]) {
        const answer = yield* askApp(app, { headers: { "x-request-id": id } })
        assert.match(answer.text, uuid)
      }
    })
  )

  it.effect("is made by the generator of ids", () =>
    Effect.gen(function* () {
      const answer = yield* askApp(app).pipe(Effect.provideService(RequestContext.IdGenerator, () => "made"))
      assert.deepStrictEqual([answer.headers["x-request-id"], answer.text], ["made", "made"])
    })
  )

  live("is on every log line of the handler, and on none outside", (lines) =>
    Effect.gen(function* () {
      const logging = Effect.andThen(Effect.logInfo("inside"), inherited)
      const url = yield* listen(Effect.tap(RequestIdMiddleware.make(logging), () => Effect.logInfo("outside")))
      yield* ask(url, { headers: { "x-request-id": "r1" } })
      const annotated = (text: string) =>
        lines.find(({ message }) => message === text)!.annotations[Telemetry.Attribute.requestId]
      assert.deepStrictEqual([annotated("inside"), annotated("outside")], ["r1", undefined])
    })
  )

  live("takes the place of one that the handler set, so that the answer is of the request", () =>
    Effect.gen(function* () {
      const url = yield* listen(
        RequestIdMiddleware.make(Effect.map(inherited, HttpServerResponse.setHeader("x-request-id", "old")))
      )
      assert.strictEqual((yield* ask(url, { headers: { "x-request-id": "r1" } })).headers["x-request-id"], "r1")
    })
  )
})

describe("an application that fails is answered with the request id", () => {
  class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {
    [HttpServerRespondable.symbol]() {
      return Effect.succeed(HttpServerResponse.text("refused", { status: 422 }))
    }
  }
  for (const [what, status, failing] of [
    ["with a failure that says its response", 422, Effect.fail(new Refused())],
    ["with another failure", 500, Effect.fail("no")],
    ["with a defect", 500, Effect.die(new Error("no"))],
    ["with a defect that is a response", 418, Effect.die(HttpServerResponse.empty({ status: 418 }))]
  ] as ReadonlyArray<readonly [string, number, Effect.Effect<never, unknown>]>) {
    live(what, () =>
      Effect.gen(function* () {
        const answer = yield* ask(yield* listen(RequestIdMiddleware.make(failing)), {
          headers: { "x-request-id": "r1" }
        })
        assert.deepStrictEqual([answer.status, answer.headers["x-request-id"]], [status, "r1"])
      })
    )
  }

  live("where no route of a router fits", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(
        HttpRouter.add("GET", "/known", inherited),
        HttpRouter.middleware(RequestIdMiddleware.make, { global: true })
      )
      const url = yield* listen(yield* HttpRouter.toHttpEffect(routes))
      const headers = { "x-request-id": "r1" }
      const known = yield* ask(`${url}/known`, { method: "GET", headers })
      assert.deepStrictEqual([known.status, known.text, known.headers["x-request-id"]], [200, "r1", "r1"])
      const unknown = yield* ask(`${url}/unknown`, { method: "GET", headers })
      assert.deepStrictEqual([unknown.status, unknown.headers["x-request-id"]], [404, "r1"])
    })
  )
})

const Stock = HttpApi.make("stock").add(
  HttpApiGroup.make("items").add(HttpApiEndpoint.get("get", "/v1/items", { success: Schema.String }))
)

describe("a contract that is called inside the handler", () => {
  live("forwards the request id, of each request its own, and the answers are its echo", (lines) =>
    Effect.gen(function* () {
      const seen = yield* Queue.unbounded<string | undefined>()
      const provider = yield* listen(
        RequestIdMiddleware.make(
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
            Effect.as(
              Queue.offer(seen, request.headers["x-request-id"]),
              HttpServerResponse.jsonUnsafe(request.headers["x-request-id"])
            )
          )
        )
      )
      class Items extends HttpContract.Service<Items>()("request-id-stock", {
        api: Stock,
        baseUrl: provider,
        errors: StatusTable.standard
      }) {}
      const context = yield* Layer.build(Items.layer.pipe(Layer.provide(NodeHttpClient.layerUndici)))
      const called = Items.use((items) => items.items.get({}))
      const url = yield* listen(
        RequestIdMiddleware.make(Effect.map(called, (text) => HttpServerResponse.text(text))).pipe(
          Effect.provide(context)
        )
      )
      const ids = Array.from({ length: 10 }, (_, index) => `r${index}`)
      const answers = yield* Effect.all(
        ids.map((id) => ask(url, { headers: { "x-request-id": id } })),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers.map(({ text }) => text),
        ids
      )
      assert.sameMembers(yield* Queue.takeAll(seen), ids)
      const made = yield* ask(url)
      assert.strictEqual(made.text, made.headers["x-request-id"])
      assert.notExists(lines.find(({ message }) => message.includes("is of request")))
    })
  )
})
