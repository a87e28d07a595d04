/** The most events whose times are kept one by one: 16 KiB. */
const longestLog = 2048
const steps = 1024

/**
 * Admits at most `limit` events in any stretch of `millis`, however the stretch is laid.
 *
 * Up to a limit of 2,048 the time of every event is kept, and the answer is exact. Above, events are counted in steps of
 * 1/1,024 of the window, and a step counts until all of it has left the window: the answer errs on the safe side.
 */
export interface SlidingWindow {
  readonly limit: number
  readonly millis: number
  /** The time, not before `now`, at which one more event fits after `ahead` others that are waiting. */
  readonly earliest: (now: number, ahead?: number) => number
  /** Whether one more event fits now. */
  readonly fits: (now: number) => boolean
  readonly record: (now: number) => void
  /** Events in the window that ends now. */
  readonly count: (now: number) => number
}

export const make = (limit: number, millis: number): SlidingWindow =>
  limit <= longestLog ? new Log(limit, millis) : new Steps(limit, millis)

class Log implements SlidingWindow {
  readonly limit: number
  readonly millis: number
  #times: Float64Array
  #next = 0
  #size = 0
  constructor(limit: number, millis: number) {
    this.limit = limit
    this.millis = millis
    this.#times = new Float64Array(Math.min(limit, 16))
  }
  /** Time of the event that must have left the window before the one after `ahead` others may go. */
  earliest(now: number, ahead = 0): number {
    const rounds = Math.floor(ahead / this.limit)
    const before = this.#size + (ahead % this.limit) - this.limit
    const first = before < 0 ? now : Math.max(now, this.#at(before) + this.millis)
    return first + rounds * this.millis
  }
  fits(now: number): boolean {
    return this.#size < this.limit || this.#at(0) + this.millis <= now
  }
  #at(index: number): number {
    const capacity = this.#times.length
    return this.#times[(this.#next - this.#size + index + capacity) % capacity]!
  }
  record(now: number): void {
    const capacity = this.#times.length
    if (this.#size === capacity && capacity < this.limit) {
      const larger = new Float64Array(Math.min(this.limit, capacity * 2))
      for (let index = 0; index < this.#size; index++) larger[index] = this.#at(index)
      this.#times = larger
      this.#next = this.#size
    }
    this.#times[this.#next] = now
    this.#next = (this.#next + 1) % this.#times.length
    if (this.#size < this.#times.length) this.#size++
  }
  count(now: number): number {
    let first = 0
    let last = this.#size
    while (first < last) {
      const middle = (first + last) >> 1
      if (this.#at(middle) + this.millis <= now) first = middle + 1
      else last = middle
    }
    return this.#size - first
  }
}

class Steps implements SlidingWindow {
  readonly limit: number
  readonly millis: number
  readonly #step: number
  /** Events per step, a ring of one more than the window has, since the window can begin inside a step. */
  readonly #counts = new Uint32Array(steps + 1)
  #slot = 0
  #total = 0
  #started = false
  constructor(limit: number, millis: number) {
    this.limit = limit
    this.millis = millis
    this.#step = millis / steps
  }
  #advance(now: number): void {
    const slot = Math.floor(now / this.#step)
    if (!this.#started || slot - this.#slot > steps) {
      this.#counts.fill(0)
      this.#total = 0
      this.#started = true
      this.#slot = slot
    }
    while (this.#slot < slot) {
      this.#slot++
      const index = this.#slot % (steps + 1)
      this.#total -= this.#counts[index]!
      this.#counts[index] = 0
    }
  }
  fits(now: number): boolean {
    this.#advance(now)
    return this.#total < this.limit
  }
  earliest(now: number, ahead = 0): number {
    this.#advance(now)
    const rounds = Math.floor(ahead / this.limit)
    let over = this.#total + (ahead % this.limit) + 1 - this.limit
    if (over <= 0) return now + rounds * this.millis
    for (let slot = this.#slot - steps; slot <= this.#slot; slot++) {
      over -= this.#counts[(slot + steps + 1) % (steps + 1)]!
      if (over <= 0) return Math.max(now, (slot + steps + 1) * this.#step) + rounds * this.millis
    }
    return now + (rounds + 1) * this.millis
  }
  record(now: number): void {
    this.#advance(now)
    this.#counts[this.#slot % (steps + 1)]! += 1
    this.#total++
  }
  count(now: number): number {
    this.#advance(now)
    return this.#total
  }
}
