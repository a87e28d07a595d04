import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Option from "../../internal/option.ts"
import type * as Broker from "../../event/Broker.ts"
import { type BrokerError, BrokerUnavailable } from "../../event/BrokerError.ts"
import * as Queues from "../Queues.ts"
import { backoff } from "./connection.ts"
import type { Core, Registered } from "./core.ts"
import { rungFor, rungsOf } from "./delays.ts"
import * as link from "./link.ts"
import { mismatchOf, type Plan } from "./plan.ts"
import { type Delivered, type Host, Session } from "./session.ts"
import { dueOf, encode } from "./wire.ts"
import type { Message } from "../../event/Message.ts"

/** Before a message that could not go round again is given back, so that it does not run in a circle. */
const pause = 1000

/** Milliseconds without a message after which a queue is taken to have none that was redelivered. */
const calm = 500

/** A subscription: a session for each partition, set up again for as long as the scope is open. */
export const subscribe = Effect.fnUntraced(function* (
  core: Core,
  subscription: Broker.Subscription
): Effect.fn.Return<Queue.Dequeue<Broker.Delivery>, BrokerError, Scope.Scope> {
  const { channel, group } = subscription
  const { settings } = core
  Option.number("Broker.subscribe", "prefetch", subscription.prefetch, { min: channel.partitions, integer: true })
  const prefetch = Math.min(65_535, Math.floor(subscription.prefetch / channel.partitions))
  const rungs = rungsOf(subscription.delays)
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const fork = Effect.runForkWith(context)
  const scope = yield* Effect.scope
  const queues = Queues.queuesOf(channel, group)
  const plans: ReadonlyArray<Plan> = [core.plans.group(channel, group), core.plans.delays(channel, group, rungs)]
  // Delays that nobody has announced are prepared when they are needed.
  const announced = subscription.delays.length === 0 ? plans.slice(0, 1) : plans
  const ensure = Effect.forEach(announced, (plan) => plan.ensure, { discard: true })
  const sessions: Array<Session | undefined> = queues.map(() => undefined)
  const problems: Array<string | undefined> = queues.map(() => undefined)
  const endings = new Map<Session, (problem: string) => void>()
  const deliveries = yield* Queue.unbounded<Delivered>()

  const send = (partition: number, message: Message, where: "dead" | number) => {
    const hop = where === "dead" ? undefined : rungFor(rungs, where)
    const queue =
      hop === undefined ? Queues.deadQueueOf(channel, group) : Queues.delayQueueOf(channel, group, partition, hop.rung)
    const due = hop?.again === true ? clock.currentTimeMillisUnsafe() + (where as number) : undefined
    const plan = plans[hop === undefined ? 0 : 1]!
    const target = { channel: channel.name, exchange: "", routingKey: queue, plan }
    return core.publisher.publish(target, () => encode(message, { copy: true, user: settings.user(), due }))
  }

  /** A message whose delay is longer than any queue's goes round until it is due. */
  const goRound = (delivery: Delivered, millis: number): void => {
    const round = Effect.matchEffect(send(delivery.session.partition, delivery.message, millis), {
      onSuccess: () => delivery.settle({ _tag: "Ack" }),
      onFailure: () => Effect.andThen(Effect.sleep(pause), delivery.settle({ _tag: "Requeue" }))
    })
    fork(round)
  }

  const host: Host = {
    base: Queues.baseOf(channel, group),
    prefetch,
    // A quorum queue puts what is given back behind what was given back earlier. So where the order counts all of it is
    // taken at once: one that is tried alone, and given back alone, would come after its successors.
    probation: prefetch > 1 && channel.ordering._tag !== "Strict",
    deliver: (delivery) => {
      const due = dueOf(delivery.raw)
      const millis = due === undefined ? 0 : due - clock.currentTimeMillisUnsafe()
      if (millis > 0) goRound(delivery, millis)
      else Queue.offerUnsafe(deliveries, delivery)
    },
    move: (partition, message, settlement) => {
      const moved = { ...message, headers: { ...message.headers, ...settlement.headers } }
      const where = settlement._tag === "DeadLetter" ? "dead" : Duration.toMillis(settlement.after)
      return Effect.match(send(partition, moved, where), { onSuccess: () => true, onFailure: () => false })
    },
    ended: (session, problem) => {
      problems[session.partition] = settings.scrub(problem)
      if (sessions[session.partition] === session) sessions[session.partition] = undefined
      endings.get(session)?.(problem)
      fork(dropLate)
    }
  }

  /** What was delivered by a session that is gone and not taken yet would only be handled in vain. */
  const dropLate = Effect.map(Queue.clear(deliveries), (untaken) => {
    for (const delivery of untaken) if (delivery.isLive()) Queue.offerUnsafe(deliveries, delivery)
  })

  const setUp = (partition: number): Effect.Effect<Session, BrokerError> => {
    const queue = queues[partition]!
    const asError = (failure: link.Failure): BrokerError => {
      const text = settings.scrub(failure.text)
      const mismatch = mismatchOf({ _tag: "QueueIsThere", name: queue }, { ...failure, text })
      return mismatch ?? new BrokerUnavailable({ operation: `subscribe to ${queue}`, description: text })
    }
    return Effect.gen(function* () {
      yield* ensure
      const connected = yield* core.consuming.connected
      const holder: { session?: Session } = {}
      const opened = yield* Effect.mapError(
        link.openChannel(connected, { closed: (failure) => holder.session?.closed(failure) }),
        asError
      )
      const made = new Session(host, partition, queue, opened)
      holder.session = made
      yield* onProbation(made)
      return yield* link
        .request<void>((done) => made.start((error) => done(error, undefined)))
        .pipe(
          Effect.mapError(asError),
          Effect.as(made),
          Effect.onExit((exit) => (exit._tag === "Success" ? Effect.void : link.closeChannel(opened)))
        )
    })
  }

  /**
   * Of a process that has died, each partition would give out one message at once, and all would count as redelivered when
   * it dies again. So only one session at a time tries what is waiting, until a fresh message comes, or none for a while.
   */
  const onProbation = Effect.fnUntraced(function* (session: Session) {
    const waiting = yield* Effect.exit(
      link.request<{ readonly messageCount: number }>((done) => session.channel.checkQueue(session.queue, done))
    )
    if (!host.probation || waiting._tag === "Failure" || waiting.value.messageCount === 0) return
    const quiet = Effect.gen(function* () {
      for (let seen = -1; session.open;) {
        yield* Effect.sleep(calm)
        if (seen === session.arrivals && session.acks.open === 0) return
        seen = session.arrivals
      }
    })
    const until = Effect.raceFirst(Deferred.await(session.cleared), quiet)
    const ended = Effect.ensuring(Effect.interruptible(until), core.probation.release(1))
    yield* Effect.uninterruptibleMask((restore) =>
      Effect.andThen(restore(core.probation.take(1)), Effect.forkIn(ended, scope, { startImmediately: true }))
    )
  })

  const over = (session: Session): Effect.Effect<string> =>
    Effect.callback((resume) => {
      if (!session.open) return resume(Effect.succeed("closed"))
      endings.set(session, (problem) => resume(Effect.succeed(problem)))
      return Effect.sync(() => void endings.delete(session))
    })

  const firsts = queues.map(() => Deferred.makeUnsafe<void, BrokerError>())
  const keep = Effect.fnUntraced(function* (partition: number) {
    let attempt = 0
    while (true) {
      const exit: Exit.Exit<Session, BrokerError> = yield* Effect.exit(setUp(partition))
      if (exit._tag === "Success") {
        const session = exit.value
        attempt = 0
        if (session.open) {
          problems[partition] = undefined
          sessions[partition] = session
        }
        Deferred.doneUnsafe(firsts[partition]!, Effect.void)
        yield* over(session)
        endings.delete(session)
        for (const plan of plans) plan.forget()
        yield* link.closeChannel(session.channel)
      } else {
        Deferred.doneUnsafe(firsts[partition]!, Effect.asVoid(exit))
        const failed = exit.cause.reasons.find((reason) => reason._tag === "Fail")
        problems[partition] = failed === undefined ? "could not be set up" : failed.error.message
      }
      yield* Effect.sleep(yield* backoff(settings, attempt++))
    }
  })

  const stop = Effect.gen(function* () {
    const open = sessions.filter((session) => session !== undefined)
    const ordered = channel.ordering._tag === "Strict" || channel.partitions > 1
    for (const session of open) session.stop(ordered)
    const untaken = yield* Queue.clear(deliveries)
    for (const delivery of untaken) {
      if (ordered) delivery.keep()
      else delivery.giveBack()
    }
    yield* Queue.shutdown(deliveries)
    const settled = Effect.forEach(
      open,
      (session) => Effect.callback<void>((resume) => session.acks.whenIdle(() => resume(Effect.void))),
      { discard: true }
    )
    yield* Effect.timeoutOption(settled, subscription.drain)
    for (const session of open) {
      if (!session.open) continue
      session.acks.flush()
      session.open = false
    }
    yield* Effect.forEach(open, (session) => link.closeChannel(session.channel), { concurrency: 16, discard: true })
  })

  yield* Effect.timeoutOrElse(ensure, {
    duration: settings.connectTimeout,
    orElse: () =>
      Effect.fail(
        new BrokerUnavailable({
          operation: `subscribe to ${channel.name}`,
          description: core.consuming.problem ?? "no answer in time"
        })
      )
  })
  const registered: Registered = {
    channel: channel.name,
    group,
    wanted: queues.length,
    present: () => sessions.filter((session) => session?.open === true).length,
    problem: () => problems.find((problem) => problem !== undefined)
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => void core.subscriptions.add(registered)),
    () => Effect.sync(() => void core.subscriptions.delete(registered))
  )
  yield* Effect.addFinalizer(() => stop)
  yield* Effect.forEach(queues, (_, partition) => Effect.forkScoped(keep(partition)), { discard: true })
  yield* Effect.timeoutOption(
    Effect.forEach(firsts, (first) => Deferred.await(first), { discard: true }),
    settings.connectTimeout
  )
  return deliveries
})
