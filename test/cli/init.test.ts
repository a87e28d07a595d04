import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "../house/Sources.ts"
import { assertCode, ended, folder, folderOf, integration, linkModules, parsed } from "./program.ts"

const node = (cwd: string, ...args: ReadonlyArray<string>) =>
  Effect.suspend(() => ended(childProcess.spawn(process.execPath, args, { cwd })))

describe("integration init", { timeout: 120_000 }, () => {
  it.live("writes a project whose types, check, document, program and test are well", () =>
    Effect.gen(function* () {
      const parent = yield* folder
      const { files } = parsed(yield* integration(["init", "My Payments", "--json"], { cwd: parent }))
      const cwd = path.join(parent, "My Payments")
      assert.deepStrictEqual(fs.readdirSync(cwd).toSorted(), files.toSorted())
      const manifest = JSON.parse(fs.readFileSync(path.join(cwd, "package.json"), "utf8"))
      assert.strictEqual(manifest.name, "my-payments")
      assert.deepStrictEqual(Object.keys(manifest.scripts), ["check", "doc", "start", "test", "types"])
      const versions = Object.values({ ...manifest.dependencies, ...manifest.devDependencies })
      assert.isTrue(
        versions.every((version) => /^\^\d/.test(String(version))),
        versions.join(" ")
      )
      linkModules(cwd)

      const { findings } = parsed(yield* integration(["check", "design.ts", "--strict", "--json"], { cwd }))
      assert.isTrue(
        findings.every(({ acknowledged }: { readonly acknowledged?: string }) => acknowledged !== undefined)
      )
      assertCode(yield* integration(["doc", "design.ts", "--out", "design.md"], { cwd }), 0)
      assert.include(fs.readFileSync(path.join(cwd, "design.md"), "utf8"), "Orders are charged when they are placed")

      const started = yield* node(cwd, "main.ts")
      assertCode(started, 0)
      assert.include(started.stdout, "charged o-1: c-1\nattempts: 2\n")
      const tested = yield* node(cwd, "--test", "--test-reporter=tap")
      assertCode(tested, 0)
      assert.match(tested.stdout, /# pass 1\n# fail 0/)
      const types = yield* node(cwd, path.join(root, "node_modules/typescript/bin/tsc"))
      assert.deepStrictEqual([types.code, types.stdout], [0, ""])
    })
  )

  it.live("overwrites nothing", () =>
    Effect.gen(function* () {
      const cwd = yield* folderOf({ "design.ts": "mine\n", ".gitignore": "mine\n" })
      const refused = yield* integration(["init"], { cwd })
      assertCode(refused, 2)
      assert.include(refused.stderr, "there is already design.ts: nothing was written")
      assert.deepStrictEqual(fs.readdirSync(cwd).toSorted(), [".gitignore", "design.ts"])

      fs.rmSync(path.join(cwd, "design.ts"))
      assertCode(yield* integration(["init"], { cwd }), 0)
      assert.strictEqual(fs.readFileSync(path.join(cwd, ".gitignore"), "utf8"), "mine\n")
    })
  )
})
