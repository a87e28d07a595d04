/**
 * The design at work without an end, for whoever wants to watch: a live page, the metrics for Prometheus, and its health.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Console, Context, Data, Effect, Layer, Logger, Schedule } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { Health, HealthRoute, Metrics } from "effect-integration/monitoring"
import { createServer } from "node:http"
import design from "../orders-to-payments/design.ts"
import { PlaceOrder } from "../orders-to-payments/placing.ts"
import * as Alerting from "./alerting.ts"
import * as App from "./app.ts"
import type * as Backend from "./backend.ts"
import * as Circuit from "./circuit.ts"
import * as Engine from "./engine.ts"
import * as Page from "./live/page.ts"
import * as State from "./live/state.ts"
import * as Orders from "./orders.ts"
import * as Outage from "./outage.ts"
import * as Probe from "./probe.ts"
import * as Provider from "./provider.ts"
import * as Stock from "./stock.ts"
import * as Traffic from "./traffic.ts"

export interface Options {
  readonly backend: Backend.Options
  readonly keyless: boolean
  readonly port: number
  readonly speed: number
}

/** Somebody else listens there. */
class NoPort extends Data.TaggedError("NoPort")<{ readonly port: number; readonly cause: unknown }> {
  override get message(): string {
    return `cannot listen on port ${this.port} of 127.0.0.1: give another with --port, or 0 for any that is free`
  }
}

export const run = Effect.fnUntraced(function* ({ backend, keyless, port, speed }: Options) {
  const outage = yield* Outage.make(Outage.weather)
  const provider = yield* Provider.make(outage, { limit: Infinity })
  const orders = yield* Orders.load(Orders.available)

  const main = Effect.gen(function* () {
    yield* Circuit.follow(outage)
    const { now } = yield* State.make({ outage, speed, latest: yield* Alerting.follow(12) })
    yield* Alerting.tell
    const routes = Layer.mergeAll(Metrics.route(), HealthRoute.layer(), Page.routes(now))
    const server = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port }))
    )
    const { address } = Context.get(
      yield* Effect.mapError(Layer.build(server), (cause) => new NoPort({ port, cause })),
      HttpServer.HttpServer
    )
    const url = `http://127.0.0.1:${"port" in address ? address.port : port}`
    yield* Console.log(
      [`live page  ${url}/`, `metrics    ${url}/metrics`, `health     ${url}/health/ready and /health/live`, ""].join(
        "\n"
      )
    )
    // What the provider was asked is of no interest, and would fill the memory.
    const forget = Effect.repeat(provider.forget, Schedule.spaced("1 minute"))
    yield* Effect.all([Traffic.run(orders), forget], { concurrency: "unbounded", discard: true })
  })

  const app = Layer.mergeAll(PlaceOrder.layer, Health.layer(design, { consumers: design.consumers }), Probe.layer).pipe(
    Layer.provideMerge(Stock.layer(new Set())),
    Layer.provideMerge(yield* Engine.make),
    Layer.provideMerge(App.layer({ backend, provider, keyless }))
  )
  // The alerts say what there is to say.
  return yield* main.pipe(Effect.scoped, Effect.provide(Layer.provideMerge(app, Logger.layer([]))))
})
