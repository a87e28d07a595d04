import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import {
  ByteSize,
  Cause,
  Clock,
  Deferred,
  Duration,
  Effect,
  Fiber,
  Latch,
  Layer,
  Logger,
  Option,
  Queue,
  Schema,
  Stream
} from "effect"
import { HttpEffect, HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { Readable } from "node:stream"
import {
  HttpContract,
  Idempotency,
  IdempotencyMiddleware,
  RateLimitMiddleware,
  RequestIdMiddleware,
  StatusTable
} from "../../src/http/index.ts"
import { IdempotencyStore, IdempotencyStoreError, layerMemory } from "../../src/http/IdempotencyStore.ts"
import { RequestContext, RetryPolicy } from "../../src/policy/index.ts"
import { type Answer, ask, askApp, listen, live, makeStore, problemOf, type Store, until } from "./server.ts"

type Settings<R = never> = Partial<IdempotencyMiddleware.Options<R>> & { readonly store?: Store }

const principal = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.succeed(request.headers["x-client-id"] ?? "anonymous")

/** An app behind the middleware, with a store of its own unless one is given. */
const behind = Effect.fnUntraced(function* <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  { store, ...options }: Settings = {}
) {
  const used = store ?? (yield* makeStore())
  return app.pipe(IdempotencyMiddleware.make({ principal, ...options }), Effect.provideService(IdempotencyStore, used))
})
const serve = <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>, settings?: Settings) =>
  Effect.flatMap(behind(app, settings), listen)

/** Counts its runs; the response says which run it was. */
const counted = (status = 201) => {
  const handler = { runs: 0 }
  const app = Effect.sync(() => {
    handler.runs++
    return HttpServerResponse.jsonUnsafe({ run: handler.runs }, { status })
  })
  return Object.assign(handler, { app })
}

/** A handler that says that it has begun, and waits to be let go. */
const gated = Effect.gen(function* () {
  const started = yield* Queue.unbounded<void>()
  const go = yield* Latch.make()
  const handler = counted()
  const app = Effect.andThen(Queue.offer(started, undefined), go.whenOpen(handler.app))
  return { handler, app, started: Queue.take(started), go }
})

const replayed = (answer: Answer) => answer.headers["idempotency-replayed"]
const down = (operation: IdempotencyStoreError["operation"]) =>
  Effect.fail(new IdempotencyStoreError({ operation, cause: new Error("connection refused") }))
const { ProblemType } = StatusTable

const assertProblem = (answer: Answer, status: number, type: string) => {
  assert.strictEqual(answer.status, status)
  assert.strictEqual(answer.headers["content-type"], "application/problem+json")
  const { detail, title, ...problem } = problemOf(answer)
  assert.deepStrictEqual(problem, { type, status })
  assert.isNotEmpty(title)
  assert.isNotEmpty(detail)
}

describe("the same key again", () => {
  live("replays the stored response and runs the handler once", () =>
    Effect.gen(function* () {
      const handler = counted()
      const app = Effect.map(handler.app, HttpServerResponse.setHeaders({ location: "/c1", etag: '"1"' }))
      const url = yield* serve(app)
      const first = yield* ask(url, { key: "k", body: "{}" })
      const second = yield* ask(url, { key: "k", body: "{}" })
      assert.deepStrictEqual([first.status, first.text, replayed(first)], [201, '{"run":1}', undefined])
      assert.deepStrictEqual([second.status, second.text, replayed(second)], [201, '{"run":1}', "true"])
      for (const name of ["location", "etag", "content-type", "content-length"]) {
        assert.strictEqual(second.headers[name], first.headers[name], name)
      }
      assert.strictEqual(second.headers.location, "/c1")
      assert.strictEqual(handler.runs, 1)
    })
  )

  live("is another key for another principal, another method and another path", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app)
      const answers = yield* Effect.all([
        ask(`${url}/a`, { key: "k", headers: { "x-client-id": "one" } }),
        ask(`${url}/a`, { key: "k", headers: { "x-client-id": "two" } }),
        ask(`${url}/b`, { key: "k", headers: { "x-client-id": "one" } }),
        ask(`${url}/a`, { key: "k", headers: { "x-client-id": "one" }, method: "PATCH" })
      ])
      assert.deepStrictEqual(
        answers.map((answer) => answer.text),
        ['{"run":1}', '{"run":2}', '{"run":3}', '{"run":4}']
      )
    })
  )

  live("does not see the responses of others through separators in the principal, the path or the key", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app)
      const requests = [
        { client: "a", path: "/p", key: "k" },
        { client: "a POST /p k POST", path: "/p", key: "k" },
        { client: "a POST", path: "/p", key: "k" },
        { client: "a%20POST", path: "/p", key: "k" },
        { client: "a", path: "/p", key: "p%20k" },
        { client: "a", path: "/p%20k", key: "k" },
        { client: "a", path: "/p/k", key: "k" },
        { client: "a", path: "/p", key: "k/k" },
        { client: "a", path: "/p", key: "k%00" },
        { client: "", path: "/p", key: "k" }
      ]
      for (const [index, { client, key, path }] of requests.entries()) {
        const answer = yield* ask(`${url}${path}`, { key, headers: { "x-client-id": client } })
        assert.strictEqual(answer.text, `{"run":${index + 1}}`, JSON.stringify({ client, key, path }))
      }
    })
  )

  live("is the same key quoted (a structured-field string) or not, and in X-Idempotency-Key", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app)
      yield* ask(url, { key: "k-1" })
      for (const options of [
        { key: '"k-1"' },
        { key: "k-1" },
        { headers: { "x-idempotency-key": "k-1" } },
        { key: '"k-1"', headers: { "x-idempotency-key": "k-1" } }
      ]) {
        assert.strictEqual(replayed(yield* ask(url, options)), "true", JSON.stringify(options))
      }
      assert.strictEqual(handler.runs, 1)
    })
  )

  live("with another body is refused with 422 as a reused key, while the first runs and after", () =>
    Effect.gen(function* () {
      const { app, go, handler, started } = yield* gated
      const url = yield* serve(app)
      const first = yield* Effect.forkChild(ask(url, { key: "k", body: "a" }))
      yield* started
      assertProblem(yield* ask(url, { key: "k", body: "b" }), 422, ProblemType.keyReused)
      yield* go.open
      yield* Fiber.join(first)
      assertProblem(yield* ask(url, { key: "k", body: "b" }), 422, ProblemType.keyReused)
      assertProblem(yield* ask(url, { key: "k" }), 422, ProblemType.keyReused)
      assert.strictEqual(replayed(yield* ask(url, { key: "k", body: "a" })), "true")
      assert.strictEqual(handler.runs, 1)
    })
  )

  live("with another query is refused with 422 as a reused key, also where the body makes up for it", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app)
      yield* ask(`${url}/a?x=1`, { key: "k", body: "\nbody" })
      assertProblem(yield* ask(`${url}/a?x=2`, { key: "k", body: "\nbody" }), 422, ProblemType.keyReused)
      assertProblem(yield* ask(`${url}/a`, { key: "k", body: "?x=1\n\nbody" }), 422, ProblemType.keyReused)
      assert.strictEqual(replayed(yield* ask(`${url}/a?x=1`, { key: "k", body: "\nbody" })), "true")
      assert.strictEqual(handler.runs, 1)
    })
  )

  live("while the first request runs is answered 409 in progress with Retry-After, then with the response", () =>
    Effect.gen(function* () {
      const { app, go, handler, started } = yield* gated
      const url = yield* serve(app)
      const first = yield* Effect.forkChild(ask(url, { key: "k" }))
      yield* started
      const second = yield* ask(url, { key: "k" })
      assertProblem(second, 409, ProblemType.inProgress)
      assert.strictEqual(second.headers["retry-after"], "1")
      yield* go.open
      assert.strictEqual((yield* Fiber.join(first)).status, 201)
      assert.strictEqual(replayed(yield* ask(url, { key: "k" })), "true")
      assert.strictEqual(handler.runs, 1)
    })
  )

  live("50 times at once runs the handler once; whoever is not replayed is told that it runs", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(Effect.andThen(Effect.sleep("5 millis"), handler.app))
      const answers = yield* Effect.all(
        Array.from({ length: 50 }, () => ask(url, { key: "k", body: "{}" })),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(handler.runs, 1)
      assert.lengthOf(
        answers.filter((answer) => answer.status === 201 && replayed(answer) === undefined),
        1
      )
      assert.isTrue(answers.every(({ status }) => status === 201 || status === 409))
      assert.isTrue(answers.every(({ status, text }) => status === 409 || text === '{"run":1}'))
    })
  )
})

describe("a key", () => {
  live("that is missing is refused with 400 and the handler is not run", () =>
    Effect.gen(function* () {
      const handler = counted()
      const answer = yield* ask(yield* serve(handler.app), { body: "{}" })
      assertProblem(answer, 400, ProblemType.keyMissing)
      assert.include(problemOf(answer).title, "missing")
      assert.strictEqual(handler.runs, 0)
    })
  )

  live("that is malformed is refused with 400, required or not", () =>
    Effect.gen(function* () {
      const handler = counted()
      for (const required of [true, false]) {
        const url = yield* serve(handler.app, { required })
        for (const key of ["", '""', "a b", '"a b"', "a\tb", "é", "a, b", "k".repeat(256), `"${"k".repeat(256)}"`]) {
          const answer = yield* ask(url, { key })
          assertProblem(answer, 400, ProblemType.keyMissing)
          assert.include(problemOf(answer).title, "malformed", key)
        }
      }
      assert.strictEqual(handler.runs, 0)
    })
  )

  it.effect("with control characters that a server let through is refused with 400", () =>
    Effect.gen(function* () {
      const handler = counted()
      const app = yield* behind(handler.app)
      for (const key of ["a\u0000b", "a\nb", "\u007f", '"a\rb"']) {
        assertProblem(yield* askApp(app, { key }), 400, ProblemType.keyMissing)
      }
      assert.strictEqual(handler.runs, 0)
    })
  )

  live("of 255 characters is accepted, and all of them count", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app)
      const long = "k".repeat(254)
      for (const key of [`${long}1`, `"${long}2"`]) assert.strictEqual((yield* ask(url, { key })).status, 201)
      assert.strictEqual(handler.runs, 2)
    })
  )

  live("that is optional may be missing: each request does the work; with one it is done once", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app, { required: false })
      yield* ask(url)
      yield* ask(url)
      assert.strictEqual(handler.runs, 2)
      yield* ask(url, { key: "k" })
      assert.strictEqual(replayed(yield* ask(url, { key: "k" })), "true")
      assert.strictEqual(handler.runs, 3)
    })
  )

  live("is not asked of other methods, and is ignored there", () =>
    Effect.gen(function* () {
      const handler = counted(200)
      const url = yield* serve(handler.app)
      for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]) {
        for (const key of [undefined, "k", "k", "not legal"]) {
          const answer = yield* ask(url, { method, key })
          assert.deepStrictEqual([answer.status, replayed(answer)], [200, undefined], method)
        }
      }
      assert.strictEqual(handler.runs, 20)
    })
  )

  live("is taken by the methods that are named, PUT and DELETE too", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app, { methods: ["PUT", "DELETE"] })
      for (const method of ["PUT", "DELETE"]) {
        yield* ask(url, { method, key: "k" })
        assert.strictEqual(replayed(yield* ask(url, { method, key: "k" })), "true")
      }
      assert.strictEqual((yield* ask(url)).status, 201)
      assert.strictEqual(handler.runs, 3)
    })
  )

  live("is taken by methods named in lower case: they must not silently lose their protection", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app, { methods: ["post"] })
      yield* ask(url, { key: "k" })
      yield* ask(url, { key: "k" })
      assert.strictEqual(handler.runs, 1)
    })
  )
})

describe("what is kept", () => {
  live("are final answers, those that refuse too", () =>
    Effect.gen(function* () {
      for (const status of [200, 201, 202, 303, 400, 403, 404, 409, 422]) {
        const handler = counted(status)
        const url = yield* serve(handler.app)
        yield* ask(url, { key: "k" })
        const again = yield* ask(url, { key: "k" })
        assert.deepStrictEqual([again.status, replayed(again), handler.runs], [status, "true", 1])
        assert.strictEqual(again.text, '{"run":1}')
      }
    })
  )

  live("is never a 401, a 429 or a 5xx: the next request does the work, with another body too", () =>
    Effect.gen(function* () {
      for (const status of [401, 429, 500, 501, 502, 503, 504, 599]) {
        const handler = counted(status)
        const url = yield* serve(handler.app)
        for (const run of [1, 2]) {
          const answer = yield* ask(url, { key: "k", body: `${run}` })
          const { text } = answer
          assert.deepStrictEqual([answer.status, text, replayed(answer)], [status, `{"run":${run}}`, undefined])
        }
      }
    })
  )

  live(
    "is never a 408, 421 or 425, which the table of statuses says to ask again: a replay would end all retries",
    () =>
      Effect.gen(function* () {
        for (const status of [408, 421, 425]) {
          const handler = counted(status)
          const url = yield* serve(handler.app)
          yield* ask(url, { key: "k" })
          yield* ask(url, { key: "k" })
          assert.strictEqual(handler.runs, 2, String(status))
        }
      })
  )

  class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {
    [HttpServerRespondable.symbol]() {
      return Effect.succeed(HttpServerResponse.text("refused", { status: 422 }))
    }
  }
  for (const [what, status, failing] of [
    ["a failure that says its response", 422, Effect.fail(new Refused())],
    ["a failure", 500, Effect.fail("no")],
    ["a defect", 500, Effect.die(new Error("no"))],
    ["an interruption", 503, Effect.interrupt]
  ] as ReadonlyArray<readonly [string, number, Effect.Effect<never, unknown>]>) {
    live(`is never ${what} of the handler: it comes out as without the middleware, and the retry does the work`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* ask(yield* listen(failing))).status, status)
        const handler = counted()
        const app = Effect.flatMap(handler.app, (response) => (handler.runs === 1 ? failing : Effect.succeed(response)))
        const url = yield* serve(app)
        assert.strictEqual((yield* ask(url, { key: "k", body: "1" })).status, status)
        const again = yield* ask(url, { key: "k", body: "2" })
        assert.deepStrictEqual([again.status, again.text, replayed(again)], [201, '{"run":2}', undefined])
      })
    )
  }

  it.effect("is kept for the time to live, 24 hours by default", () =>
    Effect.gen(function* () {
      for (const settings of [{}, { timeToLive: "2 hours" as const }]) {
        const handler = counted()
        const app = yield* behind(handler.app, settings)
        const millis = Duration.toMillis(settings.timeToLive ?? "24 hours")
        yield* askApp(app, { key: "k" })
        yield* TestClock.adjust(millis - 1)
        assert.strictEqual(replayed(yield* askApp(app, { key: "k" })), "true")
        yield* TestClock.adjust(1)
        assert.strictEqual(replayed(yield* askApp(app, { key: "k" })), undefined)
        assert.strictEqual(handler.runs, 2)
      }
    })
  )
})

it("rejects a time to live and a lease that make no sense, where it is made", () => {
  for (const millis of [0, -1, Infinity, Number.NaN]) {
    assert.throws(() => IdempotencyMiddleware.make({ principal, timeToLive: millis }), /timeToLive/)
    assert.throws(() => IdempotencyMiddleware.make({ principal, lease: millis }), /lease/)
  }
})

describe("a response", () => {
  const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index)
  const large = Buffer.alloc(3_000_000, "0123456789")
  const responses: Readonly<Record<string, () => HttpServerResponse.HttpServerResponse>> = {
    "of JSON": () => HttpServerResponse.jsonUnsafe({ id: "c1", note: "Bücher €" }, { status: 201 }),
    "of text": () => HttpServerResponse.text("héllo"),
    "that is empty (204)": () => HttpServerResponse.empty(),
    "that is empty (201)": () => HttpServerResponse.empty({ status: 201, headers: { location: "/c1" } }),
    "that is empty (205)": () => HttpServerResponse.empty({ status: 205 }),
    "of bytes": () => HttpServerResponse.uint8Array(everyByte),
    "that is large": () => HttpServerResponse.uint8Array(large, { contentType: "text/plain" }),
    "that is streamed": () =>
      HttpServerResponse.stream(Stream.make(everyByte, new Uint8Array(0), everyByte), { contentType: "image/png" }),
    "of a Node stream": () => HttpServerResponse.raw(Readable.from([Buffer.from("a"), Buffer.from("b")])),
    "that redirects": () => HttpServerResponse.redirect("/c1?x=1", { status: 303 }),
    "of a Web response": () =>
      HttpServerResponse.fromWeb(
        new Response("web", { status: 202, statusText: "Accepted", headers: { "x-web": "1", "content-type": "a/b" } })
      ),
    "with two cookies": () =>
      HttpServerResponse.text("").pipe(
        HttpServerResponse.setCookieUnsafe("a", "1", { path: "/" }),
        HttpServerResponse.setCookieUnsafe("b", "2", { httpOnly: true })
      )
  }
  /** What differs between two connections. */
  const transport = new Set(["date", "connection", "keep-alive", "transfer-encoding", "content-length"])
  const essence = ({ headers, status, statusText, text }: Answer) => ({
    status,
    statusText,
    text,
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !transport.has(name)))
  })
  for (const [which, respond] of Object.entries(responses)) {
    live(`${which} is the same as without the middleware, the first time and replayed`, () =>
      Effect.gen(function* () {
        const bare = yield* ask(yield* listen(Effect.sync(respond)))
        const url = yield* serve(Effect.sync(respond))
        const first = yield* ask(url, { key: "k" })
        const again = yield* ask(url, { key: "k" })
        const { "idempotency-replayed": mark, ...headers } = again.headers
        assert.strictEqual(mark, "true")
        for (const each of [first, { ...again, headers }]) {
          assert.deepStrictEqual(essence(each), essence(bare))
          assert.isTrue(each.bytes.equals(bare.bytes))
        }
      })
    )
  }

  live("whose stream breaks off gives its key back: the retry does the work, and is not told that it runs", () =>
    Effect.gen(function* () {
      const handler = counted()
      const broken = HttpServerResponse.stream(Stream.concat(Stream.make(everyByte), Stream.fail("upstream is gone")))
      const url = yield* serve(
        Effect.suspend(() =>
          handler.runs++ === 0 ? Effect.succeed(broken) : Effect.succeed(HttpServerResponse.text("ok"))
        )
      )
      yield* Effect.exit(ask(url, { key: "k" }))
      assert.strictEqual((yield* ask(url, { key: "k" })).status, 200)
      assert.strictEqual(handler.runs, 2)
    })
  )

  live("that cannot be written gives its key back", () =>
    Effect.gen(function* () {
      const handler = counted()
      const bad = HttpServerResponse.empty({ status: 200, headers: { location: "/€" } })
      const url = yield* serve(
        Effect.suspend(() =>
          handler.runs++ === 0 ? Effect.succeed(bad) : Effect.succeed(HttpServerResponse.text("ok"))
        )
      )
      yield* Effect.exit(ask(url, { key: "k" }))
      assert.strictEqual((yield* ask(url, { key: "k" })).status, 200)
    })
  )

  live("is replayed without what is added after the handler has given it (a pre-response handler), as documented", () =>
    Effect.gen(function* () {
      const adding = HttpEffect.appendPreResponseHandler((_, response) =>
        Effect.succeed(HttpServerResponse.setHeader(response, "x-late", "1"))
      )
      const url = yield* serve(Effect.andThen(adding, counted().app))
      assert.strictEqual((yield* ask(url, { key: "k" })).headers["x-late"], "1")
      const again = yield* ask(url, { key: "k" })
      assert.deepStrictEqual([replayed(again), again.headers["x-late"]], ["true", undefined])
    })
  )

  live("that is streamed can use what the request's scope holds", () =>
    Effect.gen(function* () {
      let open = 0
      const resource = Effect.acquireRelease(
        Effect.sync(() => ++open),
        () => Effect.sync(() => --open)
      )
      const stream = Stream.fromEffect(Effect.suspend(() => Effect.succeed(new TextEncoder().encode(`open ${open}`))))
      const url = yield* serve(Effect.as(resource, HttpServerResponse.stream(stream)))
      assert.strictEqual((yield* ask(url, { key: "k" })).text, "open 1")
      yield* until(() => open === 0)
      assert.strictEqual((yield* ask(url, { key: "k" })).text, "open 1")
    })
  )
})

describe("the body of the request, after the middleware has read it,", () => {
  const echo = (read: (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<string, unknown, any>) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, read).pipe(
      Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.succeed("the body never came") }),
      Effect.map((text) => HttpServerResponse.text(text))
    ) as Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>
  const reads: Readonly<Record<string, Parameters<typeof echo>[0]>> = {
    text: (request) => request.text,
    json: (request) => Effect.map(request.json, (json) => JSON.stringify(json)),
    arrayBuffer: (request) => Effect.map(request.arrayBuffer, (buffer) => Buffer.from(buffer).toString()),
    stream: (request) => Stream.mkString(Stream.decodeText(request.stream))
  }
  const body = '{"amount":5,"note":"é"}'
  for (const [how, read] of Object.entries(reads)) {
    live(`is read by the handler as ${how}`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* ask(yield* listen(echo(read)), { body })).text, body)
        const url = yield* serve(echo(read))
        assert.strictEqual((yield* ask(url, { key: "k", body })).text, body)
      })
    )
    live(`is read as ${how} by a handler that a router has mounted under a prefix`, () =>
      Effect.gen(function* () {
        const store = yield* makeStore()
        const app = yield* HttpRouter.toHttpEffect(
          Layer.mergeAll(
            HttpRouter.addAll([HttpRouter.route("POST", "/charges", echo(read))], { prefix: "/v1" }),
            HttpRouter.middleware(IdempotencyMiddleware.make({ principal }), { global: true })
          )
        )
        const url = yield* listen(Effect.provideService(app, IdempotencyStore, store))
        assert.strictEqual((yield* ask(`${url}/v1/charges`, { key: "k", body })).text, body)
      })
    )
  }

  live("is read by the handler as a form", () =>
    Effect.gen(function* () {
      const url = yield* serve(echo((request) => Effect.map(request.urlParamsBody, (params) => String(params.params))))
      assert.strictEqual((yield* ask(url, { key: "k", body: "a=1&b=2" })).text, "a,1,b,2")
    })
  )

  live("is read by the handler as parts (multipart)", () =>
    Effect.gen(function* () {
      const app = echo((request) =>
        Effect.map(Stream.runCollect(request.multipartStream), (parts) =>
          parts.map((part) => `${part.key}=${part._tag === "Field" ? part.value : "a file"}`).join()
        )
      )
      const form = {
        key: "k",
        headers: { "content-type": "multipart/form-data; boundary=xx" },
        body: '--xx\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--xx--\r\n'
      }
      assert.strictEqual((yield* ask(yield* listen(app), form)).text, "a=1")
      assert.strictEqual((yield* ask(yield* serve(app), form)).text, "a=1")
    })
  )

  live("is bounded by the limit that is set around the middleware: 413 beyond it, and the key is not used up", () =>
    Effect.gen(function* () {
      const handler = counted()
      const app = Effect.provideService(yield* behind(handler.app), HttpServerRequest.MaxBodySize, ByteSize.bytes(1000))
      const url = yield* listen(app)
      assert.strictEqual((yield* ask(url, { key: "k", body: Buffer.alloc(1001) })).status, 413)
      assert.strictEqual((yield* ask(url, { key: "k", body: Buffer.alloc(1000) })).status, 201)
      assert.strictEqual(handler.runs, 1)
    })
  )

  live("may be left unread", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app)
      assert.strictEqual((yield* ask(url, { key: "k", body: Buffer.alloc(1_000_000) })).status, 201)
    })
  )
})

describe("a handler whose client hangs up", () => {
  /** As `gated`; `gone` waits until the server has seen that the first client is gone. */
  const hangUp = Effect.gen(function* () {
    const { app, ...rest } = yield* gated
    const closed = yield* Deferred.make<void>()
    const watched = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const { socket } = request.source as IncomingMessage
      socket.once("close", () => Deferred.doneUnsafe(closed, Effect.void))
      return app
    })
    return { ...rest, app: watched, gone: Effect.andThen(Deferred.await(closed), Effect.sleep("1 millis")) }
  })
  /** In a route, where a handler can be interrupted. */
  const routed = Effect.fnUntraced(function* <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
    settings?: Settings
  ) {
    const routes = HttpRouter.add("POST", "/", (yield* behind(app, settings)) as Effect.Effect<any, never>)
    return yield* listen(yield* HttpRouter.toHttpEffect(routes))
  })

  for (const [where, open] of [
    ["a plain app", serve],
    ["a route", routed]
  ] as const) {
    live(`finishes in ${where}, and the retry gets its response`, () =>
      Effect.gen(function* () {
        const { app, go, gone, handler, started } = yield* hangUp
        const url = yield* open(app)
        const first = yield* Effect.forkChild(ask(url, { key: "k" }))
        yield* started
        yield* Fiber.interrupt(first)
        yield* gone
        assert.strictEqual((yield* ask(url, { key: "k" })).status, 409)
        yield* go.open
        let again = yield* ask(url, { key: "k" })
        while (again.status === 409) again = yield* ask(url, { key: "k" })
        assert.deepStrictEqual([again.status, again.text, replayed(again)], [201, '{"run":1}', "true"])
        assert.strictEqual(handler.runs, 1)
      })
    )
  }

  live("keeps the resources of its scope until it has finished", () =>
    Effect.gen(function* () {
      const { app, go, gone, handler, started } = yield* hangUp
      let open = false
      const seen: Array<boolean> = []
      const resource = Effect.acquireRelease(
        Effect.sync(() => void (open = true)),
        () => Effect.sync(() => void (open = false))
      )
      const url = yield* routed(
        Effect.tap(Effect.andThen(resource, app), () => Effect.sync(() => void seen.push(open)))
      )
      const first = yield* Effect.forkChild(ask(url, { key: "k" }))
      yield* started
      yield* Fiber.interrupt(first)
      yield* gone
      yield* go.open
      yield* until(() => handler.runs === 1 && seen.length === 1)
      assert.deepStrictEqual(seen, [true])
      yield* until(() => !open)
    })
  )

  live("just as its key is claimed does not leave a claim that nobody works on", () =>
    Effect.gen(function* () {
      const handler = counted()
      const claimed = yield* Deferred.make<void>()
      const answered = yield* Latch.make()
      let claims = 0
      // A store behind a network: the key is taken there before the answer has come back.
      const store = yield* makeStore((inner) => ({
        claim: (options) =>
          Effect.gen(function* () {
            const claim = yield* inner.claim(options)
            if (++claims > 1) return claim
            yield* Deferred.succeed(claimed, undefined)
            yield* answered.await
            return claim
          })
      }))
      const url = yield* routed(handler.app, { store })
      const first = yield* Effect.forkChild(ask(url, { key: "k" }))
      yield* Deferred.await(claimed)
      yield* Fiber.interrupt(first)
      yield* ask(url, { key: "other" })
      yield* ask(url, { key: "another" })
      yield* answered.open
      // Either the handler runs for the first request, or the retry may run it; 409 for a whole lease is neither.
      const others = 2
      yield* until(() => handler.runs > others).pipe(Effect.timeoutOption("200 millis"))
      assert.strictEqual((yield* ask(url, { key: "k" })).status, 201)
    })
  )
})

describe("the lease", () => {
  it.effect("of a crashed process ends, and the retry does the work", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      const started = yield* Deferred.make<void>()
      const crashing = yield* behind(Effect.andThen(Deferred.succeed(started, undefined), Effect.never), {
        // A process that has crashed does not renew.
        store: { ...store, renew: () => Effect.never }
      })
      yield* Effect.forkChild(askApp(crashing, { key: "k" }))
      yield* Deferred.await(started)
      const handler = counted()
      const app = yield* behind(handler.app, { store })
      yield* TestClock.adjust(59_999)
      assert.strictEqual((yield* askApp(app, { key: "k" })).status, 409)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* askApp(app, { key: "k" })).status, 201)
    })
  )

  it.effect("is renewed for as long as a slow handler runs", () =>
    Effect.gen(function* () {
      const { app, go, handler, started } = yield* gated
      const slow = yield* behind(app, { lease: "9 seconds" })
      const first = yield* Effect.forkChild(askApp(slow, { key: "k" }))
      yield* started
      for (let minute = 0; minute < 10; minute++) {
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* askApp(slow, { key: "k" })).status, 409)
      }
      yield* go.open
      assert.strictEqual((yield* Fiber.join(first)).status, 201)
      assert.strictEqual(replayed(yield* askApp(slow, { key: "k" })), "true")
      assert.strictEqual(handler.runs, 1)
    })
  )

  it.effect("is renewed again after the store could not be asked", () =>
    Effect.gen(function* () {
      let renewals = 0
      const store = yield* makeStore((inner) => ({
        renew: (options) => Effect.suspend(() => (++renewals % 2 === 1 ? down("renew") : inner.renew(options)))
      }))
      const { app, go, started } = yield* gated
      const slow = yield* behind(app, { lease: "9 seconds", store })
      const first = yield* Effect.forkChild(askApp(slow, { key: "k" }))
      yield* started
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* askApp(slow, { key: "k" })).status, 409)
      yield* go.open
      assert.strictEqual((yield* Fiber.join(first)).status, 201)
      assert.strictEqual(renewals, 20)
    })
  )

  it.effect("is not renewed any more when the handler has finished", () =>
    Effect.gen(function* () {
      let renewals = 0
      const store = yield* makeStore((inner) => ({
        renew: (options) =>
          Effect.andThen(
            Effect.sync(() => void renewals++),
            inner.renew(options)
          )
      }))
      const app = yield* behind(counted().app, { store })
      yield* askApp(app, { key: "k" })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(renewals, 0)
    })
  )

  it.effect("that is lost leaves the key to its new owner: the old one neither completes nor releases it", () =>
    Effect.gen(function* () {
      for (const ending of ["completes", "releases"]) {
        const store = yield* makeStore()
        const paused = yield* gated
        const old = yield* behind(ending === "completes" ? paused.app : Effect.andThen(paused.app, Effect.fail("no")), {
          store: { ...store, renew: () => Effect.never }
        })
        const first = yield* Effect.forkChild(Effect.exit(askApp(old, { key: "k" })))
        yield* paused.started
        yield* TestClock.adjust("1 minute")
        const next = yield* gated
        const app = yield* behind(next.app, { store })
        const second = yield* Effect.forkChild(askApp(app, { key: "k" }))
        yield* next.started
        yield* paused.go.open
        yield* Fiber.join(first)
        assert.strictEqual((yield* askApp(app, { key: "k" })).status, 409, ending)
        yield* next.go.open
        assert.strictEqual((yield* Fiber.join(second)).status, 201)
        assert.strictEqual(replayed(yield* askApp(app, { key: "k" })), "true", ending)
      }
    })
  )

  it.effect("is of one attempt, though two processes make the same ids (`IdGenerator`)", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      const numbered = () => {
        let last = 0
        return Effect.provideService(RequestContext.IdGenerator, () => `${++last}`)
      }
      const paused = yield* gated
      const old = numbered()(yield* behind(paused.app, { store: { ...store, renew: () => Effect.never } }))
      const first = yield* Effect.forkChild(askApp(old, { key: "k" }))
      yield* paused.started
      yield* TestClock.adjust("1 minute")
      const next = yield* gated
      const app = numbered()(yield* behind(next.app, { store }))
      const second = yield* Effect.forkChild(askApp(app, { key: "k" }))
      yield* next.started
      yield* paused.go.open
      yield* Fiber.join(first)
      const meanwhile = yield* Effect.forkChild(askApp(yield* behind(Effect.never, { store }), { key: "k" }))
      assert.strictEqual((yield* Fiber.join(meanwhile)).status, 409)
      yield* next.go.open
      yield* Fiber.join(second)
    })
  )

  it.effect("that the store is slow to renew does not hold back the response", () =>
    Effect.gen(function* () {
      const renewing = yield* Deferred.make<void>()
      const renewed = yield* Latch.make()
      const store = yield* makeStore(() => ({
        // A commit cannot be interrupted.
        renew: () =>
          Effect.uninterruptible(Effect.as(Effect.andThen(Deferred.succeed(renewing, undefined), renewed.await), true))
      }))
      const { app, go, started } = yield* gated
      const first = yield* Effect.forkChild(askApp(yield* behind(app, { lease: "9 seconds", store }), { key: "k" }))
      yield* started
      yield* TestClock.adjust("3 seconds")
      yield* Deferred.await(renewing)
      yield* go.open
      const answer = yield* Fiber.join(first).pipe(Effect.timeoutOption("1 second"), TestClock.withLive)
      yield* renewed.open
      assert.isTrue(Option.isSome(answer))
    })
  )

  it.effect("is renewed while a response is still streaming, which the handler has only begun", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      const streaming = yield* Deferred.make<void>()
      const go = yield* Latch.make()
      let runs = 0
      const slowly = Stream.fromEffect(
        Effect.andThen(Deferred.succeed(streaming, undefined), go.whenOpen(Effect.succeed(new Uint8Array([1]))))
      )
      const app = yield* behind(
        Effect.sync(() => (runs++, HttpServerResponse.stream(slowly))),
        { store }
      )
      const first = yield* Effect.forkChild(askApp(app, { key: "k" }))
      yield* Deferred.await(streaming)
      yield* TestClock.adjust("2 minutes")
      const second = yield* Effect.forkChild(askApp(app, { key: "k" }))
      yield* until(() => runs > 1 || second.pollUnsafe() !== undefined).pipe(TestClock.withLive)
      yield* go.open
      assert.strictEqual((yield* Fiber.join(second)).status, 409)
      assert.strictEqual((yield* Fiber.join(first)).status, 200)
      assert.strictEqual(runs, 1)
    })
  )
})

describe("a store that is down", () => {
  live("answers 503 with Retry-After, and the handler is not run", (lines) =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app, { store: yield* makeStore(() => ({ claim: () => down("claim") })) })
      const answer = yield* ask(url, { key: "k", body: "{}" })
      assertProblem(answer, 503, "about:blank")
      assert.strictEqual(answer.headers["retry-after"], "1")
      assert.strictEqual(handler.runs, 0)
      assert.isTrue(lines.some(({ level, message }) => level === "Error" && message.includes("claim")))
    })
  )

  for (const [how, failing] of [
    ["fails", down("complete")],
    ["has a defect", Effect.die(new Error("a row that cannot be decoded"))]
  ] as const) {
    live(`when the response is kept (${how}) still delivers it, and logs the loss`, (lines) =>
      Effect.gen(function* () {
        const handler = counted()
        const url = yield* serve(handler.app, { store: yield* makeStore(() => ({ complete: () => failing })) })
        const answer = yield* ask(url, { key: "k" })
        assert.deepStrictEqual([answer.status, answer.text], [201, '{"run":1}'])
        assert.isTrue(lines.some(({ level, message }) => level === "Error" && message.includes("could not be kept")))
      })
    )

    live(`when the key is given back (${how}) still delivers what the handler said`, (lines) =>
      Effect.gen(function* () {
        const url = yield* serve(counted(429).app, {
          store: yield* makeStore(() => ({ release: () => failing as any }))
        })
        assert.strictEqual((yield* ask(url, { key: "k" })).status, 429)
        assert.isTrue(lines.some(({ level, message }) => level === "Error" && message.includes("given back")))
      })
    )
  }

  live("when the response is kept: the log line says why", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.make(({ cause, message }) => {
        logged.push(`${String(message)} ${Cause.pretty(cause)} ${String(cause.reasons.map(String))}`)
      })
      const store = yield* makeStore(() => ({ complete: () => down("complete") }))
      yield* askApp(yield* behind(counted().app, { store }), { key: "k" }).pipe(Effect.provide(Logger.layer([logger])))
      const line = logged.find((each) => each.includes("could not be kept"))
      assert.include(line, "could not complete a key")
    })
  )
})

describe("a request target", () => {
  live("that is no path of a URL is answered, not crashed on", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app)
      for (const target of ["//", "///", "//[", "/%", "/%zz", "*"]) {
        const answer = yield* ask(url, { key: "k", target })
        assert.isBelow(answer.status, 500, target)
      }
    })
  )

  live("that begins with two slashes, or has dots, is not another route than its own", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* serve(handler.app)
      const targets = [
        "/v1/charges",
        "//host/v1/charges",
        "/v2/../v1/charges",
        "/v2/%2e%2e/v1/charges",
        "/./v1/charges"
      ]
      for (const target of targets) {
        assert.strictEqual(replayed(yield* ask(url, { key: "k", target })), undefined, target)
      }
      assert.strictEqual(handler.runs, targets.length)
    })
  )

  live("keeps its prefix: two routers mounted apart do not replay each other's responses", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      const middleware = IdempotencyMiddleware.make({ principal })
      const route = (name: string) =>
        HttpRouter.addAll(
          [
            HttpRouter.route(
              "POST",
              "/charges",
              Effect.succeed(HttpServerResponse.text(name)).pipe(
                middleware,
                Effect.provideService(IdempotencyStore, store)
              )
            )
          ],
          { prefix: `/${name}` }
        )
      const url = yield* listen(yield* HttpRouter.toHttpEffect(Layer.mergeAll(route("sales"), route("refunds"))))
      assert.strictEqual((yield* ask(`${url}/sales/charges`, { key: "k" })).text, "sales")
      assert.strictEqual((yield* ask(`${url}/refunds/charges`, { key: "k" })).text, "refunds")
    })
  )

  live("with a principal that is half a surrogate pair is answered", () =>
    Effect.gen(function* () {
      const url = yield* serve(counted().app, { principal: () => Effect.succeed("\ud800") })
      assert.strictEqual((yield* ask(url, { key: "k" })).status, 201)
    })
  )
})

describe("with other middleware", () => {
  live("inside: the request id, the limits and the key each do their work, and a replay carries its own id", () =>
    Effect.gen(function* () {
      const handler = counted()
      const url = yield* listen(
        (yield* behind(handler.app)).pipe(
          RateLimitMiddleware.make("orders", { limits: { perMinute: 3 } }),
          RequestIdMiddleware.make
        )
      )
      const first = yield* ask(url, { key: "k", headers: { "x-request-id": "r1" } })
      const second = yield* ask(url, { key: "k", headers: { "x-request-id": "r2" } })
      assert.deepStrictEqual([first.headers["x-request-id"], second.headers["x-request-id"]], ["r1", "r2"])
      assert.deepStrictEqual(
        [first.headers.ratelimit, second.headers.ratelimit],
        ['"perMinute";r=2', '"perMinute";r=1']
      )
      assert.strictEqual(replayed(second), "true")
      assert.strictEqual(handler.runs, 1)
    })
  )
})

const Charge = Schema.Struct({ id: Schema.String, amount: Schema.Int })
class Declined extends Schema.TaggedError<Declined>()("Declined", { why: Schema.String }, { httpApiStatus: 422 }) {}
const PaymentsApi = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.post("create", "/v1/charges", {
      payload: Schema.Struct({ amount: Schema.Int, metadata: Schema.optionalKey(Schema.Json) }),
      success: Charge,
      error: Declined
    })
  )
)
type Create = (amount: number) => Effect.Effect<typeof Charge.Type, Declined>

/** The API, built by HttpApiBuilder, behind the middleware. */
const api = Effect.fnUntraced(function* (create: Create, store: Store) {
  const routes = HttpApiBuilder.layer(PaymentsApi).pipe(
    Layer.provide(
      HttpApiBuilder.group(PaymentsApi, "charges", (handlers) =>
        handlers.handle("create", ({ payload }) => create(payload.amount))
      )
    ),
    Layer.provide(NodeHttpServer.layerHttpServices)
  )
  const middleware = HttpRouter.middleware(IdempotencyMiddleware.make({ principal }), { global: true })
  const app = yield* HttpRouter.toHttpEffect(Layer.mergeAll(routes, middleware))
  return yield* listen(Effect.provideService(app, IdempotencyStore, store))
})
const json = { "content-type": "application/json" }

describe("around an HttpApi", () => {
  live("is served by HttpRouter.serve, with the store as a layer", () =>
    Effect.gen(function* () {
      const node = createServer()
      const handler = counted()
      const routes = Layer.mergeAll(
        HttpRouter.add("POST", "/charges", handler.app),
        HttpRouter.middleware(IdempotencyMiddleware.make({ principal }), { global: true })
      )
      yield* Layer.build(
        HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provide(Layer.fresh(layerMemory)),
          Layer.provide(NodeHttpServer.layer(() => node, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: 1 }))
        )
      )
      const url = `http://127.0.0.1:${(node.address() as AddressInfo).port}/charges`
      yield* ask(url, { key: "k" })
      assert.strictEqual(replayed(yield* ask(url, { key: "k" })), "true")
      assert.strictEqual(handler.runs, 1)
    })
  )

  live("does the work once, and keeps declared errors", () =>
    Effect.gen(function* () {
      let charged = 0
      const url = yield* api(
        (amount) =>
          Effect.suspend(() => {
            charged++
            return amount > 100
              ? Effect.fail(new Declined({ why: "too much" }))
              : Effect.succeed({ id: `c${charged}`, amount })
          }),
        yield* makeStore()
      )
      const post = (key: string, body: string) => ask(`${url}/v1/charges`, { key, body, headers: json })
      for (const mark of [undefined, "true"]) {
        const good = yield* post("k1", '{"amount":5}')
        assert.deepStrictEqual([good.status, good.text, replayed(good)], [200, '{"id":"c1","amount":5}', mark])
      }
      for (const mark of [undefined, "true"]) {
        const declined = yield* post("k2", '{"amount":500}')
        assert.deepStrictEqual([declined.status, replayed(declined)], [422, mark])
        assert.include(declined.text, "too much")
      }
      assert.strictEqual(charged, 2)
      const missing = yield* ask(`${url}/v1/charges`, { body: '{"amount":5}', headers: json })
      assertProblem(missing, 400, ProblemType.keyMissing)
    })
  )

  live("leaves what no route answers, and what does not fit the schema, as it is", () =>
    Effect.gen(function* () {
      const url = yield* api(() => Effect.die("not reached"), yield* makeStore())
      assert.strictEqual((yield* ask(`${url}/nowhere`, { key: "k" })).status, 404)
      for (let time = 0; time < 2; time++) {
        const answer = yield* ask(`${url}/v1/charges`, { key: "k", body: '{"amount":"five"}', headers: json })
        assert.strictEqual(answer.status, 400)
      }
    })
  )
})

describe("a contract against this provider", () => {
  const makeContract = (id: string, baseUrl: string, sourceSystem?: string) => {
    class Payments extends HttpContract.Service<Payments>()(id, {
      api: PaymentsApi,
      baseUrl,
      idempotent: true,
      errors: StatusTable.standard,
      retry: RetryPolicy.make({ delays: ["10 millis", "10 millis", "10 millis", "10 millis"] }),
      timeouts: { attempt: "500 millis", total: "8 seconds" },
      ...(sourceSystem === undefined ? undefined : { sourceSystem })
    }) {}
    return {
      create: (amount: number) => Payments.use((payments) => payments.charges.create({ payload: { amount } })),
      layer: Payments.layer.pipe(Layer.provide(NodeHttpClient.layerUndici))
    }
  }

  live("retries after a timeout, is told to wait, and gets the replayed response: charged once", () =>
    Effect.gen(function* () {
      let charged = 0
      const go = yield* Latch.make()
      const claims: Array<string> = []
      const store = yield* makeStore((inner) => ({
        claim: (options) =>
          Effect.tap(inner.claim(options), (claim) => {
            claims.push(claim._tag)
            return claim._tag === "Running" ? go.open : Effect.void
          })
      }))
      const url = yield* api((amount) => go.whenOpen(Effect.sync(() => ({ id: `c${++charged}`, amount }))), store)
      const contract = makeContract("payments-e2e", url)
      const before = yield* Clock.currentTimeMillis
      const charge = yield* contract.create(5).pipe(Effect.provide(contract.layer))
      assert.deepStrictEqual(charge, { id: "c1", amount: 5 })
      assert.deepStrictEqual(claims, ["Claimed", "Running", "Completed"])
      assert.strictEqual(charged, 1)
      assert.isAtLeast((yield* Clock.currentTimeMillis) - before, 1499, "the attempt's 500 ms and Retry-After: 1")
    })
  )

  live("that names its source system gets a replay when a message comes again: the timestamp is no other request", () =>
    Effect.gen(function* () {
      let charged = 0
      const url = yield* api((amount) => Effect.sync(() => ({ id: `c${++charged}`, amount })), yield* makeStore())
      const contract = makeContract("payments-source", url, "orders")
      const handled = contract.create(5).pipe(Idempotency.derived("https://orders.acme.com", "event-1", "billing"))
      yield* Effect.gen(function* () {
        const first = yield* handled
        const at = yield* Clock.currentTimeMillis
        yield* until(() => Date.now() > at + 1)
        assert.deepStrictEqual(yield* handled, first)
      }).pipe(Effect.provide(contract.layer))
      assert.strictEqual(charged, 1)
    })
  )
})
