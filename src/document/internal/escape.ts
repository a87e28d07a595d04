import { notGiven } from "./blocks.ts"

/** The longest text that a box or an arrow of a diagram carries; Mermaid refuses diagrams of more than 50,000 characters. */
const longest = 80

/** What would hide, reorder or end a text: controls, and marks that turn the direction of what follows. */
// oxlint-disable-next-line no-control-regex
const unwelcome = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g

/** The user and password of a URL. */
const userinfo = /\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#@]*@/gi

/** Text that can be shown anywhere: well-formed, without controls, and without the credentials of a URL. */
export const clean = (given: string): string =>
  given.toWellFormed().replaceAll(unwelcome, "").replaceAll(userinfo, "$1")

/** The same in one line. */
export const oneLine = (given: string): string => clean(given).replaceAll(/\s+/g, " ").trim()

/** The same, cut where it is too long. A diagram takes no empty text. */
export const shorten = (given: string, limit = longest): string => {
  const points = Array.from(oneLine(given) || notGiven)
  return points.length <= limit ? points.join("") : `${points.slice(0, limit - 1).join("")}…`
}

const entity = (character: string): string => `#${character.codePointAt(0)};`

/** As text of a sequence diagram of Mermaid: in one line, and nothing that ends a statement. */
export const sequenceText = (given: string): string =>
  shorten(given)
    .replaceAll(/[#;<>%&$]/g, entity)
    .replace(/^(no)?wrap:/i, (prefix) => `${prefix.slice(0, -1)}#58;`)

/** As a label of a flowchart of Mermaid, between quotation marks. Each text is a line. */
export const flowchartLabel = (...lines: ReadonlyArray<string>): string =>
  `"${lines
    .map((line) =>
      shorten(line)
        .replaceAll(/["#;<>%&$`\\]/g, entity)
        // Mermaid takes what looks like a list for one, and refuses to draw it.
        .replace(/^([-+*])|^(\d+)([.)])/, (_, bullet?: string, number?: string, mark?: string) =>
          bullet === undefined ? `${number}${entity(mark!)}` : entity(bullet)
        )
    )
    .join("<br/>")}"`

/** As text of Markdown, in a line or a cell of a table. */
export const markdown = (given: string): string =>
  given
    .replaceAll(/\s+/g, " ")
    .replaceAll(/&(?=#?\w+;)/g, "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll("$", "&#36;")
    .replaceAll(/[\\|`*_[\]~]/g, "\\$&")

/** What would make a heading, a list or a rule of a line of Markdown. */
export const lineStart = (line: string): string =>
  line.replace(/^([#+=>-]|\d+(?=[.)]))/, (start) => (/\d/.test(start) ? `${start}\\` : `\\${start}`))

/** As code in a line of Markdown. What a table could not hold between backticks is written in HTML. */
export const markdownCode = (given: string): string => {
  const text = oneLine(given)
  if (text === "") return ""
  return /[`|\\]/.test(text)
    ? `<code>${text.replaceAll(/[&<>"'`|\\*_[\]~$]/g, (character) => `&#${character.codePointAt(0)};`)}</code>`
    : `\`${text}\``
}

/** A block of code, between more backticks than it holds. */
export const fenced = (language: string, given: string): string => {
  const text = clean(given)
  const runs = text.match(/`{3,}/g) ?? []
  const fence = "`".repeat(Math.max(3, ...runs.map((run) => run.length + 1)))
  return `${fence}${language}\n${text}\n${fence}`
}

/** As text or an attribute of HTML. */
export const html = (given: string): string =>
  clean(given).replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)
