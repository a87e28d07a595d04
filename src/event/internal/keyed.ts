import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Broker from "../Broker.ts"
import type * as Ordering from "../Ordering.ts"
import type * as Parking from "../Parking.ts"
import { type Attempts, type Decision, isDone } from "./attempt.ts"
import { attemptOn, type Chain, Chains, type Task } from "./chains.ts"
import { problemOf } from "./decision.ts"
import type { Entrance } from "./gate.ts"
import { Parked } from "./parked.ts"
import type { Processes } from "./processes.ts"
import { textOf } from "./report.ts"
import * as Settling from "./settling.ts"
import type { Session, Setup, Work } from "./setup.ts"

/** Nothing is left to be done, nor to be done again. */
const isOver: Effect.Effect<boolean> = Effect.succeed(false)

/**
 * One at a time per key: under the lease of the key, its deliveries are worked on in their order. A message that must wait
 * is parked, and those that come after it are parked behind it.
 */
export class Keyed {
  readonly #setup: Setup
  readonly #session: Session
  readonly #attempts: Attempts
  readonly #parking: Parking.Parking["Service"]
  readonly #ordering: Ordering.Strict
  readonly #parked: Parked
  readonly chains: Chains
  constructor(
    setup: Setup,
    session: Session,
    attempts: Attempts,
    parking: Parking.Parking["Service"],
    ordering: Ordering.Strict,
    owner: string,
    processes: Processes
  ) {
    this.#setup = setup
    this.#session = session
    this.#attempts = attempts
    this.#parking = parking
    this.#ordering = ordering
    const work = (chain: Chain) => this.#work(chain)
    this.chains = new Chains(setup, session, parking, owner, (chain) => processes.begin(work, chain))
    this.#parked = new Parked(setup, session, attempts, parking, ordering, this.chains)
  }

  deliver(key: string, delivery: Broker.Delivery, work: Work): void {
    this.chains.add(key, { _tag: "Delivered", delivery, work })
  }

  /** Works on the tasks of a chain until there are none. Begins at once, as an attempt does. */
  #work(chain: Chain): Effect.Effect<unknown> {
    for (let task = chain.tasks.shift(); task !== undefined; task = chain.tasks.shift()) {
      const rest = this.#begin(chain, task)
      if (rest !== isOver) return this.#workOn(chain, task, rest)
      this.#done(task)
    }
    // Said at once, so that nothing is added between.
    this.chains.rest(chain)
    return Settling.isDone
  }

  #workOn(chain: Chain, task: Task, rest: Effect.Effect<unknown>): Effect.Effect<unknown> {
    return Effect.flatMap(rest, () => {
      this.#done(task)
      return this.#work(chain)
    })
  }

  #done(task: Task): void {
    // One whose connection is gone is settled by nobody.
    if (task._tag === "Delivered") this.#setup.inHand.delete(task.delivery)
  }

  #begin(chain: Chain, task: Task): Effect.Effect<unknown> {
    const { lease } = chain
    if (task._tag === "Look" || lease === undefined || this.chains.closed || !this.chains.holds(chain, lease)) {
      return this.#underLease(chain, task)
    }
    // Nearly all messages come by here, and those whose handlers wait for nothing end here.
    const again = this.#deliver(chain, lease, task.delivery, task.work)
    return again === isOver ? isOver : this.#orAgain(chain, task, again)
  }

  #orAgain(chain: Chain, task: Task, again: Effect.Effect<boolean>): Effect.Effect<unknown> {
    return Effect.flatMap(again, (again) => (again ? this.#underLease(chain, task) : isOver))
  }

  /** Where the lease was lost, the same is tried again under the next one: its successors are to wait. */
  #underLease(chain: Chain, task: Task): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (let again = true; again;) {
        const lease = this.chains.closed ? undefined : yield* this.chains.hold(chain)
        again = false
        if (lease === undefined) {
          if (task._tag === "Delivered") yield* this.#handBack(chain, task.delivery, task.work)
        } else if (task._tag === "Look") yield* this.#parked.workOff(chain, lease)
        else again = yield* this.#deliver(chain, lease, task.delivery, task.work)
      }
    })
  }

  /** Works on a delivery; says whether it is to be done again, because the lease was lost and the delivery was not. */
  #deliver(chain: Chain, lease: Parking.Lease, delivery: Broker.Delivery, work: Work): Effect.Effect<boolean> {
    if (!delivery.isLive()) return isOver
    // One that was given out before may be what its process died of. The store counts how often it is begun with, where
    // the broker would count how often it was at hand when another one killed the process.
    if (chain.parked > 0 || delivery.redeliveries > 0) {
      return Effect.map(this.#park(chain, lease, delivery, work, 0, asItIs(work)), (parked) => parked === "lost")
    }
    const isLive = () => delivery.isLive() && this.chains.holds(chain, lease)
    const decision = attemptOn(chain, this.#attempts, lease, { ...work, isLive })
    if (decision !== isDone || chain.unconfirmed) return this.#decided(chain, lease, delivery, work, decision)
    const settled = Settling.acknowledge(this.#setup, delivery)
    return settled === Settling.isDone ? isOver : Effect.as(settled, false)
  }

  #decided(
    chain: Chain,
    lease: Parking.Lease,
    delivery: Broker.Delivery,
    work: Work,
    decision: Effect.Effect<Decision>
  ): Effect.Effect<boolean> {
    return Effect.flatMap(decision, (decision) =>
      decision._tag === "Done" && !chain.unconfirmed
        ? Effect.as(Settling.carryOut(this.#setup, delivery, decision), false)
        : this.#carryOut(chain, lease, delivery, work, decision)
    )
  }

  #carryOut(
    chain: Chain,
    lease: Parking.Lease,
    delivery: Broker.Delivery,
    work: Work,
    decision: Decision
  ): Effect.Effect<boolean> {
    return Effect.gen({ self: this }, function* () {
      switch (decision._tag) {
        case "Done":
          yield* this.chains.worked(chain, lease, decision.outcome)
          yield* Settling.carryOut(this.#setup, delivery, decision)
          return false
        case "Again":
          return (yield* this.#park(chain, lease, delivery, work, decision.millis, decision)) === "lost"
        case "Dead":
          if (this.#ordering.exhausted === "halt") {
            const ended = { failures: work.history.failures, redeliveries: 0 }
            const parked = yield* this.#park(chain, lease, delivery, work, 0, ended)
            if (parked === "parked") yield* this.chains.halt(chain, lease, decision)
            return parked === "lost"
          }
          chain.unconfirmed = true
          yield* Settling.carryOut(this.#setup, delivery, decision)
          return false
        case "Return":
          if (!this.chains.closed && delivery.isLive()) return true
          yield* this.#giveBack(chain, delivery)
          return false
      }
    })
  }

  /** Parks a delivery behind those of its key; `lost` where the lease was, and the delivery was not. */
  #park(
    chain: Chain,
    lease: Parking.Lease,
    delivery: Broker.Delivery,
    work: Work,
    millis: number,
    spent: Settling.Spent
  ): Effect.Effect<"parked" | "lost" | "gone"> {
    const { gate } = this.#session
    return Effect.gen({ self: this }, function* () {
      const headers = yield* Settling.againHeaders(work.message, spent)
      const message = { ...work.message, headers: { ...work.message.headers, ...headers } }
      for (let entrance: Entrance = "open"; ;) {
        const parked = yield* Effect.exit(this.#parking.park(lease, work.event, message, Duration.millis(millis)))
        if (parked._tag === "Success") {
          gate.undecided(entrance)
          if (!parked.value) {
            this.chains.lose(chain, lease)
            return !this.chains.closed && delivery.isLive() ? "lost" : "gone"
          }
          if (chain.parked++ === 0) this.chains.wakeIn(chain, millis)
          yield* Settling.settle(this.#setup, delivery, Broker.Settlement.Ack(), "parked")
          return "parked"
        }
        // While the store is down it stays in hand, or its successors would overtake it.
        gate.failed(entrance, undefined, textOf(problemOf(parked.cause).error))
        entrance = yield* gate.enter(Infinity)
        if (entrance === "closing") {
          yield* this.#giveBack(chain, delivery)
          return "gone"
        }
      }
    })
  }

  /**
   * Gives back what was not begun with. Each time counts as a redelivery, so what was given back before is rather parked,
   * where the key is held.
   */
  #handBack(chain: Chain, delivery: Broker.Delivery, work: Work): Effect.Effect<unknown> {
    const { lease } = chain
    if (chain.returned || work.redeliveries === 0 || lease === undefined || !this.chains.holds(chain, lease)) {
      return this.#giveBack(chain, delivery)
    }
    return this.#park(chain, lease, delivery, work, 0, asItIs(work))
  }

  #giveBack(chain: Chain, delivery: Broker.Delivery): Effect.Effect<unknown> {
    chain.returned = true
    return Settling.carryOut(this.#setup, delivery, { _tag: "Return" })
  }
}

/** Nothing was used up, but that a message given out before may have been begun with. */
const asItIs = ({ history, redeliveries }: Work): Settling.Spent => ({
  failures: history.failures,
  redeliveries: Math.min(history.redeliveries + 1, redeliveries)
})
