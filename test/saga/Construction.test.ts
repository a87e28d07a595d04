import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import { InvalidOption } from "effect-integration/policy"
import { Saga } from "effect-integration/saga"
import { SqlSagas } from "effect-integration/sql"
import * as fixture from "./fixture.ts"

const make = (name: string) => Saga.make(name, { payload: fixture.Text, idempotencyKey: fixture.keyOf })
const step = { run: () => Effect.void, compensate: () => Effect.void }
const gone = { run: () => Effect.void, irreversible: "gone" }

const refusal = (build: () => unknown): InvalidOption => {
  try {
    build()
  } catch (error) {
    assert.instanceOf(error, InvalidOption)
    return error as InvalidOption
  }
  return assert.fail("nothing was refused")
}

const badNames = ["", "  ", "a/b", "a!", "a > b", "a&b", "a?", 1 as never, undefined as never]
const badTimes: ReadonlyArray<Duration.Input> = [0, -1, Infinity, NaN, Duration.infinity, "soon" as never]

describe("a saga is refused", () => {
  it("where its name, or that of a step, a wait or a delay, is empty or has what a definition is written with", () => {
    for (const name of badNames) {
      for (const build of [
        () => make(name),
        () => make("s").step(name, step),
        () => make("s").parallel((group) => group.step(name, step)),
        () => make("s").waitFor(name, { success: Schema.String, deadline: "1 hour" }),
        () => make("s").delay(name, "1 second")
      ]) {
        assert.strictEqual(refusal(build).option, "name")
      }
    }
  })

  it("where two of its parts have one name, whatever they are", () => {
    const twice = make("s").step("a", step) as any
    for (const build of [
      () => twice.step("a", step),
      () => twice.parallel((group: any) => group.step("a", step)),
      () => make("s").parallel((group: any) => group.step("b", step).step("b", step)),
      () => twice.waitFor("a", { success: Schema.String, deadline: "1 hour" }),
      () => twice.delay("a", "1 second"),
      () => (make("s").delay("d", "1 second") as any).step("d", step)
    ]) {
      const { message, option } = refusal(build)
      assert.strictEqual(option, "name")
      assert.include(message, "a name of its own")
    }
  })

  it("where a time is not finite, or not longer than nothing", () => {
    for (const time of badTimes) {
      assert.strictEqual(refusal(() => make("s").step("a", { ...step, timeout: time })).option, "timeout")
      const deadline = () => make("s").waitFor("a", { success: Schema.String, deadline: time })
      assert.strictEqual(refusal(deadline).option, "deadline")
      assert.strictEqual(refusal(() => make("s").delay("a", time)).option, "duration")
    }
  })

  it("where a step says neither how it is undone, nor why it cannot be", () => {
    for (const irreversible of ["", "  ", undefined as never, true as never]) {
      assert.strictEqual(refusal(() => make("s").step("a", { ...gone, irreversible })).option, "irreversible")
    }
  })

  it("where a step says both, and where one of a parallel group cannot be undone", () => {
    assert.instanceOf(
      refusal(() => make("s").step("a", { ...step, irreversible: "gone" } as never)),
      InvalidOption
    )
    assert.instanceOf(
      refusal(() => make("s").parallel((group: any) => group.step("a", gone))),
      InvalidOption
    )
  })

  it("and says which constructor was given what", () => {
    const { message } = refusal(() => make("orders").step("pay", { ...gone, irreversible: " " }))
    for (const part of ["orders", "pay", "irreversible", '" "']) assert.include(message, part)
  })
})

describe("a saga", () => {
  it("is a new value with each step, and says what it is made of", () => {
    const one = make("s").step("a", step)
    const two = one.step("b", gone).delay("d", "1 second").waitFor("w", { success: Schema.String, deadline: "1 hour" })
    const other = one.parallel((group) => group.step("p", step).step("q", step))
    assert.deepStrictEqual(
      [one, two, other].map(({ nodes }) => nodes.map(({ _tag }) => _tag)),
      [["Step"], ["Step", "Step", "Delay", "Wait"], ["Step", "Parallel"]]
    )
    assert.strictEqual(two.name, "s")
  })
})

describe("the engine on SQL is refused", () => {
  it("for times and names that make no sense", () => {
    assert.strictEqual(refusal(() => SqlSagas.layerWith({ takeover: "2999 millis" })).option, "takeover")
    assert.strictEqual(refusal(() => SqlSagas.layerWith({ takeover: Infinity })).option, "takeover")
    assert.strictEqual(refusal(() => SqlSagas.layerWith({ poll: 0 })).option, "poll")
    assert.instanceOf(
      refusal(() => SqlSagas.layerWith({ prefix: "" })),
      InvalidOption
    )
  })
})
