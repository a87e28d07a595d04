import type * as Integration from "../../Integration.ts"
import { approval } from "./approval.ts"
import { type Block, heading, lines } from "./blocks.ts"
import { consistency } from "./consistency.ts"
import { contract } from "./contract.ts"
import { idempotency, ordering } from "./delivery.ts"
import { schemas, topics } from "./events.ts"
import { grpc } from "./grpc.ts"
import { monitoring } from "./monitoring.ts"
import { front, overview, topology } from "./overview.ts"
import { testing } from "./testing.ts"

/** The whole document, in the order and with the numbers of the template. */
export const pagesOf = (design: Integration.Integration): ReadonlyArray<Block> => {
  const { contracts } = design
  const services = [
    ...contracts.map((each, index) => contract(design, each, `3.${index + 1}`)),
    ...design.grpc.map((each, index) => grpc(design, each, `3.${contracts.length + index + 1}`))
  ]
  return [
    ...front(design),
    ...overview(design),
    ...topology(design),
    heading(2, "3. Service Contracts"),
    ...(services.length === 0 ? [lines("The design has no service contracts.")] : services.flat()),
    heading(2, "4. Event-Driven Integrations"),
    ...schemas(design),
    ...topics(design),
    ...ordering(design),
    ...idempotency(design),
    ...consistency(design),
    ...testing(design),
    ...monitoring(design),
    ...approval(design)
  ]
}
