import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "../house/Sources.ts"
import { run } from "./child.ts"

/** What each example must say, in this order. */
const says: Readonly<Record<string, ReadonlyArray<string>>> = {
  "01_one_call.ts": [
    "answered 503",
    "lost the connection",
    "read timeout",
    "charged c1: 4 attempts, 1 idempotency key"
  ],
  "02_plain_client.ts": ["answered 500", "answered 429", "(waited as told)", "no unicorns: 404 NO_SUCH_ITEM"],
  "03_breaker.ts": [
    "printed\nprinted\nout of paper",
    "Closed -> Open (threshold)",
    "not even tried",
    "Open -> HalfOpen (probe admitted)",
    "printed",
    "HalfOpen -> Closed (probe succeeded)"
  ],
  "04_retry.ts": [
    "overloaded twice: paid, attempts: 3",
    "never well: Overloaded, attempts: 4",
    "declined: CardDeclined, attempts: 1",
    "asked to wait: paid, attempts: 2",
    "waited as told: true"
  ],
  "05_swap_the_layer.ts": ["both tests passed"],
  "06_rate_limit.ts": [
    "at once, at once, at once, a second later, a second later, a second later",
    "burst is reached: RateLimitExceeded",
    "told without waiting",
    "perMinute: 2 of 8 left in 60 s"
  ],
  "07_kill_switch.ts": ["sent", "1 circuit opened", "forced: ", "sent", "there are: newsletter"]
}

describe("the numbered examples", { timeout: 60_000 }, () => {
  it("are all known here, and are short", () => {
    const folder = path.join(root, "examples")
    const found = fs.readdirSync(folder).filter((file) => file.endsWith(".ts"))
    assert.deepStrictEqual(found.toSorted(), Object.keys(says))
    for (const file of found) {
      const lines = fs.readFileSync(path.join(folder, file), "utf8").split("\n").length
      assert.isBelow(lines, 60, file)
    }
  })

  for (const [file, expected] of Object.entries(says)) {
    it.live(`${file} runs and says what it should`, () =>
      Effect.gen(function* () {
        const { code, stderr, stdout } = yield* run(`examples/${file}`)
        assert.strictEqual(code, 0, stderr)
        let from = 0
        for (const text of expected) {
          const at = stdout.indexOf(text, from)
          assert.isAtLeast(at, 0, `"${text}" is not in its place in:\n${stdout}`)
          from = at + text.length
        }
      })
    )
  }
})
