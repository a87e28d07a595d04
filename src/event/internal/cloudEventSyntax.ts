/**
 * Grammars of attribute values. The expressions repeat single characters only, so that a long value takes no more than
 * time in proportion to its length.
 */

/** Attribute names: lower-case letters and digits (CloudEvents 1.0.2, Attribute Naming Convention). */
export const isName = (text: string): boolean => /^[a-z0-9]+$/.test(text)

const plain = /^[\x20-\x7e]*$/
// Control characters, surrogates without their other half, and the noncharacters of each plane.
const disallowed =
  // oxlint-disable-next-line no-control-regex
  /[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\u{1fffe}\u{1ffff}\u{2fffe}\u{2ffff}\u{3fffe}\u{3ffff}\u{4fffe}\u{4ffff}\u{5fffe}\u{5ffff}\u{6fffe}\u{6ffff}\u{7fffe}\u{7ffff}\u{8fffe}\u{8ffff}\u{9fffe}\u{9ffff}\u{afffe}\u{affff}\u{bfffe}\u{bffff}\u{cfffe}\u{cffff}\u{dfffe}\u{dffff}\u{efffe}\u{effff}\u{ffffe}\u{fffff}\u{10fffe}\u{10ffff}]/u

/** The type String of CloudEvents 1.0.2, Type System. */
export const isText = (text: string): boolean => plain.test(text) || !disallowed.test(text)

// RFC 3986. Percent signs and addresses in brackets are looked at apart.
const segments = String.raw`[A-Za-z0-9._~!$&'()*+,;=:@%/-]`
const query = String.raw`[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*`
const authority = String.raw`(?:[A-Za-z0-9._~!$&'()*+,;=:%-]*@)?(?:\[[A-Za-z0-9._~!$&'()*+,;=:-]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?`
const withAuthority = String.raw`\/\/${authority}(?:\/${segments}*)?`
const absolute = String.raw`[A-Za-z][A-Za-z0-9+.-]*:(?:${withAuthority}|(?!\/\/)${segments}*)`
const relative = String.raw`(?:${withAuthority}|(?!\/\/)[A-Za-z0-9._~!$&'()*+,;=@%-]*(?:\/${segments}*)?)`
const uriReference = new RegExp(String.raw`^(?:${absolute}|${relative})(?:\?${query})?(?:#${query})?$`)
const absoluteUri = new RegExp(String.raw`^${absolute}(?:\?${query})?$`)
const address = new RegExp(String.raw`^[^/?#]*\/\/[^/?#[]*\[([^\]]*)\]`)
const hex16 = "[0-9A-Fa-f]{1,4}"
const octet = String.raw`(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
const ipv4 = new RegExp(String.raw`^(?:${octet}\.){3}${octet}$`)
const groups = new RegExp(`^(?:${hex16}:)*${hex16}$`)

const isIpv6 = (text: string): boolean => {
  if (text.length > 45) return false
  const lastColon = text.lastIndexOf(":")
  const dotted = text.includes(".")
  if (dotted && !ipv4.test(text.slice(lastColon + 1))) return false
  const whole = dotted ? `${text.slice(0, lastColon + 1)}0:0` : text
  const halves = whole.split("::")
  if (halves.length > 2 || halves.some((half) => half !== "" && !groups.test(half))) return false
  const count = halves.flatMap((half) => (half === "" ? [] : half.split(":"))).length
  return halves.length === 2 ? count <= 7 : count === 8
}

const isLiteralAddress = (uri: string): boolean => {
  const literal = address.exec(uri)?.[1]
  return literal !== undefined && (isIpv6(literal) || /^[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+$/.test(literal))
}

const refined = (uri: string): boolean =>
  !(uri.includes("%") && /%(?![0-9A-Fa-f]{2})/.test(uri)) && !(uri.includes("[") && !isLiteralAddress(uri))

/** Texts that most messages have in common are not looked through for each of them. */
const remembering = <A>(parse: (text: string) => A): ((text: string) => A) => {
  let last: readonly [text: string, parsed: A] = ["", parse("")]
  return (text) => {
    if (text !== last[0]) last = [text, parse(text)]
    return last[1]
  }
}

/** A URI-reference (RFC 3986, 4.1). The empty one is not asked here. */
export const isUriReference = remembering((text) => uriReference.test(text) && refined(text))

/** An absolute URI (RFC 3986, 4.3): with a scheme and without a fragment. */
export const isAbsoluteUri = (text: string): boolean => absoluteUri.test(text) && refined(text)

const time = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/

const digits = (text: string, at: number, count: number): number => {
  let value = 0
  for (let index = at; index < at + count; index++) value = value * 10 + text.charCodeAt(index) - 48
  return value
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar. Month 13 is the January after. */
const daysOf = (year: number, month: number, day: number): number => {
  const shifted = month > 2 ? year : year - 1
  const era = Math.floor(shifted / 400)
  const ofEra = shifted - era * 400
  const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468
}

const firstOfNext = (year: number, month: number): number =>
  month === 12 ? daysOf(year + 1, 1, 1) : daysOf(year, month + 1, 1)

/** What can be written with four digits of the year: 0000-01-01 to 9999-12-31, in UTC. */
export const earliest = daysOf(0, 1, 1) * 86_400_000
export const latest = daysOf(10_000, 1, 1) * 86_400_000 - 1

/**
 * Epoch milliseconds of a time (RFC 3339), finer fractions cut off; `undefined` where it is none, or is not within the
 * years 0000 to 9999 of UTC. A leap second, which comes at the end of a month in UTC only, is the second after it.
 */
export const parseTime = (text: string): number | undefined => {
  if (!time.test(text)) return undefined
  const [year, month, day] = [digits(text, 0, 4), digits(text, 5, 2), digits(text, 8, 2)]
  const [hour, minute, second] = [digits(text, 11, 2), digits(text, 14, 2), digits(text, 17, 2)]
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60) return undefined
  const date = daysOf(year, month, day)
  if (date >= firstOfNext(year, month)) return undefined
  const last = text.charCodeAt(text.length - 1)
  let zone = 0
  let end = text.length - 1
  if (last !== 90 && last !== 122) {
    end = text.length - 6
    const [hours, minutes] = [digits(text, end + 1, 2), digits(text, end + 4, 2)]
    if (hours > 23 || minutes > 59) return undefined
    zone = (hours * 60 + minutes) * (text.charCodeAt(end) === 45 ? -1 : 1)
  }
  const minutes = date * 1440 + hour * 60 + minute - zone
  if (second === 60) {
    const next = (minutes + 1) / 1440
    if (next !== daysOf(year, month, 1) && next !== firstOfNext(year, month)) return undefined
  }
  let millis = 0
  for (let index = 0; index < 3; index++) {
    millis = millis * 10 + (20 + index < end ? text.charCodeAt(20 + index) - 48 : 0)
  }
  const epoch = (minutes * 60 + second) * 1000 + millis
  return epoch < earliest || epoch > latest ? undefined : epoch
}

/** A media type: `type/subtype` in lower case, and its charset, if any, in lower case. */
export interface MediaType {
  readonly essence: string
  readonly charset: string | undefined
}

const token = "[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+"
const essence = new RegExp(`^(${token}/${token})`)
const parameter = new RegExp(
  String.raw`[ \t]*;[ \t]*(${token})=(?:(${token})|"((?:[\t\x20\x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*)")`,
  "y"
)

/** Longer ones are refused: no real one is, and what is repeated in it is bounded then. */
const longest = 2048

/** A media type and its parameters (RFC 2045, 5.1; RFC 2046). */
export const parseMediaType = remembering((text): MediaType | undefined => {
  const found = text.length > longest ? undefined : essence.exec(text)?.[1]
  if (found === undefined) return undefined
  let charset: string | undefined
  let at = found.length
  while (at < text.length) {
    parameter.lastIndex = at
    const [whole, name = "", value, quoted] = parameter.exec(text) ?? []
    if (whole === undefined) return undefined
    if (name.toLowerCase() === "charset") {
      if (charset !== undefined) return undefined
      charset = (value ?? quoted?.replaceAll(/\\(.)/g, "$1") ?? "").toLowerCase()
    }
    at += whole.length
  }
  return { essence: found.toLowerCase(), charset }
})

const traceparent = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/

/** The header traceparent of W3C Trace Context: version 00, or a later one that begins like it. */
export const isTraceparent = (text: string): boolean =>
  traceparent.test(text) && (text.length === 55 || !text.startsWith("00"))

const member = /^([a-z0-9][a-z0-9_*/@-]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/** The header tracestate of W3C Trace Context: at most 32 members whose keys differ. */
export const isTracestate = (text: string): boolean => {
  const keys = new Set<string>()
  const members = text.split(",", 1000).map((part) => part.replaceAll(/^[ \t]+|[ \t]+$/g, ""))
  for (const each of members) {
    if (each === "") continue
    const key = member.exec(each)?.[1]
    if (key === undefined || keys.has(key) || keys.size === 32) return false
    keys.add(key)
  }
  return members.length < 1000
}
