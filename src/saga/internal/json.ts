import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** A schema that needs no services. */
export type Plain = Schema.Codec<unknown, unknown, never, never>

/** A value as the JSON text of its schema. */
export const write = (schema: Plain, value: unknown): Effect.Effect<string, Schema.SchemaError> =>
  Effect.map(Schema.encodeUnknownEffect(Schema.toCodecJson(schema))(value), (json) => JSON.stringify(json ?? null))

/** The value of a JSON text that `write` has made. */
export const read = (schema: Plain, text: string): Effect.Effect<unknown, Schema.SchemaError> =>
  Effect.suspend(() => {
    const json: unknown = JSON.parse(text)
    return Schema.decodeUnknownEffect(Schema.toCodecJson(schema))(json)
  })
