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
 */
export const read = (
  response: HttpClientResponse.HttpClientResponse,
  redaction: Redaction = nothing
): Effect.Effect<Schema.Json | undefined> =>
  Effect.map(Effect.catchCause(bytes(response), onFailure), (chunks) => parse(chunks, redaction))

const onFailure = (): Effect.Effect<ReadonlyArray<Uint8Array>> => Effect.succeed([])

const bytes = (response: HttpClientResponse.HttpClientResponse) => {
  const length = Number(response.headers["content-length"])
  if (length <= mostBytes) return Effect.map(response.arrayBuffer, (buffer) => [new Uint8Array(buffer)])
  let size = 0
  return response.stream.pipe(
    Stream.takeUntil((chunk) => {
      size += chunk.byteLength
      return size >= mostBytes
    }),
    Stream.runCollect
  )
}

const parse = (chunks: ReadonlyArray<Uint8Array>, redaction: Redaction): Schema.Json | undefined => {
  const decoder = new TextDecoder()
  let text = chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("") + decoder.decode()
  for (const secret of redaction.secrets) if (secret !== "") text = text.replaceAll(secret, "<redacted>")
  if (text.trim() === "") return undefined
  try {
    return redacted(JSON.parse(text), redaction.fields, 0)
  } catch {
    return clip(text)
  }
}

const clip = (text: string): string => (text.length > mostText ? `${text.slice(0, mostText)}…` : text)
const deepest = 16

const redacted = (value: Schema.Json, fields: ReadonlySet<string>, depth: number): Schema.Json => {
  if (typeof value === "string") return clip(value)
  if (typeof value !== "object" || value === null) return value
  if (depth >= deepest) return "…"
  if (Array.isArray(value)) return value.slice(0, 100).map((each) => redacted(each, fields, depth + 1))
  const entries = Object.entries(value as Schema.JsonObject)
  return Object.fromEntries(
    entries.map(([name, each]) => [name, fields.has(name) ? "<redacted>" : redacted(each, fields, depth + 1)])
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
