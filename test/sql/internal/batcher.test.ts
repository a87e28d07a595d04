import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Scope } from "effect"
import * as batcher from "../../../src/sql/internal/batcher.ts"

interface Asked {
  readonly row: string
  readonly by: string
}

/** A batcher whose batches are recorded, and wait until they are let go. */
const recorded = Effect.fnUntraced(function* (options: Partial<batcher.Options<Asked, string, string>> = {}) {
  const batches: Array<ReadonlyArray<string>> = []
  const abandoned: Array<string> = []
  const gate = yield* Latch.make()
  const request = yield* batcher.make<Asked, string, string>({
    row: ({ row }) => row,
    isSame: () => true,
    follow: (answer, { by }) => `${answer}, seen by ${by}`,
    run: (requests) =>
      Effect.suspend(() => {
        batches.push(requests.map(({ row }) => row))
        return Effect.as(
          gate.await,
          requests.map(({ by, row }) => `${row} of ${by}`)
        )
      }),
    isDivisible: () => true,
    abandoned: (asked, answer) => void abandoned.push(`${asked.by}: ${answer}`),
    failed: (error) => error,
    closed: () => "closed",
    maxRows: 3,
    maxBatches: 1,
    ...options
  })
  const ask = (row: string, by = "one") => Effect.forkChild(request({ row, by }), { startImmediately: true })
  const started = (count: number): Effect.Effect<void> =>
    Effect.suspend(() => (batches.length >= count ? Effect.void : Effect.andThen(Effect.yieldNow, started(count))))
  return { abandoned, ask, batches, gate, request, started }
})

describe("batcher", () => {
  it.effect("collects while a batch is under way, in the order of rows, no more than a batch may have", () =>
    Effect.gen(function* () {
      const { ask, batches, gate, started } = yield* recorded()
      const first = yield* ask("z")
      yield* started(1)
      const others = yield* Effect.forEach(["d", "b", "c", "a"], (row) => ask(row))
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(first), "z of one")
      assert.deepStrictEqual(yield* Fiber.joinAll(others), ["d of one", "b of one", "c of one", "a of one"])
      assert.deepStrictEqual(batches, [["z"], ["b", "c", "d"], ["a"]])
    })
  )

  it.effect("answers equal requests from one, and keeps those that differ for another batch", () =>
    Effect.gen(function* () {
      const equal = yield* recorded()
      const both = [yield* equal.ask("a", "one"), yield* equal.ask("a", "two")]
      yield* equal.gate.open
      assert.deepStrictEqual(yield* Fiber.joinAll(both), ["a of one", "a of one, seen by two"])
      assert.deepStrictEqual(equal.batches, [["a"]])

      const different = yield* recorded({ isSame: (one, two) => one.by === two.by })
      const each = [yield* different.ask("a", "one"), yield* different.ask("a", "two")]
      yield* different.gate.open
      assert.deepStrictEqual(yield* Fiber.joinAll(each), ["a of one", "a of two"])
      assert.deepStrictEqual(different.batches, [["a"], ["a"]])
    })
  )

  it.effect("lets a bad row fail alone", () =>
    Effect.gen(function* () {
      const { ask } = yield* recorded({
        maxRows: 8,
        run: (requests) =>
          requests.some(({ row }) => row === "bad")
            ? Effect.fail("bad row")
            : Effect.succeed(requests.map(() => "good"))
      })
      const fibers = yield* Effect.forEach(["a", "b", "bad", "c", "d", "e"], (row) => ask(row))
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(
        exits.map((exit) => (Exit.isSuccess(exit) ? exit.value : "failed")),
        ["good", "good", "failed", "good", "good", "good"]
      )
    })
  )

  it.effect("goes on when a caller is interrupted, and gives up what nobody waits for", () =>
    Effect.gen(function* () {
      const { abandoned, ask, batches, gate, started } = yield* recorded()
      const gone = yield* ask("a")
      const stays = yield* ask("b")
      yield* started(1)
      const never = yield* ask("c")
      yield* Fiber.interrupt(gone)
      yield* Fiber.interrupt(never)
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(stays), "b of one")
      assert.deepStrictEqual(abandoned, ["one: a of one"])
      assert.deepStrictEqual(batches, [["a", "b"]])
    })
  )

  it.effect("gives the answer to the next who waits for the same", () =>
    Effect.gen(function* () {
      const { abandoned, ask, gate, started } = yield* recorded()
      const gone = yield* ask("a", "one")
      const stays = yield* ask("a", "two")
      yield* started(1)
      yield* Fiber.interrupt(gone)
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(stays), "a of one")
      assert.deepStrictEqual(abandoned, [])
    })
  )

  it.effect("fails whoever waits when it is closed, and whoever asks later", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { ask, request, started } = yield* Scope.provide(recorded(), scope)
      const running = yield* ask("a")
      yield* started(1)
      const waiting = yield* ask("b")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Effect.flip(Fiber.join(running)), "closed")
      assert.strictEqual(yield* Effect.flip(Fiber.join(waiting)), "closed")
      assert.strictEqual(yield* Effect.flip(request({ row: "c", by: "one" })), "closed")
    })
  )

  it.effect("a defect reaches the callers, and the next batch runs", () =>
    Effect.gen(function* () {
      let runs = 0
      const { request } = yield* recorded({
        run: (requests) =>
          Effect.suspend(() => (runs++ === 0 ? Effect.die("broken") : Effect.succeed(requests.map(() => "fine"))))
      })
      const exit = yield* Effect.exit(request({ row: "a", by: "one" }))
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(yield* request({ row: "a", by: "one" }), "fine")
    })
  )
})
