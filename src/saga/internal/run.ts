import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { WorkflowInstance } from "effect/workflow/WorkflowEngine"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import * as Issue from "../../internal/issue.ts"
import * as Span from "../../internal/span.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as Telemetry from "../../Telemetry.ts"
import type { Failure } from "../Outcome.ts"
import { StepFailed } from "../SagaError.ts"
import * as SagaStore from "../SagaStore.ts"
import { failureOf, record, type Run } from "./attempt.ts"
import * as Branches from "./branches.ts"
import { type Definition, fingerprint } from "./definition.ts"
import * as Json from "./json.ts"
import * as machine from "./machine.ts"
import * as outcomes from "./outcome.ts"
import { silent, type Spans } from "./spans.ts"
import { decisionOf, stuck, type Verdict } from "./stuck.ts"

/** What a run is started with. The payload is a JSON text, so that one that no longer fits is found by the saga. */
export const Input = Schema.Struct({
  key: Schema.String,
  payload: Schema.String,
  digest: Schema.String,
  definition: Schema.String,
  requestId: Schema.optionalKey(Schema.String),
  /** Of the span that has started it (W3C Trace Context). */
  traceparent: Schema.optionalKey(Schema.String),
  /** Whether it was started by synthetic traffic. */
  synthetic: Schema.optionalKey(Schema.Boolean)
})
export type Input = typeof Input.Type

export const digestOf = (text: string): Effect.Effect<string> =>
  Effect.promise(async () =>
    Hex.encode(new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))))
  )

/** What a run waits for, as far as it is known; that it has begun is known from then on. */
const look = (run: Run, input: Input): Effect.Effect<SagaStore.Instance["waiting"]> =>
  run.store.find(run.id).pipe(
    Effect.retry(Schedule.spaced("1 second")),
    Effect.orDie,
    Effect.flatMap((found) =>
      Option.isSome(found) ? Effect.succeed(found.value.waiting) : Effect.as(record(run, begun(run.saga, input)), [])
    )
  )

/** That a saga has begun. */
export const begun = (saga: string, { definition, digest, key }: Input): SagaStore.Entry => ({
  _tag: "Begun",
  saga,
  key,
  digest,
  definition
})

const stateOf = (final: machine.Final) => {
  if (final._tag === "Completed") return "completed"
  return final._tag === "RolledBack" ? "rolledBack" : "abandoned"
}

const ended = (run: Run, final: machine.Final): Effect.Effect<void> => {
  const state = stateOf(final)
  if (final._tag === "Completed") return record(run, { _tag: "Ended", state, compensated: [] })
  const { compensated, failure } = final
  const step = final._tag === "RolledBack" ? final.failedStep : final.step
  return record(run, { _tag: "Ended", state, step, failure, compensated })
}

type Engine = WorkflowEngine | WorkflowInstance

const backoff = (replays: number): number => Math.min(30_000, 200 * 2 ** Math.min(replays, 10))

/** Alerts once: at three in the morning, somebody should look at the database. */
const alertAfter = 5

/**
 * Replays a run as long as it dies. What runs are made of never dies by itself, so it is the engine's store, or a bug: either
 * way nothing is lost.
 */
const replayed = <A>(run: Run, self: Effect.Effect<A, never, Engine>, replays = 0): Effect.Effect<A, never, Engine> =>
  Effect.catchCause(self, (cause) => {
    if (!Cause.hasDies(cause) || Cause.hasInterrupts(cause)) return Effect.failCause(cause)
    const error = Cause.squash(cause)
    const { id: sagaId, requestId, saga } = run
    const message = `${saga}: saga ${sagaId} could not go on, and is replayed: ${failureOf(error).tag}`
    const alert = `${message} (${replays} times already; is the store down?)`
    return Effect.logWarning(message).pipe(
      Effect.andThen(
        replays === alertAfter
          ? ErrorAction.notify({ kind: "alert", integration: saga, message: alert, error, requestId })
          : Effect.void
      ),
      Effect.andThen(Effect.sleep(backoff(replays))),
      Effect.andThen(replayed(run, self, replays + 1))
    )
  })

const known: Verdict = { verdict: "resume", reason: "a process that knows its definition goes on with it" }

/** Why this process cannot go on with a run. */
interface Unknown {
  readonly reason: "changed" | "unreadable"
  readonly failure: Failure
}

/**
 * The run of a saga, by the definition that it was started with: another one may have other steps under the same names. A run
 * that this process does not know waits, stuck, for one that does.
 */
export const perform = (definitions: ReadonlyMap<string, Definition>, spans: Spans | undefined) =>
  Effect.fnUntraced(function* (input: Input, id: string) {
    const current = definitions.values().next().value!
    const saga = current.name
    const recorder = Telemetry.recorder(saga)
    const span = spans === undefined ? Span.remote(input.traceparent) : yield* spans.of(saga, id, input)
    const tracing = { tracer: spans?.tracer, span }
    const store = yield* SagaStore.SagaStore
    const run: Run = { saga, id, requestId: input.requestId, synthetic: input.synthetic === true, tracing, store }
    const definition = definitions.get(input.definition)
    let over: machine.Final | undefined

    const abandoned = Effect.fnUntraced(function* (failure: Failure, reason: string) {
      const final = { _tag: "Abandoned", step: "", phase: "run", failure, reason, compensated: [] } as const
      yield* ended(run, final)
      over = final
      return yield* Effect.orDie(outcomes.encode(current, final))
    })

    /** Until a person says to abandon it: who says to resume it has brought a process that knows it, or tries again. */
    const unknown = Effect.fnUntraced(function* ({ failure, reason }: Unknown) {
      const error = new StepFailed({ saga, step: "", reason, ...failure, outcome: "unknown" })
      // Of this definition: another process may know better, and counts its own.
      const own = (yield* digestOf(fingerprint(current))).slice(0, 12)
      for (let number = 1; ; number++) {
        const decision = `definition/${own}/${number}`
        const at = { step: "", phase: "run", error, failure, decision, skippable: false } as const
        const { reason, verdict } = yield* stuck(run, at, Branches.alone)
        if (verdict === "abandon") return yield* abandoned(failure, reason)
      }
    })

    const once = Effect.gen(function* () {
      const engine = yield* WorkflowEngine
      const waiting = yield* look(run, input)
      if (definition === undefined) {
        const description = `it was started with the steps "${input.definition}", and this process has "${fingerprint(current)}"`
        return yield* unknown({ reason: "changed", failure: { tag: "DefinitionChanged", description } })
      }
      const payload = yield* Effect.result(Json.read(definition.payload, input.payload))
      if (payload._tag === "Failure") {
        const description = `its payload no longer fits the schema: ${Issue.describe(payload.failure).description}`
        return yield* unknown({ reason: "unreadable", failure: { tag: "SchemaError", description } })
      }
      // It waited for a process that knows its definition. A person may have said something meanwhile.
      for (const { decision, failure } of waiting.filter((each) => each.decision.startsWith("definition/"))) {
        const said = yield* engine.deferredResult(decisionOf(decision))
        const verdict = Option.isSome(said) ? yield* said.value : known
        yield* record(run, { _tag: "Decided", decision, ...verdict })
        if (verdict.verdict === "abandon") return yield* abandoned(failure, verdict.reason)
      }
      const final = yield* machine.perform(definition, run, payload.success)
      yield* ended(run, final)
      over = final
      return yield* Effect.orDie(outcomes.encode(definition, final))
    })
    const counted = Effect.contextWith((context: Context.Context<never>) =>
      Effect.sync(() => {
        if (over !== undefined) recorder.saga(stateOf(over), context)
      })
    )
    const self = Effect.provideService(Effect.tap(replayed(run, once), counted), Telemetry.Synthetic, run.synthetic)
    if (spans === undefined) return yield* self
    return yield* Effect.tap(Effect.withTracer(self, silent), () => spans.end(id, over))
  })
