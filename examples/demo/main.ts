/**
 * The design of `examples/orders-to-payments` at work. A few hundred orders arrive as events and are charged at a payments
 * provider that has a bad day. In the end the provider's ledger is counted: each order must be there once, in the order of
 * its tenant.
 *
 * Every time is the design's. Its clock runs ten times faster than the one on the wall, so that nobody need wait. With
 * `--serve` it goes on, at its own pace, and can be watched.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import * as Backend from "./backend.ts"
import * as Clock from "./clock.ts"
import * as Orders from "./orders.ts"
import * as Serve from "./serve.ts"
import * as Story from "./story.ts"

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const flags = {
  orders: Flag.Int("orders").pipe(
    Flag.withDescription(`How many orders are charged, from 40 to ${Orders.available}`),
    Flag.withSchema(between(40, Orders.available)),
    Flag.withDefault(Orders.available)
  ),
  broker: Flag.Literals("broker", Backend.brokers).pipe(
    Flag.withDescription("What carries the events; RabbitMQ by AMQP_URL, or a private one"),
    Flag.withDefault("memory" as const)
  ),
  store: Flag.Literals("store", Backend.stores).pipe(
    Flag.withDescription("Where processed and parked events are kept; Postgres by DATABASE_URL, or a private one"),
    Flag.withDefault("memory" as const)
  ),
  keyless: Flag.Boolean("no-idempotency-keys").pipe(
    Flag.withDescription("Send no idempotency keys, to see what they are good for"),
    Flag.withDefault(false)
  ),
  speed: Flag.Int("speed").pipe(
    Flag.withDescription("How much faster the clock of the design runs, from 1 to 20; default 10, with --serve 1"),
    Flag.withSchema(between(1, 20)),
    Flag.optional
  ),
  serve: Flag.Boolean("serve").pipe(
    Flag.withDescription("Go on until Ctrl-C, and serve a live page, the metrics for Prometheus, and the health"),
    Flag.withDefault(false)
  ),
  port: Flag.Int("port").pipe(
    Flag.withDescription("Where --serve listens on 127.0.0.1; 0 is any port that is free"),
    Flag.withSchema(between(0, 65_535)),
    Flag.withDefault(8080)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the summary as one line of JSON, and nothing else"),
    Flag.withDefault(false)
  )
}

const demo = Command.make("demo", flags, ({ broker, serve, store, ...given }) => {
  const speed = Option.getOrElse(given.speed, () => (serve ? 1 : 10))
  const options = { ...given, backend: { broker, store }, speed }
  const run = Effect.gen(function* () {
    if (serve) return yield* Serve.run(options)
    yield* Story.run(options)
  })
  return run.pipe(Effect.scoped, Effect.provide(Clock.times(speed)))
}).pipe(Command.withDescription("Charges orders at a provider that has a bad day, each exactly once and in order"))

demo.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
