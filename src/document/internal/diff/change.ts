import type * as Schema from "effect/Schema"
import { span } from "../span.ts"

/**
 * What a change means: `breaking` needs somebody else to act, or a migration; `behavioural` makes the running system do
 * something else; `documentation` changes what people read.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = "breaking" | "behavioural" | "documentation"

/**
 * One change between two designs, in meaning.
 *
 * @category models
 * @since 0.1.0
 */
export interface Change {
  readonly kind: Kind
  /** Of the document: number and title, for example `3.1 Retry Policy`. */
  readonly section: string
  /** What it is about: a contract, channel, consumer or saga by name, or the integration. */
  readonly subject: string
  /** What has changed, for example `retry attempts`. */
  readonly what: string
  /** As text; left out where there was none. */
  readonly before?: string
  /** As text; left out where there is none any more. */
  readonly after?: string
  /** What follows from it, with the numbers. */
  readonly consequences: ReadonlyArray<string>
  /** What must be done so that nothing breaks. */
  readonly migration?: string
}

export type Json = Schema.Json
export type Fields = Readonly<Record<string, Json | undefined>>

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A difference between two values, and where it is. */
export interface Difference {
  readonly path: ReadonlyArray<string>
  readonly before: Json | undefined
  readonly after: Json | undefined
}

/** The smallest parts that differ. Lists, and what is only on one side, are not looked into. */
export const differences = (
  before: Json | Fields | undefined,
  after: Json | Fields | undefined,
  path: ReadonlyArray<string> = []
): ReadonlyArray<Difference> => {
  if (same(before, after)) return []
  if (!isFields(before) || !isFields(after)) return [{ path, before: before as Json, after: after as Json }]
  return keysOf(before, after).flatMap((key) => differences(before[key], after[key], [...path, key]))
}

export const keysOf = (before: Fields, after: Fields): ReadonlyArray<string> =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted()

/** Whether two values are the same, however their fields are ordered. */
export const same = (a: Json | Fields | undefined, b: Json | Fields | undefined): boolean => {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((each, index) => same(each, b[index]))
  }
  if (!isFields(a) || !isFields(b)) return false
  return keysOf(a, b).every((key) => Object.hasOwn(a, key) && Object.hasOwn(b, key) && same(a[key], b[key]))
}

/** A value for a reader; `name` is that of its field, and says whether it is a time. */
export const show = (value: Json | undefined, name = ""): string => {
  if (value === undefined || value === null) return "none"
  if (typeof value === "number") return name.endsWith("Millis") ? span(value) : String(value)
  if (typeof value === "boolean") return value ? "yes" : "no"
  if (typeof value === "string") return value === "" ? "empty" : value
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map((each) => show(each, name)).join(", ")
  const fields = Object.entries(value as Fields).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return fields.length === 0 ? "none" : fields.map(([key, each]) => `${wordsOf(key)} ${show(each, key)}`).join(", ")
}

/** `alertAfterMillis` becomes `alert after`; a name that is none of ours is left alone. */
export const wordsOf = (field: string): string =>
  /^[a-z]+([A-Z][a-z]+)*$/.test(field)
    ? field
        .replace(/Millis$/, "")
        .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
        .trim()
    : field

type Words = Omit<Change, "before" | "after" | "consequences"> & { readonly consequences?: ReadonlyArray<string> }

/** A change of a field from one value to another. */
export const changed = ({ after, before, path }: Difference, words: Words): Change => {
  const name = path.at(-1) ?? ""
  const absent = (value: Json | undefined) => value === undefined || value === null
  return {
    ...words,
    ...(absent(before) ? {} : { before: show(before, name) }),
    ...(absent(after) ? {} : { after: show(after, name) }),
    consequences: words.consequences ?? []
  }
}

/** What follows, where it does. */
export const whereTrue = (holds: boolean, consequence: string): ReadonlyArray<string> => (holds ? [consequence] : [])
