import * as Duration from "effect/Duration"

/**
 * What the document is made of. Markdown and HTML are written from the same blocks, so that they say the same.
 */
export type Block =
  | { readonly _tag: "Heading"; readonly level: 1 | 2 | 3 | 4; readonly text: string }
  | { readonly _tag: "Lines"; readonly lines: ReadonlyArray<Line> }
  | { readonly _tag: "Note"; readonly line: Line }
  | { readonly _tag: "List"; readonly items: ReadonlyArray<Line>; readonly numbered: boolean }
  | {
      readonly _tag: "Table"
      readonly columns: ReadonlyArray<string>
      readonly rows: ReadonlyArray<ReadonlyArray<Line>>
    }
  | { readonly _tag: "Code"; readonly language: string; readonly text: string }
  | { readonly _tag: "Drawing"; readonly title: string; readonly mermaid: string; readonly svg: () => string }

/** A text, or one of several parts. */
export type Line = string | ReadonlyArray<Part>

export type Part = string | { readonly _tag: "Code" | "Strong"; readonly text: string }

/** What the document says where the design says nothing. */
export const notGiven = "not given"

export const code = (text: string): Part => ({ _tag: "Code", text })
export const strong = (text: string): Part => ({ _tag: "Strong", text })

export const partsOf = (line: Line): ReadonlyArray<Part> => (typeof line === "string" ? [line] : line)

export const heading = (level: 1 | 2 | 3 | 4, text: string): Block => ({ _tag: "Heading", level, text })
export const lines = (...lines: ReadonlyArray<Line>): Block => ({ _tag: "Lines", lines })
export const note = (line: Line): Block => ({ _tag: "Note", line })
export const list = (items: ReadonlyArray<Line>): Block => ({ _tag: "List", items, numbered: false })
export const numbered = (items: ReadonlyArray<Line>): Block => ({ _tag: "List", items, numbered: true })
export const codeBlock = (language: string, text: string): Block => ({ _tag: "Code", language, text })
export const drawing = (title: string, mermaid: string, svg: () => string): Block => ({
  _tag: "Drawing",
  title,
  mermaid,
  svg
})

/** A table. Without rows, its one row says that nothing is given. */
export const table = (columns: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<Line>>): Block => ({
  _tag: "Table",
  columns,
  rows: rows.length === 0 ? [columns.map(() => notGiven)] : rows
})

/** `**Name:** value` */
export const field = (name: string, value: Line | undefined): Line => [
  strong(`${name}:`),
  " ",
  ...partsOf(given(value))
]

/** The value, or that there is none. */
export const given = (value: Line | undefined): Line => value ?? notGiven

/** Code, or that there is none. */
export const givenCode = (value: string | undefined): Line => (value === undefined ? notGiven : [code(value)])

export const time = (value: Duration.Input): string => {
  const duration = Duration.fromInputUnsafe(value)
  return Duration.isZero(duration) ? "0s" : Duration.format(duration)
}

export const givenTime = (value: Duration.Input | undefined): string => (value === undefined ? notGiven : time(value))

/** Milliseconds as the template writes them, with the time in words where that is easier to read. */
export const millis = (value: number): string =>
  value < 1000 ? `${value}ms` : `${value}ms (${Duration.format(Duration.millis(value))})`

export const milliseconds = (value: Duration.Input): string => `${Duration.toMillis(Duration.fromInputUnsafe(value))}ms`

/** Lines as one, with a separator between them. */
export const joined = (each: ReadonlyArray<Line>, separator = ", "): Line =>
  each.flatMap((line, index) => (index === 0 ? partsOf(line) : [separator, ...partsOf(line)]))

/** Names as code, separated by commas; that there are none where there are none. */
export const codes = (names: ReadonlyArray<string>, none = "none"): Line =>
  names.length === 0 ? none : joined(names.map((name) => [code(name)]))
