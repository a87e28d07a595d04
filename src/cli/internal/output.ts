import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"

/** Prints a text and the end of its line, once. */
export const print = (text: string): Effect.Effect<void> => Console.log(text.replace(/\n$/, ""))

/** For what is not the result: reasons, progress. */
export const printError = (text: string): Effect.Effect<void> => Console.error(text.replace(/\n$/, ""))

/** JSON for programs, indented since people read it too. */
export const printJson = (value: unknown): Effect.Effect<void> => print(JSON.stringify(value, undefined, 2))

/** A text of somebody else, which must not steer the terminal that shows it. */
export const visible = (text: string): string =>
  text.replaceAll(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (control) =>
    control === "\n" || control === "\t" ? control : `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** As `visible`, in one line. */
export const oneLine = (text: string): string => visible(text.replaceAll(/\s+/g, " ").trim())

/** A text without who signs in at its URLs. */
export const withoutCredentials = (text: string): string => text.replaceAll(/(?<=[a-z]:\/\/)[^/\s?#"'<>]*@/gi, "")

const colours: Readonly<Record<string, number>> = {
  error: 31,
  breaking: 31,
  warning: 33,
  behavioural: 33,
  note: 36,
  documentation: 36
}

/** Prints a report whose blocks begin with how bad they are: in colour where a terminal can show it. */
export const printReport = Effect.fnUntraced(function* (text: string) {
  const { canColor } = yield* TerminalCapabilities
  yield* print(
    canColor
      ? text.replaceAll(/^(\w+)(?=:)/gm, (word) => (word in colours ? coloured(word, colours[word]!) : word))
      : text
  )
})

const coloured = (text: string, colour: number): string => `\u001b[${colour}m${text}\u001b[0m`

/** `1 letter`, `2 letters`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`
