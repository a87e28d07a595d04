import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type * as Scope from "effect/Scope"
import * as Broker from "../../event/Broker.ts"
import { BrokerUnavailable } from "../../event/BrokerError.ts"
import * as Channel from "../../event/Channel.ts"
import { routeOf } from "../Queues.ts"
import * as connection from "./connection.ts"
import type { Core } from "./core.ts"
import { deadLetters, depth } from "./deadLetters.ts"
import type { Target } from "./pending.ts"
import { type Plan, Plans } from "./plan.ts"
import { Publisher } from "./publisher.ts"
import type { Settings } from "./settings.ts"
import { subscribe } from "./subscription.ts"
import { encode } from "./wire.ts"

/** Two connections, and what works on them. */
export const make = Effect.fnUntraced(function* (
  settings: Settings
): Effect.fn.Return<Broker.Broker["Service"], BrokerUnavailable, Scope.Scope> {
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const started = Deferred.makeUnsafe<void, BrokerUnavailable>()
  const refuse = (description: string) => new BrokerUnavailable({ operation: "startup", description })
  let last = "no answer"
  const failed = (problem: string) => {
    last = problem
    if (settings.startup === "fail") Deferred.doneUnsafe(started, Effect.fail(refuse(problem)))
  }
  const consuming = yield* connection.make(settings, "consuming", failed)
  const publishing = yield* connection.make(settings, "publishing", failed)
  const plans = new Plans(consuming, settings, context)
  for (const each of [consuming, publishing]) each.onChange(() => plans.forgetAll(each))
  const publisher = new Publisher(publishing, settings, clock, context)
  const core: Core = {
    settings,
    publishing,
    consuming,
    publisher,
    plans,
    subscriptions: new Set(),
    probation: Semaphore.makeUnsafe(1),
    counting: Semaphore.makeUnsafe(16)
  }
  yield* Effect.addFinalizer(() => Effect.andThen(publisher.close, plans.close))
  yield* Effect.raceFirst(Effect.andThen(consuming.connected, publishing.connected), Deferred.await(started)).pipe(
    Effect.timeoutOrElse({
      duration: settings.startupTimeout,
      orElse: () => Effect.fail(refuse(`not there within ${settings.startupTimeout} ms: ${last}`))
    })
  )

  const targets = new WeakMap<Channel.Any, { readonly plan: Plan; readonly targets: ReadonlyArray<Target> }>()
  const targetsOf = (channel: Channel.Any): ReadonlyArray<Target> => {
    let known = targets.get(channel)
    if (known === undefined) {
      const plan = plans.channel(channel)
      const all = Array.from({ length: channel.partitions }, (_, partition): Target => {
        return { channel: channel.name, ...routeOf(channel, partition), plan }
      })
      targets.set(channel, (known = { plan, targets: all }))
    }
    return known.targets
  }

  return Broker.Broker.of({
    binding: "amqp",
    system: "rabbitmq",
    publish: (channel, message) => {
      const target = targetsOf(channel)[Channel.partitionOf(channel, message.key)]!
      return publisher.publish(target, () => encode(message, { copy: false, user: settings.user() }))
    },
    subscribe: (subscription) => subscribe(core, subscription),
    deadLetters: (group) => deadLetters(core, group),
    depth: (group) => depth(core, group),
    health: Effect.sync(() => {
      const subscriptions = [...core.subscriptions]
      const problems = subscriptions.map((each) => each.problem())
      return {
        connected: consuming.link !== undefined && publishing.link !== undefined,
        problem: consuming.problem ?? publishing.problem ?? problems.find((problem) => problem !== undefined),
        subscriptions: subscriptions.map(({ channel, group, present, wanted }) => ({
          channel,
          group,
          wanted,
          present: present()
        }))
      }
    })
  })
})
