import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Entry } from "../../internal/alarm.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as Broker from "../Broker.ts"
import type * as Ordering from "../Ordering.ts"
import type * as Parking from "../Parking.ts"
import type { Attempts, Decision } from "./attempt.ts"
import { problemOf } from "./decision.ts"
import * as History from "./history.ts"
import { textOf } from "./report.ts"
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
    this.#group = groupOf(setup.channel.name, setup.name)
    this.#leaseMillis = Duration.toMillis(setup.lease)
  }

  deliver(key: string, delivery: Broker.Delivery, work: Work): void {
    this.#add(key, { _tag: "Delivered", delivery, work })
  }

  /** Keys that were parked by others, or before this process began. */
  get lookOut(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.#session.gate.isOpen) return Effect.void
      return Effect.match(this.#parking.due(this.#group, lookout), {
        onSuccess: (keys) => {
          for (const key of keys) if (!this.#chains.has(key)) this.#add(key, look)
        },
        onFailure: (error) => void this.#session.gate.failed("open", undefined, textOf(error))
      })
    })
  }

  /** Prolongs the leases of keys that are worked on, and gives up those of idle and of halted keys. */
  get renew(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const held = Array.from(this.#chains.values()).filter((chain) => chain.lease !== undefined)
      const busy = held.filter((chain) => chain.running && !chain.halted)
      const idle = held.filter((chain) => !chain.running)
      const before = this.#now()
      const lost = yield* this.#parking.renew(
        busy.map((chain) => chain.lease!),
        this.#setup.lease
      )
      const lostTokens = new Set(lost.map((lease) => lease.token))
      for (const chain of busy) {
        if (chain.lease === undefined) continue
        if (lostTokens.has(chain.lease.token)) {
          chain.lease = undefined
          chain.handling?.stop("lost")
        } else chain.leasedUntil = before + this.#leaseMillis
      }
      const idleLeases = idle.flatMap((chain) => (chain.running ? [] : [this.#forget(chain)]))
      yield* this.#parking.release(idleLeases)
    }).pipe(Effect.ignore({ log: "Debug" }))
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
        const lease = this.#closed ? undefined : yield* this.#hold(chain)
        if (lease === undefined) {
          if (task._tag === "Delivered") yield* Settling.carryOut(this.#setup, task.delivery, { _tag: "Return" })
        } else if (task._tag === "Look") yield* this.#workOff(chain, lease)
        else yield* this.#deliver(chain, lease, task.delivery, task.work)
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
        const before = this.#now()
        const exit = yield* Effect.exit(this.#parking.acquire(this.#group, chain.key, this.#owner, this.#setup.lease))
        if (exit._tag === "Failure") {
          const entrance = gate.isOpen ? "open" : yield* gate.enter(Infinity)
          gate.failed(entrance, undefined, textOf(problemOf(exit.cause).error))
          gate.undecided(yield* gate.enter(Infinity))
          continue
        }
        if (exit.value._tag === "Acquired") {
          const { halted, lease, parked } = exit.value
          if (parked > 0 && chain.wake === undefined && !chain.tasks.includes(look)) chain.tasks.push(look)
          Object.assign(chain, { lease, parked, halted, leasedUntil: before + this.#leaseMillis })
          return lease
        }
        chain.lease = undefined
        const wait = Duration.min(exit.value.remaining, patience)
        yield* Effect.raceFirst(Effect.sleep(Duration.max(wait, Duration.millis(1))), Deferred.await(this.#closing))
      }
      return undefined
    })
  }

  #deliver(chain: Chain, lease: Parking.Lease, delivery: Broker.Delivery, work: Work): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      if (!delivery.isLive()) return
      if (chain.parked > 0) return yield* this.#park(chain, lease, delivery, work, 0, work.history.failures)
      const isLive = () => delivery.isLive() && this.#holds(chain, lease)
      const decision = yield* this.#attempt(chain, lease, { ...work, isLive })
      if (decision._tag === "Again") {
        return yield* this.#park(chain, lease, delivery, work, decision.millis, decision.failures)
      }
      if (decision._tag === "Dead" && this.#ordering.exhausted === "halt") {
        const parked = yield* this.#park(chain, lease, delivery, work, 0, decision.attempts)
        return parked ? yield* this.#halt(chain, lease, decision) : undefined
      }
      yield* Settling.carryOut(this.#setup, delivery, decision)
    })
  }

  /** Parks a delivery behind those of its key. Where the lease or the store is gone, it goes back to the broker. */
  #park(
    chain: Chain,
    lease: Parking.Lease,
    delivery: Broker.Delivery,
    work: Work,
    millis: number,
    failures: number
  ): Effect.Effect<boolean> {
    return Effect.gen({ self: this }, function* () {
      const headers = yield* Settling.againHeaders(work.message, failures)
      const message = { ...work.message, headers: { ...work.message.headers, ...headers } }
      const parked = yield* Effect.exit(this.#parking.park(lease, work.event, message, Duration.millis(millis)))
      if (parked._tag === "Failure" || !parked.value) {
        if (parked._tag === "Success") chain.lease = undefined
        else this.#session.gate.failed("open", undefined, textOf(problemOf(parked.cause).error))
        yield* Settling.carryOut(this.#setup, delivery, { _tag: "Return" })
        return false
      }
      if (chain.parked++ === 0) this.#wakeIn(chain, millis)
      yield* Settling.settle(this.#setup, delivery, Broker.Settlement.Ack(), "parked")
      return true
    })
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
    const halted = Effect.logError(
      `${name}: key ${chain.key} is halted (${death.reason}): correct the cause, then resume the key`
    )
    return Effect.andThen(
      halted,
      Effect.ignore(this.#parking.halt(lease, `${death.reason}: ${death.error}`), { log: true })
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
    const { maxRedeliveries, read, recorder, context } = this.#setup
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
      // What kills its process would do so for ever, since no broker counts it any more.
      const begun = History.started(message, history.starts + 1)
      if (!(yield* this.#parking.postpone(lease, position, begun, Duration.zero))) return this.#lose(chain)
      const { event, key } = reading
      const redeliveries = Math.min(history.starts, maxRedeliveries)
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
          return yield* this.#next(chain, this.#parking.remove(lease, position))
        case "Dead":
          if (this.#ordering.exhausted === "halt") return yield* this.#halt(chain, lease, decision)
          return yield* this.#bury(chain, lease, position, message, decision)
        case "Return":
          return chain.lease === lease
            ? yield* this.#again(chain, lease, position, message, 0, history.failures)
            : undefined
        case "Again":
          return yield* this.#again(chain, lease, position, message, decision.millis, decision.failures)
      }
    }).pipe(
      Effect.catchCause((cause) =>
        Effect.sync(() => {
          this.#session.gate.failed("open", undefined, textOf(problemOf(cause).error))
          this.#wakeIn(chain, 1000)
        })
      )
    )
  }

  #again(
    chain: Chain,
    lease: Parking.Lease,
    position: number,
    message: Broker.Delivery["message"],
    millis: number,
    failures: number
  ): Effect.Effect<void, Parking.ParkingError> {
    return Effect.gen({ self: this }, function* () {
      const headers = yield* Settling.againHeaders(message, failures)
      const changed = History.started({ ...message, headers: { ...message.headers, ...headers } }, 0)
      const held = yield* this.#parking.postpone(lease, position, changed, Duration.millis(millis))
      if (!held) return this.#lose(chain)
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
      const letter = History.started({ ...message, headers: { ...message.headers, ...headers } }, 0)
      yield* broker.deadLetters({ channel, group: name }).add(letter)
      yield* this.#next(chain, this.#parking.remove(lease, position))
    })
  }

  #next(
    chain: Chain,
    removed: Effect.Effect<boolean, Parking.ParkingError>
  ): Effect.Effect<void, Parking.ParkingError> {
    return Effect.map(removed, (held) => {
      if (!held) return this.#lose(chain)
      chain.parked = Math.max(0, chain.parked - 1)
      if (!this.#closed) chain.tasks.unshift(look)
    })
  }

  #lose(chain: Chain): void {
    chain.lease = undefined
  }
}

/** What the store knows the consumers of a channel by. */
export const groupOf = (channel: string, group: string): string => `${channel}/${group}`

const unreadable = { reason: "invalid", error: "the parked message can no longer be read", attempts: 0 }
