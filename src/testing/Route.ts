/**
 * Which requests a script answers: a method and a path, written as one string.
 *
 * **Details**
 *
 * `"POST /v1/charges"` matches literally, `:id` matches one segment and names it, `*` matches one segment, or the rest
 * of the path where it stands last. The method `*` matches every method. Where several routes match, the most literal
 * one answers, compared segment by segment from the left.
 *
 * **Gotchas**
 *
 * A route names a path without its query: the query of a request is in its record.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"

/**
 * The methods that a route can name; `*` stands for all of them.
 *
 * @category models
 * @since 0.1.0
 */
export type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "TRACE" | "*"

/**
 * A method and a path, as in `"GET /v1/charges/:id"`.
 *
 * @category models
 * @since 0.1.0
 */
export type Route = `${Method} /${string}`

/**
 * A route that has been read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pattern {
  readonly route: string
  readonly method: string
  readonly segments: ReadonlyArray<string>
  /** Sorts the most literal pattern first. */
  readonly rank: string
}

const methods: ReadonlyArray<string> = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "*"]

const invalid = (route: string, why: string) =>
  new RangeError(`Invalid route ${JSON.stringify(route)}: ${why}. Write "METHOD /path", as in "GET /v1/charges/:id"`)

const split = (path: string): ReadonlyArray<string> => path.slice(1).split("/")

const rankOf = (segment: string): string => (segment === "*" ? "2" : segment.startsWith(":") ? "1" : "0")

/**
 * Reads a route, and throws a `RangeError` that quotes what was given where it is not one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (route: string): Pattern => {
  const [method, path, ...rest] = route.split(" ")
  if (method === undefined || !methods.includes(method)) {
    throw invalid(route, `the method ${JSON.stringify(method)} is none of ${methods.join(", ")}`)
  }
  if (path === undefined || rest.length > 0) {
    throw invalid(route, "it needs a method, one space and a path")
  }
  if (!path.startsWith("/")) {
    throw invalid(route, `the path ${JSON.stringify(path)} does not begin with a slash`)
  }
  if (path.includes("?") || path.includes("#")) {
    throw invalid(route, "a route names a path without its query")
  }
  const segments = split(path)
  if (segments.includes(":")) {
    throw invalid(route, "a parameter needs a name")
  }
  return { route, method, segments, rank: `${segments.map(rankOf).join("")}${method === "*" ? "3" : ""}` }
}

const decode = (segment: string): string =>
  Option.getOrElse(Option.liftThrowable(decodeURIComponent)(segment), () => segment)

/**
 * The path parameters, decoded, of a request that a pattern matches.
 *
 * @category matching
 * @since 0.1.0
 */
export const match = (
  pattern: Pattern,
  method: string,
  path: string
): Option.Option<Readonly<Record<string, string>>> => {
  if (pattern.method !== "*" && pattern.method !== method) {
    return Option.none()
  }
  const actual = split(path)
  const params: Record<string, string> = {}
  const last = pattern.segments.length - 1
  for (let i = 0; i <= last; i++) {
    const expected = pattern.segments[i]!
    if (expected === "*" && i === last) {
      return Option.some(params)
    }
    const segment = actual[i]
    if (segment === undefined) {
      return Option.none()
    }
    if (expected.startsWith(":")) {
      params[expected.slice(1)] = decode(segment)
    } else if (expected !== "*" && expected !== segment) {
      return Option.none()
    }
  }
  return actual.length === pattern.segments.length ? Option.some(params) : Option.none()
}
