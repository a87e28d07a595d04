import { Duration, Effect, Fiber, Layer, Option, Schema } from "effect"
import { ErrorAction } from "effect-integration/policy"
import { type Saga, SagaEngine, Sagas, SagaStore } from "effect-integration/saga"
import { SqlSagas } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"
import type { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import type { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

export const Text = Schema.Struct({ key: Schema.String })
export const keyOf = ({ key }: typeof Text.Type): string => key

/** A file that goes with the scope. */
export const filename = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "saga-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
).pipe(Effect.map((directory) => path.join(directory, "sagas.db")))

/** The engine on a file, which looks often, and the client. */
export const sqlite = (file: string) =>
  SqlSagas.layerWith({ poll: "20 millis" }).pipe(Layer.provideMerge(Sqlite.layer({ filename: file })))

/** The same for a process that runs no sagas. */
export const client = (file: string) =>
  SqlSagas.layerClient({ poll: "20 millis" }).pipe(Layer.provideMerge(Sqlite.layer({ filename: file })))

/** An engine of its own, and who runs these sagas on it. */
export const on = <A, E, R>(
  engine: Layer.Layer<A, E, R>,
  ...sagas: ReadonlyArray<Saga.Any<never>>
): Layer.Layer<A, E, R> =>
  sagas.reduce<Layer.Layer<any, any, any>>((all, saga) => Layer.provideMerge(saga.layer, all), Layer.fresh(engine))

export const memory = (...sagas: ReadonlyArray<Saga.Any<never>>) => on(SagaEngine.layerMemory, ...sagas)

/** What people were told. */
export const alerts = () => {
  const notices: Array<ErrorAction.Notice> = []
  return {
    notices,
    layer: Layer.succeed(ErrorAction.AlertHook, (notice) => Effect.sync(() => void notices.push(notice)))
  }
}

/** An error that says what to do. */
export class Failed extends Error {
  override readonly name = "Failed"
  readonly errorAction: ErrorAction.ErrorAction
  readonly outcome: ErrorAction.Outcome
  constructor(kind: ErrorAction.ErrorAction["kind"], outcome: ErrorAction.Outcome = "unknown") {
    super(kind)
    this.errorAction = ErrorAction.make(kind)
    this.outcome = outcome
  }
}

/** Lets promises settle, which the test's clock knows nothing of. */
export const settle = Effect.promise(() => new Promise<void>((resume) => setImmediate(resume)))

/** Lets many fibers run until each waits for the clock. */
export const quiet = Effect.repeat(settle, { times: 10 })

/** Lets so much time pass on the test's clock, in steps. */
export const pass = (total: Duration.Input, steps = 20): Effect.Effect<void> => {
  const step = Duration.millis(Duration.toMillis(Duration.fromInputUnsafe(total)) / steps)
  return Effect.andThen(Effect.repeat(Effect.andThen(quiet, TestClock.adjust(step)), { times: steps - 1 }), quiet)
}

/** Lets time pass on the test's clock until the effect has ended. */
export const ended = <A, E, R>(self: Effect.Effect<A, E, R>, step: Duration.Input = "100 millis") =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(self)
    for (let looks = 0; looks < 2000 && fiber.pollUnsafe() === undefined; looks++) {
      yield* Effect.andThen(quiet, TestClock.adjust(step))
    }
    if (fiber.pollUnsafe() === undefined) return yield* Effect.die(new Error("it has not ended"))
    return yield* Fiber.join(fiber)
  })

/** Waits until a saga is so, on the test's clock. */
export const untilState = (id: string, state: SagaStore.State, step: Duration.Input = "100 millis") =>
  awaitState(id, state, Effect.andThen(quiet, TestClock.adjust(step)))

/** Waits until a saga is so, on the machine's clock. */
export const liveUntilState = (id: string, state: SagaStore.State) => awaitState(id, state, Effect.sleep("10 millis"))

const awaitState = (
  id: string,
  state: SagaStore.State,
  next: Effect.Effect<void>
): Effect.Effect<SagaStore.Instance, never, SagaStore.SagaStore> =>
  Effect.gen(function* () {
    const store = yield* SagaStore.SagaStore
    for (let looks = 0; looks < 1500; looks++) {
      const found = yield* Effect.orDie(Effect.retry(store.find(id), { times: 10 }))
      if (Option.isSome(found) && found.value.state === state) return found.value
      yield* next
    }
    const found = yield* Effect.orDie(Effect.retry(store.find(id), { times: 10 }))
    return yield* Effect.die(new Error(`${id} did not become ${state}: ${JSON.stringify(found)}`))
  })

/** The entries of a saga. */
export const entriesOf = (id: string) => Effect.map(Sagas.history(id), (recorded) => recorded.map(({ entry }) => entry))

/** The entries of a saga in short. */
export const storyOf = (id: string) => Effect.map(entriesOf(id), (entries) => entries.map(tell))

const tell = (entry: SagaStore.Entry): string => {
  switch (entry._tag) {
    case "Begun":
      return `begun ${entry.key}`
    case "AttemptBegun":
      return `${entry.phase} ${entry.step} ${entry.attempt}`
    case "AttemptEnded":
      return `${entry.phase} ${entry.step} ${entry.attempt}: ${entry.failure?.tag ?? "done"}`
    case "Stuck":
      return `stuck ${entry.decision}`
    case "Decided":
      return `${entry.verdict} ${entry.decision}: ${entry.reason} (${entry.by ?? "nobody"})`
    case "Ended":
      return `${entry.state}: ${entry.compensated.join(",")}`
  }
}

export type Engine = WorkflowEngine | SagaStore.SagaStore

/** Runs on a new process's engine on a file: as after a restart. */
export const restarted =
  (file: string, ...sagas: ReadonlyArray<Saga.Any<never>>) =>
  <A, E>(self: Effect.Effect<A, E, Engine | SqlClient.SqlClient>) =>
    Effect.provide(self, on(sqlite(file), ...sagas))
