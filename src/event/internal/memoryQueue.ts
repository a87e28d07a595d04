import type { Message } from "../Message.ts"

/** A message in a queue. Its place is its turn, which it keeps when it is given back. */
export interface Entry {
  readonly message: Message
  readonly turn: number
  /** Monotonic milliseconds after which it is too old. */
  readonly expiresAt: number
  readonly redeliveries: number
}

/** Somebody who takes entries, as long as there is room. */
export interface Taker {
  readonly hasRoom: (queue: MemoryQueue) => boolean
  readonly take: (queue: MemoryQueue, entry: Entry) => void
}

/** How many taken entries are kept before the array is cut. */
const slack = 1024

/**
 * One queue of one group. Entries go to takers in turn; where only one taker may be active, all go to the first.
 */
export class MemoryQueue {
  #entries: Array<Entry> = []
  #head = 0
  #turns = 0
  readonly #takers: Array<Taker> = []
  readonly #single: boolean
  readonly #expired: (message: Message) => void
  constructor(single: boolean, expired: (message: Message) => void) {
    this.#single = single
    this.#expired = expired
  }
  get size(): number {
    return this.#entries.length - this.#head
  }
  add(message: Message, expiresAt: number, now: number): void {
    this.#entries.push({ message, turn: this.#turns++, expiresAt, redeliveries: 0 })
    this.dispatch(now)
  }
  /** To its old place: behind what has an earlier turn. What nobody has seen does not count as redelivered. */
  giveBack(entry: Entry, seen = true): void {
    let place = this.#head
    while (place < this.#entries.length && this.#entries[place]!.turn < entry.turn) place++
    this.#entries.splice(place, 0, { ...entry, redeliveries: entry.redeliveries + (seen ? 1 : 0) })
  }
  join(taker: Taker): void {
    this.#takers.push(taker)
  }
  leave(taker: Taker): void {
    const place = this.#takers.indexOf(taker)
    if (place >= 0) this.#takers.splice(place, 1)
  }
  dispatch(now: number): void {
    this.expire(now)
    while (this.size > 0) {
      const taker = this.#next()
      if (taker === undefined) return
      const entry = this.#entries[this.#head++]!
      if (this.#head > slack && this.#head * 2 > this.#entries.length) {
        this.#entries = this.#entries.slice(this.#head)
        this.#head = 0
      }
      taker.take(this, entry)
    }
  }
  /** The oldest are first, so the first that is young enough ends the search. */
  expire(now: number): void {
    while (this.size > 0 && this.#entries[this.#head]!.expiresAt <= now) {
      this.#expired(this.#entries[this.#head++]!.message)
    }
  }
  #next(): Taker | undefined {
    if (this.#single) return this.#takers[0]?.hasRoom(this) === true ? this.#takers[0] : undefined
    for (let tried = 0; tried < this.#takers.length; tried++) {
      const taker = this.#takers.shift()!
      this.#takers.push(taker)
      if (taker.hasRoom(this)) return taker
    }
    return undefined
  }
}
