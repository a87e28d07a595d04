import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as CircuitBreakers from "../../src/policy/CircuitBreakers.ts"
import * as Policy from "../../src/policy/Policy.ts"
import { retriable } from "./observe.ts"

const options: CircuitBreaker.Options = {
  failurePercent: 50,
  window: "10 seconds",
  openFor: "30 seconds",
  minimumCalls: 1
}
const fail = Effect.fail(retriable)
const tag = (circuit: CircuitBreaker.CircuitBreaker | undefined) => Effect.map(circuit!.state, (state) => state._tag)
const errorOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

describe("keyed circuits", () => {
  it.effect("are independent of each other, and of the one without a key", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("keyed", { breaker: options })
      yield* Effect.exit(policy.with({ key: "a" })(fail))
      assert.strictEqual(errorOf(yield* Effect.exit(policy.with({ key: "a" })(Effect.void)))._tag, "CircuitOpen")
      assert.strictEqual(errorOf(yield* Effect.exit(policy.with({ key: "a" })(Effect.void))).key, "a")
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(policy.with({ key: "b" })(Effect.void))))
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(policy(Effect.void))))
      assert.strictEqual(yield* tag(policy.circuit("a")), "Open")
      assert.strictEqual(yield* tag(policy.circuit()), "Closed")
    })
  )

  it.effect("a key like a property of Object is a key like any other", () =>
    Effect.gen(function* () {
      const keyed = yield* CircuitBreakers.keyed("keyed-proto", options)
      for (const key of ["__proto__", "constructor", "toString", ""]) {
        yield* Effect.exit(keyed.get(key).execute(fail))
        assert.strictEqual(yield* tag(keyed.get(key)), "Open")
        assert.strictEqual(keyed.get(key).key, key)
      }
      assert.strictEqual((yield* keyed.circuits).length, 4)
    })
  )

  it.effect("no more than maximumKeys are kept: a closed one is forgotten before an open one", () =>
    Effect.gen(function* () {
      const keyed = yield* CircuitBreakers.keyed("keyed-most", { ...options, maximumKeys: 3 })
      yield* Effect.exit(keyed.get("open").execute(fail))
      for (let i = 0; i < 100; i++) keyed.get(`k${i}`)
      assert.strictEqual((yield* keyed.circuits).length, 3)
      assert.strictEqual(yield* tag(keyed.get("open")), "Open")
    })
  )

  it.effect("where all are open, the one that was not used for longest is forgotten", () =>
    Effect.gen(function* () {
      const keyed = yield* CircuitBreakers.keyed("keyed-all-open", { ...options, maximumKeys: 2 })
      for (const key of ["a", "b", "c"]) yield* Effect.exit(keyed.get(key).execute(fail))
      assert.deepStrictEqual(
        (yield* keyed.circuits).map((circuit) => circuit.key),
        ["b", "c"]
      )
    })
  )

  it.effect("a key used again while there was room was forgotten before one that was not", () =>
    Effect.gen(function* () {
      const keyed = yield* CircuitBreakers.keyed("keyed-lru", { ...options, maximumKeys: 3 })
      for (const key of ["a", "b", "a", "c", "d"]) keyed.get(key)
      assert.deepStrictEqual((yield* keyed.circuits).map((circuit) => circuit.key).toSorted(), ["a", "c", "d"])
    })
  )
})

describe("circuits by name", () => {
  it.effect("are opened and closed by their name", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("by-name", { breaker: options })
      policy.circuit("tenant")
      assert.strictEqual(yield* CircuitBreakers.forceOpen("by-name", { reason: "test" }), 2)
      assert.strictEqual(errorOf(yield* Effect.exit(policy(Effect.void))).reason, "forced")
      assert.strictEqual(errorOf(yield* Effect.exit(policy.with({ key: "tenant" })(Effect.void))).reason, "forced")
      yield* TestClock.adjust("1 day")
      assert.strictEqual(yield* tag(policy.circuit()), "ForcedOpen")
      assert.strictEqual(yield* CircuitBreakers.forceClosed("by-name"), 2)
      yield* policy(Effect.void)
      assert.strictEqual(yield* CircuitBreakers.forceOpen("by-name", { reason: "test", key: "tenant" }), 1)
      yield* policy(Effect.void)
      assert.strictEqual(yield* tag(policy.circuit("tenant")), "ForcedOpen")
    })
  )

  it.effect("a kill switch let calls through that came with a key it had not seen yet", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("kill-switch", { breaker: options })
      yield* CircuitBreakers.forceOpen("kill-switch", { reason: "provider asked us to stop" })
      const exit = yield* Effect.exit(policy.with({ key: "new tenant" })(Effect.void))
      assert.strictEqual(errorOf(exit)?._tag, "CircuitOpen")
    })
  )

  it.effect("a name that nobody has lists the names there are", () =>
    Effect.gen(function* () {
      const kept = yield* CircuitBreaker.make("known-circuit", options)
      const error = errorOf(yield* Effect.exit(CircuitBreakers.forceOpen("unknown-circuit", { reason: "x" })))
      assert.strictEqual(error._tag, "NoSuchCircuit")
      assert.include(error.known, "known-circuit")
      assert.match(error.message, /no circuit is named unknown-circuit; there are: .*known-circuit/)
      const keyless = errorOf(yield* Effect.exit(CircuitBreakers.forceClosed("known-circuit", { key: "no" })))
      assert.match(keyless.message, /known-circuit with key no/)
      assert.strictEqual(yield* tag(kept), "Closed")
    })
  )
})
