import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine, WorkflowInstance } from "effect/workflow/WorkflowEngine"
import * as Issue from "../../internal/issue.ts"
import * as Check from "../../internal/option.ts"
import * as Span from "../../internal/span.ts"
import * as RequestContext from "../../policy/RequestContext.ts"
import * as Telemetry from "../../Telemetry.ts"
import { InvalidPayload, KeyReused } from "../SagaError.ts"
import * as SagaStore from "../SagaStore.ts"
import { asked } from "./asked.ts"
import { type Definition, fingerprint } from "./definition.ts"
import * as Json from "./json.ts"
import { signalOf } from "./machine.ts"
import * as outcomes from "./outcome.ts"
import * as Run from "./run.ts"
import { silent, Spans } from "./spans.ts"

type SagaWorkflow = Workflow.Workflow<string, typeof Run.Input, typeof Schema.String, typeof Schema.Never>

/** One per name, as the engine knows them by it. */
const workflowOf = (name: string): SagaWorkflow => {
  const known = workflows.get(name)
  if (known !== undefined) return known
  const made = Workflow.make(name, {
    payload: Run.Input,
    success: Schema.String,
    idempotencyKey: ({ key }) => key,
    // Somebody who waits is woken where the saga ends; this is for those on other machines.
    suspendedRetrySchedule: Schedule.min([Schedule.exponential("200 millis", 1.5), Schedule.spaced("1 second")])
  })
  workflows.set(name, made)
  return made
}
const workflows = new Map<string, SagaWorkflow>()

/** A saga that is started in a step of another is no part of it. */
const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(self, (context: Context.Context<R>) => {
    const outside = Context.omit(WorkflowInstance)(context as Context.Context<never>)
    return (Span.isTraced(outside) ? Context.add(outside, Tracer.Tracer, silent) : outside) as never
  })

/** As many as a gauge counts: more than a person looks at. */
const mostStuck = 1000

const isOver = (result: Option.Option<Workflow.Result<unknown, unknown>>): boolean =>
  Option.isSome(result) && result.value._tag === "Complete"

const soon = Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(50)])

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
    const digest = yield* Run.digestOf(text)
    const id = yield* idOf(key)
    const { requestId } = yield* RequestContext.RequestContext
    const span = Context.getOrUndefined(yield* Effect.context(), Tracer.ParentSpan)
    const traceparent = span === undefined ? undefined : Span.traceparentOf(span)
    const input: Run.Input = {
      key,
      payload: text,
      digest,
      definition: own,
      ...(requestId === undefined ? undefined : { requestId }),
      ...(traceparent === undefined ? undefined : { traceparent }),
      ...((yield* Telemetry.Synthetic) ? { synthetic: true } : undefined)
    }
    return { id, input }
  })

  /** Of several that start a saga at once, the first to be recorded has the key. */
  const reserve = Effect.fnUntraced(function* (id: string, input: Run.Input) {
    const { digest, key } = input
    const store = yield* SagaStore.SagaStore
    if (Option.isNone(yield* store.find(id))) yield* store.record(id, Run.begun(saga, input))
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
    const look = asked("look a saga up")(apart(workflow.poll(id)))
    const store = yield* SagaStore.SagaStore
    let result = yield* look
    const instance = yield* store.find(id)
    const state = Option.getOrUndefined(instance)?.state
    if (!isOver(result) && state !== undefined && state !== "running" && state !== "stuck") {
      // The history knows of an end a moment before the engine.
      result = yield* Effect.repeat(look, { until: isOver, schedule: soon })
    }
    if (Option.isSome(result) && result.value._tag === "Complete") {
      const text = yield* asked("look a saga up")(result.value.exit as Effect.Effect<string>)
      return Option.some({ ...(yield* outcomes.decode(definition, text)), id })
    }
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
    const deferred = signalOf(name)
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
    return Layer.effectDiscard(
      Effect.gen(function* () {
        const engine = yield* WorkflowEngine
        const context = yield* Effect.context()
        const spans = Span.isTraced(context) ? new Spans(Context.get(context, Tracer.Tracer)) : undefined
        if (spans !== undefined) yield* Effect.addFinalizer(() => spans.closeAll)
        yield* engine.register(workflow, Run.perform(definitions, spans))
        const store = yield* SagaStore.SagaStore
        yield* Telemetry.sampler(
          Effect.map(store.list({ saga, state: "stuck", limit: mostStuck }), ({ length: value }) => [
            { metric: "sagasStuck", name: saga, value }
          ])
        )
      })
    )
  }

  return { idOf, start, execute, outcome, signal, layerWith, layer: layerWith({ previous: [] }) }
}
