import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Issue from "../../internal/issue.ts"
import type * as Channel from "../Channel.ts"
import { type CloudEvent, InvalidEvent } from "../CloudEvent.ts"
import type { Binding } from "../Codec.ts"
import type * as EventType from "../EventType.ts"
import type { Message } from "../Message.ts"
import * as Ordering from "../Ordering.ts"

/** A message that was read: an event of a type of the channel, one of no such type, or none at all. */
export type Reading =
  | { readonly _tag: "Known"; readonly event: CloudEvent; readonly key: string | undefined }
  | { readonly _tag: "Unknown"; readonly event: CloudEvent }
  | { readonly _tag: "Invalid"; readonly error: InvalidEvent; readonly event: CloudEvent | undefined }

/** Its caller provides what the schema needs. */
type Decode = (data: unknown) => Effect.Effect<unknown, Schema.SchemaError>

/** How the data of each version of a type is read; data of JSON media types is in the JSON form of its schema. */
interface Decoders {
  readonly current: Decode
  readonly dataschema: string | undefined
  readonly previous: ReadonlyMap<string, Decode>
}

const decoder = (schema: Schema.Constraint, json: boolean): Decode =>
  Schema.decodeUnknownEffect(
    (json ? Schema.toCodecJson(schema as any) : schema) as Schema.Codec<any, any, any>
  ) as Decode

const decodersOf = (type: EventType.Any): Decoders => {
  const json = type.isJson
  return {
    current: decoder(type.data, json),
    dataschema: type.dataschema,
    previous: new Map(
      Object.entries(type.previous).map(([uri, { data, upcast }]) => {
        const decode = decoder(data, json)
        return [uri, (old: unknown) => Effect.map(decode(old), upcast)] as const
      })
    )
  }
}

/** Reads messages of a channel: envelope, type, data in any of its versions, and the key where it is ordered by one. */
export const make = (channel: Channel.Any, binding: Binding): ((message: Message) => Effect.Effect<Reading>) => {
  const types = new Map(channel.events.map((type) => [type.type, decodersOf(type)]))
  const { codec, ordering } = channel

  const invalid = (event: CloudEvent, attribute: string, description: string): Reading => ({
    _tag: "Invalid",
    event,
    error: new InvalidEvent({
      attribute: attribute.slice(0, 256),
      description: description.slice(0, 512),
      id: event.id,
      source: event.source,
      type: event.type
    })
  })

  const known = (event: CloudEvent, data: unknown): Reading => {
    if (ordering._tag !== "Strict") return { _tag: "Known", event: { ...event, data }, key: undefined }
    const key = Ordering.keyOf(ordering, data)
    return key === undefined
      ? invalid(event, `data.${ordering.path}`, "is no key: a text that is not empty, or a number")
      : { _tag: "Known", event: { ...event, data }, key }
  }

  const read = (message: Message): Effect.Effect<Reading> => {
    const decoded = codec.decode(message, binding)
    if (Result.isFailure(decoded)) return Effect.succeed({ _tag: "Invalid", error: decoded.failure, event: undefined })
    const event = decoded.success
    const decoders = types.get(event.type)
    if (decoders === undefined) return Effect.succeed({ _tag: "Unknown", event })
    const { dataschema } = event
    const decode =
      dataschema === undefined || decoders.dataschema === undefined || dataschema === decoders.dataschema
        ? decoders.current
        : decoders.previous.get(dataschema)
    if (decode === undefined) return Effect.succeed(invalid(event, "dataschema", "is no known version of this type"))
    const data = decode(event.data)
    // Most schemas decode without waiting for anything.
    if (Exit.isExit(data) && Exit.isSuccess(data)) return Effect.succeed(known(event, data.value))
    return Effect.matchCause(data, {
      onSuccess: (data) => known(event, data),
      onFailure: (cause) => {
        const failed = cause.reasons.find((reason) => reason._tag === "Fail")
        const { description, path } =
          failed === undefined ? { description: "could not be read", path: [] } : Issue.describe(failed.error)
        return invalid(event, ["data", ...path].join("."), description)
      }
    })
  }
  // A codec of the user that throws is a message that cannot be read, and not the end of the consumer.
  const broken: Reading = {
    _tag: "Invalid",
    error: new InvalidEvent({ attribute: "body", description: "could not be read: the codec has thrown" }),
    event: undefined
  }
  const isBroken = Effect.succeed(broken)
  return (message) => {
    const reading = Result.getOrElse(
      Result.try(() => read(message)),
      () => isBroken
    )
    return Exit.isExit(reading) ? reading : Effect.catchDefect(reading, () => isBroken)
  }
}
