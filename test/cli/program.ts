/** The program, run as its users do: in a process of its own. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Ended } from "../examples/child.ts"
import { root } from "../house/Sources.ts"

export const main = path.join(root, "src/cli/main.ts")
export const fixture = path.join(root, "test/cli/fixtures/design.ts")

export interface Options {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Starts it. It is killed with the scope, where it has not ended. */
export const spawn = (args: ReadonlyArray<string>, { cwd = root, env }: Options = {}) =>
  childProcess.spawn(process.execPath, [main, ...args], {
    cwd,
    env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: undefined, ...env }
  })

/** What it has said when it has ended. */
export const ended = (child: childProcess.ChildProcessWithoutNullStreams): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    child.on("error", (cause) => resume(Effect.die(cause)))
    child.on("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

export const integration = (args: ReadonlyArray<string>, options?: Options): Effect.Effect<Ended> =>
  Effect.suspend(() => ended(spawn(args, options)))

/** Ended as it should, without a trace of where in this library. */
export const assertCode = ({ code, stderr, stdout }: Ended, expected: number): void => {
  assert.strictEqual(code, expected, stderr + stdout)
  assert.notMatch(stderr + stdout, /\n\s+at .*:\d+:\d+/)
  // The password of the design, and the token of a message.
  assert.notInclude(stderr + stdout, "hunter2")
}

/** What was printed with `--json`: nothing else is there. */
export const parsed = (result: Ended, code = 0): any => {
  assertCode(result, code)
  return JSON.parse(result.stdout)
}

/** A folder that goes with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "cli-")))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** A folder with files. */
export const folderOf = (files: Readonly<Record<string, string>>) =>
  Effect.tap(folder, (directory) =>
    Effect.sync(() => {
      for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(directory, name), text)
    })
  )

/** For designs in temporary folders. */
export const source = (module: string): string => JSON.stringify(path.join(root, "src", module))

/** Gives a folder the packages of this repository, and this package as its sources. */
export const linkModules = (directory: string): void => {
  const modules = path.join(directory, "node_modules")
  const own = path.join(modules, "effect-integration")
  fs.mkdirSync(own, { recursive: true })
  for (const name of ["effect", "@effect", "@types", "typescript", "undici-types", "undici"]) {
    fs.symlinkSync(path.join(root, "node_modules", name), path.join(modules, name))
  }
  fs.symlinkSync(path.join(root, "src"), path.join(own, "src"))
  const exports = { ".": "./src/index.ts", "./*": "./src/*/index.ts" }
  fs.writeFileSync(
    path.join(own, "package.json"),
    JSON.stringify({ name: "effect-integration", type: "module", exports })
  )
}
