/**
 * Runs sagas durably: on effect/workflow, with its records and the history of the sagas in one SQL database.
 *
 * **Details**
 *
 * - `layer` needs the database and nothing else. Each process with it takes a share of the sagas; when one dies, the others,
 *   or the next to start, take over what it was at. Processes find one another in the database, so a saga that another
 *   process must run waits for its next look (`poll`).
 * - `layerCluster` runs them on an Effect Cluster of yours, whose runners talk to one another: on `NodeClusterSocket.layer`
 *   of `@effect/platform-node`, for example.
 * - A process that stalls for longer than `takeover` loses its sagas to others. What it was at may then be done twice:
 *   steps use the operation keys that they are given.
 *
 * **Gotchas**
 *
 * - Each process with `layer` gets a share of all sagas of the database, so it must have the layers of all of them: one that
 *   it does not know waits for it, and fails after a minute. A process that runs none takes `layerClient`.
 * - On PostgreSQL one connection of the pool is kept for locks, so the pool needs at least two.
 * - To start a saga is no part of a transaction, not even of one on the same database: publish an event with the outbox,
 *   and start the saga where it is consumed.
 *
 * **Example** (Sagas on SQLite)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { SqlSagas } from "effect-integration/sql"
 * import { Sqlite } from "effect-integration/sqlite"
 *
 * export const engine = SqlSagas.layer.pipe(Layer.provide(Sqlite.layer({ filename: "sagas.db" })))
 * ```
 *
 * @since 0.1.0
 */
import * as ClusterWorkflowEngine from "effect/cluster/ClusterWorkflowEngine"
import * as EntityAddress from "effect/cluster/EntityAddress"
import * as EntityId from "effect/cluster/EntityId"
import * as EntityType from "effect/cluster/EntityType"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Context from "effect/Context"
import * as Digest from "effect/crypto/Digest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import * as Check from "../internal/option.ts"
import { SagaStoreError } from "../saga/SagaError.ts"
import { type Instance, SagaStore } from "../saga/SagaStore.ts"
import * as droppedAnswers from "./internal/droppedAnswers.ts"
import * as shardLocks from "./internal/shardLocks.ts"
import * as Migrations from "./Migrations.ts"
import * as SqlSagaStore from "./SqlSagaStore.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * How long the sagas of a process that died, or has stalled, may lie idle before others take them over. PostgreSQL
   * notices at once where the process has died. At least three seconds. Default: 15 seconds.
   */
  readonly takeover?: Duration.Input
  /** How often to look for sagas and answers of other processes. Default: 500 milliseconds. */
  readonly poll?: Duration.Input
  /** Before the names of the engine's tables. Default: `saga`, as in `saga_messages`. */
  readonly prefix?: string
}

/**
 * The engine and the history, with options.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (
  options: Options
): Layer.Layer<WorkflowEngine | SagaStore, MigrationError | SqlError, SqlClient.SqlClient> => build(options, true)

/**
 * The same, for a process that starts sagas, asks about them and decides what they wait for, and runs none: a web server
 * whose workers are elsewhere, or the command of an operator. It needs no layers of sagas.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (
  options: Options = {}
): Layer.Layer<WorkflowEngine | SagaStore, MigrationError | SqlError, SqlClient.SqlClient> => build(options, false)

const build = (
  options: Options,
  runs: boolean
): Layer.Layer<WorkflowEngine | SagaStore, MigrationError | SqlError, SqlClient.SqlClient> => {
  const where = "SqlSagas.layerWith"
  const takeover = Check.millis(where, "takeover", options.takeover ?? "15 seconds")
  if (takeover < 3000) Check.reject(where, "takeover", options.takeover, "at least 3 seconds")
  const poll = Check.millis(where, "poll", options.poll ?? "500 millis")
  const prefix = Check.name(where, options.prefix ?? "saga")
  const refresh = Duration.millis(takeover / 3)
  const config = Layer.sync(ShardingConfig.ShardingConfig, () => ({
    ...ShardingConfig.defaults,
    // Nobody connects to it: it tells the processes apart in the table of locks.
    runnerAddress: runs ? Option.some(RunnerAddress.make(globalThis.crypto.randomUUID(), 1)) : Option.none(),
    shardLockExpiration: Duration.millis(takeover),
    shardLockRefreshInterval: refresh,
    // Each is a lock to take, to renew and to give back.
    shardsPerGroup: 64,
    // A saga that is handed over ends what it is at, and must not keep the others waiting for longer than one that died.
    entityTerminationTimeout: Duration.millis(takeover),
    refreshAssignmentsInterval: Duration.millis(Math.min(1000, takeover / 3)),
    entityMessagePollInterval: Duration.millis(poll),
    entityReplyPollInterval: Duration.millis(Math.min(200, poll)),
    simulateRemoteSerialization: false
  }))
  const sharding = Sharding.layer.pipe(
    Layer.provideMerge(Runners.layerNoop),
    Layer.provide([
      Layer.provide(shardLocks.layer(Duration.millis(takeover * 2)), SqlRunnerStorage.layerWith({ prefix })),
      RunnerHealth.layerNoop
    ]),
    Layer.provideMerge(SqlMessageStorage.layerWith({ prefix })),
    Layer.provide([config, Digest.layerWebCrypto])
  )
  // The tables of the history first: that fails where the database cannot be reached, and the engine would die.
  return Layer.unwrap(Effect.as(Migrations.migrate, Layer.provide(services(refresh), sharding)))
}

/** Starting a saga cannot be undone with a transaction, and on SQLite would wait for its end. */
class StartedInTransaction extends Error {
  override readonly name = "StartedInTransaction"
  override readonly message =
    "a saga was started in a transaction, which it can be no part of: publish an event with the outbox instead"
}

const engine = (refresh: Duration.Input) =>
  Layer.effect(
    WorkflowEngine,
    Effect.gen(function* () {
      const { transactionService } = yield* SqlClient.SqlClient
      const inner = yield* WorkflowEngine
      return WorkflowEngine.of({
        ...inner,
        activityExecute: droppedAnswers.repeated(inner, yield* Sharding.Sharding, refresh),
        execute: (workflow, options) =>
          Effect.contextWith((context: Context.Context<never>) =>
            Option.isSome(Context.getOption(context, transactionService))
              ? Effect.die(new StartedInTransaction())
              : inner.execute(workflow, options)
          ) as never
      })
    })
  ).pipe(Layer.provide(ClusterWorkflowEngine.layer))

/** Whoever forgets a saga forgets what the engine knows of it too, else its key would still lead to it. */
const store = Layer.effect(
  SagaStore,
  Effect.gen(function* () {
    const inner = yield* SqlSagaStore.make
    const sharding = yield* Sharding.Sharding
    const storage = yield* MessageStorage.MessageStorage
    const forget = Effect.fnUntraced(function* ({ id, saga }: Instance) {
      const entityId = EntityId.make(id)
      const shardId = sharding.getShardId(entityId, "default")
      for (const type of [`Workflow/${saga}`, "Workflow/-/DurableClock"]) {
        const entityType = EntityType.make(type)
        yield* storage.clearAddress(EntityAddress.make({ entityType, entityId, shardId }))
      }
    })
    return SagaStore.of({
      ...inner,
      purge: (endedBefore) =>
        inner.list({ endedBefore, limit: Infinity }).pipe(
          Effect.flatMap((old) => Effect.forEach(old, forget, { discard: true })),
          Effect.catchTag("PersistenceError", () =>
            Effect.fail(new SagaStoreError({ operation: "forget sagas", description: "PersistenceError" }))
          ),
          Effect.andThen(inner.purge(endedBefore))
        )
    })
  })
)

/** The locks are looked at so often. */
const services = (refresh: Duration.Input) => Layer.merge(engine(refresh), store)

/**
 * The engine and the history, on every process that has this layer and the same database.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<WorkflowEngine | SagaStore, MigrationError | SqlError, SqlClient.SqlClient> = layerWith(
  {}
)

/**
 * The engine on an Effect Cluster, and the history.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerCluster: Layer.Layer<
  WorkflowEngine | SagaStore,
  MigrationError | SqlError,
  Sharding.Sharding | MessageStorage.MessageStorage | SqlClient.SqlClient
> = Layer.unwrap(Effect.as(Migrations.migrate, services(ShardingConfig.defaults.shardLockRefreshInterval)))
