import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Entry } from "../../internal/alarm.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import type * as Broker from "../Broker.ts"
import * as Parking from "../Parking.ts"
import { type Attempts, type Decision, isDone } from "./attempt.ts"
import { problemOf } from "./decision.ts"
import { textOf } from "./report.ts"
import type { Handling, Session, Setup, Work } from "./setup.ts"

/** Something to do for a key: a delivery, or a look at its parked messages. */
export type Task = { readonly _tag: "Delivered"; readonly delivery: Broker.Delivery; readonly work: Work } | Look
interface Look {
  readonly _tag: "Look"
}
export const look: Look = { _tag: "Look" }

/** What this process knows of a key. */
export interface Chain {
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

/** Attempts a message of a chain, under its lease: where that is lost, the handler is stopped. */
export const attemptOn = (
  chain: Chain,
  attempts: Attempts,
  lease: Parking.Lease,
  work: Work
): Effect.Effect<Decision> => {
  const begun = (handling: Handling) => {
    chain.handling = handling
  }
  const decision = attempts.attempt(work, begun, lease)
  return decision === isDone ? isDone : ended(chain, decision)
}

const ended = (chain: Chain, decision: Effect.Effect<Decision>): Effect.Effect<Decision> =>
  Effect.map(decision, (decision) => {
    chain.handling = undefined
    return decision
  })

/**
 * What waits per key, and the leases of the keys: while this process holds the lease of a key, nobody else works on it.
 */
export class Chains {
  readonly #setup: Setup
  readonly #session: Session
  readonly #parking: Parking.Parking["Service"]
  readonly #owner: string
  readonly #run: (chain: Chain) => void
  readonly #group: string
  readonly #leaseMillis: number
  readonly #chains = new Map<string, Chain>()
  readonly #closing = Deferred.makeUnsafe<void>()
  /** Whether nothing is begun with any more. */
  closed = false
  /** `run` works on the tasks of a chain until there are none. */
  constructor(
    setup: Setup,
    session: Session,
    parking: Parking.Parking["Service"],
    owner: string,
    run: (chain: Chain) => void
  ) {
    this.#setup = setup
    this.#session = session
    this.#parking = parking
    this.#owner = owner
    this.#run = run
    this.#group = Parking.groupOf(setup.channel, setup.name)
    this.#leaseMillis = setup.leaseMillis
  }

  add(key: string, task: Task): void {
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
    this.#run(chain)
  }

  /** Says that the tasks of a chain are done. */
  rest(chain: Chain): void {
    chain.running = false
    // Without a lease there is nothing worth remembering.
    if (chain.lease === undefined && chain.wake === undefined) this.#chains.delete(chain.key)
  }

  wakeIn(chain: Chain, millis: number): void {
    const { alarm, context } = this.#setup
    if (this.closed) return
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

  /** The lease of the key, asked for until it is there; `undefined` where the consumer ends first. */
  hold(chain: Chain): Effect.Effect<Parking.Lease | undefined> {
    const { gate } = this.#session
    return Effect.gen({ self: this }, function* () {
      while (!this.closed) {
        if (chain.lease !== undefined && this.holds(chain, chain.lease)) return chain.lease
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

  /** Whether the lease is surely held: a process that was stalled finds that its time is over. */
  holds(chain: Chain, lease: Parking.Lease): boolean {
    return chain.lease === lease && this.#now() < chain.leasedUntil
  }

  lose(chain: Chain, lease: Parking.Lease): void {
    if (chain.lease === lease) chain.lease = undefined
  }

  /** Keys that were parked by others, or before this process began. */
  get lookOut(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#session.gate.isPaused || this.closed) return Effect.void
      return Effect.match(this.#parking.due(this.#group, lookout), {
        onSuccess: (keys) => {
          for (const key of keys) if (!this.#chains.has(key)) this.add(key, look)
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

  /** Keeps that the key was worked on, where that was not known since its last dead letter. */
  worked(chain: Chain, lease: Parking.Lease, outcome: string): Effect.Effect<void> {
    if (!chain.unconfirmed || outcome === "duplicate") return Effect.void
    chain.unconfirmed = false
    return Effect.ignore(this.#parking.confirm(lease), { log: "Debug" })
  }

  halt(chain: Chain, lease: Parking.Lease, death: Extract<Decision, { readonly _tag: "Dead" }>): Effect.Effect<void> {
    chain.halted = true
    const { name } = this.#setup
    const message = `${name}: key ${chain.key} is halted (${death.reason}): correct the cause, then resume the key`
    const notice = { kind: "alert", integration: name, message, error: death.error, requestId: undefined } as const
    return Effect.logError(message).pipe(
      Effect.andThen(ErrorAction.notify(notice)),
      Effect.andThen(Effect.ignore(this.#parking.halt(lease, `${death.reason}: ${death.error}`), { log: true }))
    )
  }

  #forget(chain: Chain): Parking.Lease {
    if (chain.wake !== undefined) this.#setup.alarm.remove(chain.wake)
    this.#chains.delete(chain.key)
    return chain.lease!
  }

  /** What waits is not begun with any more. */
  close(): void {
    this.closed = true
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
}
