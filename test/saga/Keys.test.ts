import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Channel, EventType, MemoryBroker, Publisher } from "effect-integration/event"
import { HttpContract, StatusTable } from "effect-integration/http"
import { OperationKey, RequestContext, RetryPolicy } from "effect-integration/policy"
import { CurrentStep, Saga, SagaEngine } from "effect-integration/saga"
import { Reply, StubProvider } from "effect-integration/testing"
import * as fixture from "./fixture.ts"

const retry = RetryPolicy.make({ delays: ["1 second", "1 second"] })

describe("operation keys in a saga", () => {
  it.effect("are the same on each attempt, and of their step, phase, saga and definition", () => {
    const keys: Array<{ readonly where: string; readonly key: string }> = []
    const note = Effect.gen(function* () {
      const { attempt, id, phase, saga, step } = yield* CurrentStep
      for (const operation of ["charge", "charge", "notify"]) {
        const key = yield* OperationKey.next(operation)
        keys.push({ where: `${saga} ${id} ${phase} ${step} ${operation}`, key })
      }
      if (attempt < 3) return yield* Effect.fail(new fixture.Failed("retry"))
    })
    const sagaOf = (name: string) =>
      Saga.make(name, { payload: fixture.Text, idempotencyKey: fixture.keyOf, compensationRetry: retry })
        .step("one", { run: () => note, compensate: () => note, retry })
        .step("two", { run: () => note, compensate: () => note, retry })
        .step("last", {
          run: () => Effect.fail(new fixture.Failed("fail", "unprocessed")),
          compensate: () => Effect.void
        })
    const A = sagaOf("a")
    const B = sagaOf("b")
    return Effect.gen(function* () {
      for (const saga of [A, B]) {
        for (const key of ["1", "2"]) {
          const outcome = yield* fixture.ended(saga.execute({ key }))
          assert.strictEqual(outcome._tag, "RolledBack")
        }
      }
      // 2 definitions, 2 keys, 2 steps, 2 phases, 3 attempts, 3 calls
      assert.strictEqual(keys.length, 2 * 2 * 2 * 2 * 3 * 3)
      const byPlace = new Map<string, Array<string>>()
      for (const { key, where } of keys) byPlace.set(where, [...(byPlace.get(where) ?? []), key])
      for (const [where, found] of byPlace) {
        assert.strictEqual(new Set(found).size, where.endsWith("charge") ? 2 : 1, where)
      }
      assert.strictEqual(new Set(keys.map(({ key }) => key)).size, 2 * 2 * 2 * 2 * 3)
    }).pipe(Effect.provide(fixture.memory(A, B)))
  })

  it.effect("are the same in another process's run of the same saga", () => {
    const keys: Array<string> = []
    const S = Saga.make("same", { payload: fixture.Text, idempotencyKey: fixture.keyOf }).step("one", {
      run: () => Effect.map(OperationKey.next("charge"), (key) => void keys.push(key)),
      compensate: () => Effect.void
    })
    const run = Effect.provide(fixture.ended(S.execute({ key: "1" })), fixture.memory(S))
    return Effect.gen(function* () {
      yield* Effect.andThen(run, run)
      assert.strictEqual(keys.length, 2)
      assert.strictEqual(keys[0], keys[1])
    })
  })

  it.effect("do not leak from whoever starts it", () => {
    const keys: Array<string> = []
    const S = Saga.make("apart", { payload: fixture.Text, idempotencyKey: fixture.keyOf }).step("one", {
      run: () => Effect.map(OperationKey.next("charge"), (key) => void keys.push(key)),
      compensate: () => Effect.void
    })
    return Effect.gen(function* () {
      yield* fixture.ended(OperationKey.withKey("mine")(S.execute({ key: "1" })))
      assert.strictEqual(keys.length, 1)
      assert.notStrictEqual(keys[0], "mine")
    }).pipe(Effect.provide(fixture.memory(S)))
  })
})

describe("the request id in a step", () => {
  it.effect("is that of the start, else the id of the saga", () => {
    const ids: Array<string | undefined> = []
    const S = Saga.make("requests", { payload: fixture.Text, idempotencyKey: fixture.keyOf }).step("one", {
      run: () => Effect.map(RequestContext.RequestContext, ({ requestId }) => void ids.push(requestId)),
      compensate: () => Effect.void
    })
    return Effect.gen(function* () {
      yield* fixture.ended(RequestContext.withRequestId("r-1")(S.execute({ key: "1" })))
      yield* fixture.ended(S.execute({ key: "2" }))
      assert.deepStrictEqual(ids, ["r-1", yield* S.idOf("2")])
    }).pipe(Effect.provide(fixture.memory(S)))
  })
})

const Api = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.post("create", "/charges", {
      payload: Schema.Struct({ amount: Schema.Int }),
      success: Schema.Struct({ id: Schema.String })
    })
  )
)

describe("a contract that is called in a step", () => {
  it.live("sends one idempotency key on each attempt of the step, and another when it is undone", () =>
    Effect.gen(function* () {
      const provider = yield* StubProvider.make()
      yield* provider.on("POST /charges", Reply.times(2, Reply.status(500)), Reply.json(200, { id: "c" }))
      class Payments extends HttpContract.Service<Payments>()("saga-payments", {
        api: Api,
        baseUrl: provider.url,
        errors: StatusTable.standard,
        idempotent: true
      }) {}
      const charge = Payments.use((payments) => payments.charges.create({ payload: { amount: 1 } }))
      const S = Saga.make("pays", { payload: fixture.Text, idempotencyKey: fixture.keyOf })
        .step("pay", {
          run: () => Effect.asVoid(charge),
          compensate: () => charge,
          retry: RetryPolicy.make({ delays: ["1 millis", "1 millis"] })
        })
        .step("fail", { run: () => Effect.fail("no"), compensate: () => Effect.void })
      const outcome = yield* Effect.provide(
        S.execute({ key: "1" }),
        S.layer.pipe(Layer.provide(Payments.layer), Layer.provideMerge(SagaEngine.layerMemory))
      )
      assert.strictEqual(outcome._tag, "RolledBack")
      const requests = yield* provider.requests
      const keys = requests.map(({ headers }) => headers["x-idempotency-key"])
      assert.strictEqual(keys.length, 4)
      assert.isString(keys[0])
      assert.deepStrictEqual(keys.slice(1, 3), [keys[0], keys[0]])
      assert.isString(keys[3])
      assert.notStrictEqual(keys[3], keys[0])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )
})

describe("an event that is published in a step", () => {
  it.effect("has the same id when the step is run again", () => {
    const Placed = EventType.make("placed", { source: "https://acme.com", data: fixture.Text })
    const Orders = Channel.make("saga-orders", [Placed], { consumers: ["audit"] })
    const ids: Array<string> = []
    const S = Saga.make("publishes", { payload: fixture.Text, idempotencyKey: fixture.keyOf }).step("publish", {
      run: (payload) =>
        Effect.gen(function* () {
          const event = yield* Publisher.publish(Orders, Placed, payload)
          ids.push(event.id)
          if (ids.length === 1) return yield* Effect.fail(new fixture.Failed("retry"))
        }),
      compensate: () => Effect.void,
      retry
    })
    return Effect.gen(function* () {
      yield* fixture.ended(S.execute({ key: "1" }))
      yield* fixture.ended(S.execute({ key: "2" }))
      assert.strictEqual(ids.length, 3)
      assert.strictEqual(ids[0], ids[1])
      assert.notStrictEqual(ids[0], ids[2])
    }).pipe(Effect.provide(S.layer.pipe(Layer.provide(MemoryBroker.layer), Layer.provideMerge(SagaEngine.layerMemory))))
  })
})
