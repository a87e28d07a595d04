import type * as Schema from "effect/Schema"
import type * as Saga from "../../../saga/Saga.ts"
import { spanOf } from "../span.ts"
import { type Finding, type Look, section } from "./finding.ts"

type Node = Saga.Any["nodes"][number]
type StepNode = Extract<Node, { _tag: "Step" }>

/** Steps that cannot be undone, with steps that can fail behind them: then the saga can only get stuck. */
export const look: Look = (design) =>
  design.sagas.flatMap((saga): ReadonlyArray<Finding> => {
    const at = saga.nodes.findIndex((node) => node._tag === "Step" && node.irreversible !== undefined)
    if (at < 0) return []
    const point = saga.nodes[at] as StepNode
    const later = saga.nodes.slice(at + 1).flatMap(failing)
    if (later.length === 0) return []
    const hopeless = later.some((each) => each.retries === 0)
    return [
      {
        id: `irreversible-too-early/${saga.name}`,
        severity: hopeless ? "error" : "warning",
        section: section.saga,
        subject: saga.name,
        message:
          `${point.name} cannot be undone, and behind it ${later.map((each) => each.how).join(", ")}: ` +
          `when that happens the saga is stuck, and a person must decide.`,
        remedy:
          "Put the irreversible step last, or give the steps behind it errors that they cannot have, or many retries."
      }
    ]
  })

const failing = (node: Node): ReadonlyArray<{ readonly how: string; readonly retries: number }> => {
  switch (node._tag) {
    case "Step":
      return canFail(node)
        ? [
            {
              how: `${node.name} can fail (${node.retry === undefined ? "not tried again" : `tried again ${node.retry.maxRetries} x`})`,
              retries: node.retry?.maxRetries ?? 0
            }
          ]
        : []
    case "Parallel":
      return node.steps.flatMap(failing)
    case "Wait":
      return [{ how: `${node.name} may not come within ${spanOf(node.deadline)}`, retries: Infinity }]
    case "Delay":
      return []
  }
}

/** Any error where none is declared. A step may also take too long. */
const canFail = ({ error, timeout }: StepNode): boolean =>
  timeout !== undefined || error === undefined || (error as Schema.Constraint).ast._tag !== "Never"
