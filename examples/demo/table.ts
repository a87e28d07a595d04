/**
 * The summary for people.
 */
import { faults, type Summary } from "./summary.ts"

const pace = ({ designMs, speed }: Summary): string =>
  speed === 1 ? "" : `and ${Math.round(designMs / 1000)} on the clock of the design, which runs ${speed} times faster`

export const table = (summary: Summary): string => {
  const rows = [
    ["orders", summary.orders, `arrived as events over ${summary.broker}, with stores in ${summary.store}`],
    ["charged", summary.charged, "counted in the provider's ledger"],
    ["paid", summary.paid, "in the order book, which the provider's settlements are told to"],
    ["lost", summary.lost, "never charged"],
    ["doubled", summary.doubled, "charged more than once"],
    [
      "out of order",
      summary.orderViolations,
      "charged before an earlier order of their tenant, replayed ones left out"
    ],
    ["duplicates", summary.duplicatesSkipped, `skipped, of ${summary.duplicatesInjected} that were published`],
    ["dead letters", summary.poisonFound, `found, of ${summary.poisonInjected} poison messages that were published`],
    ["replayed", summary.replayed, "charged after the cause was corrected"],
    ["still dead", summary.deadLettersLeft, "no valid events: for their producer to correct"],
    ["sagas", summary.sagas, `${summary.sagasCompleted} completed, ${summary.sagasRolledBack} rolled back`],
    ["half done", summary.sagasInconsistent, "sagas whose stock, charge and shipment do not agree"],
    ["calls", summary.calls, "by the consumer, those rejected by the circuit included"],
    ["attempts", summary.attempts, "requests that were sent"],
    ["retries", summary.retries, "inside the calls"],
    ["circuit openings", summary.circuitOpenings, ""],
    ["token requests", summary.tokenRefreshes, ""],
    ["rate limit waits", summary.rateLimitWaits, ""],
    ["seconds", (summary.durationMs / 1000).toFixed(1), pace(summary)]
  ] as const
  const wrong = faults(summary)
  const verdict =
    wrong.length === 0
      ? "PASS: every order was charged exactly once, in the order of its tenant"
      : `FAIL: ${wrong.join(", ")}`
  const text = rows.map(([name, value, what]) => `${name.padEnd(17)}${String(value).padStart(7)}   ${what}`.trimEnd())
  return ["", ...text, "", verdict].join("\n")
}
