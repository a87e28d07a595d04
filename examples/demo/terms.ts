/**
 * What the design says about time, and how fast its clock runs here.
 */
import { Duration } from "effect"
import design from "../orders-to-payments/design.ts"
import { Billing } from "../orders-to-payments/orders.ts"
import { Payments } from "../orders-to-payments/payments.ts"

const all = (delays: ReadonlyArray<Duration.Duration>): string => delays.map((each) => Duration.format(each)).join(", ")
const text = (given: Duration.Input | undefined): string =>
  given === undefined ? "never" : Duration.format(Duration.fromInputUnsafe(given))

export const terms = (speed: number): string => {
  const { breaker, retry, timeouts } = Payments.contract
  return [
    `${design.name} ${design.version ?? ""}, as its document says:`,
    `  calls are tried again after ${all(retry?.delays ?? [])}, events after ${all(Billing.options.retry?.delays ?? [])};`,
    `  a reply is waited for ${text(timeouts?.read)}, a call takes ${text(timeouts?.total)} at most, the circuit is open for ${text(breaker?.openFor)};`,
    speed === 1
      ? "  and the clock runs as fast as the one on the wall"
      : `  and the clock runs ${speed} times faster than the one on the wall`,
    ""
  ].join("\n")
}
