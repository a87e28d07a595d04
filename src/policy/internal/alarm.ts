import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { monotonicMillis } from "../../internal/monotonic.ts"

/** Something that happens at a time, unless it is removed before. */
export interface Entry {
  at: number
  before: Entry | undefined
  after: Entry | undefined
  linked: boolean
  readonly fire: (now: number) => void
}

/** In milliseconds. A clock may round: a wait that it takes for none would ring again at once, for ever. */
const shortestWait = 0.001
const longestTimer = 2 ** 31 - 1

/**
 * One timer for many deadlines. Entries are kept in order and a new one nearly always goes last, so adding and removing
 * are O(1) in practice. The timer is not stopped when the last entry leaves, which is what makes a deadline cheap: it
 * finds nothing to do, and does not keep the process alive.
 */
export abstract class Alarm {
  #head: Entry | undefined = undefined
  #tail: Entry | undefined = undefined
  #wakeAt = Infinity
  readonly clock: Clock.Clock
  constructor(clock: Clock.Clock) {
    this.clock = clock
  }
  protected abstract arm(millis: number, context: Context.Context<never>): void
  protected abstract disarm(): void
  protected hold(): void {}
  protected release(): void {}

  add(entry: Entry, now: number, context: Context.Context<never>): void {
    let previous = this.#tail
    while (previous !== undefined && previous.at > entry.at) previous = previous.before
    const next = previous === undefined ? this.#head : previous.after
    entry.before = previous
    entry.after = next
    if (this.#head === undefined) this.hold()
    if (previous === undefined) this.#head = entry
    else previous.after = entry
    if (next === undefined) this.#tail = entry
    else next.before = entry
    entry.linked = true
    if (entry.at < this.#wakeAt) {
      if (this.#wakeAt !== Infinity) this.disarm()
      this.#wakeAt = entry.at
      this.arm(entry.at - now, context)
    }
  }

  remove(entry: Entry): void {
    if (!entry.linked) return
    entry.linked = false
    if (entry.before === undefined) this.#head = entry.after
    else entry.before.after = entry.after
    if (entry.after === undefined) this.#tail = entry.before
    else entry.after.before = entry.before
    entry.before = entry.after = undefined
    if (this.#head === undefined) this.release()
  }

  protected ring(context: Context.Context<never>): void {
    this.#wakeAt = Infinity
    const now = monotonicMillis(this.clock)
    // A host timer may ring a little early: what is not due yet waits for the next ring.
    while (this.#head !== undefined && this.#head.at <= now) {
      const due = this.#head
      this.remove(due)
      due.fire(now)
    }
    if (this.#head !== undefined && this.#head.at < this.#wakeAt) {
      if (this.#wakeAt !== Infinity) this.disarm()
      this.#wakeAt = this.#head.at
      this.arm(Math.max(this.#head.at - now, shortestWait), context)
    }
  }
}

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
 * One alarm per clock and per maker: entries of one duration arrive in order, so that none has to walk past another
 * policy's.
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
