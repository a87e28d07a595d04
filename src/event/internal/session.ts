import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { monotonicMillis } from "../../internal/monotonic.ts"
import type * as Broker from "../Broker.ts"
import type { BrokerError } from "../BrokerError.ts"
import { Attempts } from "./attempt.ts"
import * as Claims from "./claims.ts"
import { Gate } from "./gate.ts"
import * as History from "./history.ts"
import { Keyed } from "./keyed.ts"
import { report, textOf } from "./report.ts"
import * as Settling from "./settling.ts"
import type { Handling, Session, Setup, Work } from "./setup.ts"

/** How often parked messages of others are looked for. */
const lookOutEvery = "1 second"

/** What a running consumer shows of itself. */
export interface Running {
  readonly gate: Gate
  readonly handling: ReadonlySet<Handling>
}

/**
 * Consumes for as long as the scope is open. When it closes, no message is begun with any more, those in hand are ended
 * and settled within the time to drain, and what is left then is interrupted and goes back to the broker.
 */
export const run = (
  setup: Setup,
  options: {
    readonly prefetch: number
    readonly drain: Duration.Duration
    readonly owner: string
    readonly outage: (reason: string | undefined) => void
  }
): Effect.Effect<Running, BrokerError, Scope.Scope> =>
  Effect.gen(function* () {
    const { broker, channel, context, dedup, name, parking, retry, store } = setup
    const gate = new Gate(setup.alarm, context as never, options.outage)
    const handling = new Set<Handling>()
    const session: Session = { gate, handling }
    const attempts = new Attempts(setup, session)
    const processes = new Processes()
    const { ordering } = channel
    const keyed =
      ordering._tag === "Strict" && parking !== undefined
        ? new Keyed(setup, session, attempts, parking, ordering, options.owner, (work) => processes.fork(setup, work))
        : undefined
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        for (const each of Array.from(handling)) each.stop("lost")
        return Effect.andThen(processes.ended, keyed?.releaseAll ?? Effect.void)
      })
    )
    // They go on while what is in hand is ended.
    if (dedup?.mode === "claimed" && store !== undefined) {
      yield* Effect.forkScoped(Claims.renew(setup, store, attempts.claims))
    }
    if (keyed !== undefined) {
      const renewed = Effect.andThen(Effect.sleep(Duration.times(setup.lease, 1 / 3)), keyed.renew)
      yield* Effect.forkScoped(Effect.forever(renewed))
    }
    // What was parked is settled at the broker already, which does not wait for it.
    let closingAt = 0
    yield* Effect.addFinalizer(() => {
      const left = closingAt + Duration.toMillis(options.drain) - monotonicMillis(setup.alarm.clock)
      return Effect.asVoid(Effect.timeoutOption(processes.ended, Math.max(left, 0)))
    })
    const queue = yield* broker.subscribe({
      channel,
      group: name,
      prefetch: options.prefetch,
      // A message of a strict order is parked, and not delayed by the broker.
      delays: keyed === undefined ? (retry?.delays ?? []) : [],
      drain: options.drain
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closingAt = monotonicMillis(setup.alarm.clock)
        keyed?.close()
        gate.close()
      })
    )

    /** What the broker gave out, read; `undefined` where it is settled with that. */
    const read = Effect.fnUntraced(function* (delivery: Broker.Delivery) {
      const { message } = delivery
      const reading = yield* setup.read(message)
      const history = History.read(message)
      if (reading._tag === "Known" && setup.handlers[reading.event.type] !== undefined) {
        const { event, key } = reading
        const work: Work = {
          message,
          event,
          key,
          history,
          redeliveries: delivery.redeliveries + history.redeliveries,
          isLive: delivery.isLive
        }
        return work
      }
      if (reading._tag === "Invalid") {
        const { action, error } = { action: reading.error.errorAction, error: reading.error }
        const attempt = history.failures + 1
        yield* report(
          name,
          reading.event,
          { action, error },
          { what: "goes to the dead letters (invalid)", attempt, ends: true }
        )
        yield* Settling.carryOut(setup, delivery, {
          _tag: "Dead",
          reason: "invalid",
          error: textOf(error),
          attempts: attempt
        })
        return undefined
      }
      if (channel.unknownEvents === "ignore") {
        yield* Settling.carryOut(setup, delivery, { _tag: "Done", outcome: "ignored" })
        return undefined
      }
      const error = `no handler for events of type ${reading.event.type}`
      yield* Effect.logError(
        `${name}: event ${reading.event.id} of ${reading.event.source} goes to the dead letters: ${error}`
      )
      yield* Settling.carryOut(setup, delivery, { _tag: "Dead", reason: "unknown-type", error, attempts: 1 })
      return undefined
    })

    const handle = (delivery: Broker.Delivery): Effect.Effect<unknown> =>
      Effect.flatMap(read(delivery), (work) =>
        work === undefined
          ? Effect.void
          : Effect.flatMap(attempts.attempt(work), (decision) => Settling.carryOut(setup, delivery, decision))
      )
    const take =
      keyed === undefined
        ? (delivery: Broker.Delivery) => Effect.sync(() => processes.fork(setup, handle(delivery)))
        : (delivery: Broker.Delivery) =>
            // One after another, so that the order is that of the queue.
            Effect.map(read(delivery), (work) => {
              if (work !== undefined) keyed.deliver(work.key!, delivery, work)
            })
    // What was taken from the queue is handed on, whatever comes between.
    const intake = Effect.uninterruptibleMask((restore) =>
      Effect.forever(
        Effect.flatMap(restore(Queue.takeAll(queue)), (deliveries) =>
          Effect.forEach(deliveries, take, { discard: true })
        )
      )
    )
    yield* Effect.forkScoped(Effect.provideContext(intake, context))
    if (keyed !== undefined) {
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(keyed.lookOut, Effect.sleep(lookOutEvery))))
    }
    return { gate, handling }
  })

/** The messages that are being worked on. */
class Processes {
  readonly #fibers = new Set<Fiber.Fiber<unknown>>()
  fork(setup: Setup, process: Effect.Effect<unknown>): void {
    const fiber = Effect.runForkWith(setup.context)(Effect.uninterruptible(process))
    if (fiber.pollUnsafe() !== undefined) return
    this.#fibers.add(fiber)
    fiber.addObserver(() => this.#fibers.delete(fiber))
  }
  get ended(): Effect.Effect<void> {
    return Effect.suspend(() => Effect.asVoid(Fiber.awaitAll(Array.from(this.#fibers))))
  }
}
