/**
 * What runs sagas and remembers how far they are. This one is of the memory of one process, for tests and trials; durable
 * ones on SQLite, PostgreSQL and a cluster are in `effect-integration/sql` (`SqlSagas`).
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import * as SagaStore from "./SagaStore.ts"

/**
 * In the memory of the process: everything is lost when it ends.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<WorkflowEngine.WorkflowEngine | SagaStore.SagaStore> = Layer.merge(
  WorkflowEngine.layerMemory,
  SagaStore.layerMemory
)
