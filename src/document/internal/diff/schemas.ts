import { type Fields, isFields, type Json, keysOf, same, show } from "./change.ts"

/** How the values that a schema admits have changed at one place. */
export interface SchemaChange {
  /** For example `data.amount`. */
  readonly path: string
  readonly what: string
  /** Values that were admitted are not any more: who writes them is refused. */
  readonly tightened: boolean
  /** Values are admitted that were not: who reads them may not know them. */
  readonly loosened: boolean
  readonly before?: string
  readonly after?: string
}

/** Words that a schema says to people only. */
const annotations = new Set([
  "title",
  "description",
  "examples",
  "default",
  "deprecated",
  "readOnly",
  "writeOnly",
  "$comment"
])
const unions = new Set(["anyOf", "oneOf"])
const lower = new Set(["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"])
const upper = new Set(["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"])

/** What has changed between two JSON Schemas, in what they admit. */
export const schemaChanges = (
  before: Json | undefined,
  after: Json | undefined,
  path: string
): ReadonlyArray<SchemaChange> => {
  if (same(before, after)) return []
  const found = new Compared(definitionsOf(before), definitionsOf(after)).compare(before, after, path)
  // What differs only in how it is put, as a definition that was named, is told without weight.
  return found.length > 0 ? found : [{ path, what: "schema put differently", tightened: false, loosened: false }]
}

const definitionsOf = (schema: Json | undefined): Fields =>
  isFields(schema) && isFields(schema.$defs) ? schema.$defs : {}

const listOf = (value: Json | undefined): ReadonlyArray<Json> =>
  Array.isArray(value) ? (value as ReadonlyArray<Json>) : []

class Compared {
  readonly #before: Fields
  readonly #after: Fields
  readonly #open = new Set<string>()
  constructor(before: Fields, after: Fields) {
    this.#before = before
    this.#after = after
  }

  compare(before: Json | undefined, after: Json | undefined, path: string): ReadonlyArray<SchemaChange> {
    const refs = `${refOf(before)}\n${refOf(after)}`
    const refers = refs !== "\n"
    // A recursive schema comes back to where it was.
    if (refers && this.#open.has(refs)) return []
    if (refers) this.#open.add(refs)
    const found = this.#resolved(resolve(before, this.#before), resolve(after, this.#after), path)
    if (refers) this.#open.delete(refs)
    return found
  }

  #resolved(before: Json | undefined, after: Json | undefined, path: string): ReadonlyArray<SchemaChange> {
    if (same(before, after) && Object.keys(this.#before).length + Object.keys(this.#after).length === 0) return []
    if (!isFields(before) || !isFields(after)) {
      return same(before, after) ? [] : [{ path, what: "schema changed", tightened: true, loosened: true }]
    }
    const [b, a] = [alternativesOf(before), alternativesOf(after)]
    // A schema alone is the only alternative of itself.
    if ((b === undefined) !== (a === undefined)) {
      const found = this.#alternatives(b ?? [before as Json], a ?? [after as Json], path)
      const beside = Object.keys(b === undefined ? after : before).some(
        (word) => !annotations.has(word) && !unions.has(word)
      )
      return beside ? [...found, { path, what: "schema changed", tightened: true, loosened: true }] : found
    }
    return keysOf(before, after).flatMap((word) => this.#word(word, before, after, path))
  }

  #word(word: string, before: Fields, after: Fields, path: string): ReadonlyArray<SchemaChange> {
    const [b, a] = [before[word], after[word]]
    if (word === "$defs") return []
    // A definition that is only another name.
    if (word === "$ref" && b !== undefined && a !== undefined) return this.compare({ $ref: b }, { $ref: a }, path)
    if (word === "required") return this.#unnamed(before, after, path)
    if (word === "properties") return this.#properties(before, after, path)
    if (word === "items" && isFields(b) && isFields(a)) return this.compare(b, a, `${path}[]`)
    if (word === "additionalProperties" && isFields(b) && isFields(a)) return this.compare(b, a, `${path}.*`)
    if (word === "prefixItems" || word === "allOf") return this.#each(word, listOf(b), listOf(a), path)
    if (unions.has(word)) return this.#alternatives(listOf(b), listOf(a), path)
    if (same(b, a)) return []
    const at = { path, before: show(b), after: show(a) }
    if (annotations.has(word)) return [{ ...at, what: word, tightened: false, loosened: false }]
    if (word === "enum" && Array.isArray(b) && Array.isArray(a)) {
      const tightened = b.some((value) => !a.some((each) => same(value, each)))
      return [{ ...at, what: word, tightened, loosened: a.some((value) => !b.some((each) => same(value, each))) }]
    }
    if (lower.has(word) || upper.has(word)) {
      const sign = lower.has(word) ? 1 : -1
      const [low, high] = [boundOf(b, sign), boundOf(a, sign)]
      return [{ ...at, what: word, tightened: high > low, loosened: high < low }]
    }
    if (b === undefined) return [{ ...at, what: word, tightened: true, loosened: false }]
    if (a === undefined) return [{ ...at, what: word, tightened: false, loosened: true }]
    // A whole number is a number.
    if (word === "type" && b === "integer" && a === "number")
      return [{ ...at, what: word, tightened: false, loosened: true }]
    if (word === "type" && b === "number" && a === "integer")
      return [{ ...at, what: word, tightened: true, loosened: false }]
    return [{ ...at, what: word, tightened: true, loosened: true }]
  }

  #properties(before: Fields, after: Fields, path: string): ReadonlyArray<SchemaChange> {
    const [b, a] = [propertiesOf(before), propertiesOf(after)]
    const [needed, needs] = [listOf(before.required), listOf(after.required)]
    return keysOf(b, a).flatMap((name): ReadonlyArray<SchemaChange> => {
      const at = `${path}.${name}`
      if (a[name] === undefined) return [{ path: at, what: "field removed", tightened: false, loosened: true }]
      if (b[name] === undefined) {
        const required = needs.includes(name)
        const what = required ? "required field added" : "optional field added"
        return [{ path: at, what, tightened: required, loosened: false }]
      }
      const was = needed.includes(name)
      const is = needs.includes(name)
      const presence =
        was === is
          ? []
          : [{ path: at, what: is ? "field became required" : "field became optional", tightened: is, loosened: was }]
      return [...presence, ...this.compare(b[name], a[name], at)]
    })
  }

  /** Fields that must be there, of which nothing else is said. */
  #unnamed(before: Fields, after: Fields, path: string): ReadonlyArray<SchemaChange> {
    const named = { ...propertiesOf(before), ...propertiesOf(after) }
    const needs = ({ required }: Fields) => listOf(required).filter((name) => !Object.hasOwn(named, String(name)))
    const [was, is] = [needs(before), needs(after)]
    if (same(was, is)) return []
    const at = { path, what: "required", before: show(was), after: show(is) }
    return [
      { ...at, tightened: is.some((name) => !was.includes(name)), loosened: was.some((name) => !is.includes(name)) }
    ]
  }

  #each(
    word: string,
    before: ReadonlyArray<Json>,
    after: ReadonlyArray<Json>,
    path: string
  ): ReadonlyArray<SchemaChange> {
    if (before.length !== after.length) return [{ path, what: `${word} changed`, tightened: true, loosened: true }]
    return before.flatMap((each, index) =>
      this.compare(each, after[index], word === "allOf" ? path : `${path}[${index}]`)
    )
  }

  /** An alternative is gone where none admits all of it any more, and new where none admitted all of it. */
  #alternatives(before: ReadonlyArray<Json>, after: ReadonlyArray<Json>, path: string): ReadonlyArray<SchemaChange> {
    const gone = before.filter((b) => !after.some((a) => this.compare(b, a, path).every((each) => !each.tightened)))
    const added = after.filter((a) => !before.some((b) => this.compare(b, a, path).every((each) => !each.loosened)))
    // One alternative that has changed is looked into.
    if (gone.length === 1 && added.length === 1) return this.compare(gone[0], added[0], path)
    if (gone.length === 0 && added.length === 0 && before.length === after.length) {
      const light = before.flatMap((each, index) => this.compare(each, after[index], path))
      return light.filter((each) => !each.tightened && !each.loosened)
    }
    return [
      ...gone.map((each) => ({
        path,
        what: "alternative removed",
        before: show(each),
        tightened: true,
        loosened: false
      })),
      ...added.map((each) => ({ path, what: "alternative added", after: show(each), tightened: false, loosened: true }))
    ]
  }
}

const propertiesOf = (schema: Fields): Fields => (isFields(schema.properties) ? schema.properties : {})

const alternativesOf = (schema: Fields): ReadonlyArray<Json> | undefined => {
  const given = schema.anyOf ?? schema.oneOf
  return given === undefined ? undefined : listOf(given)
}

const boundOf = (value: Json | undefined, sign: number): number =>
  typeof value === "number" ? sign * value : -Infinity

const refOf = (schema: Json | undefined): string =>
  isFields(schema) && typeof schema.$ref === "string" ? schema.$ref : ""

/** What a reference stands for, its own words beside it kept. */
const resolve = (schema: Json | undefined, definitions: Fields): Json | undefined => {
  const name = refOf(schema)
    .replace(/^#\/\$defs\//, "")
    .replaceAll("~1", "/")
    .replaceAll("~0", "~")
  const definition = definitions[name]
  if (!isFields(schema) || !isFields(definition)) return schema
  const { $ref: _, ...rest } = schema
  return { ...definition, ...rest } as Json
}
