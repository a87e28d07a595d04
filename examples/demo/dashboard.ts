/**
 * What there is to see while the demo runs: the metrics of the catalogue, and the alerts as they fire.
 */
import { Logger, LogLevel } from "effect"
import { Alert } from "effect-integration/monitoring"
import type { CircuitBreaker } from "effect-integration/policy"
import type { Calls } from "./numbers.ts"
import type { Phase } from "./outage.ts"
import type { Progress } from "./progress.ts"
import type { Readings } from "./readings.ts"

/** Everything there is to show at one moment. */
export interface View {
  readonly total: number
  readonly phase: Phase
  readonly progress: Progress
  readonly calls: Calls
  readonly readings: Readings
  /** The states of the circuit, the present one last. */
  readonly circuit: ReadonlyArray<CircuitBreaker.State["_tag"]>
  /** The latest alerts, the newest last. */
  readonly alerts: ReadonlyArray<Alert.Alert>
  /** How many have fired and are not over. */
  readonly firing: number
  /** The last warnings of the library's log. */
  readonly warnings: ReadonlyArray<string>
  /** As the design counts them. */
  readonly seconds: number
  /** How much faster its clock runs than the one on the wall. */
  readonly speed: number
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

/** A gauge without a value says so. */
const gauge = (value: number | undefined, unit: string, digits = 0): string =>
  value === undefined ? "-" : `${value.toFixed(digits)}${unit}`

const three = (texts: ReadonlyArray<string>, name: string): ReadonlyArray<string> =>
  Array.from({ length: 3 }, (_, i) => `${name.padEnd(10)}${texts[i] ?? ""}`)

export const lines = (view: View): ReadonlyArray<string> => {
  const { alerts, calls, circuit, firing, phase, progress, readings, seconds, speed, total, warnings } = view
  const reasons = calls.retriesByReason.map(([reason, count]) => `${reason} ${count}`).join(", ")
  const errorRate = gauge(readings.of("errorRate", "payments"), " %", 1)
  const p99 = gauge(readings.of("latencyP99", "payments"), " ms")
  const lag = gauge(readings.of("lag", "billing"), "")
  const age = gauge(readings.of("lagAge", "billing"), " s")
  const dead = gauge(readings.of("deadLetters", "billing"), "")
  const told = alerts.slice(-3).map((alert) => `${Alert.title(alert)}: ${alert.summary}`)
  return [
    `clock     ${seconds.toFixed(1)} s of the design's time${speed === 1 ? "" : `, ${speed} times as fast`}`,
    `provider  ${phase.name}: ${phase.story}`,
    `orders    ${bar(progress.handled, total)} ${progress.handled}/${total}`,
    `payments  ${calls.calls} calls, ${calls.attempts} requests, error rate ${errorRate}, p99 ${p99}`,
    `retries   ${calls.retries}${reasons === "" ? "" : `: ${reasons}`}`,
    `circuit   ${circuit
      .slice(-7)
      .map((state) => states[state])
      .join(" → ")}`,
    `billing   lag ${lag}, the oldest ${age}; ${dead} dead letters, ${progress.parked} parked, ${progress.duplicates} duplicates`,
    `          ${progress.consumer}`,
    `limits    ${calls.rateLimitWaits} waits for the rate limit, ${calls.tokenRefreshes} tokens fetched`,
    ...three(told, firing === 0 ? "alerts" : `alerts ${firing}`),
    ...three(warnings, "log")
  ]
}

/** Where there is no terminal. */
export const line = ({ calls, circuit, firing, phase, progress, readings, seconds, total }: View): string =>
  [
    `${seconds.toFixed(1).padStart(6)} s`,
    phase.name.padEnd(14),
    `${progress.handled}/${total} charged`.padStart(15),
    `${calls.attempts} requests`.padStart(13),
    `errors ${gauge(readings.of("errorRate", "payments"), " %")}`.padEnd(12),
    `p99 ${gauge(readings.of("latencyP99", "payments"), " ms")}`.padEnd(12),
    `lag ${gauge(readings.of("lag", "billing"), "")}`.padEnd(7),
    `dead ${gauge(readings.of("deadLetters", "billing"), "")}`,
    `circuit ${states[circuit.at(-1) ?? "Closed"]}`.padEnd(17),
    `billing ${progress.consumer.split(":")[0]}`.padEnd(15),
    `alerts ${firing}`
  ].join("  ")

/** An alert where there is no terminal. */
export const told = (alert: Alert.Alert): string => `${" ".repeat(10)}${Alert.title(alert)}: ${alert.summary}`
