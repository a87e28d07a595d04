import type { Message as AmqpMessage, Options } from "amqplib/callback_api"
import { Buffer } from "node:buffer"
import type { Headers, HeaderValue, Message } from "../../event/Message.ts"
import { isDelayQueue } from "../Queues.ts"

/** The key of the message. */
const keyHeader = "integration-key"
/** The delivery tag of the publishing channel: what tells which of several equal messages was returned. */
export const tagHeader = "integration-tag"
/** When the message is due (epoch milliseconds), where its delay is longer than any queue's. */
export const dueHeader = "integration-due"
/** Headers and properties that RabbitMQ would act upon, kept aside. */
const keptHeader = "integration-kept"

/**
 * RabbitMQ sends a message on to the queues that CC and BCC name, takes a repeated x-death for a circle and drops the
 * message, and closes the channel where one of them is malformed. For us they are data.
 */
const instructs = /^(CC|BCC|x-death|x-delivery-count|x-(first|last)-death-.+)$/

const ours = new Set([keyHeader, tagHeader, dueHeader, keptHeader])

const properties = [
  "contentEncoding",
  "priority",
  "correlationId",
  "replyTo",
  "expiration",
  "timestamp",
  "type",
  "userId",
  "appId"
] as const

/** A message as amqplib takes it, but for its headers, which `HeaderTables` hands over when it is sent. */
export interface Outgoing {
  readonly body: Buffer
  readonly options: Options.Publish & { readonly headers: Record<string, unknown> }
}

/** How many sets of header names are remembered. */
const remembered = 16

/**
 * Hands headers over to amqplib, which makes the object that it is given the prototype of another: of a new object that
 * takes longer than all the rest of a publish. So messages with the same header names share an object, which amqplib has
 * read when its `publish` returns.
 */
export class HeaderTables {
  #tables: Array<{ readonly names: ReadonlyArray<string>; readonly table: Record<string, unknown> }> = []
  of(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const names = Object.keys(headers)
    const table = this.#tableOf(names)
    for (const name of names) table[name] = headers[name]
    return table
  }
  #tableOf(names: ReadonlyArray<string>): Record<string, unknown> {
    for (const each of this.#tables) if (isSame(each.names, names)) return each.table
    const table: Record<string, unknown> = {}
    this.#tables = [{ names, table }, ...this.#tables].slice(0, remembered)
    return table
  }
}

const isSame = (names: ReadonlyArray<string>, others: ReadonlyArray<string>): boolean => {
  if (names.length !== others.length) return false
  for (let index = 0; index < names.length; index++) if (names[index] !== others[index]) return false
  return true
}

/** RabbitMQ cannot read a double that is no number, and closes the connection. */
const checked = (value: number): unknown => {
  if (!Number.isFinite(value)) throw new TypeError(`a header cannot be ${value}`)
  return Number.isInteger(value) ? value : { "!": "double", value }
}

const encodeValue = (value: HeaderValue): unknown => {
  if (typeof value === "number") return checked(value)
  if (typeof value !== "object" || value === null) return value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (Array.isArray(value)) return value.map(encodeValue)
  const table: Record<string, unknown> = {}
  for (const [name, item] of Object.entries(value)) table[name] = encodeValue(item)
  return table
}

/**
 * Persistent, always.
 *
 * A copy that is moved to a queue of ours must not expire there by its own time to live, which is kept aside as well, and
 * so is a user id, which RabbitMQ accepts from that user only.
 */
export const encode = (
  message: Message,
  options: { readonly copy: boolean; readonly user: string; readonly due?: number | undefined }
): Outgoing => {
  const headers: Record<string, unknown> = {}
  const outgoing: Record<string, unknown> = { headers, deliveryMode: 2, mandatory: true }
  let keptHeaders: Record<string, unknown> | undefined
  let keptProperties: Record<string, unknown> | undefined
  for (const name in message.headers) {
    const value = message.headers[name]!
    const encoded = typeof value === "string" ? value : encodeValue(value)
    // Most begin otherwise, and this is the way of every message.
    const initial = name.charCodeAt(0)
    if ((initial === 67 || initial === 66 || initial === 120) && instructs.test(name))
      (keptHeaders ??= {})[name] = encoded
    else if (initial !== 105 || !ours.has(name)) headers[name] = encoded
  }
  if (message.properties !== undefined) {
    for (const name of properties) {
      const value = message.properties[name]
      if (value === undefined || value === null) continue
      const aside = name === "expiration" ? options.copy || !/^\d{1,10}$/.test(String(value)) : false
      if (aside || (name === "userId" && value !== options.user)) (keptProperties ??= {})[name] = encodeValue(value)
      else outgoing[name] = value
    }
  }
  if (keptHeaders !== undefined || keptProperties !== undefined) {
    headers[keptHeader] = { headers: keptHeaders ?? {}, properties: keptProperties ?? {} }
  }
  if (message.key !== undefined) headers[keyHeader] = message.key
  if (options.due !== undefined) headers[dueHeader] = options.due
  if (message.contentType !== undefined) outgoing["contentType"] = message.contentType
  if (message.messageId !== undefined) outgoing["messageId"] = message.messageId
  const { body } = message
  return {
    body: Buffer.from(body.buffer, body.byteOffset, body.byteLength),
    options: outgoing as unknown as Outgoing["options"]
  }
}

/** Whether it is a header of ours or of RabbitMQ. Most begin otherwise, and all of every message are asked. */
const isAside = (name: string): boolean => {
  const initial = name.charCodeAt(0)
  return initial === 105 ? ours.has(name) : initial === 120 && instructs.test(name)
}

const isTable = (value: unknown): value is Record<string, HeaderValue> => typeof value === "object" && value !== null

/**
 * A message of a queue whose group's names begin with `base`. That it waited in a delay queue of the group is not to be
 * seen.
 */
export const decode = (raw: AmqpMessage, base: string): Message => {
  const { content } = raw
  const given: Record<string, HeaderValue> = raw.properties.headers ?? {}
  let headers = given
  for (const name in given) {
    if (!isAside(name)) continue
    headers = sentOf(given, base)
    break
  }
  let others: Record<string, HeaderValue> | undefined
  for (const name of properties) {
    if (raw.properties[name] !== undefined) (others ??= {})[name] = raw.properties[name]
  }
  const kept = given[keptHeader]
  if (isTable(kept) && isTable(kept["properties"]) && Object.keys(kept["properties"]).length > 0) {
    others = { ...others, ...kept["properties"] }
  }
  const key = given[keyHeader]
  const { contentType, messageId } = raw.properties
  const message: { -readonly [Name in keyof Message]: Message[Name] } = {
    body: new Uint8Array(content.buffer, content.byteOffset, content.byteLength),
    headers
  }
  if (contentType !== undefined) message.contentType = contentType
  if (messageId !== undefined) message.messageId = messageId
  if (typeof key === "string") message.key = key
  if (others !== undefined) message.properties = others
  return message
}

/** The headers that the message was sent with, and where it died as far as that is to be seen. */
const sentOf = (given: Record<string, HeaderValue>, base: string): Record<string, HeaderValue> => {
  const headers: Record<string, HeaderValue> = {}
  for (const name in given) if (!isAside(name)) headers[name] = given[name]!
  if (given["x-death"] !== undefined) Object.assign(headers, deathsOf(given, base))
  const kept = given[keptHeader]
  if (isTable(kept) && isTable(kept["headers"])) {
    for (const [name, value] of Object.entries(kept["headers"])) headers[name] ??= value
  }
  return headers
}

const deathsOf = (given: Record<string, HeaderValue>, base: string): Headers => {
  const all = given["x-death"]
  const deaths = Array.isArray(all) ? all.filter((death) => !isTable(death) || !isDelayQueue(base, death["queue"])) : []
  if (deaths.length === 0) return {}
  const found: Record<string, HeaderValue> = { "x-death": deaths }
  for (const name in given) if (/^x-(first|last)-death-/.test(name)) found[name] = given[name]!
  return found
}

/** When it is due, where its delay was longer than any queue's. */
export const dueOf = (raw: AmqpMessage): number | undefined => {
  const due: unknown = raw.properties.headers?.[dueHeader]
  return typeof due === "number" ? due : undefined
}

/**
 * How often it was given out before. A quorum queue counts; a classic one only says that it was.
 */
export const redeliveriesOf = (raw: AmqpMessage): number => {
  if (!raw.fields.redelivered) return 0
  const count: unknown = raw.properties.headers?.["x-delivery-count"]
  return typeof count === "number" && count > 0 ? count : 1
}
