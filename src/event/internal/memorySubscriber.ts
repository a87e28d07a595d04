import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Delivery, Settled, Settlement } from "../Broker.ts"
import type { Message } from "../Message.ts"
import type { Entry, MemoryQueue, Taker } from "./memoryQueue.ts"

type Move = Extract<Settlement, { readonly _tag: "Retry" | "DeadLetter" }>

/** One subscription: gives out entries up to its prefetch from each queue, and knows which are not settled. */
export class MemorySubscriber implements Taker {
  readonly #unsettled = new Map<Entry, { readonly queue: MemoryQueue; readonly delivery: Delivery }>()
  readonly #inHand = new Map<MemoryQueue, number>()
  readonly #queue: Queue.Enqueue<Delivery>
  readonly #prefetch: number
  readonly #roomAgain: () => void
  readonly #move: (message: Message, settlement: Move) => Effect.Effect<void>
  #empty: Deferred.Deferred<void> | undefined
  #leaving = false
  constructor(
    queue: Queue.Enqueue<Delivery>,
    prefetch: number,
    roomAgain: () => void,
    move: (message: Message, settlement: Move) => Effect.Effect<void>
  ) {
    this.#queue = queue
    this.#prefetch = prefetch
    this.#roomAgain = roomAgain
    this.#move = move
  }
  hasRoom(queue: MemoryQueue): boolean {
    return !this.#leaving && (this.#inHand.get(queue) ?? 0) < this.#prefetch
  }
  take(queue: MemoryQueue, entry: Entry): void {
    const delivery: Delivery = {
      message: entry.message,
      redeliveries: entry.redeliveries,
      isLive: () => this.#unsettled.has(entry),
      // Between taking it out and putting it where it goes, it is nowhere.
      settle: (settlement) => Effect.uninterruptible(Effect.suspend(() => this.#settle(entry, settlement)))
    }
    this.#unsettled.set(entry, { queue, delivery })
    this.#inHand.set(queue, (this.#inHand.get(queue) ?? 0) + 1)
    Queue.offerUnsafe(this.#queue, delivery)
  }
  /** Takes no more, but keeps its place: a strict queue passes to the next taker when nothing of it is in hand. */
  leave(): void {
    this.#leaving = true
  }
  /** What was given out goes back, or the part of it that nobody has begun with; settling it later does nothing. */
  giveBack(untaken?: ReadonlyArray<Delivery>): void {
    const which = untaken === undefined ? undefined : new Set(untaken)
    for (const [entry, { delivery, queue }] of Array.from(this.#unsettled)) {
      if (which?.has(delivery) === false) continue
      this.#letGo(entry, queue)
      queue.giveBack(entry, untaken === undefined)
    }
  }
  /** Waits until everything that was given out is settled. */
  get settled(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#unsettled.size === 0) return Effect.void
      this.#empty = Deferred.makeUnsafe<void>()
      return Deferred.await(this.#empty)
    })
  }
  #letGo(entry: Entry, queue: MemoryQueue): void {
    this.#unsettled.delete(entry)
    this.#inHand.set(queue, this.#inHand.get(queue)! - 1)
  }
  #settle(entry: Entry, settlement: Settlement): Effect.Effect<Settled> {
    const held = this.#unsettled.get(entry)
    if (held === undefined) return Effect.succeed("late")
    this.#letGo(entry, held.queue)
    if (settlement._tag === "Requeue") held.queue.giveBack(entry)
    const moved =
      settlement._tag === "Retry" || settlement._tag === "DeadLetter"
        ? this.#move(entry.message, settlement)
        : Effect.void
    return Effect.map(moved, () => {
      this.#roomAgain()
      if (this.#unsettled.size === 0 && this.#empty !== undefined) Deferred.doneUnsafe(this.#empty, Effect.void)
      return "done"
    })
  }
}
