/** The package as users install it: packed, from the registry. Slow, and only with `THOROUGH=1`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "../house/Sources.ts"
import { assertCode, ended, folder } from "./program.ts"

/** Node of this process comes first, for the programs that look it up. */
const run = (cwd: string, command: string, ...args: ReadonlyArray<string>) =>
  Effect.suspend(() => {
    const PATH = `${path.dirname(process.execPath)}${path.delimiter}${process.env["PATH"]}`
    return ended(childProcess.spawn(command, args, { cwd, env: { ...process.env, PATH } }))
  })

/** Packs a copy, so that the repository's own build stays as it is. */
const packed = Effect.gen(function* () {
  const copy = yield* folder
  for (const name of ["package.json", "README.md", "CHANGELOG.md", "LICENSE", "tsconfig.json", "src", ".config"]) {
    fs.cpSync(path.join(root, name), path.join(copy, name), { recursive: true })
  }
  fs.symlinkSync(path.join(root, "node_modules"), path.join(copy, "node_modules"))
  const pack = yield* run(copy, "npm", "pack")
  assertCode(pack, 0)
  return path.join(copy, pack.stdout.trimEnd().split("\n").at(-1)!)
})

describe.runIf(process.env["THOROUGH"] === "1")("the packed command", { timeout: 600_000 }, () => {
  it.live("writes a project that works with what the registry gives", () =>
    Effect.gen(function* () {
      const tarball = yield* packed
      const cwd = yield* folder
      assertCode(
        yield* run(
          cwd,
          "npx",
          "--yes",
          "--package",
          tarball,
          "--package",
          "@effect/platform-node",
          "--",
          "integration",
          "init",
          "."
        ),
        0
      )
      assertCode(yield* run(cwd, "npm", "install", "--no-audit", "--no-fund", tarball), 0)
      for (const script of ["check", "doc", "start", "test", "types"]) {
        assertCode(yield* run(cwd, "npm", "run", script), 0)
      }
      assert.include(fs.readFileSync(path.join(cwd, "design.md"), "utf8"), "Orders are charged when they are placed")
    })
  )
})
