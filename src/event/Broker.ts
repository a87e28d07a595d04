/**
 * What carries the messages of channels. `MemoryBroker` is the embedded one; RabbitMQ is in `effect-integration/rabbitmq`.
 *
 * **Details**
 *
 * - Each group of a channel gets each message; the consumers of one group share them. A message is delivered at least
 *   once.
 * - A delivery is settled once. One that belongs to a connection that is gone is settled by nobody: its late settlement
 *   does nothing, and the broker delivers the message again.
 * - The queues of `channel.consumers` are there as soon as something is published or consumed on the channel.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { BrokerError, PublishError } from "./BrokerError.ts"
import type * as Channel from "./Channel.ts"
import type { Binding } from "./Codec.ts"
import type { Headers, Message } from "./Message.ts"

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export class Broker extends Context.Service<
  Broker,
  {
    /** How attributes of CloudEvents are named in headers. */
    readonly binding: Binding
    /** What spans call it (`messaging.system`), for example `rabbitmq`. Default: the binding. */
    readonly system?: string
    /** Returns when the broker has taken responsibility for the message in the queue of each group. */
    readonly publish: (channel: Channel.Any, message: Message) => Effect.Effect<void, PublishError>
    /**
     * Deliveries for as long as the scope is open, never more than `prefetch` that are not settled. When the scope closes,
     * no more come, those that were given out have `drain` to be settled, and the rest goes back to the broker.
     */
    readonly subscribe: (subscription: Subscription) => Effect.Effect<Queue.Dequeue<Delivery>, BrokerError, Scope.Scope>
    readonly deadLetters: (group: Group) => DeadLetterQueue
    readonly depth: (group: Group) => Effect.Effect<Depth, BrokerError>
    readonly health: Effect.Effect<Health>
  }
>()("effect-integration/event/Broker") {}

/**
 * The consumers of a channel that share its messages.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group {
  readonly channel: Channel.Any
  readonly group: string
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Subscription extends Group {
  /** At least the number of partitions. */
  readonly prefetch: number
  /** The delays that retries will ask for, so that the broker can prepare them. Others are rounded up. */
  readonly delays: ReadonlyArray<Duration.Duration>
  readonly drain: Duration.Duration
}

/**
 * A message in the hands of a consumer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Delivery {
  readonly message: Message
  /**
   * How often the message was given out before and never settled, because its consumer died or gave it back. 0 at first;
   * a retry begins again at 0.
   */
  readonly redeliveries: number
  /** Whether settling it can still have an effect. */
  readonly isLive: () => boolean
  readonly settle: (settlement: Settlement) => Effect.Effect<Settled>
}

/**
 * What a consumer decides about a delivery.
 *
 * **Details**
 *
 * - `Ack`: done.
 * - `Requeue`: give it back as it is, to be delivered again soon, to its old place where the broker can.
 * - `Retry`: deliver it again to this group, not before `after`, with these headers added.
 * - `DeadLetter`: move it to the dead letters of this group, with these headers added.
 *
 * @category models
 * @since 0.1.0
 */
export type Settlement = Data.TaggedEnum<{
  Ack: {}
  Requeue: {}
  Retry: { readonly after: Duration.Duration; readonly headers: Headers }
  DeadLetter: { readonly headers: Headers }
}>
/** @category constructors @since 0.1.0 */
export const Settlement = Data.taggedEnum<Settlement>()

/**
 * What became of a settlement: `done`; `late` where the delivery was no longer the consumer's (or was settled before), so
 * nothing happened; `requeued` where the message could not be moved and went back to its queue instead.
 *
 * @category models
 * @since 0.1.0
 */
export type Settled = "done" | "late" | "requeued"

/**
 * The dead letters of a group, oldest first.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadLetterQueue {
  readonly add: (message: Message) => Effect.Effect<void, PublishError>
  /** Shows up to `limit` letters, each once, and does with each what the visitor says. Gives how many were shown. */
  readonly visit: <E, R>(
    visitor: (message: Message) => Effect.Effect<Verdict, E, R>,
    options: { readonly limit: number }
  ) => Effect.Effect<number, BrokerError | PublishError | E, R>
}

/**
 * What to do with a dead letter: keep it, remove it, or put a message (the original) into the queue of the group again.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = Data.TaggedEnum<{
  Keep: {}
  Remove: {}
  Replay: { readonly message: Message }
}>
/** @category constructors @since 0.1.0 */
export const Verdict = Data.taggedEnum<Verdict>()

/**
 * @category models
 * @since 0.1.0
 */
export interface Depth {
  /** Messages that wait to be delivered. */
  readonly ready: number
  /** Messages that wait for their delay to pass. */
  readonly delayed: number
  readonly deadLetters: number
  /** Consumers of all processes. */
  readonly consumers: number
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Health {
  readonly connected: boolean
  /** Why not, or what is wrong with a subscription. */
  readonly problem: string | undefined
  /** The subscriptions of this process: how many consumers (one per partition) are wanted, and how many are there. */
  readonly subscriptions: ReadonlyArray<{
    readonly channel: string
    readonly group: string
    readonly wanted: number
    readonly present: number
  }>
}
