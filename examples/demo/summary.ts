/**
 * The proof: what the provider booked, against what was ordered.
 */
import { Data, Runtime } from "effect"
import type { Numbers } from "./numbers.ts"
import type { Order } from "./orders.ts"

export interface Summary extends Omit<Numbers, "retriesByReason"> {
  readonly orders: number
  /** Orders that the provider has booked at least once. */
  readonly charged: number
  /** Orders that the provider has never booked. */
  readonly lost: number
  /** Orders that the provider has booked more than once. */
  readonly doubled: number
  readonly durationMs: number
}

/** The demo has proven the contrary. The summary says it all, so nothing more is printed. */
export class NotExactlyOnce extends Data.TaggedError("NotExactlyOnce")<{ readonly summary: Summary }> {
  override readonly [Runtime.errorExitCode] = 1
  override readonly [Runtime.errorReported] = false
}

export const make = (
  orders: ReadonlyArray<Order>,
  ledger: ReadonlyArray<{ readonly orderId: string }>,
  { retriesByReason: _, ...numbers }: Numbers,
  durationMs: number
): Summary => {
  const booked = Map.groupBy(ledger, (charge) => charge.orderId)
  const times = orders.map((order) => booked.get(order.id)?.length ?? 0)
  return {
    orders: orders.length,
    charged: times.filter((count) => count > 0).length,
    lost: times.filter((count) => count === 0).length,
    doubled: times.filter((count) => count > 1).length,
    ...numbers,
    durationMs: Math.round(durationMs)
  }
}

export const passed = (summary: Summary): boolean => summary.lost === 0 && summary.doubled === 0

export const table = (summary: Summary): string => {
  const rows = [
    ["orders", summary.orders, "in orders.json"],
    ["charged", summary.charged, "counted in the provider's ledger"],
    ["lost", summary.lost, "never charged"],
    ["doubled", summary.doubled, "charged more than once"],
    ["calls", summary.calls, "by the order service, those rejected by the circuit included"],
    ["attempts", summary.attempts, "requests that were sent"],
    ["retries", summary.retries, "inside the calls"],
    ["circuit openings", summary.circuitOpenings, ""],
    ["token requests", summary.tokenRefreshes, ""],
    ["rate limit waits", summary.rateLimitWaits, ""],
    ["seconds", (summary.durationMs / 1000).toFixed(1), ""]
  ] as const
  const verdict = passed(summary)
    ? "PASS: every order was charged exactly once"
    : `FAIL: ${summary.lost} orders were lost, ${summary.doubled} were charged more than once`
  const text = rows.map(([name, value, what]) => `${name.padEnd(17)}${String(value).padStart(7)}   ${what}`.trimEnd())
  return ["", ...text, "", verdict].join("\n")
}
