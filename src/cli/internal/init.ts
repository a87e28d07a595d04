import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { Failure, reporting } from "./failure.ts"
import { json } from "./options.ts"
import { print, printJson } from "./output.ts"
import { filesOf } from "./project.ts"

/** `integration init`. */
export const init = Command.make(
  "init",
  {
    folder: Argument.Path("folder").pipe(
      Argument.withDescription("Where. Default: the working directory"),
      Argument.withDefault(".")
    ),
    json
  },
  ({ folder, json }) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const root = path.resolve(folder)
      const all = Object.entries(filesOf(path.basename(root)))
      const there = yield* Effect.filter(all, ([name]) => fs.exists(path.join(root, name)))
      const taken = there.filter(([name]) => name !== ".gitignore")
      if (taken.length > 0) {
        const names = taken.map(([name]) => name).join(", ")
        const message = `there is already ${names}: nothing was written`
        return yield* new Failure({ message, at: { file: root } })
      }
      const files = all.filter((each) => !there.includes(each))
      yield* fs.makeDirectory(root, { recursive: true })
      // Between the look and the writing somebody may have been quicker.
      yield* Effect.forEach(files, ([name, text]) => fs.writeFileString(path.join(root, name), text, { flag: "wx" }), {
        discard: true
      })
      const names = files.map(([name]) => name)
      if (json) return yield* printJson({ folder: root, files: names })
      return yield* print(
        [
          `wrote ${names.join(", ")}`,
          "",
          ...(folder === "." ? [] : [`  cd ${folder}`]),
          "  npm install",
          "  npm run check    what does not add up in design.ts",
          "  npm run doc      writes design.md",
          "  npm start        charges an order at a stub of the provider",
          "  npm test"
        ].join("\n")
      )
    }).pipe(reporting(json))
).pipe(
  Command.withDescription(
    "Writes a small project that works: a design with a contract, a program that runs it, a test"
  ),
  Command.withShortDescription("Writes a small project that works"),
  Command.withExamples([
    { command: "integration init", description: "Here" },
    { command: "integration init payments", description: "In a new folder" }
  ])
)
