/** What the cases of `Obeyed.test.ts` are made of. */
import { Clock, Duration, Effect, Predicate, type Random, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { RetryPolicy } from "../../../src/policy/index.ts"

/** A field with one value, and a running system in which the number that is printed is looked for. */
export interface Case {
  readonly field: string
  readonly value: string
  readonly run: Effect.Effect<void, unknown, Scope.Scope>
}

const show = (value: unknown): string => {
  if (typeof value === "function") return "a function"
  if (Duration.isDuration(value)) return Duration.format(value)
  if (Predicate.hasProperty(value, "delays")) {
    return (value as RetryPolicy.RetryPolicy).delays.map((delay) => Duration.format(delay)).join(", ")
  }
  return JSON.stringify(value)?.slice(0, 60) ?? "none"
}

/** The field with the flagship's value, and with at least one other. */
export const obeys = <A>(
  field: string,
  values: readonly [A, A, ...ReadonlyArray<A>],
  run: (value: A) => Effect.Effect<void, unknown, Scope.Scope>
): ReadonlyArray<Case> => values.map((value) => ({ field, value: show(value), run: run(value) }))

/** The times that a text of the document says, in milliseconds: `1h 30m`, `2000ms (2s)`. */
export const millisOf = (text: string): number => {
  const units: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 }
  const parts = Array.from(text.matchAll(/(\d+(?:\.\d+)?)(ms|d|h|m|s)\b/g))
  if (parts.length === 0) throw new Error(`no time in "${text}"`)
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * units[unit!]!, 0)
}

/** What the document says at the place of the first group of a pattern. */
export const said = (text: string, pattern: RegExp): string => {
  const found = pattern.exec(text)?.[1]
  if (found === undefined) throw new Error(`the document does not say ${pattern}:\n${text}`)
  return found
}

export const timeIn = (text: string, pattern: RegExp): number => millisOf(said(text, pattern))
export const numberIn = (text: string, pattern: RegExp): number => Number(said(text, pattern))

/** The cells of the rows of a table that begin so. */
export const rowIn = (text: string, first: string): ReadonlyArray<string> => {
  const line = text.split("\n").find((each) => each.startsWith(`| ${first} |`))
  if (line === undefined) throw new Error(`no row ${first} in:\n${text}`)
  return line.slice(2, -2).split(" | ")
}

/** Lets promises settle, which the test's clock knows nothing of. */
export const settle = Effect.repeat(
  Effect.promise(() => new Promise<void>((resume) => setImmediate(resume))),
  { times: 4 }
)

export const now = Clock.currentTimeMillis

/** Sets the clock to a moment, and lets everything happen until then. */
export const until = (moment: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* settle
    const left = moment - (yield* now)
    if (left > 0) yield* TestClock.adjust(Duration.millis(left))
    yield* settle
  })

/** Random numbers that are always the same: 0 for the least, 1 for the most. */
export const always = (value: number): typeof Random.Random.Service => ({
  nextDoubleUnsafe: () => value,
  nextIntUnsafe: () => Math.floor(value * 1000)
})
export const most = 1
