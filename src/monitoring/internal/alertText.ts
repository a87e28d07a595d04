/** Control characters, but for the end of a line and the tabulator. */
const control = /[^\P{Cc}\n\t]/gu

/**
 * A text of at most so many UTF-16 units. It is cut between characters, and an ellipsis shows that it was; what is no
 * character (control characters, halves of surrogate pairs) is replaced.
 */
export const bounded = (text: string, max: number): string => {
  // Only as much as can be shown is looked at: the text may be endless.
  const clean = text
    .slice(0, max + 1)
    .toWellFormed()
    .replace(control, " ")
  if (clean.length <= max) return text.length <= max ? clean : cut(clean, max)
  return cut(clean, max)
}

const cut = (text: string, max: number): string => {
  const end = max - 1
  const last = text.charCodeAt(end - 1)
  return `${text.slice(0, last >= 0xd800 && last <= 0xdbff ? end - 1 : end)}…`
}

/** On one line. */
export const oneLine = (text: string, max: number): string => bounded(text, max).replace(/\s+/g, " ").trim()
