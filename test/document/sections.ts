/** A part of a rendered document: everything from one heading to the next one. */
export interface Part {
  /** The headings above it and its own, from the outside: `3. Service Contracts > 3.1 Integration: payments > Retry Policy`. */
  readonly path: string
  readonly text: string
}

/** The parts of a document in Markdown, in their order. What looks like a heading inside of code is none. */
export const partsOf = (markdown: string): ReadonlyArray<Part> => {
  const parts: Array<{ path: string; text: string }> = []
  const open: Array<string> = []
  let fence: string | undefined
  for (const line of markdown.split("\n")) {
    const [mark] = /^`{3,}/.exec(line) ?? []
    if (mark !== undefined) fence = fence === undefined ? mark : mark === fence ? undefined : fence
    const heading = fence === undefined ? /^(#{1,4}) (.+)$/.exec(line) : null
    if (heading !== null) {
      const level = heading[1]!.length
      open.length = level - 1
      open[level - 1] = heading[2]!
      parts.push({
        path:
          open
            .slice(1)
            .filter((each) => each !== undefined)
            .join(" > ") || heading[2]!,
        text: ""
      })
    } else if (parts.length > 0) parts.at(-1)!.text += `${line}\n`
  }
  return parts
}

/** The part whose path ends so. */
export const part = (markdown: string, end: string): string => {
  const found = partsOf(markdown).filter(({ path }) => path.endsWith(end))
  if (found.length === 0)
    throw new Error(
      `no part ${end} in ${partsOf(markdown)
        .map(({ path }) => path)
        .join("\n")}`
    )
  return found.map(({ text }) => text).join("\n")
}

/** The parts that are not the same in two documents. */
export const changed = (before: string, after: string): ReadonlyArray<string> => {
  const textOf = (markdown: string) => {
    const texts = new Map<string, string>()
    for (const { path, text } of partsOf(markdown)) texts.set(path, `${texts.get(path) ?? ""}${text}`)
    return texts
  }
  const [old, now] = [textOf(before), textOf(after)]
  return [...new Set([...old.keys(), ...now.keys()])].filter((path) => old.get(path) !== now.get(path)).toSorted()
}

/** How many cells each row of each table has, tables apart. */
export const tablesOf = (markdown: string): ReadonlyArray<ReadonlyArray<number>> => {
  const tables: Array<Array<number>> = []
  let isTable = false
  let fence: string | undefined
  for (const line of markdown.split("\n")) {
    const [mark] = /^`{3,}/.exec(line) ?? []
    if (mark !== undefined) fence = fence === undefined ? mark : mark === fence ? undefined : fence
    const isRow: boolean = (fence === undefined && line.startsWith("| ")) || (isTable && line.startsWith("|"))
    if (isRow && !isTable) tables.push([])
    isTable = isRow
    if (isRow) tables.at(-1)!.push(line.replaceAll(/\\./g, "").split("|").length - 2)
  }
  return tables
}

/** The Mermaid diagrams. */
export const diagramsOf = (markdown: string): ReadonlyArray<string> =>
  Array.from(markdown.matchAll(/^(`{3,})mermaid\n([\s\S]*?)\n\1$/gm), ([, , source]) => source!)
