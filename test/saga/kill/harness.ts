/** Processes that run sagas until they kill themselves, and those that go on from there. */
import { Effect, Option } from "effect"
import * as path from "node:path"
import { isDeepStrictEqual } from "node:util"
import { root } from "../../house/Sources.ts"
import * as ChildProcess from "../../servers/ChildProcess.ts"
import type { Databases } from "./databases.ts"
import type { Provider } from "./provider.ts"
import { type Ending, type Job, type Report, type Run, type Variant, variants } from "./sagas.ts"

export const isThorough = process.env["THOROUGH"] === "1"

/** So that the many processes need not compile everything again. */
export const environment = (provider: Provider) => ({
  PROVIDER_URL: provider.url,
  NODE_COMPILE_CACHE: path.join(root, "node_modules", ".cache", "node")
})

/** Runs a process to its end, whatever that is. */
const run = Effect.fnUntraced(function* (job: Job, provider: Provider) {
  const child = yield* ChildProcess.make("test/saga/kill/process.ts", {
    args: [JSON.stringify(job)],
    env: environment(provider)
  })
  const reports: Array<Report> = []
  const listening = Effect.forever(Effect.map(child.next, (report) => reports.push(report as Report)))
  const exit = yield* Effect.catchDefect(listening, () => child.exit).pipe(
    Effect.timeoutOption("60 seconds"),
    Effect.map(Option.getOrUndefined)
  )
  const ended = new Map(reports.flatMap((report) => (report._tag === "Ended" ? [[report.order, report]] : [])))
  const started = new Set(reports.flatMap((report) => (report._tag === "Started" ? [report.order] : [])))
  return { exit, ended, started, stderr: yield* child.stderr }
}, Effect.scoped)

/** What a saga has come to, for itself and at the provider, without what a crash may change. */
export interface Result {
  readonly outcome: unknown
  readonly state: string
  readonly history: ReadonlyArray<string>
  readonly effects: ReadonlyArray<string>
  readonly keys: ReadonlyArray<string>
}

const resultOf = (provider: Provider, order: string, { history, outcome, state }: Ending): Result => {
  const { demands, effects } = provider.doneFor(order)
  return {
    outcome,
    state,
    history: history.map(({ name }) => name),
    effects,
    keys: Array.from(demands.keys(), (key) => key.replace(/[0-9a-f]{32}/, "id"))
  }
}

const demanded = (provider: Provider, order: string): number =>
  Array.from(provider.doneFor(order).demands.values()).reduce((sum, count) => sum + count, 0)

export interface Traced {
  readonly variant: Variant
  readonly boundaries: ReadonlyArray<string>
  readonly result: Result
  /** How often the provider was asked. */
  readonly demanded: number
}

/** Runs each saga once without a crash. Where the engine has made something again all the same, nothing is proved. */
export const trace = Effect.fnUntraced(function* (databases: Databases, provider: Provider) {
  for (let round = 1; ; round++) {
    const runs = yield* Effect.forEach(variants, (variant) =>
      Effect.map(databases.fresh, (database): Run => ({
        order: `traced ${variant} ${round}`,
        variant,
        database,
        start: true
      }))
    )
    const { ended, exit, stderr } = yield* run({ runs }, provider)
    if (exit?.code !== 0) return yield* Effect.die(new Error(`a run without a crash ended so:\n${stderr}`))
    if (Array.from(ended.values()).some(({ ending }) => ending.history.some(({ runs }) => runs > 1))) continue
    return runs.map(({ order, variant }): Traced => {
      const { boundaries, ending } = ended.get(order)!
      return { variant, boundaries, result: resultOf(provider, order, ending), demanded: demanded(provider, order) }
    })
  }
}, Effect.scoped)

export interface Point {
  readonly traced: Traced
  readonly boundary: string
}

export const nameOf = ({ boundary, traced }: Point): string => `${traced.variant}: ${boundary}`

/** What has become of a crash: `undefined` where all is as without it. */
export interface Tried {
  readonly point: Point
  readonly problem: string | undefined
}

const fiveIsBegun = "after insert saga_history run/five/1/begun #1"
const fiveHasEnded =
  "after commit of update saga_messages activity/run/five/1 and insert saga_replies activity/run/five/1 #1"

/**
 * What a point is expected to come to: the same as without a crash, but for a step that is refused. Where its attempt was
 * cut off, nobody knows what that has done, though the second run of it says that it has done nothing: so it is undone.
 */
const expected = ({ boundary, traced: { boundaries, result, variant } }: Point): Result => {
  if (variant !== "rolls-back") return result
  const at = boundaries.indexOf(boundary)
  const isCutOff = at >= boundaries.indexOf(fiveIsBegun) && at < boundaries.indexOf(fiveHasEnded)
  if (!isCutOff) return result
  const { history, keys, outcome, ...rest } = result
  const { compensated, error, ...others } = outcome as Record<"compensated", ReadonlyArray<string>> &
    Record<"error", Record<string, unknown>>
  const begin = history.indexOf("compensate/four/1/begun")
  return {
    ...rest,
    outcome: { ...others, error: { ...error, outcome: "unknown" }, compensated: ["five", ...compensated] },
    history: history.toSpliced(begin, 0, "compensate/five/1/begun", "compensate/five/1/ended"),
    effects: rest.effects.toSpliced(4, 0, "compensate five given nothing"),
    keys: keys.toSpliced(5, 0, keys[4]!.replace("/run/", "/compensate/"))
  }
}

const problemOf = (expected: Result, actual: Result, repeated: number): string | undefined => {
  const differing = (Object.keys(expected) as Array<keyof Result>).find(
    (key) => !isDeepStrictEqual(expected[key], actual[key])
  )
  if (differing !== undefined) {
    return `${differing} is ${JSON.stringify(actual[differing])}, and was ${JSON.stringify(expected[differing])}`
  }
  // What was under way is demanded again, and nothing else is.
  return repeated > 1 ? `${repeated} demands were made again` : undefined
}

/**
 * Runs sagas up to a point each. When all of them stand still there, their process kills itself, and a fresh one takes
 * over, which starts none of them again, except where nobody was told that it was started.
 */
export const crash = Effect.fnUntraced(function* (
  points: ReadonlyArray<Point>,
  databases: Databases,
  provider: Provider
) {
  const runs = yield* Effect.forEach(points, ({ boundary, traced: { variant } }) =>
    Effect.map(databases.fresh, (database): Run => {
      const order = `${variant} ${boundary}`.replaceAll("/", " ")
      return { order, variant, database, start: true, crashAt: boundary }
    })
  )
  const crashed = yield* run({ runs }, provider)
  const after = yield* run(
    { runs: runs.map(({ crashAt: _, ...run }) => ({ ...run, start: !crashed.started.has(run.order) })) },
    provider
  )
  return points.map((point, index): Tried => {
    const { traced } = point
    const { order } = runs[index]!
    const ended = after.ended.get(order)
    const problem = (): string | undefined => {
      if (crashed.exit?.signal !== "SIGKILL") return `did not kill itself:\n${crashed.stderr}`
      if (crashed.ended.has(order)) return "was not reached"
      if (ended === undefined) return `has not ended:\n${after.stderr}`
      const wanted = expected(point)
      const more = wanted.keys.length - traced.result.keys.length
      const repeated = demanded(provider, order) - traced.demanded - more
      return problemOf(wanted, resultOf(provider, order, ended.ending), repeated)
    }
    return { point, problem: problem() }
  })
}, Effect.scoped)
