import { assert, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { millisOnTheWall, slowDown, times } from "../../examples/demo/clock.ts"

/** How long an effect takes on the clock of the design and on the wall, in milliseconds. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const [begun, begunOnTheWall] = [yield* Clock.monotonicTimeNanos, yield* millisOnTheWall]
    yield* effect
    const taken = Number((yield* Clock.monotonicTimeNanos) - begun) / 1e6
    return [taken, (yield* millisOnTheWall) - begunOnTheWall] as const
  })

it.live("the clock of the demo runs faster, and nothing is early on it", () =>
  Effect.gen(function* () {
    const [taken, onTheWall] = yield* timed(Effect.sleep("1 second"))
    assert.isAtLeast(taken, 1000)
    // Dates are whole milliseconds, each ten of the clock's.
    assert.isAtLeast(onTheWall, 99)
    assert.closeTo(taken / 10, onTheWall, 50)
  }).pipe(Effect.provide(times(10)))
)

it.live("it can be slowed down, and goes on from where it is", () =>
  Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    yield* slowDown(2)
    const after = yield* Clock.currentTimeMillis
    assert.isAtLeast(after, before)
    const [taken, onTheWall] = yield* timed(Effect.sleep("100 millis"))
    assert.isAtLeast(taken, 100)
    assert.closeTo(taken / 2, onTheWall, 30)
    yield* slowDown(10)
    const [same] = yield* timed(Effect.sleep("20 millis"))
    assert.isAtLeast(same, 20)
  }).pipe(Effect.provide(times(20)))
)
