/**
 * What can go wrong between a program and its broker.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as ErrorAction from "../policy/ErrorAction.ts"

const down = ErrorAction.make("retry", { circuit: "ignored", outage: true, guidance: "wait until the broker is back" })
const misconfigured = ErrorAction.make("fail", {
  circuit: "ignored",
  notify: "alert",
  guidance: "migrate the queue, or correct the design"
})
const unroutable = ErrorAction.make("fail", {
  circuit: "ignored",
  notify: "alert",
  guidance: "declare the consumers of the channel, or start them first"
})

/**
 * The broker cannot be reached, or closed what the operation needed.
 *
 * @category errors
 * @since 0.1.0
 */
export class BrokerUnavailable extends Schema.TaggedError<BrokerUnavailable>()("BrokerUnavailable", {
  operation: Schema.String,
  /** Without credentials. */
  description: Schema.String
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return down
  }
  override get message(): string {
    return `the broker is not available for ${this.operation}: ${this.description}`
  }
}

/**
 * A queue or exchange is there with other arguments than the design's, or is missing where others should have declared
 * it.
 *
 * @category errors
 * @since 0.1.0
 */
export class TopologyMismatch extends Schema.TaggedError<TopologyMismatch>()("TopologyMismatch", {
  entity: Schema.Literals(["queue", "exchange"]),
  name: Schema.String,
  /** The argument that differs, for example `x-message-ttl`; `existence` where it is missing. */
  argument: Schema.String,
  description: Schema.String
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return misconfigured
  }
  override get message(): string {
    return `the ${this.entity} ${this.name} is not as designed (${this.argument}): ${this.description}`
  }
}

/** @category errors @since 0.1.0 */
export const BrokerError = Schema.Union([BrokerUnavailable, TopologyMismatch])
/** @category errors @since 0.1.0 */
export type BrokerError = typeof BrokerError.Type

/**
 * A message was not, or perhaps not, published.
 *
 * **Details**
 *
 * - `refused`: the broker said no (a full queue, for example); it has not got the message.
 * - `unroutable`: no queue wants it. Nobody has got it.
 * - `unknown`: it was sent, and the answer did not come in time. It may have been published.
 * - `unavailable`: it was not sent: no connection in time, or the broker blocks publishers.
 * - `topology`: the channel is there with other arguments than the design's.
 *
 * @category errors
 * @since 0.1.0
 */
export class PublishError extends Schema.TaggedError<PublishError>()("PublishError", {
  reason: Schema.Literals(["refused", "unroutable", "unknown", "unavailable", "topology"]),
  channel: Schema.String,
  messageId: Schema.optionalKey(Schema.String),
  description: Schema.String
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return this.reason === "unroutable" ? unroutable : this.reason === "topology" ? misconfigured : down
  }
  get outcome(): ErrorAction.Outcome {
    return this.reason === "unknown" ? "unknown" : "unprocessed"
  }
  override get message(): string {
    const which = this.messageId === undefined ? "a message" : `message ${this.messageId}`
    return `${which} to ${this.channel}: ${this.reason}: ${this.description}`
  }
}
