import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Issue from "../../internal/issue.ts"

type Json = Schema.Json
type JsonObject = Schema.JsonObject

/** The schemas that a schema refers to, by name. */
export type Definitions = Readonly<Record<string, JsonObject>>

/** Texts by format, the same each time. */
const formats: Readonly<Record<string, string>> = {
  "date-time": "2026-01-15T09:30:00.000Z",
  date: "2026-01-15",
  time: "09:30:00Z",
  uuid: "0b7f4a52-1c3d-4e5f-8a9b-6c7d8e9f0a1b",
  email: "someone@example.com",
  ipv4: "192.0.2.1",
  uri: "https://example.com",
  byte: "AAEC"
}

/** What a text may be of which its JSON Schema does not say it: a time, an id, an address, a number, a currency. */
const candidates: ReadonlyArray<string> = [...Object.values(formats), "1", "1.5", "Europe/Berlin", "EUR", "A", "a"]

/** The name of the schema that a schema refers to, and that schema. */
export const referred = ({ $ref }: JsonObject, definitions: Definitions): readonly [string, JsonObject] | undefined => {
  const name = typeof $ref === "string" ? $ref.replace("#/components/schemas/", "") : ""
  const found = Object.hasOwn(definitions, name) ? definitions[name] : undefined
  return found === undefined ? undefined : [name, found]
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const list = (value: Json | undefined): ReadonlyArray<JsonObject> =>
  Array.isArray(value) ? value.filter(isObject) : []

/**
 * A value of JSON for a schema, always the same. `undefined` where none is known, for example of a schema that only ends
 * in itself.
 */
const sample = (
  schema: JsonObject,
  definitions: Definitions,
  name: string,
  within: ReadonlyArray<string>
): Json | undefined => {
  const again = (each: JsonObject, called = name): Json | undefined => sample(each, definitions, called, within)
  for (const value of [list0(schema.examples), schema.default, schema.const, list0(schema.enum)]) {
    if (value !== undefined) return value
  }
  const reference = referred(schema, definitions)
  if (reference !== undefined) {
    const [key, target] = reference
    return within.includes(key) ? undefined : sample(target, definitions, name, [...within, key])
  }
  for (const member of [...list(schema.anyOf), ...list(schema.oneOf)]) {
    const value = again(member)
    if (value !== undefined) return value
  }
  const { allOf, ...rest } = schema
  if (allOf !== undefined) return again(Object.assign({}, rest, ...list(allOf)) as JsonObject)
  switch (schema.type) {
    case "object":
      return objectOf(schema, again)
    case "array":
      return arrayOf(schema, again)
    case "integer":
    case "number":
      return numberOf(schema)
    case "boolean":
      return true
    case "null":
      return null
    case "string":
      return textOf(schema, name)
    default:
      return schema.type === undefined ? {} : undefined
  }
}

const list0 = (value: Json | undefined): Json | undefined => (Array.isArray(value) ? value[0] : undefined)

type Again = (schema: JsonObject, name?: string) => Json | undefined

const objectOf = ({ properties, required }: JsonObject, again: Again): JsonObject | undefined => {
  const entries: Array<[string, Json]> = []
  for (const [name, each] of Object.entries(isObject(properties) ? properties : {})) {
    const value = isObject(each) ? again(each, name) : undefined
    if (value !== undefined) entries.push([name, value])
    else if (Array.isArray(required) && required.includes(name)) return undefined
  }
  return Object.fromEntries(entries)
}

const arrayOf = ({ items, maxItems, minItems = 0 }: JsonObject, again: Again): Json | undefined => {
  if (maxItems === 0) return []
  const each = isObject(items) ? Array.from({ length: Math.max(1, Number(minItems)) }, () => items) : list(items)
  const values = each.flatMap((item) => again(item) ?? [])
  // A tree ends where its children may be none.
  return values.length === each.length ? values : minItems === 0 ? [] : undefined
}

const numberOf = (schema: JsonObject): number => {
  const bound = (name: string, otherwise: number): number => {
    const value = schema[name]
    return typeof value === "number" ? value : otherwise
  }
  const unit = schema.type === "integer" ? 1 : 0.5
  const step = bound("multipleOf", unit)
  const least = Math.max(bound("minimum", -Infinity), bound("exclusiveMinimum", -Infinity) + step)
  const most = Math.min(bound("maximum", Infinity), bound("exclusiveMaximum", Infinity) - step)
  const value = Math.min(Math.max(schema.type === "integer" ? 1 : 1.5, least), most)
  return schema.multipleOf === undefined ? value : Math.ceil(value / step) * step
}

const textOf = ({ format, maxLength, minLength, pattern }: JsonObject, name: string): string => {
  const known = typeof format === "string" ? formats[format] : undefined
  if (known !== undefined) return known
  const text = (name === "" ? "text" : name).padEnd(Math.min(1000, Number(minLength ?? 0)), "-")
  const fitting = typeof maxLength === "number" ? text.slice(0, maxLength) : text
  const expression = Result.try(() => new RegExp(String(pattern ?? ""), "u"))
  const fits = (each: string) => Result.isFailure(expression) || expression.success.test(each)
  return [fitting, ...candidates].find(fits) ?? fitting
}

/** An example of data in JSON that its schema takes; `undefined` where none is found. */
export const decodedExampleOf = (data: Schema.Constraint, json: JsonObject, definitions: Definitions) => {
  const decode = Schema.decodeUnknownExit(Schema.toCodecJson(data as Schema.Top) as unknown as Schema.Codec<unknown>)
  const tried = new Map<string, number>()
  let example = sample(json, definitions, "", [])
  // A JSON Schema does not say of a text that it is a time. Where decoding fails at a text, others are tried there.
  for (let rounds = 0; example !== undefined && rounds < 200; rounds++) {
    const value = example
    // A check of the user may throw, and a schema may need services: then nobody knows.
    const exit = Result.getOrUndefined(Result.try(() => decode(value)))
    if (exit === undefined || Exit.isSuccess(exit)) return exit === undefined ? undefined : value
    const failed = exit.cause.reasons.find((reason) => reason._tag === "Fail")
    const path = failed === undefined ? [] : Issue.describe(failed.error).path
    const key = JSON.stringify(path)
    const next = candidates[tried.get(key) ?? 0]
    tried.set(key, (tried.get(key) ?? 0) + 1)
    example = next === undefined ? undefined : replaced(value, path, next)
  }
  return undefined
}

/** The value with another text at a path; `undefined` where there is no text. */
const replaced = (value: Json, [name, ...rest]: ReadonlyArray<string>, text: string): Json | undefined => {
  if (name === undefined) return typeof value === "string" ? text : undefined
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined
  const changed = replaced((value as JsonObject)[name]!, rest, text)
  if (changed === undefined) return undefined
  return Array.isArray(value) ? value.with(Number(name), changed) : { ...value, [name]: changed }
}
