/** What the outbox and sagas show, and what is left out of it all because it is synthetic. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, Ref } from "effect"
import { Telemetry } from "effect-integration"
import {
  type Broker,
  Channel,
  Consumer,
  type EventType,
  MemoryBroker,
  MemoryOutbox,
  Outbox,
  OutboxRelay,
  Publisher
} from "effect-integration/event"
import { RequestIdMiddleware } from "effect-integration/http"
import { ErrorAction, Policy, RetryPolicy } from "effect-integration/policy"
import { Saga, Sagas } from "effect-integration/saga"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as Fixture from "./event/orders.ts"
import * as Script from "./event/outbox.ts"
import { ask, listen } from "./http/server.ts"
import { connect } from "./http/payments.ts"
import { counts, observed } from "./policy/observe.ts"
import * as SagaFixture from "./saga/fixture.ts"

const sampled = (name: string) => Effect.andThen(Telemetry.sample, counts(name))
const synthetic = Effect.provideService(Telemetry.Synthetic, true)

describe("the gauges of an outbox relay", () => {
  const { Loose, Strict } = Script.relayed
  const app = Layer.mergeAll(MemoryOutbox.layer, Script.keyed)
  const store = (id: string) => Outbox.publish(Loose, Fixture.OrderPlaced, Fixture.order(id), { id })
  const gauges = Effect.map(sampled("outbox_loose"), ({ outbox_age_seconds, outbox_pending }) => [
    outbox_pending,
    outbox_age_seconds
  ])

  it.effect("show how many events wait and since when, of its channels, and go with it", () =>
    observed(() =>
      Effect.gen(function* () {
        yield* Script.answer(() => Effect.never)
        yield* store("o-1")
        yield* TestClock.adjust("5 seconds")
        // Nobody relays: nobody knows.
        assert.deepStrictEqual(yield* gauges, [undefined, undefined])
        const { stop } = yield* Script.start(OutboxRelay.layer([Loose, Strict], { drain: 0 }))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* gauges, [1, 5.001])
        yield* store("o-2")
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(yield* gauges, [2, 6])
        const strict = yield* counts("outbox_strict")
        assert.deepStrictEqual([strict.outbox_pending, strict.outbox_age_seconds], [0, 0])
        yield* stop
        assert.deepStrictEqual(yield* gauges, [undefined, undefined])
        yield* Script.answer(() => Effect.void)
        yield* Script.start(OutboxRelay.layer([Loose]))
        yield* Fixture.pass(30)
        assert.deepStrictEqual(yield* gauges, [0, 0])
      }).pipe(Effect.provide(app))
    )
  )

  it.effect("people are told of an event that was set aside, under the name of its channel", () =>
    observed(() =>
      Effect.gen(function* () {
        yield* Script.answer(() => Script.failed("unroutable"))
        yield* store("o-1")
        yield* Script.start(OutboxRelay.layer([Loose], { maxAttempts: 1 }))
        yield* Fixture.pass(5)
        assert.strictEqual((yield* counts("outbox_loose"))["notices_total{alert}"], 1)
      }).pipe(Effect.provide(app))
    )
  )
})

describe("the metrics of sagas", () => {
  const options = { payload: SagaFixture.Text, idempotencyKey: SagaFixture.keyOf }
  const switched = (name: string) => {
    const down = new Set<string>()
    const at = (what: string) =>
      Effect.suspend(() => (down.has(what) ? Effect.fail(new SagaFixture.Failed("fail")) : Effect.void))
    const saga = Saga.make(name, { ...options, compensationRetry: RetryPolicy.make({ delays: ["1 second"] }) })
      .step("a", { run: () => at("a"), compensate: () => at("undo a") })
      .step("b", { run: () => at("b"), compensate: () => at("undo b") })
    return { down, saga }
  }

  it.effect("count each end once, and how many are stuck now", () => {
    const { down, saga } = switched("metered")
    return observed(() =>
      Effect.gen(function* () {
        yield* SagaFixture.ended(saga.execute({ key: "1" }))
        assert.deepStrictEqual(yield* sampled("metered"), { "sagas_total{completed}": 1, sagas_stuck: 0 })
        down.add("b")
        yield* SagaFixture.ended(saga.execute({ key: "2" }))
        down.add("undo a")
        const stuck = yield* SagaFixture.ended(saga.execute({ key: "3" }))
        const other = yield* SagaFixture.ended(saga.execute({ key: "4" }))
        assert.deepStrictEqual([stuck._tag, other._tag], ["Stuck", "Stuck"])
        const found = yield* sampled("metered")
        assert.deepStrictEqual(found, {
          "sagas_total{completed}": 1,
          "sagas_total{rolledBack}": 1,
          "sagas_total{stuck}": 2,
          "notices_total{alert}": 2,
          sagas_stuck: 2
        })
        yield* Sagas.abandon(stuck.id, { reason: "test" })
        yield* SagaFixture.untilState(stuck.id, "abandoned")
        down.delete("undo a")
        yield* Sagas.resume(other.id, { reason: "test" })
        yield* SagaFixture.untilState(other.id, "rolledBack")
        yield* SagaFixture.quiet
        assert.deepStrictEqual(yield* sampled("metered"), {
          ...found,
          "sagas_total{rolledBack}": 2,
          "sagas_total{abandoned}": 1,
          sagas_stuck: 0
        })
      }).pipe(Effect.provide(SagaFixture.memory(saga)))
    )
  })

  it.effect("a saga that synthetic traffic has started is left out, and its steps are synthetic", () => {
    const steps: Array<boolean> = []
    const policy = Policy.make("step-calls", {})
    const saga = Saga.make("metered-synthetic", options).step("a", {
      run: () =>
        Effect.gen(function* () {
          steps.push(yield* Telemetry.Synthetic)
          yield* (yield* policy)(Effect.void)
        }),
      compensate: () => Effect.void
    })
    return observed(() =>
      Effect.gen(function* () {
        yield* SagaFixture.ended(synthetic(saga.execute({ key: "1" })))
        assert.deepStrictEqual(yield* sampled("metered_synthetic"), { sagas_stuck: 0 })
        assert.deepStrictEqual(yield* counts("step_calls"), {})
        yield* SagaFixture.ended(saga.execute({ key: "2" }))
        assert.deepStrictEqual(yield* sampled("metered_synthetic"), { "sagas_total{completed}": 1, sagas_stuck: 0 })
        assert.strictEqual((yield* counts("step_calls"))["requests_total{success}"], 1)
        assert.deepStrictEqual(steps, [true, false])
      }).pipe(Effect.provide(SagaFixture.memory(saga)))
    )
  })
})

describe("synthetic traffic", () => {
  it.effect("calls are not recorded, but what they do to a circuit is", () =>
    observed(() =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("probed", {
          classify: ErrorAction.all(ErrorAction.make("retry", { notify: "alert" })),
          retry: RetryPolicy.make({ delays: ["1 millis"] }),
          rateLimit: { burst: 1 },
          breaker: { failurePercent: 50, window: "1 minute", openFor: "1 minute", minimumCalls: 2 }
        })
        const call = yield* Effect.forkChild(Effect.exit(synthetic(policy(Effect.fail("down")))))
        yield* TestClock.adjust("5 seconds")
        assert.isDefined(call.pollUnsafe())
        assert.deepStrictEqual(yield* sampled("probed"), { circuit_open: 1, circuit_openings_total: 1 })
        yield* Effect.exit(policy(Effect.fail("down")))
        assert.strictEqual((yield* counts("probed"))["requests_total{CircuitOpen}"], 1)
      })
    )
  )

  const Ship = Channel.make("telemetry-ship", [Fixture.OrderPlaced], { consumers: ["nobody"] })

  for (const how of ["a broker", "an outbox"] as const) {
    it.effect(`travels with events through ${how}, into calls and further events, and is not recorded on the way`, () =>
      observed(() =>
        Effect.gen(function* () {
          const policy = yield* Policy.make("handler-calls", {})
          const seen = yield* Ref.make<ReadonlyArray<unknown>>([])
          const consumer = Consumer.make("billing", Fixture.Orders, {
            handlers: {
              "com.acme.order.placed": Effect.fn(function* (event: EventType.Event<typeof Fixture.OrderPlaced>) {
                yield* policy(Effect.void)
                const shipped = yield* Effect.orDie(
                  Publisher.publish(Ship, Fixture.OrderPlaced, event.data, { id: event.data.id })
                )
                const { synthetic } = shipped.extensions
                yield* Ref.update(seen, (all) => [...all, [event.data.id, event.extensions.synthetic, synthetic]])
                if (event.data.id.endsWith("refused")) return yield* new Fixture.Refused()
              })
            }
          })
          yield* Fixture.start(consumer.layer)
          if (how === "an outbox") yield* Script.start(OutboxRelay.layer([Fixture.Orders]))
          const publish = (id: string): Effect.Effect<unknown, unknown, Broker.Broker | Outbox.Outbox> =>
            how === "a broker"
              ? Fixture.place(id)
              : Outbox.publish(Fixture.Orders, Fixture.OrderPlaced, Fixture.order(id), { id })
          for (const id of ["s-1", "s-refused"]) yield* synthetic(publish(id))
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual(yield* Ref.get(seen), [
            ["s-1", true, true],
            ["s-refused", true, true]
          ])
          const gauges = { consumer_lag: 0, consumer_lag_seconds: 0, consumer_paused: 0, dlq_depth: 1 }
          assert.deepStrictEqual(yield* sampled("billing"), gauges)
          const pending = how === "a broker" ? {} : { outbox_age_seconds: 0, outbox_pending: 0 }
          assert.deepStrictEqual(yield* counts("orders"), pending)
          assert.deepStrictEqual(yield* counts("telemetry_ship"), {})
          assert.deepStrictEqual(yield* counts("handler_calls"), {})

          yield* publish("o-1")
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual((yield* Ref.get(seen)).slice(2), [["o-1", undefined, undefined]])
          const found = yield* sampled("billing")
          assert.deepStrictEqual(found, { ...gauges, "deliveries_total{done}": 1, handling_ms: 1 })
          assert.strictEqual((yield* counts("orders"))["published_total{confirmed}"], 1)
          assert.strictEqual((yield* counts("handler_calls"))["requests_total{success}"], 1)
        }).pipe(Effect.provide(Layer.mergeAll(MemoryBroker.layer, MemoryOutbox.layer)))
      )
    )
  }

  it.live("travels over HTTP, and into what the server calls", () =>
    observed(() =>
      Effect.gen(function* () {
        const headers: Array<string | undefined> = []
        const provider = Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          headers.push(request.headers["x-synthetic"])
          return HttpServerResponse.jsonUnsafe({ id: "c1", amount: 5 })
        })
        const { create } = yield* connect({ baseUrl: yield* listen(provider), name: "http-synthetic" })
        // A server that calls another one for each request.
        const server = Effect.as(Effect.orDie(create), HttpServerResponse.text("done"))
        const url = yield* listen(RequestIdMiddleware.make(server, { trustSynthetic: true }))
        yield* ask(url, { headers: { "x-synthetic": "true" } })
        yield* ask(url, { headers: { "x-synthetic": "yes" } })
        yield* ask(url)
        yield* synthetic(create)
        assert.deepStrictEqual(headers, ["true", undefined, undefined, "true"])
        assert.strictEqual((yield* counts("http_synthetic"))["requests_total{success}"], 2)
      }).pipe(Effect.provide(NodeHttpClient.layerUndici))
    )
  )

  it.live("a stranger hid from the metrics by a header", () =>
    observed(() =>
      Effect.gen(function* () {
        const provider = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
          HttpServerResponse.jsonUnsafe({ id: headers["x-synthetic"] ?? "c1", amount: 5 })
        )
        const { create } = yield* connect({ baseUrl: yield* listen(provider), name: "http-stranger" })
        const server = Effect.map(Effect.orDie(create), ({ id }) => HttpServerResponse.text(id))
        const answer = yield* ask(yield* listen(RequestIdMiddleware.make(server)), {
          headers: { "x-synthetic": "true" }
        })
        assert.strictEqual(answer.text, "c1")
        assert.strictEqual((yield* counts("http_stranger"))["requests_total{success}"], 1)
      }).pipe(Effect.provide(NodeHttpClient.layerUndici))
    )
  )

  it.effect("probes and alerts are recorded, though a probe is synthetic", () =>
    observed(() =>
      Effect.gen(function* () {
        const recorder = Telemetry.recorder("probing")
        const context = yield* synthetic(Effect.context<never>())
        recorder.probe("success", 12, context)
        recorder.probe("Timeout", 3000, context)
        recorder.alert("delivered", context)
        assert.deepStrictEqual(yield* counts("probing"), {
          "probes_total{success}": 1,
          "probes_total{Timeout}": 1,
          probe_success: 0,
          probe_duration_ms: 3000,
          "alerts_total{delivered}": 1
        })
      })
    )
  )
})

describe("the catalogue", () => {
  it.effect("names everything that is recorded, with its description and the one label that it has", () =>
    observed(() =>
      Effect.gen(function* () {
        const recorder = Telemetry.recorder("catalogued")
        const context = yield* Effect.context<never>()
        const circuit = {}
        recorder.call("success", 1, context)
        recorder.attempt(context)
        recorder.retry("Fault", context)
        recorder.rateLimitWait(context)
        recorder.tokenRefresh("success", context)
        recorder.delivery("done", context)
        recorder.handled(1, context)
        recorder.paused(true, context)
        recorder.published("confirmed", context)
        recorder.circuits(circuit, context)
        recorder.opened(circuit, context)
        recorder.notice("alert", context)
        recorder.saga("completed", context)
        recorder.probe("success", 1, context)
        recorder.alert("delivered", context)
        const gauges = ["deadLetters", "lag", "lagAge", "sagasStuck", "outboxPending", "outboxAge"] as const
        yield* Telemetry.sampler(Effect.succeed(gauges.map((metric) => ({ metric, name: "catalogued", value: 1 }))))
        yield* Telemetry.sample
        const found = (yield* Metric.snapshot).map(({ attributes, description, id, type }) => ({
          name: id,
          kind: type.toLowerCase(),
          description,
          label: Object.keys(attributes ?? {})[0]
        }))
        const expected = Object.values<Telemetry.Metered>(Telemetry.catalogue).map((metered) => ({
          name: metered.name.replace("{name}", "catalogued"),
          kind: metered.kind,
          description: metered.description,
          label: metered.label
        }))
        const byName = (a: { readonly name: string }, b: { readonly name: string }) => (a.name < b.name ? -1 : 1)
        assert.deepStrictEqual(found.toSorted(byName), expected.toSorted(byName))
        // Both are kept until here.
        assert.isDefined(circuit)
      })
    )
  )
})
