/**
 * The proof: what the provider booked, against what was ordered.
 */
import { Data, Runtime } from "effect"
import type { Calls } from "./numbers.ts"

export interface Summary extends Omit<Calls, "retriesByReason"> {
  readonly broker: string
  readonly store: string
  readonly orders: number
  /** Orders that the provider has booked at least once. */
  readonly charged: number
  /** Orders that the provider has never booked. */
  readonly lost: number
  /** Orders that the provider has booked more than once. */
  readonly doubled: number
  /** Charges that were booked before one that its tenant had ordered earlier. Replayed orders are left out. */
  readonly orderViolations: number
  /** Orders that are paid, as the order book of the order service knows. */
  readonly paid: number
  /** Orders that were dead letters, and charged after a replay. */
  readonly replayed: number
  readonly duplicatesInjected: number
  readonly duplicatesSkipped: number
  readonly poisonInjected: number
  /** Messages without a cure and orders that were refused: found among the dead letters. */
  readonly poisonFound: number
  /** Those without a cure. */
  readonly deadLettersLeft: number
  readonly sagas: number
  readonly sagasCompleted: number
  readonly sagasRolledBack: number
  /** Orders of which something was left half done, or done twice. */
  readonly sagasInconsistent: number
  /** How much faster the clock of the design ran than the one on the wall. */
  readonly speed: number
  /** How long it took on the clock of the design, and on the wall. */
  readonly designMs: number
  readonly durationMs: number
}

/** The demo has proven the contrary. The summary says it all, so nothing more is printed. */
export class NotExactlyOnce extends Data.TaggedError("NotExactlyOnce")<{ readonly summary: Summary }> {
  override readonly [Runtime.errorExitCode] = 1
  override readonly [Runtime.errorReported] = false
}

interface Order {
  readonly orderId: string
  readonly tenantId: string
}

/** The first booking of each order, tenant by tenant, against the order of publication. */
const violations = (
  orders: ReadonlyArray<Order>,
  ledger: ReadonlyArray<Order>,
  replayed: ReadonlySet<string>
): number => {
  const places = new Map(orders.map((order, place) => [order.orderId, place]))
  const booked = new Set(replayed)
  const last = new Map<string, number>()
  let found = 0
  for (const { orderId, tenantId } of ledger) {
    if (booked.has(orderId)) continue
    booked.add(orderId)
    const place = places.get(orderId)!
    if (place < (last.get(tenantId) ?? -1)) found += 1
    last.set(tenantId, place)
  }
  return found
}

export const make = (
  orders: ReadonlyArray<Order>,
  bookings: ReadonlyArray<Order>,
  replayed: ReadonlySet<string>,
  { retriesByReason: _, ...numbers }: Calls,
  rest: Omit<Summary, keyof Calls | "orders" | "charged" | "lost" | "doubled" | "orderViolations" | "replayed">
): Summary => {
  const known = new Set(orders.map(({ orderId }) => orderId))
  const ledger = bookings.filter(({ orderId }) => known.has(orderId))
  const booked = Map.groupBy(ledger, (charge) => charge.orderId)
  const times = orders.map(({ orderId }) => booked.get(orderId)?.length ?? 0)
  return {
    orders: orders.length,
    charged: times.filter((count) => count > 0).length,
    lost: times.filter((count) => count === 0).length,
    doubled: times.filter((count) => count > 1).length,
    orderViolations: violations(orders, ledger, replayed),
    replayed: Array.from(replayed).filter((id) => booked.has(id)).length,
    ...rest,
    ...numbers
  }
}

/** What went wrong; nothing where all is proven. */
export const faults = (summary: Summary): ReadonlyArray<string> => {
  const { doubled, duplicatesInjected, duplicatesSkipped, lost, orderViolations, poisonFound, poisonInjected } = summary
  const { charged, paid, sagas, sagasCompleted, sagasInconsistent, sagasRolledBack } = summary
  const unfinished = sagas - sagasCompleted - sagasRolledBack
  return [
    ...(lost > 0 ? [`${lost} orders were lost`] : []),
    ...(doubled > 0 ? [`${doubled} were charged more than once`] : []),
    ...(orderViolations > 0 ? [`${orderViolations} were charged out of order`] : []),
    ...(paid < charged ? [`the order service was not told of ${charged - paid} payments`] : []),
    // A broker may deliver a message twice by itself.
    ...(duplicatesSkipped < duplicatesInjected
      ? [`${duplicatesInjected - duplicatesSkipped} duplicates were missed`]
      : []),
    ...(poisonFound !== poisonInjected ? [`${poisonFound} dead letters instead of ${poisonInjected}`] : []),
    ...(sagasInconsistent > 0 ? [`${sagasInconsistent} sagas left something half done`] : []),
    ...(unfinished > 0 ? [`${unfinished} sagas have not ended`] : [])
  ]
}
