import * as Manifest from "./manifest.ts"

/** The files of a new project, by their names. */
export const filesOf = (name: string): Readonly<Record<string, string>> => ({
  "package.json": `${JSON.stringify(manifestOf(name), undefined, 2)}\n`,
  "tsconfig.json": `${JSON.stringify(tsconfig, undefined, 2)}\n`,
  ".gitignore": "node_modules\n",
  "design.ts": design,
  "main.ts": main,
  "design.test.ts": test
})

/** A name that npm takes. */
const legal = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "") || "integration"

const versionOf = (name: string): string => Manifest.peerDependencies[name] ?? Manifest.devDependencies[name] ?? "*"

const manifestOf = (name: string) => ({
  name: legal(name),
  version: "0.1.0",
  private: true,
  type: "module",
  scripts: {
    check: "integration check design.ts",
    doc: "integration doc design.ts --out design.md",
    start: "node main.ts",
    test: "node --test",
    types: "tsc"
  },
  dependencies: {
    "@effect/platform-node": versionOf("@effect/platform-node"),
    effect: versionOf("effect"),
    "effect-integration": `^${Manifest.version}`
  },
  devDependencies: { "@types/node": versionOf("@types/node"), typescript: versionOf("typescript") },
  engines: Manifest.engines
})

const tsconfig = {
  compilerOptions: {
    target: "es2024",
    lib: ["es2024"],
    types: ["node"],
    module: "nodenext",
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    // Node strips types, and does no more.
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    noEmit: true
  },
  include: ["*.ts"]
}

const design = `/**
 * The design. What stands here is what happens, what the document says, and what the findings are about.
 */
import { Config, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Integration } from "effect-integration"
import { HttpContract, StatusTable } from "effect-integration/http"
import { RetryPolicy } from "effect-integration/policy"

const NewCharge = Schema.Struct({
  orderId: Schema.String,
  amount: Schema.Int.annotate({ description: "In cents" })
})
const Charge = Schema.Struct({ id: Schema.String, ...NewCharge.fields })

const PaymentsApi = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.post("create", "/v1/charges", { payload: NewCharge, success: Charge })
  )
)

export class Payments extends HttpContract.Service<Payments>()("payments", {
  api: PaymentsApi,
  baseUrl: Config.URL("PAYMENTS_URL"),
  errors: StatusTable.standard,
  // The same key on every attempt, so that the provider charges once.
  idempotent: true,
  retry: RetryPolicy.make({ delays: ["100 millis", "300 millis", "900 millis"], jitter: "equal" }),
  breaker: { failurePercent: 50, window: "10 seconds", openFor: "30 seconds" },
  rateLimit: { perMinute: 600, burst: 50 },
  timeouts: { connect: "500 millis", read: "1 second", attempt: "2 seconds", total: "10 seconds" }
}) {}

export default Integration.make("orders-to-payments", {
  purpose: "Orders are charged when they are placed",
  criticality: "medium",
  parties: {
    consumer: { system: "orders", team: "Checkout", contact: "checkout@example.com" },
    provider: { system: "payments", team: "Payments", contact: "payments@example.com" }
  },
  contracts: [{ contract: Payments, keyRetention: "1 day" }],
  // What does not add up, and is accepted: the document says why.
  acknowledged: [
    { finding: "refresh-without-credentials/payments", reason: "The provider asks for no credentials yet" }
  ]
})
`

const main = `/**
 * Charges an order: at PAYMENTS_URL, or at a stub of the provider that is down at first.
 */
import { NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Config, ConfigProvider, Console, Effect, Layer, Option } from "effect"
import { Reply, StubProvider } from "effect-integration/testing"
import { Payments } from "./design.ts"

const order = { orderId: "o-1", amount: 4200 }

const charge = Effect.gen(function* () {
  const charged = yield* Payments.use((payments) => payments.charges.create({ payload: order }))
  yield* Console.log("charged " + charged.orderId + ": " + charged.id)
})

const stubbed = Effect.gen(function* () {
  const stub = yield* StubProvider.make()
  yield* stub.on("POST /v1/charges", Reply.status(503), Reply.json(200, { id: "c-1", ...order }))
  const environment = ConfigProvider.layer(ConfigProvider.fromUnknown({ PAYMENTS_URL: stub.url }))
  yield* Effect.provide(charge, Layer.provide(Payments.layer, environment))
  yield* Console.log("attempts: " + (yield* stub.requests).length)
})

const program = Effect.gen(function* () {
  const url = yield* Config.option(Config.URL("PAYMENTS_URL"))
  yield* Option.isNone(url) ? stubbed : Effect.provide(charge, Payments.layer)
})

program.pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici), NodeRuntime.runMain)
`

const test = `/**
 * That the provider may be down for a moment, and still charges once.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { ConfigProvider, Effect, Layer } from "effect"
import { Reply, StubProvider } from "effect-integration/testing"
import assert from "node:assert/strict"
import { test } from "node:test"
import { Payments } from "./design.ts"

const order = { orderId: "o-1", amount: 4200 }

const charged = Effect.gen(function* () {
  const stub = yield* StubProvider.make()
  yield* stub.on("POST /v1/charges", Reply.status(503), Reply.json(200, { id: "c-1", ...order }))
  const environment = ConfigProvider.layer(ConfigProvider.fromUnknown({ PAYMENTS_URL: stub.url }))
  const charge = yield* Payments.use((payments) => payments.charges.create({ payload: order })).pipe(
    Effect.provide(Layer.provide(Payments.layer, environment))
  )
  return { charge, requests: yield* stub.requests }
})

test("a provider that is down for a moment is asked again, with the same idempotency key", async () => {
  const { charge, requests } = await Effect.runPromise(
    charged.pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici))
  )
  assert.equal(charge.id, "c-1")
  assert.equal(requests.length, 2)
  assert.equal(new Set(requests.map((request) => request.headers["idempotency-key"])).size, 1)
})
`
