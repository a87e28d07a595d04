import { type Change, changed, type Difference, type Fields, type Kind, wordsOf } from "./change.ts"

/** What the change of a field means. The first rule whose pattern fits decides. */
export interface Rule {
  /** Fields separated by dots; `*` is any one, `**` at the end any rest, also none. */
  readonly at: string
  readonly kind: Kind | ((difference: Difference) => Kind)
  /** Title of the part of the section. */
  readonly section: string
  /** Default: the path in words. */
  readonly what?: string
  readonly consequences?: (difference: Difference) => ReadonlyArray<string>
  readonly migration?: (difference: Difference) => string | undefined
  /** Whether the values say nothing to a reader. */
  readonly quiet?: boolean
}

const fits = (pattern: string, path: ReadonlyArray<string>): boolean => {
  const names = pattern.split(".")
  const rest = names.at(-1) === "**"
  const fixed = rest ? names.slice(0, -1) : names
  const long = rest ? path.length >= fixed.length : path.length === fixed.length
  return long && fixed.every((name, index) => name === "*" || name === path[index])
}

/** The changes of an entity by its rules; the last rule must fit everything. */
export const byRules = (
  rules: ReadonlyArray<Rule>,
  differences: ReadonlyArray<Difference>,
  at: { readonly subject: string; readonly section: (title: string) => string }
): ReadonlyArray<Change> =>
  differences.map((difference) => {
    const rule = rules.find((each) => fits(each.at, difference.path))
    const migration = rule?.migration?.(difference)
    const shown = rule?.quiet === true ? { ...difference, before: null, after: null } : difference
    return changed(shown, {
      kind: rule === undefined ? "behavioural" : typeof rule.kind === "string" ? rule.kind : rule.kind(difference),
      section: at.section(rule?.section ?? ""),
      subject: at.subject,
      what: rule?.what ?? difference.path.map(wordsOf).join(" "),
      consequences: rule?.consequences?.(difference) ?? [],
      ...(migration === undefined ? {} : { migration })
    })
  })

/** An entity that is only in one of the designs. */
export const appearance = (
  noun: string,
  name: string,
  there: "added" | "removed",
  words: {
    readonly kind: Kind
    readonly section: string
    readonly consequence: string
    readonly migration?: string | undefined
  }
): Change => ({
  kind: words.kind,
  section: words.section,
  subject: name,
  what: `${noun} ${there}`,
  consequences: [words.consequence],
  ...(words.migration === undefined ? {} : { migration: words.migration })
})

/** Entities by name: those on one side, and those on both that differ. */
export const paired = <A>(
  before: Readonly<Record<string, A>>,
  after: Readonly<Record<string, A>>
): ReadonlyArray<{ readonly name: string; readonly before: A | undefined; readonly after: A | undefined }> =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .toSorted()
    .map((name) => ({ name, before: own(before, name), after: own(after, name) }))

const own = <A>(record: Readonly<Record<string, A>>, name: string): A | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined

/** An entity without the fields that are told in another way. */
export const without = (entity: object, names: ReadonlyArray<string>): Fields =>
  Object.fromEntries(Object.entries(entity).filter(([name]) => !names.includes(name)))
