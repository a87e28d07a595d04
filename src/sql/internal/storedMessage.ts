import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import type { Identity } from "../../event/DedupStore.ts"
import type { Headers, HeaderValue, Message } from "../../event/Message.ts"

/** What JSON has no word for is an object with one of these names; an object with such a name is written as pairs. */
type Json = null | string | number | boolean | ReadonlyArray<Json> | { readonly [name: string]: Json }
const bytesName = "~bytes"
const numberName = "~number"
const pairsName = "~pairs"

const isArray = (value: unknown): value is ReadonlyArray<any> => Array.isArray(value)

const encode = (value: HeaderValue): Json => {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value
  if (typeof value === "number") {
    if (Object.is(value, -0)) return { [numberName]: "-0" }
    return Number.isFinite(value) ? value : { [numberName]: String(value) }
  }
  if (value instanceof Uint8Array) return { [bytesName]: Base64.encode(value) }
  if (isArray(value)) return value.map(encode)
  const pairs = Object.entries(value).map(([name, each]) => [name, encode(each)] as const)
  return pairs.some(([name]) => name.startsWith("~")) ? { [pairsName]: pairs } : Object.fromEntries(pairs)
}

const decode = (json: Json): HeaderValue => {
  if (json === null || typeof json !== "object") return json
  if (isArray(json)) return json.map(decode)
  const bytes = json[bytesName]
  if (typeof bytes === "string") return Result.getOrThrow(Base64.decode(bytes))
  const number = json[numberName]
  if (typeof number === "string") return Number(number)
  const pairs = json[pairsName]
  const entries = isArray(pairs) ? (pairs as ReadonlyArray<readonly [string, Json]>) : Object.entries(json)
  return Object.fromEntries(entries.map(([name, each]) => [name, decode(each)] as const))
}

interface Envelope {
  readonly source: string
  readonly id: string
  readonly headers: Json
  readonly contentType?: string | undefined
  readonly messageId?: string | undefined
  readonly key?: string | undefined
  readonly properties?: Json | undefined
}

/**
 * All of a message but its body, as JSON whose characters every database keeps: what is no character by itself is
 * escaped.
 */
export const toEnvelope = (identity: Identity, message: Message): string => {
  const { contentType, headers, key, messageId, properties } = message
  const envelope: Envelope = {
    source: identity.source,
    id: identity.id,
    headers: encode(headers),
    contentType,
    messageId,
    key,
    properties: properties === undefined ? undefined : encode(properties)
  }
  return JSON.stringify(envelope)
}

export const fromEnvelope = (
  text: string,
  body: Uint8Array
): { readonly identity: Identity; readonly message: Message } => {
  const { contentType, headers, id, key, messageId, properties, source }: Envelope = JSON.parse(text)
  return {
    identity: { source, id },
    message: {
      // Some drivers give a Buffer, which is compared and printed as something else.
      body: new Uint8Array(body),
      headers: decode(headers) as Headers,
      ...(contentType === undefined ? undefined : { contentType }),
      ...(messageId === undefined ? undefined : { messageId }),
      ...(key === undefined ? undefined : { key }),
      ...(properties === undefined ? undefined : { properties: decode(properties) as Headers })
    }
  }
}
