/**
 * The embedded broker: the queues are in the memory of this process, with the same semantics as a broker of its own has:
 * groups, redelivery, delays, dead letters, partitions, prefetch, retention.
 *
 * **Gotchas**
 *
 * What it holds is gone when its layer is closed. It is for one process: the memory layers of the stores belong to it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { monotonicMillis } from "../internal/monotonic.ts"
import * as Option from "../internal/option.ts"
import * as Broker from "./Broker.ts"
import { PublishError } from "./BrokerError.ts"
import * as Channel from "./Channel.ts"
import { MemorySubscriber } from "./internal/memorySubscriber.ts"
import { MemoryQueue } from "./internal/memoryQueue.ts"
import type { Message } from "./Message.ts"

/** What a group of a channel has. */
class MemoryGroup {
  readonly channel: Channel.Any
  readonly name: string
  readonly queues: ReadonlyArray<MemoryQueue>
  readonly subscribers = new Set<MemorySubscriber>()
  #dead: Array<{ readonly message: Message; readonly expiresAt: number }> = []
  delayed = 0
  readonly #now: () => number
  constructor(channel: Channel.Any, name: string, now: () => number) {
    this.channel = channel
    this.name = name
    this.#now = now
    const single = channel.ordering._tag === "Strict"
    this.queues = Array.from(
      { length: channel.partitions },
      () => new MemoryQueue(single, (message) => this.bury(message, { "integration-dead-reason": "expired" }))
    )
  }
  get ready(): number {
    return this.queues.reduce((sum, queue) => sum + queue.size, 0)
  }
  isFull(message: Message): boolean {
    const most = this.channel.retention.maxMessages
    return most !== undefined && this.#queueOf(message).size >= most
  }
  add(message: Message): void {
    const now = this.#now()
    this.#queueOf(message).add(message, until(now, this.channel.retention.maxAge), now)
  }
  bury(message: Message, headers: Message["headers"]): void {
    const expiresAt = until(this.#now(), this.channel.deadLetters.maxAge)
    this.#dead.push({ message: withHeaders(message, headers), expiresAt })
  }
  /** The dead letters that are not too old. */
  dead(): Array<{ readonly message: Message; readonly expiresAt: number }> {
    const now = this.#now()
    for (const queue of this.queues) queue.expire(now)
    this.#dead = this.#dead.filter((letter) => letter.expiresAt > now)
    return this.#dead
  }
  readonly dispatch = (): void => {
    const now = this.#now()
    for (const queue of this.queues) queue.dispatch(now)
  }
  exhume(letter: { readonly message: Message }): boolean {
    const place = this.#dead.findIndex((each) => each === letter)
    if (place >= 0) this.#dead.splice(place, 1)
    return place >= 0
  }
  #queueOf(message: Message): MemoryQueue {
    return this.queues[Channel.partitionOf(this.channel, message.key)]!
  }
}

const until = (now: number, age: Duration.Duration | undefined): number =>
  age === undefined ? Infinity : now + Duration.toMillis(age)

/** @internal */
export const withHeaders = (message: Message, headers: Message["headers"]): Message => ({
  ...message,
  headers: { ...message.headers, ...headers }
})

/** All groups of an existing queue share it. */
const keyOf = (channel: Channel.Any, name: string): string =>
  channel.existing === undefined ? `${channel.name}\n${name}` : `\n${channel.existing.queue}`

const make = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const scope = yield* Scope.Scope
  const now = () => monotonicMillis(clock)
  const groups = new Map<string, MemoryGroup>()

  const groupOf = (channel: Channel.Any, name: string): MemoryGroup => {
    const key = keyOf(channel, name)
    const known = groups.get(key) ?? new MemoryGroup(channel, name, now)
    groups.set(key, known)
    return known
  }
  const groupsOf = (channel: Channel.Any): ReadonlyArray<MemoryGroup> => {
    if (channel.existing !== undefined) return [groupOf(channel, "")]
    for (const name of channel.consumers) groupOf(channel, name)
    return Array.from(groups.values()).filter((group) => group.channel.name === channel.name)
  }

  const publish = (channel: Channel.Any, message: Message): Effect.Effect<void, PublishError> =>
    Effect.suspend(() => {
      const refuse = (reason: PublishError["reason"], description: string) =>
        new PublishError({
          reason,
          channel: channel.name,
          description,
          ...(message.messageId === undefined ? undefined : { messageId: message.messageId })
        })
      const all = groupsOf(channel)
      if (all.length === 0) return Effect.fail(refuse("unroutable", "no group consumes this channel"))
      const full = all.find((group) => group.isFull(message))
      if (full !== undefined) return Effect.fail(refuse("refused", `the queue of ${full.name} is full`))
      for (const group of all) group.add(message)
      return Effect.void
    })

  const delay = (group: MemoryGroup, message: Message, after: Duration.Duration): Effect.Effect<void> => {
    const arrive = Effect.sync(() => {
      group.delayed--
      group.add(message)
    })
    return Effect.suspend(() => {
      group.delayed++
      return Effect.asVoid(
        Effect.forkIn(Effect.andThen(Effect.sleep(after), arrive), scope, { startImmediately: true })
      )
    })
  }

  const subscribe = Effect.fnUntraced(function* (subscription: Broker.Subscription) {
    const { channel, drain, prefetch } = subscription
    Option.number("Broker.subscribe", "prefetch", prefetch, { min: channel.partitions, integer: true })
    const group = groupOf(channel, subscription.group)
    const queue = yield* Queue.unbounded<Broker.Delivery>()
    const each = Math.floor(prefetch / channel.partitions)
    const subscriber = new MemorySubscriber(queue, each, group.dispatch, (message, settlement) =>
      settlement._tag === "Retry"
        ? delay(group, withHeaders(message, settlement.headers), settlement.after)
        : Effect.sync(() => group.bury(message, settlement.headers))
    )
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        group.subscribers.add(subscriber)
        for (const each of group.queues) each.join(subscriber)
        group.dispatch()
      }),
      () =>
        Effect.gen(function* () {
          subscriber.leave()
          subscriber.giveBack(yield* Queue.clear(queue))
          group.dispatch()
          yield* Effect.timeoutOption(subscriber.settled, drain)
          group.subscribers.delete(subscriber)
          for (const each of group.queues) each.leave(subscriber)
          subscriber.giveBack()
          yield* Queue.shutdown(queue)
          group.dispatch()
        })
    )
    return queue
  })

  const deadLetters = ({ channel, group: name }: Broker.Group): Broker.DeadLetterQueue => ({
    add: (message) => Effect.sync(() => groupOf(channel, name).bury(message, {})),
    visit: (visitor, { limit }) =>
      Effect.gen(function* () {
        const group = groupOf(channel, name)
        const letters = group.dead().slice(0, limit)
        for (const letter of letters) {
          const verdict = yield* visitor(letter.message)
          if (verdict._tag === "Keep" || !group.exhume(letter)) continue
          if (verdict._tag === "Replay") group.add(verdict.message)
        }
        return letters.length
      })
  })

  const depth = ({ channel, group: name }: Broker.Group) =>
    Effect.sync((): Broker.Depth => {
      const group = groups.get(keyOf(channel, name))
      if (group === undefined) return { ready: 0, delayed: 0, deadLetters: 0, consumers: 0 }
      const deadLetters = group.dead().length
      return { ready: group.ready, delayed: group.delayed, deadLetters, consumers: group.subscribers.size }
    })

  const health = Effect.sync((): Broker.Health => ({
    connected: true,
    problem: undefined,
    subscriptions: Array.from(groups.values()).flatMap((group) =>
      Array.from(group.subscribers, () => ({
        channel: group.channel.name,
        group: group.name,
        wanted: group.queues.length,
        present: group.queues.length
      }))
    )
  }))

  return Broker.Broker.of({ binding: "amqp", system: "memory", publish, subscribe, deadLetters, depth, health })
})

/**
 * The broker in the memory of this process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Broker.Broker> = Layer.effect(Broker.Broker, make)
