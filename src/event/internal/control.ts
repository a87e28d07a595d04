import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { BrokerError } from "../BrokerError.ts"
import * as Sampling from "./sampling.ts"
import * as Session from "./session.ts"
import type { Setup } from "./setup.ts"

/** What an operator sees of a consumer, and can do with it. */
export interface Control {
  readonly name: string
  readonly channel: string
  readonly status: Effect.Effect<Status>
  readonly pause: (reason: string) => Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}

export interface Status {
  readonly name: string
  readonly channel: string
  readonly state: "running" | "outage" | "paused" | "starting"
  /** Why it is paused, or what is down. */
  readonly reason: string | undefined
  /** How many messages are being handled. */
  readonly handling: number
}

export const Registry = Context.Reference<Map<string, Set<Control>>>("effect-integration/event/Consumers/Registry", {
  defaultValue: () => new Map()
})

/** Milliseconds until a subscription that could not be made again is tried once more. */
const again = 1000

interface Live {
  readonly scope: Scope.Closeable
  readonly running: Session.Running
}

/** Runs the sessions of a consumer, one after another, until the scope closes. Returns when the first has begun. */
export const launch = Effect.fnUntraced(function* (
  setup: Setup,
  options: { readonly prefetch: number; readonly drain: Duration.Duration; readonly owner: string }
) {
  const { channel, context, name, recorder } = setup
  let paused: string | undefined
  let live: Live | undefined
  let ending: Live | undefined
  let changed = Deferred.makeUnsafe<void>()
  const change = () => {
    const before = changed
    changed = Deferred.makeUnsafe<void>()
    Deferred.doneUnsafe(before, Effect.void)
  }

  const outage = (reason: string | undefined) => {
    recorder.paused(reason !== undefined, context as never)
    const text =
      reason === undefined
        ? Effect.logInfo(`${name}: the outage is over`)
        : Effect.logWarning(`${name}: paused by an outage, no attempt is spent: ${reason}`)
    Effect.runForkWith(context)(text)
  }

  const begin: Effect.Effect<void, BrokerError> = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const exit = yield* Effect.exit(restore(Scope.provide(Session.run(setup, { ...options, outage }), scope)))
      if (Exit.isSuccess(exit)) live = { scope, running: exit.value }
      else yield* Effect.andThen(Scope.close(scope, exit), exit)
    })
  )
  const end = Effect.uninterruptible(
    Effect.suspend(() => {
      if (live === undefined) return Effect.void
      const { scope } = (ending = live)
      live = undefined
      return Effect.ensuring(
        Scope.close(scope, Exit.void),
        Effect.sync(() => {
          ending = undefined
        })
      )
    })
  )

  const reconcile = Effect.gen(function* () {
    for (;;) {
      const next = changed
      if (paused !== undefined && live !== undefined) yield* end
      else if (paused === undefined && live === undefined) {
        const begun = yield* Effect.exit(begin)
        if (Exit.isFailure(begun)) {
          yield* Effect.logError(`${name}: could not subscribe again`, begun.cause)
          yield* Effect.raceFirst(Effect.sleep(again), Deferred.await(next))
          continue
        }
      }
      yield* Deferred.await(next)
    }
  })

  const control: Control = {
    name,
    channel: channel.name,
    status: Effect.sync((): Status => {
      const down = live?.running.gate.outage
      return {
        name,
        channel: channel.name,
        state:
          paused !== undefined ? "paused" : live === undefined ? "starting" : down === undefined ? "running" : "outage",
        reason: paused ?? down?.reason,
        handling: (live ?? ending)?.running.handling.size ?? 0
      }
    }),
    pause: (reason) =>
      Effect.sync(() => {
        paused = reason
        recorder.paused(true, context as never)
        change()
      }),
    resume: Effect.sync(() => {
      paused = undefined
      recorder.paused(false, context as never)
      change()
    })
  }

  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      end,
      Effect.sync(() => recorder.paused(undefined, context as never))
    )
  )
  yield* begin
  yield* Sampling.register(setup, () => paused !== undefined || live?.running.gate.outage !== undefined)
  const registry = yield* Registry
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const known = registry.get(name) ?? new Set()
      registry.set(name, known.add(control))
    }),
    () =>
      Effect.sync(() => {
        registry.get(name)?.delete(control)
      })
  )
  yield* Effect.forkScoped(reconcile)
})
