import type { Contract } from "../snapshot/contract.ts"
import type { Retry } from "../snapshot/times.ts"
import * as WorstCase from "../../WorstCase.ts"
import { span } from "../span.ts"
import { type Change, same, whereTrue } from "./change.ts"

/** A ladder that was kept, for the arithmetic. */
export const ladderOf = (retry: typeof Retry.Type | null): WorstCase.Ladder =>
  retry === null
    ? undefined
    : {
        maxRetries: retry.longest.length,
        delayMillis: (index, _, random) => (random() > 0 ? retry.longest : retry.shortest)[index]
      }

type Kept = typeof Contract.Type

/** Changes of the ladder and of the timeouts of attempts, with what they do to the worst case. */
export const callChanges = (
  before: Kept,
  after: Kept,
  at: { readonly subject: string; readonly section: (title: string) => string }
): ReadonlyArray<Change> => {
  if (same(before.retry, after.retry)) return []
  const [was, is] = [ladderOf(before.retry), ladderOf(after.retry)]
  const [b, a] = [WorstCase.attempts(was), WorstCase.attempts(is)]
  const consequences = [
    ...whereTrue(a !== b, `${percent(b, a)} requests while the provider fails`),
    ...worstCase(before, after)
  ]
  const words = { kind: "behavioural" as const, section: at.section("Retry Policy"), subject: at.subject }
  return [
    a === b
      ? { ...words, what: "retry delays", before: delaysOf(before.retry), after: delaysOf(after.retry), consequences }
      : { ...words, what: "retry attempts", before: String(b), after: String(a), consequences }
  ]
}

const percent = (before: number, after: number): string => {
  const change = Math.round(((after - before) / before) * 100)
  return `${change > 0 ? "+" : ""}${change} %`
}

export const delaysOf = (retry: typeof Retry.Type | null): string =>
  retry === null || retry.delays.length === 0
    ? "none"
    : `${retry.delays.map((delay) => span(delay)).join(", ")}${retry.jitter === "none" ? "" : ` (jitter ${retry.jitter})`}`

/** `worst case 4.2 s -> 14 s, over the total timeout of 10 s`; nothing where neither it nor what it is over changes. */
export const worstCase = (before: Kept, after: Kept): ReadonlyArray<string> => {
  const [was, is] = [ladderMillis(before), ladderMillis(after)]
  const over = budgetsBelow(after)
  if (was !== is) return [[`worst case ${span(was)} -> ${span(is)}`, ...over].join(", ")]
  return over.length === 0 || over.join() === budgetsBelow(before).join()
    ? []
    : [[`worst case ${span(is)}`, ...over].join(", ")]
}

/** The budgets that the worst case does not fit in. */
const budgetsBelow = (contract: Kept): ReadonlyArray<string> => {
  const millis = ladderMillis(contract)
  const total = contract.timeouts.totalMillis ?? Infinity
  const budget = contract.callerBudgetMillis ?? Infinity
  return [
    ...whereTrue(millis > total, `over the total timeout of ${span(total)}`),
    ...whereTrue(Math.min(millis, total) > budget, `over the ${span(budget)} that its caller waits`)
  ]
}

const ladderMillis = ({ retry, timeouts }: Kept): number =>
  WorstCase.ladderMillis(
    ladderOf(retry),
    Math.min(timeouts.attemptMillis ?? Infinity, timeouts.totalMillis ?? Infinity)
  )
