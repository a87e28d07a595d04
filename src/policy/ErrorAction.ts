/**
 * What is to be done about an error (the consumer action of section 3.1), as data, and the one place that does it.
 *
 * An error carries its action as a plain property (`Actionable`), so that a policy, a consumer and a saga all decide by
 * the same value, also after the error was written to a journal and read again. Errors of others get theirs from a
 * `Classifier`.
 *
 * **Details**
 *
 * - `kind` decides what happens next: `fail` ends the call, `retry` tries again after a backoff, `wait` tries again when
 *   the provider says so, `refresh` renews the credentials and tries once more, `skip` means that the work is done
 *   already.
 * - `circuit` says what the error tells about the provider's health: a 404 is a healthy answer.
 * - `log` and `notify` are performed by `perform`, which policies call. A notice goes to the `AlertHook`.
 *
 * **Example** (Giving an action to errors of your own)
 *
 * ```ts
 * import { Data, Effect } from "effect"
 * import { ErrorAction } from "effect-integration/policy"
 *
 * class CardDeclined extends Data.TaggedError("CardDeclined")<{}> {}
 * class Overloaded extends Data.TaggedError("Overloaded")<{}> {}
 *
 * declare const charge: Effect.Effect<string, CardDeclined | Overloaded>
 *
 * export const actionable = charge.pipe(
 *   ErrorAction.assign({ CardDeclined: ErrorAction.fail, Overloaded: ErrorAction.retry })
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Secrets from "../internal/secrets.ts"
import * as Telemetry from "../Telemetry.ts"

/**
 * Schema of an action, so that an error keeps it when it is encoded.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ErrorAction = Schema.Struct({
  /** What happens next. */
  kind: Schema.Literals(["fail", "retry", "wait", "skip", "refresh"]),
  /** What the error tells the circuit breaker. */
  circuit: Schema.Literals(["success", "failure", "ignored"]),
  /** Level at which the end of a call with this error is logged. */
  log: Schema.Literals(["info", "warn", "error"]),
  /** Whether people are told: engineering is alerted, or the business owner gets an escalation. */
  notify: Schema.Literals(["none", "alert", "escalate"]),
  /** The provider or the way to it is down, or says wait: no fault of this message, so it spends no delivery attempt. */
  outage: Schema.Boolean,
  /** Whether a Retry-After of this error holds back the other calls too, where the policy has a rate limit. */
  holds: Schema.Boolean,
  /** What the document and the operator are told. */
  guidance: Schema.String
})

/**
 * What is to be done about an error.
 *
 * @category models
 * @since 0.1.0
 */
export interface ErrorAction extends Schema.Schema.Type<typeof ErrorAction> {}

/**
 * An action of a kind with its defaults, some of them replaced.
 *
 * **Details**
 *
 * Defaults: `fail` and `skip` are a success for the circuit, `retry` a failure, `wait` is ignored by it. `fail` and
 * `retry` log at error, `wait` and `refresh` at warn, `skip` at info. Only `wait` is of the outage class.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (kind: ErrorAction["kind"], options?: Partial<Omit<ErrorAction, "kind">>): ErrorAction => ({
  ...defaults[kind],
  ...options,
  kind
})

const defaults: { readonly [K in ErrorAction["kind"]]: Omit<ErrorAction, "kind"> } = {
  fail: {
    circuit: "success",
    log: "error",
    notify: "none",
    outage: false,
    holds: false,
    guidance: "do not retry"
  },
  retry: {
    circuit: "failure",
    log: "error",
    notify: "none",
    outage: false,
    holds: false,
    guidance: "retry with backoff"
  },
  wait: {
    circuit: "ignored",
    log: "warn",
    notify: "none",
    outage: true,
    holds: false,
    guidance: "wait as long as the provider says, then retry"
  },
  skip: {
    circuit: "success",
    log: "info",
    notify: "none",
    outage: false,
    holds: false,
    guidance: "already done: skip"
  },
  refresh: {
    circuit: "success",
    log: "warn",
    notify: "none",
    outage: false,
    holds: false,
    guidance: "refresh the credentials, retry once"
  }
}

/** Ends the call. @category constructors @since 0.1.0 */
export const fail: ErrorAction = make("fail")
/** Tries again after a backoff, and counts as a failure of the provider. @category constructors @since 0.1.0 */
export const retry: ErrorAction = make("retry")
/** Tries again when the provider says so. @category constructors @since 0.1.0 */
export const wait: ErrorAction = make("wait")
/** The work is done already. @category constructors @since 0.1.0 */
export const skip: ErrorAction = make("skip")
/** Renews the credentials and tries once more. @category constructors @since 0.1.0 */
export const refresh: ErrorAction = make("refresh")

/** Name of the property that carries an action. */
const key = "errorAction"

/**
 * Whether the failed request took effect: `unprocessed` where it provably did not, `unknown` where it may have,
 * `processed` where it did and only its answer is unusable.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "unprocessed" | "unknown" | "processed"

/**
 * An error that says itself what is to be done about it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Actionable {
  readonly errorAction: ErrorAction
  /** How long the provider asks to be left alone. Never shortened. */
  readonly retryAfter?: Duration.Duration | undefined
  /** Whether the request took effect. Left out means `unknown`. */
  readonly outcome?: Outcome | undefined
}

/** @category guards @since 0.1.0 */
export const isActionable = (u: unknown): u is Actionable =>
  Predicate.hasProperty(u, key) &&
  Predicate.hasProperty(u[key], "kind") &&
  Object.hasOwn(defaults, u[key].kind as string)

/**
 * The error, carrying an action.
 *
 * @category models
 * @since 0.1.0
 */
export type WithAction<E> = E extends Actionable ? E : E & Actionable

/**
 * Attaches an action to an error that carries none. The property is not enumerable, so the error encodes and prints as
 * before.
 *
 * **Gotchas**
 *
 * A primitive or a frozen object cannot carry an action; it is returned as it is, and counts as `fail`. An error that is
 * shared keeps the action that it got first.
 *
 * @category combinators
 * @since 0.1.0
 */
export const attach = <E>(error: E, action: ErrorAction): WithAction<E> => {
  if (Predicate.isObject(error) && !isActionable(error) && Object.isExtensible(error)) {
    Object.defineProperty(error, key, { value: action, enumerable: false, configurable: true })
  }
  return error as WithAction<E>
}

type Tagged<E> = Extract<E, { readonly _tag: string }>

/**
 * Attaches actions to the errors of an effect, by tag.
 *
 * @category combinators
 * @since 0.1.0
 */
export const assign =
  <E, const T extends { readonly [K in Tagged<E>["_tag"]]?: ErrorAction }>(table: T) =>
  <A, R>(
    self: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E extends { readonly _tag: infer K } ? (K extends keyof T ? WithAction<E> : E) : E, R> =>
    Effect.mapError(self, (error: any) => {
      const tag: unknown = error?._tag
      const known = typeof tag === "string" && Object.hasOwn(table, tag)
      return known ? attach(error, (table as Readonly<Record<string, ErrorAction>>)[tag]!) : error
    })

/**
 * Decides about errors of type `E`.
 *
 * **Details**
 *
 * Total in its type, partial at run time, so that classifiers compose: `undefined` leaves the decision to the next one,
 * and what nobody decides is `fail`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Classifier<in E> {
  readonly "~E": (error: E) => void
  readonly classify: (error: unknown) => ErrorAction | undefined
}

const classifier = <E>(classify: Classifier<E>["classify"]): Classifier<E> => ({ "~E": () => {}, classify })

/** Asks the error itself. @category classifiers @since 0.1.0 */
export const carried: Classifier<Actionable> = classifier((error) => (isActionable(error) ? error[key] : undefined))

/** Decides by tag. @category classifiers @since 0.1.0 */
export const tags = <const T extends Readonly<Record<string, ErrorAction>>>(
  table: T
): Classifier<{ [K in keyof T]: { readonly _tag: K } }[keyof T]> =>
  classifier((error) =>
    Predicate.hasProperty(error, "_tag") && Object.hasOwn(table, error._tag as string)
      ? table[error._tag as string]
      : undefined
  )

/** Decides with a function that must know every error. @category classifiers @since 0.1.0 */
export const from = <E>(decide: (error: E) => ErrorAction): Classifier<E> => classifier((error) => decide(error as E))

/** The same action for every error. @category classifiers @since 0.1.0 */
export const all = (action: ErrorAction): Classifier<unknown> => classifier(() => action)

/** Asks the second where the first does not decide. @category classifiers @since 0.1.0 */
export const orElse =
  <E2>(that: Classifier<E2>) =>
  <E1>(self: Classifier<E1>): Classifier<E1 | E2> =>
    classifier((error) => self.classify(error) ?? that.classify(error))

/**
 * Turns an error whose action is `skip` (the work is done already) into `None`, and a success into `Some`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const skipped = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> =>
  Effect.catchIf(
    Effect.asSome(self),
    (error): error is E => isActionable(error) && error.errorAction.kind === "skip",
    () => Effect.succeedNone
  )

/**
 * Something that a person must know.
 *
 * @category models
 * @since 0.1.0
 */
export interface Notice {
  readonly kind: "alert" | "escalate"
  readonly integration: string
  readonly message: string
  readonly error: unknown
  readonly requestId: string | undefined
}

/**
 * Where notices go: the paging system's door. The default drops them, since each is logged as well.
 *
 * **Details**
 *
 * The hook runs on its own fiber: it cannot delay or fail the call that raised the notice, and its own failure is
 * logged.
 *
 * @category services
 * @since 0.1.0
 */
export const AlertHook = Context.Reference<(notice: Notice) => Effect.Effect<unknown, unknown>>(
  "effect-integration/policy/ErrorAction/AlertHook",
  { defaultValue: () => () => Effect.void }
)

/**
 * An error at the moment when its action is performed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Occurrence {
  readonly integration: string
  readonly error: unknown
  readonly action: ErrorAction
  /** Which attempt of the call it was, from 1. */
  readonly attempt: number
  /** Milliseconds until the next attempt; `undefined` where the call ends here. */
  readonly nextMillis: number | undefined
  readonly requestId: string | undefined
}

const logLevel = { info: "Info", warn: "Warn", error: "Error" } as const

/**
 * Performs what an action says beside the control flow: the log line and the notice.
 *
 * **Details**
 *
 * - The error that ends a call is logged at its action's level; one that is tried again at most at `warn`.
 * - Credentials that were refreshed and refused again are an error.
 * - People are told once, when the call ends.
 *
 * @category combinators
 * @since 0.1.0
 */
export const perform = Effect.fnUntraced(function* (occurrence: Occurrence) {
  const { action, attempt, error, integration, nextMillis } = occurrence
  const ends = nextMillis === undefined
  const text = error instanceof Error && error.message !== "" ? Secrets.beginning(error.message, 1000) : tagOf(error)
  const message = ends
    ? `${integration}: ${text} (${attempt === 0 ? "" : `attempt ${attempt}, given up; `}${action.guidance})`
    : `${integration}: ${text} (attempt ${attempt}, next in ${Math.round(nextMillis)} ms; ${action.guidance})`
  const level = !ends ? (action.log === "info" ? "info" : "warn") : action.kind === "refresh" ? "error" : action.log
  yield* Effect.logWithLevel(logLevel[level])(message).pipe(Effect.annotateLogs(annotations(occurrence)))
  if (ends && action.notify !== "none") {
    if (Predicate.isObject(error)) told.add(error)
    yield* notify({ kind: action.notify, integration, message, error, requestId: occurrence.requestId })
  }
})

/** Errors of which people were told. */
const told = new WeakSet<object>()

/**
 * Whether people were told of this error when a call ended with it, so that what the call was made for need not do it again.
 *
 * @category getters
 * @since 0.1.0
 */
export const wasTold = (error: unknown): boolean => Predicate.isObject(error) && told.has(error)

/**
 * Counts a notice, and hands it to the `AlertHook` on a fiber of its own.
 *
 * @category combinators
 * @since 0.1.0
 */
export const notify = (notice: Notice): Effect.Effect<void> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const hook = Context.get(context, AlertHook)
    Telemetry.noticed(notice.integration, notice.kind, context)
    return Effect.asVoid(
      Effect.forkDetach(
        Effect.catchCause(
          Effect.suspend(() => hook(notice)),
          (cause) => Effect.logError(`${notice.integration}: the alert hook failed`, Secrets.ofCause(cause))
        )
      )
    )
  })

/** The tag of an error, its name, or its type: bounded, and never its message. @category getters @since 0.1.0 */
export const tagOf = (error: unknown): string =>
  Predicate.hasProperty(error, "_tag") && typeof error._tag === "string"
    ? error._tag
    : error instanceof Error
      ? error.name
      : typeof error

/** What an error says about Retry-After, in milliseconds; also one without an action. @category getters @since 0.1.0 */
export const retryAfterMillis = (error: unknown): number | undefined =>
  Predicate.hasProperty(error, "retryAfter") && Duration.isDuration(error.retryAfter)
    ? Duration.toMillis(error.retryAfter)
    : undefined

const annotations = (occurrence: Occurrence): Record<string, unknown> => {
  const found: Record<string, unknown> = {
    [Telemetry.Attribute.integration]: occurrence.integration,
    [Telemetry.Attribute.errorTag]: tagOf(occurrence.error),
    [Telemetry.Attribute.action]: occurrence.action.kind,
    [Telemetry.Attribute.attempt]: occurrence.attempt
  }
  if (occurrence.requestId !== undefined) found[Telemetry.Attribute.requestId] = occurrence.requestId
  for (const [property, attribute] of described) {
    if (Predicate.hasProperty(occurrence.error, property)) found[attribute] = occurrence.error[property]
  }
  return found
}
const described = [
  ["code", Telemetry.Attribute.errorCode],
  ["method", Telemetry.Attribute.method],
  ["path", Telemetry.Attribute.path],
  ["status", Telemetry.Attribute.status]
] as const
