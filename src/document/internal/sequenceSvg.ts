import { oneLine } from "./escape.ts"
import type { Item, Sequence } from "./sequence.ts"
import * as Svg from "./svg.ts"

const gap = 210
const margin = 90
const boxWidth = 150

/** Draws item below item. */
class Page {
  readonly parts: Array<string> = []
  readonly #columns: ReadonlyMap<string, number>
  readonly #width: number
  #number = 0
  y: number

  constructor(columns: ReadonlyMap<string, number>, width: number, y: number) {
    this.#columns = columns
    this.#width = width
    this.y = y
  }
  draw(items: ReadonlyArray<Item>, depth = 0): void {
    for (const item of items) {
      if (item._tag === "Message") this.#message(item)
      else if (item._tag === "Note") this.#note(item.text)
      else this.#frame(item, depth)
    }
  }
  #message({ from, reply, text, to }: Extract<Item, { _tag: "Message" }>): void {
    const [start, end] = [this.#columns.get(from)!, this.#columns.get(to)!]
    const forward = end > start
    const lines = Svg.wrapped(`${++this.#number}. ${text}`, Math.max(gap, Math.abs(end - start)) - 30)
    this.y += lines.length * Svg.lineHeight + 6
    const middle = (start + end) / 2
    const top = this.y - 6 - ((lines.length - 1) * Svg.lineHeight) / 2 - 4
    this.parts.push(
      Svg.text(middle, top, lines, "small"),
      `<path class="${reply ? "edge dashed" : "edge"}" d="M${start} ${this.y}H${forward ? end - 8 : end + 8}"/>`,
      Svg.head(end, this.y, forward ? 0 : Math.PI)
    )
    this.y += 12
  }
  #note(text: string): void {
    const lines = Svg.wrapped(text, 250)
    const height = lines.length * Svg.lineHeight + 10
    const x = this.#columns.get("O")!
    this.y += 6
    this.parts.push(Svg.box(x - 135, this.y, 270, height, "note"), Svg.text(x, this.y + height / 2, lines, "small"))
    this.y += height + 8
  }
  #frame({ kind, parts }: Extract<Item, { _tag: "Frame" }>, depth: number): void {
    const top = this.y + 8
    const left = 6 + depth * 8
    const right = this.#width - 6 - depth * 8
    this.y = top
    for (const [index, part] of parts.entries()) {
      if (index > 0) this.parts.push(`<path class="edge dashed" d="M${left} ${this.y}H${right}"/>`)
      const name = oneLine(`${index === 0 ? kind : "and"}: ${part.name}`)
      const [first = ""] = Svg.wrapped(name, right - left - 20)
      this.parts.push(`<g>${Svg.text(left + 12 + Svg.widthOf(first) / 2, this.y + 14, [first], "small strong")}</g>`)
      this.y += 26
      this.draw(part.items, depth + 1)
    }
    this.y += 6
    this.parts.push(Svg.box(left, top, right - left, this.y - top, "frame"))
    this.y += 10
  }
}

/** The sequence as a drawing of its own. */
export const sequenceSvg = ({ items, participants }: Sequence): string => {
  const names = participants.map(({ name }) => Svg.wrapped(name, boxWidth - 16))
  const height = Math.max(...names.map((lines) => lines.length)) * Svg.lineHeight + 14
  const columns = new Map(participants.map(({ alias }, index) => [alias, margin + index * gap]))
  const width = margin * 2 + (participants.length - 1) * gap
  const page = new Page(columns, width, height + 24)
  page.draw(items)
  const bottom = page.y + 6
  const heads = names.flatMap((lines, index) => {
    const x = margin + index * gap
    return [
      `<path class="life" d="M${x} ${height + 10}V${bottom}"/>`,
      Svg.box(x - boxWidth / 2, 10, boxWidth, height, "service"),
      Svg.text(x, 10 + height / 2, lines)
    ]
  })
  return Svg.drawing("Sequence diagram", width, bottom + 10, [...heads, ...page.parts].join(""))
}
