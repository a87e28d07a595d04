import * as Escape from "./escape.ts"
import { type Block, type Line, notGiven, partsOf } from "./blocks.ts"

/** Blocks as Markdown, as GitHub renders it. */
export const toMarkdown = (blocks: ReadonlyArray<Block>): string => `${blocks.map(block).join("\n\n")}\n`

export const line = (given: Line): string => {
  const written = partsOf(given)
    .map((part) => {
      if (typeof part === "string") return Escape.markdown(Escape.clean(part))
      if (part._tag === "Code") return Escape.markdownCode(part.text)
      const text = Escape.markdown(Escape.oneLine(part.text))
      return text === "" ? "" : `**${text}**`
    })
    .join("")
    .trim()
  return written === "" ? notGiven : written
}

const block = (each: Block): string => {
  switch (each._tag) {
    case "Heading":
      return `${"#".repeat(each.level)} ${line(each.text)}`
    case "Lines":
      return each.lines.map((text) => Escape.lineStart(line(text))).join("\\\n")
    case "Note":
      return `> ${Escape.lineStart(line(each.line))}`
    case "List":
      return each.items
        .map((item, index) => `${each.numbered ? `${index + 1}.` : "-"} ${Escape.lineStart(line(item))}`)
        .join("\n")
    case "Table":
      return table(each)
    case "Code":
      return Escape.fenced(each.language, each.text)
    case "Drawing":
      return Escape.fenced("mermaid", each.mermaid)
  }
}

export const table = ({ columns, rows }: Extract<Block, { _tag: "Table" }>): string => {
  const row = (cells: ReadonlyArray<Line>) => `| ${cells.map(line).join(" | ")} |`
  return [row(columns), `|${columns.map(() => "---|").join("")}`, ...rows.map(row)].join("\n")
}
