import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as Policy from "../../src/policy/Policy.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import { observed, random, retriable, runs, script } from "./observe.ts"

const settle = Effect.yieldNow.pipe(Effect.repeat({ times: 5 }))
const errorOf = (exit: Exit.Exit<unknown, unknown> | undefined): any =>
  exit !== undefined && Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
const ended = <A, E>(fiber: Fiber.Fiber<Exit.Exit<A, E>>): Exit.Exit<A, E> | undefined => {
  const exit = fiber.pollUnsafe()
  return exit !== undefined && Exit.isSuccess(exit) ? exit.value : undefined
}

describe("Bulkhead", () => {
  it.effect("runs as many as allowed, lets as many wait as allowed, and rejects the next at once", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make("bounds", { maxConcurrent: 2, maxQueue: 3 })
      const gate = yield* Deferred.make<void>()
      let running = 0
      let most = 0
      const body = Effect.gen(function* () {
        most = Math.max(most, ++running)
        yield* Deferred.await(gate)
        running--
      })
      const fibers = yield* Effect.replicateEffect(Effect.forkChild(Effect.exit(bulkhead.execute(body))), 7)
      yield* settle
      assert.deepStrictEqual(yield* bulkhead.load, { running: 2, waiting: 3 })
      const rejected = fibers.map(ended).filter((exit) => exit !== undefined)
      assert.strictEqual(rejected.length, 2)
      const error = errorOf(rejected[0])
      assert.strictEqual(error._tag, "BulkheadFull")
      assert.strictEqual(error.outcome, "unprocessed")
      assert.strictEqual(error.errorAction.circuit, "ignored")
      assert.match(error.message, /2 calls are under way and 3 wait/)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach(fibers, Fiber.join)
      assert.strictEqual(most, 2)
      assert.deepStrictEqual(yield* bulkhead.load, { running: 0, waiting: 0 })
    })
  )

  it.effect("has no queue by default", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make("no-queue", { maxConcurrent: 1 })
      yield* Effect.forkChild(bulkhead.execute(Effect.never))
      yield* settle
      assert.strictEqual(errorOf(yield* Effect.exit(bulkhead.execute(Effect.void)))._tag, "BulkheadFull")
    })
  )

  it.effect("lets in first come first served, and whoever is interrupted gives its place to the next", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make("order", { maxConcurrent: 1, maxQueue: 10 })
      const order: Array<number> = []
      const first = yield* Effect.forkChild(bulkhead.execute(Effect.sleep("1 second")))
      yield* settle
      const fibers = yield* Effect.forEach([1, 2, 3, 4], (n) =>
        Effect.forkChild(
          bulkhead.execute(
            Effect.andThen(
              Effect.sync(() => order.push(n)),
              Effect.sleep("1 second")
            )
          )
        )
      )
      yield* settle
      yield* Fiber.interrupt(fibers[1]!)
      assert.deepStrictEqual(yield* bulkhead.load, { running: 1, waiting: 3 })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(first)
      assert.deepStrictEqual(order, [1, 3, 4])
      assert.deepStrictEqual(yield* bulkhead.load, { running: 0, waiting: 0 })
    })
  )

  it.effect("gives a permit back after a failure, a defect and an interruption", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make("back", { maxConcurrent: 1 })
      yield* Effect.exit(bulkhead.execute(Effect.fail("x")))
      yield* Effect.exit(bulkhead.execute(Effect.die("x")))
      const throws = Effect.suspend((): Effect.Effect<never> => {
        throw new Error("thrown")
      })
      yield* Effect.exit(bulkhead.execute(throws))
      yield* Effect.exit(bulkhead.execute(Effect.interrupt))
      const fiber = yield* Effect.forkChild(bulkhead.execute(Effect.never))
      yield* settle
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* bulkhead.load, { running: 0, waiting: 0 })
    })
  )

  it.effect("never leaks a permit nor runs too many under random interrupts", () =>
    Effect.gen(function* () {
      const next = random(31)
      for (let run = 0; run < runs(200); run++) {
        const bulkhead = yield* Bulkhead.make("random", { maxConcurrent: 2, maxQueue: 4 })
        let running = 0
        let most = 0
        const body = (millis: number) =>
          Effect.suspend(() => {
            most = Math.max(most, ++running)
            return millis === 0 ? Effect.void : Effect.sleep(millis)
          }).pipe(Effect.onExit(() => Effect.sync(() => running--)))
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let step = 0; step < 30; step++) {
          const dice = next()
          if (dice < 0.5) {
            fibers.push(yield* Effect.forkChild(Effect.exit(bulkhead.execute(body(Math.floor(next() * 4))))))
          } else if (dice < 0.8 && fibers.length > 0) fibers[Math.floor(next() * fibers.length)]!.interruptUnsafe()
          else if (dice < 0.9) yield* Effect.yieldNow
          else yield* TestClock.adjust(1)
        }
        yield* TestClock.adjust(100)
        assert.isAtMost(most, 2)
        assert.isTrue(fibers.every((fiber) => fiber.pollUnsafe() !== undefined))
        assert.deepStrictEqual(yield* bulkhead.load, { running: 0, waiting: 0 })
      }
    })
  )

  it.effect("a caller that called again at once, when let in, passed those who waited before it", () =>
    Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make("passing", { maxConcurrent: 1, maxQueue: 10 })
      const gate = yield* Deferred.make<void>()
      const order: Array<string> = []
      const ran = (who: string) => bulkhead.execute(Effect.sync(() => order.push(who)))
      yield* Effect.forkChild(bulkhead.execute(Deferred.await(gate)))
      yield* settle
      yield* Effect.forkChild(Effect.andThen(ran("first"), ran("first again")))
      yield* Effect.forkChild(ran("second"))
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(order, ["first", "second", "first again"])
    })
  )

  // Outside of an Effect test: the overflow broke the scheduler, so that the test itself would have hung.
  it("a queue of three thousand synchronous calls overflowed the stack when its head was let in", async () => {
    const bulkhead = Effect.runSync(Bulkhead.make("deep", { maxConcurrent: 1, maxQueue: 3000 }))
    const gate = Deferred.makeUnsafe<void>()
    let ran = 0
    const ends: Array<string> = []
    Effect.runFork(bulkhead.execute(Deferred.await(gate)))
    const body = Effect.sync(() => ran++)
    for (let i = 0; i < 3000; i++) {
      Effect.runFork(bulkhead.execute(body)).addObserver((exit) => ends.push(exit._tag))
    }
    Deferred.doneUnsafe(gate, Effect.void)
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.deepStrictEqual(
      { ran, succeeded: ends.filter((tag) => tag === "Success").length, load: Effect.runSync(bulkhead.load) },
      { ran: 3000, succeeded: 3000, load: { running: 0, waiting: 0 } }
    )
  })
})

describe("the bulkhead of a policy", () => {
  it.effect("a call that waits in its queue when the total timeout comes was not processed", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("bulkhead-total", {
        bulkhead: { maxConcurrent: 1, maxQueue: 5 },
        timeouts: { total: "2 seconds" }
      })
      yield* Effect.forkChild(Effect.exit(policy(Effect.uninterruptible(Effect.sleep("1 minute")))))
      yield* settle
      const { effect, sent } = script(Effect.succeed("ok"))
      const waiting = yield* Effect.forkChild(Effect.exit(policy(effect)))
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(ended(waiting))
      yield* TestClock.adjust("1 millis")
      const error = errorOf(ended(waiting))
      assert.strictEqual(error?._tag, "Timeout")
      assert.strictEqual(error.kind, "total")
      assert.strictEqual(error.outcome, "unprocessed")
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(sent(), 0)
      assert.strictEqual(yield* policy(Effect.succeed("free")), "free")
    })
  )

  it.effect("is outside of retry: a call keeps its permit through its backoffs", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("bulkhead-retry", {
        bulkhead: { maxConcurrent: 1 },
        retry: RetryPolicy.make({ delays: ["1 second"] })
      })
      const first = yield* Effect.forkChild(policy(script(Effect.fail(retriable), Effect.succeed("ok")).effect))
      yield* settle
      assert.strictEqual(errorOf(yield* Effect.exit(policy(Effect.void)))._tag, "BulkheadFull")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(first), "ok")
    })
  )

  it.effect("five thousand calls queued behind an opening circuit overflowed the stack", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("bulkhead-open", {
          bulkhead: { maxConcurrent: 1, maxQueue: 5000 },
          breaker: { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" }
        })
        const gate = yield* Deferred.make<void>()
        yield* Effect.forkChild(policy(Deferred.await(gate)))
        yield* settle
        const fibers = yield* Effect.replicateEffect(Effect.forkChild(Effect.exit(policy(Effect.void))), 5000)
        yield* settle
        yield* policy.circuit()!.forceOpen("test")
        yield* Deferred.succeed(gate, undefined)
        yield* settle
        assert.strictEqual(fibers.filter((fiber) => fiber.pollUnsafe() === undefined).length, 0, "calls that hang")
        const tags = new Set(fibers.map((fiber) => errorOf(ended(fiber))?._tag))
        assert.deepStrictEqual([...tags], ["CircuitOpen"])
      })
    )
  )
})
