/**
 * A few hundred orders are charged at a payments provider that has a bad day. In the end the provider's ledger is counted:
 * each order must be there once.
 */
import { NodeHttpClient, NodeRuntime, NodeServices } from "@effect/platform-node"
import { Clock, ConfigProvider, Console, Effect, Fiber, Logger, Ref, Schema, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { type CircuitBreaker, CircuitBreakers } from "effect-integration/policy"
import * as Dashboard from "./dashboard.ts"
import * as Numbers from "./numbers.ts"
import * as Orders from "./orders.ts"
import * as Outage from "./outage.ts"
import { Payments, withoutKeys } from "./payments.ts"
import * as Provider from "./provider.ts"
import * as Summary from "./summary.ts"

/** Follows the circuit: its history is shown, and that it is open is what the provider needs to recover. */
const followCircuit = Effect.fnUntraced(function* (outage: Outage.Outage) {
  const history = yield* Ref.make<ReadonlyArray<CircuitBreaker.State["_tag"]>>(["Closed"])
  const follow = Effect.fnUntraced(function* ({ to }: CircuitBreaker.Transition) {
    yield* Ref.update(history, (states) => [...states, to])
    if (to === "Open") yield* outage.circuitOpened
  })
  for (const circuit of yield* CircuitBreakers.all) {
    yield* Effect.forkScoped(Stream.runForEach(circuit.transitions, follow), { startImmediately: true })
  }
  return history
})

/** Charges the orders while the dashboard shows how it goes, and gives what it showed last. */
const run = Effect.fnUntraced(function* (
  orders: ReadonlyArray<Orders.Order>,
  outage: Outage.Outage,
  options: { readonly silent: boolean; readonly warnings: ReadonlyArray<string> }
) {
  const progress = yield* Ref.make(Orders.noProgress)
  const start = yield* Clock.currentTimeMillis
  const view = Effect.all({
    total: Effect.succeed(orders.length),
    phase: outage.phase,
    progress: Ref.get(progress),
    numbers: Numbers.read("payments"),
    circuit: Ref.get(yield* followCircuit(outage)),
    warnings: Effect.succeed(options.warnings),
    seconds: Effect.map(Clock.currentTimeMillis, (now) => (now - start) / 1000)
  })
  const dashboard = yield* Effect.forkScoped(options.silent ? Effect.never : Dashboard.show(view))
  yield* Orders.chargeAll(orders, { concurrency: 16, progress })
  yield* Fiber.interrupt(dashboard)
  return yield* view
})

const flags = {
  orders: Flag.Int("orders").pipe(
    Flag.withDescription(`How many orders are charged, from 40 to ${Orders.available}`),
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 40, maximum: Orders.available }))),
    Flag.withDefault(Orders.available)
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
  Effect.fnUntraced(function* ({ json, keyless, orders: count }) {
    const orders = yield* Orders.load(count)
    const outage = yield* Outage.make(count)
    const provider = yield* Provider.make(outage)
    const environment = ConfigProvider.layer(
      ConfigProvider.fromUnknown({
        PAYMENTS_URL: provider.url,
        TOKEN_URL: `${provider.url}/oauth/token`,
        CLIENT_ID: Provider.client.id,
        CLIENT_SECRET: Provider.client.secret
      })
    )
    const warnings: Array<string> = []
    const end = yield* run(orders, outage, { silent: json, warnings }).pipe(
      Effect.provide(keyless ? withoutKeys : Payments.layer),
      Effect.provide([NodeHttpClient.layerUndici, environment, Logger.layer([Dashboard.keepWarnings(warnings)])])
    )
    const summary = Summary.make(orders, yield* provider.ledger, end.numbers, end.seconds * 1000)
    yield* Console.log(json ? JSON.stringify(summary) : Summary.table(summary))
    if (!Summary.passed(summary)) return yield* new Summary.NotExactlyOnce({ summary })
  }, Effect.scoped)
).pipe(Command.withDescription("Charges orders at a provider that has a bad day, each exactly once"))

demo.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
