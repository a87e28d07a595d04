/**
 * What the terminal shows: a few lines that are redrawn in place, or a line now and then where there is no terminal.
 */
import { Clock, Effect, Logger, LogLevel } from "effect"
import type { CircuitBreaker } from "effect-integration/policy"
import type { Numbers } from "./numbers.ts"
import type { Progress } from "./orders.ts"
import type { Phase } from "./outage.ts"

/** Everything there is to show at one moment. */
export interface View {
  readonly total: number
  readonly phase: Phase
  readonly progress: Progress
  readonly numbers: Numbers
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

export const lines = (view: View): ReadonlyArray<string> => {
  const { circuit, numbers, phase, progress, total } = view
  const reasons = numbers.retriesByReason.map(([reason, count]) => `${reason} ${count}`).join(", ")
  const history = circuit.slice(-7).map((state) => states[state])
  return [
    `provider  ${phase.name}: ${phase.story}`,
    `orders    ${bar(progress.charged, total)} ${progress.charged}/${total}`,
    `          ${progress.waiting} wait to be tried again, ${progress.requeued} times an order went back to the queue`,
    `calls     ${numbers.calls} ended, ${numbers.attempts} requests sent, ${view.seconds.toFixed(1)} s`,
    `retries   ${numbers.retries}${reasons === "" ? "" : `: ${reasons}`}`,
    `circuit   ${history.join(" → ")}`,
    `limits    ${numbers.rateLimitWaits} waits for the rate limit, ${numbers.tokenRefreshes} tokens fetched`,
    ...Array.from({ length: 3 }, (_, i) => `log       ${view.warnings[i] ?? ""}`)
  ]
}

const line = ({ circuit, numbers, phase, progress, seconds, total }: View): string =>
  [
    `${seconds.toFixed(1).padStart(5)} s`,
    phase.name.padEnd(14),
    `${progress.charged}/${total} charged`.padStart(16),
    `${numbers.attempts} requests`.padStart(13),
    `${numbers.retries} retries`.padStart(11),
    `circuit ${states[circuit.at(-1) ?? "Closed"]}`
  ].join("  ")

const write = (text: string): Effect.Effect<void> => Effect.sync(() => void process.stdout.write(text))
const hideCursor = "\u001b[?25l"
const showCursor = "\u001b[?25h"
const eraseLine = "\u001b[2K"
const up = (count: number): string => `\u001b[${count}A`

/** Redraws in place, ten times a second, and once more at the end. */
const redraw = Effect.fnUntraced(function* (view: Effect.Effect<View>) {
  let drawn = 0
  const draw = Effect.flatMap(view, (now) => {
    const width = process.stdout.columns || 80
    const shown = lines(now).map((text) => `${eraseLine}${text.slice(0, width - 1)}\n`)
    const text = (drawn === 0 ? "" : up(drawn)) + shown.join("")
    drawn = shown.length
    return write(text)
  })
  yield* Effect.acquireRelease(write(hideCursor), () => Effect.andThen(draw, write(showCursor)))
  return yield* Effect.forever(Effect.andThen(draw, Effect.sleep("100 millis")))
})

/** Writes a line every second, and whenever the phase has changed. */
const report = Effect.fnUntraced(function* (view: Effect.Effect<View>) {
  let phase = ""
  let at = -Infinity
  const tell = Effect.gen(function* () {
    const [seen, now] = yield* Effect.all([view, Clock.currentTimeMillis])
    if (seen.phase.name === phase && now - at < 1000) return
    phase = seen.phase.name
    at = now
    yield* write(`${line(seen)}\n`)
  })
  return yield* Effect.forever(Effect.andThen(tell, Effect.sleep("50 millis")))
})

/** Shows what there is to see until it is interrupted. */
export const show = (view: Effect.Effect<View>) => Effect.scoped(process.stdout.isTTY ? redraw(view) : report(view))
