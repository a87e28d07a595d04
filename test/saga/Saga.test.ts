import { assert, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Layer, Option, Schema } from "effect"
import { CircuitBreaker, RetryPolicy } from "effect-integration/policy"
import { CurrentStep, Saga, SagaEngine, StepFailed } from "effect-integration/saga"
import { observed } from "../policy/observe.ts"
import * as fixture from "./fixture.ts"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { sku: Schema.String }) {}
class Declined extends Schema.TaggedError<Declined>()("Declined", { at: Schema.DateFromString }) {}
class Log extends Context.Service<Log, { readonly say: (text: string) => Effect.Effect<void> }>()("Log") {}

const Order = Schema.Struct({ orderId: Schema.String, amount: Schema.Int })
const say = (text: string) => Log.use((log) => log.say(text))
const declined = new Declined({ at: new Date(0) })

const PlaceOrder = Saga.make("place-order", { payload: Order, idempotencyKey: (order) => order.orderId })
  .step("reserve", {
    success: Schema.String,
    error: OutOfStock,
    run: (order) => Effect.as(say(`reserve ${order.orderId}`), "r1"),
    compensate: (reservation) => say(`release ${Option.getOrElse(reservation, () => "?")}`)
  })
  .step("charge", {
    success: Schema.String,
    error: Declined,
    run: (order, { reserve }) =>
      Effect.andThen(say(`charge ${reserve}`), order.amount > 100 ? Effect.fail(declined) : Effect.succeed("c1")),
    compensate: (charge) => say(`refund ${Option.getOrElse(charge, () => "?")}`)
  })
  .step("ship", { run: (_order, { charge }) => say(`ship ${charge}`), irreversible: "the parcel has left" })

const logged = () => {
  const lines: Array<string> = []
  const log = Layer.succeed(Log, { say: (text) => Effect.sync(() => void lines.push(text)) })
  return {
    lines,
    layer: PlaceOrder.layer.pipe(Layer.provideMerge(Layer.fresh(SagaEngine.layerMemory)), Layer.provide(log))
  }
}

it.effect("a saga that succeeds has the result of each step", () => {
  const { layer, lines } = logged()
  return Effect.gen(function* () {
    const outcome = yield* PlaceOrder.execute({ orderId: "o1", amount: 1 })
    assert.deepStrictEqual(lines, ["reserve o1", "charge r1", "ship c1"])
    assert.deepStrictEqual(outcome, {
      _tag: "Completed",
      id: yield* PlaceOrder.idOf("o1"),
      results: { reserve: "r1", charge: "c1", ship: undefined }
    })
  }).pipe(Effect.provide(layer))
})

it.effect("a saga that fails is undone, and has the error as it was declared", () => {
  const { layer, lines } = logged()
  return Effect.gen(function* () {
    const outcome = yield* PlaceOrder.execute({ orderId: "o1", amount: 101 })
    assert.deepStrictEqual(lines, ["reserve o1", "charge r1", "refund ?", "release r1"])
    assert.deepStrictEqual(outcome, {
      _tag: "RolledBack",
      id: outcome.id,
      failedStep: "charge",
      error: declined,
      compensated: ["charge", "reserve"]
    })
    assert.instanceOf(outcome._tag === "RolledBack" ? outcome.error : undefined, Declined)
  }).pipe(Effect.provide(layer))
})

it.effect("an error that is not declared is told by its tag and its message", () => {
  const S = Saga.make("undeclared", { payload: fixture.Text, idempotencyKey: fixture.keyOf }).step("a", {
    // @effect-diagnostics-next-line globalErrorInEffectFailure:off
    run: () => Effect.fail(new RangeError("x".repeat(2000))),
    compensate: () => Effect.void
  })
  return Effect.gen(function* () {
    const outcome = yield* fixture.ended(S.execute({ key: "1" }))
    assert.strictEqual(outcome._tag, "RolledBack")
    if (outcome._tag !== "RolledBack") return
    assert.instanceOf(outcome.error, StepFailed)
    const { description, outcome: processed, reason, step, tag } = outcome.error
    assert.deepStrictEqual(
      { description, processed, reason, step, tag },
      { description: "x".repeat(1000), processed: "unknown", reason: "error", step: "a", tag: "RangeError" }
    )
  }).pipe(Effect.provide(fixture.memory(S)))
})

it.effect("what is kept of an error had the credentials that were in its message", () => {
  const S = Saga.make("careless", { payload: fixture.Text, idempotencyKey: fixture.keyOf }).step("a", {
    // @effect-diagnostics-next-line globalErrorInEffectFailure:off
    run: () => Effect.fail(new RangeError("no answer of amqp://shop:hunter2@broker, token=hunter3")),
    compensate: () => Effect.void
  })
  return observed((lines) =>
    Effect.gen(function* () {
      const outcome = yield* fixture.ended(S.execute({ key: "1" }))
      if (outcome._tag !== "RolledBack" || !(outcome.error instanceof StepFailed)) return assert.fail(outcome._tag)
      assert.strictEqual(outcome.error.description, "no answer of amqp://broker, token=<redacted>")
      assert.isTrue(lines.some(({ message }) => message.includes("no answer of amqp://broker")))
      assert.notInclude(JSON.stringify(lines), "hunter")
    }).pipe(Effect.provide(fixture.memory(S)))
  )
})

it.effect("a result that does not fit its schema is a defect that is undone", () => {
  const undone: Array<boolean> = []
  const S = Saga.make("misfit", { payload: fixture.Text, idempotencyKey: fixture.keyOf }).step("a", {
    success: Schema.Int,
    run: () => Effect.succeed(1.5),
    compensate: (result) => Effect.sync(() => undone.push(Option.isSome(result)))
  })
  return Effect.gen(function* () {
    const outcome = yield* fixture.ended(S.execute({ key: "1" }))
    assert.strictEqual(outcome._tag, "RolledBack")
    if (outcome._tag !== "RolledBack") return
    assert.strictEqual(outcome.error.reason, "defect")
    assert.deepStrictEqual(undone, [false])
  }).pipe(Effect.provide(fixture.memory(S)))
})

it.effect(
  "a step waits for an open circuit as its retries allow, and never shorter than until it lets one through",
  () => {
    const attempts: Array<number> = []
    const open = new CircuitBreaker.CircuitOpen({
      integration: "payments",
      reason: "failures",
      retryAfter: Duration.seconds(30)
    })
    const attempt = Effect.gen(function* () {
      attempts.push(yield* Clock.currentTimeMillis)
      if (attempts.length < 4) return yield* open
    })
    const S = Saga.make("outage", { payload: fixture.Text, idempotencyKey: fixture.keyOf }).step("a", {
      run: () => attempt,
      compensate: () => Effect.void,
      retry: RetryPolicy.make({ delays: ["5 seconds", "40 seconds", "2 minutes"] })
    })
    return Effect.gen(function* () {
      const outcome = yield* fixture.ended(S.execute({ key: "1" }), "1 second")
      assert.strictEqual(outcome._tag, "Completed")
      const waits = attempts.slice(1).map((at, index) => Math.floor((at - attempts[index]!) / 1000))
      assert.deepStrictEqual(waits, [30, 40, 120])
    }).pipe(Effect.provide(fixture.memory(S)))
  }
)

it.effect("a step knows what it is part of", () => {
  const seen: Array<CurrentStep["Service"]> = []
  const note = Effect.map(CurrentStep, (step) => void seen.push(step))
  const S = Saga.make("knows", { payload: fixture.Text, idempotencyKey: fixture.keyOf })
    .step("a", { run: () => note, compensate: () => note })
    .step("b", { run: () => Effect.fail("no"), compensate: () => Effect.void })
  return Effect.gen(function* () {
    const { id } = yield* fixture.ended(S.execute({ key: "1" }))
    const same = { saga: "knows", id, step: "a", attempt: 1 }
    assert.deepStrictEqual(seen, [
      { ...same, phase: "run" },
      { ...same, phase: "compensate" }
    ])
  }).pipe(Effect.provide(fixture.memory(S)))
})
