/** The flagship at work, with the two sides of its contract in one process: what is traced of it. */
import { NodeHttpClient } from "@effect/platform-node"
import { ConfigProvider, Deferred, Effect, Layer, Ref } from "effect"
import { type Broker, Consumer, DedupStore, Parking, Publisher } from "effect-integration/event"
import { RequestIdMiddleware } from "effect-integration/http"
import { RequestContext } from "effect-integration/policy"
import { SagaEngine } from "effect-integration/saga"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import {
  Billing,
  OrderBook,
  OrderPlaced,
  Orders,
  OrderStatus,
  PaymentCaptured,
  Settlements,
  Shipments
} from "../../examples/orders-to-payments/orders.ts"
import { Payments } from "../../examples/orders-to-payments/payments.ts"
import { PlaceOrder, Stock } from "../../examples/orders-to-payments/placing.ts"
import { listen } from "../http/server.ts"

export const clientSecret = "s3cret-of-the-client"
export const accessToken = "t0ken-of-the-client"

const tenantId = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
const actorId = "5b0f3a5e-8a0c-4f6e-9a53-6f2f4f1d9c11"
export const ids = {
  placed: "0d6f7a1e-3b52-4c8e-9d0e-5a1f6b7c8d9e",
  saga: "1d6f7a1e-3b52-4c8e-9d0e-5a1f6b7c8d9e"
}

/** The provider: answers the first charge with 503, and publishes that a charge was captured. */
const provider = Effect.map(Ref.make(0), (charges) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    if (request.url.startsWith("/token")) {
      return HttpServerResponse.jsonUnsafe({ access_token: accessToken, token_type: "Bearer", expires_in: 3600 })
    }
    const charge = (yield* request.json) as Record<string, any>
    const number = yield* Ref.updateAndGet(charges, (count) => count + 1)
    if (number === 1) return HttpServerResponse.jsonUnsafe({ code: "BUSY", message: "later" }, { status: 503 })
    const id = `ch_${number}`
    const { amount, currency, orderId } = charge
    yield* Publisher.publish(Settlements, PaymentCaptured, {
      entityId: orderId,
      tenantId,
      actorId,
      orderId,
      chargeId: id,
      previousState: "pending",
      newState: "captured"
    })
    return HttpServerResponse.jsonUnsafe({ id, orderId, tenantId, amount, currency, status: "captured" })
  }).pipe(RequestIdMiddleware.make)
)

/** Places an order by an event and another by a saga, under one span, and waits until both are paid and one is shipped. */
export const run = <E, R>(broker: Layer.Layer<Broker.Broker, E, R>, tracing: Layer.Layer<never, any, any>) => {
  const flow = Effect.gen(function* () {
    const paid = yield* Effect.all({ placed: Deferred.make<void>(), saga: Deferred.make<void>() })
    const shipped = yield* Deferred.make<string | undefined>()
    const Warehouse = Consumer.make("warehouse", Shipments, {
      handlers: {
        "com.acme.shipment.ordered": () =>
          Effect.flatMap(RequestContext.RequestContext, ({ requestId }) => Deferred.succeed(shipped, requestId))
      }
    })
    const book = Layer.succeed(OrderBook, {
      settle: (orderId) => Deferred.succeed(orderId === ids.placed ? paid.placed : paid.saga, undefined)
    })
    const stock = Layer.succeed(Stock, { reserve: () => Effect.succeed("res_1"), release: () => Effect.void })
    const url = yield* listen(yield* provider)
    const config = ConfigProvider.layer(
      ConfigProvider.fromUnknown({
        PAYMENTS_URL: `${url}/gateway`,
        TOKEN_URL: `${url}/token`,
        CLIENT_ID: "shop",
        CLIENT_SECRET: clientSecret
      })
    )
    const application = Layer.mergeAll(Billing.layer, OrderStatus.layer, Warehouse.layer, PlaceOrder.layer).pipe(
      Layer.provide([Payments.layer, book, stock]),
      Layer.provide([DedupStore.layerMemory, Parking.layerMemory, config, NodeHttpClient.layerUndici]),
      Layer.provideMerge(SagaEngine.layerMemory)
    )
    const order = { tenantId, amount: 4200, currency: "EUR" } as const
    return yield* Effect.gen(function* () {
      yield* Publisher.publish(Orders, OrderPlaced, {
        ...order,
        entityId: ids.placed,
        actorId,
        orderId: ids.placed,
        previousState: null,
        newState: "placed"
      })
      yield* Deferred.await(paid.placed)
      const outcome = yield* PlaceOrder.execute({ ...order, orderId: ids.saga, customerId: actorId })
      yield* Deferred.await(paid.saga)
      return { outcome: outcome._tag, requestId: yield* Deferred.await(shipped) }
    }).pipe(
      Effect.withSpan("checkout", { root: true }),
      RequestContext.withRequestId("req-1"),
      Effect.provide(application)
    )
  })
  return flow.pipe(Effect.provide(Layer.provideMerge(broker, tracing)), Effect.scoped)
}

/** What is to come of it. */
export const expected = [
  "checkout (internal)",
  "  publish orders (producer)",
  "    process orders (consumer)",
  "      POST /token (client)",
  "        POST (server)",
  "      POST /gateway/v1/charges (client)",
  "        POST (server)",
  "      POST /gateway/v1/charges (client)",
  "        POST (server)",
  "          publish settlements (producer)",
  "            process settlements (consumer)",
  "  saga place-order (internal)",
  "    step reserve (internal)",
  "    step charge (internal)",
  "      POST /gateway/v1/charges (client)",
  "        POST (server)",
  "          publish settlements (producer)",
  "            process settlements (consumer)",
  "    step ship (internal)",
  "      publish shipments (producer)",
  "        process shipments (consumer)"
]
