import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { print, printError } from "./output.ts"

/** The file of a design. */
export const file = Argument.Path("file").pipe(
  Argument.withDescription("A TypeScript file that exports the design, as default or as `design`")
)

/** For programs. */
export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print JSON, and nothing else"),
  Flag.withDefault(false)
)

/** Where the result is written. */
export const out = Flag.String("out").pipe(
  Flag.withAlias("o"),
  Flag.withMetavar("FILE"),
  Flag.withDescription("Write to this file, not to standard output"),
  Flag.optional
)

/** Prints a text, or writes it to a file whose folders are made. */
export const deliver = Effect.fnUntraced(function* (text: string, out: Option.Option<string>) {
  if (Option.isNone(out)) return yield* print(text)
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  yield* fs.makeDirectory(path.dirname(path.resolve(out.value)), { recursive: true })
  yield* fs.writeFileString(out.value, text.endsWith("\n") ? text : `${text}\n`)
  return yield* printError(`wrote ${out.value}`)
})
