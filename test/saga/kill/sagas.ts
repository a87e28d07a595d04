/** The sagas of the crash tests, and what the test and the processes that it kills agree on. */
import { Config, Context, Duration, Effect, Layer, Option, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { HttpContract, StatusTable } from "../../../src/http/index.ts"
import { RetryPolicy } from "../../../src/policy/index.ts"
import { CurrentStep, Saga } from "../../../src/saga/index.ts"

export const Order = Schema.Struct({
  /** Names the run. */
  order: Schema.String,
  /** How long each step takes besides, in milliseconds. */
  work: Schema.Int
})
export type Order = typeof Order.Type

/** What the provider is asked to do. */
export const Demand = Schema.Struct({
  order: Schema.String,
  /** The saga, the phase and the step. */
  saga: Schema.String,
  phase: Schema.Literals(["run", "compensate"]),
  step: Schema.String,
  attempt: Schema.Int,
  /** Its pid. */
  process: Schema.Int,
  /** The receipt that it relies on: of the step before, or of the step that is undone. */
  given: Schema.String
})
export type Demand = typeof Demand.Type

export const EffectsApi = HttpApi.make("effects").add(
  HttpApiGroup.make("effects").add(
    HttpApiEndpoint.post("perform", "/v1/effects", {
      payload: Demand,
      success: Schema.Struct({ receipt: Schema.String })
    })
  )
)

export class Effects extends HttpContract.Service<Effects>()("effects", {
  api: EffectsApi,
  baseUrl: Config.URL("PROVIDER_URL"),
  errors: StatusTable.standard,
  idempotent: true,
  timeouts: { total: "60 seconds" }
}) {}

/** Where a saga is told that it comes past a point where its process may die. */
export class Boundaries extends Context.Service<
  Boundaries,
  { readonly reach: (label: string) => Effect.Effect<void> }
>()("test/saga/Boundaries") {}

/** Nobody listens. */
export const unbounded = Layer.succeed(Boundaries, { reach: () => Effect.void })

const perform = Effect.fnUntraced(function* ({ order, work }: Order, given: string) {
  const { attempt, phase, saga, step } = yield* CurrentStep
  const { reach } = yield* Boundaries
  const effect = `effect ${phase}/${step}/${attempt}`
  yield* reach(`before ${effect}`)
  const payload = { order, saga, phase, step, attempt, process: process.pid, given }
  const { receipt } = yield* Effect.onExit(
    Effects.use((effects) => effects.effects.perform({ payload })),
    () => reach(`after ${effect}`)
  )
  if (work > 0) yield* Effect.sleep(Duration.millis(work))
  return receipt
})

const undo = (receipt: Option.Option<string>, order: Order) =>
  perform(
    order,
    Option.getOrElse(receipt, () => "nothing")
  )

const success = Schema.String
const retry = RetryPolicy.make({ delays: Array.from({ length: 8 }, () => "20 millis" as const), jitter: "none" })

const four = <const Name extends string>(name: Name) =>
  Saga.make(name, { payload: Order, idempotencyKey: ({ order }) => order, compensationRetry: retry })
    .step("one", { success, retry, run: (order) => perform(order, "nothing"), compensate: undo })
    .step("two", { success, retry, run: (order, { one }) => perform(order, one), compensate: undo })
    .step("three", { success, retry, run: (order, { two }) => perform(order, two), compensate: undo })
    .step("four", { success, retry, run: (order, { three }) => perform(order, three), compensate: undo })

export const sagas = {
  completes: four("completes").step("five", {
    success,
    retry,
    run: (order, { four }) => perform(order, four),
    irreversible: "the parcel has left"
  }),
  "rolls-back": four("rolls-back").step("five", {
    success,
    retry,
    run: (order, { four }) => perform(order, four),
    compensate: undo
  }),
  "undoes-at-second-attempt": four("undoes-at-second-attempt").step("five", {
    success,
    retry: RetryPolicy.make({ delays: ["20 millis"], jitter: "none" }),
    run: (order, { four }) => perform(order, four),
    compensate: undo
  })
}

export type Variant = keyof typeof sagas

export const variants = Object.keys(sagas) as ReadonlyArray<Variant>

/**
 * Statuses of what the provider refuses, or has done when it answers so (504). By the number of the attempt, so that a
 * crash changes nothing about it.
 */
export const refusal = ({ attempt, phase, saga, step }: Demand): 422 | 500 | 504 | undefined => {
  if (saga === "rolls-back" && phase === "run" && step === "five") return 422
  if (saga === "undoes-at-second-attempt") {
    if (phase === "run" && step === "five") return 504
    if (phase === "compensate" && step === "three" && attempt === 1) return 500
  }
  return undefined
}

export type Database =
  | { readonly _tag: "sqlite"; readonly filename: string }
  | { readonly _tag: "pg"; readonly url: string }

/** A saga with a database of its own. */
export interface Run {
  readonly order: string
  readonly variant: Variant
  readonly database: Database
  /** Whether it is started here; else the process only has the layer. */
  readonly start: boolean
  /** Where it stands still, until the process kills itself. */
  readonly crashAt?: string
}

/** What a process is given as its first argument. */
export interface Job {
  readonly runs: ReadonlyArray<Run>
}

/** How a saga has ended, and what is known about it. */
export interface Ending {
  readonly outcome: unknown
  readonly state: string
  readonly history: ReadonlyArray<{ readonly name: string; readonly runs: number }>
}

/** What a process says of itself. */
export type Report =
  | { readonly _tag: "Started"; readonly order: string }
  | {
      readonly _tag: "Ended"
      readonly order: string
      readonly ending: Ending
      readonly boundaries: ReadonlyArray<string>
    }

/** What a process that shares a database with others is given as its first argument. */
export interface Shift {
  readonly database: Database
  /** The sagas that it starts. */
  readonly orders: ReadonlyArray<{ readonly order: string; readonly variant: "completes" | "rolls-back" }>
  /** Milliseconds that each step takes, besides the call. */
  readonly work: number
}
