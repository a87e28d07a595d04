import { Clock, Duration, Effect, Option, Schema } from "effect"
import { ErrorAction, OperationKey, RetryPolicy } from "effect-integration/policy"
import { CurrentStep, type Outcome, Saga, Sagas, SagaStore } from "effect-integration/saga"
import * as model from "./model.ts"

class Failed extends Error {
  override readonly name = "Failed"
}

const errorOf = ({ kind, outcome, retryAfter }: model.Try, unit: number): Error =>
  Object.assign(
    new Failed("as planned"),
    kind === undefined ? {} : { errorAction: ErrorAction.make(kind) },
    outcome === undefined ? {} : { outcome },
    retryAfter === undefined ? {} : { retryAfter: Duration.millis(retryAfter * unit) }
  )

/** What happened to one saga. */
export interface Seen {
  readonly log: Array<{ what: string; at: number }>
  readonly effects: Array<string>
  /** The key of each effect, by its name. */
  readonly keys: Map<string, Set<string>>
}

/** A world in which plans are carried out, by the idempotency key of their saga. */
export const make = (unit: number) => {
  const plans = new Map<string, model.Plan>()
  const seen = new Map<string, Seen>()
  const begunAt = new Map<string, number>()

  const attempt = Effect.fnUntraced(function* (key: string, what: string, effect: string) {
    const { attempt, phase, step } = yield* CurrentStep
    const plan = plans.get(key)!
    const { effects, keys, log } = seen.get(key)!
    const now = yield* Clock.currentTimeMillis
    if (!begunAt.has(key)) begunAt.set(key, now)
    log.push({ what: what.replace("#", `#${attempt}`), at: (now - begunAt.get(key)!) / unit })
    const operation = yield* OperationKey.next("effect")
    const known = keys.get(effect) ?? new Set()
    keys.set(effect, known.add(operation))
    const given = model.tryOf(plan, phase, step as model.Name, attempt)
    if (given.effect && !effects.includes(effect)) effects.push(effect)
    switch (given.how) {
      case "ok":
        return
      case "fail":
        return yield* Effect.fail(errorOf(given, unit))
      case "timeout":
        return yield* Effect.never
      case "defect":
        return yield* Effect.die(new Failed("died as planned"))
      case "interrupt":
        return yield* Effect.interrupt
    }
  })

  const options = (name: model.Name, isVoid: boolean) => ({
    success: isVoid ? Schema.Void : Schema.String,
    retry: RetryPolicy.make({ delays: model.delays.map((delay) => Duration.millis(delay * unit)) }),
    timeout: Duration.millis(model.timeout * unit),
    run: ({ key }: { readonly key: string }) =>
      Effect.as(attempt(key, `run ${name} #`, `run ${name}`), isVoid ? undefined : `${name} of ${key}`)
  })

  const undone = (name: model.Name) => ({
    compensate: (result: Option.Option<unknown>, { key }: { readonly key: string }) =>
      attempt(key, `undo ${name} # ${Option.isSome(result) ? "known" : "unknown"}`, `undo ${name}`),
    compensationRetry: RetryPolicy.make({ delays: model.undoDelays.map((delay) => Duration.millis(delay * unit)) })
  })

  const sagaOf = (irreversible: model.Name | undefined, isVoid: boolean) =>
    model.names.reduce<any>(
      (saga, name) =>
        saga.step(name, {
          ...options(name, isVoid),
          ...(name === irreversible ? { irreversible: "it has left" } : undone(name))
        }),
      Saga.make(`model-${irreversible ?? "none"}-${isVoid ? "void" : "result"}`, {
        payload: Schema.Struct({ key: Schema.String }),
        idempotencyKey: ({ key }) => key
      })
    ) as Saga.Saga<string, any, Record<model.Name, string | undefined>, {}, never, never>

  const sagas = new Map<string, ReturnType<typeof sagaOf>>()
  const ofPlan = ({ irreversible, isVoid }: model.Plan) => {
    const name = `${irreversible ?? "none"} ${isVoid}`
    const saga = sagas.get(name) ?? sagaOf(irreversible, isVoid)
    sagas.set(name, saga)
    return saga
  }
  for (const irreversible of [undefined, "s3", "s5"] as const) {
    for (const isVoid of [false, true]) ofPlan({ irreversible, isVoid, run: {}, undo: {}, decisions: [] })
  }

  let count = 0
  const nextKey = () => `${(count += 1)}`

  const start = (key: string, plan: model.Plan) =>
    Effect.suspend(() => {
      plans.set(key, plan)
      seen.set(key, { log: [], effects: [], keys: new Map() })
      return ofPlan(plan).start({ key })
    })

  return { sagas: Array.from(sagas.values()), ofPlan, nextKey, start, seen: (key: string) => seen.get(key)! }
}

const decide = { resume: Sagas.resume, skip: Sagas.skip, abandon: Sagas.abandon }

/** Carries out plans at once, decides as they say, and gives what happened. */
export const carryOut = Effect.fnUntraced(function* (
  plans: ReadonlyArray<model.Plan>,
  world: ReturnType<typeof make>,
  pass: Effect.Effect<void>
) {
  const store = yield* SagaStore.SagaStore
  const started = yield* Effect.forEach(
    plans,
    (plan) => {
      const key = world.nextKey()
      return Effect.map(world.start(key, plan), (id) => ({ id, plan, key, decided: 0, decision: "" }))
    },
    { concurrency: "unbounded" }
  )
  let open = started
  for (let looks = 0; looks < 5000 && open.length > 0; looks++) {
    for (const each of open) {
      const found = yield* store.find(each.id)
      const decision = Option.isSome(found) ? found.value.waiting[0]?.decision : undefined
      if (decision === undefined || each.decision === decision) continue
      each.decision = decision
      yield* decide[each.plan.decisions[each.decided++] ?? "abandon"](each.id, { reason: "as planned" })
    }
    yield* pass
    const states = yield* Effect.forEach(open, (each) => store.find(each.id))
    open = open.filter((_, index) => {
      const found = states[index]!
      return Option.isNone(found) || found.value.state === "running" || found.value.state === "stuck"
    })
  }
  return yield* Effect.forEach(started, ({ decided, id, key, plan }) =>
    Effect.gen(function* () {
      let outcome = Option.none<Outcome<Record<string, unknown>, string, unknown>>()
      // The history says that it has ended just before the engine does.
      for (let looks = 0; looks < 5000 && Option.isNone(outcome); looks++) {
        outcome = yield* world.ofPlan(plan).outcome(id)
        if (Option.isNone(outcome)) yield* pass
      }
      return { plan, key, id, decided, outcome, ...world.seen(key) }
    })
  )
})

/** What can be compared with a prediction. */
export const summaryOf = (found: Effect.Success<ReturnType<typeof carryOut>>[number]): model.Prediction => {
  const { decided, effects, log } = found
  const nothing = { log, effects, decided, step: undefined, phase: undefined, compensated: [] }
  if (Option.isNone(found.outcome)) throw new Error(`${found.id} has not ended: ${JSON.stringify(found.plan)}`)
  const outcome = found.outcome.value
  switch (outcome._tag) {
    case "Completed":
      return { ...nothing, end: "Completed" }
    case "RolledBack":
      return {
        ...nothing,
        end: "RolledBack",
        step: outcome.failedStep as model.Name,
        compensated: outcome.compensated as Array<model.Name>
      }
    case "Abandoned":
      return {
        ...nothing,
        end: "Abandoned",
        step: outcome.step as model.Name,
        phase: outcome.phase,
        compensated: outcome.compensated as Array<model.Name>
      }
    default:
      throw new Error(`${found.id} is still ${outcome._tag}`)
  }
}
