import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { assertCode, folderOf, integration, parsed, source } from "./program.ts"

const make = `import * as Integration from ${source("Integration.ts")}\n`

const files = {
  "syntax.ts": "export const a: number = 1\nexport const b = = 2\n",
  "twice.ts": "export const a: number = 1\nlet a = 2\n",
  "enum.ts": "\nexport enum Status { Up }\n",
  "missing.ts": 'export const a = 1\nimport { b } from "./nowhere.ts"\nexport const c = b\n',
  "package.ts": 'import { b } from "not-installed"\nexport const c = b\n',
  "name.ts": 'import { nope } from "./none.ts"\nexport const c = nope\n',
  "option.ts": `${make}\nexport default Integration.make("x", {\n  rto: -1\n})\n`,
  "inner.ts": 'import inner from "./option.ts"\nexport default inner\n',
  "thrown.ts": 'throw new TypeError("cannot reach amqp://guest:hunter2@broker")\n',
  "odd.ts": 'throw { password: "hunter2" }\n',
  "none.ts": "export const a: number = 1\n",
  "several.ts": `${make}export const one = Integration.make("one", {})\nexport const two = Integration.make("two", {})\n`,
  "text.txt": "no design",
  "broken.json": "{}"
}

const errors: ReadonlyArray<[file: string, at: string, message: string]> = [
  ["nowhere.ts", "nowhere.ts", "there is no such file"],
  [".", "", "is a folder: name the file that exports the design"],
  ["syntax.ts", "syntax.ts:2", "SyntaxError: "],
  ["twice.ts", "twice.ts:2", "SyntaxError: Identifier 'a' has already been declared"],
  ["enum.ts", "enum.ts:2", "SyntaxError: TypeScript enum is not supported in strip-only mode: Node strips types"],
  ["missing.ts", "missing.ts:2", "Cannot find module '"],
  ["package.ts", "package.ts:1", "Cannot find package 'not-installed'"],
  ["name.ts", "name.ts:1", "SyntaxError: The requested module './none.ts' does not provide an export named 'nope'"],
  ["option.ts", "option.ts:3:28", "Integration.make: rto must be a finite duration, zero or longer, but -1 was given"],
  ["inner.ts", "option.ts:3:28", "Integration.make: rto must be"],
  ["thrown.ts", "thrown.ts:1:7", "TypeError: cannot reach amqp://broker"],
  ["odd.ts", "odd.ts", "something that is no error was thrown"],
  ["none.ts", "none.ts", "exports no design: export what Integration.make gives as default, or as `design`"],
  ["several.ts", "several.ts", "exports several designs (one, two): export one of them as default, or as `design`"],
  ["text.txt", "text.txt", 'TypeError: Unknown file extension ".txt"']
]

describe("a file that does not load", { timeout: 60_000 }, () => {
  for (const [file, at, message] of errors) {
    it.live(`is named, with the line: ${file}`, () =>
      Effect.gen(function* () {
        const cwd = yield* folderOf(files)
        const result = yield* integration(["check", file], { cwd })
        assertCode(result, 2)
        assert.strictEqual(result.stdout, "")
        const where = at === "" ? cwd : at
        assert.strictEqual(result.stderr.slice(0, `${where}: ${message}`.length), `${where}: ${message}`)
        assert.strictEqual(result.stderr.trimEnd().split("\n").length, 1)
      })
    )
  }

  it.live("is told to programs as JSON", () =>
    Effect.gen(function* () {
      const cwd = yield* folderOf(files)
      const result = yield* integration(["check", "option.ts", "--json"], { cwd })
      const { error } = parsed(result, 2)
      assert.deepStrictEqual([error.file, error.line, error.column], [path.join(cwd, "option.ts"), 3, 28])
      assert.include(error.message, "rto must be")
      assert.strictEqual(result.stderr, "")
    })
  )

  it.live("is also a snapshot that is none", () =>
    Effect.gen(function* () {
      const cwd = yield* folderOf(files)
      const { error } = parsed(yield* integration(["diff", "broken.json", "broken.json", "--json"], { cwd }), 2)
      assert.strictEqual(error.file, path.join(cwd, "broken.json"))
      assert.include(error.message, "this is no snapshot of format 1")
    })
  )
})

describe("a file that loads", { timeout: 60_000 }, () => {
  const forms: ReadonlyArray<[name: string, text: string]> = [
    ["as default", `export default Integration.make("wanted", {})\nexport const other = Integration.make("other", {})`],
    [
      "as `design`",
      `export const design = Integration.make("wanted", {})\nexport const other = Integration.make("o", {})`
    ],
    ["as its only one", `export const x = Integration.make("wanted", {})\nexport const same = x\nexport default 1`]
  ]
  for (const [name, text] of forms) {
    it.live(`exports the design ${name}`, () =>
      Effect.gen(function* () {
        const cwd = yield* folderOf({ "d.ts": `${make}${text}\nconsole.log("loading")\n` })
        const result = yield* integration(["snapshot", "d.ts"], { cwd })
        assertCode(result, 0)
        assert.strictEqual(JSON.parse(result.stdout).name, "wanted")
        assert.strictEqual(result.stderr, "loading\n")
      })
    )
  }

  it.live("is only read", () =>
    Effect.gen(function* () {
      const cwd = yield* folderOf({ "d.ts": `${make}export default Integration.make("x", {})\n` })
      yield* integration(["doc", "d.ts"], { cwd })
      assert.deepStrictEqual(fs.readdirSync(cwd), ["d.ts"])
    })
  )
})
