/** A running integration whose metrics are known: a contract against a provider, and a consumer on a broker. */
import { NodeHttpClient } from "@effect/platform-node"
import { Data, Deferred, Effect, Layer, Schedule, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Integration, Telemetry } from "effect-integration"
import { Channel, Consumer, DedupStore, EventType, MemoryBroker, Publisher } from "effect-integration/event"
import { HttpContract, StatusTable } from "effect-integration/http"
import { CircuitBreakers, ErrorAction } from "effect-integration/policy"
import { Reply, StubProvider } from "effect-integration/testing"
import { counts } from "../policy/observe.ts"

const api = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.post("create", "/v1/charges", { success: Schema.Struct({ id: Schema.String }) })
  )
)

class Refused extends Data.TaggedError("Refused")<{}> {
  readonly errorAction = ErrorAction.make("fail", { notify: "alert" })
}

const OrderPlaced = EventType.make("com.acme.order.placed", {
  source: "https://acme.com/orders",
  data: Schema.Struct({ refused: Schema.Boolean })
})

/** Counted, scraped and alerted on under names of their own, so that files do not meet. */
export const make = Effect.fnUntraced(function* (name: string) {
  const stub = yield* StubProvider.make()
  yield* stub.on("POST /v1/charges", Reply.times(6, Reply.json(200, { id: "ch_1" })), Reply.status(500))
  class Payments extends HttpContract.Service<Payments>()(`${name}-payments`, {
    api,
    baseUrl: stub.url.replace("http://", "http://ada:hunter2@"),
    errors: StatusTable.standard,
    breaker: { failurePercent: 25, minimumCalls: 8, window: "10 seconds", openFor: "10 minutes", alertAfter: "1 hour" }
  }) {}
  const Orders = Channel.make(`${name}-orders`, [OrderPlaced])
  const end = yield* Deferred.make<void>()
  const Billing = Consumer.make(`${name}-billing`, Orders, {
    handlers: {
      "com.acme.order.placed": ({ data }) => (data.refused ? Effect.fail(new Refused()) : Deferred.await(end))
    }
  })
  const design = Integration.make(name, {
    contracts: [Payments],
    consumers: [Billing],
    monitoring: { errorRate: { percent: 5 } },
    alerts: [{ condition: "circuit open", channels: ["Slack #money"], runbook: "https://runbooks.acme.com/circuit" }]
  })
  const context = yield* Layer.build(
    Layer.mergeAll(Payments.layer, Billing.layer).pipe(
      Layer.provideMerge(Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory)),
      Layer.provideMerge(NodeHttpClient.layerUndici)
    )
  )
  // A consumer that ends waits for what it has in hand.
  yield* Effect.addFinalizer(() => Deferred.succeed(end, undefined))
  /** Eight calls of which two fail, which opens the circuit; two dead letters; three messages in hand. */
  const busy = Effect.gen(function* () {
    const payments = yield* Payments
    for (let n = 0; n < 8; n += 1) yield* Effect.exit(payments.charges.create())
    for (const [n, refused] of [true, false, true, false, false].entries()) {
      yield* Publisher.publish(Orders, OrderPlaced, { refused }, { id: `o-${n}` })
    }
    const billing = Telemetry.legalName(`${name}-billing`)
    yield* Effect.andThen(Telemetry.sample, counts(billing)).pipe(
      Effect.repeat({
        until: ({ consumer_lag, dlq_depth }) => dlq_depth === 2 && consumer_lag === 3,
        schedule: Schedule.spaced("5 millis")
      })
    )
  }).pipe(Effect.provideContext(context))
  return {
    design,
    busy,
    /** The hung messages end, and the circuit closes. */
    calm: Effect.andThen(Deferred.succeed(end, undefined), CircuitBreakers.forceClosed(`${name}-payments`))
  }
})
