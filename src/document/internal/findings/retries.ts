import * as WorstCase from "../../WorstCase.ts"
import { span } from "../span.ts"
import { type ContractFacts, contractsOf, endpointsOf, millisOf, rowsOf } from "./facts.ts"
import { count, type Finding, type Look } from "./finding.ts"

/** Retries and timeouts of contracts against the budgets that bound them. */
export const look: Look = (design) =>
  contractsOf(design).flatMap((contract) => [
    ...limits(contract),
    ...reach(contract),
    ...caller(contract),
    ...ambiguous(contract),
    ...unused(contract)
  ])

const limits = ({ key, section, timeouts }: ContractFacts): ReadonlyArray<Finding> =>
  Math.min(timeouts.attempt, timeouts.total) < Infinity
    ? []
    : [
        {
          id: `no-time-limit/${key}`,
          severity: "warning",
          section: section("Timeout Configuration"),
          subject: key,
          message:
            "There is neither an attempt nor a total timeout: a provider that does not answer keeps its caller for ever.",
          remedy: "Give the contract a total timeout."
        }
      ]

const reach = ({ key, options, section, timeouts }: ContractFacts): ReadonlyArray<Finding> => {
  const { attempt, total } = timeouts
  const { retry } = options
  if (retry === undefined || total === Infinity) return []
  const { maxRetries } = retry
  const ever = WorstCase.retriesWithin(WorstCase.shortestDelays(retry), 0, total)
  const at = { section: section("Retry Policy"), subject: key }
  if (ever < maxRetries) {
    const shortest = WorstCase.shortestDelays(retry).reduce((sum, delay) => sum + delay, 0)
    return [
      {
        id: `retry-beyond-budget/${key}`,
        severity: "error",
        ...at,
        message:
          `${count(maxRetries - ever, "retry", "retries")} of ${maxRetries} can never run: the delays alone ` +
          `take ${span(shortest)}, and the total timeout is ${span(total)}.`,
        remedy: "Shorten the delays, make them fewer, or raise the total timeout."
      }
    ]
  }
  const worst = WorstCase.ladderMillis(retry, Math.min(attempt, total))
  if (worst <= total) return []
  const begun = WorstCase.retriesWithin(WorstCase.longestDelays(retry), Math.min(attempt, total), total)
  return [
    {
      id: `worst-case-beyond-budget/${key}`,
      severity: "warning",
      ...at,
      message:
        `${count(WorstCase.attempts(retry), "attempt")} can take ${span(worst)} ` +
        `(${attempt === Infinity ? "no attempt timeout" : `${span(attempt)} each`}), over the total timeout of ${span(total)}: ` +
        `when the provider hangs, ${begun + 1} of them ${begun === 0 ? "is" : "are"} begun.`,
      remedy: "Lower the attempt timeout or the number of retries, or raise the total timeout."
    }
  ]
}

const caller = ({ given, key, options, section, timeouts }: ContractFacts): ReadonlyArray<Finding> => {
  const budget = millisOf(given.callerBudget)
  const worst = WorstCase.callMillis(options.retry, timeouts.attempt, timeouts.total)
  if (budget === undefined || worst <= budget) return []
  return [
    {
      id: `call-beyond-caller/${key}`,
      severity: "error",
      section: section("Timeout Configuration"),
      subject: key,
      message: `A call can take ${span(worst)}, but its caller waits for ${span(budget)}: it works on when nobody waits.`,
      remedy: `Set the total timeout to at most ${span(budget)}, or forward the caller's deadline.`
    }
  ]
}

/** Methods whose repetition is no second request (RFC 9110, 9.2.2) need no key. */
const repeatable = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PUT", "DELETE"])

const ambiguous = (contract: ContractFacts): ReadonlyArray<Finding> => {
  const { isIdempotent, key, options, section } = contract
  if (isIdempotent || (options.retry?.maxRetries ?? 0) === 0) return []
  const unsafe = endpointsOf(contract).filter(({ method }) => !repeatable.has(method))
  if (unsafe.length === 0) return []
  return [
    {
      id: `retry-not-idempotent/${key}`,
      severity: "warning",
      section: section("Retry Policy"),
      subject: key,
      message:
        `${unsafe.map(({ method, path }) => `${method} ${path}`).join(", ")}: without idempotency keys a timeout, a reset ` +
        `connection or a 5xx is not retried, since the request may have been processed; ` +
        `${count(options.retry?.maxRetries ?? 0, "retry", "retries")} will not help there.`,
      remedy:
        "Agree on idempotency keys with the provider and set `idempotent: true`, or acknowledge that callers must look."
    }
  ]
}

const unused = (contract: ContractFacts): ReadonlyArray<Finding> => {
  const { key, options, section } = contract
  if ((options.retry?.maxRetries ?? 0) > 0) return []
  const rows = rowsOf(contract).filter(({ action }) => action.kind === "retry" || action.kind === "wait")
  if (rows.length === 0) return []
  return [
    {
      id: `rows-without-retry/${key}`,
      severity: "note",
      section: section("Retry Policy"),
      subject: key,
      message: `The rows ${rows.map((row) => row.key).join(", ")} say retry, but the contract retries nothing.`,
      remedy: "Give the contract a retry policy, or override the rows with `ErrorAction.fail`."
    }
  ]
}
