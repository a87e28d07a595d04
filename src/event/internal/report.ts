import * as Effect from "effect/Effect"
import * as Secrets from "../../internal/secrets.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as Telemetry from "../../Telemetry.ts"
import type { CloudEvent } from "../CloudEvent.ts"
import type { Problem } from "./decision.ts"
import { isSynthetic } from "./synthetic.ts"

const levels = { info: "Info", warn: "Warn", error: "Error" } as const

/** The message of an error, or its tag: bounded and without credentials, since it goes into headers and logs. */
export const textOf = (error: unknown): string => {
  const tag = ErrorAction.tagOf(error)
  const text = error instanceof Error && error.message !== "" ? `${tag}: ${error.message}` : tag
  return Secrets.beginning(text, 1000)
}

export const describe = (event: CloudEvent | undefined): string =>
  event === undefined ? "a message that is no event" : `event ${event.id} of ${event.source} (${event.type})`

/** Says what happened to which event, why, and what to do. People are told where the error's action says so. */
export const report = (
  consumer: string,
  event: CloudEvent | undefined,
  problem: Problem,
  options: { readonly what: string; readonly level?: "info" | "warn"; readonly attempt: number; readonly ends: boolean }
): Effect.Effect<void> => {
  const { action, error } = problem
  const message = `${consumer}: ${describe(event)} ${options.what}: ${textOf(error)}; ${action.guidance}`
  const annotations = {
    [Telemetry.Attribute.integration]: consumer,
    [Telemetry.Attribute.errorTag]: ErrorAction.tagOf(error),
    [Telemetry.Attribute.action]: action.kind,
    [Telemetry.Attribute.attempt]: options.attempt,
    ...(event === undefined ? undefined : { [Telemetry.Attribute.eventId]: event.id })
  }
  const logged = Effect.annotateLogs(Effect.logWithLevel(levels[options.level ?? action.log])(message), annotations)
  if (!options.ends || action.notify === "none" || ErrorAction.wasTold(error)) return logged
  const notice = { kind: action.notify, integration: consumer, message, error, requestId: event?.id }
  const told = ErrorAction.notify(notice)
  const isLeftOut = event !== undefined && isSynthetic(event)
  return Effect.andThen(logged, isLeftOut ? Effect.provideService(told, Telemetry.Synthetic, true) : told)
}
