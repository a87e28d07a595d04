import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { registerHooks } from "node:module"
import { resolve } from "node:path"
import process from "node:process"
import { pathToFileURL } from "node:url"
import * as Snapshot from "../../document/Snapshot.ts"
import * as Integration from "../../Integration.ts"
import { Failure, messageOf } from "./failure.ts"
import { placeOf } from "./location.ts"

/** A file that was loaded, and the design that it exports. */
export interface Loaded {
  readonly file: string
  readonly design: Integration.Integration
  readonly exports: Readonly<Record<string, unknown>>
}

/** Loads the file of a design as Node does, which strips the types of TypeScript. */
export const load = Effect.fnUntraced(function* (path: string) {
  const file = yield* existing(path)
  const exports = yield* imported(file)
  return { file, design: yield* designOf(file, exports), exports } satisfies Loaded
})

/** The snapshot that a file is, or that of the design that it exports. */
export const snapshotOf = Effect.fnUntraced(function* (path: string) {
  if (!path.endsWith(".json")) return Snapshot.of((yield* load(path)).design)
  const file = yield* existing(path)
  const text = yield* FileSystem.FileSystem.use((fs) => fs.readFileString(file))
  return yield* Effect.mapError(Snapshot.decode(text), ({ message }) => new Failure({ message, at: { file } }))
})

const existing = Effect.fnUntraced(function* (path: string) {
  const file = resolve(path)
  const fs = yield* FileSystem.FileSystem
  const info = yield* Effect.mapError(
    fs.stat(file),
    ({ reason }) =>
      new Failure({
        message: reason._tag === "NotFound" ? "there is no such file" : `cannot be read: ${reason._tag}`,
        at: { file }
      })
  )
  if (info.type === "Directory") {
    return yield* new Failure({ message: "is a folder: name the file that exports the design", at: { file } })
  }
  return file
})

/** Set by `doc --watch` for the child that renders: it tells its parent which files it has loaded. */
export const watched = "INTEGRATION_WATCHED"

const imported = (file: string): Effect.Effect<Readonly<Record<string, unknown>>, Failure> =>
  Effect.callback((resume) => {
    const url = pathToFileURL(file).href
    const seen = [url]
    const hooks = registerHooks({
      load: (each, context, next) => {
        if (each.startsWith("file:") && !each.includes("/node_modules/")) seen.push(each)
        return next(each, context)
      }
    })
    // The constructor that refuses an option may be called deep inside the file.
    Error.stackTraceLimit = 100
    const ended = (exit: Effect.Effect<Readonly<Record<string, unknown>>, Failure>) => {
      hooks.deregister()
      if (process.env[watched] !== undefined) process.send?.([...new Set(seen)])
      resume(exit)
    }
    import(url).then(
      (exports) => ended(Effect.succeed(exports)),
      (error: unknown) =>
        ended(Effect.fail(new Failure({ message: explained(error), at: placeOf(error, seen.at(-1)!) ?? { file } })))
    )
  })

const explained = (error: unknown): string => {
  const message = messageOf(error).replace(/ imported from .*$/, "")
  const code = (error as { readonly code?: unknown } | undefined)?.code
  if (code === "ERR_UNKNOWN_FILE_EXTENSION") {
    return `${message}. A design is TypeScript (.ts, loaded by Node 22.18 or later) or JavaScript`
  }
  return code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX" ? `${message}: Node strips types, and does no more` : message
}

const designOf = (
  file: string,
  exports: Readonly<Record<string, unknown>>
): Effect.Effect<Integration.Integration, Failure> => {
  const { default: main, design } = exports
  for (const each of [main, design]) if (Integration.isIntegration(each)) return Effect.succeed(each)
  const named = Object.entries(exports).filter(([, value]) => Integration.isIntegration(value))
  const [first, ...others] = new Set(named.map(([, value]) => value as Integration.Integration))
  if (first !== undefined && others.length === 0) return Effect.succeed(first)
  const message =
    first === undefined
      ? "exports no design: export what Integration.make gives as default, or as `design`"
      : `exports several designs (${named.map(([name]) => name).join(", ")}): export one of them as default, or as \`design\``
  return Effect.fail(new Failure({ message, at: { file } }))
}
