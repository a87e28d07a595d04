import { Context, Data, Effect, type Layer, type Option, Schema } from "effect"
import { describe, expect, test } from "tstyche"
import type { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { CurrentStep } from "../../src/saga/CurrentStep.ts"
import type * as Outcome from "../../src/saga/Outcome.ts"
import * as Saga from "../../src/saga/Saga.ts"
import type { InvalidPayload, KeyReused, SagaStoreError, StepFailed } from "../../src/saga/SagaError.ts"
import type { SagaStore } from "../../src/saga/SagaStore.ts"

const Order = Schema.Struct({ id: Schema.String, placedAt: Schema.DateFromString })
class Declined extends Schema.TaggedError<Declined>()("Declined", {}) {}
class Empty extends Schema.TaggedError<Empty>()("Empty", {}) {}
class Undeclared extends Data.TaggedError("Undeclared") {}
class Stock extends Context.Service<Stock, { readonly take: Effect.Effect<string, Empty> }>()("Stock") {}
class Bank extends Context.Service<Bank, { readonly charge: Effect.Effect<number, Declined> }>()("Bank") {}
class Post extends Context.Service<Post, { readonly recall: Effect.Effect<void> }>()("Post") {}

const undone = { compensate: () => Effect.void }
const base = Saga.make("orders", { payload: Order, idempotencyKey: (order) => order.id })
const PlaceOrder = base
  .step("reserve", { success: Schema.String, error: Empty, run: () => Stock.use((stock) => stock.take), ...undone })
  .parallel((group) =>
    group
      .step("charge", {
        success: Schema.Int,
        error: Declined,
        run: () => Bank.use((bank) => bank.charge),
        compensate: () => Post.use((post) => post.recall)
      })
      .step("notify", { run: () => Effect.void, ...undone })
  )
  .waitFor("approval", { success: Schema.DateFromString, deadline: "1 day" })
  .delay("cooling", "1 hour")
  .step("ship", { run: () => Effect.void, irreversible: "it has left" })

describe("a step", () => {
  test("says how it is undone, or why it cannot be, and never both", () => {
    expect(base.step).type.not.toBeCallableWith("a", { run: () => Effect.void })
    expect(base.step).type.not.toBeCallableWith("a", { run: () => Effect.void, ...undone, irreversible: "gone" })
    expect(base.step).type.toBeCallableWith("a", { run: () => Effect.void, ...undone })
    expect(base.step).type.toBeCallableWith("a", { run: () => Effect.void, irreversible: "gone" })
    expect(base.step).type.not.toBeCallableWith("a", { run: () => Effect.void, irreversible: true })
    expect(base.step).type.not.toBeCallableWith("a", {
      run: () => Effect.void,
      irreversible: "gone",
      compensation: "nothing"
    })
  })

  test("of a parallel group can be undone", () => {
    base.parallel((group) => {
      expect(group.step).type.not.toBeCallableWith("a", { run: () => Effect.void, irreversible: "gone" })
      expect(group.step).type.not.toBeCallableWith("a", { run: () => Effect.void })
      expect(group.step).type.toBeCallableWith("a", { run: () => Effect.void, ...undone })
      return group
    })
  })

  test("has a name of its own", () => {
    expect(PlaceOrder.step).type.not.toBeCallableWith("reserve", { run: () => Effect.void, ...undone })
    expect(PlaceOrder.step).type.not.toBeCallableWith("notify", { run: () => Effect.void, ...undone })
    expect(PlaceOrder.step).type.not.toBeCallableWith("approval", { run: () => Effect.void, ...undone })
    expect(PlaceOrder.step).type.toBeCallableWith("other", { run: () => Effect.void, ...undone })
    expect(PlaceOrder.waitFor).type.not.toBeCallableWith("ship", { success: Schema.String, deadline: "1 day" })
    PlaceOrder.parallel((group) => {
      expect(group.step).type.not.toBeCallableWith("reserve", { run: () => Effect.void, ...undone })
      expect(group.step("a", { run: () => Effect.void, ...undone }).step).type.not.toBeCallableWith("a", {
        run: () => Effect.void,
        ...undone
      })
      return group
    })
  })

  test("gets the payload and the results of those before it, and of no others", () => {
    base
      .step("one", {
        success: Schema.Int,
        run: (order, results) => {
          expect(order).type.toBe<{ readonly id: string; readonly placedAt: Date }>()
          expect(results).type.toBe<{}>()
          return Effect.succeed(1)
        },
        compensate: (result, order, results) => {
          expect(result).type.toBe<Option.Option<number>>()
          expect(order).type.toBe<{ readonly id: string; readonly placedAt: Date }>()
          expect(results).type.toBe<{}>()
          return Effect.void
        }
      })
      .parallel((group) =>
        group
          .step("left", {
            success: Schema.String,
            run: (_order, results) => {
              expect(results).type.toBe<{ readonly one: number }>()
              return Effect.succeed("")
            },
            ...undone
          })
          .step("right", {
            run: (_order, results) => {
              expect(results).type.toBe<{ readonly one: number }>()
              return Effect.void
            },
            ...undone
          })
      )
      .waitFor("said", { success: Schema.DateFromString, deadline: "1 day" })
      .step("last", {
        run: (_order, results) => {
          expect(results).type.toBe<{
            readonly one: number
            readonly left: string
            readonly right: void
            readonly said: Date
          }>()
          return Effect.void
        },
        irreversible: "gone"
      })
  })

  test("gives what its schema says", () => {
    expect(base.step).type.not.toBeCallableWith("a", {
      success: Schema.Int,
      run: () => Effect.succeed("text"),
      ...undone
    })
  })

  test("fails with what it declares, and with anything where it declares nothing", () => {
    expect(base.step).type.not.toBeCallableWith("a", {
      error: Declined,
      run: () => Effect.fail(new Undeclared()),
      ...undone
    })
    expect(base.step).type.toBeCallableWith("a", { error: Declined, run: () => Effect.fail(new Declined()), ...undone })
    expect(base.step).type.toBeCallableWith("a", { run: () => Effect.fail(new Undeclared()), ...undone })
  })
})

describe("a saga", () => {
  type Results = {
    readonly reserve: string
    readonly charge: number
    readonly notify: void
    readonly approval: Date
    readonly ship: void
  }
  type Out = Outcome.Outcome<Results, keyof Results, Empty | Declined | StepFailed>

  test("is executed with its payload, and gives its outcome", () => {
    const executed = PlaceOrder.execute({ id: "1", placedAt: new Date(0) })
    expect(executed).type.toBe<
      Effect.Effect<Out, InvalidPayload | KeyReused | SagaStoreError, WorkflowEngine | SagaStore>
    >()
    expect(PlaceOrder.outcome("id")).type.toBe<
      Effect.Effect<Option.Option<Out>, SagaStoreError, WorkflowEngine | SagaStore>
    >()
    type Payload = [payload: { readonly id: string; readonly placedAt: Date }]
    expect<Parameters<typeof PlaceOrder.execute>>().type.toBe<Payload>()
    expect<Parameters<typeof PlaceOrder.start>>().type.toBe<Payload>()
  })

  test("has an outcome whose parts are typed", () => {
    const outcome = undefined as unknown as Out
    if (outcome._tag === "Completed") expect(outcome.results).type.toBe<Results>()
    if (outcome._tag === "RolledBack") {
      expect(outcome.error).type.toBe<Empty | Declined | StepFailed>()
      expect(outcome.failedStep).type.toBe<"reserve" | "charge" | "notify" | "approval" | "ship">()
    }
    expect(outcome._tag).type.toBe<"Completed" | "RolledBack" | "Stuck" | "Abandoned">()
  })

  test("needs what its steps and compensations need, and where it is kept", () => {
    expect(PlaceOrder.layer).type.toBe<Layer.Layer<never, never, Stock | Bank | Post | WorkflowEngine | SagaStore>>()
    const plain = base.step("a", { run: () => Effect.asVoid(CurrentStep), ...undone })
    expect(plain.layer).type.toBe<Layer.Layer<never, never, WorkflowEngine | SagaStore>>()
    const scoped = base.step("a", {
      run: () => Effect.acquireRelease(Effect.void, () => Effect.void),
      ...undone
    })
    expect(scoped.layer).type.toBe<Layer.Layer<never, never, WorkflowEngine | SagaStore>>()
    expect(plain.layerWith({ previous: [PlaceOrder] })).type.toBe<
      Layer.Layer<never, never, Stock | Bank | Post | WorkflowEngine | SagaStore>
    >()
    expect(plain.layerWith({ previous: [] })).type.toBe<Layer.Layer<never, never, WorkflowEngine | SagaStore>>()
  })

  test("is told what it waits for, and nothing else", () => {
    expect<Parameters<typeof PlaceOrder.signal<"approval">>>().type.toBe<[id: string, name: "approval", value: Date]>()
    expect<Parameters<typeof PlaceOrder.signal>[1]>().type.toBe<"approval">()
    expect<Parameters<typeof base.signal>[1]>().type.toBe<never>()
    expect(PlaceOrder.signal("id", "approval", new Date(0))).type.toBe<
      Effect.Effect<void, InvalidPayload | SagaStoreError, WorkflowEngine>
    >()
  })
})
