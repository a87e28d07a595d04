import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine, WorkflowInstance } from "effect/workflow/WorkflowEngine"
import * as Issue from "../../internal/issue.ts"
import * as Check from "../../internal/option.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as RequestContext from "../../policy/RequestContext.ts"
import type { Failure } from "../Outcome.ts"
import { InvalidPayload, KeyReused, StepFailed } from "../SagaError.ts"
import * as SagaStore from "../SagaStore.ts"
import { asked } from "./asked.ts"
import { failureOf, record, type Run } from "./attempt.ts"
import * as Branches from "./branches.ts"
import { type Definition, fingerprint } from "./definition.ts"
import * as Json from "./json.ts"
import * as machine from "./machine.ts"
import * as outcomes from "./outcome.ts"
import { decisionOf, stuck, type Verdict } from "./stuck.ts"

/** What a run is started with. The payload is a JSON text, so that one that no longer fits is found by the saga. */
const Input = Schema.Struct({
  key: Schema.String,
  payload: Schema.String,
  digest: Schema.String,
  definition: Schema.String,
  requestId: Schema.optionalKey(Schema.String)
})
type Input = typeof Input.Type

/** One per name, as the engine knows them by it. */
const workflowOf = (name: string) => {
  const known = workflows.get(name)
  if (known !== undefined) return known
  const made = Workflow.make(name, {
    payload: Input,
    success: Schema.String,
    idempotencyKey: ({ key }) => key,
    // Somebody who waits is woken where the saga ends; this is for those on other machines.
    suspendedRetrySchedule: Schedule.min([Schedule.exponential("200 millis", 1.5), Schedule.spaced("1 second")])
  })
  workflows.set(name, made)
  return made
}
const workflows = new Map<string, ReturnType<typeof makeWorkflow>>()
declare const makeWorkflow: () => Workflow.Workflow<string, typeof Input, Schema.String, Schema.Never>

const digestOf = (text: string): Effect.Effect<string> =>
  Effect.promise(async () =>
    Hex.encode(new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))))
  )

/** A saga that is started in a step of another is no part of it. */
const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(self, (context: Context.Context<R>) => Context.omit(WorkflowInstance)(context as never) as never)

const backoff = (replays: number): number => Math.min(30_000, 200 * 2 ** Math.min(replays, 10))

/**
 * The run of a saga. What it is made of never dies by itself, so what dies here is the engine's store, or a bug: either
 * way the run is replayed, after a while, and loses nothing.
 */
const body = (definitions: ReadonlyMap<string, Definition>) => (input: Input, id: string) =>
  Effect.gen(function* () {
    const [current] = definitions.values()
    const saga = current!.name
    const run: Run = { saga, id, requestId: input.requestId, store: yield* SagaStore.SagaStore }
    const once = Effect.gen(function* () {
      const { definition: startedWith } = input
      const waiting = yield* look(run, input)
      for (let number = 1; ; number++) {
        const definition = definitions.get(startedWith)
        const payload =
          definition &&
          (yield* Effect.result(Effect.mapError(Json.read(definition.payload, input.payload), Issue.describe)))
        if (definition !== undefined && payload?._tag === "Success") {
          // It waited for a process that knows its definition. A person may have said something meanwhile.
          for (const each of waiting.filter(({ decision }) => decision.startsWith("definition/"))) {
            const said = yield* Effect.flatMap(WorkflowEngine, (engine) =>
              engine.deferredResult(decisionOf(each.decision))
            )
            const verdict = Option.isSome(said) ? yield* said.value : known
            yield* record(run, { _tag: "Decided", decision: each.decision, ...verdict })
            if (verdict.verdict === "abandon") return yield* abandoned(each.failure, verdict.reason)
          }
          const final = yield* machine.perform(definition, run, payload.success)
          yield* ended(run, final)
          return yield* Effect.orDie(outcomes.encode(definition, final))
        }
        const description =
          payload === undefined
            ? `it was started with the steps "${startedWith}", and this process has "${fingerprint(current!)}"`
            : `its payload no longer fits the schema: ${payload._tag === "Failure" ? payload.failure.description : ""}`
        const failure = { tag: payload === undefined ? "DefinitionChanged" : "SchemaError", description }
        const reason = payload === undefined ? "changed" : "unreadable"
        const error = new StepFailed({ saga, step: "", reason, ...failure, outcome: "unknown" })
        // Of this definition: another process may know better, and counts its own.
        const decision = `definition/${(yield* digestOf(fingerprint(current!))).slice(0, 12)}/${number}`
        const at = { step: "", phase: "run", error, failure, decision, skippable: false } as const
        const verdict = yield* stuck(run, at, Branches.alone)
        if (verdict.verdict === "abandon") return yield* abandoned(failure, verdict.reason)
      }
    })
    const abandoned = Effect.fnUntraced(function* (failure: Failure, reason: string) {
      const final = { _tag: "Abandoned", step: "", phase: "run", failure, reason, compensated: [] } as const
      yield* ended(run, final)
      return yield* Effect.orDie(outcomes.encode(current!, final))
    })
    const replayed = (replays: number): typeof once =>
      Effect.catchCause(once, (cause) => {
        if (!Cause.hasDies(cause) || Cause.hasInterrupts(cause)) return Effect.failCause(cause)
        const message = `${saga}: saga ${id} could not go on, and is replayed: ${failureOf(Cause.squash(cause)).tag}`
        return Effect.logWarning(message, cause).pipe(
          Effect.andThen(
            replays === 5
              ? ErrorAction.notify({
                  kind: "alert",
                  integration: saga,
                  message: `${message} (${replays} times already; is the store down?)`,
                  error: Cause.squash(cause),
                  requestId: input.requestId
                })
              : Effect.void
          ),
          Effect.andThen(Effect.sleep(backoff(replays))),
          Effect.andThen(replayed(replays + 1))
        )
      })
    return yield* replayed(0)
  })

const known: Verdict = { verdict: "resume", reason: "a process that knows its definition goes on with it" }

/** What a run waits for, as far as it is known; that it has begun is known from then on. */
const look = (run: Run, input: Input): Effect.Effect<SagaStore.Instance["waiting"]> =>
  run.store.find(run.id).pipe(
    Effect.retry(Schedule.spaced("1 second")),
    Effect.orDie,
    Effect.flatMap((found) =>
      Option.isSome(found) ? Effect.succeed(found.value.waiting) : Effect.as(record(run, begun(run.saga, input)), [])
    )
  )

const begun = (saga: string, { definition, digest, key }: Input): SagaStore.Entry => ({
  _tag: "Begun",
  saga,
  key,
  digest,
  definition
})

const ended = (run: Run, final: machine.Final): Effect.Effect<void> => {
  if (final._tag === "Completed") return record(run, { _tag: "Ended", state: "completed", compensated: [] })
  const { compensated, failure } = final
  const state = final._tag === "RolledBack" ? "rolledBack" : "abandoned"
  const step = final._tag === "RolledBack" ? final.failedStep : final.step
  return record(run, { _tag: "Ended", state, step, failure, compensated })
}

/** The operations of a saga. */
export const make = (definition: Definition) => {
  const saga = definition.name
  const workflow = workflowOf(saga)
  const own = fingerprint(definition)

  const idOf = (key: string) => workflow.executionId({ key, payload: "", digest: "", definition: "" })

  const invalid = (path: ReadonlyArray<string>, description: string) => new InvalidPayload({ saga, path, description })

  const prepare = Effect.fnUntraced(function* (payload: unknown) {
    const text = yield* Effect.mapError(Json.write(definition.payload, payload), (error) => {
      const { description, path } = Issue.describe(error)
      return invalid(path, description)
    })
    const key = definition.idempotencyKey(payload)
    if (typeof key !== "string" || key.trim() === "") {
      return yield* invalid([], "its idempotency key is empty")
    }
    const digest = yield* digestOf(text)
    const id = yield* idOf(key)
    const { requestId } = yield* RequestContext.RequestContext
    const input: Input = {
      key,
      payload: text,
      digest,
      definition: own,
      ...(requestId === undefined ? undefined : { requestId })
    }
    return { id, input }
  })

  /** Of several that start a saga at once, the first to be recorded has the key. */
  const reserve = Effect.fnUntraced(function* (id: string, input: Input) {
    const { digest, key } = input
    const store = yield* SagaStore.SagaStore
    if (Option.isNone(yield* store.find(id))) yield* store.record(id, begun(saga, input))
    const found = yield* store.find(id)
    if (Option.isSome(found) && found.value.digest !== digest) return yield* new KeyReused({ saga, id, key })
  })

  const start = Effect.fnUntraced(function* (payload: unknown) {
    const { id, input } = yield* prepare(payload)
    yield* reserve(id, input)
    yield* asked("start a saga")(apart(workflow.execute(input, { discard: true })))
    return id
  })

  const stuckOutcome = (instance: SagaStore.Instance) => {
    const { failure, phase, step } = instance.waiting[0]!
    return { _tag: "Stuck", id: instance.id, step, phase, error: failure } as const
  }

  const untilStuck = Effect.fnUntraced(function* (id: string) {
    const store = yield* SagaStore.SagaStore
    const instance = yield* store.find(id).pipe(
      Effect.retry(Schedule.spaced("1 second")),
      Effect.repeat({
        schedule: Schedule.min([Schedule.exponential("200 millis", 1.5), Schedule.spaced("2 seconds")]),
        until: (found) => Option.isSome(found) && found.value.waiting.length > 0
      })
    )
    return stuckOutcome(Option.getOrThrow(instance))
  })

  const execute = Effect.fnUntraced(function* (payload: unknown) {
    const { id, input } = yield* prepare(payload)
    yield* reserve(id, input)
    const end = asked("wait for a saga")(apart(workflow.execute(input))).pipe(
      Effect.flatMap((text) => outcomes.decode(definition, text)),
      Effect.map((final) => ({ ...final, id }))
    )
    return yield* Effect.raceFirst(end, untilStuck(id))
  })

  const outcome = Effect.fnUntraced(function* (id: string) {
    const result = yield* asked("look a saga up")(apart(workflow.poll(id)))
    if (Option.isSome(result) && result.value._tag === "Complete") {
      const text = yield* asked("look a saga up")(result.value.exit as Effect.Effect<string>)
      return Option.some({ ...(yield* outcomes.decode(definition, text)), id })
    }
    const store = yield* SagaStore.SagaStore
    const instance = yield* store.find(id)
    return Option.map(
      Option.filter(instance, ({ waiting }) => waiting.length > 0),
      stuckOutcome
    )
  })

  const signal = Effect.fnUntraced(function* (id: string, name: string, value: unknown) {
    const node = definition.nodes.find((each) => each._tag === "Wait" && each.name === name)
    if (node?._tag !== "Wait") return yield* Effect.die(new Error(`${saga} waits for no "${name}"`))
    const text = yield* Effect.mapError(Json.write(node.success, value), (error) => {
      const { description, path } = Issue.describe(error)
      return invalid([name, ...path], description)
    })
    const deferred = machine.signalOf(name)
    const token = DurableDeferred.tokenFromExecutionId(deferred, { workflow, executionId: id })
    const said = DurableDeferred.succeed(deferred, { token, value: text })
    yield* asked("signal a saga")(apart(said))
  })

  const layerWith = ({ previous }: { readonly previous: ReadonlyArray<{ readonly definition: Definition }> }) => {
    const definitions = new Map([[own, definition]])
    for (const [at, { definition: older }] of previous.entries()) {
      if (older.name !== saga) Check.reject(`Saga ${saga}.layerWith`, `previous[${at}]`, older.name, "of the same name")
      if (!definitions.has(fingerprint(older))) definitions.set(fingerprint(older), older)
    }
    return Layer.effectDiscard(Effect.flatMap(WorkflowEngine, (engine) => engine.register(workflow, body(definitions))))
  }

  return { idOf, start, execute, outcome, signal, layerWith, layer: layerWith({ previous: [] }) }
}
