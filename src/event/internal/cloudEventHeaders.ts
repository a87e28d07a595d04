import * as DateTime from "effect/DateTime"
import * as Base64 from "effect/encoding/Base64"
import type { CloudEvent } from "../CloudEvent.ts"
import type { Headers, HeaderValue, Message } from "../Message.ts"
import { Attributes, isTextual, Problem } from "./cloudEventAttributes.ts"
import * as Payload from "./cloudEventData.ts"

const prefix = "cloudEvents"

/** The attributes that most messages have, by header. */
const common = new Map(
  ["specversion", "id", "source", "type", "time", "traceparent", "partitionkey"].map((name) => [
    `${prefix}:${name}`,
    name
  ])
)

/**
 * The attributes of AMQP headers. Bytes in an extension are taken in their canonical form, base64; a time is a text,
 * since a timestamp of AMQP 0-9-1 has no fractions.
 */
export const fromAmqp = (message: Message): Attributes => {
  const attributes = new Attributes()
  let separator: string | undefined
  if (message.contentType !== undefined) attributes.set("datacontenttype", message.contentType)
  for (const key of Object.keys(message.headers)) {
    if (!key.startsWith(prefix)) continue
    const found = key[prefix.length]
    if (found !== ":" && found !== "_") continue
    separator ??= found
    const name = common.get(key) ?? key.slice(prefix.length + 1)
    if (found !== separator) attributes.reject(name, "has another prefix than other attributes of the message")
    else if (name === "datacontenttype") attributes.reject(name, "is a header, where the content type has its place")
    else attributes.set(name, amqpValue(name, message.headers[key]))
  }
  return attributes
}

const amqpValue = (name: string, value: HeaderValue | undefined): unknown =>
  value instanceof Uint8Array && !isTextual(name) ? Base64.encode(value) : value

/** The attributes of Kafka headers, whose values are UTF-8. */
export const fromKafka = (message: Message): Attributes => {
  const attributes = new Attributes()
  const contentType = contentTypeOfKafka(message)
  if (contentType !== undefined) attributes.set("datacontenttype", contentType)
  for (const key of Object.keys(message.headers)) {
    if (!key.startsWith("ce_")) continue
    const name = key.slice(3)
    const value = kafkaText(message.headers[key])
    if (value instanceof Problem) attributes.reject(name, value.description)
    // The binding says both that the content type stands for it, and that only `data` is no header.
    else if (name !== "datacontenttype" || value !== attributes.datacontenttype) attributes.set(name, value)
  }
  return attributes
}

const kafkaText = (value: HeaderValue | undefined): string | Problem => {
  if (typeof value === "string") return value
  if (!(value instanceof Uint8Array)) return new Problem("", "is no text")
  return Payload.readUtf8(value) ?? new Problem("", "is not UTF-8")
}

const contentTypeOfKafka = (message: Message): unknown => {
  const value = message.headers["content-type"]
  if (value === undefined) return message.contentType
  const text = kafkaText(value)
  return text instanceof Problem ? null : text
}

/** The content type of a message, where it is a text. */
export const contentTypeOf = (message: Message, binding: "amqp" | "kafka"): string | undefined => {
  const found = binding === "amqp" ? message.contentType : contentTypeOfKafka(message)
  return typeof found === "string" ? found : undefined
}

/** Calls with each attribute but `datacontenttype`; the time as text. */
export const forEach = (event: CloudEvent, each: (name: string, value: string | number | boolean) => void): void => {
  each("specversion", event.specversion)
  each("id", event.id)
  each("source", event.source)
  each("type", event.type)
  if (event.time !== undefined) each("time", DateTime.formatIso(event.time))
  if (event.subject !== undefined) each("subject", event.subject)
  if (event.dataschema !== undefined) each("dataschema", event.dataschema)
  for (const name of Object.keys(event.extensions)) {
    const value = event.extensions[name]
    if (value !== undefined) each(name, value)
  }
}

export const toAmqp = (event: CloudEvent): Headers => {
  const headers: Record<string, HeaderValue> = {}
  forEach(event, (name, value) => (headers[`${prefix}:${name}`] = value))
  return headers
}

export const toKafka = (event: CloudEvent, contentType: string | undefined): Headers => {
  const headers: Record<string, HeaderValue> = {}
  forEach(event, (name, value) => (headers[`ce_${name}`] = Payload.writeUtf8(String(value))))
  if (contentType !== undefined) headers["content-type"] = Payload.writeUtf8(contentType)
  return headers
}

/** What the content type of a body of its own says: JSON is said also where the event only implies it. */
export const contentTypeFor = (event: CloudEvent): string | undefined =>
  event.datacontenttype ?? (event.data === undefined ? undefined : "application/json")
