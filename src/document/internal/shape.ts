import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import * as Json from "./jsonSchema.ts"

/**
 * The fields of a schema as the template writes them: `"amount": "integer (at least 1) — in cents"`. The name of a field
 * that may be left out ends in a question mark. `added` are fields that are added to an object.
 */
export const shapeOf = (schema: Schema.Constraint, added: Readonly<Record<string, unknown>> = {}): string => {
  const json = Json.jsonSchemaOf(schema)
  const shape = describe(json, json.root, [])
  return JSON.stringify(Predicate.isObject(shape) && !Array.isArray(shape) ? { ...shape, ...added } : shape, null, 2)
}

/** Whether a schema says that there is no body. */
export const isNothing = (schema: Schema.Constraint): boolean => {
  const json = Json.jsonSchemaOf(schema)
  return Json.resolve(json, json.root).part.type === "null"
}

const describe = (json: Json.JsonSchema, given: unknown, outer: ReadonlyArray<string>): unknown => {
  const { cycle, part, seen } = Json.resolve(json, given, outer)
  if (cycle !== undefined) return `again a ${cycle}`
  const inner = (each: unknown) => describe(json, each, seen)
  const alternatives = Json.alternativesOf(part)
  if (alternatives !== undefined) {
    const each = alternatives.map(inner)
    return each.every((one) => typeof one === "string") ? described(each.join(" | "), part) : { "one of": each }
  }
  if (part.type === "object") return objectOf(part, inner)
  if (part.type === "array") {
    return Array.isArray(part.prefixItems) ? part.prefixItems.map(inner) : [inner(part.items)]
  }
  return described(leafOf(part), part)
}

const objectOf = (part: Json.Part, inner: (each: unknown) => unknown): unknown => {
  const named = Json.propertiesOf(part).map(([name, each]) => [
    Json.isRequired(part, name) ? name : `${name}?`,
    inner(each)
  ])
  const others = part.additionalProperties
  if (typeof others === "object" && others !== null) named.push(["any other name", inner(others)])
  return named.length === 0 ? described("object", part) : Object.fromEntries(named)
}

const described = (type: string, { description }: Json.Part): string =>
  typeof description === "string" && description !== "" ? `${type} — ${description}` : type

const leafOf = (part: Json.Part): string => {
  if ("const" in part) return JSON.stringify(part.const)
  if (Array.isArray(part.enum)) return part.enum.map((each) => JSON.stringify(each)).join(" | ")
  const type = Array.isArray(part.type) ? part.type.join(" | ") : typeof part.type === "string" ? part.type : "any"
  const limits = limitsOf(part)
  return limits.length === 0 ? type : `${type} (${limits.join(", ")})`
}

const limitsOf = (part: Json.Part): ReadonlyArray<string> => {
  const limit = (name: string, text: string): ReadonlyArray<string> => {
    const value = part[name]
    return typeof value === "number" && Math.abs(value) < Number.MAX_SAFE_INTEGER ? [`${text} ${value}`] : []
  }
  return [
    ...(typeof part.format === "string" ? [part.format] : []),
    ...limit("minimum", "at least"),
    ...limit("exclusiveMinimum", "more than"),
    ...limit("maximum", "at most"),
    ...limit("exclusiveMaximum", "less than"),
    ...limit("multipleOf", "a multiple of"),
    ...limit("minLength", "characters: at least"),
    ...limit("maxLength", "characters: at most"),
    ...(typeof part.pattern === "string" && part.format === undefined ? [`like ${part.pattern}`] : [])
  ]
}
