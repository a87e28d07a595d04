import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, Exit } from "effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Cli from "../../src/cli/Cli.ts"
import { root } from "../house/Sources.ts"
import { assertCode, ended, folder, integration } from "./program.ts"

/** What the command prints in this process, and the code that it would end with. */
const run = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const out: Array<string> = []
  const error: Array<string> = []
  const console: Console.Console = {
    ...globalThis.console,
    log: (...texts) => void out.push(texts.join(" ")),
    error: (...texts) => void error.push(texts.join(" "))
  }
  const exit = yield* Effect.exit(
    Cli.run(args).pipe(Effect.provideService(Console.Console, console), Effect.provide(NodeServices.layer))
  )
  const failure = Exit.isFailure(exit) ? exit.cause.reasons.find((reason) => reason._tag === "Fail") : undefined
  return { code: failure === undefined ? 0 : failure.error.code, stdout: out.join("\n"), stderr: error.join("\n") }
})

const commands = [
  "init",
  "doc",
  "check",
  "diff",
  "snapshot",
  "openapi",
  "asyncapi",
  "mermaid",
  "dead-letters",
  "dead-letters list",
  "dead-letters peek",
  "dead-letters replay",
  "dead-letters purge",
  "sagas",
  "sagas list",
  "sagas show",
  "sagas resume",
  "sagas skip",
  "sagas abandon",
  "health"
]

describe("the command", () => {
  it.effect("says which subcommands there are", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* run()
      assert.strictEqual(code, 0)
      for (const command of commands.filter((each) => !each.includes(" "))) assert.include(stdout, `\n  ${command} `)
    })
  )

  for (const command of commands) {
    it.effect(`explains ${command} with examples`, () =>
      Effect.gen(function* () {
        const { code, stderr, stdout } = yield* run(...command.split(" "), "--help")
        assert.deepStrictEqual([code, stderr], [0, ""])
        assert.match(stdout, new RegExp(`EXAMPLES\\n  # .*\\n  integration ${command}`))
      })
    )
  }

  it.effect("refuses what it does not know with 2, and prints nothing to standard output", () =>
    Effect.gen(function* () {
      for (const args of [
        ["chek"],
        ["check"],
        ["check", "a.ts", "--strickt"],
        ["diff", "a.ts"],
        ["doc", "--format", "pdf"]
      ]) {
        const { code, stderr, stdout } = yield* run(...args)
        assert.deepStrictEqual([code, stdout], [2, ""], args.join(" "))
        assert.include(stderr, "--help says more")
      }
    })
  )

  it.live(
    "is a program with a version",
    () =>
      Effect.gen(function* () {
        const result = yield* integration(["--version"])
        assertCode(result, 0)
        assert.match(result.stdout, /^integration v\d+\.\d+\.\d+\n$/)
        assertCode(yield* integration(["chek", "--json"]), 2)
      }),
    60_000
  )

  it.live(
    "says what to install where the platform is missing",
    () =>
      Effect.gen(function* () {
        const cwd = yield* folder
        for (const name of ["src", "package.json"]) {
          fs.cpSync(path.join(root, name), path.join(cwd, name), { recursive: true })
        }
        fs.mkdirSync(path.join(cwd, "node_modules"))
        fs.symlinkSync(path.join(root, "node_modules/effect"), path.join(cwd, "node_modules/effect"))
        const main = path.join(cwd, "src/cli/main.ts")
        const result = yield* ended(childProcess.spawn(process.execPath, [main, "check", "d.ts"], { cwd }))
        assertCode(result, 2)
        assert.strictEqual(
          result.stderr,
          "integration needs @effect/platform-node: npm install @effect/platform-node\n"
        )
      }),
    60_000
  )
})
