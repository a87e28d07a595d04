import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Delivery, Settled, Settlement } from "../Broker.ts"
import type { Message } from "../Message.ts"
import type { Entry, MemoryQueue, Taker } from "./memoryQueue.ts"

type Move = Extract<Settlement, { readonly _tag: "Retry" | "DeadLetter" }>

/** One subscription: gives out entries up to its prefetch, and knows which are not settled. */
export class MemorySubscriber implements Taker {
  readonly #unsettled = new Map<Entry, MemoryQueue>()
  readonly #queue: Queue.Enqueue<Delivery>
  readonly #prefetch: number
  readonly #now: () => number
  readonly #move: (message: Message, settlement: Move) => Effect.Effect<void>
  #empty: Deferred.Deferred<void> | undefined
  constructor(
    queue: Queue.Enqueue<Delivery>,
    prefetch: number,
    now: () => number,
    move: (message: Message, settlement: Move) => Effect.Effect<void>
  ) {
    this.#queue = queue
    this.#prefetch = prefetch
    this.#now = now
    this.#move = move
  }
  hasRoom(): boolean {
    return this.#unsettled.size < this.#prefetch
  }
  take(queue: MemoryQueue, entry: Entry): void {
    this.#unsettled.set(entry, queue)
    Queue.offerUnsafe(this.#queue, {
      message: entry.message,
      redeliveries: entry.redeliveries,
      isLive: () => this.#unsettled.has(entry),
      // Between taking it out and putting it where it goes, it is nowhere.
      settle: (settlement) => Effect.uninterruptible(Effect.suspend(() => this.#settle(entry, settlement)))
    })
  }
  /** All that was given out goes back; settling it later does nothing. */
  abandon(): void {
    const given = Array.from(this.#unsettled)
    this.#unsettled.clear()
    for (const [entry, queue] of given) queue.giveBack(entry)
  }
  /** Waits until everything that was given out is settled. */
  get settled(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#unsettled.size === 0) return Effect.void
      this.#empty = Deferred.makeUnsafe<void>()
      return Deferred.await(this.#empty)
    })
  }
  #settle(entry: Entry, settlement: Settlement): Effect.Effect<Settled> {
    const queue = this.#unsettled.get(entry)
    if (queue === undefined) return Effect.succeed("late")
    this.#unsettled.delete(entry)
    if (settlement._tag === "Requeue") queue.giveBack(entry)
    const moved =
      settlement._tag === "Retry" || settlement._tag === "DeadLetter"
        ? this.#move(entry.message, settlement)
        : Effect.void
    return Effect.map(moved, () => {
      queue.dispatch(this.#now())
      if (this.#unsettled.size === 0 && this.#empty !== undefined) Deferred.doneUnsafe(this.#empty, Effect.void)
      return "done"
    })
  }
}
