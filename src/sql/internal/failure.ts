import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as SqlError from "effect/sql/SqlError"

const isLost = (reason: Cause.Reason<unknown>): boolean =>
  Cause.isDieReason(reason) && SqlError.isSqlError(reason.defect)

/** The error of SQL in a cause, also as the defect that a failed rollback is. */
export const sqlErrorOf = (cause: Cause.Cause<unknown>): SqlError.SqlError | undefined => {
  for (const reason of cause.reasons) {
    if (Cause.isFailReason(reason) && SqlError.isSqlError(reason.error)) return reason.error
    if (Cause.isDieReason(reason) && SqlError.isSqlError(reason.defect)) return reason.defect
  }
  return undefined
}

/**
 * A transaction around an effect of somebody else, whose failures stay as they are, errors of SQL among them.
 *
 * Where the rollback fails as well, the connection is gone and the transaction with it: that is the store's failure,
 * whatever the effect failed with.
 */
export const around = <A, B, E, R, E2>(
  transaction: (effect: Effect.Effect<A, E, R>) => Effect.Effect<B, E | SqlError.SqlError, R>,
  effect: Effect.Effect<A, E, R>,
  onSqlError: (error: SqlError.SqlError) => E2
): Effect.Effect<B, E | E2, R> =>
  Effect.suspend(() => {
    let own: Exit.Exit<A, E> | undefined
    const recorded = Effect.onExit(effect, (exit) =>
      Effect.sync(() => {
        own = exit
      })
    )
    return Effect.catchCause(transaction(recorded), (cause): Effect.Effect<never, E | E2> => {
      const error = sqlErrorOf(cause)
      const failedItself = own?._tag === "Failure"
      const rollbackFailed = own?._tag === "Failure" && cause.reasons.some(isLost) && !own.cause.reasons.some(isLost)
      return error !== undefined && (!failedItself || rollbackFailed)
        ? Effect.fail(onSqlError(error))
        : Effect.failCause(cause as Cause.Cause<E>)
    })
  })
