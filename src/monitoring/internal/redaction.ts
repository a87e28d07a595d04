import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"

const hidden = "<redacted>"
const url = /\b([a-z][a-z0-9+.-]*:\/\/)([^\s/?#"'<>]*@)?([^\s?#"'<>]*)([?#][^\s"'<>]*)?/gi
/** A target of a request without its origin. */
const target = /(^|\s)(\/[^\s?"'<>]*)\?[^\s"'<>]*/g
const credentials = /\b(Bearer|Basic) +[A-Za-z0-9._~+/=-]+/gi

/** What may be told of spans: no credentials, queries or personal data. */
export interface Redaction {
  readonly attribute: (name: string, value: unknown) => unknown
  readonly exit: (exit: Exit.Exit<unknown, unknown>) => Exit.Exit<unknown, unknown>
}

const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

export const make = (personalData: Iterable<string>): Redaction => {
  const names = new Set(Array.from(personalData, (name) => name.toLowerCase()))
  const fields =
    names.size === 0
      ? undefined
      : new RegExp(
          `\\b(${Array.from(names, literal).join("|")})(["']?\\s*[:=]\\s*)("[^"]*"|'[^']*'|[^\\s,;&})\\]]+)`,
          "gi"
        )

  const text = (given: string): string => {
    const plain = given
      .replace(url, (_, scheme: string, _user: string | undefined, rest: string) => scheme + rest)
      .replace(target, "$1$2")
      .replace(credentials, `$1 ${hidden}`)
    return fields === undefined ? plain : plain.replace(fields, `$1$2${hidden}`)
  }

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
  return { attribute, exit }
}
