import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Idempotency } from "../../src/http/index.ts"
import { RequestContext } from "../../src/policy/index.ts"

const header = (key: string) => Idempotency.headersOf(key, ["Idempotency-Key"])["Idempotency-Key"]!

describe("the headers of a key", () => {
  it("are a structured-field string, and the key as it is", () => {
    assert.deepStrictEqual(Idempotency.headersOf('a"b\\c', Idempotency.defaultHeaders), {
      "Idempotency-Key": '"a\\"b\\\\c"',
      "X-Idempotency-Key": 'a"b\\c'
    })
  })
  it("are quoted whatever the case of the name", () => {
    assert.deepStrictEqual(Idempotency.headersOf("k", ["IDEMPOTENCY-KEY", "Key"]), {
      "IDEMPOTENCY-KEY": '"k"',
      Key: "k"
    })
  })
})

describe("parse", () => {
  it("reads quoted and unquoted keys as the same, with white space around", () => {
    for (const given of ["k-1", '"k-1"', "  k-1 ", ' "k-1"\t']) assert.strictEqual(Idempotency.parse(given), "k-1")
  })
  it("reads escapes, and nothing but quotes and backslashes is escaped", () => {
    assert.strictEqual(Idempotency.parse(String.raw`"a\"b\\c"`), String.raw`a"b\c`)
    assert.strictEqual(Idempotency.parse(String.raw`"a\b"`), String.raw`"a\b"`)
  })
  it("gives an empty key for nothing, and for empty quotes", () => {
    assert.strictEqual(Idempotency.parse(""), "")
    assert.strictEqual(Idempotency.parse('""'), "")
  })

  it.effect.prop(
    "gives back every key of visible characters that was written",
    [Schema.String.check(Schema.isPattern(/^[\x21-\x7e]{1,255}$/))],
    ([key]) => Effect.sync(() => assert.strictEqual(Idempotency.parse(header(key)), key))
  )
})

describe("keys of calls", () => {
  it.effect("are new each time by default, from the generator of ids", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* Idempotency.next("create"), yield* Idempotency.next("create")]
      assert.notStrictEqual(a, b)
      let count = 0
      const numbered = Effect.provideService(Idempotency.next("create"), RequestContext.IdGenerator, () => `${++count}`)
      assert.deepStrictEqual([yield* numbered, yield* numbered], ["1", "2"])
    })
  )

  it.effect("of withKey are that key", () =>
    Effect.gen(function* () {
      const both = Effect.all([Idempotency.next("create"), Idempotency.next("refund")])
      assert.deepStrictEqual(yield* both.pipe(Idempotency.withKey("k")), ["k", "k"])
    })
  )

  it.effect("derived are the same again when the work runs again, and differ by call and by operation", () =>
    Effect.gen(function* () {
      const calls = ["create", "create", "refund", "create"].map(Idempotency.next)
      const work = Effect.all(calls).pipe(Idempotency.derived("https://orders.acme.com", "event-1", "billing"))
      const first = yield* work
      assert.deepStrictEqual(yield* work, first)
      assert.strictEqual(new Set(first).size, 4)
    })
  )

  it.effect("derived differ for other work, wherever the separators stand in its parts", () =>
    Effect.gen(function* () {
      const parts: ReadonlyArray<readonly [string, ...ReadonlyArray<string>]> = [
        ["a", "b", "c"],
        ["a/b", "c"],
        ["a", "b/c"],
        ["a%2Fb", "c"],
        ["a", "", "b", "c"],
        ["", "a", "b", "c"],
        ["a b", "c"],
        ["a+b", "c"],
        ["a", "b", "c", "create", "0"]
      ]
      const keys = yield* Effect.forEach(parts, (each) => Idempotency.next("create").pipe(Idempotency.derived(...each)))
      assert.strictEqual(new Set(keys).size, parts.length)
    })
  )

  it.effect("derived of the innermost work hold", () =>
    Effect.gen(function* () {
      const inner = Idempotency.next("create").pipe(Idempotency.derived("saga", "step"))
      assert.strictEqual(yield* inner.pipe(Idempotency.derived("event")), yield* inner)
    })
  )

  it.effect("derived of one work that runs twice at the same time do not count each other's calls", () =>
    Effect.gen(function* () {
      const twice = Effect.andThen(Effect.yieldNow, Idempotency.next("create"))
      const work = Effect.all([twice, twice]).pipe(Idempotency.derived("event"))
      const [a, b] = yield* Effect.all([work, work], { concurrency: 2 })
      assert.deepStrictEqual(a, b)
    })
  )

  it.effect("derived are keys that the provider's middleware accepts: visible ASCII, whatever the parts say", () =>
    Effect.gen(function* () {
      const key = yield* Idempotency.next("create").pipe(Idempotency.derived("Bücher & Söhne", "für\n2 €", "日本"))
      assert.match(key, /^[\x21-\x7e]{1,255}$/)
    })
  )

  it.effect("derived are at most 255 characters, however long the parts: the provider's middleware refuses more", () =>
    Effect.gen(function* () {
      const source = `https://orders.acme.com/tenants/${"t".repeat(120)}`
      const event = `/subscriptions/${"s".repeat(120)}`
      const key = yield* Idempotency.next("charges.create").pipe(Idempotency.derived(source, event, "billing"))
      assert.isAtMost(key.length, 255)
      const longer = yield* Idempotency.next("charges.create").pipe(Idempotency.derived(source, `${event}2`, "billing"))
      assert.notStrictEqual(key, longer)
    })
  )

  it.effect("derived are made from any text, half a surrogate pair too", () =>
    Effect.gen(function* () {
      const key = yield* Idempotency.next("create").pipe(Idempotency.derived("source", "\ud800"))
      assert.match(key, /^[\x21-\x7e]{1,255}$/)
    })
  )
})
