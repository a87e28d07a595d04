import * as Duration from "effect/Duration"
import * as HttpPolicy from "../../http/HttpPolicy.ts"
import type { Jitter, RetryPolicy } from "../../policy/RetryPolicy.ts"
import type * as StatusTable from "../../http/StatusTable.ts"
import { mayRepeat } from "../../policy/RetryPolicy.ts"
import * as Timeouts from "../../policy/Timeouts.ts"
import * as Blocks from "./blocks.ts"
import { inOrder } from "./statusRows.ts"

const { field, heading, lines, millis, table } = Blocks

const jitters: { readonly [K in Jitter]: string } = {
  none: "without jitter",
  equal: "with equal jitter (half to all of the delay)",
  full: "with full jitter (nothing to all of the delay)",
  decorrelated: "with decorrelated jitter (the base to three times the delay before, up to the cap)"
}

const limitsOf = ({ timeouts }: HttpPolicy.Any) => Timeouts.toMillis(timeouts ?? HttpPolicy.defaultTimeouts)

const limit = (value: number): string => (value === Infinity ? "not limited" : millis(value))

/** How delays grow. */
export const strategyOf = ({ delays, jitter }: RetryPolicy): string => {
  const times = delays.map((delay) => Duration.toMillis(delay))
  const grows = times.length > 1 && times.every((each, index) => index === 0 || each > times[index - 1]!)
  const ratios = times.slice(1).map((each, index) => each / times[index]!)
  const exponential = grows && ratios.every((each) => each >= 1.5)
  const name = exponential ? "Exponential backoff" : grows ? "Growing backoff" : "Backoff by a list of delays"
  return `${name}, ${jitters[jitter]}`
}

export const delaysOf = ({ delays }: RetryPolicy): string =>
  `[${delays.map((delay) => `${Duration.toMillis(delay)}ms`).join(", ")}]`

/** Which statuses are tried again. */
const retriedOn = ({ errors }: HttpPolicy.Any): string => {
  const rows = inOrder(errors.rows as Readonly<Record<string, StatusTable.Row<unknown>>>)
  const statuses = rows.filter(([, { action }]) => mayRepeat(action)).map(([status]) => status)
  return [...statuses, "network errors", "timeouts of an attempt"].join(", ")
}

export const retry = (contract: HttpPolicy.Any): ReadonlyArray<Blocks.Block> => {
  const policy = contract.retry
  const title = heading(4, "Retry Policy")
  const attempt = field("Timeout per attempt", limit(limitsOf(contract).attempt))
  if (policy === undefined || policy.maxRetries === 0) {
    return [title, lines(field("Max retries", "0 (the contract has no retries)"), attempt)]
  }
  return [
    title,
    lines(
      field("Max retries", `${policy.maxRetries} (retry only on ${retriedOn(contract)})`),
      field("Strategy", strategyOf(policy)),
      field("Delays", [Blocks.code(delaysOf(policy))]),
      attempt
    ),
    Blocks.note(
      "Retry-After is never shortened, and jitter only adds to it. A delay that does not fit what is left of the total timeout is not waited for: the call ends with its last error."
    )
  ]
}

export const breaker = ({ breaker }: HttpPolicy.Any): ReadonlyArray<Blocks.Block> => {
  const title = heading(4, "Circuit Breaker Configuration")
  if (breaker === undefined) return [title, lines("The contract has no circuit breaker.")]
  const seconds = (value: Duration.Input) => `${Duration.toMillis(Duration.fromInputUnsafe(value)) / 1000}s`
  const { alertAfter, failurePercent, minimumCalls = 10, openFor, probeTimeout = "30 seconds", window } = breaker
  return [
    title,
    lines(
      field(
        "Failure threshold",
        `${failurePercent}% failures in ${seconds(window)} window (of at least ${minimumCalls} calls)`
      ),
      field("Open duration", seconds(openFor)),
      field("Half-open test", `1 request, which has failed after ${seconds(probeTimeout)}`),
      field("Alert on", alertAfter === undefined ? undefined : `Circuit open for > ${seconds(alertAfter)}`)
    )
  ]
}

export const rateLimit = ({ bulkhead, rateLimit }: HttpPolicy.Any): ReadonlyArray<Blocks.Block> => {
  const number = (value: number | undefined) => (value === undefined ? Blocks.notGiven : String(value))
  const { burst, perDay, perMinute } = rateLimit ?? {}
  const waits = "wait where that fits the time budget, else fail with"
  return [
    heading(4, "Rate Limiting"),
    table(
      ["Limit", "Value", "Window", "Action when exceeded", "What the client does"],
      [
        [
          "Requests per minute",
          number(perMinute),
          "60s sliding",
          "HTTP 429, Retry-After",
          `${waits} RateLimitExceeded`
        ],
        ["Burst limit", number(burst), "1s sliding", "HTTP 429 immediately", `${waits} RateLimitExceeded`],
        ["Daily quota", number(perDay), "24h sliding", "HTTP 429, contact support", "fail at once with QuotaExhausted"]
      ]
    ),
    lines(
      bulkhead === undefined
        ? field("Calls at once", "not limited")
        : field("Calls at once", `${bulkhead.maxConcurrent}, and ${bulkhead.maxQueue ?? 0} that wait`)
    )
  ]
}

export const timeouts = (contract: HttpPolicy.Any): ReadonlyArray<Blocks.Block> => {
  const { attempt, connect, read, total } = limitsOf(contract)
  const suffix = contract.timeouts === undefined ? " (default)" : ""
  const row = (name: string, value: number, notes: string) => [name, `${limit(value)}${suffix}`, notes]
  return [
    heading(4, "Timeout Configuration"),
    table(
      ["Timeout Type", "Value", "Notes"],
      [
        row("Connection timeout", connect, "Time to establish connection"),
        row("Read timeout", read, "Time to receive first byte"),
        row("Attempt timeout", attempt, "Time of one attempt, the body of its response included"),
        row("Total request timeout", total, "End-to-end budget, with all attempts and waits")
      ]
    )
  ]
}
