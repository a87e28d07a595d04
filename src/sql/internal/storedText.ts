import { createHash } from "node:crypto"

const longest = 255
const mark = "#sha256:"
const hashed = /#sha256:[0-9a-f]{64}$/

/** PostgreSQL keeps no NUL, and no database half a character. */
const isPlain = (text: string): boolean => text.isWellFormed() && !text.includes("\0")

const looksHashed = (text: string): boolean => text.length >= mark.length + 64 && hashed.test(text)

/** The text for a reader, with what cannot be kept replaced. */
export const readable = (text: string): string => text.toWellFormed().replaceAll("\0", "\ufffd")

/** Of any text, the same of two texts only if they are equal. Unpaired surrogates differ by their escapes. */
export const digest = (text: string): string => createHash("sha256").update(JSON.stringify(text)).digest("hex")

/**
 * A text as it is kept in a key column: itself, except where it is too long for an index or cannot be kept. Then it is
 * its beginning and a hash, and so is a text that looks like one, so that no two texts are taken for one.
 */
export const storedText = (text: string): string =>
  text.length <= longest && isPlain(text) && !looksHashed(text)
    ? text
    : `${readable(text.slice(0, 100))}${mark}${digest(text)}`
