import * as Blocks from "./blocks.ts"
import * as Escape from "./escape.ts"
import { style } from "./style.ts"

/** Blocks as one page that needs nothing else. */
export const toHtml = (title: string, blocks: ReadonlyArray<Blocks.Block>): string => {
  const headings = blocks.filter((each) => each._tag === "Heading")
  const ids = new Map(headings.map((each, index) => [each, `s${index}`]))
  const entries = headings
    .filter(({ level }) => level === 2 || level === 3)
    .map((each) => `<li class="l${each.level}"><a href="#${ids.get(each)}">${line(each.text)}</a></li>`)
  const contents = `<ul>${entries.join("\n")}</ul>`
  return [
    "<!doctype html>",
    `<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">`,
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>${Escape.html(Escape.shorten(title))}</title>`,
    `<style>${style}</style></head><body>`,
    `<nav aria-label="Table of contents"><div class="wide"><strong>Contents</strong>${contents}</div>`,
    `<details class="narrow"><summary>Contents</summary>${contents}</details></nav>`,
    "<main>",
    ...blocks.map((each) => block(each, each._tag === "Heading" ? ids.get(each)! : "")),
    "</main></body></html>",
    ""
  ].join("\n")
}

/** Names up to this length are not broken in a cell of a table. */
const shortName = 32
/** Texts from this length on need a wider cell. */
const longText = 80
/** Words from this length on, such as URLs, may be broken anywhere on paper: else they would not fit the page. */
const longWord = /\S{25,}/
const longName = /[^\s_./-]{25,}/

/** A name may go on in the next line behind its separators. HTML: entities are left alone. */
const breakable = (html: string): string => html.replaceAll(/([a-z0-9])([_./])(?=[a-z0-9])/gi, "$1$2<wbr>")

const line = (given: Blocks.Line): string => {
  const written = Blocks.partsOf(given)
    .map((part) => {
      if (typeof part === "string") return Escape.html(part.replaceAll(/\s+/g, " "))
      const text = Escape.html(Escape.oneLine(part.text))
      if (text === "") return ""
      if (part._tag === "Strong") return `<strong>${text}</strong>`
      const classes = [
        ...(part.text.length <= shortName ? ["whole"] : []),
        ...(longName.test(part.text) ? ["words"] : [])
      ]
      return `<code${classes.length === 0 ? "" : ` class="${classes.join(" ")}"`}>${breakable(text)}</code>`
    })
    .join("")
    .trim()
  return written === "" || written === Blocks.notGiven ? `<span class="none">${Blocks.notGiven}</span>` : written
}

const block = (each: Blocks.Block, id: string): string => {
  switch (each._tag) {
    case "Heading":
      return `<h${each.level} id="${id}" dir="auto">${line(each.text)}</h${each.level}>`
    case "Lines":
      return `<p>${each.lines.map((text) => `<bdi>${line(text)}</bdi>`).join("<br>\n")}</p>`
    case "Note":
      return `<blockquote>${line(each.line)}</blockquote>`
    case "List": {
      const tag = each.numbered ? "ol" : "ul"
      return `<${tag}>${each.items.map((item) => `<li dir="auto">${line(item)}</li>`).join("")}</${tag}>`
    }
    case "Table":
      return table(each)
    case "Code":
      return `<pre tabindex="0"><code>${Escape.html(each.text)}</code></pre>`
    case "Drawing":
      return [
        `<figure><div class="scroll" tabindex="0">${each.svg()}</div>`,
        `<details><summary>Mermaid source</summary><pre><code>${Escape.html(each.mermaid)}</code></pre></details></figure>`
      ].join("\n")
  }
}

const table = ({ columns, rows }: Extract<Blocks.Block, { _tag: "Table" }>): string => {
  const head = columns.map((column) => `<th scope="col">${line(column)}</th>`).join("")
  const body = rows.map(
    (cells) => `<tr>${cells.map((cell, index) => cellOf(cell, columns[index] ?? "")).join("")}</tr>`
  )
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join("\n")}</tbody></table></div>`
}

/** A narrow screen shows cells below each other, each with the name of its column. */
const cellOf = (cell: Blocks.Line, column: string): string => {
  const text = line(cell)
  const hasLongWord = Blocks.partsOf(cell).some((part) => typeof part === "string" && longWord.test(part))
  const classes = [...(text.length < longText ? [] : ["long"]), ...(hasLongWord ? ["words"] : [])].join(" ")
  return `<td dir="auto" data-column="${Escape.html(column)}"${classes === "" ? "" : ` class="${classes}"`}>${text}</td>`
}
