import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import { AuthenticationFailed } from "../../http/Authentication.ts"
import { NetworkError, ProtocolError } from "../../http/CallError.ts"
import type * as HttpPolicy from "../../http/HttpPolicy.ts"
import { BulkheadFull } from "../../policy/Bulkhead.ts"
import { CircuitOpen } from "../../policy/CircuitBreaker.ts"
import type * as ErrorAction from "../../policy/ErrorAction.ts"
import { QuotaExhausted, RateLimitExceeded } from "../../policy/RateLimit.ts"
import { Timeout } from "../../policy/Timeouts.ts"
import * as Blocks from "./blocks.ts"
import * as Rows from "./statusRows.ts"

const { code, heading, note, table } = Blocks

/** The error table, and what can go wrong without a status. */
export const errors = (contract: HttpPolicy.Any): ReadonlyArray<Blocks.Block> => {
  const rows = Rows.statusRows(contract)
  const gateway = rows.some(({ status }) => /\b502\/503\/504\b/.test(status))
  return [
    heading(4, "Error Handling"),
    table(
      ["HTTP Status", "Error Code", "Consumer Action", "Error", "Circuit", "Event in hand"],
      rows.map(({ action, circuit, code: name, error, event, status }) => [
        [code(status)],
        [code(name)],
        action,
        [code(error)],
        circuit,
        event
      ])
    ),
    ...(gateway
      ? [
          note(
            "504 has the row of 502 and 503: a gateway that got no answer in time says the same about the provider as one that got none."
          )
        ]
      : []),
    Blocks.lines([Blocks.strong("Without a status:")]),
    table(
      ["Error", "When", "Consumer Action", "Circuit", "Event in hand"],
      others(contract).map(({ action, ends = false, name, outcome = "unknown", when }) => [
        [code(name)],
        when,
        ends
          ? `The call ends; ${action.guidance}; log ${action.log}`
          : Rows.consumerAction(contract, { action, outcome, retryAfter: false }),
        action.circuit,
        Rows.eventAction(action)
      ])
    )
  ]
}

interface Other {
  readonly name: string
  readonly when: string
  readonly action: ErrorAction.ErrorAction
  readonly outcome?: ErrorAction.Outcome
  /** Whether the policy itself says it, so that no attempt follows whatever the action allows the layer above. */
  readonly ends?: boolean
}

const integration = "document"
const site = { integration, method: "GET", path: "/", requestId: "" }
const zero = Duration.zero
const timeout = (kind: Timeout["kind"]) =>
  new Timeout({ integration, kind, limit: zero, outcome: "unknown" }).errorAction

/** The errors of the policies that the contract has; each says its action itself. */
const others = (contract: HttpPolicy.Any): ReadonlyArray<Other> => [
  {
    name: "NetworkError",
    when: "no connection, a lost one, or no address",
    action: new NetworkError({ ...site, kind: "reset", code: "", outcome: "unknown" }).errorAction
  },
  { name: "Timeout", when: "connect, read or attempt timeout", action: timeout("attempt") },
  { name: "Timeout (total)", when: "the time budget is spent", action: timeout("total"), ends: true },
  {
    name: "ProtocolError",
    when: "a successful response that the contract does not allow",
    action: new ProtocolError({ ...site, side: "response", field: "", description: "" }).errorAction
  },
  {
    name: "RateLimitExceeded",
    when: "no room within the time budget: nothing was sent",
    action: new RateLimitExceeded({ integration, limit: "provider", retryAfter: zero }).errorAction,
    ends: true
  },
  ...(contract.rateLimit?.perDay === undefined ? [] : [quotaExhausted]),
  ...(contract.breaker === undefined ? [] : [circuitOpen]),
  ...(contract.bulkhead === undefined ? [] : [bulkheadFull]),
  ...(contract.authentication?.kind === "clientCredentials"
    ? [withoutToken("unavailable"), withoutToken("refused"), withoutToken("malformed")]
    : [])
]

const resetsAt = DateTime.makeUnsafe(0)
const quotaExhausted: Other = {
  name: "QuotaExhausted",
  when: "the daily quota is used up: nothing was sent",
  action: new QuotaExhausted({ integration, limit: 1, resetsAt, retryAfter: zero }).errorAction,
  ends: true
}
const circuitOpen: Other = {
  name: "CircuitOpen",
  when: "the circuit is open",
  action: new CircuitOpen({ integration, reason: "failures" }).errorAction,
  ends: true
}
const bulkheadFull: Other = {
  name: "BulkheadFull",
  when: "as many calls as allowed are under way: nothing was sent",
  action: new BulkheadFull({ integration, maxConcurrent: 1, maxQueue: 0 }).errorAction,
  ends: true
}
const withoutToken = (reason: AuthenticationFailed["reason"]): Other => ({
  name: `AuthenticationFailed (${reason})`,
  when: "no token could be had: nothing was sent",
  action: new AuthenticationFailed({ integration, reason, description: "" }).errorAction,
  outcome: "unprocessed"
})
