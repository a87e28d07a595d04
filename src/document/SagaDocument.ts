/**
 * Section 5.2 of the document, rendered from a saga: its sequence diagram, and the table of what undoes each step.
 *
 * **Example** (Printing a saga)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Effect } from "effect"
 * import { SagaDocument } from "effect-integration/document"
 * import { Saga } from "effect-integration/saga"
 *
 * const Book = Saga.make("book", { payload: Schema.Struct({ id: Schema.String }), idempotencyKey: ({ id }) => id }).step(
 *   "seat",
 *   { run: () => Effect.void, compensate: () => Effect.void, service: "airline", compensation: "free the seat" }
 * )
 *
 * export const diagram = SagaDocument.sequenceDiagram(Book)
 * export const table = SagaDocument.compensationTable(Book)
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { RetryPolicy } from "../policy/RetryPolicy.ts"
import type * as Saga from "../saga/Saga.ts"
import type { Line } from "./internal/blocks.ts"
import * as Sequence from "./internal/sequence.ts"
import * as Markdown from "./internal/toMarkdown.ts"

/**
 * A Mermaid sequence diagram: what happens, in which order, and how it is undone when a step fails.
 *
 * **Gotchas**
 *
 * A text of more than 80 characters is cut: Mermaid refuses diagrams that are too long.
 *
 * @category rendering
 * @since 0.1.0
 */
export const sequenceDiagram = (saga: Saga.Any): string => Sequence.toMermaid(Sequence.sequenceOf(saga))

/**
 * The Markdown table of the compensation strategies.
 *
 * @category rendering
 * @since 0.1.0
 */
export const compensationTable = (saga: Saga.Any): string =>
  Markdown.table({ _tag: "Table", columns, rows: compensations(saga) })

/** @internal */
export const columns: ReadonlyArray<string> = ["Step", "Compensation", "Notes"]

/** @internal The rows of the table. */
export const compensations = (saga: Saga.Any): ReadonlyArray<ReadonlyArray<Line>> => {
  const steps = saga.nodes.flatMap((node) =>
    node._tag === "Step" ? [node] : node._tag === "Parallel" ? node.steps : []
  )
  const limit = Sequence.reversible(saga.nodes)
  return steps.map((step) => {
    const compensation = step.irreversible === undefined ? Sequence.compensationOf(step) : "none: irreversible"
    const notes =
      step.irreversible !== undefined
        ? [step.irreversible]
        : limit.includes(step)
          ? [`${ladder(step.compensationRetry)}, then stuck`]
          : ["never undone: it comes after an irreversible step, and is finished instead"]
    if (step.retry !== undefined) notes.push(`the step itself: ${ladder(step.retry)}`)
    if (step.timeout !== undefined) notes.push(`timeout ${Duration.format(step.timeout)}`)
    return [step.name, compensation, notes.join("; ")]
  })
}

const ladder = ({ delays, maxRetries }: RetryPolicy): string => {
  if (maxRetries === 0) return "not tried again"
  const [first] = delays
  const times = maxRetries === 1 ? "once" : maxRetries === 2 ? "twice" : `${maxRetries} times`
  return `tried again ${times}, ${Duration.format(first!)} to ${Duration.format(delays.at(-1)!)} apart`
}
