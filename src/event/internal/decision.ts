import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import type * as RetryPolicy from "../../policy/RetryPolicy.ts"

/** What a failed attempt means for the message. */
export type Verdict =
  /** It was done already. */
  | { readonly _tag: "Skip"; readonly problem: Problem }
  /** Whatever it needs is down: wait, and spend nothing. */
  | { readonly _tag: "Outage"; readonly problem: Problem }
  /** Again after so many milliseconds; an attempt is spent. */
  | { readonly _tag: "Again"; readonly problem: Problem; readonly millis: number }
  | { readonly _tag: "Dead"; readonly problem: Problem; readonly reason: "rejected" | "exhausted" | "defect" }

/** What went wrong, and what is to be done about it. */
export interface Problem {
  readonly error: unknown
  readonly action: ErrorAction.ErrorAction
}

const defect = ErrorAction.make("retry", {
  circuit: "ignored",
  guidance: "a bug of the handler: correct it, then replay"
})
const unclassified = ErrorAction.make("fail", { circuit: "ignored", guidance: "give the error an action" })

/** The first failure of a cause; where there is none, its first defect. */
export const problemOf = (cause: Cause.Cause<unknown>): Problem => {
  const failed = cause.reasons.find((reason) => reason._tag === "Fail")
  if (failed !== undefined) {
    const { error } = failed
    return { error, action: ErrorAction.isActionable(error) ? error.errorAction : unclassified }
  }
  const died = cause.reasons.find((reason) => reason._tag === "Die")
  return { error: died === undefined ? new Error("the handler interrupted itself") : died.defect, action: defect }
}

/**
 * Decides what becomes of the message.
 *
 * An error of the outage class spends an attempt only where the outage is provably this message's alone (`alone`) and it
 * may have taken effect: a message that always makes its provider hang would else stop its consumer for ever.
 */
export const decide = (
  problem: Problem,
  options: {
    readonly retry: RetryPolicy.RetryPolicy | undefined
    readonly failures: number
    readonly random: () => number
    readonly alone: boolean
  }
): Verdict => {
  const { action, error } = problem
  if (action.kind === "skip") return { _tag: "Skip", problem }
  const unprocessed = ErrorAction.isActionable(error) && error.outcome === "unprocessed"
  if (action.outage && (unprocessed || !options.alone)) return { _tag: "Outage", problem }
  if (action.kind === "fail" && !action.outage) return { _tag: "Dead", problem, reason: "rejected" }
  const retryAfter = ErrorAction.retryAfterMillis(error)
  const before = options.retry?.delays[options.failures - 1]
  const previous = before === undefined ? 0 : Duration.toMillis(before)
  const millis = options.retry?.delayMillis(options.failures, previous, options.random, retryAfter)
  if (millis !== undefined) return { _tag: "Again", problem, millis }
  return { _tag: "Dead", problem, reason: action === defect ? "defect" : "exhausted" }
}
