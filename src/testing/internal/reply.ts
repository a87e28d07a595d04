import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import * as http from "node:http"
import type { RecordedRequest } from "../RecordedRequest.ts"

/**
 * Bytes of a body or of a socket; a string is sent as UTF-8.
 *
 * @category models
 * @since 0.1.0
 */
export type Bytes = string | Uint8Array

/**
 * A record, or pairs where a name must appear twice.
 *
 * @category models
 * @since 0.1.0
 */
export type Headers = Readonly<Record<string, string>> | ReadonlyArray<readonly [name: string, value: string]>

/**
 * A response: status, headers, and a body in pieces with a pause before each.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  readonly _tag: "Answer"
  readonly status: number
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: ReadonlyArray<{ readonly after: Duration.Duration; readonly bytes: Uint8Array }>
  /** Whether the body is finished, stops without an end, or is cut off. */
  readonly end: "complete" | "hang" | "truncate"
}

/**
 * Everything that a stub provider can do with a request.
 *
 * @category models
 * @since 0.1.0
 */
export type Reply =
  | Answer
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Reset" }
  | { readonly _tag: "Raw"; readonly bytes: Uint8Array; readonly end: "close" | "hang" | "reset" }
  | { readonly _tag: "Delay"; readonly duration: Duration.Duration; readonly reply: Reply }
  | { readonly _tag: "Dynamic"; readonly respond: (request: RecordedRequest) => Effect.Effect<Reply> }

const encoder = new TextEncoder()

export const toBytes = (bytes: Bytes): Uint8Array => (typeof bytes === "string" ? encoder.encode(bytes) : bytes)

const toPairs = (headers: Headers | undefined): ReadonlyArray<readonly [string, string]> => {
  const pairs = headers === undefined ? [] : Array.isArray(headers) ? headers : Object.entries(headers)
  for (const [name, value] of pairs) {
    http.validateHeaderName(name)
    http.validateHeaderValue(name, value)
  }
  return pairs
}

export const atLeast = (what: string, minimum: number, given: number): number => {
  if (!Number.isInteger(given) || given < minimum) {
    throw new RangeError(`${what} must be an integer of at least ${minimum}, but ${given} was given`)
  }
  return given
}

export const answer = (code: number, body: Bytes, headers: Headers | undefined, contentType?: string): Answer => {
  if (!Number.isInteger(code) || code < 200 || code > 999) {
    throw new RangeError(`A status must be an integer from 200 to 999, but ${code} was given`)
  }
  const given = toPairs(headers)
  const bytes = toBytes(body)
  const has = (wanted: string) => given.some(([name]) => name.toLowerCase() === wanted)
  const bodiless = code === 204 || code === 304
  if (bodiless && bytes.length > 0) {
    throw new RangeError(`A ${code} has no body, but ${bytes.length} bytes were given`)
  }
  const added: Array<readonly [string, string]> = []
  if (contentType !== undefined && !has("content-type")) {
    added.push(["content-type", contentType])
  }
  if (!bodiless && !has("content-length") && !has("transfer-encoding")) {
    added.push(["content-length", String(bytes.length)])
  }
  return {
    _tag: "Answer",
    status: code,
    headers: [...added, ...given],
    body: [{ after: Duration.zero, bytes }],
    end: "complete"
  }
}

export const noise = (size: number): Uint8Array => {
  const bytes = new Uint8Array(atLeast("The size of garbage", 1, size))
  let state = 0x2545f491
  for (let i = 0; i < size; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = (state & 0xff) | 0x80
  }
  return bytes
}

export const bodyOf = (self: Answer): Uint8Array => Buffer.concat(self.body.map((piece) => piece.bytes))

export const part = (self: Answer, sent: number | undefined, end: "hang" | "truncate"): Answer => {
  const bytes = bodyOf(self)
  const kept = sent === undefined ? Math.floor(bytes.length / 2) : atLeast("The number of bytes sent", 0, sent)
  if (bytes.length < 2 || kept >= bytes.length) {
    throw new RangeError(`A part of a body of ${bytes.length} bytes cannot be ${kept} bytes`)
  }
  return { ...self, end, body: [{ after: Duration.zero, bytes: bytes.subarray(0, kept) }] }
}
