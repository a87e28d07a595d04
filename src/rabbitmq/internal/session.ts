import type * as amqp from "amqplib/callback_api"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Broker from "../../event/Broker.ts"
import type { Message } from "../../event/Message.ts"
import * as Immediate from "../../internal/immediate.ts"
import { Acks } from "./acks.ts"
import type * as link from "./link.ts"
import { decode, redeliveriesOf } from "./wire.ts"

/** What a session needs of its subscription. */
export interface Host {
  /** Names of the group's queues begin so. */
  readonly base: string
  readonly prefetch: number
  /** Whether it begins with one message at a time. */
  readonly probation: boolean
  readonly deliver: (delivery: Delivered) => void
  /** Moves a message to a delay queue or to the dead letters; whether it is there. */
  readonly move: (
    partition: number,
    message: Message,
    settlement: Exclude<Broker.Settlement, { readonly _tag: "Ack" | "Requeue" }>
  ) => Effect.Effect<boolean>
  readonly ended: (session: Session, problem: string) => void
}

/** One consumer of one queue on one channel. What it brought is settled on this channel or not at all. */
export class Session {
  readonly host: Host
  readonly partition: number
  readonly queue: string
  readonly channel: amqp.Channel
  readonly acks: Acks
  open = true
  /** Gives out no more. */
  closing = false
  /** Does not give back before the channel is closed. */
  keeping = false
  /** How many messages came. */
  arrivals = 0
  /** Done when a message came that was never given out before: what was redelivered was before it. */
  readonly cleared = Deferred.makeUnsafe<void>()
  #tag: string | undefined
  #onProbation: boolean
  constructor(host: Host, partition: number, queue: string, channel: amqp.Channel) {
    this.host = host
    this.partition = partition
    this.queue = queue
    this.channel = channel
    this.acks = new Acks(channel)
    this.#onProbation = host.probation
  }

  /** Begins with one message at a time, where more are allowed. */
  start(done: (error: Error | null) => void): void {
    this.#consume(this.#onProbation ? 1 : this.host.prefetch, done)
  }

  /** Told by the channel. */
  closed(failure: link.Failure | undefined): void {
    if (!this.open) return
    this.open = false
    this.acks.abandon()
    this.host.ended(this, failure?.text ?? "the connection was lost")
  }

  /**
   * No more messages are given out. Where their order counts, this consumer stays until it has settled what was given
   * out, since the next one would be given the successors; what still comes is given back with the channel.
   */
  stop(ordered: boolean): void {
    this.closing = true
    this.keeping = ordered
    if (!ordered) this.#cancel()
  }
  #cancel(): void {
    const tag = this.#tag
    if (this.open && tag !== undefined) this.channel.cancel(tag)
    this.#tag = undefined
  }

  #consume(prefetch: number, done: (error: Error | null) => void): void {
    this.channel.prefetch(prefetch, false, (error: Error | null) => {
      if (error !== null || !this.open || this.closing) return done(error)
      this.channel.consume(
        this.queue,
        (raw) => this.#arrived(raw),
        {},
        (error: Error | null, ok) => {
          if (error === null) this.#tag = ok.consumerTag
          if (error === null && this.closing) this.#cancel()
          done(error)
        }
      )
    })
  }

  #arrived(raw: amqp.ConsumeMessage | null): void {
    if (raw === null) return this.#cancelled()
    const { deliveryTag } = raw.fields
    this.arrivals++
    if (this.closing && this.keeping) return this.acks.kept(deliveryTag)
    this.acks.delivered(deliveryTag)
    if (this.closing) return this.acks.giveBack(deliveryTag)
    const delivery = new Delivered(this, deliveryTag, raw)
    this.host.deliver(delivery)
    if (this.#onProbation && delivery.redeliveries === 0) this.#promote()
  }

  /** The queue was deleted, or has moved: the broker says it once, and then there is silence. */
  #cancelled(): void {
    if (!this.open) return
    this.open = false
    this.acks.abandon()
    this.host.ended(this, `the broker cancelled the consumer of ${this.queue}`)
  }

  /**
   * The prefetch of a consumer cannot be changed: when its message is settled, it ends, and another begins. Until then it
   * stays, since only who has a consumer is told that the queue was deleted. The cancel goes before the settlement, so that
   * no message comes between.
   */
  #promote(): void {
    this.#onProbation = false
    Deferred.doneUnsafe(this.cleared, Effect.void)
    this.acks.beforeIdle = () => {
      const tag = this.#tag
      if (!this.open || this.closing || tag === undefined) return
      this.#tag = undefined
      this.channel.cancel(tag, () => this.acks.whenIdle(() => this.#goOn()))
    }
  }
  #goOn(): void {
    if (!this.open || this.closing) return
    this.acks.flush()
    this.#consume(this.host.prefetch, (error) => {
      if (error !== null) this.closed({ code: undefined, text: error.message })
    })
  }
}

/** A delivery. Its message is decoded when it is asked for. */
export class Delivered implements Broker.Delivery {
  readonly session: Session
  readonly tag: number
  readonly raw: amqp.ConsumeMessage
  #message: Message | undefined
  #claimed = false
  constructor(session: Session, tag: number, raw: amqp.ConsumeMessage) {
    this.session = session
    this.tag = tag
    this.raw = raw
  }
  get message(): Message {
    return (this.#message ??= decode(this.raw, this.session.host.base))
  }
  get redeliveries(): number {
    return redeliveriesOf(this.raw)
  }
  readonly isLive = (): boolean => !this.#claimed && this.session.open
  readonly settle = (settlement: Broker.Settlement): Effect.Effect<Broker.Settled> => {
    switch (settlement._tag) {
      case "Ack":
        return Immediate.sync(() => this.#finish(this.#claim(), true))
      case "Requeue":
        return Effect.sync(() => this.giveBack())
      default:
        return Effect.uninterruptible(
          Effect.suspend(() => {
            if (!this.#claim()) return Effect.succeed("late")
            return Effect.map(this.session.host.move(this.session.partition, this.message, settlement), (moved) => {
              const settled = this.#finish(true, moved)
              return settled === "done" && !moved ? "requeued" : settled
            })
          })
        )
    }
  }
  giveBack(): Broker.Settled {
    return this.#finish(this.#claim(), false)
  }
  /** Leaves it to the end of the channel. */
  keep(): void {
    if (this.#claim()) this.session.acks.keep()
  }
  #claim(): boolean {
    if (!this.isLive()) return false
    return (this.#claimed = true)
  }
  #finish(claimed: boolean, ack: boolean): Broker.Settled {
    const { acks, open } = this.session
    if (!claimed || !open) return "late"
    if (ack) acks.ack(this.tag)
    else acks.giveBack(this.tag)
    return "done"
  }
}
