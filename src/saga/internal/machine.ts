import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Activity from "effect/workflow/Activity"
import * as DurableClock from "effect/workflow/DurableClock"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import { WorkflowEngine, WorkflowInstance } from "effect/workflow/WorkflowEngine"
import * as Issue from "../../internal/issue.ts"
import type * as ErrorAction from "../../policy/ErrorAction.ts"
import type { Failure, Phase } from "../Outcome.ts"
import { StepFailed } from "../SagaError.ts"
import * as Attempt from "./attempt.ts"
import * as Branches from "./branches.ts"
import type { Definition, Node, Results, StepNode, WaitNode } from "./definition.ts"
import * as Json from "./json.ts"
import { stuck } from "./stuck.ts"

/** What a run of a saga ends with; a stuck one has not ended. */
export type Final =
  | { readonly _tag: "Completed"; readonly results: Results }
  | {
      readonly _tag: "RolledBack"
      readonly failedStep: string
      readonly error: unknown
      readonly failure: Failure
      readonly compensated: ReadonlyArray<string>
    }
  | {
      readonly _tag: "Abandoned"
      readonly step: string
      readonly phase: Phase
      readonly failure: Failure
      readonly reason: string
      readonly compensated: ReadonlyArray<string>
    }

/** How a node ended. */
type Ended =
  | { readonly _tag: "Done"; readonly value: unknown }
  | {
      readonly _tag: "Failed"
      readonly step: string
      readonly error: unknown
      readonly failure: Failure
      readonly outcome: ErrorAction.Outcome
    }
  | { readonly _tag: "Abandoned"; readonly step: string; readonly failure: Failure; readonly reason: string }

/** A person said to go on without it. */
interface Skipped {
  readonly _tag: "Skipped"
}

/** A step that was begun, and what is known of its result. */
interface Begun {
  readonly node: StepNode
  readonly result: Option.Option<unknown>
  /** What the steps before it had given. */
  readonly results: Results
}

/** What is tried, as long as it takes. */
interface Task extends Omit<Attempt.Attempt, "number" | "failures"> {
  readonly skippable: boolean
  /** Whether the saga can be rolled back instead, where it has failed for good. */
  readonly mayFail: (outcome: ErrorAction.Outcome) => boolean
}

/** Tries until it is done, or has failed for good; where it may not fail, until a person says what to do. */
const carryOut = Effect.fnUntraced(function* (
  run: Attempt.Run,
  { mayFail, skippable, ...task }: Task,
  awaiting: Branches.Awaiting
): Effect.fn.Return<Ended | Skipped, never, WorkflowEngine | WorkflowInstance> {
  const { phase, step } = task
  let failures = 0
  let decisions = 0
  /** Whether it is certain that no attempt has had an effect. */
  let untouched = true
  for (let number = 1; ; number++) {
    const ended = yield* Attempt.make({ ...task, number, failures }, run)
    if (ended._tag === "Done") return ended
    untouched &&= ended.outcome === "unprocessed"
    if (ended.next !== undefined) {
      failures += 1
      yield* Branches.pause(`${phase}/${step}/${number}`, Duration.millis(ended.next), awaiting)
      continue
    }
    const { error, failure } = ended
    const outcome = ended.outcome === "unprocessed" && !untouched ? "unknown" : ended.outcome
    // The step has succeeded: that is for a person, or for the code that knows its result.
    const isUnreadable = error instanceof StepFailed && error.reason === "unreadable"
    if (!isUnreadable && mayFail(outcome)) return { _tag: "Failed", step, error, failure, outcome }
    decisions += 1
    const decision = `${phase}/${step}/${decisions}`
    const verdict = yield* stuck(run, { step, phase, error, failure, decision, skippable }, awaiting)
    if (verdict.verdict === "skip" && skippable) return { _tag: "Skipped" }
    if (verdict.verdict === "abandon") return { _tag: "Abandoned", step, failure, reason: verdict.reason }
    failures = 0
  }
})

const runStep = (
  run: Attempt.Run,
  node: StepNode,
  payload: unknown,
  results: Results,
  forward: boolean,
  awaiting: Branches.Awaiting
): Branches.Durable<Ended> =>
  Effect.map(
    carryOut(
      run,
      {
        step: node.name,
        phase: "run",
        retry: node.retry,
        timeout: node.timeout,
        success: node.success,
        error: node.error,
        isVoid: node.isVoid,
        effect: () => node.run(payload, results),
        skippable: node.isVoid,
        mayFail: (outcome) => !forward && (node.irreversible === undefined || outcome === "unprocessed")
      },
      awaiting
    ),
    (ended) => (ended._tag === "Skipped" ? { _tag: "Done", value: undefined } : ended)
  )

const compensate = (
  run: Attempt.Run,
  { node, result, results }: Begun,
  payload: unknown
): Branches.Durable<Ended | Skipped> =>
  carryOut(
    run,
    {
      step: node.name,
      phase: "compensate",
      retry: node.compensationRetry,
      timeout: node.timeout,
      success: node.success,
      error: undefined,
      isVoid: true,
      effect: () => node.compensate!(result, payload, results),
      skippable: true,
      mayFail: () => false
    },
    Branches.alone
  )

/** Where what is waited for arrives, as a JSON text. */
export const signalOf = (name: string) => DurableDeferred.make(`signal/${name}`, { success: Schema.String })

const Arrived = Schema.NullOr(Schema.String)

const wait = Effect.fnUntraced(function* (
  run: Attempt.Run,
  node: WaitNode,
  forward: boolean
): Effect.fn.Return<Ended, never, WorkflowEngine | WorkflowInstance> {
  const step = node.name
  const engine = yield* WorkflowEngine
  const instance = yield* WorkflowInstance
  for (let number = 1; ; number++) {
    const name = `${step}/${number}`
    const signal = signalOf(step)
    const clock = DurableClock.make({ name: `deadline/${name}`, duration: node.deadline })
    yield* engine.scheduleClock(instance.workflow, { executionId: instance.executionId, clock })
    yield* Branches.untilAny([signal, clock.deferred])
    const said = yield* engine.deferredResult(signal)
    // What is seen first counts: a signal that comes later does not change a replay.
    const arrived = yield* Activity.make({
      name: `wait/${name}`,
      success: Arrived,
      execute: Effect.succeed(Option.isSome(said) && said.value._tag === "Success" ? said.value.value : null)
    })
    const failed = (reason: "deadline" | "unreadable", description: string): Ended => {
      const failure = { tag: reason === "deadline" ? "Deadline" : "SchemaError", description }
      const error = new StepFailed({ saga: run.saga, step, reason, ...failure, outcome: "unknown" })
      return { _tag: "Failed", step, error, failure, outcome: "unknown" }
    }
    const ended =
      arrived === null
        ? failed("deadline", `nothing came within ${Duration.format(node.deadline)}`)
        : yield* Effect.match(Json.read(node.success, arrived), {
            onSuccess: (value): Ended => ({ _tag: "Done", value }),
            onFailure: (error) => failed("unreadable", Issue.describe(error).description.slice(0, 1000))
          })
    if (ended._tag !== "Failed" || !forward) return ended
    const { error, failure } = ended
    const verdict = yield* stuck(
      run,
      { step, phase: "run", error, failure, decision: `run/${name}`, skippable: false },
      Branches.alone
    )
    if (verdict.verdict === "abandon") return { _tag: "Abandoned", step, failure, reason: verdict.reason }
  }
})

/**
 * Takes a saga from its beginning to its end. A crash begins it again from the start: what was done before is answered
 * from the engine's store, so nothing here may depend on anything but the payload and those answers.
 */
export const perform = Effect.fnUntraced(function* (
  definition: Definition,
  run: Attempt.Run,
  payload: unknown
): Effect.fn.Return<Final, never, WorkflowEngine | WorkflowInstance> {
  const results: Record<string, unknown> = {}
  const begun: Array<Begun> = []
  let forward = false

  const one = (node: Node): Branches.Durable<ReadonlyArray<Ended>> => {
    const before = { ...results }
    switch (node._tag) {
      case "Step":
        return Effect.map(runStep(run, node, payload, before, forward, Branches.alone), Array.of<Ended>)
      case "Parallel":
        return Branches.all(
          node.steps.map((step) => (awaiting) => runStep(run, step, payload, before, forward, awaiting))
        )
      case "Wait":
        return Effect.map(wait(run, node, forward), Array.of<Ended>)
      case "Delay":
        return Effect.as(Branches.pause(node.name, node.duration, Branches.alone), [{ _tag: "Done", value: undefined }])
    }
  }

  for (const node of definition.nodes) {
    const before = { ...results }
    const members = node._tag === "Parallel" ? node.steps : [node]
    const ends = yield* one(node)
    let abandoned: Extract<Ended, { _tag: "Abandoned" }> | undefined
    let failed: Extract<Ended, { _tag: "Failed" }> | undefined
    for (const [index, member] of members.entries()) {
      const ended = ends[index]!
      if (ended._tag === "Done") {
        if (member._tag !== "Delay") results[member.name] = ended.value
      } else if (ended._tag === "Failed") failed ??= ended
      else abandoned ??= ended
      if (member._tag !== "Step") continue
      if (member.irreversible !== undefined) forward = true
      else if (ended._tag !== "Failed" || ended.outcome !== "unprocessed") {
        const result = ended._tag === "Done" ? Option.some(ended.value) : Option.none()
        begun.push({ node: member, result, results: before })
      }
    }
    if (abandoned !== undefined) {
      const { failure, reason, step } = abandoned
      return { _tag: "Abandoned", step, phase: "run", failure, reason, compensated: [] }
    }
    if (failed === undefined) continue
    const compensated: Array<string> = []
    for (const each of begun.toReversed()) {
      const undone = yield* compensate(run, each, payload)
      if (undone._tag === "Done") compensated.push(each.node.name)
      if (undone._tag === "Abandoned") {
        const { failure, reason, step } = undone
        return { _tag: "Abandoned", step, phase: "compensate", failure, reason, compensated }
      }
    }
    return { _tag: "RolledBack", failedStep: failed.step, error: failed.error, failure: failed.failure, compensated }
  }
  return { _tag: "Completed", results }
})
