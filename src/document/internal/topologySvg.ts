import * as Escape from "./escape.ts"
import type { Edge, Graph, Group, Node } from "./graph.ts"
import * as Svg from "./svg.ts"

const nodeWidth = 190
const columnGap = 120
const rowGap = 28
const padding = 16
const laneHeight = 16

interface Place {
  readonly x: number
  readonly y: number
  readonly height: number
  readonly column: number
}

/** Columns from left to right. What is with neither party stands on the right of both. */
const columnOf: { readonly [K in Group["id"]]: number } = {
  ConsumerSide: 0,
  Integration: 1,
  ProviderSide: 2,
  Others: 3,
  Alerts: 3
}

/** The topology as a drawing of its own: a column for each side, its nodes below each other. */
export const topologySvg = ({ edges, groups }: Graph): string => {
  const used = [...new Set(groups.map(({ id }) => columnOf[id]))].toSorted()
  const columns = new Map(
    groups.flatMap(({ id, nodes }) => nodes.map((node) => [node.id, used.indexOf(columnOf[id])] as const))
  )
  // What would run behind the nodes of a column between runs above all of them.
  const lanes = edges.filter(({ from, to }) => Math.abs(columns.get(from)! - columns.get(to)!) > 1)
  const page = new Page(used.length, 10 + lanes.length * laneHeight)
  for (const group of groups) page.place(group, used.indexOf(columnOf[group.id]))
  for (const edge of edges) {
    const lane = lanes.indexOf(edge)
    if (lane < 0) page.connect(edge)
    else page.detour(edge, 10 + (lane + 0.5) * laneHeight, lane)
  }
  return page.finish()
}

class Page {
  readonly #places = new Map<string, Place>()
  readonly #bottoms: Array<number>
  readonly #frames: Array<string> = []
  readonly #nodes: Array<string> = []
  readonly #lines: Array<string> = []
  readonly #labels: Array<string> = []
  readonly #taken: Array<readonly [x: number, y: number]> = []
  /** How many lines leave or reach each side of a node already, so that they do not lie on each other. */
  readonly #ends = new Map<string, number>()

  constructor(columns: number, top: number) {
    this.#bottoms = Array.from({ length: columns }, () => top - rowGap)
  }

  place({ nodes, title }: Group, column: number): void {
    const x = 10 + column * (nodeWidth + 2 * padding + columnGap)
    const top = this.#bottoms[column]! + rowGap
    const lines = Svg.wrapped(title, nodeWidth + padding)
    let y = top + lines.length * Svg.lineHeight + 16
    for (const node of nodes) {
      const text = node.lines.flatMap((line) => Svg.wrapped(line, nodeWidth - 12))
      const place: Place = { x: x + padding, y, height: text.length * Svg.lineHeight + 16, column }
      this.#places.set(node.id, place)
      this.#nodes.push(nodeOf(node, place, text))
      y += place.height + rowGap
    }
    const bottom = y - rowGap + padding
    this.#frames.push(
      Svg.box(x, top, nodeWidth + 2 * padding, bottom - top, "group"),
      Svg.text(x + padding + nodeWidth / 2, top + 8 + (lines.length * Svg.lineHeight) / 2, lines, "strong")
    )
    this.#bottoms[column] = bottom
  }

  /** From side to side between neighbours; from below to above, or around, within a column. */
  connect(edge: Edge): void {
    const [from, to] = this.#endsOf(edge)
    const gap = to.y - (from.y + from.height)
    if (from.column === to.column && gap > 0 && gap <= rowGap + 1) {
      const middle = from.x + nodeWidth / 2
      this.#draw(edge, `M${middle} ${from.y + from.height}V${to.y - 8}`, [middle, to.y, Math.PI / 2])
      return this.#label(edge, middle + 32, (from.y + from.height + to.y) / 2)
    }
    if (from.column === to.column) {
      const right = from.x + nodeWidth
      const [y1, y2] = [this.#end(edge.from, "right"), this.#end(edge.to, "right")]
      const out = right + padding + 24
      this.#draw(edge, `M${right} ${y1}C${out} ${y1} ${out} ${y2} ${right + 8} ${y2}`, [right, y2, Math.PI])
      return this.#label(edge, out - 12, (y1 + y2) / 2)
    }
    const forward = to.column > from.column
    const [y1, y2] = [this.#end(edge.from, forward ? "right" : "left"), this.#end(edge.to, forward ? "left" : "right")]
    const [x1, x2] = [forward ? from.x + nodeWidth : from.x, forward ? to.x : to.x + nodeWidth]
    const middle = (x1 + x2) / 2
    this.#draw(edge, `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${forward ? x2 - 8 : x2 + 8} ${y2}`, [
      x2,
      y2,
      forward ? 0 : Math.PI
    ])
    this.#label(edge, middle, (y1 + y2) / 2)
  }

  /** Up to a lane above the columns, along it, and down again. */
  detour(edge: Edge, lane: number, index: number): void {
    const [from, to] = this.#endsOf(edge)
    const forward = to.column > from.column
    const sign = forward ? 1 : -1
    const [y1, y2] = [this.#end(edge.from, forward ? "right" : "left"), this.#end(edge.to, forward ? "left" : "right")]
    const [x1, x2] = [forward ? from.x + nodeWidth : from.x, forward ? to.x : to.x + nodeWidth]
    const shift = padding + 10 + (index % 6) * 5
    const path = `M${x1} ${y1}H${x1 + sign * shift}V${lane}H${x2 - sign * shift}V${y2}H${x2 - sign * 8}`
    this.#draw(edge, path, [x2, y2, forward ? 0 : Math.PI])
    this.#label(edge, (x1 + x2) / 2, lane)
  }

  finish(): string {
    const width = 20 + this.#bottoms.length * (nodeWidth + 2 * padding) + (this.#bottoms.length - 1) * columnGap
    const content = [...this.#frames, ...this.#lines, ...this.#nodes, ...this.#labels].join("")
    return Svg.drawing("Topology", width, Math.max(...this.#bottoms) + 10, content)
  }

  #endsOf({ from, to }: Edge): readonly [Place, Place] {
    return [this.#places.get(from)!, this.#places.get(to)!]
  }
  #end(node: string, side: "left" | "right"): number {
    const place = this.#places.get(node)!
    const count = this.#ends.get(`${node} ${side}`) ?? 0
    this.#ends.set(`${node} ${side}`, count + 1)
    // From the middle outwards: 0, 7 below, 7 above and so on, as far as the node is high.
    const offset = Math.ceil(count / 2) * 7 * (count % 2 === 1 ? 1 : -1)
    return place.y + place.height / 2 + Math.max(-place.height / 2 + 4, Math.min(place.height / 2 - 4, offset))
  }
  #draw({ label }: Edge, path: string, [x, y, angle]: readonly [number, number, number]): void {
    this.#lines.push(`<path class="${label === "Alert" ? "edge faint" : "edge"}" d="${path}"/>`, Svg.head(x, y, angle))
  }
  /** Below another label that is there already. The group of the alert system says itself what leads there. */
  #label({ label }: Edge, x: number, wanted: number): void {
    if (label === undefined || label === "Alert") return
    let y = wanted
    while (this.#taken.some((each) => Math.abs(each[0] - x) < 70 && Math.abs(each[1] - y) < 17)) y += 17
    this.#taken.push([x, y])
    this.#labels.push(Svg.label(x, y, Escape.shorten(label, 26)))
  }
}

/** A group that says what it is, so that a page can find the node. */
const nodeOf = ({ lines, shape }: Node, place: Place, wrapped: ReadonlyArray<string>): string =>
  `<g data-node="${Escape.html(lines.join(" "))}">${drawn(shape, place, wrapped)}</g>`

const drawn = (shape: Node["shape"], { height, x, y }: Place, lines: ReadonlyArray<string>): string => {
  const content = Svg.text(x + nodeWidth / 2, y + height / 2, lines)
  if (shape !== "database") return `${Svg.box(x, y, nodeWidth, height, shape)}${content}`
  const [right, bottom] = [x + nodeWidth, y + height - 4]
  const body = `M${x} ${y + 4}C${x} ${y - 4} ${right} ${y - 4} ${right} ${y + 4}V${bottom}C${right} ${bottom + 8} ${x} ${bottom + 8} ${x} ${bottom}Z`
  const lid = `M${x} ${y + 4}C${x} ${y + 11} ${right} ${y + 11} ${right} ${y + 4}`
  return `<path class="service" d="${body}"/><path class="lid" d="${lid}"/>${content}`
}
