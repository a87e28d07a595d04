/**
 * The delivery that a handler is at work on.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type { Message } from "./Message.ts"

/**
 * What a handler can know about the delivery in hand; its consumer provides it.
 *
 * @category services
 * @since 0.1.0
 */
export class CurrentDelivery extends Context.Service<
  CurrentDelivery,
  {
    readonly group: string
    /** Which attempt this is, from 1. Attempts that an outage ended are not counted. */
    readonly attempt: number
    /** How often the message was given out and not settled, because a consumer died. */
    readonly redeliveries: number
    /** The message as it was received. */
    readonly message: Message
    /** The key of an event of a strictly ordered channel. */
    readonly key: string | undefined
    /**
     * Rises each time that the key (strict ordering) or else the event (claimed dedup) gets another owner. A system that
     * refuses a token lower than one it has seen is safe from owners that were stalled and come back.
     */
    readonly fencingToken: number | undefined
  }
>()("effect-integration/event/CurrentDelivery") {}
