import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { run } from "./child.ts"

const demo = "examples/demo/main.ts"

const Summary = Schema.Struct({
  orders: Schema.Int,
  charged: Schema.Int,
  lost: Schema.Int,
  doubled: Schema.Int,
  calls: Schema.Int,
  attempts: Schema.Int,
  retries: Schema.Int,
  circuitOpenings: Schema.Int,
  tokenRefreshes: Schema.Int,
  rateLimitWaits: Schema.Int,
  durationMs: Schema.Int
})

/** The one line on stdout, as the summary it is. */
const summaryOf = (stdout: string) => {
  assert.match(stdout, /^[^\n]+\n$/, "one line and nothing else")
  return Schema.decodeUnknownEffect(Schema.fromJsonString(Summary))(stdout)
}

describe("the demo", { timeout: 90_000 }, () => {
  it.live("charges every order exactly once through the outage", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run(demo, ["--json", "--orders", "60"])
      assert.strictEqual(code, 0, stderr + stdout)
      const summary = yield* summaryOf(stdout)
      assert.deepInclude(summary, { orders: 60, charged: 60, lost: 0, doubled: 0 })
      assert.isAbove(summary.retries, 0)
      assert.isAbove(summary.circuitOpenings, 0)
      assert.isAbove(summary.tokenRefreshes, 1)
    })
  )

  it.live("charges orders twice without idempotency keys, and says so", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* run(demo, ["--json", "--orders", "60", "--no-idempotency-keys"])
      assert.strictEqual(code, 1)
      const summary = yield* summaryOf(stdout)
      assert.isAbove(summary.doubled, 0)
      assert.strictEqual(summary.lost, 0)
    })
  )

  it.live("tells how it goes, and the verdict, where there is no terminal", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* run(demo, ["--orders", "40"])
      assert.strictEqual(code, 0, stdout)
      for (const phase of ["healthy", "503s", "recovery"])
        assert.match(stdout, new RegExp(`^ +[\\d.]+ s  ${phase}`, "m"))
      assert.match(stdout, /PASS: every order was charged exactly once\n$/)
      assert.notInclude(stdout, "\u001b", "no control sequences")
    })
  )

  it.live("ends on SIGINT", () =>
    Effect.gen(function* () {
      const { code } = yield* run(demo, [], (child) => child.kill("SIGINT"))
      assert.strictEqual(code, 130)
    })
  )

  it.live("rejects a flag that it does not know, and a number of orders that it does not have", () =>
    Effect.gen(function* () {
      const [flag, orders] = yield* Effect.all([run(demo, ["--frobnicate"]), run(demo, ["--orders", "7"])])
      assert.strictEqual(flag.code, 1)
      assert.match(flag.stderr, /Unrecognized flag: --frobnicate/)
      assert.strictEqual(orders.code, 1)
      assert.match(orders.stderr, /Expected a value between 40 and 400/)
    })
  )
})
