/** Section 5: sagas, on the engine in memory. */
import { assert } from "@effect/vitest"
import { Duration, Effect, Metric, Option, Random, Schema, type Scope } from "effect"
import { PlaceOrder } from "../../../examples/orders-to-payments/placing.ts"
import { RetryPolicy } from "../../../src/policy/index.ts"
import { Saga } from "../../../src/saga/index.ts"
import * as Fixture from "../../saga/fixture.ts"
import { part } from "../sections.ts"
import * as Variants from "../variants.ts"
import { always, type Case, most, millisOf, now, obeys, rowIn, said, timeIn, until } from "./case.ts"

type StepNode = Extract<(typeof PlaceOrder.nodes)[number], { readonly _tag: "Step" }>
const [reserve, charge] = PlaceOrder.nodes as ReadonlyArray<StepNode>

const begun = Saga.make("place-order", {
  payload: Schema.Struct({ id: Schema.String }),
  idempotencyKey: ({ id }) => id
}) as any
const undo = { compensate: () => Effect.void }
const done = { run: () => Effect.void }

const printedOf = (saga: Saga.Any) => {
  const text = part(Variants.textOf(Variants.withSaga(saga)), "Saga: place-order")
  // The words of the table: once, twice, so many times.
  return text
    .replaceAll("tried again once", "tried again 1 times")
    .replaceAll("tried again twice", "tried again 2 times")
}
const notesOf = (saga: Saga.Any, step: string): string => rowIn(printedOf(saga), step)[2]!

/** Runs an effect with the engine in memory, and with the longest of all random delays. */
const running = (saga: any, self: Effect.Effect<void, unknown, any>): Effect.Effect<void, unknown, Scope.Scope> =>
  self.pipe(
    Effect.provide(Fixture.memory(saga)),
    Effect.provideService(Random.Random, always(most)),
    Effect.provideService(Metric.MetricRegistry, new Map())
  ) as Effect.Effect<void, unknown, Scope.Scope>

/** Remembers when it was run. */
const noted = () => {
  const times: Array<number> = []
  return { times, note: Effect.map(now, (moment) => void times.push(moment)) }
}

const failing = Effect.fail(new Fixture.Failed("retry"))
const refused = Effect.fail(new Fixture.Failed("fail", "unprocessed"))

/** The times of a ladder, of which the document says how many there are, the first and the last. */
const ladderIn = (text: string, { delays }: RetryPolicy.RetryPolicy): ReadonlyArray<number> => {
  const [, count, first, last] = /tried again (\d+) times, (.+?) to (.+?) apart/.exec(text) ?? []
  const millis = delays.map((delay) => Duration.toMillis(delay))
  assert.deepStrictEqual([Number(count), millisOf(first!), millisOf(last!)], [millis.length, millis[0], millis.at(-1)])
  return millis
}

/** Lets time pass until each of these moments, and looks that nothing has happened before. */
const follow = Effect.fnUntraced(function* (times: ReadonlyArray<number>, delays: ReadonlyArray<number>) {
  let moment = times[0]!
  for (const [index, delay] of delays.entries()) {
    moment += delay
    yield* until(moment - 1)
    yield* Fixture.quiet
    assert.strictEqual(times.length, index + 1, `before ${moment} ms`)
    yield* until(moment)
    yield* Fixture.quiet
    assert.strictEqual(times.length, index + 2, `at ${moment} ms`)
  }
})

const other = RetryPolicy.make({ delays: ["1 second", "7 seconds"] })

export const sagaCases: ReadonlyArray<Case> = [
  ...obeys("step.retry", [reserve!.retry!, charge!.retry!, other], (retry) => {
    const { note, times } = noted()
    const saga = begun.step("reserve", { run: () => Effect.andThen(note, failing), ...undo, retry })
    return running(
      saga,
      Effect.gen(function* () {
        const delays = ladderIn(said(notesOf(saga, "reserve"), /the step itself: ([^;]+)/), retry)
        const id = yield* saga.start({ id: "1" })
        yield* Fixture.quiet
        yield* follow(times, delays)
        yield* Fixture.untilState(id, "rolledBack")
        assert.strictEqual(times.length, delays.length + 1)
      })
    )
  }),
  ...obeys<Duration.Input>("step.timeout", [reserve!.timeout!, "40 seconds"], (timeout) => {
    const { note, times } = noted()
    const saga = begun.step("reserve", { run: () => Effect.onInterrupt(Effect.never, () => note), ...undo, timeout })
    return running(
      saga,
      Effect.gen(function* () {
        const printed = timeIn(notesOf(saga, "reserve"), /timeout (.+)$/)
        yield* saga.start({ id: "1" })
        yield* Fixture.quiet
        yield* until(printed - 1)
        yield* Fixture.quiet
        assert.deepStrictEqual(times, [])
        yield* until(printed)
        yield* Fixture.quiet
        assert.deepStrictEqual(times, [printed])
      })
    )
  }),
  ...obeys("step.compensationRetry", [reserve!.compensationRetry, other], (compensationRetry) => {
    const { note, times } = noted()
    const saga = begun
      .step("reserve", { ...done, compensate: () => Effect.andThen(note, failing), compensationRetry })
      .step("charge", { run: () => refused, ...undo })
    return running(
      saga,
      Effect.gen(function* () {
        const text = notesOf(saga, "reserve")
        assert.include(text, ", then stuck")
        const delays = ladderIn(text, compensationRetry)
        const id = yield* saga.start({ id: "1" })
        yield* Fixture.quiet
        yield* follow(times, delays)
        yield* Fixture.untilState(id, "stuck")
        assert.strictEqual(times.length, delays.length + 1)
      })
    )
  }),
  ...obeys<string | undefined>("step.irreversible", ["the warehouse has it", undefined], (irreversible) => {
    const undone: Array<string> = []
    const undoing = (name: string) => ({ compensate: () => Effect.sync(() => void undone.push(name)) })
    const saga = begun
      .step("reserve", { ...done, ...undoing("reserve") })
      .step("ship", { ...done, ...(irreversible === undefined ? undoing("ship") : { irreversible }) })
      .step("thank", { run: () => refused, ...undoing("thank") })
    return running(
      saga,
      Effect.gen(function* () {
        const isFinal = rowIn(printedOf(saga), "ship")[1] === "none: irreversible"
        assert.strictEqual(isFinal, printedOf(saga).includes("No way back from here"))
        assert.strictEqual(notesOf(saga, "thank").startsWith("never undone"), isFinal)
        const id = yield* saga.start({ id: "1" })
        yield* Fixture.untilState(id, isFinal ? "stuck" : "rolledBack")
        assert.deepStrictEqual(
          undone,
          isFinal ? [] : ["thank", "ship", "reserve"].filter((each) => undone.includes(each))
        )
        assert.strictEqual(undone.includes("reserve"), !isFinal)
      })
    )
  }),
  ...obeys<ReadonlyArray<string>>(
    "step.compensation",
    [
      ["release", "refund", "recall"],
      ["a", "b", "c", "d"]
    ],
    (names) => {
      const undone: Array<string> = []
      const saga = [...names, "last"].reduce(
        (built, name) =>
          built.step(`step ${name}`, {
            run: () => (name === "last" ? failing : Effect.void),
            compensate: () => Effect.sync(() => void undone.push(name)),
            compensation: name,
            service: "service"
          }),
        begun
      )
      return running(
        saga,
        Effect.gen(function* () {
          const [, back] = printedOf(saga).split("Compensating transactions")
          const drawn = Array.from(back!.matchAll(/O->>S1: (.*)/g), ([, text]) => text!)
          const id = yield* saga.start({ id: "1" })
          yield* Fixture.untilState(id, "rolledBack")
          assert.deepStrictEqual(undone, drawn)
          assert.deepStrictEqual(drawn, ["last", ...names.toReversed()])
        })
      )
    }
  ),
  ...obeys("step.name", ["reserve", "hold back"], (name) => {
    const saga = begun.step(name, { ...done, ...undo })
    return running(
      saga,
      Effect.gen(function* () {
        const [row] = /^\| (?!Step|---).*\|$/m.exec(printedOf(saga).split("Compensation strategies")[1]!)!
        const { id } = yield* Fixture.ended(saga.execute({ id: "1" })) as Effect.Effect<any>
        assert.include(yield* Fixture.storyOf(id), `run ${row!.split(" | ")[0]!.slice(2)} 1: done`)
      })
    )
  }),
  ...obeys("parallel.steps", [true, false], (together) => {
    const runs: Array<number> = []
    const run = () =>
      Effect.andThen(
        Effect.map(now, (moment) => void runs.push(moment)),
        Effect.sleep("1 second")
      )
    const both = (group: any) => group.step("a", { run, ...undo }).step("b", { run, ...undo })
    const saga = together ? begun.parallel(both) : both(begun)
    return running(
      saga,
      Effect.gen(function* () {
        const text = printedOf(saga)
        yield* Fixture.ended(saga.execute({ id: "1" }))
        assert.strictEqual(runs[0] === runs[1], /^ {2}par a$/m.test(text))
      })
    )
  }),
  ...obeys("wait.name", ["paid", "picked up"], (name) => {
    const saga = begun.waitFor(name, { success: Schema.Void, deadline: "1 day" })
    return running(
      saga,
      Effect.gen(function* () {
        const printed = said(printedOf(saga), /Waits for ([^,]+), at most/)
        const id = yield* saga.start({ id: "1" })
        yield* Fixture.quiet
        yield* saga.signal(id, printed, undefined)
        yield* Fixture.untilState(id, "completed")
      })
    )
  }),
  ...obeys<Duration.Input>("wait.deadline", ["3 days", "10 minutes"], (deadline) => {
    const saga = begun.step("reserve", { ...done, ...undo }).waitFor("paid", { success: Schema.Void, deadline })
    return running(
      saga,
      Effect.gen(function* () {
        const printed = timeIn(printedOf(saga), /Waits for paid, at most (.+)/)
        const id = yield* saga.start({ id: "1" })
        yield* Fixture.quiet
        yield* until(printed - 1)
        yield* Fixture.quiet
        assert.isTrue(Option.isNone(yield* saga.outcome(id)))
        yield* until(printed)
        yield* Fixture.quiet
        assert.strictEqual((Option.getOrThrow(yield* saga.outcome(id)) as any)._tag, "RolledBack")
      })
    )
  }),
  ...obeys<Duration.Input>("delay.duration", ["1 hour", "2 days"], (duration) => {
    const { note, times } = noted()
    const saga = begun.delay("cool off", duration).step("reserve", { run: () => note, ...undo })
    return running(
      saga,
      Effect.gen(function* () {
        const printed = timeIn(printedOf(saga), /Waits (.+) \(cool off\)/)
        yield* saga.start({ id: "1" })
        yield* Fixture.quiet
        yield* until(printed - 1)
        yield* Fixture.quiet
        assert.deepStrictEqual(times, [])
        yield* until(printed)
        yield* Fixture.quiet
        assert.deepStrictEqual(times, [printed])
      })
    )
  })
]
