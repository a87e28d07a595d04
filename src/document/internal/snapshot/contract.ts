import * as Config from "effect/Config"
import * as Schema from "effect/Schema"
import * as HttpPolicy from "../../../http/HttpPolicy.ts"
import * as Idempotency from "../../../http/Idempotency.ts"
import type * as StatusTable from "../../../http/StatusTable.ts"
import type * as Integration from "../../../Integration.ts"
import * as ErrorAction from "../../../policy/ErrorAction.ts"
import type * as Timeouts from "../../../policy/Timeouts.ts"
import { Endpoint, endpointsOf } from "./schemas.ts"
import { given, Millis, millis, millisOf, Retry, retryOf } from "./times.ts"

const optional = Schema.optionalKey

export const Contract = Schema.Struct({
  /** Its place among the contracts, from 1: the number of its section. */
  position: Schema.Int,
  direction: optional(Schema.Struct({ from: Schema.String, to: Schema.String })),
  baseUrl: optional(Schema.String),
  tokenEndpoint: optional(Schema.String),
  rotation: optional(Schema.Struct({ everyMillis: Millis, process: Schema.String })),
  callers: optional(Schema.Array(Schema.String)),
  callerBudgetMillis: optional(Millis),
  keyRetentionMillis: optional(Millis),
  /** The headers of the idempotency key; empty where the contract is not idempotent. */
  idempotencyHeaders: Schema.Array(Schema.String),
  authentication: Schema.NullOr(
    Schema.Struct({
      kind: Schema.String,
      header: Schema.String,
      refreshable: Schema.Boolean,
      details: Schema.Record(Schema.String, Schema.String)
    })
  ),
  retry: Schema.NullOr(Retry),
  breaker: Schema.NullOr(
    Schema.Struct({
      failurePercent: Schema.Finite,
      windowMillis: Millis,
      openForMillis: Millis,
      minimumCalls: Schema.Int,
      probeTimeoutMillis: Millis,
      alertAfterMillis: optional(Millis)
    })
  ),
  circuitPerKey: Schema.Boolean,
  rateLimit: Schema.Struct({
    perMinute: optional(Schema.Int),
    burst: optional(Schema.Int),
    perDay: optional(Schema.Int)
  }),
  bulkhead: Schema.NullOr(Schema.Struct({ maxConcurrent: Schema.Int, maxQueue: Schema.Int })),
  timeouts: Schema.Struct({
    connectMillis: optional(Millis),
    readMillis: optional(Millis),
    attemptMillis: optional(Millis),
    totalMillis: optional(Millis)
  }),
  sourceSystem: optional(Schema.String),
  personalData: Schema.Array(Schema.String),
  rows: Schema.Record(
    Schema.String,
    Schema.Struct({
      error: Schema.String,
      code: Schema.String,
      outcome: Schema.String,
      problemType: optional(Schema.String),
      retryAfter: Schema.Boolean,
      action: ErrorAction.ErrorAction
    })
  ),
  endpoints: Schema.Record(Schema.String, Endpoint)
})

export const contractOf = (each: Integration.Contract, at: number): typeof Contract.Type => {
  const { contract: options } = each.contract
  const { authentication, breaker, bulkhead, idempotent = false, rateLimit } = options
  const { attempt, connect, read, total }: Timeouts.Timeouts = options.timeouts ?? HttpPolicy.defaultTimeouts
  return given({
    position: at + 1,
    direction: each.direction,
    baseUrl: plainUrl(each.baseUrl) ?? baseUrlOf(options.baseUrl),
    tokenEndpoint: plainUrl(each.tokenEndpoint),
    rotation:
      each.rotation === undefined
        ? undefined
        : { everyMillis: millisOf(each.rotation.every), process: each.rotation.process },
    callers: each.callers,
    callerBudgetMillis: millis(each.callerBudget),
    keyRetentionMillis: millis(each.keyRetention),
    idempotencyHeaders:
      typeof idempotent === "object" ? idempotent.headers : idempotent ? Idempotency.defaultHeaders : [],
    authentication:
      authentication === undefined
        ? null
        : {
            kind: authentication.kind,
            header: authentication.header,
            refreshable: authentication.refreshable,
            details: authentication.details
          },
    retry: retryOf(options.retry),
    breaker:
      breaker === undefined
        ? null
        : given({
            failurePercent: breaker.failurePercent,
            windowMillis: millisOf(breaker.window),
            openForMillis: millisOf(breaker.openFor),
            minimumCalls: breaker.minimumCalls ?? 10,
            probeTimeoutMillis: millisOf(breaker.probeTimeout ?? "30 seconds"),
            alertAfterMillis: millis(breaker.alertAfter)
          }),
    circuitPerKey: options.circuitKey !== undefined,
    rateLimit: given({ perMinute: rateLimit?.perMinute, burst: rateLimit?.burst, perDay: rateLimit?.perDay }),
    bulkhead:
      bulkhead === undefined ? null : { maxConcurrent: bulkhead.maxConcurrent, maxQueue: bulkhead.maxQueue ?? 0 },
    timeouts: given({
      connectMillis: millis(connect),
      readMillis: millis(read),
      attemptMillis: millis(attempt),
      totalMillis: millis(total)
    }),
    sourceSystem: options.sourceSystem,
    personalData: options.personalData ?? [],
    rows: Object.fromEntries(
      Object.entries(options.errors.rows as Readonly<Record<string, StatusTable.Row<unknown>>>).map(([key, row]) => [
        key,
        given({
          error: row.error.name,
          code: row.code,
          outcome: row.outcome,
          problemType: row.problemType,
          retryAfter: row.retryAfter,
          action: row.action
        })
      ])
    ),
    endpoints: endpointsOf(options.api)
  })
}

/** What the configuration says is not known here. */
const baseUrlOf = (baseUrl: Config.Config<URL> | URL | string): string | undefined =>
  Config.isConfig(baseUrl) ? undefined : plainUrl(String(baseUrl))

/** A URL without its user and its query, which may hold a secret. */
const plainUrl = (text: string | undefined): string | undefined => {
  if (text === undefined || !URL.canParse(text)) return text?.replace(/[?#].*$/s, "")
  const { host, pathname, protocol } = new URL(text)
  return `${protocol}//${host}${pathname}`
}
