import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { SagaStoreError } from "../SagaError.ts"

const unavailable: ReadonlySet<unknown> = new Set([
  "AlreadyProcessingMessage",
  "EntityNotAssignedToRunner",
  "MailboxFull",
  "PersistenceError",
  "RunnerNotRegistered",
  "RunnerUnavailable",
  "SqlError"
])

/** The engine dies where its store, or the machine that has the saga, cannot be reached. Other defects are bugs. */
export const asked =
  (operation: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | SagaStoreError, R> =>
    Effect.catchDefect(self, (defect) =>
      Predicate.hasProperty(defect, "_tag") && unavailable.has(defect._tag)
        ? Effect.fail(new SagaStoreError({ operation, description: String(defect._tag) }))
        : Effect.die(defect)
    )
