/**
 * What can go wrong with an HTTP call beside the statuses: no response, or one that cannot be read.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as ErrorAction from "../policy/ErrorAction.ts"

const lost = ErrorAction.make("retry", { outage: true })

/**
 * No response: the connection could not be made (`connect`), was lost (`reset`), or the host has no address (`dns`).
 *
 * **Details**
 *
 * `outcome` is `unprocessed` where the request was provably not sent, so that also a request that must not be repeated is
 * retried.
 *
 * @category errors
 * @since 0.1.0
 */
export class NetworkError extends Schema.TaggedError<NetworkError>()("NetworkError", {
  integration: Schema.String,
  method: Schema.String,
  path: Schema.String,
  requestId: Schema.String,
  kind: Schema.Literals(["connect", "reset", "dns"]),
  /** The system's code, for example ECONNREFUSED. */
  code: Schema.String,
  outcome: Schema.Literals(["unprocessed", "unknown", "processed"])
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return lost
  }
  override get message(): string {
    const what = { connect: "could not connect", reset: "lost the connection", dns: "found no address" }[this.kind]
    const state = this.outcome === "unprocessed" ? "nothing was sent" : "the request may have been processed"
    return `${this.method} ${this.path} ${what}: ${this.code}; ${state} (request ${this.requestId})`
  }
}

const actions = {
  request: ErrorAction.make("fail", { circuit: "ignored", guidance: "fix the request" }),
  response: ErrorAction.make("fail", {
    circuit: "failure",
    guidance: "processed but unreadable: ask the provider, never retry blindly"
  })
}

/**
 * What was to be sent (`request`) or was received (`response`) is not what the contract says. `field` names where.
 *
 * **Gotchas**
 *
 * A response that cannot be read was processed by the provider. It is never retried.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProtocolError extends Schema.TaggedError<ProtocolError>()("ProtocolError", {
  integration: Schema.String,
  method: Schema.String,
  path: Schema.String,
  requestId: Schema.optionalKey(Schema.String),
  side: Schema.Literals(["request", "response"]),
  status: Schema.optionalKey(Schema.Int),
  /** Where it is wrong: a path such as `body.amount`, or `content-type`. */
  field: Schema.String,
  /** What is wrong, without the values that were sent. */
  description: Schema.String
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return actions[this.side]
  }
  get outcome(): ErrorAction.Outcome {
    return this.side === "request" ? "unprocessed" : "processed"
  }
  override get message(): string {
    const what = this.side === "request" ? "the request" : `the response (${this.status})`
    const id = this.requestId === undefined ? "" : ` (request ${this.requestId})`
    return `${this.method} ${this.path}: ${what} does not fit the contract at ${this.field}: ${this.description}${id}`
  }
}
