import * as Predicate from "effect/Predicate"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { basename } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import type { Place } from "./failure.ts"

/** The folder of this library's modules. */
const own = new URL("../../", import.meta.url).href

/** Where in the user's files an error comes from, as far as Node says it. `last` is the file that was loaded last. */
export const placeOf = (error: unknown, last: string): Place | undefined => {
  if (!Predicate.isError(error)) return undefined
  const stack = error.stack ?? ""
  return (
    headOf(stack) ??
    importer(error) ??
    frameOf(stack) ??
    (error instanceof SyntaxError ? headOf(said(last)) : undefined) ?? { file: fileURLToPath(last) }
  )
}

/** A syntax error, or a missing export: Node puts the place above the stack. */
const headOf = (text: string): Place | undefined => {
  const found = /^(?<file>(?:file:\/\/)?(?:\/|[A-Za-z]:\\).*):(?<line>\d+)\r?\n/.exec(text)?.groups
  return found === undefined ? undefined : { file: pathOf(found["file"]!), line: Number(found["line"]) }
}

/** A module that was not found: who imports it, and in which line. */
const importer = ({ message }: Error): Place | undefined => {
  const found = /^Cannot find (?:module|package) '(?<name>.*)' imported from (?<file>.*)$/.exec(message)?.groups
  if (found === undefined) return undefined
  const file = pathOf(found["file"]!)
  const name = basename(found["name"]!)
  const lines = readFileSync(file, "utf8").split("\n")
  const at = lines.findIndex((line) => /\bfrom\b|\bimport\b/.test(line) && line.includes(name))
  return at < 0 ? { file } : { file, line: at + 1 }
}

/** The innermost call that is neither of this library, nor of Node, nor of a dependency. */
const frameOf = (stack: string): Place | undefined => {
  for (const line of stack.split("\n")) {
    const found = /(?<url>file:\/\/.+?):(?<line>\d+):(?<column>\d+)\)?$/.exec(line)?.groups
    const url = found?.["url"]
    if (url === undefined || url.startsWith(own) || url.includes("/node_modules/")) continue
    return { file: fileURLToPath(url), line: Number(found!["line"]), column: Number(found!["column"]) }
  }
  return undefined
}

/** Node tells the place of some syntax errors only to whom they end. Nothing is evaluated: it fails before. */
const said = (url: string): string =>
  spawnSync(process.execPath, ["--input-type=module", "--eval", "await import(process.argv[1])", url], {
    encoding: "utf8",
    timeout: 10_000
  }).stderr

const pathOf = (file: string): string => (file.startsWith("file:") ? fileURLToPath(file) : file)
