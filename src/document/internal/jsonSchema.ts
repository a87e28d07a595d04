import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { decodedExampleOf, type Definitions } from "./decodedExample.ts"

/** A JSON Schema (draft 2020-12) of a value, with what its references mean. */
export interface JsonSchema {
  readonly root: Part
  readonly definitions: Readonly<Record<string, Part>>
}

export type Part = Readonly<Record<string, unknown>>

/** The JSON Schema of a schema; one that allows anything where there is none. */
export const jsonSchemaOf = (schema: Schema.Constraint): JsonSchema => {
  // A schema of the user may refuse to be described; the rest of the document does not fall with it.
  const made = Result.try(() => Schema.toJsonSchemaDocument(schema))
  return Result.isSuccess(made)
    ? { root: made.success.schema as Part, definitions: made.success.definitions as Readonly<Record<string, Part>> }
    : { root: {}, definitions: {} }
}

const asPart = (given: unknown): Part => (Predicate.isObject(given) && !Array.isArray(given) ? (given as Part) : {})

/** What a part means, its references followed, with the names that were followed. */
export const resolve = (
  { definitions }: JsonSchema,
  given: unknown,
  seen: ReadonlyArray<string> = []
): { readonly part: Part; readonly seen: ReadonlyArray<string>; readonly cycle: string | undefined } => {
  const part = asPart(given)
  const name = refOf(part)
  if (name === undefined) return { part: merged(part), seen, cycle: undefined }
  if (seen.includes(name)) return { part: {}, seen, cycle: name }
  const { $ref: _, ...beside } = part
  const found = resolve({ definitions, root: {} }, definitions[name], [...seen, name])
  return { ...found, part: { ...found.part, ...beside } }
}

const refOf = (part: Part): string | undefined =>
  typeof part.$ref === "string" ? part.$ref.split("/").at(-1)!.replaceAll("~1", "/").replaceAll("~0", "~") : undefined

/** `allOf` adds to what stands beside it. */
const merged = (part: Part): Part => {
  if (!Array.isArray(part.allOf)) return part
  const { allOf, ...rest } = part
  return Object.assign({}, ...(allOf as ReadonlyArray<unknown>).map((each) => merged(asPart(each))), rest)
}

export const propertiesOf = (part: Part): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(asPart(part.properties))

export const isRequired = (part: Part, name: string): boolean =>
  Array.isArray(part.required) && part.required.includes(name)

export const alternativesOf = (part: Part): ReadonlyArray<unknown> | undefined =>
  [part.anyOf, part.oneOf].find((each): each is ReadonlyArray<unknown> => Array.isArray(each))

/** What the schema is called: its reference, or the tag of an error. */
export const nameOf = (schema: Schema.Constraint): string | undefined => {
  const json = jsonSchemaOf(schema)
  const tag = asPart(asPart(resolve(json, json.root).part.properties)._tag).enum
  return Array.isArray(tag) && typeof tag[0] === "string" ? tag[0] : refOf(json.root)
}

/** An example that the schema takes; `undefined` where none is found. */
export const exampleOf = (schema: Schema.Constraint): Schema.Json | undefined => {
  const { definitions, root } = jsonSchemaOf(schema)
  const components = JSON.parse(
    JSON.stringify({ root, definitions }).replaceAll(`"#/$defs/`, `"#/components/schemas/`)
  ) as { readonly root: Schema.JsonObject; readonly definitions: Definitions }
  return decodedExampleOf(schema, components.root, components.definitions)
}
