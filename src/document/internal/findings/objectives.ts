import * as Duration from "effect/Duration"
import { span } from "../span.ts"
import { contractsOf, investigatedWithin, millisOf, toMillis } from "./facts.ts"
import type { Finding, Look } from "./finding.ts"

/** The recovery time objective against circuits: how long they stay open, and when people are told. */
export const look: Look = (design) => {
  if (design.rto === undefined) return []
  const rto = Duration.toMillis(design.rto)
  const looked = investigatedWithin(design, "circuit open") ?? 0
  return contractsOf(design).flatMap(({ key, options, section }): ReadonlyArray<Finding> => {
    const { breaker } = options
    if (breaker === undefined) return []
    const at = { section: section("Circuit Breaker Configuration"), subject: key }
    const found: Array<Finding> = []
    const openFor = toMillis(breaker.openFor)
    if (openFor > rto) {
      found.push({
        id: `rto-below-open-time/${key}`,
        severity: "error",
        ...at,
        message:
          `The circuit rejects calls for ${span(openFor)} after it opens, but a downtime of ${span(rto)} is acceptable (RTO): ` +
          `one opening breaks the objective, however soon the provider is back.`,
        remedy: `Open for less than ${span(rto)}.`
      })
    }
    const told = millisOf(breaker.alertAfter)
    if (told === undefined) {
      found.push({
        id: `rto-below-alert/${key}`,
        severity: "warning",
        ...at,
        message: `A downtime of ${span(rto)} is acceptable (RTO), but nobody is told when the circuit stays open.`,
        remedy: "Give the breaker an alertAfter well below the objective."
      })
    } else if (told + looked >= rto) {
      found.push({
        id: `rto-below-alert/${key}`,
        severity: told >= rto ? "error" : "warning",
        ...at,
        message:
          `People are told after ${span(told)} of an open circuit` +
          (looked === 0 ? "" : `, and look within ${span(looked)}`) +
          `, but a downtime of ${span(rto)} is acceptable (RTO): no time is left to act.`,
        remedy: `Alert and look within less than ${span(rto)}.`
      })
    }
    return found
  })
}
