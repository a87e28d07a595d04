import type * as amqp from "amqplib/callback_api"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { type BrokerError, BrokerUnavailable, TopologyMismatch } from "../../event/BrokerError.ts"
import type * as Channel from "../../event/Channel.ts"
import type { Connection } from "./connection.ts"
import * as link from "./link.ts"
import type { Settings } from "./settings.ts"
import * as topology from "./topology.ts"

/** How long the broker may take to declare a plan. */
const longest = 30_000

/** What a refusal of the broker means for the design. */
export const mismatchOf = (step: topology.Step, failure: link.Failure): TopologyMismatch | undefined => {
  const { code, text } = failure
  if (code !== 403 && code !== 404 && code !== 405 && code !== 406) return undefined
  // A queue whose node is down is there, and comes back. One that is called so is not.
  if (code === 404 && /\b(down|inaccessible|unavailable)\b/.test(text.replaceAll(/'[^']*'/g, ""))) return undefined
  const named = /arg '([^']+)' for (queue|exchange) '([^']+)'/.exec(text)
  const entity = step._tag === "Exchange" || step._tag === "ExchangeIsThere" ? "exchange" : "queue"
  const argument = { 403: "access", 404: "existence", 405: "exclusive", 406: "arguments" }[code]
  return new TopologyMismatch({
    entity: named === null ? entity : named[2] === "exchange" ? "exchange" : "queue",
    name: named?.[3] ?? step.name,
    argument: named?.[1] ?? argument,
    description: text
  })
}

const perform = (channel: amqp.Channel, step: topology.Step): Effect.Effect<unknown, link.Failure> => {
  switch (step._tag) {
    case "Exchange":
      return link.request((done) => channel.assertExchange(step.name, "direct", { durable: true }, done))
    case "Queue":
      return link.request((done) => channel.assertQueue(step.name, { durable: true, arguments: step.arguments }, done))
    case "Bind":
      return link.request((done) => channel.bindQueue(step.name, step.exchange, step.routingKey, {}, done))
    case "QueueIsThere":
      return link.request((done) => channel.checkQueue(step.name, done))
    case "ExchangeIsThere":
      return link.request((done) => channel.checkExchange(step.name, done))
  }
}

/** Declares on a channel of its own, since an error closes it. */
export const declare = (
  connection: Connection,
  settings: Settings,
  steps: ReadonlyArray<topology.Step>
): Effect.Effect<void, BrokerError> => {
  const unavailable = (failure: link.Failure) =>
    new BrokerUnavailable({ operation: "declare", description: settings.scrub(failure.text) })
  return Effect.flatMap(connection.connected, (connected) =>
    Effect.acquireUseRelease(
      Effect.mapError(link.openChannel(connected), unavailable),
      (channel) =>
        Effect.forEach(
          steps,
          (step) =>
            Effect.mapError(perform(channel, step), (failure) => {
              const scrubbed = { ...failure, text: settings.scrub(failure.text) }
              return mismatchOf(step, scrubbed) ?? unavailable(failure)
            }),
          { discard: true }
        ),
      link.closeChannel
    )
  ).pipe(
    Effect.timeoutOrElse({
      duration: longest,
      orElse: () => Effect.fail(new BrokerUnavailable({ operation: "declare", description: "no answer in time" }))
    })
  )
}

/** Something that must have been declared since the broker was last seen. */
export interface Plan {
  readonly ready: () => boolean
  /** Declares, once however many ask. */
  readonly ensure: Effect.Effect<void, BrokerError>
  /** To be declared again: something of it turned out not to be there. */
  readonly forget: () => void
}

/** The plans of the channels, by what they are, so that two designs of one name do not pass for each other. */
export class Plans {
  readonly #known = new WeakMap<Channel.Any, Map<string, Plan>>()
  readonly #running = new Set<Fiber.Fiber<void, BrokerError>>()
  readonly #connection: Connection
  readonly #settings: Settings
  readonly #fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly #epochs = new Map<Connection, number>()
  readonly #delays = new WeakMap<Channel.Any, Map<string, Set<string>>>()
  #generation = 0

  constructor(connection: Connection, settings: Settings, context: Context.Context<never>) {
    this.#connection = connection
    this.#settings = settings
    this.#fork = Effect.runForkWith(context)
  }
  /** After a reconnect the broker may be another, or have lost what was not durable. */
  forgetAll(connection: Connection): void {
    const epoch = connection.link?.epoch
    if (epoch === undefined || this.#epochs.get(connection) === epoch) return
    this.#epochs.set(connection, epoch)
    this.#generation++
  }
  channel(channel: Channel.Any): Plan {
    return this.#plan(channel, "", () => topology.channelSteps(channel, this.#settings.queueType))
  }
  group(channel: Channel.Any, group: string): Plan {
    return this.#plan(channel, group, () => topology.groupSteps(channel, group, this.#settings.queueType))
  }
  delays(channel: Channel.Any, group: string, rungs: ReadonlyArray<number>): Plan {
    return this.#plan(channel, `${group}\n${rungs.join()}`, () => {
      const steps = topology.delaySteps(channel, group, rungs, this.#settings.queueType)
      const groups = this.#delays.get(channel) ?? new Map<string, Set<string>>()
      groups.set(group, new Set([...(groups.get(group) ?? []), ...steps.map((step) => step.name)]))
      this.#delays.set(channel, groups)
      return steps
    })
  }
  /** The delay queues that this process has declared. */
  knownDelayQueues(channel: Channel.Any, group: string): ReadonlyArray<string> {
    return [...(this.#delays.get(channel)?.get(group) ?? [])]
  }
  get close(): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach([...this.#running], (fiber) => Effect.sync(() => fiber.interruptUnsafe()), { discard: true })
    )
  }

  #plan(channel: Channel.Any, key: string, steps: () => ReadonlyArray<topology.Step>): Plan {
    let plans = this.#known.get(channel)
    if (plans === undefined) this.#known.set(channel, (plans = new Map<string, Plan>()))
    let plan = plans.get(key)
    if (plan === undefined) plans.set(key, (plan = this.#make(channel, steps)))
    return plan
  }
  #make(channel: Channel.Any, steps: () => ReadonlyArray<topology.Step>): Plan {
    let readyAt = -1
    let running: Deferred.Deferred<void, BrokerError> | undefined
    const impossible = topology.impossible(channel)
    const work = impossible === undefined ? declare(this.#connection, this.#settings, steps()) : Effect.fail(impossible)
    const start = (): Deferred.Deferred<void, BrokerError> => {
      const outcome = Deferred.makeUnsafe<void, BrokerError>()
      const at = this.#generation
      running = outcome
      const fiber = this.#fork(work)
      this.#running.add(fiber)
      fiber.addObserver((exit) => {
        this.#running.delete(fiber)
        running = undefined
        if (exit._tag === "Success") readyAt = at
        const closing = new BrokerUnavailable({ operation: "declare", description: "the broker is being closed" })
        const interrupted = exit._tag === "Failure" && exit.cause.reasons.every((reason) => reason._tag === "Interrupt")
        Deferred.doneUnsafe(outcome, interrupted ? Effect.fail(closing) : exit)
      })
      return outcome
    }
    const ready = () => readyAt === this.#generation
    return {
      ready,
      ensure: Effect.suspend(() => (ready() ? Effect.void : Deferred.await(running ?? start()))),
      forget: () => {
        readyAt = -1
      }
    }
  }
}
