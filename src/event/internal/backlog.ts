import type { Pending } from "./storedEvent.ts"

/** The events of one key, in order; one without a key has a lane of its own. */
export interface Lane {
  readonly id: string
  readonly key: string | undefined
  bucket: number
  token: number
  /** The first is the one that is under way. */
  events: Array<Pending>
  underWay: boolean
  /** Monotonic milliseconds until it may be tried again. */
  until: number
  /** How often the first event has failed in a row. */
  failures: number
  /** How many events of the channel had been confirmed when it failed. */
  confirmedBefore: number
}

const idOf = (event: Pending): string => (event.key === undefined ? `#${event.position}` : `=${event.key}`)

/** Keys with at least so many of the events. */
export const keysWith = (least: number, events: ReadonlyArray<Pending>): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  for (const { key } of events) if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1)
  return Array.from(counts).flatMap(([key, count]) => (count >= least ? [key] : []))
}

/**
 * What a relay has read of a channel and not published yet. It is a copy: what is dropped here is read again, by this
 * relay or another.
 *
 * An event is added behind those of its key, so none of a key may be left out: what is dropped while the store is read is
 * not taken from that reading either.
 */
export class Backlog {
  readonly lanes = new Map<string, Lane>()
  /** Positions that need not be read again: those that wait here, and those that are published and not yet removed. */
  readonly known = new Set<number>()
  readonly #ready = new Set<Lane>()
  readonly #waiting = new Set<Lane>()
  #dropped: Set<string> | undefined
  size = 0
  underWay = 0

  /** Before the store is read. */
  begin(): void {
    this.#dropped = new Set()
  }

  /** What the store gave, of buckets that are held. */
  add(events: ReadonlyArray<Pending>, isHeld: (event: Pending) => boolean): void {
    const dropped = this.#dropped
    this.#dropped = undefined
    for (const event of events) {
      const id = idOf(event)
      if (!isHeld(event) || dropped?.has(id) || this.known.has(event.position)) continue
      let lane = this.lanes.get(id)
      if (lane === undefined) {
        const { bucket, key, token } = event
        lane = { id, key, bucket, token, events: [], underWay: false, until: 0, failures: 0, confirmedBefore: 0 }
        this.lanes.set(id, lane)
        this.#ready.add(lane)
      }
      lane.token = event.token
      lane.events.push(event)
      this.known.add(event.position)
      this.size++
    }
  }

  /** The next lane whose first event may be published. It is under way from now on. */
  next(): Lane | undefined {
    for (const lane of this.#ready) {
      this.#ready.delete(lane)
      lane.underWay = true
      this.underWay++
      return lane
    }
    return undefined
  }

  /** Gives back what `next` gave. */
  putBack(lane: Lane): void {
    lane.underWay = false
    this.underWay--
    if (lane.events.length === 0) this.lanes.delete(lane.id)
    else if (this.lanes.get(lane.id) === lane) this.#ready.add(lane)
  }

  /** The first event of a lane is done with: published, or set aside. */
  done(lane: Lane): void {
    lane.events.shift()
    this.size--
    lane.failures = 0
    this.putBack(lane)
  }

  /** The first event is tried again later. Those behind it are read again then, since others may wait for their room. */
  postpone(lane: Lane, until: number): void {
    this.truncate(lane)
    lane.until = until
    this.putBack(lane)
    if (this.#ready.delete(lane)) this.#waiting.add(lane)
  }

  /** Lets those go on whose time has come, or all. Gives when the next one's comes. */
  awake(now: number): number {
    let next = Infinity
    for (const lane of this.#waiting) {
      if (lane.until <= now) {
        this.#waiting.delete(lane)
        this.#ready.add(lane)
      } else if (lane.until < next) next = lane.until
    }
    return next
  }

  /** Forgets a lane, but for an event that is under way. */
  drop(lane: Lane): void {
    this.truncate(lane)
    if (lane.underWay) return
    for (const event of lane.events) this.known.delete(event.position)
    this.size -= lane.events.length
    lane.events = []
    this.lanes.delete(lane.id)
    this.#ready.delete(lane)
    this.#waiting.delete(lane)
  }

  /** Forgets what waits behind the first event of a lane. */
  truncate(lane: Lane): void {
    for (const event of lane.events.splice(1)) {
      this.known.delete(event.position)
      this.size--
    }
    this.#dropped?.add(lane.id)
  }

  /** Keys of which enough is here, or whose first event waits. */
  busy(enough: number): ReadonlyArray<string> {
    const keys: Array<string> = []
    for (const lane of this.lanes.values()) {
      if (lane.key !== undefined && (lane.events.length >= enough || this.#waiting.has(lane))) keys.push(lane.key)
    }
    return keys
  }

  get isReady(): boolean {
    return this.#ready.size > 0
  }
}
