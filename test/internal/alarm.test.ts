import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import * as path from "node:path"
import { monotonicMillis } from "../../src/internal/monotonic.ts"
import { type Alarm, type Entry, makeAlarms } from "../../src/internal/alarm.ts"
import { random, runs } from "../policy/observe.ts"

const entry = (at: number, fire: (now: number) => void): Entry => ({
  at,
  fire,
  place: -1,
  order: 0
})

describe("Alarm", () => {
  it.effect("fires each entry once, in order and at its time, over random additions and removals", () =>
    Effect.gen(function* () {
      for (let run = 0; run < runs(100); run++) {
        const next = random(run)
        const clock = yield* Clock.Clock
        const context = yield* Effect.context<never>()
        const alarm: Alarm = makeAlarms()(clock)
        const fired: Array<readonly [at: number, id: number]> = []
        const expected: Array<readonly [at: number, id: number]> = []
        const linked = new Map<number, Entry>()
        for (let id = 0; id < 60; id++) {
          const now = monotonicMillis(clock)
          const dice = next()
          if (dice < 0.7) {
            const at = now + Math.floor(next() * 100)
            const made = entry(at, () => {
              fired.push([monotonicMillis(clock), id])
              linked.delete(id)
            })
            linked.set(id, made)
            expected.push([at, id])
            alarm.add(made, now, context)
          } else if (dice < 0.85 && linked.size > 0) {
            const ids = [...linked.keys()]
            const victim = ids[Math.floor(next() * ids.length)]!
            alarm.remove(linked.get(victim)!)
            alarm.remove(linked.get(victim)!)
            linked.delete(victim)
            expected.splice(
              expected.findIndex((each) => each[1] === victim),
              1
            )
          } else yield* TestClock.adjust(Math.floor(next() * 30))
        }
        yield* TestClock.adjust(200)
        assert.strictEqual(linked.size, 0)
        assert.deepStrictEqual(
          fired,
          expected.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])
        )
      }
    })
  )

  it.effect("entries that add entries while they fire are all fired", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const context = yield* Effect.context<never>()
      const alarm = makeAlarms()(clock)
      const times: Array<number> = []
      const chain = (left: number): Entry =>
        entry(monotonicMillis(clock) + (left % 3), () => {
          times.push(left)
          if (left > 0) alarm.add(chain(left - 1), monotonicMillis(clock), context)
        })
      alarm.add(chain(50), monotonicMillis(clock), context)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(times.length, 51)
    })
  )

  it("gives one alarm for each clock", () => {
    const alarms = makeAlarms()
    const host = Context.get(Context.empty(), Clock.Clock)
    const other = { ...host }
    assert.strictEqual(alarms(host), alarms(host))
    assert.notStrictEqual(alarms(host), alarms(other))
    assert.strictEqual(alarms(other), alarms(other))
    assert.notStrictEqual(makeAlarms()(host), alarms(host))
  })
})

// ---- what keeps a process alive: nothing but a call that waits

const root = path.resolve(import.meta.dirname, "../..")

/** Runs a program in a process of its own, and gives what it printed and when it ended. */
const run = (program: string) =>
  Effect.promise(
    () =>
      new Promise<{ readonly code: number | null; readonly out: string; readonly millis: number }>((resolve) => {
        const preamble = `
          import { Data, Duration, Effect, Fiber } from "effect"
          import * as ErrorAction from "./src/policy/ErrorAction.ts"
          import * as Policy from "./src/policy/Policy.ts"
          import * as RetryPolicy from "./src/policy/RetryPolicy.ts"
          import * as RequestContext from "./src/policy/RequestContext.ts"
          process.on("exit", () => console.log("alive " + Math.round(performance.now() - start)))
          let start = performance.now()
        `
        const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", preamble + program], {
          cwd: root,
          timeout: 40_000
        })
        let out = ""
        child.stdout.on("data", (data) => (out += data))
        child.stderr.on("data", (data) => (out += data))
        child.on("close", (code) => resolve({ code, out, millis: Number(/alive (\d+)/.exec(out)?.[1] ?? Number.NaN) }))
      })
  )

// A process that is kept alive would be so for a minute; the bounds leave room for a busy machine.
describe("a process", { timeout: 45_000 }, () => {
  it.live("ends when its calls have ended, though their timeouts are a minute away", () =>
    Effect.gen(function* () {
      const ended = yield* run(`
        const policy = await Effect.runPromise(Policy.make("p", {
          timeouts: { connect: "10 seconds", read: "20 seconds", attempt: "30 seconds", total: "1 minute" },
          retry: RetryPolicy.make({ delays: ["20 millis"] }), rateLimit: { burst: 100 }
        }))
        await Effect.runPromise(policy(Effect.sleep(20)))
        await Effect.runPromise(Effect.all(Array.from({ length: 20 }, () => policy(Effect.sleep(10))), { concurrency: 20 }))
        await Effect.runPromise(Effect.exit(policy(Effect.sleep(5)).pipe(Effect.timeout(1))))
      `)
      assert.strictEqual(ended.code, 0, ended.out)
      assert.isBelow(ended.millis, 20_000, ended.out)
    })
  )

  it.live("was kept alive for the whole total timeout by a call that had waited in the bulkhead's queue", () =>
    Effect.gen(function* () {
      const ended = yield* run(`
        const policy = await Effect.runPromise(Policy.make("p", {
          bulkhead: { maxConcurrent: 1, maxQueue: 5 }, timeouts: { total: "1 minute" }
        }))
        await Effect.runPromise(Effect.all([policy(Effect.sleep(20)), policy(Effect.sleep(20))], { concurrency: 2 }))
      `)
      assert.strictEqual(ended.code, 0, ended.out)
      assert.isBelow(ended.millis, 20_000, ended.out)
    })
  )

  it.live("is kept alive by a call that waits: for its timeout, its backoff, its token", () =>
    Effect.gen(function* () {
      const ended = yield* run(`
        const policy = await Effect.runPromise(Policy.make("p", {
          classify: ErrorAction.all(ErrorAction.retry),
          retry: RetryPolicy.make({ delays: ["200 millis"] }), rateLimit: { burst: 1 }, timeouts: { attempt: "200 millis" }
        }))
        // Twice, so that the second use finds a timer that has rung.
        for (let i = 0; i < 2; i++) {
          const exit = await Effect.runPromise(Effect.exit(policy(Effect.callback(() => {}))))
          console.log("ended", exit._tag, exit.cause?.reasons[0]?.error?.kind)
        }
      `)
      assert.strictEqual(ended.code, 0, ended.out)
      assert.strictEqual(ended.out.match(/ended Failure attempt/g)?.length, 2, ended.out)
    })
  )
})
