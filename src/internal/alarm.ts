import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { monotonicMillis } from "./monotonic.ts"

/** Something that happens at a time, unless it is removed before. */
export interface Entry {
  readonly at: number
  /** Where the alarm keeps it; -1 is nowhere. */
  place: number
  /** What came first is first among those of one time. */
  order: number
  readonly fire: (now: number) => void
}

/** In milliseconds. A clock may round: a wait that it takes for none would ring again at once, for ever. */
const shortestWait = 0.001
const longestTimer = 2 ** 31 - 1

/**
 * One timer for many deadlines, which are kept in a heap: the first is the next one due. The timer is not stopped when the
 * last entry leaves, which is what makes a deadline cheap: it finds nothing to do, and does not keep the process alive.
 */
export abstract class Alarm {
  readonly #heap: Array<Entry> = []
  #wakeAt = Infinity
  #added = 0
  readonly clock: Clock.Clock
  constructor(clock: Clock.Clock) {
    this.clock = clock
  }
  protected abstract arm(millis: number, context: Context.Context<never>): void
  protected abstract disarm(): void
  protected hold(): void {}
  protected release(): void {}

  /** The time of an entry must not change while it is kept. */
  add(entry: Entry, now: number, context: Context.Context<never>): void {
    if (this.#heap.length === 0) this.hold()
    entry.order = this.#added++
    this.#heap.push(entry)
    this.#up(entry, this.#heap.length - 1)
    this.#wake(entry.at, entry.at - now, context)
  }

  remove(entry: Entry): void {
    const { place } = entry
    if (place < 0) return
    entry.place = -1
    const last = this.#heap.pop()!
    if (last !== entry) this.#down(last, this.#up(last, place))
    if (this.#heap.length === 0) this.release()
  }

  protected ring(context: Context.Context<never>): void {
    this.#wakeAt = Infinity
    const now = monotonicMillis(this.clock)
    // A host timer may ring a little early: what is not due yet waits for the next ring.
    for (let due = this.#heap[0]; due !== undefined && due.at <= now; due = this.#heap[0]) {
      this.remove(due)
      due.fire(now)
    }
    const next = this.#heap[0]
    if (next !== undefined) this.#wake(next.at, Math.max(next.at - now, shortestWait), context)
  }

  #wake(at: number, millis: number, context: Context.Context<never>): void {
    if (at >= this.#wakeAt) return
    if (this.#wakeAt !== Infinity) this.disarm()
    this.#wakeAt = at
    this.arm(millis, context)
  }
  #up(entry: Entry, place: number): number {
    let here = place
    while (here > 0) {
      const above = (here - 1) >> 1
      const parent = this.#heap[above]!
      if (isBefore(parent, entry)) break
      this.#put(parent, here)
      here = above
    }
    this.#put(entry, here)
    return here
  }
  #down(entry: Entry, place: number): void {
    const { length } = this.#heap
    let here = place
    for (let below = 2 * here + 1; below < length; below = 2 * here + 1) {
      const other = below + 1
      if (other < length && isBefore(this.#heap[other]!, this.#heap[below]!)) below = other
      if (isBefore(entry, this.#heap[below]!)) break
      this.#put(this.#heap[below]!, here)
      here = below
    }
    this.#put(entry, here)
  }
  #put(entry: Entry, place: number): void {
    this.#heap[place] = entry
    entry.place = place
  }
}

const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** The host's timer, which keeps the process alive only while something waits for it. */
class HostAlarm extends Alarm {
  #timer: ReturnType<typeof setTimeout> | undefined
  #held = false
  protected override arm(millis: number, context: Context.Context<never>): void {
    const timer = setTimeout(() => this.ring(context), Math.min(Math.ceil(millis), longestTimer))
    this.#timer = timer
    if (!this.#held) unref(timer)
  }
  protected override disarm(): void {
    clearTimeout(this.#timer)
  }
  protected override hold(): void {
    this.#held = true
    const timer: unknown = this.#timer
    if (isNodeTimer(timer)) timer.ref()
  }
  protected override release(): void {
    this.#held = false
    unref(this.#timer)
  }
}

interface NodeTimer {
  readonly ref: () => void
  readonly unref: () => void
}
const isNodeTimer = (timer: unknown): timer is NodeTimer =>
  typeof timer === "object" && timer !== null && "unref" in timer
const unref = (timer: unknown): void => {
  if (isNodeTimer(timer)) timer.unref()
}

/** Any other clock is slept on: a TestClock, a simulation. */
class ClockAlarm extends Alarm {
  #sleeper: Fiber.Fiber<void> | undefined
  protected override arm(millis: number, context: Context.Context<never>): void {
    const wake = Effect.sync(() => this.ring(context))
    const sleep = this.clock.sleep(Duration.millis(Math.max(millis, 0)))
    const sleeper = Effect.runForkWith(context)(Effect.andThen(sleep, wake))
    // A sleep of nothing has rung already, and may have been followed by another.
    if (sleeper.pollUnsafe() === undefined) this.#sleeper = sleeper
  }
  protected override disarm(): void {
    this.#sleeper?.interruptUnsafe()
  }
}

const hostClock = Context.get(Context.empty(), Clock.Clock)

/**
 * One alarm per clock and per maker.
 */
export const makeAlarms = (): ((clock: Clock.Clock) => Alarm) => {
  const host = new HostAlarm(hostClock)
  const others = new WeakMap<Clock.Clock, Alarm>()
  return (clock) => {
    if (clock === hostClock) return host
    let alarm = others.get(clock)
    if (alarm === undefined) {
      alarm = new ClockAlarm(clock)
      others.set(clock, alarm)
    }
    return alarm
  }
}
