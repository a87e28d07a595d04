import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { monotonicMillis } from "../../internal/monotonic.ts"
import type * as Broker from "../Broker.ts"
import type { BrokerError } from "../BrokerError.ts"
import { Attempts, type Decision, isDone } from "./attempt.ts"
import * as Claims from "./claims.ts"
import { Gate } from "./gate.ts"
import * as History from "./history.ts"
import { Keyed } from "./keyed.ts"
import { Processes } from "./processes.ts"
import type { Reading } from "./reader.ts"
import { report, textOf } from "./report.ts"
import * as Settling from "./settling.ts"
import type { Handling, Session, Setup, Work } from "./setup.ts"
import { isSynthetic } from "./synthetic.ts"

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
    const processes = new Processes(setup)
    const { ordering } = channel
    const keyed =
      ordering._tag === "Strict" && parking !== undefined
        ? new Keyed(setup, session, attempts, parking, ordering, options.owner, processes)
        : undefined
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        for (const each of Array.from(handling)) each.stop("lost")
        setup.inHand.clear()
        return Effect.andThen(processes.ended, keyed?.chains.releaseAll ?? Effect.void)
      })
    )
    // They go on while what is in hand is ended.
    if (dedup?.mode === "claimed" && store !== undefined) {
      yield* Effect.forkScoped(Claims.renew(setup, store, attempts.claims))
    }
    if (keyed !== undefined) {
      const renewed = Effect.andThen(Effect.sleep(Duration.times(setup.lease, 1 / 3)), keyed.chains.renew)
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
        keyed?.chains.close()
        gate.close()
      })
    )

    /** Settles what no handler is there for. */
    const settleUnhandled = Effect.fnUntraced(function* (delivery: Broker.Delivery, reading: Reading) {
      if (reading.event !== undefined && isSynthetic(reading.event)) setup.unrecorded.add(delivery)
      if (reading._tag === "Invalid") {
        const { error, event } = reading
        const attempt = History.read(delivery.message).failures + 1
        const what = "goes to the dead letters (invalid)"
        yield* report(name, event, { action: error.errorAction, error }, { what, attempt, ends: true })
        const dead = { _tag: "Dead", reason: "invalid", error: textOf(error), attempts: attempt } as const
        return yield* Settling.carryOut(setup, delivery, dead)
      }
      if (channel.unknownEvents === "ignore") {
        return yield* Settling.carryOut(setup, delivery, { _tag: "Done", outcome: "ignored" })
      }
      const { id, source, type } = reading.event
      const error = `no handler for events of type ${type}`
      yield* Effect.logError(`${name}: event ${id} of ${source} goes to the dead letters: ${error}`)
      return yield* Settling.carryOut(setup, delivery, { _tag: "Dead", reason: "unknown-type", error, attempts: 1 })
    })

    const finish = (delivery: Broker.Delivery, decision: Effect.Effect<Decision>): Effect.Effect<unknown> =>
      Effect.flatMap(decision, (decision) => Settling.carryOut(setup, delivery, decision))
    const handleRead = (delivery: Broker.Delivery, reading: Reading): Effect.Effect<unknown> => {
      if (reading._tag !== "Known" || setup.handlers[reading.event.type] === undefined) {
        return settleUnhandled(delivery, reading)
      }
      const decision = attempts.attempt(workOf(setup, delivery, reading))
      return decision === isDone ? Settling.acknowledge(setup, delivery) : finish(delivery, decision)
    }
    const handle = (delivery: Broker.Delivery): Effect.Effect<unknown> => {
      const rest = Effect.flatMapEager(setup.read(delivery.message), (reading) => handleRead(delivery, reading))
      if (rest !== Settling.isDone) setup.inHand.add(delivery)
      return rest
    }
    const begin =
      keyed === undefined
        ? (deliveries: ReadonlyArray<Broker.Delivery>) =>
            Effect.sync(() => {
              for (const delivery of deliveries) processes.begin(handle, delivery)
            })
        : (deliveries: ReadonlyArray<Broker.Delivery>) => {
            for (const delivery of deliveries) setup.inHand.add(delivery)
            // One after another, so that the order is that of the queue.
            return inTurn(deliveries, (delivery) =>
              Effect.flatMapEager(setup.read(delivery.message), (reading) => {
                if (reading._tag !== "Known" || setup.handlers[reading.event.type] === undefined) {
                  return settleUnhandled(delivery, reading)
                }
                keyed.deliver(reading.key!, delivery, workOf(setup, delivery, reading))
                return Effect.void
              })
            )
          }
    // What was taken from the queue is handed on, whatever comes between.
    const intake = Effect.uninterruptibleMask((restore) =>
      Effect.forever(Effect.flatMap(restore(Queue.takeAll(queue)), begin))
    )
    yield* Effect.forkScoped(Effect.provideContext(intake, context))
    if (keyed !== undefined) {
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(keyed.chains.lookOut, Effect.sleep(lookOutEvery))))
    }
    return { gate, handling }
  })

const workOf = (
  setup: Setup,
  delivery: Broker.Delivery,
  { event, key }: Extract<Reading, { readonly _tag: "Known" }>
): Work => {
  const { isLive, message } = delivery
  if (isSynthetic(event)) setup.unrecorded.add(delivery)
  const history = History.read(message)
  return { message, event, key, history, redeliveries: delivery.redeliveries + history.redeliveries, isLive }
}

const inTurn = <A>(all: ReadonlyArray<A>, process: (each: A) => Effect.Effect<unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    let next = 0
    return Effect.whileLoop({ while: () => next < all.length, body: () => process(all[next++]!), step: () => {} })
  })
