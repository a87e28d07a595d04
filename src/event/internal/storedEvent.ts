import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as ErrorAction from "../../policy/ErrorAction.ts"

const down = ErrorAction.make("retry", { circuit: "ignored", outage: true, guidance: "wait until the store is back" })
const full = ErrorAction.make("retry", {
  circuit: "ignored",
  outage: true,
  guidance: "see why no relay publishes, and retry or discard what was set aside"
})

/**
 * The store did not do what it was asked.
 *
 * **Details**
 *
 * - `full`: as many events wait, or are set aside, as there may be. Nothing was stored.
 * - `unavailable`: the store could not be asked, did not answer, or refused, as after a deadlock. An event that was to be
 *   stored in a transaction is not, since that transaction cannot commit; outside of one it is not known.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutboxError extends Schema.TaggedError<OutboxError>()("OutboxError", {
  reason: Schema.Literals(["full", "unavailable"]),
  operation: Schema.String,
  /** Without credentials, and without what was stored. */
  description: Schema.String
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return this.reason === "full" ? full : down
  }
  /** No handler is to blame: whatever is not known of the store, the message keeps its attempts. */
  get outcome(): ErrorAction.Outcome {
    return "unprocessed"
  }
  override get message(): string {
    return `the outbox could not ${this.operation}: ${this.description}`
  }
}

/**
 * An event to be published.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly channel: string
  /** On a channel of strict order. */
  readonly key: string | undefined
  readonly source: string
  readonly id: string
  readonly type: string
  /** The event in the JSON format of CloudEvents, its data as it travels. */
  readonly event: string
}

/**
 * The right to publish the events of a channel whose keys fall into a bucket. Each lease has a higher token than the one
 * before; whoever lost it reads no more events.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lease {
  readonly channel: string
  readonly bucket: number
  readonly token: number
}

/**
 * A stored event in the hands of a relay.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pending extends Entry, Lease {
  /** Rises in the order of commits among the events of a key. Between keys it means nothing. */
  readonly position: number
  /** How often it has failed. Attempts that an outage ended are not counted. */
  readonly attempts: number
}

/**
 * An event that could not be published, and waits to be tried again or discarded.
 *
 * **Details**
 *
 * `reason` is `invalid` (it cannot be read, or the codec will not write it), `unroutable` (nobody consumes the channel),
 * `refused` (the broker will not have it, while it takes others) or `defect` (the codec or the broker's client died of it).
 *
 * @category models
 * @since 0.1.0
 */
export interface SetAside extends Entry {
  readonly position: number
  readonly reason: Reason
  /** Tag and message of the last error. */
  readonly error: string
  readonly attempts: number
  readonly firstFailedAt: DateTime.Utc
  readonly setAsideAt: DateTime.Utc
  /** Whether later events of its key wait for it. */
  readonly halts: boolean
}

/** @category models @since 0.1.0 */
export type Reason = "invalid" | "unroutable" | "refused" | "defect"

/**
 * How much of a channel is stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface Depth {
  readonly channel: string
  readonly pending: number
  /** How long the oldest pending event waits. `None` where there is none. */
  readonly oldest: Option.Option<Duration.Duration>
  readonly setAside: number
  /** Relays of all processes that publish the channel: 0 where its events wait for nobody. */
  readonly relays: number
}

/** In how many parts the keys of a channel are shared by its relays. @category constants @since 0.1.0 */
export const buckets = 64

/**
 * The bucket of a key, for stores; of the id where there is no key. It is stored with the event, and the same in all
 * processes: FNV-1a (32 bits) of the UTF-8 bytes, modulo `buckets`.
 *
 * @category getters
 * @since 0.1.0
 */
export const bucketOf = ({ id, key }: Pick<Entry, "id" | "key">): number => {
  let hash = 0x811c9dc5
  for (const byte of utf8.encode(key ?? id)) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0) % buckets
}
const utf8 = new TextEncoder()

/** How many buckets each of so many relays may hold. @category getters @since 0.1.0 */
export const share = (relays: number): number => Math.ceil(buckets / Math.max(1, relays))
