/**
 * What runs sagas and remembers how far they are. This one is of the memory of one process, for tests and trials; durable
 * ones on SQLite, PostgreSQL and a cluster are in `effect-integration/sql` (`SqlSagas`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import * as SagaStore from "./SagaStore.ts"

/** The engine forgets nothing, so neither does the history: a key must not lead to a saga of which nothing is known. */
const store = Layer.effect(
  SagaStore.SagaStore,
  SagaStore.SagaStore.use((inner) => Effect.succeed({ ...inner, purge: () => Effect.succeed(0) }))
).pipe(Layer.provide(SagaStore.layerMemory))

/**
 * In the memory of the process: everything is lost when it ends, and nothing is purged before.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<WorkflowEngine.WorkflowEngine | SagaStore.SagaStore> = Layer.merge(
  WorkflowEngine.layerMemory,
  store
)
