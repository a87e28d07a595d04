import type * as Schema from "effect/Schema"
import { type Definitions, referred } from "./decodedExample.ts"

type JsonObject = Schema.JsonObject

/** Whether the client adds `metadata` to bodies of a content type. */
export const isJson = (contentType: string): boolean => /^application\/([\w.!#$&^-]+\+)?json\s*(;|$)/i.test(contentType)

/**
 * A body with the `metadata` that the client adds to it: to JSON objects only, and besides what the body's own `metadata`
 * has. The components stay as they are, since responses may use them too.
 */
export const withMetadata = (body: JsonObject, sourceSystem: string, definitions: Definitions): JsonObject => {
  const added: Definitions = {
    sourceSystem: { type: "string", const: sourceSystem },
    timestamp: { type: "string", format: "date-time", description: "When the request was made" }
  }
  const own = (given: Schema.Json | undefined): JsonObject => {
    const fresh: JsonObject = { type: "object", properties: added, required: Object.keys(added) }
    return isObject(given) ? (widened(given, () => added, definitions, new Set()) ?? fresh) : fresh
  }
  const of = (properties: JsonObject) => ({ metadata: own(properties.metadata) })
  return widened(body, of, definitions, new Set()) ?? body
}

const isObject = (value: Schema.Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The schema with more properties where it is that of objects; `undefined` where it nowhere is. */
const widened = (
  schema: JsonObject,
  added: (properties: JsonObject) => Definitions,
  definitions: Definitions,
  within: ReadonlySet<string>
): JsonObject | undefined => {
  const { $ref: _, ...rest } = schema
  const reference = referred(schema, definitions)
  if (reference !== undefined && !within.has(reference[0])) {
    const wider = widened(reference[1], added, definitions, new Set(within).add(reference[0]))
    return wider === undefined ? undefined : { ...wider, ...rest }
  }
  if (schema.type === "object") {
    const properties = isObject(schema.properties) ? schema.properties : {}
    const more = added(properties)
    const required = Array.isArray(schema.required) ? schema.required : []
    return {
      ...schema,
      properties: { ...properties, ...more },
      required: [...new Set([...required, ...Object.keys(more)])]
    }
  }
  let wider: JsonObject | undefined
  for (const union of ["anyOf", "oneOf", "allOf"] as const) {
    const members = schema[union]
    if (!Array.isArray(members)) continue
    const changed = members.map((each) => (isObject(each) ? (widened(each, added, definitions, within) ?? each) : each))
    if (changed.some((each, index) => each !== members[index])) wider = { ...(wider ?? schema), [union]: changed }
  }
  return wider
}
