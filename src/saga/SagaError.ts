/**
 * What can go wrong with a saga, apart from the errors that its steps declare.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as ErrorAction from "../policy/ErrorAction.ts"

const down = ErrorAction.make("retry", { circuit: "ignored", outage: true, guidance: "wait until the store is back" })

/**
 * The store or the engine of sagas could not be asked, or did not answer. To start a saga again is safe: it joins.
 *
 * @category errors
 * @since 0.1.0
 */
export class SagaStoreError extends Schema.TaggedError<SagaStoreError>()("SagaStoreError", {
  operation: Schema.String,
  /** Without credentials. */
  description: Schema.String
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return down
  }
  /** Nothing is doubled by doing it again. */
  get outcome(): ErrorAction.Outcome {
    return "unprocessed"
  }
  override get message(): string {
    return `the store of sagas could not ${this.operation}: ${this.description}`
  }
}

/**
 * A saga with this idempotency key was started before, with another payload.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyReused extends Schema.TaggedError<KeyReused>()("KeyReused", {
  saga: Schema.String,
  /** Of the saga that has the key. */
  id: Schema.String,
  key: Schema.String
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return reused
  }
  get outcome(): ErrorAction.Outcome {
    return "unprocessed"
  }
  override get message(): string {
    return `${this.saga}: the idempotency key "${this.key}" belongs to saga ${this.id}, which has another payload`
  }
}
const reused = ErrorAction.make("fail", {
  circuit: "ignored",
  notify: "alert",
  guidance: "a bug: one key, one payload"
})

/**
 * The payload does not fit its schema, or its idempotency key is empty. Nothing was started.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidPayload extends Schema.TaggedError<InvalidPayload>()("InvalidPayload", {
  saga: Schema.String,
  /** Where, for example `["items", "0"]`. */
  path: Schema.Array(Schema.String),
  description: Schema.String
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return invalid
  }
  get outcome(): ErrorAction.Outcome {
    return "unprocessed"
  }
  override get message(): string {
    return `${this.saga}: ${["payload", ...this.path].join(".")}: ${this.description}`
  }
}
const invalid = ErrorAction.make("fail", { circuit: "ignored", guidance: "correct the payload" })

/**
 * No saga has this id, in this store.
 *
 * @category errors
 * @since 0.1.0
 */
export class SagaNotFound extends Schema.TaggedError<SagaNotFound>()("SagaNotFound", { id: Schema.String }) {
  override get message(): string {
    return `there is no saga ${this.id}`
  }
}

/**
 * The saga does not wait for this decision.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotStuck extends Schema.TaggedError<NotStuck>()("NotStuck", {
  id: Schema.String,
  verdict: Schema.Literals(["resume", "skip", "abandon"]),
  /** Why not. */
  description: Schema.String
}) {
  override get message(): string {
    return `cannot ${this.verdict} saga ${this.id}: ${this.description}`
  }
}

/**
 * A step failed with something that it does not declare.
 *
 * **Details**
 *
 * - `error`: an error of a step without an `error` schema; `tag` and `description` are what is kept of it.
 * - `timeout`: the step's own timeout was reached.
 * - `deadline`: what was waited for did not come in time.
 * - `defect`: it died, or gave something that does not fit its schema.
 * - `unreadable`: what the step has left in the store no longer fits its schema, since the code was changed.
 * - `changed`: the saga was started under a definition that this process does not have.
 *
 * @category errors
 * @since 0.1.0
 */
export class StepFailed extends Schema.TaggedError<StepFailed>()("StepFailed", {
  saga: Schema.String,
  step: Schema.String,
  reason: Schema.Literals(["error", "timeout", "deadline", "defect", "unreadable", "changed"]),
  /** The tag of the error, or its name. */
  tag: Schema.String,
  /** At most 1,000 characters. */
  description: Schema.String,
  outcome: Schema.Literals(["unprocessed", "unknown", "processed"])
}) {
  override get message(): string {
    return `${this.saga}: step ${this.step} failed (${this.reason}): ${this.description}`
  }
}
