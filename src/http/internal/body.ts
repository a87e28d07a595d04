import * as Effect from "effect/Effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

const mostBytes = 64 * 1024
const mostText = 2048

/** What must not be seen: secrets anywhere in the text, and the values of fields with these names. */
export interface Redaction {
  readonly secrets: ReadonlyArray<string>
  readonly fields: ReadonlySet<string>
}
const nothing: Redaction = { secrets: [], fields: new Set() }

/**
 * The body of an error response, read leniently: JSON, else text, else nothing. Never fails, reads at most 64 KiB, and
 * gives back the connection. A body that was cut off is text.
 *
 * Where fields are to be redacted, a body that is not JSON is not shown: they cannot be found in it.
 */
export const read = (
  response: HttpClientResponse.HttpClientResponse,
  redaction: Redaction = nothing
): Effect.Effect<Schema.Json | undefined> => {
  let size = 0
  return received(
    response.stream.pipe(
      Stream.takeUntil((chunk) => {
        size += chunk.byteLength
        return size >= mostBytes
      }),
      Stream.runCollect
    ),
    redaction
  )
}

/** The same for a response whose body was read before, and is remembered. */
export const readAgain = (
  response: HttpClientResponse.HttpClientResponse,
  redaction: Redaction
): Effect.Effect<Schema.Json | undefined> =>
  received(
    Effect.map(response.arrayBuffer, (bytes) => [new Uint8Array(bytes)]),
    redaction
  )

const received = <E>(
  chunks: Effect.Effect<ReadonlyArray<Uint8Array>, E>,
  redaction: Redaction
): Effect.Effect<Schema.Json | undefined> =>
  chunks.pipe(
    Effect.catchCause((): Effect.Effect<ReadonlyArray<Uint8Array>> => Effect.succeed([])),
    Effect.map((each) => parse(textOf(each), redaction))
  )

const textOf = (chunks: ReadonlyArray<Uint8Array>): string => {
  const decoder = new TextDecoder()
  let left = mostBytes
  let text = ""
  for (const chunk of chunks) {
    text += decoder.decode(chunk.subarray(0, left), { stream: true })
    left = Math.max(0, left - chunk.byteLength)
  }
  return text + decoder.decode()
}

const parse = (text: string, redaction: Redaction): Schema.Json | undefined => {
  if (text.trim() === "") return undefined
  try {
    return redacted(JSON.parse(text), redaction, 0)
  } catch {
    return redaction.fields.size > 0 ? hidden : conceal(text, redaction.secrets)
  }
}

const hidden = "<redacted>"
const clip = (text: string): string => (text.length > mostText ? `${text.slice(0, mostText)}…` : text)

/** Takes the secrets out of a text, and drops it where one is still there behind escapes. */
const conceal = (text: string, secrets: ReadonlyArray<string>): string => {
  const known = secrets.filter((secret) => secret !== "")
  if (known.length === 0) return clip(text)
  const plain = known.reduce((each, secret) => each.replaceAll(secret, hidden), text)
  let bare = plain
  for (let depth = 0; depth < 4; depth++) {
    bare = unescape(bare)
    if (known.some((secret) => bare.includes(secret))) return hidden
  }
  return clip(plain)
}

/** What JSON and its relatives write as escapes, once. */
const unescape = (text: string): string =>
  text.replace(/\\u([0-9a-f]{4})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))).replace(/\\(.)/g, "$1")

const deepest = 16
const mostEntries = 100

const redacted = (value: unknown, redaction: Redaction, depth: number): Schema.Json => {
  if (typeof value === "string") return conceal(value, redaction.secrets)
  // JSON.parse makes Infinity of 1e999, which is no JSON.
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value)
  if (typeof value !== "object" || value === null) return value as Schema.Json
  if (depth >= deepest) return "…"
  if (Array.isArray(value)) return value.slice(0, mostEntries).map((each) => redacted(each, redaction, depth + 1))
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, mostEntries)
      .map(([name, each]) => [
        conceal(name, redaction.secrets),
        redaction.fields.has(name) ? hidden : redacted(each, redaction, depth + 1)
      ])
  )
}

/** Problem details (RFC 9457), or `{ code, message }`. */
export interface Problem {
  readonly type?: string
  readonly title?: string
  readonly detail?: string
  readonly code?: string
}

/** What a body says about the problem, as far as it says it in a known way. */
export const problemOf = (body: Schema.Json | undefined): Problem | undefined => {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return undefined
  const said = body as Schema.JsonObject
  // Some providers wrap it: { "error": { "code": …, "message": … } }.
  const inner = typeof said.error === "object" && said.error !== null ? (said.error as Schema.JsonObject) : said
  const found: Record<string, string> = {}
  for (const [name, from] of Object.entries(names)) {
    const value = from.map((each) => inner[each]).find((each) => typeof each === "string" || typeof each === "number")
    if (value !== undefined) found[name] = String(value).slice(0, 256)
  }
  return Object.keys(found).length === 0 ? undefined : found
}
const names = { type: ["type"], title: ["title", "message", "error"], detail: ["detail"], code: ["code"] } as const
