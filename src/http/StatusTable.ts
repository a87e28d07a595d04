/**
 * The error table of a contract (section 3.1, Error Handling): what each HTTP status means, as a value.
 *
 * A row names an error class, a code, and the action. The error channel of a contract is computed from the rows, the
 * document prints them, and the policy performs them. The table is total: every status has a row, if only that of its
 * class (`"4xx"`).
 *
 * **Details**
 *
 * - `standard` is the table of the document. `override` replaces rows and adds new ones; a replaced row changes the error
 *   type, the action and the effect on the circuit at once.
 * - A row may be meant for one problem type only (RFC 9457): its key is the status followed by a few words, such as
 *   `"409 in progress"`.
 *
 * **Example** (A row of your own)
 *
 * ```ts
 * import { ErrorAction } from "effect-integration/policy"
 * import { StatusTable } from "effect-integration/http"
 *
 * class Teapot extends StatusTable.Error<Teapot>()("Teapot") {}
 *
 * export const errors = StatusTable.override(StatusTable.standard, {
 *   418: StatusTable.row(Teapot, "TEAPOT", ErrorAction.fail)
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Option from "../internal/option.ts"
import * as ErrorAction from "../policy/ErrorAction.ts"

/**
 * What every error of a status knows.
 *
 * @category models
 * @since 0.1.0
 */
export const fields = {
  /** Name of the contract. */
  integration: Schema.String,
  method: Schema.String,
  /** Path without query. */
  path: Schema.String,
  status: Schema.Int,
  /** Code of the row. The provider's own code is in `problem`. */
  code: Schema.String,
  /** X-Request-ID that was sent. */
  requestId: Schema.String,
  /** What the provider said, from problem details (RFC 9457) or `{ code, message }`; bounded, declared fields redacted. */
  problem: Schema.optionalKey(
    Schema.Struct({
      type: Schema.optionalKey(Schema.String),
      title: Schema.optionalKey(Schema.String),
      detail: Schema.optionalKey(Schema.String),
      code: Schema.optionalKey(Schema.String)
    })
  ),
  /** The body of the response: JSON, or text; bounded, declared fields redacted. */
  body: Schema.optionalKey(Schema.Json),
  /** How long the provider asks to be left alone (Retry-After). */
  retryAfter: Schema.optionalKey(Schema.Duration),
  /** Whether the request may have taken effect. */
  outcome: Schema.Literals(["unprocessed", "unknown", "processed"]),
  errorAction: ErrorAction.ErrorAction
}

/** @category models @since 0.1.0 */
export interface Failure extends Schema.Struct.Type<typeof fields> {}

/**
 * Base class of the error of a row. The action is a field, so that it survives encoding (a saga's journal, a dead
 * letter).
 *
 * @category constructors
 * @since 0.1.0
 */
export const Error =
  <Self>() =>
  <const Tag extends string>(tag: Tag) => {
    const Base = Schema.TaggedError<Self>()(tag, fields)
    const { prototype } = Base as unknown as { readonly prototype: object }
    Object.defineProperty(prototype, "message", { configurable: true, get: describe })
    return Base
  }

function describe(this: Failure): string {
  const said = this.problem?.code ?? this.problem?.title
  const suffix = said === undefined ? "" : `: ${said}`
  return `${this.method} ${this.path} answered ${this.status} ${this.code}${suffix} (request ${this.requestId})`
}

/** 400. @category errors @since 0.1.0 */
export class ValidationError extends Error<ValidationError>()("ValidationError") {}
/** 401. @category errors @since 0.1.0 */
export class Unauthorized extends Error<Unauthorized>()("Unauthorized") {}
/** 403. @category errors @since 0.1.0 */
export class Forbidden extends Error<Forbidden>()("Forbidden") {}
/** 404. @category errors @since 0.1.0 */
export class NotFound extends Error<NotFound>()("NotFound") {}
/** 409. @category errors @since 0.1.0 */
export class Conflict extends Error<Conflict>()("Conflict") {}
/** 409: the first request with this idempotency key is still running. @category errors @since 0.1.0 */
export class IdempotencyInProgress extends Error<IdempotencyInProgress>()("IdempotencyInProgress") {}
/** 422. @category errors @since 0.1.0 */
export class BusinessRule extends Error<BusinessRule>()("BusinessRule") {}
/** 422: the idempotency key was used for another request. @category errors @since 0.1.0 */
export class IdempotencyKeyReused extends Error<IdempotencyKeyReused>()("IdempotencyKeyReused") {}
/** 429. @category errors @since 0.1.0 */
export class RateLimited extends Error<RateLimited>()("RateLimited") {}
/** 500. @category errors @since 0.1.0 */
export class InternalError extends Error<InternalError>()("InternalError") {}
/** 502, 503, 504. @category errors @since 0.1.0 */
export class Unavailable extends Error<Unavailable>()("Unavailable") {}
/** 408, 421, 425: the request should be made again. @category errors @since 0.1.0 */
export class Retriable extends Error<Retriable>()("Retriable") {}
/** 3xx that was not followed. @category errors @since 0.1.0 */
export class UnexpectedRedirect extends Error<UnexpectedRedirect>()("UnexpectedRedirect") {}
/** A status that no row names. @category errors @since 0.1.0 */
export class UnexpectedStatus extends Error<UnexpectedStatus>()("UnexpectedStatus") {}

/**
 * A class that a row may name: a schema whose instances say their action.
 *
 * @category models
 * @since 0.1.0
 */
export interface ErrorClass<E extends ErrorAction.Actionable = ErrorAction.Actionable> extends Schema.Constraint {
  readonly Type: E
  readonly name: string
  new (props: any): E
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Row<out E> {
  readonly "~E": E
  readonly error: ErrorClass<E & ErrorAction.Actionable>
  readonly code: string
  readonly action: ErrorAction.ErrorAction
  /** Whether a request that was answered so may have taken effect: decides what may be retried. */
  readonly outcome: ErrorAction.Outcome
  /** Only for bodies of this problem type. */
  readonly problemType: string | undefined
  /** Whether Retry-After means something here. */
  readonly retryAfter: boolean
}

/**
 * A row of a table.
 *
 * **Details**
 *
 * `outcome` is `unknown` by default: the request may have taken effect, so one that must not be repeated is not retried.
 * `retryAfter` is true by default for actions of kind `retry` and `wait`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const row = <C extends ErrorClass>(
  error: C,
  code: string,
  action: ErrorAction.ErrorAction,
  options?: { readonly outcome?: ErrorAction.Outcome; readonly problemType?: string; readonly retryAfter?: boolean }
): Row<C["Type"]> => {
  if (!constructs(error, { ...sample, code, errorAction: action })) {
    Option.reject("StatusTable.row", code, error.name, "a class made with StatusTable.Error, without fields of its own")
  }
  return {
    error,
    code,
    action,
    outcome: options?.outcome ?? "unknown",
    problemType: options?.problemType,
    retryAfter: options?.retryAfter ?? (action.kind === "retry" || action.kind === "wait")
  } as any
}
const constructs = (error: ErrorClass, props: unknown): boolean => {
  try {
    return Predicate.isObject(new error(props))
  } catch {
    return false
  }
}
const sample = { integration: "", method: "GET", path: "/", status: 400, requestId: "", outcome: "unknown" }

/**
 * Key of a row: a status, a class of statuses, or a status and words for one problem type of it.
 *
 * @category models
 * @since 0.1.0
 */
export type Key = number | "3xx" | "4xx" | "5xx" | `${number} ${string}`

/**
 * @category models
 * @since 0.1.0
 */
export interface StatusTable<out Rows> {
  readonly rows: Rows
}

/** The errors a table can produce. @category models @since 0.1.0 */
export type Errors<Rows> = { readonly [K in keyof Rows]: Rows[K] extends Row<infer E> ? E : never }[keyof Rows]

/** @category models @since 0.1.0 */
export interface StandardRows {
  readonly "3xx": Row<UnexpectedRedirect>
  readonly 400: Row<ValidationError>
  readonly 401: Row<Unauthorized>
  readonly 403: Row<Forbidden>
  readonly 404: Row<NotFound>
  readonly 408: Row<Retriable>
  readonly 409: Row<Conflict>
  readonly "409 in progress": Row<IdempotencyInProgress>
  readonly 421: Row<Retriable>
  readonly 422: Row<BusinessRule>
  readonly "422 key reused": Row<IdempotencyKeyReused>
  readonly 425: Row<Retriable>
  readonly 429: Row<RateLimited>
  readonly "4xx": Row<UnexpectedStatus>
  readonly 500: Row<InternalError>
  readonly 501: Row<UnexpectedStatus>
  readonly 502: Row<Unavailable>
  readonly 503: Row<Unavailable>
  readonly 504: Row<Unavailable>
  readonly 505: Row<UnexpectedStatus>
  readonly "5xx": Row<UnexpectedStatus>
}

/**
 * Problem types (RFC 9457) of the idempotency middleware.
 *
 * @category constants
 * @since 0.1.0
 */
export const ProblemType = {
  keyMissing: "urn:effect-integration:problem:idempotency-key-missing",
  inProgress: "urn:effect-integration:problem:idempotency-in-progress",
  keyReused: "urn:effect-integration:problem:idempotency-key-reused"
} as const

const { fail, make, refresh, retry, skip } = ErrorAction
const unprocessed = { outcome: "unprocessed" } as const
const unavailable = row(
  Unavailable,
  "UNAVAILABLE",
  make("retry", { outage: true, guidance: "retry while the circuit is closed" })
)
const again = make("retry", { circuit: "ignored", log: "warn", guidance: "retry" })
const unexpected = make("fail", { guidance: "not agreed upon: ask the provider" })

/**
 * The table of the document.
 *
 * @category constants
 * @since 0.1.0
 */
export const standard: StatusTable<StandardRows> = {
  rows: {
    "3xx": row(UnexpectedRedirect, "UNEXPECTED_REDIRECT", make("fail", { guidance: "check the base URL" })),
    400: row(ValidationError, "VALIDATION_ERROR", make("fail", { guidance: "fix the request" }), unprocessed),
    401: row(Unauthorized, "UNAUTHORIZED", refresh, unprocessed),
    403: row(
      Forbidden,
      "FORBIDDEN",
      make("fail", { notify: "alert", guidance: "engineering is alerted" }),
      unprocessed
    ),
    404: row(NotFound, "NOT_FOUND", make("fail", { log: "warn", guidance: "check the resource id" }), unprocessed),
    408: row(Retriable, "RETRIABLE", again),
    409: row(Conflict, "CONFLICT", skip),
    "409 in progress": row(
      IdempotencyInProgress,
      "IDEMPOTENCY_IN_PROGRESS",
      make("wait", { log: "info", outage: false, guidance: "the first request still runs: ask again, never skip" }),
      { problemType: ProblemType.inProgress }
    ),
    421: row(Retriable, "RETRIABLE", again, unprocessed),
    422: row(BusinessRule, "BUSINESS_RULE", make("fail", { notify: "escalate", guidance: "escalate" }), unprocessed),
    "422 key reused": row(
      IdempotencyKeyReused,
      "IDEMPOTENCY_KEY_REUSED",
      make("fail", { notify: "alert", guidance: "a bug: one key was used for two requests" }),
      { ...unprocessed, problemType: ProblemType.keyReused }
    ),
    425: row(Retriable, "RETRIABLE", again, unprocessed),
    429: row(RateLimited, "RATE_LIMITED", make("wait", { holds: true }), unprocessed),
    "4xx": row(UnexpectedStatus, "UNEXPECTED_STATUS", unexpected, unprocessed),
    500: row(InternalError, "INTERNAL_ERROR", retry, { retryAfter: false }),
    501: row(UnexpectedStatus, "UNEXPECTED_STATUS", unexpected, unprocessed),
    502: unavailable,
    503: unavailable,
    504: unavailable,
    505: row(UnexpectedStatus, "UNEXPECTED_STATUS", unexpected, unprocessed),
    "5xx": row(
      UnexpectedStatus,
      "UNEXPECTED_STATUS",
      make("fail", { circuit: "failure", guidance: unexpected.guidance })
    )
  }
}

/** Other rows for some keys; keys the table does not have are added. @category models @since 0.1.0 */
export type Override<Rows, Over> = {
  readonly [K in keyof Rows | keyof Over]: K extends keyof Over ? Over[K] : K extends keyof Rows ? Rows[K] : never
}

/**
 * A table with other rows for some keys, and rows for keys that it does not have.
 *
 * **Gotchas**
 *
 * Throws `InvalidOption` for a key that is no status from 300 to 599 or class of them, and for a problem row without a
 * problem type.
 *
 * @category combinators
 * @since 0.1.0
 */
export const override: {
  <const Over extends { readonly [K in Key]?: Row<any> }>(
    over: Over
  ): <Rows>(self: StatusTable<Rows>) => StatusTable<Override<Rows, Over>>
  <Rows, const Over extends { readonly [K in Key]?: Row<any> }>(
    self: StatusTable<Rows>,
    over: Over
  ): StatusTable<Override<Rows, Over>>
} = ((...args: [any] | [any, any]) =>
  args.length === 1 ? (self: StatusTable<any>) => overridden(self, args[0]) : overridden(args[0], args[1])) as any

const overridden = (self: StatusTable<object>, over: Readonly<Record<string, Row<unknown>>>): StatusTable<object> => {
  for (const [key, given] of Object.entries(over)) {
    const parsed = /^([345])(xx|\d\d( .+)?)$/.exec(key)
    if (parsed === null)
      Option.reject("StatusTable.override", key, given.code, "a status from 300 to 599 or 3xx to 5xx")
    if ((parsed?.[3] === undefined) !== (given.problemType === undefined)) {
      const expected = "a key like '409 in progress' where the row has a problemType, and only there"
      Option.reject("StatusTable.override", key, given.problemType, expected)
    }
  }
  return { rows: { ...self.rows, ...over } }
}

/**
 * The row of a status, by problem type where there is one for it.
 *
 * @category getters
 * @since 0.1.0
 */
export const rowOf = (table: StatusTable<unknown>, status: number, problemType?: string): Row<unknown> => {
  const rows = table.rows as Readonly<Record<string, Row<unknown> | undefined>>
  if (problemType !== undefined) {
    for (const [key, each] of Object.entries(rows)) {
      if (each?.problemType === problemType && key.startsWith(`${status} `)) return each
    }
  }
  return rows[status] ?? rows[status < 400 ? "3xx" : status < 500 ? "4xx" : "5xx"] ?? fallback
}
const fallback: Row<UnexpectedStatus> = row(UnexpectedStatus, "UNEXPECTED_STATUS", fail)

/** The error classes of a table, each once. @category getters @since 0.1.0 */
export const classes = (table: StatusTable<unknown>): ReadonlyArray<ErrorClass> => {
  const rows = Object.values(table.rows as Readonly<Record<string, Row<ErrorAction.Actionable>>>)
  return Array.from(new Set(rows.map((each) => each.error)))
}
