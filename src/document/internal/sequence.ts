import * as Duration from "effect/Duration"
import type * as Saga from "../../saga/Saga.ts"
import { sequenceText } from "./escape.ts"

export type Node = Saga.Any["nodes"][number]
export type StepNode = Extract<Node, { _tag: "Step" }>

/** What happens between participants, from which both drawings are made. */
export interface Sequence {
  readonly participants: ReadonlyArray<{ readonly alias: string; readonly name: string }>
  readonly items: ReadonlyArray<Item>
}

export type Item =
  | {
      readonly _tag: "Message"
      readonly from: string
      readonly to: string
      readonly text: string
      readonly reply: boolean
    }
  | { readonly _tag: "Note"; readonly text: string }
  | { readonly _tag: "Frame"; readonly kind: "par" | "opt"; readonly parts: ReadonlyArray<Section> }

interface Section {
  readonly name: string
  readonly items: ReadonlyArray<Item>
}

const ask = (to: string, text: string): Item => ({ _tag: "Message", from: "O", to, text, reply: false })
const answer = (from: string, text: string, to = "O"): Item => ({ _tag: "Message", from, to, text, reply: true })
const note = (text: string): Item => ({ _tag: "Note", text })

export const serviceOf = (step: StepNode): string => step.service ?? step.name

export const compensationOf = (step: StepNode): string => step.compensation ?? `undo ${step.name}`

/** The steps that can come to be undone: those up to the first irreversible one. */
export const reversible = (nodes: ReadonlyArray<Node>): ReadonlyArray<StepNode> => {
  const found: Array<StepNode> = []
  for (const node of nodes) {
    if (node._tag === "Parallel") found.push(...node.steps)
    if (node._tag !== "Step") continue
    if (node.irreversible !== undefined) break
    found.push(node)
  }
  return found
}

/** What a saga does, in which order, and how it is undone when a step fails. */
export const sequenceOf = (saga: Saga.Any): Sequence => {
  const participants = new Map<string, string>()
  const aliasOf = (service: string): string => {
    const alias = participants.get(service) ?? `S${participants.size + 1}`
    participants.set(service, alias)
    return alias
  }
  const asked = (step: StepNode): ReadonlyArray<Item> => {
    const alias = aliasOf(serviceOf(step))
    const items = [
      ask(alias, step.description ?? step.name),
      answer(alias, step.isVoid ? "done" : `${step.name} result`)
    ]
    return step.irreversible === undefined ? items : [...items, note(`No way back from here: ${step.irreversible}`)]
  }
  const forward = saga.nodes.flatMap((node): ReadonlyArray<Item> => {
    switch (node._tag) {
      case "Step":
        return asked(node)
      case "Parallel":
        return [
          { _tag: "Frame", kind: "par", parts: node.steps.map((step) => ({ name: step.name, items: asked(step) })) }
        ]
      case "Wait": {
        const alias = aliasOf(node.service ?? node.name)
        return [note(`Waits for ${node.name}, at most ${Duration.format(node.deadline)}`), answer(alias, node.name)]
      }
      case "Delay":
        return [note(`Waits ${Duration.format(node.duration)} (${node.name})`)]
    }
  })
  const undone = reversible(saga.nodes).toReversed()
  const back = undone.flatMap((step) => {
    const alias = aliasOf(serviceOf(step))
    return [ask(alias, compensationOf(step)), answer(alias, "compensated")]
  })
  const rolledBack = [
    note("Compensating transactions (reverse order), from the step that failed"),
    ...back,
    answer("O", "Transaction rolled back", "C")
  ]
  const failing: ReadonlyArray<Item> =
    undone.length === 0
      ? []
      : [{ _tag: "Frame", kind: "opt", parts: [{ name: "A step fails for good", items: rolledBack }] }]
  return {
    participants: [
      { alias: "C", name: "Client" },
      { alias: "O", name: saga.name },
      ...Array.from(participants, ([name, alias]) => ({ alias, name }))
    ],
    items: [
      { _tag: "Message", from: "C", to: "O", text: "start", reply: false },
      ...forward,
      answer("O", "Completed", "C"),
      ...failing
    ]
  }
}

export const toMermaid = ({ items, participants }: Sequence): string =>
  [
    "sequenceDiagram",
    ...indented([
      "autonumber",
      ...participants.map(({ alias, name }) => `participant ${alias} as ${sequenceText(name)}`),
      ...items.flatMap(statements)
    ])
  ].join("\n")

const statements = (item: Item): ReadonlyArray<string> => {
  switch (item._tag) {
    case "Message":
      return [`${item.from}${item.reply ? "-->>" : "->>"}${item.to}: ${sequenceText(item.text)}`]
    case "Note":
      return [`Note over O: ${sequenceText(item.text)}`]
    case "Frame":
      return [
        ...item.parts.flatMap(({ items, name }, index) => [
          `${index === 0 ? item.kind : "and"} ${sequenceText(name)}`,
          ...indented(items.flatMap(statements))
        ]),
        "end"
      ]
  }
}

const indented = (lines: ReadonlyArray<string>): ReadonlyArray<string> => lines.map((line) => `  ${line}`)
