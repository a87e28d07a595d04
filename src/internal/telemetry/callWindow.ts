import { bucketOf, buckets, middleOf } from "./durations.ts"

/** The window slides in steps of a twelfth of its length: what is older than 55 to 60 seconds is forgotten. */
const slotMillis = 5000
const slots = 12

/** What the calls of a window show. */
export interface Shown {
  /** Percent. */
  readonly errorRate: number
  /** Milliseconds. */
  readonly p99: number
}

/**
 * The calls of the last minute, in constant memory: how many failed, and a histogram of their durations whose error is at
 * most 2 %.
 */
export class CallWindow {
  readonly #durations = new Uint32Array(slots * buckets)
  readonly #calls = new Uint32Array(slots)
  readonly #failed = new Uint32Array(slots)
  readonly #longest = new Float64Array(slots)
  #slot = -1
  #place = 0
  /** When the slot of now ends. */
  #until = -Infinity

  /** `now` is in monotonic milliseconds. */
  add(now: number, millis: number, succeeded: boolean, bucket: number = bucketOf(millis)): void {
    if (now >= this.#until || now < this.#until - slotMillis) this.#advance(now)
    const place = this.#place
    this.#calls[place]! += 1
    if (!succeeded) this.#failed[place]! += 1
    if (millis > this.#longest[place]!) this.#longest[place] = millis
    this.#durations[place * buckets + bucket]! += 1
  }

  /** The times between which what is added is forgotten together. */
  get slot(): { readonly from: number; readonly until: number } {
    return { from: this.#until - slotMillis, until: this.#until }
  }

  /** Nothing where there was no call. */
  read(now: number): Shown | undefined {
    this.#advance(now)
    const calls = sum(this.#calls)
    if (calls === 0) return undefined
    return { errorRate: (sum(this.#failed) * 100) / calls, p99: this.#percentile(calls) }
  }

  /** The shortest duration that at least 99 of 100 calls did not exceed. */
  #percentile(calls: number): number {
    const most = Math.max(...this.#longest)
    let beyond = calls - Math.ceil((calls * 99) / 100)
    // The longest of all is known exactly, and so is what fewer than a hundred calls took at most.
    if (beyond === 0) return most
    for (let bucket = buckets - 1; bucket >= 0; bucket--) {
      for (let place = 0; place < slots; place++) beyond -= this.#durations[place * buckets + bucket]!
      if (beyond < 0) return bucket === buckets - 1 ? most : Math.min(middleOf(bucket), most)
    }
    return most
  }

  #advance(now: number): void {
    const slot = Math.floor(now / slotMillis)
    // Monotonic time that goes back is that of another clock.
    if (slot - this.#slot >= slots || slot < this.#slot) {
      for (let place = 0; place < slots; place++) this.#clear(place)
    } else {
      for (let next = this.#slot + 1; next <= slot; next++) this.#clear(placeOf(next))
    }
    this.#slot = slot
    this.#place = placeOf(slot)
    this.#until = (slot + 1) * slotMillis
  }
  #clear(place: number): void {
    if (this.#calls[place] === 0) return
    this.#calls[place] = 0
    this.#failed[place] = 0
    this.#longest[place] = 0
    this.#durations.fill(0, place * buckets, (place + 1) * buckets)
  }
}

const placeOf = (slot: number): number => ((slot % slots) + slots) % slots
const sum = (counts: Uint32Array): number => counts.reduce((total, count) => total + count, 0)
