import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Activity from "effect/workflow/Activity"
import * as Issue from "../../internal/issue.ts"
import * as Secrets from "../../internal/secrets.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as OperationKey from "../../policy/OperationKey.ts"
import * as RequestContext from "../../policy/RequestContext.ts"
import type * as RetryPolicy from "../../policy/RetryPolicy.ts"
import * as Telemetry from "../../Telemetry.ts"
import { CurrentStep } from "../CurrentStep.ts"
import type { Failure, Phase } from "../Outcome.ts"
import { StepFailed } from "../SagaError.ts"
import * as SagaStore from "../SagaStore.ts"
import * as Json from "./json.ts"
import { ofStep, type Tracing } from "./spans.ts"

/** The run of a saga that an attempt is part of. */
export interface Run {
  readonly saga: string
  readonly id: string
  readonly requestId: string | undefined
  readonly synthetic: boolean
  readonly store: SagaStore.SagaStore["Service"]
  readonly tracing: Tracing
}

/** One try of a step or of its compensation. */
export interface Attempt {
  readonly step: string
  readonly phase: Phase
  /** From 1. */
  readonly number: number
  /** How many attempts have failed since the first one, or since a person said `resume`. */
  readonly failures: number
  readonly retry: RetryPolicy.RetryPolicy | undefined
  readonly timeout: Duration.Duration | undefined
  readonly success: Json.Plain
  readonly error: Json.Plain | undefined
  readonly isVoid: boolean
  readonly effect: () => Effect.Effect<unknown, unknown>
}

const Outcome = Schema.Literals(["unprocessed", "unknown", "processed"])

/**
 * What an attempt leaves in the engine's store. Values are JSON texts, so that one that no longer fits its schema is
 * found by the saga and not by the engine.
 */
const Report = Schema.Union([
  Schema.TaggedStruct("Done", { value: Schema.String }),
  Schema.TaggedStruct("Failed", {
    /** The declared error. */
    error: Schema.optionalKey(Schema.String),
    reason: Schema.Literals(["error", "timeout", "defect"]),
    tag: Schema.String,
    description: Schema.String,
    outcome: Outcome,
    /** Milliseconds until the next attempt; without it there is none. */
    next: Schema.optionalKey(Schema.Number)
  })
])
type Report = typeof Report.Type

/** How an attempt ended. */
export type Ended =
  | { readonly _tag: "Done"; readonly value: unknown }
  | {
      readonly _tag: "Failed"
      readonly error: unknown
      readonly failure: Failure
      readonly outcome: ErrorAction.Outcome
      readonly next: number | undefined
    }

const longest = 1000

/** A failure in a line of the log. */
export const told = ({ description, tag }: Failure): string => (description === "" ? tag : `${tag}: ${description}`)

/** What is kept of an error, for people: without credentials, since it goes into the store and the log. */
export const failureOf = (error: unknown): Failure => ({
  tag: ErrorAction.tagOf(error),
  description: Secrets.beginning(
    error instanceof Error ? error.message : Predicate.isString(error) ? error : "",
    longest
  )
})

const defect = ErrorAction.make("retry", { circuit: "ignored", guidance: "a bug of the step" })
const unclassified = ErrorAction.make("fail", { circuit: "ignored", guidance: "roll back" })

class TimedOut {
  readonly _tag = "Timeout"
  readonly message: string
  constructor(limit: Duration.Duration) {
    this.message = `no answer within ${Duration.format(limit)}`
  }
}

const outcomeOf = (error: unknown): ErrorAction.Outcome => {
  const given = Predicate.hasProperty(error, "outcome") ? error.outcome : undefined
  return given === "unprocessed" || given === "processed" ? given : "unknown"
}

/** What is tried. On a fiber of its own: an effect that interrupts itself has failed, and is not being shut down. */
const isolated = (attempt: Attempt, run: Run): Effect.Effect<Exit.Exit<unknown, unknown>> => {
  const { phase, step } = attempt
  const limited = Effect.suspend(() =>
    attempt.timeout === undefined
      ? attempt.effect()
      : Effect.timeoutOrElse(attempt.effect(), {
          duration: attempt.timeout,
          orElse: () => Effect.fail(new TimedOut(attempt.timeout!))
        })
  )
  const at = { saga: run.saga, id: run.id, step, phase, attempt: attempt.number }
  const named = ofStep(run.tracing, at, Effect.scoped(limited)).pipe(
    Effect.provideService(CurrentStep, at),
    Effect.provideService(RequestContext.RequestContext, { requestId: run.requestId ?? run.id }),
    Effect.provideService(Telemetry.Synthetic, run.synthetic),
    OperationKey.derived("saga", run.saga, run.id, phase, step)
  )
  return Effect.flatMap(Effect.forkChild(named as Effect.Effect<unknown, unknown>), (fiber) =>
    Effect.onInterrupt(Fiber.await(fiber), () => Fiber.interrupt(fiber))
  )
}

const report = Effect.fnUntraced(function* (
  attempt: Attempt,
  exit: Exit.Exit<unknown, unknown>
): Effect.fn.Return<Report> {
  if (exit._tag === "Success") {
    if (attempt.isVoid) return { _tag: "Done", value: "null" }
    return yield* Effect.match(Json.write(attempt.success, exit.value), {
      onSuccess: (value): Report => ({ _tag: "Done", value }),
      onFailure: (error): Report => ({
        _tag: "Failed",
        reason: "defect",
        tag: "SchemaError",
        description: `the result does not fit its schema: ${Issue.describe(error).description}`.slice(0, longest),
        outcome: "processed"
      })
    })
  }
  const failed = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  const error =
    failed === undefined ? (Cause.squash(exit.cause) ?? new Error("the step died")) : (failed.error as unknown)
  const timedOut = error instanceof TimedOut
  const action =
    failed === undefined || timedOut ? defect : ErrorAction.isActionable(error) ? error.errorAction : unclassified
  if (failed !== undefined && action.kind === "skip" && attempt.isVoid) return { _tag: "Done", value: "null" }
  const insists = attempt.phase === "compensate" && action.kind !== "skip"
  // What a caller is to fail fast of, such as an open circuit, a saga has the time to wait for.
  const again = insists || action.outage || action.kind === "retry" || action.kind === "wait"
  const random = yield* Random.Random
  const before = attempt.retry?.delays[attempt.failures - 1]
  const delay = again
    ? attempt.retry?.delayMillis(
        attempt.failures,
        before === undefined ? 0 : Duration.toMillis(before),
        () => random.nextDoubleUnsafe(),
        ErrorAction.retryAfterMillis(error)
      )
    : undefined
  const next = delay !== undefined && Number.isFinite(delay) ? delay : undefined
  const declared =
    failed === undefined || timedOut || attempt.error === undefined
      ? undefined
      : yield* Effect.orElseSucceed(Json.write(attempt.error, error), () => undefined)
  return {
    _tag: "Failed",
    ...(declared === undefined ? undefined : { error: declared }),
    reason: timedOut ? "timeout" : failed === undefined ? "defect" : "error",
    ...failureOf(error),
    outcome: failed === undefined ? "unknown" : outcomeOf(error),
    ...(next === undefined ? undefined : { next })
  }
})

const forEver = Schedule.min([Schedule.exponential("100 millis", 2), Schedule.spaced("30 seconds")])

/** Records until it is recorded: a saga does not go on without its history. */
export const record = (run: Run, entry: SagaStore.Entry): Effect.Effect<void> =>
  run.store.record(run.id, entry).pipe(
    Effect.tapError((error) => Effect.logWarning(`${run.saga} ${run.id}: ${error.message}; tried again`)),
    Effect.retry(forEver),
    Effect.orDie
  )

/** Whether a crash has cut off an earlier run of the attempt, of which nothing is known. */
const wasCutOff = ({ number, phase, step }: Attempt, run: Run): Effect.Effect<boolean> => {
  const name = SagaStore.nameOf({ _tag: "AttemptBegun", step, phase, attempt: number })
  return run.store.history(run.id).pipe(
    Effect.map((history) => history.some(({ entry, runs }) => runs > 1 && SagaStore.nameOf(entry) === name)),
    Effect.retry(forEver),
    Effect.orDie
  )
}

/**
 * Makes one attempt, durably: once its end is in the engine's store it is not made again. A crash before that makes the
 * same attempt again, with the same operation keys.
 */
export const make = Effect.fnUntraced(function* (attempt: Attempt, run: Run) {
  const { number, phase, step } = attempt
  const execute = Effect.gen(function* () {
    yield* record(run, { _tag: "AttemptBegun", step, phase, attempt: number })
    const exit = yield* isolated(attempt, run)
    const reported = yield* report(attempt, exit)
    const isSure = reported._tag === "Done" || reported.outcome !== "unprocessed" || !(yield* wasCutOff(attempt, run))
    const found = isSure ? reported : { ...reported, outcome: "unknown" as const }
    const ending = { _tag: "AttemptEnded", step, phase, attempt: number } as const
    if (found._tag === "Done") yield* record(run, ending)
    else {
      const { description, next, tag } = found
      const text = next === undefined ? "given up" : `next in ${Math.round(next)} ms`
      yield* Effect.logWarning(`${run.saga} ${run.id}: ${phase} ${step}: ${told(found)} (attempt ${number}, ${text})`)
      const failure = { tag, description }
      yield* record(run, next === undefined ? { ...ending, failure } : { ...ending, failure, next })
    }
    return found
  })
  const activity = Activity.make({ name: `${phase}/${step}`, success: Report, execute })
  const found = yield* Effect.provideService(activity, Activity.CurrentAttempt, number)
  return yield* read(attempt, run, found)
})

const read = (attempt: Attempt, run: Run, found: Report): Effect.Effect<Ended> => {
  const failed = (
    reason: StepFailed["reason"],
    failure: Failure,
    outcome: ErrorAction.Outcome,
    next?: number
  ): Ended => {
    const error = new StepFailed({ saga: run.saga, step: attempt.step, reason, ...failure, outcome })
    return { _tag: "Failed", error, failure, outcome, next }
  }
  const unreadable = (error: Schema.SchemaError): Ended => {
    const description = `what it left in the store no longer fits its schema: ${Issue.describe(error).description}`
    return failed("unreadable", { tag: "SchemaError", description: description.slice(0, longest) }, "processed")
  }
  if (found._tag === "Done") {
    if (attempt.isVoid) return Effect.succeed({ _tag: "Done", value: undefined })
    return Effect.match(Json.read(attempt.success, found.value), {
      onSuccess: (value): Ended => ({ _tag: "Done", value }),
      onFailure: unreadable
    })
  }
  const { description, error, next, outcome, reason, tag } = found
  const failure = { tag, description }
  if (error === undefined || attempt.error === undefined) return Effect.succeed(failed(reason, failure, outcome, next))
  return Effect.match(Json.read(attempt.error, error), {
    onSuccess: (decoded): Ended => ({ _tag: "Failed", error: decoded, failure, outcome, next }),
    onFailure: unreadable
  })
}
