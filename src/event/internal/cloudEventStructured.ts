import * as DateTime from "effect/DateTime"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Base64 from "effect/encoding/Base64"
import * as CloudEvent from "../CloudEvent.ts"
import { Attributes, Problem } from "./cloudEventAttributes.ts"
import * as Payload from "./cloudEventData.ts"
import * as Syntax from "./cloudEventSyntax.ts"

/** What a content type announces: one event, several, or neither; a problem where it is a format that is not known. */
export const modeOf = (contentType: string | undefined): "binary" | "structured" | "batch" | Problem => {
  if (contentType === undefined || !/^application\/cloudevents/i.test(contentType)) return "binary"
  const media = Syntax.parseMediaType(contentType)
  const { charset, essence } = media ?? {}
  if (essence !== "application/cloudevents+json" && essence !== "application/cloudevents-batch+json") {
    return new Problem("content-type", "is no format of CloudEvents that is supported")
  }
  if (charset !== undefined && charset !== "utf-8" && charset !== "utf8") {
    return new Problem("content-type", "has a charset other than utf-8")
  }
  return essence === "application/cloudevents+json" ? "structured" : "batch"
}

/** The event in the members of an object. */
export const fromMembers = (
  members: Readonly<Record<string, unknown>>,
  repeated?: string
): CloudEvent.CloudEvent | CloudEvent.InvalidEvent => {
  const attributes = new Attributes()
  for (const name of Object.keys(members)) {
    // A member that is null is one that is not set (JSON format 1.0.2, 2.2).
    if (members[name] === null || name === "data" || name === "data_base64") continue
    if (name === repeated) attributes.reject(name, "is given twice")
    else attributes.set(name, members[name])
  }
  if (repeated !== undefined) attributes.reject(repeated, "is given twice")
  const made = CloudEvent.build(attributes, attributes.problem ?? dataOf(members, attributes.media))
  return made instanceof Problem ? CloudEvent.failure(made, attributes) : made
}

const dataOf = (members: Readonly<Record<string, unknown>>, media: Syntax.MediaType | undefined): unknown => {
  const encoded = Object.hasOwn(members, "data_base64") && members.data_base64 !== null
  if (!Object.hasOwn(members, "data")) return encoded ? Payload.fromBase64(members.data_base64, media) : undefined
  return encoded ? new Problem("data_base64", "is given beside data") : Payload.fromMember(members.data, media)
}

interface Repeated {
  /** Which of the objects of the level, from 0. */
  readonly index: number
  readonly name: string
}

/**
 * The first member that an object of a level has twice: `JSON.parse` keeps the last one, other parsers the first. Level 1
 * is the object that is the whole text, which is JSON.
 */
const repeatedMember = (text: string, level: number): Repeated | undefined => {
  let seen = new Set<string>()
  const token = /["{}[\],]/g
  let index = -1
  let depth = 0
  let isName = false
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const character = found[0]
    if (character === '"') {
      const start = found.index
      let end = text.indexOf('"', start + 1)
      while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
      token.lastIndex = end + 1
      if (depth !== level || !isName) continue
      isName = false
      const raw = text.slice(start, end + 1)
      const name = raw.includes("\\") ? (JSON.parse(raw) as string) : raw.slice(1, -1)
      if (seen.has(name)) return { index, name }
      seen.add(name)
    } else if (character === ",") isName = true
    else if (character === "}" || character === "]") depth--
    else {
      depth++
      isName = true
      if (depth === level) {
        index++
        seen = new Set()
      }
    }
  }
  return undefined
}

const isEscaped = (text: string, at: number): boolean => {
  let slashes = 0
  while (text.charCodeAt(at - 1 - slashes) === 92) slashes++
  return slashes % 2 === 1
}

const parse = (bytes: Uint8Array): { readonly text: string; readonly value: unknown } | Problem => {
  const text = Payload.readUtf8(bytes)
  if (text === undefined) return new Problem("body", "is not UTF-8")
  const value = Payload.readJson(text)
  return Result.isSuccess(value) ? { text, value: value.success } : new Problem("body", "is no JSON")
}

const isMembers = (value: unknown): value is Readonly<Record<string, unknown>> =>
  Predicate.isObject(value) && !Array.isArray(value)

export const read = (bytes: Uint8Array): CloudEvent.CloudEvent | CloudEvent.InvalidEvent => {
  const parsed = parse(bytes)
  if (parsed instanceof Problem) return CloudEvent.failure(parsed)
  if (!isMembers(parsed.value)) return CloudEvent.failure(new Problem("body", "is no JSON object"))
  return fromMembers(parsed.value, repeatedMember(parsed.text, 1)?.name)
}

export const readBatch = (bytes: Uint8Array): ReadonlyArray<CloudEvent.CloudEvent> | CloudEvent.InvalidEvent => {
  const parsed = parse(bytes)
  if (parsed instanceof Problem) return CloudEvent.failure(parsed)
  if (!Array.isArray(parsed.value)) return CloudEvent.failure(new Problem("body", "is no JSON array"))
  const events: Array<CloudEvent.CloudEvent> = []
  const repeated = repeatedMember(parsed.text, 2)
  for (const [index, value] of parsed.value.entries()) {
    const event = isMembers(value)
      ? fromMembers(value, repeated?.index === index ? repeated.name : undefined)
      : CloudEvent.failure(new Problem("body", "is no JSON object"))
    if (event instanceof CloudEvent.InvalidEvent) {
      return new CloudEvent.InvalidEvent({
        ...event,
        description: `of event ${index + 1} of ${parsed.value.length} ${event.description}`
      })
    }
    events.push(event)
  }
  return events
}

/** The attributes of an event as members, `datacontenttype` among them. */
const toAttributes = (event: CloudEvent.CloudEvent): Record<string, unknown> => ({
  specversion: event.specversion,
  id: event.id,
  source: event.source,
  type: event.type,
  ...(event.time === undefined ? {} : { time: DateTime.formatIso(event.time) }),
  ...(event.subject === undefined ? {} : { subject: event.subject }),
  ...(event.datacontenttype === undefined ? {} : { datacontenttype: event.datacontenttype }),
  ...(event.dataschema === undefined ? {} : { dataschema: event.dataschema }),
  ...event.extensions
})

export const toMembers = (event: CloudEvent.CloudEvent): Record<string, unknown> | CloudEvent.InvalidEvent => {
  const attributes = CloudEvent.attributesOf(event)
  const problem = attributes.problem ?? Payload.check(event.data, attributes.media)
  if (problem !== undefined) return CloudEvent.failure(problem, attributes)
  const members = toAttributes(event)
  if (event.data instanceof Uint8Array) members.data_base64 = Base64.encode(event.data)
  else if (event.data !== undefined) members.data = event.data
  return members
}

export const write = (event: CloudEvent.CloudEvent): string | CloudEvent.InvalidEvent => {
  const members = toMembers(event)
  if (members instanceof CloudEvent.InvalidEvent) return members
  if (!Object.hasOwn(members, "data")) return JSON.stringify(members)
  const { data, ...others } = members
  const text = Payload.writeJson(data)
  return text === undefined
    ? CloudEvent.failure(new Problem("data", "cannot be written as JSON"), CloudEvent.attributesOf(event))
    : `${JSON.stringify(others).slice(0, -1)},"data":${text}}`
}

export const writeBatch = (events: ReadonlyArray<CloudEvent.CloudEvent>): string | CloudEvent.InvalidEvent => {
  const texts: Array<string> = []
  for (const event of events) {
    const text = write(event)
    if (text instanceof CloudEvent.InvalidEvent) return text
    texts.push(text)
  }
  return `[${texts.join(",")}]`
}
