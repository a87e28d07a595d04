import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { Claim, IdempotencyStoreError, type StoredResponse } from "../../src/http/IdempotencyStore.ts"
import { random, runs } from "../policy/observe.ts"
import { makeStore } from "./server.ts"

const lease = Duration.seconds(60)
const timeToLive = Duration.hours(24)
const fingerprint = "f1"
const of = (key: string, owner: string) => ({ key, owner, fingerprint, lease })
const response: StoredResponse = {
  status: 201,
  headers: { location: "/c1" },
  cookies: ["a=1"],
  body: new Uint8Array([0, 255, 10])
}
const other: StoredResponse = { ...response, status: 200 }

describe("a key in memory", () => {
  it.effect("is claimed by one owner; others are told that it runs", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      const claims = yield* Effect.all(
        Array.from({ length: 50 }, (_, index) => store.claim(of("k", `o${index}`))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(claims[0], Claim.Claimed())
      assert.isTrue(claims.slice(1).every((claim) => claim._tag === "Running"))
    })
  )

  it.effect("is a mismatch for another fingerprint, while it runs and when it is completed", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      yield* store.claim(of("k", "o1"))
      assert.strictEqual((yield* store.claim({ ...of("k", "o2"), fingerprint: "f2" }))._tag, "Mismatch")
      yield* store.complete({ key: "k", owner: "o1", response, timeToLive })
      assert.strictEqual((yield* store.claim({ ...of("k", "o2"), fingerprint: "f2" }))._tag, "Mismatch")
      assert.deepStrictEqual(yield* store.claim(of("k", "o2")), Claim.Completed({ response }))
    })
  )

  it.effect("is given back by release, as if it had never been used, for another fingerprint too", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      yield* store.claim(of("k", "o1"))
      yield* store.release({ key: "k", owner: "o1" })
      assert.strictEqual((yield* store.claim({ ...of("k", "o2"), fingerprint: "f2" }))._tag, "Claimed")
    })
  )

  it.effect("of a crashed owner can be claimed when the lease ends, to the millisecond, and not before", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      yield* store.claim(of("k", "o1"))
      yield* TestClock.adjust(59_999)
      assert.strictEqual((yield* store.claim(of("k", "o2")))._tag, "Running")
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* store.claim(of("k", "o2")))._tag, "Claimed")
    })
  )

  it.effect("is held on by renew, from the time of renewing", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      yield* store.claim(of("k", "o1"))
      yield* TestClock.adjust("40 seconds")
      assert.isTrue(yield* store.renew(of("k", "o1")))
      yield* TestClock.adjust(59_999)
      assert.strictEqual((yield* store.claim(of("k", "o2")))._tag, "Running")
      yield* TestClock.adjust(1)
      assert.isFalse(yield* store.renew(of("k", "o1")))
      assert.strictEqual((yield* store.claim(of("k", "o2")))._tag, "Claimed")
    })
  )

  it.effect("of a deposed owner can be neither renewed, completed nor released by it", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      yield* store.claim(of("k", "o1"))
      yield* TestClock.adjust(lease)
      yield* store.claim(of("k", "o2"))
      assert.isFalse(yield* store.renew(of("k", "o1")))
      assert.isFalse(yield* store.complete({ key: "k", owner: "o1", response: other, timeToLive }))
      yield* store.release({ key: "k", owner: "o1" })
      assert.strictEqual((yield* store.claim(of("k", "o3")))._tag, "Running")
      assert.isTrue(yield* store.complete({ key: "k", owner: "o2", response, timeToLive }))
      assert.isFalse(yield* store.complete({ key: "k", owner: "o1", response: other, timeToLive }))
      yield* store.release({ key: "k", owner: "o1" })
      assert.deepStrictEqual(yield* store.claim(of("k", "o3")), Claim.Completed({ response }))
    })
  )

  it.effect("whose lease has ended is lost to its owner, though nobody has taken it", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      yield* store.claim(of("k", "o1"))
      yield* TestClock.adjust(lease)
      assert.isFalse(yield* store.complete({ key: "k", owner: "o1", response, timeToLive }))
      assert.strictEqual((yield* store.claim(of("k", "o2")))._tag, "Claimed")
    })
  )

  it.effect("that is completed stays as it is, whatever its owner does next", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      yield* store.claim(of("k", "o1"))
      yield* store.complete({ key: "k", owner: "o1", response, timeToLive })
      assert.isFalse(yield* store.renew(of("k", "o1")))
      assert.isFalse(yield* store.complete({ key: "k", owner: "o1", response: other, timeToLive }))
      yield* store.release({ key: "k", owner: "o1" })
      assert.deepStrictEqual(yield* store.claim(of("k", "o1")), Claim.Completed({ response }))
    })
  )

  it.effect("keeps its response for the time to live, to the millisecond", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      yield* store.claim(of("k", "o1"))
      yield* store.complete({ key: "k", owner: "o1", response, timeToLive })
      yield* TestClock.adjust(Duration.toMillis(timeToLive) - 1)
      assert.deepStrictEqual(yield* store.claim(of("k", "o2")), Claim.Completed({ response }))
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* store.claim(of("k", "o2")))._tag, "Claimed")
    })
  )

  it.effect("of another kind (__proto__, an empty text) is a key like any other", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      for (const key of ["__proto__", "constructor", ""]) {
        assert.strictEqual((yield* store.claim(of(key, "o1")))._tag, "Claimed")
        assert.strictEqual((yield* store.claim(of(key, "o2")))._tag, "Running")
      }
    })
  )
})

describe("purge", () => {
  it.effect("removes what has expired and says how many keys; nothing that is held or kept", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      yield* store.claim(of("crashed", "o1"))
      yield* store.claim(of("old", "o1"))
      yield* store.complete({ key: "old", owner: "o1", response, timeToLive: Duration.seconds(30) })
      yield* store.claim({ ...of("held", "o1"), lease: Duration.minutes(10) })
      yield* store.claim(of("kept", "o1"))
      yield* store.complete({ key: "kept", owner: "o1", response, timeToLive })
      assert.strictEqual(yield* store.purge, 0)
      yield* TestClock.adjust(lease)
      assert.strictEqual(yield* store.purge, 2)
      assert.strictEqual(yield* store.purge, 0)
      assert.strictEqual((yield* store.claim(of("held", "o2")))._tag, "Running")
      assert.strictEqual((yield* store.claim(of("kept", "o2")))._tag, "Completed")
    })
  )

  it.effect("happens by itself within 1,000 claims", () =>
    Effect.gen(function* () {
      const store = yield* makeStore()
      for (let index = 0; index < 999; index++) yield* store.claim(of(`k${index}`, "o"))
      yield* TestClock.adjust(lease)
      yield* store.claim(of("last", "o"))
      assert.strictEqual(yield* store.purge, 0)
    })
  )
})

it("names the operation that the store could not do", () => {
  const error = new IdempotencyStoreError({ operation: "claim", cause: new Error("connection refused") })
  assert.strictEqual(error.message, "the idempotency store could not claim a key")
  assert.strictEqual((error.cause as Error).message, "connection refused")
})

/** What the documentation says, written down again: at most one owner holds a key, and only it may speak. */
class Model {
  entry: { owner: string; fingerprint: string; endsAt: number; response?: StoredResponse } | undefined
  current(at: number) {
    if (this.entry !== undefined && this.entry.endsAt <= at) this.entry = undefined
    return this.entry
  }
  held(owner: string, at: number) {
    const entry = this.current(at)
    return entry?.owner === owner && entry.response === undefined ? entry : undefined
  }
}

it.effect("does what a model of the documentation does, for any order of operations of four owners", () =>
  Effect.gen(function* () {
    for (let seed = 1; seed <= runs(50); seed++) {
      const store = yield* makeStore()
      const next = random(seed)
      const pick = <A>(values: ReadonlyArray<A>): A => values[Math.floor(next() * values.length)]!
      const model = new Model()
      let at = 0
      for (let step = 0; step < 60; step++) {
        const owner = pick(["o1", "o2", "o3", "o4"])
        const print = pick(["f1", "f1", "f1", "f2"])
        const millis = pick([1, 5, 20])
        const told = `seed ${seed}, step ${step}`
        switch (pick(["claim", "claim", "renew", "complete", "release", "wait", "purge"])) {
          case "claim": {
            const held = model.current(at)
            const expected =
              held === undefined
                ? "Claimed"
                : held.fingerprint !== print
                  ? "Mismatch"
                  : held.response === undefined
                    ? "Running"
                    : "Completed"
            if (held === undefined) model.entry = { owner, fingerprint: print, endsAt: at + millis }
            const options = { key: "k", owner, fingerprint: print, lease: Duration.millis(millis) }
            assert.strictEqual((yield* store.claim(options))._tag, expected, told)
            break
          }
          case "renew": {
            const held = model.held(owner, at)
            if (held !== undefined) held.endsAt = at + millis
            const renewed = yield* store.renew({ key: "k", owner, lease: Duration.millis(millis) })
            assert.strictEqual(renewed, held !== undefined, told)
            break
          }
          case "complete": {
            const held = model.held(owner, at)
            if (held !== undefined) Object.assign(held, { endsAt: at + millis, response })
            const kept = yield* store.complete({ key: "k", owner, response, timeToLive: Duration.millis(millis) })
            assert.strictEqual(kept, held !== undefined, told)
            break
          }
          case "release":
            if (model.held(owner, at) !== undefined) model.entry = undefined
            yield* store.release({ key: "k", owner })
            break
          case "wait":
            at += millis
            yield* TestClock.adjust(millis)
            break
          case "purge": {
            const before = model.entry
            const purged = before !== undefined && model.current(at) === undefined ? 1 : 0
            const found = yield* store.purge
            // The store may have forgotten an expired key before.
            assert.isAtMost(found, Math.max(purged, 1), told)
            break
          }
        }
      }
    }
  })
)
