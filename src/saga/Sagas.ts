/**
 * Questions and commands of operators, about sagas of any name: which run, which are stuck, what has happened, go on.
 *
 * **Example** (Going on after the cause was corrected)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { Sagas } from "effect-integration/saga"
 *
 * export const resumeAll = Effect.gen(function* () {
 *   for (const { id, waiting } of yield* Sagas.list({ saga: "place-order", state: "stuck" })) {
 *     for (const { failure, step } of waiting) yield* Console.log(id, step, failure.description)
 *     yield* Sagas.resume(id, { reason: "the bank has corrected the account", by: "ada" })
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import type { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { asked } from "./internal/asked.ts"
import { decisionOf, type Verdict } from "./internal/stuck.ts"
import { NotStuck, SagaNotFound, type SagaStoreError } from "./SagaError.ts"
import * as SagaStore from "./SagaStore.ts"

/** What is known of a saga. @category getters @since 0.1.0 */
export const find = (
  id: string
): Effect.Effect<SagaStore.Instance, SagaNotFound | SagaStoreError, SagaStore.SagaStore> =>
  Effect.flatMap(SagaStore.SagaStore, (store) =>
    Effect.flatMap(store.find(id), (found) =>
      Option.isSome(found) ? Effect.succeed(found.value) : Effect.fail(new SagaNotFound({ id }))
    )
  )

/** Sagas by name and state, oldest first: 100 at most unless `limit` says else. @category getters @since 0.1.0 */
export const list = (
  query: SagaStore.Query = {}
): Effect.Effect<ReadonlyArray<SagaStore.Instance>, SagaStoreError, SagaStore.SagaStore> =>
  SagaStore.SagaStore.use((store) => store.list(query))

/** What a saga has done, and what was done to it, in order. @category getters @since 0.1.0 */
export const history = (
  id: string
): Effect.Effect<ReadonlyArray<SagaStore.Recorded>, SagaNotFound | SagaStoreError, SagaStore.SagaStore> =>
  Effect.andThen(
    find(id),
    SagaStore.SagaStore.use((store) => store.history(id))
  )

/**
 * Forgets sagas that ended before a time, and gives how many. Their keys are forgotten too: to start one again is to start
 * a new saga.
 *
 * @category combinators
 * @since 0.1.0
 */
export const purge = (endedBefore: DateTime.Utc): Effect.Effect<number, SagaStoreError, SagaStore.SagaStore> =>
  SagaStore.SagaStore.use((store) => store.purge(endedBefore))

/**
 * Why, and who says so. Both are kept in the history.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reason {
  readonly reason: string
  readonly by?: string
  /** Which of several parallel steps that are stuck. Default: the one that has waited longest. */
  readonly step?: string
}

type Decided = Effect.Effect<void, SagaNotFound | NotStuck | SagaStoreError, SagaStore.SagaStore | WorkflowEngine>

/** Tries again what a saga is stuck in. @category combinators @since 0.1.0 */
export const resume = (id: string, reason: Reason): Decided => decide(id, "resume", reason)

/**
 * Goes on as if what a saga is stuck in had been done: a compensation, or a step without a result.
 *
 * @category combinators
 * @since 0.1.0
 */
export const skip = (id: string, reason: Reason): Decided => decide(id, "skip", reason)

/**
 * Ends a saga that is stuck as it is. Nothing more is done or undone.
 *
 * @category combinators
 * @since 0.1.0
 */
export const abandon = (id: string, reason: Reason): Decided => decide(id, "abandon", reason)

const decide = Effect.fnUntraced(function* (
  id: string,
  verdict: Verdict["verdict"],
  { by, reason, step }: Reason
): Effect.fn.Return<void, SagaNotFound | NotStuck | SagaStoreError, SagaStore.SagaStore | WorkflowEngine> {
  const { saga, state, waiting: all } = yield* find(id)
  const refuse = (description: string) => new NotStuck({ id, verdict, description })
  if (reason.trim() === "") return yield* refuse("a decision needs a reason")
  const waiting = all.find((each) => step === undefined || each.step === step)
  if (waiting === undefined) {
    return yield* refuse(all.length === 0 ? `it is not stuck, it is ${state}` : `it is not stuck in step ${step}`)
  }
  if (verdict === "skip" && !waiting.skippable) {
    return yield* refuse("later steps rely on the result of the step that it is stuck in")
  }
  const deferred = decisionOf(waiting.decision)
  const token = new DurableDeferred.TokenParsed({ workflowName: saga, executionId: id, deferredName: deferred.name })
  const value = by === undefined ? { verdict, reason } : { verdict, reason, by }
  yield* DurableDeferred.succeed(deferred, { token: token.asToken, value }).pipe(asked(`${verdict} a saga`))
})
