import { it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { RabbitMqBroker } from "../../src/rabbitmq/index.ts"
import { BrokerSuite } from "../../src/testing/index.ts"
import { amqpUrl, describeRabbitMq } from "../servers/Servers.ts"

const layerOf = (queueType: "quorum" | "classic") =>
  Layer.unwrap(Effect.map(amqpUrl, (url) => RabbitMqBroker.layer({ url, queueType, connectionName: "broker-suite" })))

for (const queueType of ["quorum", "classic"] as const) {
  const broker = layerOf(queueType)
  const features: BrokerSuite.Features = {
    time: "real",
    delays: true,
    partitions: true,
    persistent: true,
    headerTypes: "all",
    maxMessages: "approximate",
    givenBack: queueType === "quorum" ? "front" : "place",
    maxAge: true,
    properties: { correlationId: "c-1", replyTo: "answers", priority: 4, type: "suite", appId: "tests" },
    otherProcess: broker
  }
  describeRabbitMq(`BrokerSuite on RabbitMqBroker with ${queueType} queues`, () => {
    for (const { name, run } of BrokerSuite.make(features)) {
      it.live(name, () => Effect.provide(run, broker))
    }
  })
}
