import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Alarm, Entry } from "../../internal/alarm.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"

/**
 * What became of the wish to enter: `open`; `probe`, the one that is let in to see whether the outage is over; `held`, it
 * has waited for as long as it may; `closing`.
 */
export type Entrance = "open" | "probe" | "held" | "closing"

type State =
  | { readonly _tag: "Open" }
  | { readonly _tag: "Paused"; readonly until: number; readonly reason: string }
  | { readonly _tag: "Probing"; readonly busy: boolean; readonly reason: string }
  | { readonly _tag: "Closing" }

interface Waiter {
  readonly resume: (entrance: Entrance) => void
}

const open: State = { _tag: "Open" }

/**
 * Milliseconds of the first pause where the error does not say how long, doubled each time up to the longest. No pause is
 * shorter, whatever the error says: a Retry-After of zero would be a loop.
 */
const firstPause = 1000
const longestPause = 30_000

/**
 * What an outage closes: nobody starts while it lasts. Then one is let in as a probe; when that succeeds, all are.
 */
export class Gate {
  readonly #waiters = new Set<Waiter>()
  readonly #alarm: Alarm
  readonly #context: Context.Context<never>
  readonly #changed: (reason: string | undefined) => void
  #state: State = open
  #failures = 0
  #wake: Entry | undefined
  /** How often something has succeeded: whoever fails alone has no outage. */
  successes = 0
  constructor(alarm: Alarm, context: Context.Context<never>, changed: (reason: string | undefined) => void) {
    this.#alarm = alarm
    this.#context = context
    this.#changed = changed
  }
  get isOpen(): boolean {
    return this.#state._tag === "Open"
  }
  get isPaused(): boolean {
    return this.#state._tag === "Paused"
  }
  /** Why it is closed, and until when (monotonic milliseconds). */
  get outage(): { readonly reason: string; readonly until: number | undefined } | undefined {
    const state = this.#state
    if (state._tag === "Paused") return { reason: state.reason, until: state.until }
    return state._tag === "Probing" ? { reason: state.reason, until: undefined } : undefined
  }
  /** Waits until it may start, at most until `heldUntil` (monotonic milliseconds). */
  enter(heldUntil: number): Effect.Effect<Entrance> {
    return Effect.callback<Entrance>((resume) => {
      const now = this.#enterUnsafe()
      if (now !== undefined) return resume(Effect.succeed(now))
      const leave = () => {
        this.#waiters.delete(waiter)
        this.#alarm.remove(timeout)
      }
      const waiter: Waiter = {
        resume: (entrance) => {
          leave()
          resume(Effect.succeed(entrance))
        }
      }
      const timeout: Entry = { at: heldUntil, place: -1, order: 0, fire: () => waiter.resume("held") }
      this.#waiters.add(waiter)
      this.#alarm.add(timeout, monotonicMillis(this.#alarm.clock), this.#context)
      return Effect.sync(leave)
    })
  }
  #enterUnsafe(): Entrance | undefined {
    switch (this.#state._tag) {
      case "Open":
        return "open"
      case "Closing":
        return "closing"
      case "Paused":
        return undefined
      case "Probing":
        if (this.#state.busy) return undefined
        this.#state = { ...this.#state, busy: true }
        return "probe"
    }
  }
  /** Something was handled, or refused for good: whatever it needs is there. */
  succeeded(entrance: Entrance): void {
    this.successes++
    if (this.#state._tag === "Closing" || (this.#state._tag !== "Open" && entrance !== "probe")) return
    if (this.#state._tag === "Open") return
    this.#failures = 0
    this.#state = open
    this.#changed(undefined)
    for (const waiter of Array.from(this.#waiters)) waiter.resume("open")
  }
  /** The outage goes on, or begins: somebody is let in after so many milliseconds, or a pause that doubles. */
  failed(entrance: Entrance, retryAfter: number | undefined, reason: string): void {
    const now = monotonicMillis(this.#alarm.clock)
    if (this.#state._tag === "Closing") return
    if (this.#state._tag === "Paused") {
      // Whoever was let in before may know better how long it takes.
      if (retryAfter !== undefined && now + retryAfter > this.#state.until) this.#pause(now, retryAfter, reason)
      return
    }
    if (this.#state._tag === "Probing" && entrance !== "probe") return
    const backoff = Math.min(firstPause * 2 ** this.#failures, longestPause)
    this.#failures++
    if (this.#state._tag === "Open") this.#changed(reason)
    this.#pause(now, retryAfter === undefined ? backoff : Math.max(retryAfter, firstPause), reason)
  }
  #pause(now: number, millis: number, reason: string): void {
    if (this.#wake !== undefined) this.#alarm.remove(this.#wake)
    this.#state = { _tag: "Paused", until: now + millis, reason }
    this.#wake = { at: now + millis, place: -1, order: 0, fire: () => this.#probe(reason) }
    this.#alarm.add(this.#wake, now, this.#context)
  }
  /** The probe has told nothing: the next one is let in. */
  undecided(entrance: Entrance): void {
    if (entrance === "probe" && this.#state._tag === "Probing") this.#probe(this.#state.reason)
  }
  close(): void {
    this.#state = { _tag: "Closing" }
    if (this.#wake !== undefined) this.#alarm.remove(this.#wake)
    for (const waiter of Array.from(this.#waiters)) waiter.resume("closing")
  }
  #probe(reason: string): void {
    this.#wake = undefined
    const [first] = this.#waiters
    this.#state = { _tag: "Probing", busy: first !== undefined, reason }
    first?.resume("probe")
  }
}
