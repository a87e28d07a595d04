/**
 * The contract of the design without idempotency keys, to see what they are good for.
 */
import { HttpContract } from "effect-integration/http"
import { Payments } from "../orders-to-payments/payments.ts"

const Keyless = HttpContract.Service<Payments>()("payments", { ...Payments.contract, idempotent: false })

/** In the place of the real one, which has the same key. */
export const layer = Keyless.layer as unknown as typeof Payments.layer
