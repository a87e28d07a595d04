import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { fork } from "node:child_process"
import { resolve } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { watched } from "./design.ts"
import { Failure } from "./failure.ts"
import { printError } from "./output.ts"

const main = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "../main.ts" : "../main.js", import.meta.url))

/** How often files are looked at, in milliseconds. Looking works on every file system, and misses nothing. */
const interval = 200

/**
 * Runs this command with other arguments in a process of its own, where modules are fresh, and again whenever a file that
 * it has loaded changes. A design that does not load is reported, and waited for.
 */
export const watch = Effect.fnUntraced(function* (file: string, args: ReadonlyArray<string>) {
  let files: ReadonlyArray<string> = [resolve(file)]
  while (true) {
    const begun = yield* Clock.currentTimeMillis
    files = yield* rendered(args, files)
    const before = yield* changesOf(files)
    // What was changed while it was read may not have been read.
    if (before.some((time) => time > begun)) continue
    yield* printError(`watching ${files.length === 1 ? "1 file" : `${files.length} files`}`)
    yield* Effect.repeat(changesOf(files), {
      until: (now) => now.some((time, at) => time !== before[at]),
      schedule: Schedule.spaced(interval)
    })
  }
})

/** When each file was changed, in milliseconds; 0 where it is not there. */
const changesOf = (files: ReadonlyArray<string>) =>
  FileSystem.FileSystem.use((fs) =>
    Effect.forEach(files, (file) =>
      fs.stat(file).pipe(
        Effect.map(({ mtime }) => Option.match(mtime, { onNone: () => 0, onSome: (time) => time.getTime() })),
        Effect.orElseSucceed(() => 0)
      )
    )
  )

/** Runs the command once. Gives the files that it has loaded, or those known before where it tells none. */
const rendered = (
  args: ReadonlyArray<string>,
  known: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>, Failure> =>
  Effect.callback((resume) => {
    let loaded = known
    const child = fork(main, args, { env: { ...process.env, [watched]: "1" } })
    child.on("message", (urls: ReadonlyArray<string>) => {
      loaded = urls.map((url) => fileURLToPath(url))
    })
    child.on("error", ({ message }) => resume(Effect.fail(new Failure({ message }))))
    child.on("close", () => resume(Effect.succeed(loaded)))
    return Effect.sync(() => void child.kill())
  })
