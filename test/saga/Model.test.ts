import { assert, describe, it } from "@effect/vitest"
import { Array as Arr, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as fixture from "./fixture.ts"
import * as model from "./model.ts"
import * as modelSaga from "./modelSaga.ts"

/** `THOROUGH=1` carries out every plan, in a minute; else each seventh. */
const every = process.env.THOROUGH === undefined ? 7 : 1
const some = <A>(all: ReadonlyArray<A>, each: number): ReadonlyArray<A> => all.filter((_, index) => index % each === 0)

const untimed = (found: model.Prediction): model.Prediction => ({
  ...found,
  log: found.log.map(({ what }) => ({ what, at: 0 }))
})
/** Times are compared where nothing was decided: when that happens is up to the test. */
const timed = (found: model.Prediction): model.Prediction => (found.decided === 0 ? found : untimed(found))

const compare = (
  found: Effect.Success<ReturnType<typeof modelSaga.carryOut>>,
  of: (prediction: model.Prediction) => model.Prediction
): void => {
  for (const each of found) {
    assert.deepStrictEqual(of(modelSaga.summaryOf(each)), of(model.predict(each.plan)), JSON.stringify(each.plan))
  }
  const keys = found.flatMap((each) => Array.from(each.keys.values(), (known) => Array.from(known)))
  for (const known of keys) assert.strictEqual(known.length, 1, "one key, however often it was tried")
  assert.strictEqual(new Set(keys.flat()).size, keys.length, "a key of its own for each step, phase and saga")
}

const onMemory = (plans: ReadonlyArray<model.Plan>) => {
  const world = modelSaga.make(1000)
  const pass = Effect.andThen(fixture.quiet, TestClock.adjust("1 second"))
  return Effect.gen(function* () {
    const found = yield* Effect.forEach(Arr.chunksOf(plans, 250), (some) => modelSaga.carryOut(some, world, pass))
    assert.strictEqual(found.flat().length, plans.length)
    compare(found.flat(), timed)
  }).pipe(Effect.provide(fixture.memory(...world.sagas)))
}

const onSqlite = (plans: ReadonlyArray<model.Plan>) => {
  const world = modelSaga.make(30)
  return Effect.gen(function* () {
    const file = yield* fixture.filename
    const found = yield* Effect.provide(
      modelSaga.carryOut(plans, world, Effect.sleep(Duration.millis(20))),
      fixture.on(fixture.sqlite(file), ...world.sagas)
    )
    assert.strictEqual(found.length, plans.length)
    compare(found, untimed)
  })
}

describe("a saga of five steps", () => {
  it("can go in so many ways", () => {
    assert.strictEqual(model.failures.length, 58)
    assert.strictEqual(model.plans.length, 4992)
    assert.strictEqual(model.mixed.length, 6032)
    for (const plans of [model.plans, model.mixed]) {
      assert.strictEqual(new Set(plans.map((plan) => JSON.stringify(plan))).size, plans.length)
    }
  })

  it.effect("does what the model says, whatever fails", () => onMemory(some(model.plans, every)), 120_000)

  it.effect(
    "remembers an attempt that may have happened, when a later one did nothing",
    () => onMemory(some(model.mixed, every * 4 - 1)),
    120_000
  )

  it.live("does it on SQLite too", () => onSqlite(some(model.plans, every * 20 - 1)), 120_000)
})
