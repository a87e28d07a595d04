import * as Escape from "./escape.ts"

/** Letters are this wide at the size of the text of a drawing, about. */
const letter = 7.2
export const lineHeight = 17

export const widthOf = (text: string): number =>
  Array.from(text).reduce((width, each) => width + (/[\u1100-\uffdc]/.test(each) ? 2 : 1) * letter, 0)

/** A text in lines that are no wider than a box. A word that is too long is broken. */
export const wrapped = (text: string, width: number): ReadonlyArray<string> => {
  const most = Math.max(4, Math.floor(width / letter))
  const lines: Array<string> = []
  let current = ""
  for (const word of Escape.shorten(text).split(" ")) {
    let rest = word
    if (current !== "" && current.length + 1 + rest.length > most) {
      lines.push(current)
      current = ""
    }
    while (Array.from(rest).length > most) {
      lines.push(Array.from(rest).slice(0, most).join(""))
      rest = Array.from(rest).slice(most).join("")
    }
    current = current === "" ? rest : `${current} ${rest}`
  }
  return current === "" ? lines : [...lines, current]
}

/** Lines of text around a point. */
export const text = (x: number, y: number, lines: ReadonlyArray<string>, kind = ""): string =>
  lines
    .map((line, index) => {
      const at = y + (index - (lines.length - 1) / 2) * lineHeight + 4.5
      return `<text class="${kind}" x="${x}" y="${at}" text-anchor="middle">${Escape.html(line)}</text>`
    })
    .join("")

export const box = (x: number, y: number, width: number, height: number, kind: string): string =>
  `<rect class="${kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="5"/>`

/** Text on a ground of its own, so that a line behind it does not strike it through. */
export const label = (x: number, y: number, content: string): string => {
  const width = widthOf(content) + 8
  return `${box(x - width / 2, y - 9, width, 18, "ground")}${text(x, y, [content], "small")}`
}

/** Arrow heads are drawn and not referred to, since several drawings share the ids of a page. */
export const head = (x: number, y: number, angle: number): string => {
  const turned = `rotate(${Math.round((angle * 180) / Math.PI)} ${Math.round(x)} ${Math.round(y)})`
  return `<path class="head" transform="${turned}" d="M${Math.round(x)} ${Math.round(y)}l-9 -4v8z"/>`
}

export const drawing = (title: string, width: number, height: number, content: string): string => {
  const [w, h] = [Math.ceil(width), Math.ceil(height)]
  return `<svg class="${w < 992 ? "narrow" : "wide"}" role="img" aria-label="${Escape.html(title)}" xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}">${content}</svg>`
}
