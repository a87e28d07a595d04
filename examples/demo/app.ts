/**
 * The design at work: its contract against a provider, its consumers on a backend, its alerts, and the others who take part.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { ConfigProvider, Layer } from "effect"
import { Billing, OrderStatus } from "../orders-to-payments/orders.ts"
import { Payments } from "../orders-to-payments/payments.ts"
import * as Alerting from "./alerting.ts"
import * as Backend from "./backend.ts"
import * as Keyless from "./keyless.ts"
import * as Others from "./others.ts"
import { client, type Provider } from "./provider.ts"
import * as Settlements from "./settlements.ts"

export interface Options {
  readonly backend: Backend.Options
  readonly provider: Provider
  /** Sends no idempotency keys. */
  readonly keyless: boolean
}

export const layer = ({ backend, keyless, provider }: Options) => {
  const environment = ConfigProvider.layer(
    ConfigProvider.fromUnknown({
      PAYMENTS_URL: provider.url,
      TOKEN_URL: `${provider.url}/oauth/token`,
      CLIENT_ID: client.id,
      CLIENT_SECRET: client.secret
    })
  )
  const payments = (keyless ? Keyless.layer : Payments.layer).pipe(
    Layer.provide([NodeHttpClient.layerUndici, environment])
  )
  return Layer.mergeAll(Billing.layer, OrderStatus.layer, Settlements.layer(provider)).pipe(
    Layer.provideMerge(Others.layer),
    Layer.provideMerge(payments),
    Layer.provideMerge(Backend.layer(backend)),
    Layer.provideMerge(Alerting.layer)
  )
}
