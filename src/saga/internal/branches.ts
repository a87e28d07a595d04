import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as DurableClock from "effect/workflow/DurableClock"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine, WorkflowInstance } from "effect/workflow/WorkflowEngine"

export type Durable<A> = Effect.Effect<A, never, WorkflowEngine | WorkflowInstance>

/** How a part of a saga waits for what may take days. */
export type Awaiting = <A>(deferred: DurableDeferred.DurableDeferred<Schema.Codec<A>>) => Durable<A>

/** For a part that is the only one at work: the run is suspended, and replayed when it comes. */
export const alone: Awaiting = (deferred) => DurableDeferred.await(deferred)

/** What is shorter stays in memory, and begins again after a crash. */
const short = Duration.seconds(60)

/** A pause that a crash does not lengthen by more than a minute. */
export const pause = Effect.fnUntraced(function* (
  name: string,
  duration: Duration.Duration,
  awaiting: Awaiting
): Effect.fn.Return<void, never, WorkflowEngine | WorkflowInstance> {
  if (Duration.isLessThanOrEqualTo(duration, short)) return yield* DurableClock.sleep({ name, duration })
  const engine = yield* WorkflowEngine
  const { executionId, workflow } = yield* WorkflowInstance
  const clock = DurableClock.make({ name, duration })
  yield* engine.scheduleClock(workflow, { executionId, clock })
  yield* awaiting(clock.deferred)
})

/**
 * Suspends the run until one of these is there. Not with `DurableDeferred.raceAll`, which takes a store that fails
 * meanwhile for the result, and keeps it.
 */
export const untilAny = Effect.fnUntraced(function* (
  deferreds: ReadonlyArray<DurableDeferred.Any>
): Effect.fn.Return<void, never, WorkflowEngine | WorkflowInstance> {
  const engine = yield* WorkflowEngine
  const instance = yield* WorkflowInstance
  const { awaitedDeferreds } = instance
  // Known to be waited for before it is looked, so that none can come between.
  const count = (by: number) => {
    for (const { name } of deferreds) {
      const left = (awaitedDeferreds.get(name) ?? 0) + by
      if (left === 0) awaitedDeferreds.delete(name)
      else awaitedDeferreds.set(name, left)
    }
  }
  count(1)
  for (const deferred of deferreds) {
    if (Option.isSome(yield* engine.deferredResult(deferred as DurableDeferred.DurableDeferred<any, any>))) {
      return count(-1)
    }
  }
  yield* Workflow.wrapActivityResult(Effect.void, () => true)
  return yield* Workflow.suspend(instance)
})

/**
 * Runs parts of a saga side by side.
 *
 * The engine knows one run, not its branches: what a branch waits for would suspend the others with it, and interrupt them
 * when it comes. So a branch that must wait for long rests, and only when all have ended or rest, the run is suspended.
 */
export const all = <A>(branches: ReadonlyArray<(awaiting: Awaiting) => Durable<A>>): Durable<ReadonlyArray<A>> =>
  Effect.gen(function* (): Effect.fn.Return<ReadonlyArray<A>, never, WorkflowEngine | WorkflowInstance> {
    const engine = yield* WorkflowEngine
    const resting: Array<DurableDeferred.DurableDeferred<Schema.Codec<any>>> = []
    const nobodyWorks = Deferred.makeUnsafe<void>()
    let atWork = branches.length
    const settle = () => {
      atWork -= 1
      if (atWork === 0) Deferred.doneUnsafe(nobodyWorks, Exit.void)
    }
    const awaiting: Awaiting = (deferred) =>
      Effect.flatMap(engine.deferredResult(deferred), (found) => {
        if (Option.isSome(found)) return found.value
        resting.push(deferred)
        settle()
        return Effect.never
      })
    const fibers = yield* Effect.forEach(branches, (branch) =>
      Effect.forkChild(Effect.ensuring(branch(awaiting), Effect.sync(settle)))
    )
    yield* Deferred.await(nobodyWorks)
    if (resting.length === 0) return yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
    yield* Fiber.interruptAll(fibers)
    yield* untilAny(resting)
    return yield* all(branches)
  })
