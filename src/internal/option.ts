import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Formatter from "effect/Formatter"
import * as Option from "effect/Option"

/**
 * A constant of a design that makes no sense, thrown where the value is built.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidOption extends Data.TaggedError("InvalidOption")<{
  /** The constructor that refused, for example `CircuitBreaker.options`. */
  readonly where: string
  /** Path of the option, for example `failurePercent`. */
  readonly option: string
  readonly given: unknown
  readonly expected: string
}> {
  override get message(): string {
    return `${this.where}: ${this.option} must be ${this.expected}, but ${Formatter.format(this.given)} was given`
  }
}

export const reject = (where: string, option: string, given: unknown, expected: string): never => {
  throw new InvalidOption({ where, option, given, expected })
}

export const number = (
  where: string,
  option: string,
  given: number,
  range: { readonly min: number; readonly max?: number; readonly integer?: boolean }
): number => {
  const max = range.max ?? Infinity
  const fits =
    Number.isFinite(given) && given >= range.min && given <= max && (!range.integer || Number.isInteger(given))
  if (fits) return given
  const kind = range.integer ? "a whole number" : "a number"
  return reject(
    where,
    option,
    given,
    range.max === undefined ? `${kind} of at least ${range.min}` : `${kind} from ${range.min} to ${range.max}`
  )
}

const toMillis = (given: Duration.Input): number => {
  const duration = Duration.fromInput(given)
  // A duration made of NaN is zero.
  return Option.isSome(duration) && !Number.isNaN(given) ? Duration.toMillis(duration.value) : Number.NaN
}

/** The milliseconds of a duration that is longer than nothing and shorter than for ever. */
export const millis = (where: string, option: string, given: Duration.Input): number => {
  const value = toMillis(given)
  return Number.isFinite(value) && value > 0
    ? value
    : reject(where, option, given, "a finite duration longer than zero")
}

/** As `millis`, with zero allowed. */
export const millisOrZero = (where: string, option: string, given: Duration.Input): number => {
  const value = toMillis(given)
  return Number.isFinite(value) && value >= 0
    ? value
    : reject(where, option, given, "a finite duration, zero or longer")
}

export const name = (where: string, given: string): string =>
  typeof given === "string" && given.trim() !== "" ? given : reject(where, "name", given, "a name that is not empty")

/** One of some words, also where the types were not asked. */
export const word = <const Words extends ReadonlyArray<string>>(
  where: string,
  option: string,
  given: Words[number],
  words: Words
): Words[number] => (words.includes(given) ? given : reject(where, option, given, `one of ${words.join(", ")}`))

/** Whether a text is an absolute URL of http or https. */
export const isHttpUrl = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)

/** A header name (RFC 9110, 5.1). */
export const isHeaderName = (text: string): boolean => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)

/** A header value that can be sent: visible ASCII and what is between (RFC 9110, 5.5). */
export const isHeaderValue = (text: string): boolean => /^[\t\x20-\x7e]*$/.test(text)

/** A duration for a reader: whole milliseconds, never less than it is. */
export const brief = (duration: Duration.Duration): string =>
  Duration.format(Duration.millis(Math.ceil(Duration.toMillis(duration))))
