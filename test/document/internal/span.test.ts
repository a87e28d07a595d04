import { assert, it } from "@effect/vitest"
import { span } from "../../../src/document/internal/span.ts"

it("says a time as people do, and never shorter than it is", () => {
  const said = [0, 0.2, 900, 1_000, 4_200, 9_300, 90_000, 108_200, 191_000, 1_800_000, 3_600_000, 5_400_000]
  assert.deepStrictEqual(said.map(span), [
    "0 ms",
    "1 ms",
    "900 ms",
    "1 s",
    "4.2 s",
    "9.3 s",
    "90 s",
    "108.2 s",
    "3m 11s",
    "30 min",
    "1 h",
    "90 min"
  ])
  assert.deepStrictEqual([86_400_000, 604_800_000, 129_600_000, Infinity].map(span), [
    "1 day",
    "7 days",
    "36 h",
    "no limit"
  ])
  assert.deepStrictEqual([604_991_000, 216_000_000].map(span), ["7d 3m 11s", "2.5 days"])
})
