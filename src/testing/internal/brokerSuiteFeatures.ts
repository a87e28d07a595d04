import type * as Duration from "effect/Duration"
import type * as Layer from "effect/Layer"
import type { Broker } from "../../event/Broker.ts"
import type { Headers } from "../../event/Message.ts"

/**
 * What a backend promises, as data. What it does not promise is not tested.
 *
 * @category models
 * @since 0.1.0
 */
export interface Features {
  /** `test`: the backend runs on the `TestClock`, which the suite moves. `real`: time passes by itself. */
  readonly time: "test" | "real"
  /** Whether a retry can wait. */
  readonly delays: boolean
  /** Whether a channel can have several partitions, and messages of one key keep their order over processes. */
  readonly partitions: boolean
  /** Whether what a process has published outlives it. Tested where `otherProcess` is given. */
  readonly persistent: boolean
  /** Whether headers keep their types, or are texts only. */
  readonly headerTypes: "all" | "text"
  /**
   * Whether `retention.maxMessages` is kept: `exact`, or `approximate` where a broker takes a few more before it refuses.
   */
  readonly maxMessages: "exact" | "approximate" | "none"
  /**
   * Where a message goes that was given back: to its old `place`; or to the `front`, before what was never given out and
   * behind what was given back earlier (quorum queues of RabbitMQ).
   */
  readonly givenBack: "place" | "front"
  /** Whether messages, and dead letters, are kept no longer than the channel says. */
  readonly maxAge: boolean
  /** Properties that this broker carries, with an example of each. Default: none. */
  readonly properties?: Headers
  /**
   * A second handle on the same server, as another process has one; it is built anew for each use. Default: none, and the
   * broker stands in for the other process where that is possible.
   */
  readonly otherProcess?: Layer.Layer<Broker, unknown>
  /** How many messages the largest test sends. Default: 3000. */
  readonly messages?: number
  /** How long to wait, in real time, for what must come. Default: 15 seconds. */
  readonly patience?: Duration.Input
}
