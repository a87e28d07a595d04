import * as JsonSchema from "effect/JsonSchema"
import * as Schema from "effect/Schema"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import type * as Channel from "../../event/Channel.ts"
import * as Codec from "../../event/Codec.ts"
import type * as EventType from "../../event/EventType.ts"
import { decodedExampleOf } from "./decodedExample.ts"
import { freeName } from "./naming.ts"

type Json = Schema.Json
type JsonObject = Schema.JsonObject

/** One version of an event as it travels on a channel. */
interface Version {
  readonly channel: Channel.Any
  readonly type: EventType.Any
  readonly data: Schema.Constraint
  readonly dataschema: string | undefined
  readonly isCurrent: boolean
}

/** The messages of channels as components, and which of them travel on each channel: those published, and all read. */
export interface Messages {
  readonly messages: Readonly<Record<string, JsonObject>>
  readonly schemas: Readonly<Record<string, JsonObject>>
  readonly published: (channel: Channel.Any) => ReadonlyArray<string>
  readonly read: (channel: Channel.Any) => ReadonlyArray<string>
}

export const messagesOf = (channels: ReadonlyArray<Channel.Any>): Messages => {
  const versions = channels.flatMap((channel) => channel.events.flatMap((type) => versionsOf(channel, type)))
  const compiled = compile(versions)
  const schemas: Record<string, JsonObject> = { ...compiled.definitions }
  const messages: Record<string, JsonObject> = {}
  const published = new Map<string, Array<string>>()
  const read = new Map<string, Array<string>>()
  const names = new Map<Schema.Constraint, string>()
  for (const [index, version] of versions.entries()) {
    const { channel, data, isCurrent, type } = version
    const root = compiled.roots[index]!
    let payload: JsonObject = root
    // A schema that is no component yet becomes one, once for all channels.
    if (type.isJson && Object.keys(root).join() !== "$ref") {
      const known = names.get(data) ?? freeName(isCurrent ? type.type : `${type.type}.previous`, schemas)
      names.set(data, known)
      schemas[known] = root
      payload = { $ref: `#/components/schemas/${known}` }
    }
    const name = freeName(isCurrent ? type.type : `${type.type}.previous`, messages)
    const example = type.isJson ? decodedExampleOf(data, root, schemas) : undefined
    messages[name] = messageOf(version, payload, example)
    read.set(channel.name, [...(read.get(channel.name) ?? []), name])
    if (isCurrent) published.set(channel.name, [...(published.get(channel.name) ?? []), name])
  }
  return {
    messages,
    schemas,
    published: ({ name }) => published.get(name) ?? [],
    read: ({ name }) => read.get(name) ?? []
  }
}

const versionsOf = (channel: Channel.Any, type: EventType.Any): ReadonlyArray<Version> => [
  { channel, type, data: type.data, dataschema: type.dataschema, isCurrent: true },
  ...Object.entries(type.previous).map(([dataschema, { data }]) => ({
    channel,
    type,
    data,
    dataschema,
    isCurrent: false
  }))
]

/** The schemas of JSON data in draft 7, which is what AsyncAPI speaks; other data is a text or bytes. */
const compile = (versions: ReadonlyArray<Version>) => {
  const [first, ...rest] = versions.map(({ data, type }) =>
    type.isJson ? Schema.toCodecJson(data as Schema.Top).ast : Schema.String.ast
  )
  if (first === undefined) return { roots: [], definitions: {} }
  const { definitions, schemas } = JsonSchema.toMultiDocumentOpenApi3_1(
    SchemaRepresentation.toJsonSchemaMultiDocument(SchemaRepresentation.toRepresentations([first, ...rest]))
  )
  const draft7 = (schema: JsonSchema.JsonSchema) =>
    JsonSchema.toDocumentDraft07({ dialect: "draft-2020-12", schema, definitions: {} }).schema as JsonObject
  return {
    roots: versions.map(({ type }, index) =>
      type.isJson
        ? draft7(schemas[index]!)
        : type.datacontenttype.toLowerCase().startsWith("text/")
          ? { type: "string" }
          : { type: "string", format: "binary" }
    ),
    definitions: Object.fromEntries(Object.entries(definitions).map(([name, each]) => [name, draft7(each)]))
  }
}

/** A text that is not empty. */
const text: JsonObject = { type: "string", minLength: 1 }

/** The attributes of CloudEvents 1.0.2 that a publisher writes, and those that a consumer reads. */
const attributesOf = ({ channel, dataschema, isCurrent, type }: Version): Readonly<Record<string, JsonObject>> => ({
  specversion: { type: "string", const: "1.0" },
  id: { ...text, description: "With the source, the identity of the event" },
  source: { ...text, format: "uri-reference", description: `Published as ${type.source}` },
  type: { type: "string", const: type.type },
  time: { type: "string", format: "date-time" },
  subject: text,
  ...(dataschema === undefined ? undefined : { dataschema: { type: "string", const: dataschema } }),
  traceparent: { ...text, description: "W3C Trace Context" },
  requestid: { ...text, description: "The request that the event comes from" },
  ...(channel.ordering._tag === "Strict" && isCurrent
    ? { partitionkey: { ...text, description: `The value of ${channel.ordering.path} in the data` } }
    : undefined)
})

/** An event without `dataschema` is taken for the current version, so an older one must name its own. */
const requiredOf = ({ isCurrent }: Version): ReadonlyArray<string> => [
  "specversion",
  "id",
  "source",
  "type",
  ...(isCurrent ? [] : ["dataschema"])
]

const exampleAttributes = (version: Version): Readonly<Record<string, string>> => ({
  specversion: "1.0",
  id: "0b7f4a52-1c3d-4e5f-8a9b-6c7d8e9f0a1b",
  source: version.type.source,
  type: version.type.type,
  time: "2026-01-15T09:30:00.000Z",
  ...(version.dataschema === undefined ? undefined : { dataschema: version.dataschema })
})

const messageOf = (version: Version, payload: JsonObject, example: Json | undefined): JsonObject => {
  const { channel, dataschema, isCurrent, type } = version
  const shared: JsonObject = {
    name: type.type,
    title: type.type,
    summary: `${channel.codec.name}${isCurrent ? "" : `; an older version, ${dataschema}, which is still read`}`
  }
  const attributes = attributesOf(version)
  const required = requiredOf(version)
  const given = exampleAttributes(version)
  if (channel.codec === Codec.structured) {
    const field = type.isJson || payload.format !== "binary" ? "data" : "data_base64"
    const data: JsonObject = field === "data" ? payload : { type: "string", contentEncoding: "base64" }
    const media: JsonObject = { datacontenttype: { type: "string", examples: [type.datacontenttype] } }
    return {
      ...shared,
      contentType: "application/cloudevents+json",
      payload: { type: "object", properties: { ...attributes, ...media, [field]: data }, required: [...required] },
      ...(example === undefined
        ? undefined
        : { examples: [{ payload: { ...given, datacontenttype: type.datacontenttype, data: example } }] })
    }
  }
  const prefixed = (name: string): string => `cloudEvents:${name}`
  const headers =
    channel.codec === Codec.binary
      ? {
          headers: {
            type: "object",
            properties: Object.fromEntries(Object.entries(attributes).map(([name, each]) => [prefixed(name), each])),
            required: required.map(prefixed)
          }
        }
      : undefined
  const carried =
    headers === undefined
      ? undefined
      : { headers: Object.fromEntries(Object.entries(given).map(([name, each]) => [prefixed(name), each])) }
  return {
    ...shared,
    contentType: type.datacontenttype,
    ...headers,
    payload,
    ...(example === undefined ? undefined : { examples: [{ ...carried, payload: example }] })
  }
}
