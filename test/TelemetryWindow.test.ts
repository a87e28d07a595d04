import { assert, describe, it } from "@effect/vitest"
import { CallWindow } from "../src/internal/telemetry/callWindow.ts"
import { random, runs } from "./policy/observe.ts"

/** Nearest rank: the shortest duration that at least 99 of 100 did not exceed. */
const exact = (durations: ReadonlyArray<number>): number =>
  durations.toSorted((a, b) => a - b)[Math.ceil((durations.length * 99) / 100) - 1]!

describe("the calls of the last minute", () => {
  it("without a call there is nothing to show, and after a minute there is nothing any more", () => {
    const window = new CallWindow()
    assert.isUndefined(window.read(0))
    window.add(1000, 10, false)
    assert.deepStrictEqual(window.read(59_999), { errorRate: 100, p99: 10 })
    assert.isUndefined(window.read(60_000))
    assert.isUndefined(window.read(1e9))
  })

  it("a call is forgotten after 55 to 60 seconds", () => {
    for (const at of [0, 1, 2500, 4999]) {
      const window = new CallWindow()
      window.add(at, 1, true)
      assert.isDefined(window.read(at + 55_000))
      assert.isUndefined(window.read(at + 60_000))
    }
  })

  it("fewer than a hundred calls show the longest exactly, and of a hundred the longest does not count", () => {
    const window = new CallWindow()
    for (let n = 0; n < 98; n++) window.add(0, 10, true)
    window.add(0, 1234.5, true)
    assert.strictEqual(window.read(0)!.p99, 1234.5)
    window.add(0, 10, true)
    assert.closeTo(window.read(0)!.p99, 10, 0.2)
    window.add(0, 1234.5, true)
    assert.closeTo(window.read(0)!.p99, 1234.5, 1234.5 * 0.02)
  })

  it("the shortest and the longest are shown as they are", () => {
    const window = new CallWindow()
    window.add(0, 0, true)
    assert.strictEqual(window.read(0)!.p99, 0)
    for (let n = 0; n < 1000; n++) window.add(0, 86_400_000, true)
    assert.strictEqual(window.read(0)!.p99, 86_400_000)
  })

  it("another clock, which begins earlier, begins anew", () => {
    const window = new CallWindow()
    window.add(1e9, 5, false)
    window.add(10, 7, true)
    assert.deepStrictEqual(window.read(10), { errorRate: 0, p99: 7 })
  })

  it("the error is at most 2 %, against all calls of the last minute, over random calls", () => {
    for (let seed = 0; seed < runs(30); seed++) {
      const next = random(seed)
      const window = new CallWindow()
      const calls: Array<{ readonly slot: number; readonly millis: number; readonly failed: boolean }> = []
      let now = Math.floor(next() * 1e6)
      for (let n = 0; n < 2000; n++) {
        now += next() < 0.01 ? next() * 20_000 : next() * 50
        // From a hundredth of a millisecond to an hour.
        const millis = 0.011 * (3_000_000 / 0.011) ** next()
        const failed = next() < 0.3
        window.add(now, millis, failed === false)
        calls.push({ slot: Math.floor(now / 5000), millis, failed })
        if (n % 50 !== 0) continue
        const seen = calls.filter(({ slot }) => slot > Math.floor(now / 5000) - 12)
        const shown = window.read(now)!
        const expected = exact(seen.map(({ millis }) => millis))
        assert.isAtMost(Math.abs(shown.p99 - expected) / expected, 0.02, `seed ${seed}, call ${n}`)
        const failures = seen.filter(({ failed }) => failed).length
        assert.strictEqual(shown.errorRate, (failures * 100) / seen.length)
      }
    }
  })
})
