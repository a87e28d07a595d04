import * as Cause from "effect/Cause"

const hidden = "<redacted>"
const url = /([a-z][a-z0-9+.-]{0,30}:\/\/)([^\s/?#"'<>]*@)?([^\s?#"'<>]*)([?#][^\s"'<>]*)?/gi
/** A target of a request without its origin. */
const target = /(^|\s)(\/[^\s?"'<>]*)\?[^\s"'<>]*/g
const credentials = /\b(Bearer|Basic) +[A-Za-z0-9._~+/=-]+/gi
const jwt = /\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?/g

/** In quotes, also in those of JSON within JSON and in those that nothing closes, or up to what ends a word. */
const value = String.raw`\\+"[^"]*(?:"|$)|"(?:[^"\\]|\\.)*(?:"|$)|'[^']*(?:'|$)|(?:(?:bearer|basic) +)?[^\s,;&"'})\]]+`
const after = String.raw`(\\*["']?\s*[:=]\s*)`
const named = (names: string): RegExp => new RegExp(`${names}${after}(?:${value})`, "gi")
const secret = named(
  String.raw`([\w-]{0,40}(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|authorization|credentials?))`
)

/** Takes out of a text what signs in somewhere, and queries, in which anything may be. */
export const plain = (text: string): string =>
  text
    .replace(url, (_, scheme: string, _user: string | undefined, rest: string) => scheme + rest)
    .replace(target, "$1$2")
    .replace(credentials, `$1 ${hidden}`)
    .replace(secret, `$1$2${hidden}`)
    .replace(jwt, hidden)

/**
 * The same for a text of which only the beginning is told. The text may be endless: enough is looked at that nothing is told
 * half of which was cut off.
 */
export const beginning = (text: string, max: number): string => plain(text.slice(0, 4 * max)).slice(0, max)

/** Why something failed, for a log. */
export const ofCause = (cause: Cause.Cause<unknown>): string => beginning(Cause.pretty(cause), 4000)

const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** Takes out the values of fields with these names, too. */
export const without = (names: ReadonlySet<string>): ((text: string) => string) => {
  if (names.size === 0) return plain
  const fields = named(`\\b(${Array.from(names, literal).join("|")})`)
  return (text) => plain(text).replace(fields, `$1$2${hidden}`)
}
