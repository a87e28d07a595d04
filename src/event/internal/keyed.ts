import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type { Entry } from "../../internal/alarm.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as Broker from "../Broker.ts"
import type { PublishError } from "../BrokerError.ts"
import type * as Ordering from "../Ordering.ts"
import * as Parking from "../Parking.ts"
import type { Attempts, Decision } from "./attempt.ts"
import { problemOf } from "./decision.ts"
import type { Entrance } from "./gate.ts"
import * as History from "./history.ts"
import { textOf } from "./report.ts"
import type { Reading } from "./reader.ts"
import * as Settling from "./settling.ts"
import type { Handling, Session, Setup, Work } from "./setup.ts"

/** Something to do for a key: a delivery, or a look at its parked messages. */
type Task = { readonly _tag: "Delivered"; readonly delivery: Broker.Delivery; readonly work: Work } | Look
interface Look {
  readonly _tag: "Look"
}
const look: Look = { _tag: "Look" }

/** What this process knows of a key. */
interface Chain {
  readonly key: string
  readonly tasks: Array<Task>
  running: boolean
  lease: Parking.Lease | undefined
  /** Monotonic milliseconds until when the lease is surely held. */
  leasedUntil: number
  /** How many messages are parked, as long as the lease is held. */
  parked: number
  halted: boolean
  /** Whether something was given back to the broker at the end: then what follows is too. */
  returned: boolean
  /** Whether the store is to be told of the next success. */
  unconfirmed: boolean
  wake: Entry | undefined
  handling: Handling | undefined
}

/** How long another owner of a key is waited for before it is asked for again, at most. */
const patience = Duration.millis(250)
/** How many parked keys are looked for at once. */
const lookout = 100

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
  readonly #owner: string
  readonly #fork: (work: Effect.Effect<void>) => void
  readonly #group: string
  readonly #leaseMillis: number
  readonly #chains = new Map<string, Chain>()
  /** Messages that a process may have died of are begun with one at a time, so that each is counted for itself. */
  readonly #suspects = Semaphore.makeUnsafe(1)
  readonly #closing = Deferred.makeUnsafe<void>()
  #closed = false
  constructor(
    setup: Setup,
    session: Session,
    attempts: Attempts,
    parking: Parking.Parking["Service"],
    ordering: Ordering.Strict,
    owner: string,
    fork: (work: Effect.Effect<void>) => void
  ) {
    this.#setup = setup
    this.#session = session
    this.#attempts = attempts
    this.#parking = parking
    this.#ordering = ordering
    this.#owner = owner
    this.#fork = fork
    this.#group = Parking.groupOf(setup.channel, setup.name)
    this.#leaseMillis = Duration.toMillis(setup.lease)
  }

  deliver(key: string, delivery: Broker.Delivery, work: Work): void {
    this.#add(key, { _tag: "Delivered", delivery, work })
  }

  /** Keys that were parked by others, or before this process began. */
  get lookOut(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#session.gate.isPaused || this.#closed) return Effect.void
      return Effect.match(this.#parking.due(this.#group, lookout), {
        onSuccess: (keys) => {
          for (const key of keys) if (!this.#chains.has(key)) this.#add(key, look)
        },
        // The next look is soon.
        onFailure: () => {}
      })
    })
  }

  /**
   * Prolongs the leases of keys that are worked on, and gives up those of idle and of halted keys. A handler is stopped
   * when its lease was taken over, or is over because it could not be prolonged.
   */
  get renew(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const held = Array.from(this.#chains.values()).filter((chain) => chain.lease !== undefined)
      const busy = held.filter((chain) => chain.running && !chain.halted)
      const idle = held.filter((chain) => !chain.running)
      const before = this.#now()
      const leases = busy.map((chain) => chain.lease!)
      const renewed = yield* Effect.exit(
        Effect.timeout(this.#parking.renew(leases, this.#setup.lease), this.#leaseMillis / 3)
      )
      const lost = renewed._tag === "Success" ? new Set(renewed.value.map((lease) => lease.token)) : undefined
      busy.forEach((chain, index) => {
        if (chain.lease !== leases[index]) return
        if (lost === undefined) {
          // A lease has room for one round that fails.
          if (chain.leasedUntil <= this.#now() + this.#leaseMillis / 3) this.#endAt(chain, chain.leasedUntil)
        } else if (lost.has(chain.lease!.token)) this.#end(chain)
        else chain.leasedUntil = before + this.#leaseMillis
      })
      const idleLeases = idle.flatMap((chain) => (chain.running ? [] : [this.#forget(chain)]))
      yield* this.#parking.release(idleLeases)
    }).pipe(Effect.ignore({ log: "Debug" }))
  }

  #end(chain: Chain): void {
    chain.lease = undefined
    chain.handling?.stop("lost")
  }
  #endAt(chain: Chain, at: number): void {
    const { alarm, context } = this.#setup
    const fire = () => {
      if (chain.lease !== undefined && chain.leasedUntil === at) this.#end(chain)
    }
    alarm.add({ at, place: -1, order: 0, fire }, this.#now(), context)
  }

  /** What waits is not begun with any more. */
  close(): void {
    this.#closed = true
    for (const chain of this.#chains.values()) {
      if (chain.wake !== undefined) this.#setup.alarm.remove(chain.wake)
      this.#start(chain)
    }
    Deferred.doneUnsafe(this.#closing, Effect.void)
  }

  get releaseAll(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const leases = Array.from(this.#chains.values()).flatMap((chain) => chain.lease ?? [])
      this.#chains.clear()
      return Effect.ignore(this.#parking.release(leases), { log: "Debug" })
    })
  }

  #now(): number {
    return monotonicMillis(this.#setup.alarm.clock)
  }

  /** Whether the lease is surely held: a process that was stalled finds that its time is over. */
  #holds(chain: Chain, lease: Parking.Lease): boolean {
    return chain.lease === lease && this.#now() < chain.leasedUntil
  }

  #forget(chain: Chain): Parking.Lease {
    if (chain.wake !== undefined) this.#setup.alarm.remove(chain.wake)
    this.#chains.delete(chain.key)
    return chain.lease!
  }

  #add(key: string, task: Task): void {
    let chain = this.#chains.get(key)
    if (chain === undefined) {
      chain = {
        key,
        tasks: [],
        running: false,
        lease: undefined,
        leasedUntil: 0,
        parked: 0,
        halted: false,
        returned: false,
        unconfirmed: true,
        wake: undefined,
        handling: undefined
      }
      this.#chains.set(key, chain)
    }
    chain.tasks.push(task)
    this.#start(chain)
  }

  #start(chain: Chain): void {
    if (chain.running || chain.tasks.length === 0) return
    chain.running = true
    this.#fork(this.#work(chain))
  }

  #work(chain: Chain): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (let task = chain.tasks.shift(); task !== undefined; task = chain.tasks.shift()) {
        // Where the lease was lost, the same is tried again under the next one: its successors are to wait.
        for (let again = true; again;) {
          const lease = this.#closed ? undefined : yield* this.#hold(chain)
          again = false
          if (lease === undefined) {
            if (task._tag === "Delivered") yield* this.#handBack(chain, task.delivery, task.work)
          } else if (task._tag === "Look") yield* this.#workOff(chain, lease)
          else again = yield* this.#deliver(chain, lease, task.delivery, task.work)
        }
      }
      chain.running = false
      // Without a lease there is nothing worth remembering.
      if (chain.lease === undefined && chain.wake === undefined) this.#chains.delete(chain.key)
    })
  }

  /** The lease of the key, asked for until it is there; `undefined` where the consumer ends first. */
  #hold(chain: Chain): Effect.Effect<Parking.Lease | undefined> {
    const { gate } = this.#session
    return Effect.gen({ self: this }, function* () {
      while (!this.#closed) {
        if (chain.lease !== undefined && this.#holds(chain, chain.lease)) return chain.lease
        const entrance = gate.isOpen ? "open" : yield* gate.enter(Infinity)
        if (entrance === "closing") return undefined
        const before = this.#now()
        const exit = yield* Effect.exit(this.#parking.acquire(this.#group, chain.key, this.#owner, this.#setup.lease))
        if (exit._tag === "Failure") {
          gate.failed(entrance, undefined, textOf(problemOf(exit.cause).error))
          continue
        }
        gate.undecided(entrance)
        if (exit.value._tag === "Acquired") {
          const { halted, lease, parked } = exit.value
          if (parked > 0 && chain.wake === undefined && !chain.tasks.includes(look)) chain.tasks.push(look)
          const isNew = chain.lease?.token !== lease.token
          const leasedUntil = before + this.#leaseMillis
          Object.assign(chain, { lease, parked, halted, leasedUntil, unconfirmed: chain.unconfirmed || isNew })
          return lease
        }
        chain.lease = undefined
        const wait = Duration.min(exit.value.remaining, patience)
        yield* Effect.raceFirst(Effect.sleep(Duration.max(wait, Duration.millis(1))), Deferred.await(this.#closing))
      }
      return undefined
    })
  }

  /** Works on a delivery; says whether it is to be done again, because the lease was lost and the delivery was not. */
  #deliver(chain: Chain, lease: Parking.Lease, delivery: Broker.Delivery, work: Work): Effect.Effect<boolean> {
    return Effect.gen({ self: this }, function* () {
      if (!delivery.isLive()) return false
      // One that was given out before may be what its process died of. The store counts how often it is begun with, where
      // the broker would count how often it was at hand when another one killed the process.
      if (chain.parked > 0 || delivery.redeliveries > 0) {
        return (yield* this.#park(chain, lease, delivery, work, 0, asItIs(work))) === "lost"
      }
      const isLive = () => delivery.isLive() && this.#holds(chain, lease)
      const decision = yield* this.#attempt(chain, lease, { ...work, isLive })
      switch (decision._tag) {
        case "Done":
          yield* this.#worked(chain, lease, decision.outcome)
          yield* Settling.carryOut(this.#setup, delivery, decision)
          return false
        case "Again":
          return (yield* this.#park(chain, lease, delivery, work, decision.millis, decision)) === "lost"
        case "Dead":
          if (this.#ordering.exhausted === "halt") {
            const ended = { failures: work.history.failures, redeliveries: 0 }
            const parked = yield* this.#park(chain, lease, delivery, work, 0, ended)
            if (parked === "parked") yield* this.#halt(chain, lease, decision)
            return parked === "lost"
          }
          chain.unconfirmed = true
          yield* Settling.carryOut(this.#setup, delivery, decision)
          return false
        case "Return":
          if (!this.#closed && delivery.isLive()) return true
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
            this.#lose(chain, lease)
            return !this.#closed && delivery.isLive() ? "lost" : "gone"
          }
          if (chain.parked++ === 0) this.#wakeIn(chain, millis)
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
    if (chain.returned || work.redeliveries === 0 || lease === undefined || !this.#holds(chain, lease)) {
      return this.#giveBack(chain, delivery)
    }
    return this.#park(chain, lease, delivery, work, 0, asItIs(work))
  }

  #giveBack(chain: Chain, delivery: Broker.Delivery): Effect.Effect<unknown> {
    chain.returned = true
    return Settling.carryOut(this.#setup, delivery, { _tag: "Return" })
  }

  /** Keeps that the key was worked on, where that was not known since its last dead letter. */
  #worked(chain: Chain, lease: Parking.Lease, outcome: string): Effect.Effect<void> {
    if (!chain.unconfirmed || outcome === "duplicate") return Effect.void
    chain.unconfirmed = false
    return Effect.ignore(this.#parking.confirm(lease), { log: "Debug" })
  }

  #attempt(chain: Chain, lease: Parking.Lease, work: Work): Effect.Effect<Decision> {
    const begun = (handling: Handling) => {
      chain.handling = handling
    }
    return Effect.tap(this.#attempts.attempt(work, begun, lease), () =>
      Effect.sync(() => {
        chain.handling = undefined
      })
    )
  }

  #halt(chain: Chain, lease: Parking.Lease, death: Extract<Decision, { readonly _tag: "Dead" }>): Effect.Effect<void> {
    chain.halted = true
    const { name } = this.#setup
    const message = `${name}: key ${chain.key} is halted (${death.reason}): correct the cause, then resume the key`
    const notice = { kind: "alert", integration: name, message, error: death.error, requestId: undefined } as const
    return Effect.logError(message).pipe(
      Effect.andThen(ErrorAction.notify(notice)),
      Effect.andThen(Effect.ignore(this.#parking.halt(lease, `${death.reason}: ${death.error}`), { log: true }))
    )
  }

  #wakeIn(chain: Chain, millis: number): void {
    const { alarm, context } = this.#setup
    if (this.#closed) return
    if (chain.wake !== undefined) alarm.remove(chain.wake)
    const now = this.#now()
    const fire = () => {
      chain.wake = undefined
      chain.tasks.unshift(look)
      this.#start(chain)
    }
    chain.wake = { at: now + millis, place: -1, order: 0, fire }
    alarm.add(chain.wake, now, context)
  }

  /** The first parked message, when it is due. */
  #workOff(chain: Chain, lease: Parking.Lease): Effect.Effect<void> {
    const { read } = this.#setup
    if (chain.halted) return Effect.void
    return Effect.gen({ self: this }, function* () {
      const first = yield* this.#parking.first(lease)
      if (Option.isNone(first)) {
        chain.parked = 0
        return
      }
      const { message, position, remaining } = first.value
      if (Duration.toMillis(remaining) > 0) return this.#wakeIn(chain, Duration.toMillis(remaining))
      const reading = yield* read(message)
      if (reading._tag !== "Known") return yield* this.#bury(chain, lease, position, message, unreadable)
      const history = History.read(message)
      if (history.redeliveries > 0)
        return yield* this.#suspects.withPermits(1)(this.#begin(chain, lease, first.value, reading))
      return yield* this.#begin(chain, lease, first.value, reading)
    }).pipe(
      Effect.catchCause((cause) =>
        Effect.sync(() => {
          this.#session.gate.failed("open", undefined, textOf(problemOf(cause).error))
          this.#wakeIn(chain, 1000)
        })
      )
    )
  }

  /** Works on the first parked message. */
  #begin(
    chain: Chain,
    lease: Parking.Lease,
    { message, position }: Parking.Parked,
    { event, key }: Extract<Reading, { readonly _tag: "Known" }>
  ): Effect.Effect<void, Parking.ParkingError | PublishError> {
    const { context, recorder } = this.#setup
    return Effect.gen({ self: this }, function* () {
      const history = History.read(message)
      // What kills its process would do so for ever, since no broker counts it any more.
      const begun = History.redelivered(message, history.redeliveries + 1)
      if (!(yield* this.#parking.postpone(lease, position, begun, Duration.zero))) return this.#lose(chain, lease)
      const { redeliveries } = history
      const decision = yield* this.#attempt(chain, lease, {
        message,
        event,
        key,
        history,
        redeliveries,
        isLive: () => this.#holds(chain, lease)
      })
      recorder.delivery(`parked: ${decision._tag === "Done" ? decision.outcome : decision._tag}`, context)
      switch (decision._tag) {
        case "Done":
          yield* this.#worked(chain, lease, decision.outcome)
          return yield* this.#next(chain, lease, position)
        case "Dead":
          if (this.#ordering.exhausted === "halt") {
            yield* this.#parking.postpone(lease, position, History.redelivered(message, 0), Duration.zero)
            return yield* this.#halt(chain, lease, decision)
          }
          return yield* this.#bury(chain, lease, position, message, decision)
        case "Return":
          return chain.lease === lease ? yield* this.#again(chain, lease, position, message, 0, history) : undefined
        case "Again":
          return yield* this.#again(chain, lease, position, message, decision.millis, decision)
      }
    })
  }

  #again(
    chain: Chain,
    lease: Parking.Lease,
    position: number,
    message: Broker.Delivery["message"],
    millis: number,
    spent: Settling.Spent
  ): Effect.Effect<void, Parking.ParkingError> {
    return Effect.gen({ self: this }, function* () {
      const headers = yield* Settling.againHeaders(message, spent)
      // The store has one start more than the message in hand.
      const changed = History.redelivered(
        { ...message, headers: { ...message.headers, ...headers } },
        spent.redeliveries
      )
      const held = yield* this.#parking.postpone(lease, position, changed, Duration.millis(millis))
      if (!held) return this.#lose(chain, lease)
      this.#wakeIn(chain, millis)
    })
  }

  #bury(
    chain: Chain,
    lease: Parking.Lease,
    position: number,
    message: Broker.Delivery["message"],
    death: { readonly reason: string; readonly error: string; readonly attempts: number }
  ) {
    const { broker, channel, name } = this.#setup
    return Effect.gen({ self: this }, function* () {
      const headers = yield* Settling.deadHeaders(this.#setup, message, death)
      const letter = { ...message, headers: { ...message.headers, ...headers } }
      yield* broker.deadLetters({ channel, group: name }).add(letter)
      chain.unconfirmed = true
      yield* this.#next(chain, lease, position)
    })
  }

  #next(chain: Chain, lease: Parking.Lease, position: number): Effect.Effect<void, Parking.ParkingError> {
    return Effect.map(this.#parking.remove(lease, position), (held) => {
      if (!held) return this.#lose(chain, lease)
      chain.parked = Math.max(0, chain.parked - 1)
      if (!this.#closed) chain.tasks.unshift(look)
    })
  }

  #lose(chain: Chain, lease: Parking.Lease): void {
    if (chain.lease === lease) chain.lease = undefined
  }
}

/** Nothing was used up, but that a message given out before may have been begun with. */
const asItIs = ({ history, redeliveries }: Work): Settling.Spent => ({
  failures: history.failures,
  redeliveries: Math.min(history.redeliveries + 1, redeliveries)
})

const unreadable = { reason: "invalid", error: "the parked message can no longer be read", attempts: 0 }
