import { assert, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Context, Effect, Layer, Logger, Redacted } from "effect"
import { Broker } from "effect-integration/event"
import { RabbitMqBroker } from "effect-integration/rabbitmq"
import { inspect } from "node:util"
import { freePort } from "../servers/Port.ts"
import { amqpUrl, describeRabbitMq } from "../servers/Servers.ts"
import * as TcpProxy from "../servers/TcpProxy.ts"
import { until } from "../servers/until.ts"
import { connect, fresh, read, subscribe, takeAck, text } from "./fixture.ts"

const secret = "s3cret-pa55word"

const withPassword = (url: string) => {
  const changed = new URL(url)
  changed.username = "mallory"
  changed.password = secret
  return changed.href
}

describeRabbitMq("connecting", () => {
  it.live("fails with the first attempt where it is asked to", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const url = `amqp://mallory:${secret}@127.0.0.1:${port}`
      const error = yield* Effect.flip(connect({ url, startup: "fail" }))
      assert.strictEqual(error._tag, "BrokerUnavailable")
      assert.include(error.message, "ECONNREFUSED")
      assert.notInclude(inspect(error, { depth: 10 }), secret)
    })
  )

  it.live("waits for a broker that is not there yet, for a while", () =>
    Effect.gen(function* () {
      const url = yield* amqpUrl
      const proxy = yield* TcpProxy.make({ port: Number(new URL(url).port) })
      yield* proxy.refuse
      const options = { url: proxy.url(url), reconnect: { base: "5 millis", cap: "50 millis" } } as const
      const error = yield* Effect.flip(connect({ ...options, startupTimeout: "200 millis" }))
      assert.include(error.description, "not there within 200 ms")
      yield* Effect.forkChild(Effect.andThen(Effect.sleep(100), proxy.accept))
      const broker = yield* connect(options)
      assert.isTrue((yield* broker.health).connected)
    })
  )

  it.live("gives up an attempt that is not answered", () =>
    Effect.gen(function* () {
      const url = yield* amqpUrl
      const proxy = yield* TcpProxy.make({ port: Number(new URL(url).port) })
      yield* proxy.stall("down")
      const error = yield* Effect.flip(connect({ url: proxy.url(url), connectTimeout: "100 millis", startup: "fail" }))
      assert.strictEqual(error._tag, "BrokerUnavailable")
      yield* proxy.resume
      yield* until(Effect.map(proxy.connections, (count) => count === 0))
    })
  )

  it.live("notices by the missing heartbeats that the broker is gone", () =>
    Effect.gen(function* () {
      const url = yield* amqpUrl
      const proxy = yield* TcpProxy.make({ port: Number(new URL(url).port) })
      const broker = yield* connect({ url: proxy.url(url), heartbeat: "1 second" })
      yield* proxy.swallow()
      yield* until(Effect.map(broker.health, ({ connected }) => !connected))
      yield* proxy.cut
      yield* proxy.resume
      yield* until(Effect.map(broker.health, ({ connected }) => connected))
    })
  )

  it.live("tells nobody the credentials", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.make((options) => {
        logged.push(inspect(options, { depth: 8 }))
      })
      const url = Redacted.make(withPassword(yield* amqpUrl))
      const options = { url, startupTimeout: "300 millis" } as const
      const exit = yield* Effect.exit(connect(options)).pipe(Effect.provide(Logger.layer([logger])))
      const texts = [inspect(exit, { depth: 12 }), JSON.stringify(exit), ...logged]
      if (exit._tag === "Failure") texts.push(Cause.pretty(exit.cause))
      assert.isAbove(logged.length, 0)
      assert.isTrue(texts.some((text) => text.includes("ACCESS_REFUSED") || text.includes("ACCESS-REFUSED")))
      for (const text of texts) assert.notInclude(text, secret)

      const good = yield* connect({ url: yield* amqpUrl })
      for (const text of [inspect(good, { depth: 12, showHidden: true }), JSON.stringify(good)]) {
        assert.notInclude(text, "guest")
      }
      const channel = fresh()
      const deliveries = yield* subscribe(good, channel)
      yield* good.publish(channel, text("x"))
      assert.notInclude(inspect(yield* takeAck(deliveries), { depth: 3 }), "guest")
    })
  )

  it.live("takes its options from the configuration", () =>
    Effect.gen(function* () {
      const layer = RabbitMqBroker.layerConfig({
        url: Config.Redacted("AMQP_URL"),
        publishTimeout: "5 seconds",
        queueType: "classic"
      })
      const provider = ConfigProvider.layer(ConfigProvider.fromUnknown({ AMQP_URL: yield* amqpUrl }))
      const broker = Context.get(yield* Layer.build(Layer.provide(layer, provider)), Broker.Broker)
      const channel = fresh({ retention: { maxMessages: 3 } })
      for (const body of ["1", "2", "3"]) yield* broker.publish(channel, text(body))
      assert.strictEqual((yield* Effect.flip(broker.publish(channel, text("4")))).reason, "refused")
      const deliveries = yield* subscribe(broker, channel)
      assert.strictEqual(read(yield* takeAck(deliveries)), "1")
    })
  )
})
