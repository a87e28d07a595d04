/**
 * Section 2 of the document: what stands between the two systems, as a flowchart of Mermaid or a drawing in SVG.
 *
 * **Details**
 *
 * A circuit breaker, a retry handler, a gateway, queues, dead letter queues and alert systems are drawn only where the
 * design has them. Queues have the names that RabbitMQ knows them by.
 *
 * **Example** (Drawing a topology)
 *
 * ```ts
 * import { Integration } from "effect-integration"
 * import { Topology } from "effect-integration/document"
 *
 * const design = Integration.make("orders-to-payments", {
 *   parties: { consumer: { system: "orders" }, provider: { system: "payments" } },
 *   topology: { providerDatabase: "Payments DB" }
 * })
 *
 * export const diagram = Topology.flowchart(design)
 * ```
 *
 * @since 0.1.0
 */
import type * as Integration from "../Integration.ts"
import { flowchartLabel } from "./internal/escape.ts"
import { type Edge, graphOf, type Node } from "./internal/graph.ts"
import { topologySvg } from "./internal/topologySvg.ts"

/**
 * A flowchart of Mermaid, from the consumer on the left to the provider on the right.
 *
 * **Gotchas**
 *
 * A text of more than 80 characters is cut: Mermaid refuses diagrams that are too long.
 *
 * @category rendering
 * @since 0.1.0
 */
export const flowchart = (design: Integration.Integration): string => {
  const { edges, groups } = graphOf(design)
  return [
    "flowchart LR",
    ...groups.flatMap(({ id, nodes, title }) => [
      `  subgraph ${id}[${flowchartLabel(title)}]`,
      ...nodes.map((node) => `    ${node.id}${shaped(node)}`),
      "  end"
    ]),
    ...edges.map(arrow)
  ].join("\n")
}

/**
 * The same as a drawing in SVG, as the HTML of the document has it, for a page of your own.
 *
 * **Details**
 *
 * - It has no style: its shapes have the classes `service`, `policy`, `queue`, `alert`, `group`, `edge`, `head`, `ground`.
 * - Each node is a group whose `data-node` is its label, for example `Dead Letter Queue orders.billing.dead`, so that a page
 *   can show beside it what it knows.
 *
 * @category rendering
 * @since 0.1.0
 */
export const svg = (design: Integration.Integration): string => topologySvg(graphOf(design))

const shaped = ({ lines, shape }: Node): string => {
  const label = flowchartLabel(...lines)
  return shape === "database" ? `[(${label})]` : `[${label}]`
}

const arrow = ({ from, label, to }: Edge): string =>
  label === undefined ? `  ${from} --> ${to}` : `  ${from} -->|${flowchartLabel(label)}| ${to}`
