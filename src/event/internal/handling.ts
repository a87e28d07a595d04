import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Entry } from "../../internal/alarm.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import type { Handling, Session, Setup } from "./setup.ts"

/** How a handler ended: by itself, or stopped. */
export interface Ended<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly stopped: "timeout" | "lost" | undefined
}

/**
 * Runs a handler on a fiber of its own, so that it can be stopped while what surrounds it goes on and settles the message.
 * `begun` gets the handle by which others can stop it.
 */
export const run = <A, E>(
  setup: Setup,
  session: Session,
  handler: Effect.Effect<A, E, any>,
  begun?: (handling: Handling) => void
): Effect.Effect<Ended<A, E>> =>
  Effect.suspend(() => {
    const fiber = Effect.runForkWith(setup.context)(handler)
    const exit = fiber.pollUnsafe()
    // Nothing is to be watched of a handler that has ended already.
    return exit === undefined ? watch(setup, session, fiber, begun) : Effect.succeed({ exit, stopped: undefined })
  })

const watch = <A, E>(
  setup: Setup,
  session: Session,
  fiber: Fiber.Fiber<A, E>,
  begun: ((handling: Handling) => void) | undefined
): Effect.Effect<Ended<A, E>> =>
  Effect.callback<Ended<A, E>>((resume) => {
    let stopped: "timeout" | "lost" | undefined
    const { alarm, context, timeoutMillis } = setup
    const now = monotonicMillis(alarm.clock)
    const handling: Handling = {
      stop: (why) => {
        stopped ??= why
        fiber.interruptUnsafe()
      }
    }
    const timeout: Entry = { at: now + timeoutMillis, place: -1, order: 0, fire: () => handling.stop("timeout") }
    session.handling.add(handling)
    begun?.(handling)
    alarm.add(timeout, now, context)
    fiber.addObserver((exit) => {
      alarm.remove(timeout)
      session.handling.delete(handling)
      resume(Effect.succeed({ exit, stopped: exit._tag === "Failure" ? stopped : undefined }))
    })
  })
