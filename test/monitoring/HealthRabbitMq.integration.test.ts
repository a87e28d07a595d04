import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { DedupStore } from "effect-integration/event"
import { Health, HealthRoute, SyntheticProbe } from "effect-integration/monitoring"
import { RabbitMqBroker } from "effect-integration/rabbitmq"
import { HttpRouter } from "effect/http"
import * as http from "node:http"
import { ask } from "../http/server.ts"
import * as RabbitMq from "../servers/RabbitMq.ts"
import { describeOwnRabbitMq } from "../servers/Servers.ts"
import { until } from "../servers/until.ts"
import { alone, Billing, design, OrderPlaced, Orders } from "./healthDesign.ts"

const secret = "s3cret-pa55word"

describeOwnRabbitMq("health with RabbitMQ", () => {
  it.live("is not ready while the broker is gone, alive all the time, and ready again when it is back", () =>
    Effect.gen(function* () {
      const rabbitmq = yield* RabbitMq.make()
      yield* rabbitmq.ctl("add_user", "health", secret)
      yield* rabbitmq.ctl("set_permissions", "health", ".*", ".*", ".*")
      const url = rabbitmq.url.replace("guest:guest", `health:${secret}`)
      const broker = RabbitMqBroker.layer({ url, reconnect: { base: "50 millis", cap: "200 millis" } })
      const services = Layer.succeedContext(yield* Layer.build(Layer.merge(broker, DedupStore.layerMemory)))
      yield* Layer.build(Billing.layer.pipe(Layer.provide(services)))
      const probe = SyntheticProbe.make("health-round-trip", {
        run: SyntheticProbe.roundTrip(Orders, OrderPlaced, { id: "synthetic" }, { consumer: Billing })
      })
      yield* Effect.provide(probe.once, services)

      const node = http.createServer()
      yield* Layer.build(
        HttpRouter.serve(HealthRoute.layer(), { disableListenLog: true }).pipe(
          Layer.provide(
            Health.layer(design, { cache: "50 millis", consumers: [Billing] }).pipe(Layer.provide(services))
          ),
          Layer.provide(NodeHttpServer.layer(() => node, { port: 0, host: "127.0.0.1" }))
        )
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
      const { port } = node.address() as { readonly port: number }
      const get = (path: string) => ask(`http://127.0.0.1:${port}/health/${path}`, { method: "GET" })
      const statusOf = Effect.map(get("ready"), ({ status }) => status)

      const ready = yield* get("ready")
      assert.strictEqual(ready.status, 200, ready.text)
      assert.deepStrictEqual(Object.keys(JSON.parse(ready.text).checks), [
        "broker:connection",
        "dedup-store:responseTime",
        "health-billing:consumer",
        "health-billing:subscription"
      ])

      yield* rabbitmq.kill
      yield* until(Effect.map(statusOf, (status) => status === 503))
      const { text } = yield* get("ready")
      const { checks } = JSON.parse(text)
      assert.deepStrictEqual(
        [checks["broker:connection"][0].status, checks["health-billing:subscription"][0].status],
        ["fail", "fail"]
      )
      assert.strictEqual(checks["dedup-store:responseTime"][0].status, "pass")
      assert.notInclude(text, secret)
      assert.strictEqual((yield* get("live")).status, 200)

      yield* rabbitmq.start
      yield* until(Effect.map(statusOf, (status) => status === 200))
      yield* Effect.provide(probe.once, services)
    }).pipe(Effect.provide(Layer.merge(alone, Logger.layer([]))))
  )
})
