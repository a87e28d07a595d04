import { NodeHttpClient } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Schema } from "effect"
import { Channel, Consumer, EventType, MemoryOutbox, Outbox, OutboxRelay } from "effect-integration/event"
import { Tracing } from "effect-integration/monitoring"
import { RabbitMqBroker } from "effect-integration/rabbitmq"
import design from "../../examples/orders-to-payments/design.ts"
import { amqpUrl, describeRabbitMq, unique } from "../servers/Servers.ts"
import { collect, named, record, tree } from "./collector.ts"
import { expected, run } from "./flagship.ts"

const otlp = (endpoint: string) =>
  Tracing.layer(design, { environment: "Local", endpoint, format: "json" }).pipe(
    Layer.provide(NodeHttpClient.layerUndici)
  )

describeRabbitMq("tracing over RabbitMQ", () => {
  it.live("is the same trace of the flagship", () =>
    Effect.gen(function* () {
      const collector = yield* collect
      const outcome = yield* run(RabbitMqBroker.layer({ url: yield* amqpUrl }), otlp(collector.url))
      assert.deepStrictEqual(outcome, { outcome: "Completed", requestId: "req-1" })
      const spans = collector.spans()
      assert.deepStrictEqual(tree(spans), expected)
      assert.strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 1)
      const messaging = spans.filter(({ kind }) => kind >= 4)
      assert.lengthOf(messaging, 8)
      for (const { attributes, kind, links, parentSpanId } of messaging) {
        assert.strictEqual(record(attributes)["messaging.system"], "rabbitmq")
        assert.deepStrictEqual(
          links.map(({ spanId }) => spanId),
          kind === 5 ? [parentSpanId] : []
        )
      }
    })
  )

  it.live("goes through an outbox", () =>
    Effect.gen(function* () {
      const collector = yield* collect
      const Placed = EventType.make("com.acme.placed", { source: "https://acme.com", data: Schema.String })
      const Stored = Channel.make(unique("stored"), [Placed], { consumers: ["last"] })
      const done = yield* Deferred.make<void>()
      const Last = Consumer.make("last", Stored, {
        handlers: { "com.acme.placed": () => Deferred.succeed(done, undefined) }
      })
      const application = Layer.mergeAll(Last.layer, OutboxRelay.layer([Stored])).pipe(
        Layer.provideMerge([RabbitMqBroker.layer({ url: yield* amqpUrl }), MemoryOutbox.layer])
      )
      yield* Effect.andThen(Outbox.publish(Stored, Placed, "a"), Deferred.await(done)).pipe(
        Effect.withSpan("transaction"),
        Effect.provide(Layer.provideMerge(application, otlp(collector.url)))
      )
      const spans = collector.spans()
      assert.deepStrictEqual(tree(spans), [
        "transaction (internal)",
        `  create ${Stored.name} (producer)`,
        `    publish ${Stored.name} (client)`,
        `    process ${Stored.name} (consumer)`
      ])
      assert.strictEqual(record(named(spans, `publish ${Stored.name}`)[0]!.attributes)["messaging.system"], "rabbitmq")
    })
  )
})
