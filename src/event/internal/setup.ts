import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Alarm } from "../../internal/alarm.ts"
import type * as RetryPolicy from "../../policy/RetryPolicy.ts"
import type * as Telemetry from "../../Telemetry.ts"
import type * as Broker from "../Broker.ts"
import type * as Channel from "../Channel.ts"
import type { CloudEvent } from "../CloudEvent.ts"
import type * as DedupStore from "../DedupStore.ts"
import type { Message } from "../Message.ts"
import type * as Parking from "../Parking.ts"
import type { Gate } from "./gate.ts"
import type { History } from "./history.ts"
import type { Reading } from "./reader.ts"

/** What a consumer was made of, with all that its layer was given. */
export interface Setup {
  readonly name: string
  readonly channel: Channel.Any
  readonly handlers: Readonly<
    Record<string, ((event: CloudEvent<string, any>) => Effect.Effect<unknown, unknown, any>) | undefined>
  >
  readonly retry: RetryPolicy.RetryPolicy | undefined
  readonly dedup: { readonly window: Duration.Duration; readonly mode: "claimed" | "transactional" } | undefined
  readonly lease: Duration.Duration
  readonly leaseMillis: number
  readonly timeoutMillis: number
  readonly timeout: Duration.Duration
  readonly heldMillis: number
  readonly maxRedeliveries: number
  readonly broker: Broker.Broker["Service"]
  readonly store: DedupStore.DedupStore["Service"] | undefined
  readonly parking: Parking.Parking["Service"] | undefined
  /** What it needs is in the context, with which all of the consumer runs. */
  readonly read: (message: Message) => Effect.Effect<Reading>
  readonly context: Context.Context<any>
  /** Runs with the context. */
  readonly fork: <A, E>(effect: Effect.Effect<A, E, any>, options?: Effect.RunOptions) => Fiber.Fiber<A, E>
  readonly alarm: Alarm
  readonly recorder: Telemetry.Recorder
  /** What the numbers of synthetic events are recorded with, and so left out. */
  readonly synthetic: Context.Context<any>
  /** Deliveries of synthetic events. */
  readonly unrecorded: WeakSet<Broker.Delivery>
  /** Deliveries that are not settled, in the order in which they came. */
  readonly inHand: Set<Broker.Delivery>
  /** Whether there is another tracer than the default, which keeps nothing. */
  readonly traced: boolean
}

/** What belongs to one subscription: it ends when the consumer is paused or stopped. */
export interface Session {
  readonly gate: Gate
  /** What is being handled, to be interrupted when there is no time left. */
  readonly handling: Set<Handling>
}

/** A handler at work. */
export interface Handling {
  /** Ends it: it ran out of time, or the right to handle the message was lost. */
  readonly stop: (why: "timeout" | "lost") => void
}

/** A message with its event, on its way through a consumer. */
export interface Work {
  readonly message: Message
  readonly event: CloudEvent<string, any>
  readonly key: string | undefined
  readonly history: History
  readonly redeliveries: number
  readonly isLive: () => boolean
}
