/** Events of the flagship. */
import { Effect } from "effect"
import { Publisher } from "../../../src/event/index.ts"
import { OrderPlaced, Orders } from "../../../examples/orders-to-payments/orders.ts"

export const order = {
  entityId: "0d6f7a1e-3b52-4c8e-9d0e-5a1f6b7c8d9e",
  tenantId: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
  actorId: "5b0f3a5e-8a0c-4f6e-9a53-6f2f4f1d9c11",
  orderId: "0d6f7a1e-3b52-4c8e-9d0e-5a1f6b7c8d9e",
  amount: 4200,
  currency: "EUR" as const,
  previousState: null,
  newState: "placed" as const
}

export const place = Effect.asVoid(Publisher.publish(Orders, OrderPlaced, order))
