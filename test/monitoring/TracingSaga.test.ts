import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Ref, Scope } from "effect"
import {
  Channel,
  Consumer,
  EventType,
  MemoryBroker,
  MemoryOutbox,
  Outbox,
  OutboxRelay,
  Publisher
} from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import { Saga, SagaEngine } from "effect-integration/saga"
import type { Tracer } from "effect"
import { ended, Failed, filename, keyOf, on, sqlite, Text } from "../saga/fixture.ts"
import { recording } from "./collector.ts"

const Placed = EventType.make("com.acme.placed", { source: "https://acme.com", data: Text })

/** What has ended, as lines: the name, that of its parent, and how often it was tried. */
const lines = (spans: ReadonlyArray<Tracer.Span>) =>
  spans
    .filter(({ status }) => status._tag === "Ended")
    .map(({ attributes, name, parent, status }) => {
      const above = spans.find(({ spanId }) => parent._tag === "Some" && parent.value.spanId === spanId)
      const attempt = attributes.get("integration.attempt")
      const exit = status._tag === "Ended" && status.exit._tag === "Failure" ? " failed" : ""
      return `${above === undefined ? "" : `${above.name} > `}${name}${attempt === undefined ? "" : ` ${attempt}`}${exit}`
    })
    .toSorted()

const traces = (spans: ReadonlyArray<Tracer.Span>) => new Set(spans.map(({ traceId }) => traceId)).size

describe("sagas", () => {
  const Flow = (steps: Ref.Ref<number>) =>
    Saga.make("flow", { payload: Text, idempotencyKey: keyOf })
      .step("first", {
        run: () => Effect.annotateCurrentSpan("inside", "first"),
        compensate: () => Effect.void
      })
      .delay("rest", "1 hour")
      .step("second", {
        run: () =>
          Effect.flatMap(
            Ref.updateAndGet(steps, (count) => count + 1),
            (count) => (count === 1 ? Effect.fail(new Failed("retry")) : Effect.void)
          ),
        retry: RetryPolicy.make({ delays: ["10 millis"] }),
        compensate: () => Effect.void
      })
      .delay("more", "1 hour")

  it.effect("have one span of a run and one of each attempt, however often it is replayed", () =>
    Effect.gen(function* () {
      const { layer, spans } = recording()
      const flow = Flow(yield* Ref.make(0))
      const outcome = yield* ended(Effect.withSpan(flow.execute({ key: "a" }), "caller"), "10 minutes").pipe(
        Effect.provide(Layer.provideMerge(on(SagaEngine.layerMemory, flow), layer))
      )
      assert.strictEqual(outcome._tag, "Completed")
      assert.deepStrictEqual(lines(spans), [
        "caller",
        "caller > saga flow",
        "saga flow > step first 1",
        "saga flow > step second 1 failed",
        "saga flow > step second 2"
      ])
      assert.strictEqual(traces(spans), 1)
      assert.lengthOf(
        spans.filter(({ name }) => name === "saga flow"),
        1,
        "none is begun and forgotten"
      )
      assert.strictEqual(spans.find(({ name }) => name === "step first")!.attributes.get("inside"), "first")
    })
  )

  it.live("say that they were rolled back, and why, by the tag alone", () =>
    Effect.gen(function* () {
      const { layer, spans } = recording()
      const undone = Saga.make("undone", { payload: Text, idempotencyKey: keyOf })
        .step("book", { run: () => Effect.void, compensate: () => Effect.void })
        .step("pay", { run: () => Effect.fail(new Failed("fail", "unprocessed")), compensate: () => Effect.void })
      yield* undone
        .execute({ key: "a" })
        .pipe(Effect.provide(Layer.provideMerge(on(SagaEngine.layerMemory, undone), layer)))
      assert.deepStrictEqual(lines(spans), [
        "saga undone > compensate book 1",
        "saga undone > step book 1",
        "saga undone > step pay 1 failed",
        "saga undone failed"
      ])
      const { attributes } = spans.find(({ name }) => name === "saga undone")!
      assert.strictEqual(attributes.get("integration.saga.outcome"), "RolledBack")
      assert.strictEqual(attributes.get("error.type"), "Failed")
      assert.strictEqual(
        spans.find(({ name }) => name === "compensate book")!.attributes.get("integration.saga.phase"),
        "compensate"
      )
    })
  )

  it.live("stay in the trace of the consumer that starts them, and hand it on", () =>
    Effect.gen(function* () {
      const { layer, spans } = recording()
      const done = yield* Deferred.make<void>()
      const Orders = Channel.make("orders", [Placed], { consumers: ["starter"] })
      const Done = Channel.make("done", [Placed], { consumers: ["last"] })
      const flow = Saga.make("started", { payload: Text, idempotencyKey: keyOf }).step("tell", {
        run: ({ key }) => Effect.orDie(Publisher.publish(Done, Placed, { key })),
        irreversible: "told"
      })
      const Starter = Consumer.make("starter", Orders, {
        handlers: { "com.acme.placed": ({ data }) => Effect.orDie(flow.start(data)) }
      })
      const Last = Consumer.make("last", Done, {
        handlers: { "com.acme.placed": () => Deferred.succeed(done, undefined) }
      })
      const application = Layer.mergeAll(Starter.layer, Last.layer, flow.layer).pipe(
        Layer.provideMerge([MemoryBroker.layer, SagaEngine.layerMemory])
      )
      yield* Effect.andThen(Publisher.publish(Orders, Placed, { key: "a" }), Deferred.await(done)).pipe(
        Effect.withSpan("caller"),
        Effect.provide(Layer.provideMerge(application, layer))
      )
      assert.deepStrictEqual(lines(spans), [
        "caller",
        "caller > publish orders",
        "process orders > saga started",
        "publish done > process done 1",
        "publish orders > process orders 1",
        "saga started > step tell 1",
        "step tell > publish done"
      ])
      assert.strictEqual(traces(spans), 1)
    })
  )

  it.live("go on in their trace in another process, and do not repeat the span of a step that is done", () =>
    Effect.gen(function* () {
      const file = yield* filename
      const reached = yield* Deferred.make<void>()
      const moved = Saga.make("moved", { payload: Text, idempotencyKey: keyOf })
        .step("one", { run: () => Deferred.succeed(reached, undefined), compensate: () => Effect.void })
        .delay("rest", "1 second")
        .step("two", { run: () => Effect.void, compensate: () => Effect.void })
      const before = recording()
      const scope = yield* Scope.make()
      yield* Effect.andThen(moved.start({ key: "a" }), Deferred.await(reached)).pipe(
        Effect.withSpan("caller"),
        Effect.provide(yield* Layer.buildWithScope(Layer.provideMerge(on(sqlite(file), moved), before.layer), scope))
      )
      yield* Scope.close(scope, Exit.void)
      const own = ({ name }: Tracer.Span) => /^(caller|saga|step)/.test(name)
      assert.deepStrictEqual(lines(before.spans.filter(own)), [
        "caller",
        "caller > saga moved failed",
        "saga moved > step one 1"
      ])
      const after = recording()
      const outcome = yield* moved
        .execute({ key: "a" })
        .pipe(Effect.provide(Layer.provide(on(sqlite(file), moved), after.layer)))
      assert.strictEqual(outcome._tag, "Completed")
      const again = after.spans.filter(own)
      assert.deepStrictEqual(lines(again), ["saga moved", "saga moved > step two 1"])
      const caller = before.spans.find(({ name }) => name === "caller")!
      const run = again.find(({ name }) => name === "saga moved")!
      assert.strictEqual(run.traceId, caller.traceId)
      assert.strictEqual(run.parent._tag === "Some" && run.parent.value.spanId, caller.spanId)
    })
  )

  it.live("hand the trace on without a tracer", () =>
    Effect.gen(function* () {
      const { layer, spans } = recording()
      const seen = yield* Ref.make<ReadonlyArray<string>>([])
      const flow = Saga.make("quiet", { payload: Text, idempotencyKey: keyOf }).step("look", {
        run: () =>
          Effect.flatMap(Effect.currentParentSpan, ({ traceId, spanId }) =>
            Ref.update(seen, (all) => [...all, `${traceId} ${spanId}`])
          ).pipe(Effect.orDie),
        irreversible: "seen"
      })
      yield* flow
        .execute({ key: "a" })
        .pipe(Effect.withSpan("caller"), Effect.provide(Layer.merge(layer, on(sqlite(yield* filename), flow))))
      const { spanId, traceId } = spans.find(({ name }) => name === "caller")!
      assert.deepStrictEqual(yield* Ref.get(seen), [`${traceId} ${spanId}`])
      assert.notInclude(lines(spans).join(), "step look")
    })
  )
})

describe("the outbox", () => {
  it.live("publishes in the trace of what has stored the event", () =>
    Effect.gen(function* () {
      const { layer, spans } = recording()
      const done = yield* Deferred.make<void>()
      const Orders = Channel.make("orders", [Placed], { consumers: ["last"] })
      const Last = Consumer.make("last", Orders, {
        handlers: { "com.acme.placed": () => Deferred.succeed(done, undefined) }
      })
      const application = Layer.mergeAll(Last.layer, OutboxRelay.layer([Orders])).pipe(
        Layer.provideMerge([MemoryBroker.layer, MemoryOutbox.layer])
      )
      yield* Effect.andThen(Outbox.publish(Orders, Placed, { key: "a" }), Deferred.await(done)).pipe(
        Effect.withSpan("transaction"),
        Effect.provide(Layer.provideMerge(application, layer))
      )
      assert.deepStrictEqual(lines(spans), [
        "create orders > process orders 1",
        "create orders > publish orders",
        "transaction",
        "transaction > create orders"
      ])
      assert.strictEqual(traces(spans), 1)
      const [created, published] = ["create orders", "publish orders"].map((name) =>
        spans.find((span) => span.name === name)!
      )
      assert.deepStrictEqual([created!.kind, published!.kind], ["producer", "client"])
      assert.deepStrictEqual(
        published!.links.map(({ span }) => span.spanId),
        [created!.spanId]
      )
      assert.strictEqual(created!.attributes.get("messaging.operation.type"), "create")
      assert.deepStrictEqual(
        ["messaging.system", "messaging.operation.type", "messaging.message.id"].map((name) =>
          published!.attributes.get(name)
        ),
        ["memory", "send", created!.attributes.get("messaging.message.id")]
      )
    })
  )
})
