import type * as CircuitBreaker from "../../../policy/CircuitBreaker.ts"
import * as WorstCase from "../../WorstCase.ts"
import { span } from "../span.ts"
import { type ContractFacts, contractsOf, toMillis } from "./facts.ts"
import { count, type Finding, type Look } from "./finding.ts"

/** Circuit breakers that cannot trip, that trip too easily, or that cannot close. */
export const look: Look = (design) =>
  contractsOf(design).flatMap((contract) => {
    const { breaker } = contract.options
    return breaker === undefined
      ? []
      : [
          ...blind(contract, breaker),
          ...blindToHangs(contract, breaker),
          ...flapping(contract, breaker),
          ...shortProbe(contract, breaker)
        ]
  })

const minimumOf = (breaker: CircuitBreaker.Options): number => breaker.minimumCalls ?? 10

const where = ({ key, section }: ContractFacts) => ({ section: section("Circuit Breaker Configuration"), subject: key })

const blind = (contract: ContractFacts, breaker: CircuitBreaker.Options): ReadonlyArray<Finding> => {
  const { key, options, timeouts } = contract
  const window = toMillis(breaker.window)
  const minimum = minimumOf(breaker)
  const sent = WorstCase.requestsWithin(options.rateLimit ?? {}, window)
  if (minimum <= sent) return []
  // Slow answers of earlier requests may end in the same window.
  const ended = WorstCase.requestsWithin(options.rateLimit ?? {}, window + Math.min(timeouts.attempt, timeouts.total))
  const never = minimum > ended
  return [
    {
      id: `breaker-never-trips/${key}`,
      severity: never ? "error" : "warning",
      ...where(contract),
      message:
        `The circuit needs ${count(minimum, "call")} within ${span(window)}, but the rate limit lets ${sent} go in that time: ` +
        (never ? "it can never open." : "it opens only where slow answers pile up."),
      remedy: `Set minimumCalls to at most ${sent}, or make the window longer.`
    }
  ]
}

const blindToHangs = (contract: ContractFacts, breaker: CircuitBreaker.Options): ReadonlyArray<Finding> => {
  const { key, options, timeouts } = contract
  const attempt = Math.min(timeouts.attempt, timeouts.total)
  if (options.bulkhead === undefined || attempt === Infinity) return []
  const window = toMillis(breaker.window)
  const minimum = minimumOf(breaker)
  const most = WorstCase.timeoutsWithin(options.bulkhead.maxConcurrent, attempt, window)
  if (minimum <= most) return []
  return [
    {
      id: `breaker-blind-to-hangs/${key}`,
      severity: "warning",
      ...where(contract),
      message:
        `When the provider hangs, ${count(options.bulkhead.maxConcurrent, "call")} at once of ${span(attempt)} each are at most ` +
        `${most} in ${span(window)}, fewer than the ${minimum} that the circuit needs: it stays closed.`,
      remedy: `Set minimumCalls to at most ${most}, make the window longer, or lower the attempt timeout.`
    }
  ]
}

const flapping = (contract: ContractFacts, breaker: CircuitBreaker.Options): ReadonlyArray<Finding> => {
  const { key, options, timeouts } = contract
  const minimum = minimumOf(breaker)
  const attempts = WorstCase.attempts(options.retry)
  const openFor = toMillis(breaker.openFor)
  const reasons: Array<string> = []
  // The soonest that one call can have failed so often.
  const soonest = WorstCase.shortestDelays(options.retry)
    .slice(0, minimum - 1)
    .reduce((sum, delay) => sum + delay, 0)
  if (minimum <= attempts && soonest < toMillis(breaker.window)) {
    reasons.push(
      `one call that fails (${count(attempts, "attempt")}) opens it for all, since ${count(minimum, "call")} suffice` +
        (minimum < attempts ? ", and its later retries never run" : "")
    )
  }
  if (timeouts.attempt < Infinity && openFor < timeouts.attempt) {
    reasons.push(`it is open for ${span(openFor)}, less than the ${span(timeouts.attempt)} that one attempt may take`)
  }
  if (reasons.length === 0) return []
  return [
    {
      id: `breaker-flaps/${key}`,
      severity: "warning",
      ...where(contract),
      message: `The circuit will open and close all the time: ${reasons.join("; ")}.`,
      remedy: "Raise minimumCalls above the attempts of one call, and openFor above the attempt timeout."
    }
  ]
}

const shortProbe = (contract: ContractFacts, breaker: CircuitBreaker.Options): ReadonlyArray<Finding> => {
  const { key, timeouts } = contract
  const probe = toMillis(breaker.probeTimeout ?? "30 seconds")
  const attempt = Math.min(timeouts.attempt, timeouts.total)
  if (attempt === Infinity || probe >= attempt) return []
  return [
    {
      id: `probe-shorter-than-attempt/${key}`,
      severity: "warning",
      ...where(contract),
      message:
        `A probe has failed after ${span(probe)}, but an attempt may take ${span(attempt)}: a provider that is slow and well ` +
        `is not let in again.`,
      remedy: `Set probeTimeout to at least ${span(attempt)}.`
    }
  ]
}
