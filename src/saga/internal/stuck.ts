import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Activity from "effect/workflow/Activity"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as Telemetry from "../../Telemetry.ts"
import type { Failure, Phase } from "../Outcome.ts"
import { record, type Run, told } from "./attempt.ts"
import type { Awaiting } from "./branches.ts"

/** What a person decided about a saga that is stuck. */
export const Verdict = Schema.Struct({
  verdict: Schema.Literals(["resume", "skip", "abandon"]),
  reason: Schema.String,
  by: Schema.optionalKey(Schema.String)
})
export type Verdict = typeof Verdict.Type

/** Where the decision of this name arrives. */
export const decisionOf = (name: string) => DurableDeferred.make(`decision/${name}`, { success: Verdict })

/** Tells people once, and waits for one of them: for days, if need be, without a fiber. */
export const stuck = Effect.fnUntraced(function* (
  run: Run,
  at: {
    readonly step: string
    readonly phase: Phase
    readonly error: unknown
    readonly failure: Failure
    /** Of this saga's decisions, each has a name of its own. */
    readonly decision: string
    readonly skippable: boolean
  },
  awaiting: Awaiting
) {
  const { decision, failure, phase, skippable, step } = at
  const doing = phase === "run" ? `step ${step}` : `the compensation of step ${step}`
  const verdicts = skippable ? "resume, skip or abandon" : "resume or abandon"
  const message =
    `${run.saga}: saga ${run.id} is stuck: ${doing} failed for good: ${told(failure)}` +
    ` (correct the cause, then ${verdicts} it)`
  yield* Activity.make({
    name: `stuck/${decision}`,
    execute: Effect.gen(function* () {
      yield* record(run, { _tag: "Stuck", step, phase, failure, decision, skippable })
      yield* Effect.logError(message)
      const { error } = at
      Telemetry.recorder(run.saga).saga("stuck", yield* Effect.context())
      yield* ErrorAction.notify({ kind: "alert", integration: run.saga, message, error, requestId: run.requestId })
    })
  })
  const verdict = yield* awaiting(decisionOf(decision))
  yield* record(run, { _tag: "Decided", decision, ...verdict })
  return verdict
})
