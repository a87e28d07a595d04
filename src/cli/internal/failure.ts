import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import { isAbsolute, relative } from "node:path"
import process from "node:process"
import { print, printError, visible, withoutCredentials } from "./output.ts"

/** A place in a file of the user, counted from 1. */
export interface Place {
  readonly file: string
  readonly line?: number
  readonly column?: number
}

/** Something that could not be done, and where its cause is. It ends the command with 2. */
export class Failure extends Data.TaggedError("Failure")<{
  readonly message: string
  readonly at?: Place | undefined
}> {}

/** The command has said what there is to say, and ends with this code. */
export class Ended extends Data.TaggedError("Ended")<{ readonly code: number }> {
  override readonly [Runtime.errorExitCode] = this.code
  override readonly [Runtime.errorReported] = false
}

/** What went wrong, in words. Tagged errors say it themselves; the name of others tells what kind it is. */
export const messageOf = (error: unknown): string => {
  if (!Predicate.isError(error)) return typeof error === "string" ? error : `${kindOf(error)} was thrown`
  const { message, name } = error
  if (message === "") return name
  return name.endsWith("Error") && name !== "Error" && !("_tag" in error) ? `${name}: ${message}` : message
}

const kindOf = (value: unknown): string =>
  Predicate.hasProperty(value, "_tag") ? String(value._tag) : "something that is no error"

const failureOf = (error: unknown): Failure =>
  error instanceof Failure ? error : new Failure({ message: messageOf(error) })

/** As an editor opens it: relative to the working directory where it is below. */
const place = ({ column, file, line }: Place): string => {
  const near = relative(process.cwd(), file)
  const path = near === "" || near.startsWith("..") || isAbsolute(near) ? file : near
  return [path, line, column].filter((each) => each !== undefined).join(":")
}

/**
 * Tells people, or with `json` programs, why a command has failed, without a stack trace. With `--log-level debug` the
 * whole cause is logged too.
 */
export const reporting =
  (json: boolean) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, Ended, R> =>
    Effect.catchCause(self, (cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
      const error = Cause.squash(cause)
      if (error instanceof Ended) return Effect.fail(error)
      const { at, message } = failureOf(error)
      const said = withoutCredentials(message)
      const report = json
        ? print(JSON.stringify({ error: { message: said, ...at } }))
        : printError(visible(at === undefined ? said : `${place(at)}: ${said}`))
      return Effect.andThen(Effect.andThen(Effect.logDebug(cause), report), Effect.fail(new Ended({ code: 2 })))
    })
