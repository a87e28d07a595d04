import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { RetryPolicy } from "effect-integration/policy"
import { Saga, SagaEngine, SagaStore, SagaStoreError } from "effect-integration/saga"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import * as fixture from "./fixture.ts"

/** Retries, a group, a signal, a long delay, and at the end a step that fails for good. */
const sagaOf = (name: string) => {
  const ran: Array<string> = []
  const say = (what: string) => Effect.sync(() => void ran.push(what))
  const flaky = (what: string) =>
    Effect.suspend(() => (ran.push(what) > 0 && ran.filter((each) => each === what).length < 2 ? retried : Effect.void))
  const retried = Effect.fail(new fixture.Failed("retry"))
  const saga = Saga.make(name, { payload: fixture.Text, idempotencyKey: fixture.keyOf })
    .step("a", {
      success: Schema.String,
      retry: RetryPolicy.make({ delays: ["1 second", "1 second"] }),
      run: () => Effect.as(flaky("a"), "a"),
      compensate: () => say("undo a")
    })
    .parallel((group) =>
      group
        .step("b", { run: () => say("b"), compensate: () => say("undo b") })
        .step("c", { run: () => Effect.andThen(Effect.sleep("1 second"), say("c")), compensate: () => say("undo c") })
    )
    .waitFor("go", { success: Schema.String, deadline: "1 day" })
    .delay("pause", "2 minutes")
    .step("fail", {
      run: () => Effect.andThen(say("fail"), Effect.fail(new fixture.Failed("fail", "unprocessed"))),
      compensate: () => say("undo fail")
    })
  return { ran, saga }
}
const undone = ["undo c", "undo b", "undo a"]

type Fault = "before" | "after"
type Method = "activityExecute" | "deferredResult" | "scheduleClock" | "record"

/** The engine of memory, whose nth call of a method dies: before it is made, or after, so that its answer is lost. */
const faulty = (method: Method, at: number, when: Fault) => {
  const seen = { calls: 0 }
  const broken = <A, E, R>(self: Effect.Effect<A, E, R>, failure: Effect.Effect<never, E>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      seen.calls += 1
      if (seen.calls !== at) return self
      return when === "before" ? failure : Effect.andThen(self, failure)
    })
  const down = Effect.die(new Error("the store of the engine is down"))
  const engine = Layer.effect(
    WorkflowEngine,
    Effect.map(WorkflowEngine, (inner) => {
      const self: WorkflowEngine["Service"] = {
        ...inner,
        register: ((workflow: any, execute: any) =>
          inner.register(workflow, (payload: any, id: string) =>
            Effect.provideService(execute(payload, id) as Effect.Effect<any, any, any>, WorkflowEngine, self)
          )) as any,
        ...(method === "record"
          ? undefined
          : {
              [method]: (...given: ReadonlyArray<any>) => broken<any, any, any>((inner[method] as any)(...given), down)
            })
      }
      return self
    })
  )
  const store = Layer.effect(
    SagaStore.SagaStore,
    Effect.map(SagaStore.SagaStore, (inner) => ({
      ...inner,
      record: (id: string, entry: SagaStore.Entry): ReturnType<typeof inner.record> =>
        method === "record"
          ? broken(
              inner.record(id, entry),
              Effect.fail(new SagaStoreError({ operation: "record", description: "down" }))
            )
          : inner.record(id, entry)
    }))
  )
  return { seen, layer: Layer.provide(Layer.merge(engine, store), SagaEngine.layerMemory) }
}

const performed = Effect.fnUntraced(function* (method: Method, at: number, when: Fault) {
  const { ran, saga } = sagaOf(`fault-${method}-${when}`)
  const { layer, seen } = faulty(method, at, when)
  const outcome = yield* Effect.gen(function* () {
    const id = yield* saga.idOf("1")
    yield* Effect.retry(saga.signal(id, "go", "yes"), { times: 3 })
    yield* Effect.retry(saga.start({ key: "1" }), { times: 3 })
    return yield* fixture.ended(saga.execute({ key: "1" }), "1 second")
  }).pipe(Effect.provide(fixture.on(layer, saga)))
  return { outcome, ran, calls: seen.calls }
})

describe("a saga whose engine fails in the middle", () => {
  for (const method of ["activityExecute", "deferredResult", "scheduleClock", "record"] as const) {
    for (const when of ["before", "after"] as const) {
      it.effect(
        `ends as it would have, whichever ${method} dies ${when} it is made`,
        () =>
          Effect.gen(function* () {
            let at = 1
            for (; ; at++) {
              const { calls, outcome, ran } = yield* performed(method, at, when)
              if (at > calls) break
              const where = `call ${at} of ${method}`
              assert.strictEqual(outcome._tag, "RolledBack", where)
              if (outcome._tag !== "RolledBack") return
              assert.strictEqual(outcome.failedStep, "fail", where)
              // An attempt whose beginning was recorded twice may have been cut off, so it is undone for safety's sake.
              const isUndone = method === "record" && when === "after" && outcome.compensated[0] === "fail"
              assert.deepStrictEqual<ReadonlyArray<string>>(
                outcome.compensated,
                [...(isUndone ? ["fail"] : []), "c", "b", "a"],
                where
              )
              assert.deepStrictEqual(ran.slice(0, 2), ["a", "a"], where)
              assert.deepStrictEqual(ran.slice(2, 4).toSorted(), ["b", "c"], where)
              assert.deepStrictEqual(ran.slice(4), ["fail", ...(isUndone ? ["undo fail"] : []), ...undone], where)
            }
            assert.isAbove(at, method === "scheduleClock" ? 2 : 4, "nothing was broken")
          }),
        120_000
      )
    }
  }
})
