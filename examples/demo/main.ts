/**
 * A few hundred orders arrive as events and are charged at a payments provider that has a bad day. In the end the
 * provider's ledger is counted: each order must be there once, in the order of its tenant.
 */
import { NodeHttpClient, NodeRuntime, NodeServices } from "@effect/platform-node"
import { ConfigProvider, Console, Effect, Layer, Logger, Random, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import * as Backend from "./backend.ts"
import { keepWarnings } from "./dashboard.ts"
import * as Orders from "./orders.ts"
import * as Outage from "./outage.ts"
import { Payments, withoutKeys } from "./payments.ts"
import * as Provider from "./provider.ts"
import { run } from "./run.ts"
import { faults, NotExactlyOnce } from "./summary.ts"
import { table } from "./table.ts"

const flags = {
  orders: Flag.Int("orders").pipe(
    Flag.withDescription(`How many orders are charged, from 40 to ${Orders.available}`),
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 40, maximum: Orders.available }))),
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
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the summary as one line of JSON, and nothing else"),
    Flag.withDefault(false)
  )
}

const demo = Command.make(
  "demo",
  flags,
  Effect.fnUntraced(function* ({ broker, json, keyless, orders: count, store }) {
    const backend: Backend.Options = { broker, store }
    const isShared = broker !== "memory" || store !== "memory"
    const suffix = isShared ? `-${(yield* Random.nextInt).toString(36).replace("-", "")}` : ""
    const design = Orders.design(suffix)
    const orders = yield* Orders.load(count)
    // Three orders are larger than what was agreed with the provider.
    const [first, second, third, fourth] = orders.toSorted((a, b) => b.amount - a.amount)
    const refused = [first!, second!, third!]
    const outage = yield* Outage.make(count)
    const provider = yield* Provider.make(outage, { limit: fourth!.amount })
    const environment = ConfigProvider.layer(
      ConfigProvider.fromUnknown({
        PAYMENTS_URL: provider.url,
        TOKEN_URL: `${provider.url}/oauth/token`,
        CLIENT_ID: Provider.client.id,
        CLIENT_SECRET: Provider.client.secret
      })
    )
    const payments = (keyless ? withoutKeys : Payments.layer).pipe(
      Layer.provide([NodeHttpClient.layerUndici, environment])
    )
    const app = design.consumer.layer.pipe(
      Layer.provideMerge(payments),
      Layer.provideMerge(Backend.layer(backend, suffix))
    )

    const warnings: Array<string> = []
    const summary = yield* run({ orders, refused, design, backend, outage, provider, silent: json, warnings }).pipe(
      Effect.provide(Layer.provideMerge(app, Logger.layer([keepWarnings(warnings)])))
    )
    yield* Console.log(json ? JSON.stringify(summary) : table(summary))
    if (faults(summary).length > 0) return yield* new NotExactlyOnce({ summary })
  }, Effect.scoped)
).pipe(Command.withDescription("Charges orders at a provider that has a bad day, each exactly once and in order"))

demo.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
