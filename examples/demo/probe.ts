/**
 * The synthetic probe of the design: a cent is charged and given back.
 */
import { Effect } from "effect"
import { SyntheticProbe } from "effect-integration/monitoring"
import design from "../orders-to-payments/design.ts"
import { Payments } from "../orders-to-payments/payments.ts"
import { orderId, tenantId } from "./orders.ts"

const [{ every, name }] = design.probes as [(typeof design.probes)[number]]
const order = { orderId: orderId({ id: "probe-1" }), tenantId: tenantId({ tenant: "acme-books" }) }

const charge = Effect.gen(function* () {
  const { charges } = yield* Payments
  yield* charges.create({ payload: { ...order, amount: 1, currency: "EUR" } })
  yield* charges.refund({ payload: { orderId: order.orderId, reason: "synthetic probe" } })
})

export const { layer } = SyntheticProbe.make(name, { every: every ?? "5 minutes", run: charge })
