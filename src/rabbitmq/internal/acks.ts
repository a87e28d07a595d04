import type * as amqp from "amqplib/callback_api"

const outstanding = 0
const acked = 1
const over = 2

const compactAt = 1024

/** What amqplib reads of a message to settle it. */
const of = (deliveryTag: number): amqp.Message => ({ fields: { deliveryTag } }) as amqp.Message

/**
 * The deliveries of one channel that are not settled.
 *
 * Acks are gathered until the running task ends, and then told to the broker as one, up to the tag below which all are
 * settled; one by one above it. A tag that is told as `multiple` is itself still open at the broker, and what was given
 * back below it was given back on the wire before.
 */
export class Acks {
  readonly #channel: amqp.Channel
  #states: Array<number> = []
  #head = 0
  /** The tag of the first state. */
  #base = 1
  #gathered: Array<number> = []
  #whenIdle: Array<() => void> = []
  /** Called once, when the last that is open is settled, and before the broker is told. */
  beforeIdle: (() => void) | undefined
  /** How many are neither settled nor given back. */
  open = 0
  constructor(channel: amqp.Channel) {
    this.#channel = channel
  }
  delivered(tag: number): void {
    if (this.#states.length === 0) this.#base = tag
    this.#states.push(outstanding)
    this.open++
  }
  /** To be asked only while the channel is open. */
  ack(tag: number): void {
    this.#last()
    this.#states[tag - this.#base] = acked
    if (this.#gathered.push(tag) === 1) queueMicrotask(() => this.flush())
    this.#left()
  }
  giveBack(tag: number): void {
    this.#last()
    this.#states[tag - this.#base] = over
    this.#channel.nack(of(tag), false, true)
    this.#left()
  }
  /** One that came, and will not be settled before the channel ends. */
  kept(tag: number): void {
    this.delivered(tag)
    this.open--
  }
  /** One that was to be settled will not be either. */
  keep(): void {
    this.#left()
  }
  flush(): void {
    const gathered = this.#gathered
    if (gathered.length === 0) return
    this.#gathered = []
    const upTo = this.#advance()
    if (upTo > 0) this.#channel.ack(of(upTo), true)
    for (const tag of gathered) {
      if (tag <= upTo) continue
      this.#states[tag - this.#base] = over
      this.#channel.ack(of(tag), false)
    }
    this.#compact()
  }
  /** Calls when all are settled; at once where they are. */
  whenIdle(tell: () => void): void {
    if (this.open === 0) tell()
    else this.#whenIdle.push(tell)
  }
  /** The channel is gone: nothing more can be told. */
  abandon(): void {
    this.#gathered = []
    this.open = 0
    this.#tell()
  }
  #last(): void {
    const tell = this.beforeIdle
    if (this.open > 1 || tell === undefined) return
    this.beforeIdle = undefined
    tell()
  }
  #left(): void {
    if (--this.open === 0) this.#tell()
  }
  #tell(): void {
    for (const tell of this.#whenIdle.splice(0)) tell()
  }
  /** The last acked tag below the first that is outstanding, 0 where there is none. */
  #advance(): number {
    let last = 0
    for (; this.#head < this.#states.length; this.#head++) {
      const state = this.#states[this.#head]
      if (state === outstanding) break
      if (state === acked) last = this.#base + this.#head
    }
    return last
  }
  #compact(): void {
    if (this.#head === this.#states.length) this.#states = []
    else if (this.#head < compactAt || this.#head * 2 < this.#states.length) return
    else this.#states = this.#states.slice(this.#head)
    this.#base += this.#head
    this.#head = 0
  }
}
