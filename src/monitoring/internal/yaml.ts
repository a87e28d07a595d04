/** What can be written. A field that is undefined is left out. */
export type Value = string | number | boolean | ReadonlyArray<Value> | { readonly [key: string]: Value | undefined }

/** YAML 1.2 that a reader of 1.1 reads the same, in blocks as people write it. */
export const encode = (value: Value): string => `${block(value, "").replace(/^\n/, "")}\n`

/** A text in a comment, which its line ends. */
export const comment = (text: string): string => quoted(text).slice(1, -1)

/** Below a key: a collection begins a line of its own, a text goes on behind the colon. */
const block = (value: Value, indent: string): string => {
  if (isList(value)) {
    if (value.length === 0) return " []"
    return value.map((each) => `\n${indent}- ${block(each, `${indent}  `).trimStart()}`).join("")
  }
  if (typeof value === "object") {
    const fields = Object.entries(value).filter((entry): entry is [string, Value] => entry[1] !== undefined)
    if (fields.length === 0) return " {}"
    return fields.map(([key, each]) => `\n${indent}${scalar(key)}:${block(each, `${indent}  `)}`).join("")
  }
  return ` ${typeof value === "string" ? text(value, indent) : String(value)}`
}

const isList = (value: Value): value is ReadonlyArray<Value> => Array.isArray(value)

const text = (value: string, indent: string): string =>
  literal.test(value) && printable.test(value)
    ? `|-${value
        .split("\n")
        .map((line) => `\n${indent}${line}`)
        .join("")}`
    : scalar(value)

/** Several lines, of which none begins the first with a space, ends in one, or is empty. */
const literal = /^(?! )[^\n]*[^\s](\n[^\n]*[^\s])+$/
/** A tab is printable, and refused all the same: readers differ about tabs that indent. */
const printable = /^[\n\x20-\x7e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]*$/

const scalar = (value: string): string => {
  if (isPlain(value)) return value
  return printable.test(value) && !value.includes("\n") && /["\\]/.test(value)
    ? `'${value.replaceAll("'", "''")}'`
    : quoted(value)
}

const isPlain = (value: string): boolean =>
  (/^[A-Za-z_/][\w ./:+(),%<>=*@-]*$/.test(value) || /^(\d+(ms|[smhdwy]))+$/.test(value)) &&
  !/: |:$| $/.test(value) &&
  !reserved.test(value)

/** What some reader takes for something else than a text. */
const reserved = /^(y|n|yes|no|on|off|true|false|null)$/i

/** JSON is YAML, but for characters that YAML calls unprintable and halves of a surrogate pair, which are no text. */
const quoted = (value: string): string =>
  JSON.stringify(value.toWellFormed()).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
