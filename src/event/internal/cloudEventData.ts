import * as Result from "effect/Result"
import * as Base64 from "effect/encoding/Base64"
import { Problem } from "./cloudEventAttributes.ts"
import type { MediaType } from "./cloudEventSyntax.ts"

// A byte order mark is kept, so that JSON with one is refused and a text keeps what it had.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** Bytes as UTF-8; `undefined` where they are none. */
export const readUtf8 = (bytes: Uint8Array): string | undefined =>
  Result.getOrUndefined(Result.try(() => decoder.decode(bytes)))

export const writeUtf8 = (text: string): Uint8Array => encoder.encode(text)

// What a number that is too large looks like, and some others. Apart they are found faster than as one.
const large = /\d[eE]\+?\d{3}/
const long = /\d{309}/
const mayBeLarge = (text: string): boolean => large.test(text) || (text.length > 308 && long.test(text))

const isFinite = (value: unknown): boolean => {
  const rest = [value]
  while (rest.length > 0) {
    const next = rest.pop()
    if (typeof next === "number" && !Number.isFinite(next)) return false
    if (typeof next === "object" && next !== null) for (const each of Object.values(next)) rest.push(each)
  }
  return true
}

/**
 * The value of a JSON text, in a `Result` since any value may be one. A number that is too large fails: it would become
 * another value when it is written again.
 */
export const readJson = (text: string): Result.Result<unknown, unknown> => {
  const value = Result.try(() => JSON.parse(text) as unknown)
  return Result.isSuccess(value) && mayBeLarge(text) && !isFinite(value.success) ? Result.fail("a number") : value
}

/** A JSON value as text; `undefined` where it is none (a function, a circle, a bigint). */
export const writeJson = (value: unknown): string | undefined =>
  Result.getOrUndefined(Result.try(() => JSON.stringify(value) as string | undefined))

/** How data of a media type is held: as a JSON value, a text, a text without other than US-ASCII, or bytes. */
export type Kind = "json" | "text" | "ascii" | "bytes"

/** JSON is `json` and `+json` of any type, also where nothing is said (JSON format 1.0.2, 3.1.1). */
export const kindOf = (media: MediaType | undefined): Kind => {
  if (media === undefined || media.essence === "application/json") return "json"
  const { charset, essence } = media
  if (essence.endsWith("/json") || essence.endsWith("+json")) return "json"
  if (!essence.startsWith("text/")) return "bytes"
  if (charset === undefined || charset === "utf-8" || charset === "utf8") return "text"
  return charset === "us-ascii" || charset === "ascii" ? "ascii" : "bytes"
}

// oxlint-disable-next-line no-control-regex
const isAscii = (text: string): boolean => /^[\x00-\x7f]*$/.test(text)

const interpret = (bytes: Uint8Array, kind: Kind, name: string): unknown => {
  if (kind === "bytes") return bytes
  const text = readUtf8(bytes)
  if (text === undefined) return new Problem(name, kind === "ascii" ? "is not US-ASCII" : "is not UTF-8")
  if (kind === "json") {
    const value = readJson(text)
    return Result.isSuccess(value) ? value.success : new Problem(name, "is no JSON")
  }
  return kind === "text" || isAscii(text) ? text : new Problem(name, "is not US-ASCII")
}

/** The data in a body of its own: no bytes are no data. */
export const fromBytes = (bytes: Uint8Array, media: MediaType | undefined): unknown =>
  bytes.length === 0 ? undefined : interpret(bytes, kindOf(media), "data")

const checkText = (data: unknown, kind: Kind): Problem | undefined => {
  if (typeof data !== "string") return new Problem("data", "is no text, as its datacontenttype says")
  if (!data.isWellFormed()) return new Problem("data", "contains surrogates without their other half")
  return kind === "ascii" && !isAscii(data) ? new Problem("data", "is not US-ASCII") : undefined
}

/** Whether data is what its media type says, as far as can be seen without writing it. */
export const check = (data: unknown, media: MediaType | undefined): Problem | undefined => {
  const kind = kindOf(media)
  if (data === undefined) return undefined
  if (kind === "json") {
    return data instanceof Uint8Array || /^(?:function|symbol|bigint)$/.test(typeof data)
      ? new Problem("data", "is no JSON value, as its datacontenttype says")
      : undefined
  }
  if (kind !== "bytes") return checkText(data, kind)
  return data instanceof Uint8Array ? undefined : new Problem("data", "is not bytes, as its datacontenttype says")
}

/** Data that was checked, as a body of its own. */
export const toBytes = (data: unknown, media: MediaType | undefined): Uint8Array | Problem => {
  if (data === undefined) return new Uint8Array(0)
  if (data instanceof Uint8Array) return data
  const text = kindOf(media) === "json" ? writeJson(data) : (data as string)
  return text === undefined ? new Problem("data", "cannot be written as JSON") : encoder.encode(text)
}

// RFC 4648, 4: padded, without other characters, the bits of the padding zero.
const base64 = /^[A-Za-z0-9+/]*(?:[AQgw]==|[AEIMQUYcgkosw048]=)?$/

/** The member `data_base64` of the JSON format. */
export const fromBase64 = (value: unknown, media: MediaType | undefined): unknown => {
  const bytes =
    typeof value === "string" && value.length % 4 === 0 && base64.test(value)
      ? Result.getOrUndefined(Base64.decode(value))
      : undefined
  return bytes === undefined
    ? new Problem("data_base64", "is no base64 (RFC 4648)")
    : interpret(bytes, kindOf(media), "data_base64")
}

/** The member `data` of the JSON format, which for other media types than JSON is a text. */
export const fromMember = (value: unknown, media: MediaType | undefined): unknown => {
  const kind = kindOf(media)
  if (kind === "json") return value
  const problem = checkText(value, kind)
  if (problem !== undefined) return problem
  if (kind !== "bytes") return value
  const charset = media?.charset
  if (charset === undefined || charset === "utf-8" || charset === "utf8") return encoder.encode(value as string)
  return new Problem("data", "is a text in a charset that is not supported")
}
