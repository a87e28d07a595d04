/**
 * What there is to see while the demo runs.
 */
import { Logger, LogLevel } from "effect"
import type { CircuitBreaker } from "effect-integration/policy"
import type { Calls } from "./numbers.ts"
import type { Phase } from "./outage.ts"
import type { Progress } from "./progress.ts"

/** Everything there is to show at one moment. */
export interface View {
  readonly total: number
  readonly phase: Phase
  readonly progress: Progress
  readonly calls: Calls
  /** The states of the circuit, the present one last. */
  readonly circuit: ReadonlyArray<CircuitBreaker.State["_tag"]>
  /** The last warnings of the library's log. */
  readonly warnings: ReadonlyArray<string>
  readonly seconds: number
}

/** A logger that keeps the last warnings to be shown, so that no line of the log tears the dashboard. */
export const keepWarnings = (kept: Array<string>): Logger.Logger<unknown, void> =>
  Logger.make(({ logLevel, message }) => {
    if (LogLevel.isLessThan(logLevel, "Warn")) return
    const text = (Array.isArray(message) ? message : [message]).join(" ").replace(/ \(request [0-9a-f-]+\)/, "")
    kept.push(`${logLevel.toLowerCase().padEnd(5)} ${text}`)
    if (kept.length > 3) kept.shift()
  })

const bar = (done: number, total: number, width = 40): string => {
  const filled = Math.floor((done / total) * width)
  return "█".repeat(filled) + "░".repeat(width - filled)
}

const states = { Closed: "closed", Open: "OPEN", HalfOpen: "half-open", ForcedOpen: "FORCED OPEN" } as const

export const lines = ({ calls, circuit, phase, progress, seconds, total, warnings }: View): ReadonlyArray<string> => {
  const reasons = calls.retriesByReason.map(([reason, count]) => `${reason} ${count}`).join(", ")
  const history = circuit.slice(-7).map((state) => states[state])
  return [
    `provider  ${phase.name}: ${phase.story}`,
    `orders    ${bar(progress.handled, total)} ${progress.handled}/${total}`,
    `events    ${progress.published} published, ${progress.waiting} wait at the broker, ${progress.parked} are parked`,
    `          ${progress.duplicates} duplicates skipped, ${progress.deadLettered} dead letters`,
    `consumer  ${progress.consumer}`,
    `calls     ${calls.calls} ended, ${calls.attempts} requests sent, ${seconds.toFixed(1)} s`,
    `retries   ${calls.retries}${reasons === "" ? "" : `: ${reasons}`}`,
    `circuit   ${history.join(" → ")}`,
    `limits    ${calls.rateLimitWaits} waits for the rate limit, ${calls.tokenRefreshes} tokens fetched`,
    ...Array.from({ length: 3 }, (_, i) => `log       ${warnings[i] ?? ""}`)
  ]
}

/** Where there is no terminal. */
export const line = ({ calls, circuit, phase, progress, seconds, total }: View): string =>
  [
    `${seconds.toFixed(1).padStart(5)} s`,
    phase.name.padEnd(14),
    `${progress.handled}/${total} charged`.padStart(16),
    `${progress.waiting} waiting`.padStart(12),
    `${progress.parked} parked`.padStart(10),
    `${progress.duplicates} duplicates`.padStart(14),
    `${progress.deadLettered} dead`.padStart(7),
    `${calls.attempts} requests`.padStart(13),
    `circuit ${states[circuit.at(-1) ?? "Closed"]}`,
    `consumer ${progress.consumer.split(":")[0]}`
  ].join("  ")
