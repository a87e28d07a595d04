import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type { PublishError } from "../BrokerError.ts"
import type { Message } from "../Message.ts"
import type * as Ordering from "../Ordering.ts"
import type * as Parking from "../Parking.ts"
import type { Attempts } from "./attempt.ts"
import { attemptOn, type Chain, type Chains, look } from "./chains.ts"
import { problemOf } from "./decision.ts"
import * as History from "./history.ts"
import type { Reading } from "./reader.ts"
import { textOf } from "./report.ts"
import * as Settling from "./settling.ts"
import type { Session, Setup } from "./setup.ts"
import { recordedWith } from "./synthetic.ts"

/** Works off the parked messages of a key, in their order. */
export class Parked {
  readonly #setup: Setup
  readonly #session: Session
  readonly #attempts: Attempts
  readonly #parking: Parking.Parking["Service"]
  readonly #ordering: Ordering.Strict
  readonly #chains: Chains
  /** Messages that a process may have died of are begun with one at a time, so that each is counted for itself. */
  readonly #suspects = Semaphore.makeUnsafe(1)
  constructor(
    setup: Setup,
    session: Session,
    attempts: Attempts,
    parking: Parking.Parking["Service"],
    ordering: Ordering.Strict,
    chains: Chains
  ) {
    this.#setup = setup
    this.#session = session
    this.#attempts = attempts
    this.#parking = parking
    this.#ordering = ordering
    this.#chains = chains
  }

  /** The first parked message, when it is due. */
  workOff(chain: Chain, lease: Parking.Lease): Effect.Effect<void> {
    const { read } = this.#setup
    if (chain.halted) return Effect.void
    return Effect.gen({ self: this }, function* () {
      const first = yield* this.#parking.first(lease)
      if (Option.isNone(first)) {
        chain.parked = 0
        return
      }
      const { message, position, remaining } = first.value
      if (Duration.toMillis(remaining) > 0) return this.#chains.wakeIn(chain, Duration.toMillis(remaining))
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
          this.#chains.wakeIn(chain, 1000)
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
    const { recorder } = this.#setup
    const context = recordedWith(this.#setup, event)
    return Effect.gen({ self: this }, function* () {
      const history = History.read(message)
      // What kills its process would do so for ever, since no broker counts it any more.
      const begun = History.redelivered(message, history.redeliveries + 1)
      if (!(yield* this.#parking.postpone(lease, position, begun, Duration.zero)))
        return this.#chains.lose(chain, lease)
      const { redeliveries } = history
      const decision = yield* attemptOn(chain, this.#attempts, lease, {
        message,
        event,
        key,
        history,
        redeliveries,
        isLive: () => this.#chains.holds(chain, lease)
      })
      recorder.delivery(`parked: ${decision._tag === "Done" ? decision.outcome : decision._tag}`, context)
      switch (decision._tag) {
        case "Done":
          yield* this.#chains.worked(chain, lease, decision.outcome)
          return yield* this.#next(chain, lease, position)
        case "Dead":
          if (this.#ordering.exhausted === "halt") {
            yield* this.#parking.postpone(lease, position, History.redelivered(message, 0), Duration.zero)
            return yield* this.#chains.halt(chain, lease, decision)
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
    message: Message,
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
      if (!held) return this.#chains.lose(chain, lease)
      this.#chains.wakeIn(chain, millis)
    })
  }

  #bury(
    chain: Chain,
    lease: Parking.Lease,
    position: number,
    message: Message,
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
      if (!held) return this.#chains.lose(chain, lease)
      chain.parked = Math.max(0, chain.parked - 1)
      if (!this.#chains.closed) chain.tasks.unshift(look)
    })
  }
}

const unreadable = { reason: "invalid", error: "the parked message can no longer be read", attempts: 0 }
