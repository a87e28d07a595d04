import * as ClusterSchema from "effect/cluster/ClusterSchema"
import type { EntityId } from "effect/cluster/EntityId"
import type { Sharding } from "effect/cluster/Sharding"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Activity from "effect/workflow/Activity"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import type { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { WorkflowInstance } from "effect/workflow/WorkflowEngine"

/** What the engine tells a run that is to be interrupted: it suspends it by intent. */
const interruptSignal = DurableDeferred.make("Workflow/InterruptSignal")

/** Whether it is an answer, and not one that was cut off or a defect, after which the engine begins anew. */
const isAnswer = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Success" || exit.cause.reasons.every(({ _tag }) => _tag === "Fail")

/**
 * Sees to it that a run gets the answer of an activity that the engine has dropped.
 *
 * The engine drops an answer where it cannot confirm its lock in time, as after a stall of the process, and hands the
 * activity out again. If that comes to the same process, whose run still waits, the engine has forgotten the activity: it
 * stores that it is suspended, so the run is suspended with it, and nobody would ever wake it. Asked once more, the engine
 * takes that back and makes the activity, which here only repeats the answer that it has given.
 *
 * It is asked after a `pause` in which the engine looks at its locks. Where another process has the shard by then, this one
 * touches nothing: its run is about to be interrupted.
 */
export const repeated = (
  inner: WorkflowEngine["Service"],
  sharding: Sharding["Service"],
  pause: Duration.Input
): WorkflowEngine["Service"]["activityExecute"] => {
  const perform = Effect.fnUntraced(function* (activity: Activity.Any, attempt: number) {
    const instance = yield* WorkflowInstance
    const { executionId, workflow } = instance
    let answer: Exit.Exit<unknown, unknown> | undefined
    /** What it wrote is rolled back with the answer, so it must be made again. */
    const isTransaction = Context.get(activity.annotations, ClusterSchema.WithTransaction)
    /** Whether it waits for something durable, which will wake the run. */
    let isSuspended = false
    const watched = {
      ...activity,
      executeEncoded: Effect.suspend(
        () =>
          answer ??
          Effect.onExit(activity.executeEncoded, (exit) =>
            Effect.map(WorkflowInstance, ({ suspended }) => {
              isSuspended = suspended
              if (!suspended && !isTransaction && isAnswer(exit)) answer = exit
            })
          )
      )
    }
    const group = Context.get(workflow.annotations, ClusterSchema.ShardGroup)(executionId as EntityId)
    const shard = sharding.getShardId(executionId as EntityId, group)
    while (true) {
      const result = yield* inner.activityExecute(watched as Activity.Activity<any, any, any>, attempt)
      if (result._tag !== "Suspended" || result.failed === true || isSuspended) return result
      if (!instance.interrupted && Option.isSome(yield* inner.deferredResult(interruptSignal))) return result
      yield* Effect.logWarning(
        `${workflow._tag} ${executionId}: the answer of ${activity.name} was dropped, since its lock could not be confirmed in time; it is given again`
      )
      yield* Effect.repeat(Effect.sleep(pause), { until: () => sharding.hasShardId(shard) })
    }
  })
  return perform as WorkflowEngine["Service"]["activityExecute"]
}
