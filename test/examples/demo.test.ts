import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { run } from "./child.ts"
import { demo, proven, summaryOf } from "./Summary.ts"

describe("the demo", { timeout: 90_000, concurrent: true }, () => {
  it.live("charges every order exactly once and in order through the outage", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run(demo, ["--json", "--orders", "60", "--speed", "20"])
      assert.strictEqual(code, 0, stderr + stdout)
      const summary = yield* summaryOf(stdout)
      assert.deepInclude(summary, { ...proven, duplicatesSkipped: 6, broker: "memory", store: "memory" })
      assert.isAbove(summary.retries, 0)
      assert.isAbove(summary.circuitOpenings, 0)
      assert.isAbove(summary.tokenRefreshes, 1)
    })
  )

  it.live("charges orders twice without idempotency keys, and says so", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* run(demo, ["--json", "--orders", "60", "--speed", "20", "--no-idempotency-keys"])
      assert.strictEqual(code, 1)
      const summary = yield* summaryOf(stdout)
      assert.isAbove(summary.doubled, 0)
      // Dedup, order and dead letters do not depend on the keys.
      assert.deepInclude(summary, {
        ...proven,
        doubled: summary.doubled,
        duplicatesSkipped: 6,
        // A charge that the end of the engine has cut off is made again.
        sagasInconsistent: summary.sagasInconsistent
      })
    })
  )

  it.live("tells how it goes, and the verdict, where there is no terminal", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* run(demo, ["--orders", "40", "--speed", "20"])
      assert.strictEqual(code, 0, stdout)
      for (const phase of ["healthy", "503s", "recovery"])
        assert.match(stdout, new RegExp(`^ +[\\d.]+ s  ${phase}`, "m"))
      assert.match(stdout, /dead letters: 7\n( {2}.*\n){7}/)
      assert.match(stdout, /would be replayed +ord-\d+, ord-\d+, ord-\d+\n/)
      assert.match(stdout, /dead letters that stay: 4\n( {2}invalid .*\n){4}/)
      assert.match(stdout, /rolled back at reserve +OutOfStock +nothing to undo\n/)
      assert.match(stdout, /rolled back at charge +PaymentRequired +undone: reserve\n/)
      // Nobody can read the receipt, so there may be a charge to give back.
      assert.match(stdout, /rolled back at charge +ProtocolError +undone: charge, reserve\n/)
      assert.match(stdout, /which runs 20 times faster/)
      assert.match(stdout, /PASS: every order was charged exactly once, in the order of its tenant\n$/)
      // The design's times, its metrics and its alerts.
      assert.match(stdout, /the circuit is open for 30s;\n/)
      assert.match(stdout, / errors [\d.]+ % +p99 \d+ ms +lag \d+ +dead 7 /)
      assert.match(stdout, /\[FIRING\] HIGH dead letters: billing: there are dead letters of billing\n/)
      assert.match(stdout, /sagas by outcome: completed 21, rolledBack 3\n/)
      assert.notInclude(stdout, "\u001b", "no control sequences")
    })
  )

  it.live("ends on SIGINT", () =>
    Effect.gen(function* () {
      const { code } = yield* run(demo, [], { onFirstOutput: (child) => child.kill("SIGINT") })
      assert.strictEqual(code, 130)
    })
  )

  it.live("rejects a flag that it does not know, and numbers that it does not have", () =>
    Effect.gen(function* () {
      const wrong = [run(demo, ["--frobnicate"]), run(demo, ["--orders", "7"]), run(demo, ["--speed", "0"])] as const
      const [flag, orders, speed] = yield* Effect.all(wrong, { concurrency: 3 })
      assert.strictEqual(flag.code, 1)
      assert.match(flag.stderr, /Unrecognized flag: --frobnicate/)
      assert.strictEqual(orders.code, 1)
      assert.match(orders.stderr, /Expected a value between 40 and 400/)
      assert.strictEqual(speed.code, 1)
      assert.match(speed.stderr, /Expected a value between 1 and 20/)
    })
  )
})
