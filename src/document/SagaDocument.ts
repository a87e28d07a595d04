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

type Node = Saga.Any["nodes"][number]
type StepNode = Extract<Node, { _tag: "Step" }>

/**
 * A Mermaid sequence diagram: what happens, in which order, and how it is undone when a step fails.
 *
 * @category rendering
 * @since 0.1.0
 */
export const sequenceDiagram = (saga: Saga.Any): string => {
  const participants = new Map<string, string>()
  const aliasOf = (service: string): string => {
    const alias = participants.get(service) ?? `S${participants.size + 1}`
    participants.set(service, alias)
    return alias
  }
  const asked = (step: StepNode): ReadonlyArray<string> => {
    const alias = aliasOf(serviceOf(step))
    const done = step.isVoid ? "done" : `${step.name} result`
    const lines = [`O->>${alias}: ${text(step.description ?? step.name)}`, `${alias}-->>O: ${text(done)}`]
    return step.irreversible === undefined
      ? lines
      : [...lines, `Note over O: No way back from here: ${text(step.irreversible)}`]
  }
  const forward = saga.nodes.flatMap((node): ReadonlyArray<string> => {
    switch (node._tag) {
      case "Step":
        return asked(node)
      case "Parallel":
        return [
          ...node.steps.flatMap((step, index) => [
            `${index === 0 ? "par" : "and"} ${text(step.name)}`,
            ...indented(asked(step))
          ]),
          "end"
        ]
      case "Wait": {
        const alias = aliasOf(node.service ?? node.name)
        const limit = Duration.format(node.deadline)
        return [`Note over O: Waits for ${text(node.name)}, at most ${limit}`, `${alias}-->>O: ${text(node.name)}`]
      }
      case "Delay":
        return [`Note over O: Waits ${Duration.format(node.duration)} (${text(node.name)})`]
    }
  })
  const undone = reversible(saga.nodes).toReversed()
  const back = undone.flatMap((step) => {
    const alias = aliasOf(serviceOf(step))
    return [`O->>${alias}: ${text(compensationOf(step))}`, `${alias}-->>O: compensated`]
  })
  const failing =
    undone.length === 0
      ? []
      : [
          "opt A step fails for good",
          ...indented([
            "Note over O: Compensating transactions (reverse order), from the step that failed",
            ...back,
            "O-->>C: Transaction rolled back"
          ]),
          "end"
        ]
  return [
    "sequenceDiagram",
    ...indented([
      "autonumber",
      "participant C as Client",
      `participant O as ${text(saga.name)}`,
      ...Array.from(participants, ([service, alias]) => `participant ${alias} as ${text(service)}`),
      "C->>O: start",
      ...forward,
      "O-->>C: Completed",
      ...failing
    ])
  ].join("\n")
}

/**
 * The Markdown table of the compensation strategies.
 *
 * @category rendering
 * @since 0.1.0
 */
export const compensationTable = (saga: Saga.Any): string => {
  const rows = saga.nodes.flatMap((node) =>
    node._tag === "Step" ? [node] : node._tag === "Parallel" ? node.steps : []
  )
  const limit = reversible(saga.nodes)
  return [
    "| Step | Compensation | Notes |",
    "|---|---|---|",
    ...rows.map((step) => {
      const compensation = step.irreversible === undefined ? compensationOf(step) : "none: irreversible"
      const notes =
        step.irreversible !== undefined
          ? [step.irreversible]
          : limit.includes(step)
            ? [`${ladder(step.compensationRetry)}, then stuck`]
            : ["never undone: it comes after an irreversible step, and is finished instead"]
      if (step.retry !== undefined) notes.push(`the step itself: ${ladder(step.retry)}`)
      if (step.timeout !== undefined) notes.push(`timeout ${Duration.format(step.timeout)}`)
      return `| ${cell(step.name)} | ${cell(compensation)} | ${cell(notes.join("; "))} |`
    })
  ].join("\n")
}

const serviceOf = (step: StepNode): string => step.service ?? step.name

const compensationOf = (step: StepNode): string => step.compensation ?? `undo ${step.name}`

/** The steps that can come to be undone: those up to the first irreversible one. */
const reversible = (nodes: ReadonlyArray<Node>): ReadonlyArray<StepNode> => {
  const found: Array<StepNode> = []
  for (const node of nodes) {
    if (node._tag === "Parallel") found.push(...node.steps)
    if (node._tag !== "Step") continue
    if (node.irreversible !== undefined) break
    found.push(node)
  }
  return found
}

const ladder = ({ delays, maxRetries }: RetryPolicy): string => {
  if (maxRetries === 0) return "not tried again"
  const [first] = delays
  const times = maxRetries === 1 ? "once" : maxRetries === 2 ? "twice" : `${maxRetries} times`
  return `tried again ${times}, ${Duration.format(first!)} to ${Duration.format(delays.at(-1)!)} apart`
}

const indented = (lines: ReadonlyArray<string>): ReadonlyArray<string> => lines.map((line) => `  ${line}`)

/** As text of a diagram: in one line, and nothing that ends a statement. */
const text = (given: string): string =>
  given
    .replaceAll(/\s+/g, " ")
    .trim()
    .replaceAll(/[#;<>%]/g, (character) => `#${character.codePointAt(0)};`)

/** As a cell of a table of Markdown. */
const cell = (given: string): string =>
  given
    .replaceAll(/\s+/g, " ")
    .trim()
    .replaceAll(/[\\|<>`*_[\]]/g, (character) => (character === "<" ? "&lt;" : `\\${character}`))
