/**
 * The orders of a day, as the design's event tells them.
 */
import { Effect, Schema } from "effect"
import type { OrderPlaced } from "../orders-to-payments/orders.ts"
import { Currency } from "../orders-to-payments/payments.ts"
import data from "./orders.json" with { type: "json" }

export const Order = Schema.Struct({
  id: Schema.String,
  tenant: Schema.String,
  amount: Schema.Int,
  currency: Currency
})
export type Order = typeof Order.Type

export const available = data.length

export const load = (count: number): Effect.Effect<ReadonlyArray<Order>> =>
  Effect.orDie(Schema.decodeUnknownEffect(Schema.Array(Order))(data.slice(0, count)))

const uuid = (kind: string, number: number): string => `${kind}-0000-4000-8000-${String(number).padStart(12, "0")}`
const tenants = [...new Set(data.map(({ tenant }) => tenant))]

/** The design knows orders and tenants by UUIDs, so these have theirs: `ord-20261041` is `00000001-...-000020261041`. */
export const orderId = ({ id }: { readonly id: string }): string => uuid("00000001", Number(id.replace(/\D/g, "")))
export const tenantId = ({ tenant }: { readonly tenant: string }): string =>
  uuid("00000002", tenants.indexOf(tenant) + 1)

/** Whoever clicks in the shop. */
export const customerId = uuid("00000003", 1)
/** The settlement worker of the provider. */
export const workerId = uuid("00000003", 2)

export const placed = (order: Order): (typeof OrderPlaced)["data"]["Type"] => ({
  entityId: orderId(order),
  tenantId: tenantId(order),
  actorId: customerId,
  orderId: orderId(order),
  amount: order.amount,
  currency: order.currency,
  previousState: null,
  newState: "placed"
})
