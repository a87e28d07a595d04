/**
 * A distributed transaction (section 5.2): named steps, each with what undoes it, that are finished after any crash.
 *
 * **When to use**
 *
 * Use a saga where something changes several systems that have no transaction in common.
 *
 * **Details**
 *
 * - Steps run in their order. When one fails, those before it are undone in reverse order. Undone is also the step that
 *   failed, unless its error says that it did nothing (`outcome: "unprocessed"`): it may have happened. So a compensation
 *   gets an `Option` of its step's result, and must tolerate that the step never happened.
 * - An error decides by its `ErrorAction`: `retry`, `wait` and all of the outage class (an open circuit too) try again as
 *   long as the step's `retry` allows, `skip` means that a step without a result is done, and anything else rolls back.
 *   Timeouts and defects are tried again likewise.
 * - A compensation is tried again whatever its error. When its retries are used up, the saga is stuck: people are told
 *   (`ErrorAction.AlertHook`), and one of them decides (`Sagas.resume`, `skip`, `abandon`).
 * - After an irreversible step there is only forward: a step that fails for good leaves the saga stuck. So does an
 *   irreversible step that may have happened.
 * - The saga goes on after a crash, on this machine or another, with the step that was under way. That one is run again:
 *   at least once. What is called in a step gets keys derived from the saga and the step, so a contract sends the same
 *   idempotency key, and a publisher the same event id, whenever it is run again.
 * - Two starts with one idempotency key are one saga: the second joins the first.
 *
 * **Gotchas**
 *
 * A run goes on only under the steps that it was started with: same names, order and kinds. A process that does not know
 * them leaves it stuck and says so. Keep the old definition in `layerWith({ previous: [old] })` until its last run has
 * ended. Schemas may change as long as what is stored still fits.
 *
 * **Example** (Placing an order)
 *
 * ```ts
 * import { Context, Effect, Schema } from "effect"
 * import { Saga } from "effect-integration/saga"
 *
 * const Order = Schema.Struct({ orderId: Schema.String, amount: Schema.Int })
 * class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {}) {}
 * class Shop extends Context.Service<
 *   Shop,
 *   {
 *     readonly reserve: (orderId: string) => Effect.Effect<string, OutOfStock>
 *     readonly release: (orderId: string) => Effect.Effect<void>
 *     readonly ship: (reservation: string) => Effect.Effect<void>
 *   }
 * >()("Shop") {}
 *
 * export const PlaceOrder = Saga.make("place-order", { payload: Order, idempotencyKey: (order) => order.orderId })
 *   .step("reserve", {
 *     success: Schema.String,
 *     error: OutOfStock,
 *     run: (order) => Shop.use((shop) => shop.reserve(order.orderId)),
 *     compensate: (_reservation, order) => Shop.use((shop) => shop.release(order.orderId))
 *   })
 *   .step("ship", {
 *     run: (_order, { reserve }) => Shop.use((shop) => shop.ship(reserve)),
 *     irreversible: "the parcel has left"
 *   })
 *
 * export const placed = PlaceOrder.execute({ orderId: "o-1", amount: 4200 })
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Simplify } from "effect/Types"
import type { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import * as Check from "../internal/option.ts"
import * as RetryPolicy from "../policy/RetryPolicy.ts"
import * as Telemetry from "../Telemetry.ts"
import type { CurrentStep } from "./CurrentStep.ts"
import * as definitions from "./internal/definition.ts"
import { type Definition, namesOf, type Node, type ParallelNode, type StepNode } from "./internal/definition.ts"
import * as operations from "./internal/operations.ts"
import type * as Outcome from "./Outcome.ts"
import type { InvalidPayload, KeyReused, SagaStoreError, StepFailed } from "./SagaError.ts"
import type { SagaStore } from "./SagaStore.ts"

/**
 * A schema that needs no services.
 *
 * @category models
 * @since 0.1.0
 */
export type Plain = Schema.Constraint & { readonly DecodingServices: never; readonly EncodingServices: never }

/** What a step without an `error` schema may fail with. @category models @since 0.1.0 */
export type Undeclared = typeof StepFailed

type ErrorOf<E extends Plain> = [E] extends [Undeclared] ? unknown : E["Type"]

/**
 * @category models
 * @since 0.1.0
 */
export interface StepOptions<In, Results, S extends Plain, E extends Plain, R> {
  /** Schema of the result, which later steps and the compensation get. Default: there is none. */
  readonly success?: S
  /**
   * Schema of the errors, so that a saga that was rolled back tells them as they were. Default: any error; its tag and
   * message are kept in a `StepFailed`.
   */
  readonly error?: E
  /** What it does. Run at least once: a crash runs it again. */
  readonly run: (payload: In, results: Results) => Effect.Effect<S["Type"], ErrorOf<E>, R>
  /** When an attempt that failed is made again. Default: it is not. */
  readonly retry?: RetryPolicy.RetryPolicy
  /** How long one attempt may take. Default: as long as it takes. */
  readonly timeout?: Duration.Input
  /** The system that it talks to, for the diagram. Default: the name of the step. */
  readonly service?: string
  /** What it does, for the diagram. Default: the name of the step. */
  readonly description?: string
}

/**
 * How a step is undone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Compensated<In, Results, A, R> {
  /**
   * Undoes the step. `None` means that it is not known whether the step has happened. Run at least once, and also where
   * there is nothing to undo.
   */
  readonly compensate: (result: Option.Option<A>, payload: In, results: Results) => Effect.Effect<unknown, unknown, R>
  /** What undoing does, for the document. Default: `undo` and the name of the step. */
  readonly compensation?: string
  /** When a compensation that failed is tried again. Default: the saga's. */
  readonly compensationRetry?: RetryPolicy.RetryPolicy
  readonly irreversible?: never
}

/**
 * That a step cannot be undone, and why.
 *
 * @category models
 * @since 0.1.0
 */
export interface Irreversible {
  readonly irreversible: string
  readonly compensate?: never
  readonly compensation?: never
  readonly compensationRetry?: never
}

type Needs<R> = Exclude<R, CurrentStep | Scope.Scope>

/**
 * A saga. Each method that adds something gives a new one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Saga<Name extends string, In extends Plain, Results, Signals, E, R> {
  readonly name: Name
  readonly payload: In
  /** What it is made of, for documents. */
  readonly nodes: ReadonlyArray<Node>
  readonly definition: Definition

  /** Adds a step, which says how it is undone, or why it cannot be. */
  readonly step: <
    const Step extends string,
    R1,
    S extends Plain = Schema.Void,
    E1 extends Plain = Undeclared,
    R2 = never
  >(
    name: Step extends keyof Results ? `there is a step "${Step}" already` : Step,
    options: StepOptions<In["Type"], Results, S, E1, R1> &
      (Compensated<In["Type"], Results, S["Type"], R2> | Irreversible)
  ) => Saga<
    Name,
    In,
    Simplify<Results & { readonly [K in Step]: S["Type"] }>,
    Signals,
    E | E1["Type"],
    R | Needs<R1> | Needs<R2>
  >

  /** Adds steps that run at the same time. When one fails, the others are finished first, and then undone. */
  readonly parallel: <Added, E1, R1>(
    build: (group: Parallel<In, Results, {}, never, never>) => Parallel<In, Results, Added, E1, R1>
  ) => Saga<Name, In, Simplify<Results & Added>, Signals, E | E1, R | R1>

  /**
   * Waits until `signal` says what, at most until the deadline: then the saga is rolled back (or stuck, after an
   * irreversible step). The wait outlasts crashes.
   */
  readonly waitFor: <const Step extends string, S extends Plain>(
    name: Step extends keyof Results ? `there is a step "${Step}" already` : Step,
    options: {
      readonly success: S
      readonly deadline: Duration.Input
      /** Who says it, for the diagram. */
      readonly service?: string
    }
  ) => Saga<
    Name,
    In,
    Simplify<Results & { readonly [K in Step]: S["Type"] }>,
    Simplify<Signals & { readonly [K in Step]: S["Type"] }>,
    E,
    R
  >

  /** Waits for a time, which outlasts crashes. */
  readonly delay: (name: string, duration: Duration.Input) => Saga<Name, In, Results, Signals, E, R>

  /** Runs sagas of this definition, those that a crash has interrupted among them. */
  readonly layer: Layer.Layer<never, never, R | WorkflowEngine | SagaStore>
  /** The same, and finishes the runs of older definitions. */
  readonly layerWith: <R1 = never>(options: {
    readonly previous: ReadonlyArray<Any<R1>>
  }) => Layer.Layer<never, never, R | R1 | WorkflowEngine | SagaStore>

  /** Starts it, or joins one with the same key, and waits until it has ended or is stuck. To stop waiting stops nothing. */
  readonly execute: (
    payload: In["Type"]
  ) => Effect.Effect<
    Outcome.Outcome<Results, keyof Results & string, E>,
    InvalidPayload | KeyReused | SagaStoreError,
    WorkflowEngine | SagaStore
  >
  /** Starts it, or joins one with the same key, and gives its id as soon as it cannot be lost any more. */
  readonly start: (
    payload: In["Type"]
  ) => Effect.Effect<string, InvalidPayload | KeyReused | SagaStoreError, WorkflowEngine | SagaStore>
  /** The id of the saga with this idempotency key, started or not. */
  readonly idOf: (key: string) => Effect.Effect<string>
  /** What has become of it; `None` while it runs, or where it is not known. */
  readonly outcome: (
    id: string
  ) => Effect.Effect<
    Option.Option<Outcome.Outcome<Results, keyof Results & string, E>>,
    SagaStoreError,
    WorkflowEngine | SagaStore
  >
  /** Says what a `waitFor` waits for. What is said first counts, also before the saga waits for it. */
  readonly signal: <const Step extends keyof Signals & string>(
    id: string,
    name: Step,
    value: Signals[Step]
  ) => Effect.Effect<void, SagaStoreError | InvalidPayload, WorkflowEngine>
}

/**
 * Any saga whose steps need `R`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any<out R = any> {
  readonly name: string
  readonly nodes: ReadonlyArray<Node>
  readonly definition: Definition
  readonly layer: Layer.Layer<never, never, R | WorkflowEngine | SagaStore>
}

/**
 * Steps that run at the same time. Each can be undone: there is no saying which one would be the last.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parallel<In extends Plain, Results, Added, E, R> {
  readonly steps: ParallelNode["steps"]
  readonly step: <
    const Step extends string,
    R1,
    S extends Plain = Schema.Void,
    E1 extends Plain = Undeclared,
    R2 = never
  >(
    name: Step extends keyof Results | keyof Added ? `there is a step "${Step}" already` : Step,
    options: StepOptions<In["Type"], Results, S, E1, R1> & Compensated<In["Type"], Results, S["Type"], R2>
  ) => Parallel<In, Results, Added & { readonly [K in Step]: S["Type"] }, E | E1["Type"], R | Needs<R1> | Needs<R2>>
}

/**
 * A saga without steps.
 *
 * **Details**
 *
 * `name` identifies its runs: renamed, it is another saga. `idempotencyKey` must not be empty. `compensationRetry` is ten
 * times from one second up to five minutes by default. Throws `InvalidOption` for a name that is empty or has one of
 * `/ ! ? ~ & > ( )`, also of a step, for two steps of one name, and for times that are not finite.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Name extends string, In extends Plain>(
  name: Name,
  options: {
    readonly payload: In
    /** Of one business transaction: two starts with one key are one saga. */
    readonly idempotencyKey: (payload: In["Type"]) => string
    readonly compensationRetry?: RetryPolicy.RetryPolicy
  }
): Saga<Name, In, {}, {}, never, never> =>
  build({
    name: nameOf("Saga.make", name),
    payload: options.payload as never,
    idempotencyKey: options.idempotencyKey,
    compensationRetry:
      options.compensationRetry ?? RetryPolicy.exponential({ base: "1 second", cap: "5 minutes", maxRetries: 10 }),
    nodes: []
  })

/**
 * What a run that is under way relies on, in one line: which steps there are, in which order, and which cannot be undone.
 * A run whose saga has another fingerprint by now needs the definition that it was started with.
 *
 * @category getters
 * @since 0.1.0
 */
export const fingerprint = (saga: Any): string => definitions.fingerprint(saga.definition)

/** The others mean something where the steps of a saga are written in one line. */
const nameOf = (where: string, name: string): string =>
  /[/!?~&>()]/.test(Check.name(where, name))
    ? Check.reject(where, "name", name, "a name without any of / ! ? ~ & > ( )")
    : name

const build = (definition: Definition): any => {
  // Names whose metrics would be the same are refused here, and not when a run ends.
  Telemetry.recorder(definition.name)
  const where = (name: string) => `Saga ${definition.name}.${name}`
  const added = (node: Node) => {
    const known = new Set(definition.nodes.flatMap(namesOf))
    for (const name of namesOf(node)) {
      if (known.has(nameOf(where(name), name))) Check.reject(where(name), "name", name, "a name of its own")
      known.add(name)
    }
    return build({ ...definition, nodes: [...definition.nodes, node] })
  }
  return {
    name: definition.name,
    payload: definition.payload,
    nodes: definition.nodes,
    definition,
    step: (name: string, options: any) => added(stepOf(definition, name, options)),
    parallel: (of: (group: any) => { readonly steps: ReadonlyArray<StepNode> }) => {
      const { steps } = of(groupOf(definition, []))
      return added({ _tag: "Parallel", steps })
    },
    waitFor: (name: string, { deadline, service, success }: any) =>
      added({
        _tag: "Wait",
        name,
        success,
        service,
        deadline: Duration.millis(Check.millis(where(name), "deadline", deadline))
      }),
    delay: (name: string, duration: Duration.Input) =>
      added({ _tag: "Delay", name, duration: Duration.millis(Check.millis(where(name), "duration", duration)) }),
    ...operations.make(definition)
  }
}

const groupOf = (definition: Definition, steps: ReadonlyArray<StepNode>): unknown => ({
  steps,
  step: (name: string, options: any) => {
    const where = `Saga ${definition.name}.${name}`
    const { irreversible } = options
    if (irreversible !== undefined) Check.reject(where, "irreversible", irreversible, "left out in a parallel group")
    return groupOf(definition, [...steps, stepOf(definition, name, options)])
  }
})

const stepOf = (definition: Definition, name: string, options: any): StepNode => {
  const where = `Saga ${definition.name}.${name}`
  const { compensate, irreversible, timeout } = options
  if (compensate === undefined && (typeof irreversible !== "string" || irreversible.trim() === "")) {
    Check.reject(where, "irreversible", irreversible, "a reason, where there is no compensate")
  }
  if (compensate !== undefined && irreversible !== undefined) {
    Check.reject(where, "irreversible", irreversible, "left out, where there is compensate")
  }
  return {
    _tag: "Step",
    name,
    success: options.success ?? Schema.Void,
    isVoid: options.success === undefined || options.success === Schema.Void,
    error: options.error,
    run: options.run,
    retry: options.retry,
    timeout: timeout === undefined ? undefined : Duration.millis(Check.millis(where, "timeout", timeout)),
    compensate,
    compensationRetry: options.compensationRetry ?? definition.compensationRetry,
    irreversible,
    service: options.service,
    description: options.description,
    compensation: options.compensation
  }
}
