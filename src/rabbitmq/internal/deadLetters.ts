import type * as amqp from "amqplib/callback_api"
import * as Effect from "effect/Effect"
import type * as Broker from "../../event/Broker.ts"
import { type BrokerError, BrokerUnavailable, type PublishError } from "../../event/BrokerError.ts"
import * as Channel from "../../event/Channel.ts"
import type { Message } from "../../event/Message.ts"
import * as Queues from "../Queues.ts"
import type { Core } from "./core.ts"
import * as link from "./link.ts"
import { mismatchOf } from "./plan.ts"
import { decode, encode } from "./wire.ts"

const failed = (core: Core, operation: string, queue: string, failure: link.Failure): BrokerError => {
  const text = core.settings.scrub(failure.text)
  const mismatch = mismatchOf({ _tag: "QueueIsThere", name: queue }, { ...failure, text })
  return mismatch ?? new BrokerUnavailable({ operation, description: text })
}

/** The consuming link; not waited for longer than a connection may take. */
const connected = (core: Core, operation: string): Effect.Effect<link.Link, BrokerUnavailable> =>
  Effect.timeoutOrElse(core.consuming.connected, {
    duration: core.settings.connectTimeout,
    orElse: () =>
      Effect.fail(new BrokerUnavailable({ operation, description: core.consuming.problem ?? "no connection" }))
  })

export const deadLetters = (core: Core, { channel, group }: Broker.Group): Broker.DeadLetterQueue => {
  const queue = Queues.deadQueueOf(channel, group)
  const plan = core.plans.group(channel, group)
  const operation = `visit ${queue}`
  const unavailable = (failure: link.Failure) => failed(core, operation, queue, failure)
  const target = (routingKey: string) => ({ channel: channel.name, exchange: "", routingKey, plan })
  const publish = (routingKey: string, message: Message): Effect.Effect<void, PublishError> =>
    core.publisher.publish(target(routingKey), () => encode(message, { copy: true, user: core.settings.user() }))

  const fetch = (opened: amqp.Channel) => link.request<amqp.GetMessage | false>((done) => opened.get(queue, {}, done))
  const inspect = (opened: amqp.Channel) =>
    link.request<amqp.Replies.AssertQueue>((done) => opened.checkQueue(queue, done))
  /** What has no answer; it fails where the channel is gone. */
  const tell = (run: () => void) =>
    link.request<void>((done) => {
      run()
      done(null, undefined)
    })

  const visit = <E, R>(
    visitor: (message: Message) => Effect.Effect<Broker.Verdict, E, R>,
    options: { readonly limit: number }
  ): Effect.Effect<number, BrokerError | PublishError | E, R> =>
    Effect.gen(function* () {
      yield* plan.ensure
      const current = yield* connected(core, operation)
      return yield* Effect.acquireUseRelease(
        Effect.mapError(link.openChannel(current), unavailable),
        (opened) => show(opened, visitor, options.limit),
        (opened) => Effect.andThen(giveBack(opened), link.closeChannel(opened))
      )
    })

  /**
   * Gives back what is held, and waits a little until it is there: who visits again wants to see it.
   *
   * A quorum queue puts it behind what was given back before, and not at its place. So what was given back before is
   * fetched as well, and all of it given back in order.
   */
  const giveBack = (opened: amqp.Channel): Effect.Effect<void> =>
    Effect.gen(function* () {
      for (let next = yield* fetch(opened); next !== false && next.fields.redelivered;) next = yield* fetch(opened)
      const without = yield* inspect(opened)
      yield* tell(() => opened.nackAll(true))
      for (let turn = 0; turn < 20; turn++) {
        const now = yield* inspect(opened)
        if (now.messageCount > without.messageCount) return
        yield* Effect.sleep(5)
      }
    }).pipe(Effect.timeoutOption(10_000), Effect.ignore)

  const show = Effect.fnUntraced(function* <E, R>(
    opened: amqp.Channel,
    visitor: (message: Message) => Effect.Effect<Broker.Verdict, E, R>,
    limit: number
  ) {
    const there = yield* Effect.mapError(inspect(opened), unavailable)
    const most = Math.min(limit, there.messageCount)
    let shown = 0
    while (shown < most) {
      const raw = yield* Effect.mapError(fetch(opened), unavailable)
      if (raw === false) break
      shown++
      const verdict = yield* visitor(decode(raw, Queues.baseOf(channel, group)))
      if (verdict._tag === "Keep") continue
      if (verdict._tag === "Replay") {
        const { message } = verdict
        yield* publish(Queues.queueOf(channel, group, Channel.partitionOf(channel, message.key)), message)
      }
      yield* Effect.mapError(
        tell(() => opened.ack(raw)),
        unavailable
      )
    }
    return shown
  })

  return { add: (message) => publish(queue, message), visit }
}

/** How many messages and consumers a queue has; nothing where it is not there. */
const count = (core: Core, current: link.Link, queue: string) =>
  Effect.acquireUseRelease(
    link.openChannel(current),
    (opened) => link.request<amqp.Replies.AssertQueue>((done) => opened.checkQueue(queue, done)),
    link.closeChannel
  ).pipe(
    core.counting.withPermit,
    Effect.catch((failure) => {
      const error = failed(core, `depth of ${queue}`, queue, failure)
      return error._tag === "TopologyMismatch" && error.argument === "existence"
        ? Effect.succeed({ messageCount: 0, consumerCount: 0 })
        : Effect.fail(error)
    })
  )

export const depth = (core: Core, { channel, group }: Broker.Group): Effect.Effect<Broker.Depth, BrokerError> =>
  Effect.gen(function* () {
    const current = yield* connected(core, `depth of ${group}`)
    const ask = (queues: ReadonlyArray<string>) =>
      Effect.forEach(queues, (queue) => count(core, current, queue), { concurrency: "unbounded" })
    const own = yield* ask(Queues.queuesOf(channel, group))
    const delays = yield* ask(core.plans.knownDelayQueues(channel, group))
    const dead = yield* ask([Queues.deadQueueOf(channel, group)])
    const messages = (all: typeof own) => all.reduce((sum, each) => sum + each.messageCount, 0)
    return {
      ready: messages(own),
      delayed: messages(delays),
      deadLetters: messages(dead),
      consumers: own.reduce((sum, each) => sum + each.consumerCount, 0)
    }
  })
