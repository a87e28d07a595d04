import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as RetryPolicy from "../../policy/RetryPolicy.ts"
import type { Plain } from "./json.ts"

/** A step as the machine sees it. */
export interface StepNode {
  readonly _tag: "Step"
  readonly name: string
  readonly success: Plain
  /** Whether a result is nothing, so that it can be made up. */
  readonly isVoid: boolean
  readonly error: Plain | undefined
  readonly run: (payload: unknown, results: Results) => Effect.Effect<unknown, unknown>
  readonly retry: RetryPolicy.RetryPolicy | undefined
  readonly timeout: Duration.Duration | undefined
  readonly compensate:
    | ((result: Option.Option<unknown>, payload: unknown, results: Results) => Effect.Effect<unknown, unknown>)
    | undefined
  readonly compensationRetry: RetryPolicy.RetryPolicy
  readonly irreversible: string | undefined
  readonly service: string | undefined
  readonly description: string | undefined
  readonly compensation: string | undefined
}

/** Steps that run at the same time. */
export interface ParallelNode {
  readonly _tag: "Parallel"
  readonly steps: ReadonlyArray<StepNode>
}

/** Waits until somebody says something. */
export interface WaitNode {
  readonly _tag: "Wait"
  readonly name: string
  readonly success: Plain
  readonly deadline: Duration.Duration
  readonly service: string | undefined
}

export interface DelayNode {
  readonly _tag: "Delay"
  readonly name: string
  readonly duration: Duration.Duration
}

export type Node = StepNode | ParallelNode | WaitNode | DelayNode

export type Results = Readonly<Record<string, unknown>>

export interface Definition {
  readonly name: string
  readonly payload: Plain
  readonly idempotencyKey: (payload: any) => string
  readonly compensationRetry: RetryPolicy.RetryPolicy
  readonly nodes: ReadonlyArray<Node>
}

/** The names of a node's results. */
export const namesOf = (node: Node): ReadonlyArray<string> =>
  node._tag === "Parallel" ? node.steps.map((step) => step.name) : [node.name]

const describe = (node: Node): string => {
  switch (node._tag) {
    case "Step":
      return node.irreversible === undefined ? node.name : `${node.name}!`
    case "Parallel":
      return `(${node.steps.map(describe).join(" & ")})`
    case "Wait":
      return `${node.name}?`
    case "Delay":
      return `${node.name}~`
  }
}

/**
 * What a run that is under way relies on: which steps there are, in which order, and which cannot be undone. Schemas are
 * not part of it, since they may change compatibly; what no longer fits them is found where it is read.
 */
export const fingerprint = (definition: Definition): string => definition.nodes.map(describe).join(" > ")
