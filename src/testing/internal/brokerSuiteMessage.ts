import assert from "node:assert/strict"
import * as crypto from "node:crypto"
import type { Headers, HeaderValue, Message } from "../../event/Message.ts"

const utf8 = new TextEncoder()

/** A message whose body is this text. */
export const text = (body: string, rest: Omit<Partial<Message>, "body"> = {}): Message => ({
  body: utf8.encode(body),
  headers: {},
  ...rest
})

export const textOf = (message: Message): string => new TextDecoder().decode(message.body)

/** `m-0`, `m-1`, ... */
export const texts = (count: number, prefix = "m"): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, n) => `${prefix}-${n}`)

/** Bytes of every value that look like noise, the same each time. */
export const noise = (length: number): Uint8Array => {
  let state = 1
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state >>> 16
  })
}

const plainValue = (value: HeaderValue | undefined): unknown => {
  if (value instanceof Uint8Array) return Array.from(value)
  if (Array.isArray(value)) return value.map(plainValue)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plainValue(inner)]))
}

// Names that begin with x- are the brokers' own, such as x-delivery-count.
const plainHeaders = (headers: Headers): unknown =>
  Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => !name.startsWith("x-"))
      .map(([name, value]) => [name, plainValue(value)])
  )

const plainBody = (body: Uint8Array): unknown =>
  body.length <= 1024
    ? Array.from(body)
    : { length: body.length, sha256: crypto.createHash("sha256").update(body).digest("hex") }

/** The received message is the expected one, whole. A broker may add properties, and headers of its own (`x-...`). */
export const same = (what: string, received: Message, expected: Message): void => {
  assert.ok(received.body instanceof Uint8Array, `${what}: expected the body to be bytes`)
  const plain = (message: Message) => ({
    body: plainBody(message.body),
    headers: plainHeaders(message.headers),
    contentType: message.contentType,
    messageId: message.messageId,
    key: message.key,
    properties: Object.fromEntries(
      Object.keys(expected.properties ?? {}).map((name) => [name, plainValue(message.properties?.[name])])
    )
  })
  assert.deepEqual(plain(received), plain(expected), `${what}: expected the message to arrive as it was sent`)
}

/** As often, and the same, in any order. */
export const sameTexts = (what: string, received: ReadonlyArray<string>, expected: ReadonlyArray<string>): void => {
  const seen = new Set<string>()
  const twice = received.filter((each) => seen.size === seen.add(each).size)
  const wanted = new Set(expected)
  const missing = expected.filter((each) => !seen.has(each))
  const foreign = [...seen].filter((each) => !wanted.has(each))
  const some = (all: ReadonlyArray<string>) =>
    `${all.length}${all.length === 0 ? "" : ` (${all.slice(0, 5).join(", ")})`}`
  assert.ok(
    twice.length + missing.length + foreign.length === 0,
    `${what}: expected each of ${expected.length} messages once; missing: ${some(missing)}, more than once: ${some(twice)}, not expected: ${some(foreign)}`
  )
}
