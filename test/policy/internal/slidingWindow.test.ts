import { assert, describe, it } from "@effect/vitest"
import * as SlidingWindow from "../../../src/policy/internal/slidingWindow.ts"
import { random, runs } from "../observe.ts"

/** The earliest time of the event after `ahead` others, with a list of all that happened. */
const naive = (times: ReadonlyArray<number>, limit: number, millis: number, now: number, ahead: number): number => {
  const all = [...times]
  let at = now
  for (let i = 0; i <= ahead; i++) {
    const before = all.at(-limit)
    at = Math.max(at, before === undefined ? -Infinity : before + millis)
    all.push(at)
  }
  return at
}

describe("an exact window", () => {
  it("says as a naive model when one more fits, and after how many others", () => {
    let granted = 0
    for (let run = 0; run < runs(2000); run++) {
      const next = random(run)
      const limit = 1 + Math.floor(next() * next() * 40)
      const millis = 10 + Math.floor(next() * 1000)
      const window = SlidingWindow.make(limit, millis)
      const times: Array<number> = []
      let now = next() < 0.5 ? 0 : next() * 1e9
      for (let step = 0; step < 60; step++) {
        now += next() < 0.4 ? 0 : (next() * 3 * millis) / limit
        const ahead = Math.floor(next() * next() * 3 * limit)
        const at = `run ${run} step ${step}`
        const earliest = window.earliest(now, ahead)
        if (Math.abs(earliest - naive(times, limit, millis, now, ahead)) > 1e-6) assert.fail(`earliest, ${at}`)
        if (window.count(now) !== times.filter((time) => time + millis > now).length) assert.fail(`count, ${at}`)
        if (window.earliest(now) > now) continue
        window.record(now)
        times.push(now)
        granted++
      }
    }
    assert.isAbove(granted, runs(2000) * 10)
  })

  it("grants at most the limit in any window, and exactly the limit where demand is higher", () => {
    for (const limit of [1, 2, 7, 16, 17, 600, 2048]) {
      const window = SlidingWindow.make(limit, 1000)
      const next = random(limit)
      const granted: Array<number> = []
      for (let now = 0; now < 10_000; now += next() * (100 / limit)) {
        if (window.earliest(now) > now) continue
        window.record(now)
        granted.push(now)
      }
      for (let i = limit; i < granted.length; i++) assert.isAtLeast(granted[i]! - granted[i - limit]!, 1000)
      assert.isAtLeast(granted.length, limit * 9)
    }
  })
})

describe("a stepped window", () => {
  const limits = [
    [2049, 1000],
    [3000, 60_000],
    [5000, 86_400_000]
  ] as const
  for (const [limit, millis] of limits) {
    it(`grants at most ${limit} in any ${millis} ms, and not much less`, () => {
      const step = millis / 1024
      for (let run = 0; run < runs(6); run++) {
        const next = random(run)
        const window = SlidingWindow.make(limit, millis)
        const granted: Array<number> = []
        const start = next() * 1e10
        let now = start
        while (now < start + 4 * millis) {
          now += next() < 5 / limit ? (next() * millis) / 20 : (next() * millis) / limit
          const earliest = window.earliest(now)
          if (earliest > now) {
            const before = granted.at(-limit)
            if (before === undefined) assert.fail("refused before the limit was used up")
            if (earliest - (before + millis) > 2 * step) assert.fail("waits more than two steps longer than it must")
            if (next() < 0.3) now = earliest
            else continue
          }
          if (window.earliest(now) > now) assert.fail("no room at the time it said there would be")
          window.record(now)
          granted.push(now)
        }
        const gaps = granted.slice(limit).map((at, i) => at - granted[i]!)
        assert.isAtLeast(
          gaps.reduce((least, gap) => Math.min(least, gap)),
          millis - 1e-5
        )
        assert.isAbove(granted.length, 3 * limit * 0.9)
      }
    })
  }

  it("forgets everything after a long pause", () => {
    const window = SlidingWindow.make(3000, 1000)
    for (let i = 0; i < 3000; i++) window.record(5000)
    assert.isAbove(window.earliest(5000), 5999)
    assert.strictEqual(window.earliest(1e9), 1e9)
    assert.strictEqual(window.count(1e9), 0)
  })

  it("counts the windows that those ahead need", () => {
    const window = SlidingWindow.make(3000, 1000)
    assert.strictEqual(window.earliest(0, 2999), 0)
    assert.strictEqual(window.earliest(0, 3000), 1000)
    assert.strictEqual(window.earliest(0, 9000), 3000)
  })
})

describe("a window whose clock goes back", () => {
  it("neither throws nor grants more", () => {
    for (const limit of [5, 3000]) {
      const window = SlidingWindow.make(limit, 1000)
      for (let i = 0; i < limit; i++) window.record(10_000)
      assert.isAtLeast(window.earliest(9000), 10_999)
      assert.strictEqual(window.count(9000), limit)
    }
  })
})
