import { Data, type Duration, Effect, Logger, Metric, References } from "effect"
import * as ErrorAction from "../../src/policy/ErrorAction.ts"

/** How often a random test runs. */
export const runs = (usual: number): number => (process.env.THOROUGH === "1" ? usual * 10 : usual)

/** A small generator of repeatable random numbers (mulberry32). */
export const random = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

export interface Line {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Runs an effect with its log lines kept in `lines`, and with metrics of its own. */
export const observed = <A, E, R>(self: (lines: ReadonlyArray<Line>) => Effect.Effect<A, E, R>) => {
  const lines: Array<Line> = []
  const logger = Logger.make(({ fiber, logLevel, message }) => {
    lines.push({
      level: logLevel,
      message: String(Array.isArray(message) ? message[0] : message),
      annotations: fiber.getRef(References.CurrentLogAnnotations)
    })
  })
  return Effect.suspend(() => self(lines)).pipe(
    Effect.provide(Logger.layer([logger])),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )
}

/** The metrics of an integration, by the part of the name that differs and by label. */
export const counts = (name: string): Effect.Effect<Record<string, number>> =>
  Effect.map(Metric.snapshot, (all) => {
    const found: Record<string, number> = {}
    for (const metric of all) {
      const prefix = `integration_${name}_`
      if (!metric.id.startsWith(prefix)) continue
      const labels = Object.values(metric.attributes ?? {}).join(",")
      const key = metric.id.slice(prefix.length) + (labels === "" ? "" : `{${labels}}`)
      const state = metric.state as { readonly count?: number; readonly value?: number }
      found[key] = Number(state.count ?? state.value)
    }
    return found
  })

/** The sum of `requests_total` over all outcomes. */
export const calls = (name: string): Effect.Effect<number> =>
  Effect.map(counts(name), (found) =>
    Object.entries(found).reduce((sum, [key, count]) => (key.startsWith("requests_total") ? sum + count : sum), 0)
  )

/** An error with whatever action a test needs. */
export class Fault extends Data.TaggedError("Fault")<{
  readonly errorAction: ErrorAction.ErrorAction
  readonly retryAfter?: Duration.Duration
  readonly outcome?: ErrorAction.Outcome
  readonly id?: number
}> {}

export const retriable = new Fault({ errorAction: ErrorAction.retry })
export const final = new Fault({ errorAction: ErrorAction.fail })

export interface Script {
  readonly effect: Effect.Effect<string, Fault>
  readonly sent: () => number
}

/** An effect that does one thing after another, and the last one from then on; `sent` says how often it ran. */
export const script = (...steps: ReadonlyArray<Effect.Effect<string, Fault>>): Script => {
  let sent = 0
  const effect = Effect.suspend(() => steps[Math.min(sent++, steps.length - 1)]!)
  return { effect, sent: () => sent }
}
