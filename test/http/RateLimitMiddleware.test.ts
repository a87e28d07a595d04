import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { RateLimitMiddleware } from "../../src/http/index.ts"
import type { RateLimit } from "../../src/policy/index.ts"
import { random, runs } from "../policy/observe.ts"
import { type Answer, ask, askApp, listen, live, problemOf } from "./server.ts"

const ok = Effect.succeed(HttpServerResponse.text("ok"))
const limited = (limits: RateLimit.Options) => ok.pipe(RateLimitMiddleware.make("orders", { limits }))
const perClient = (limits: RateLimit.Options) =>
  ok.pipe(
    RateLimitMiddleware.make("orders", { limits, key: (request) => request.headers["x-client-id"] ?? "anonymous" })
  )
const as = (client: string) => ({ headers: { "x-client-id": client } })

interface Item {
  readonly name: string
  readonly parameters: Readonly<Record<string, number>>
}
/** A list of strings with integer parameters (RFC 9651), or a failed assertion. */
const parseList = (value: string): ReadonlyArray<Item> =>
  value.split(/ *, */).map((member) => {
    const [, name, rest] =
      /^"([\x20-\x21\x23-\x5b\x5d-\x7e]*)"((?:; *[a-z*][a-z0-9_.*-]*=-?\d{1,15})*)$/.exec(member) ?? []
    assert.isDefined(name, member)
    const parameters = Array.from(rest!.matchAll(/; *([a-z*][a-z0-9_.*-]*)=(-?\d+)/g), (each) => [
      each[1]!,
      Number(each[2])
    ])
    return { name: name!, parameters: Object.fromEntries(parameters) as Record<string, number> }
  })
const policies = (answer: Answer) => parseList(String(answer.headers["ratelimit-policy"]))
const standing = (answer: Answer) => {
  const [item, ...others] = parseList(String(answer.headers.ratelimit))
  assert.lengthOf(others, 0)
  return { limit: item!.name, ...(item!.parameters as { readonly r: number; readonly t?: number }) }
}

describe("above a limit", () => {
  it.effect("per minute: 429 with Retry-After, and problem details that name the limit", () =>
    Effect.gen(function* () {
      const app = limited({ perMinute: 2 })
      yield* askApp(app)
      yield* TestClock.adjust(10_500)
      yield* askApp(app)
      const answer = yield* askApp(app)
      assert.strictEqual(answer.status, 429)
      assert.strictEqual(answer.headers["retry-after"], "50")
      assert.strictEqual(answer.headers["content-type"], "application/problem+json")
      assert.deepInclude(problemOf(answer), { status: 429, type: "about:blank", code: "RATE_LIMITED" })
      assert.include(problemOf(answer).detail, "perMinute")
    })
  )

  it.effect("of the burst: Retry-After is a whole second at least", () =>
    Effect.gen(function* () {
      const app = limited({ perMinute: 600, burst: 1 })
      for (const wait of [1, 500, 998]) {
        yield* TestClock.adjust("2 seconds")
        yield* askApp(app)
        yield* TestClock.adjust(wait)
        const answer = yield* askApp(app)
        assert.deepStrictEqual([answer.status, answer.headers["retry-after"]], [429, "1"])
        assert.include(problemOf(answer).detail, "burst")
      }
    })
  )

  it.effect("of the day: the quota is used up, and support is to be contacted", () =>
    Effect.gen(function* () {
      const app = limited({ perDay: 2, perMinute: 2 })
      yield* askApp(app)
      yield* askApp(app)
      const answer = yield* askApp(app)
      assert.deepStrictEqual([answer.status, answer.headers["retry-after"]], [429, "86400"])
      assert.strictEqual(problemOf(answer).code, "QUOTA_EXHAUSTED")
      assert.include(problemOf(answer).detail, "contact support")
    })
  )

  it.effect("the handler is not run, and nothing is spent: who waits for Retry-After is let through", () =>
    Effect.gen(function* () {
      for (const limits of [{ perMinute: 3 }, { burst: 3 }, { perDay: 3 }, { perMinute: 5000, burst: 3 }]) {
        let handled = 0
        const app = Effect.andThen(
          Effect.sync(() => void handled++),
          ok
        ).pipe(RateLimitMiddleware.make("orders", { limits }))
        for (let request = 0; request < 3; request++) {
          yield* askApp(app)
          yield* TestClock.adjust(33)
        }
        let answer = yield* askApp(app)
        for (let request = 0; request < 20; request++) answer = yield* askApp(app)
        assert.deepStrictEqual([answer.status, handled], [429, 3])
        yield* TestClock.adjust(Number(answer.headers["retry-after"]) * 1000)
        assert.deepStrictEqual([(yield* askApp(app)).status, handled], [200, 4])
      }
    })
  )

  live("is answered over HTTP, and the next connection has the same limit", () =>
    Effect.gen(function* () {
      const url = yield* listen(limited({ perMinute: 2 }))
      const answers = yield* Effect.all(
        Array.from({ length: 10 }, () => ask(url)),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(
        answers.filter(({ status }) => status === 200),
        2
      )
      for (const answer of answers.filter(({ status }) => status === 429)) {
        assert.match(String(answer.headers["retry-after"]), /^[1-9]\d*$/)
      }
    })
  )
})

describe("the headers", () => {
  it.effect("RateLimit-Policy lists every limit, as a structured field, on every answer", () =>
    Effect.gen(function* () {
      const app = limited({ perMinute: 600, burst: 1, perDay: 100_000 })
      for (const answer of [yield* askApp(app), yield* askApp(app)]) {
        assert.deepStrictEqual(policies(answer), [
          { name: "burst", parameters: { q: 1, w: 1 } },
          { name: "perMinute", parameters: { q: 600, w: 60 } },
          { name: "perDay", parameters: { q: 100_000, w: 86_400 } }
        ])
      }
    })
  )

  it.effect("RateLimit says how many are left, exactly, of the limit with the least left", () =>
    Effect.gen(function* () {
      const app = limited({ perMinute: 4, burst: 3 })
      assert.deepStrictEqual(standing(yield* askApp(app)), { limit: "burst", r: 2 })
      assert.deepStrictEqual(standing(yield* askApp(app)), { limit: "burst", r: 1 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(standing(yield* askApp(app)), { limit: "perMinute", r: 1 })
      assert.deepStrictEqual(standing(yield* askApp(app)), { limit: "perMinute", r: 0, t: 59 })
      const refused = yield* askApp(app)
      assert.strictEqual(refused.status, 429)
      assert.deepStrictEqual(standing(refused), { limit: "perMinute", r: 0, t: 59 })
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(standing(yield* askApp(app)), { limit: "perMinute", r: 1 })
    })
  )

  it.effect("name the limit that is answered longest where several have none left", () =>
    Effect.gen(function* () {
      const app = limited({ perDay: 1, perMinute: 1, burst: 1 })
      assert.deepStrictEqual(standing(yield* askApp(app)), { limit: "perDay", r: 0, t: 86_400 })
    })
  )

  it.effect("are none where nothing is limited", () =>
    Effect.gen(function* () {
      const answer = yield* askApp(limited({}))
      assert.deepStrictEqual(
        [answer.status, answer.headers.ratelimit, answer.headers["ratelimit-policy"]],
        [200, undefined, undefined]
      )
    })
  )

  class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {
    [HttpServerRespondable.symbol]() {
      return Effect.succeed(HttpServerResponse.text("refused", { status: 422 }))
    }
  }
  for (const [what, status, failing] of [
    ["a failure that says its response", 422, Effect.fail(new Refused())],
    ["another failure", 500, Effect.fail("no")],
    ["a defect", 500, Effect.die(new Error("no"))]
  ] as ReadonlyArray<readonly [string, number, Effect.Effect<never, unknown>]>) {
    live(`are on the answer of an application that ends with ${what}: every response carries them`, () =>
      Effect.gen(function* () {
        const app = failing.pipe(RateLimitMiddleware.make("orders", { limits: { perMinute: 2 } }))
        const answer = yield* ask(yield* listen(app))
        assert.strictEqual(answer.status, status)
        assert.strictEqual(answer.headers.ratelimit, '"perMinute";r=1')
      })
    )
  }
})

describe("the limit", () => {
  it.effect("of one key is not spent by another", () =>
    Effect.gen(function* () {
      const app = perClient({ perMinute: 1 })
      for (const client of ["a", "b", "", "__proto__", "constructor"]) {
        assert.strictEqual((yield* askApp(app, as(client))).status, 200)
        assert.strictEqual((yield* askApp(app, as(client))).status, 429)
      }
      assert.strictEqual((yield* askApp(app)).status, 200)
    })
  )

  it.effect("is shared by all without a key, and by all apps that one middleware is around", () =>
    Effect.gen(function* () {
      const middleware = RateLimitMiddleware.make("orders", { limits: { perMinute: 2 } })
      assert.strictEqual((yield* askApp(middleware(ok), as("a"))).status, 200)
      assert.strictEqual((yield* askApp(middleware(ok), as("b"))).status, 200)
      assert.strictEqual((yield* askApp(middleware(ok), as("c"))).status, 429)
    })
  )

  it.effect("of the key that was not used for longest is forgotten at 10,000 keys, and of no other", () =>
    Effect.gen(function* () {
      const app = perClient({ perMinute: 1 })
      const ask = (client: string) => Effect.map(askApp(app, as(client)), ({ status }) => status)
      for (let client = 0; client < 10_000; client++) yield* ask(`c${client}`)
      // The refused request counts as a use.
      assert.strictEqual(yield* ask("c0"), 429)
      assert.strictEqual(yield* ask("new"), 200)
      for (const client of ["c0", "c2", "c5000", "c9999", "new"]) assert.strictEqual(yield* ask(client), 429, client)
      assert.strictEqual(yield* ask("c1"), 200)
    })
  )

  it.effect("is kept in every stretch of time, however the requests come", () =>
    Effect.gen(function* () {
      for (let seed = 1; seed <= runs(10); seed++) {
        const next = random(seed)
        const burst = 1 + Math.floor(next() * 5)
        const perMinute = burst + Math.floor(next() * 20)
        const app = limited({ burst, perMinute })
        const admitted: Array<number> = []
        let at = 0
        for (let request = 0; request < 300; request++) {
          const wait = next() < 0.3 ? 0 : Math.floor(next() * (next() < 0.1 ? 20_000 : 400))
          yield* TestClock.adjust(wait)
          at += wait
          const answer = yield* askApp(app)
          const within = (millis: number) => admitted.filter((each) => each > at - millis).length
          const room = within(1000) < burst && within(60_000) < perMinute
          assert.strictEqual(answer.status, room ? 200 : 429, `seed ${seed}, request ${request}`)
          if (answer.status !== 200) continue
          admitted.push(at)
          assert.strictEqual(standing(answer).r, Math.min(burst - within(1000), perMinute - within(60_000)))
        }
      }
    })
  )
})

describe("is rejected where it is made", () => {
  it("with limits that make no sense", () => {
    for (const limits of [{ perMinute: 0 }, { burst: 1.5 }, { perDay: Number.NaN }, { perMinute: 1, burst: 2 }]) {
      assert.throws(() => RateLimitMiddleware.make("orders", { limits }), /RateLimit.options/)
    }
  })
  it("with a name that is empty, and not at the first request", () => {
    assert.throws(() => RateLimitMiddleware.make(" ", { limits: { perMinute: 1 } }), /name/)
  })
})
