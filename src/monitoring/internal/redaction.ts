import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type * as Integration from "../../Integration.ts"
import * as Secrets from "../../internal/secrets.ts"

const hidden = "<redacted>"

/** What may be told of spans: no credentials, queries or personal data. */
export interface Redaction {
  readonly text: (given: string) => string
  readonly attribute: (name: string, value: unknown) => unknown
  readonly exit: (exit: Exit.Exit<unknown, unknown>) => Exit.Exit<unknown, unknown>
}

/** Names of fields that the contracts of a design call personal data. */
export const personalData = ({ contracts }: Integration.Integration): ReadonlyArray<string> =>
  contracts.flatMap(({ contract }) => [...(contract.contract.personalData ?? [])])

export const make = (personalData: Iterable<string>): Redaction => {
  const names = new Set(Array.from(personalData, (name) => name.toLowerCase()))
  const text = Secrets.without(names)

  const value = (given: unknown, depth: number): unknown => {
    if (Predicate.isString(given)) return text(given)
    if (given instanceof URL) return text(given.href)
    if (Redacted.isRedacted(given) || depth > 8) return hidden
    if (Array.isArray(given)) return given.map((each) => value(each, depth + 1))
    if (!Predicate.isObject(given)) return given
    const entries = Object.entries(given).map(([name, each]) => [name, attribute(name, each, depth + 1)])
    return Object.fromEntries(entries)
  }

  const attribute = (name: string, given: unknown, depth = 0): unknown => {
    if (names.has(name.slice(name.lastIndexOf(".") + 1).toLowerCase())) return hidden
    return name === "url.query" ? undefined : value(given, depth)
  }

  const exit = (given: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> => {
    if (given._tag === "Success" || Cause.hasInterruptsOnly(given.cause)) return given
    const errors = Cause.prettyErrors(given.cause, { includeCauseInStack: true }).map((error) => {
      const told = new Error(text(error.message))
      told.name = error.name
      told.stack = text(error.stack ?? error.name)
      return Cause.makeFailReason(told)
    })
    return Exit.failCause(Cause.fromReasons(errors))
  }
  return { text, attribute, exit }
}
