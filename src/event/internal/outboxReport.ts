import * as Effect from "effect/Effect"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as Telemetry from "../../Telemetry.ts"
import type { Entry, SetAside } from "./storedEvent.ts"
import { textOf } from "./report.ts"

const describe = ({ id, source, type }: Entry): string => `event ${id} of ${source} (${type})`

const annotations = (event: Entry, attempt: number): Record<string, unknown> => ({
  [Telemetry.Attribute.channel]: event.channel,
  [Telemetry.Attribute.eventId]: event.id,
  [Telemetry.Attribute.eventSource]: event.source,
  [Telemetry.Attribute.eventType]: event.type,
  [Telemetry.Attribute.attempt]: attempt
})

const tell = (channel: string, message: string, error: unknown, requestId: string | undefined): Effect.Effect<void> =>
  ErrorAction.notify({ kind: "alert", integration: channel, message, error, requestId })

/** The broker is away, or the channel is there with other arguments. People are told where the error's action says so. */
export const outage = (name: string, channel: string, error: unknown): Effect.Effect<void> => {
  const { guidance, notify } = ErrorAction.isActionable(error) ? error.errorAction : ErrorAction.retry
  const message = `${name}: paused by an outage, no attempt is spent: ${textOf(error)}; ${guidance}`
  const logged = Effect.logWarning(message)
  return notify === "none" ? logged : Effect.andThen(logged, tell(channel, message, error, undefined))
}

/** An event has failed, and is tried again. */
export const attempt = (
  name: string,
  event: Entry,
  about: { readonly attempt: number; readonly maxAttempts: number; readonly text: string; readonly millis: number }
): Effect.Effect<void> =>
  Effect.annotateLogs(
    Effect.logWarning(
      `${name}: ${describe(event)} failed (attempt ${about.attempt} of ${about.maxAttempts}, ` +
        `next in ${about.millis} ms): ${about.text}`
    ),
    annotations(event, about.attempt)
  )

/** An event was set aside: a person must decide about it. */
export const setAside = (
  name: string,
  event: SetAside,
  error: unknown,
  hook: (event: SetAside) => Effect.Effect<unknown, unknown>
): Effect.Effect<void> => {
  const waiting = event.halts ? "later events of its key wait for it" : "later events of its key go on"
  const message =
    `${name}: ${describe(event)} was set aside after attempt ${event.attempts} (${event.reason}), ${waiting}: ` +
    `${event.error}; when the cause is mended, Outbox.retry it, else Outbox.discard it`
  const hooked = Effect.catchCause(
    Effect.suspend(() => hook(event)),
    (cause) => Effect.logError(`${name}: onSetAside failed`, cause)
  )
  return Effect.annotateLogs(Effect.logError(message), annotations(event, event.attempts)).pipe(
    Effect.andThen(tell(event.channel, message, error, event.id)),
    Effect.andThen(Effect.asVoid(Effect.forkDetach(hooked)))
  )
}
