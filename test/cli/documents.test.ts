import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { until } from "../servers/until.ts"
import { assertCode, ended, fixture, folder, folderOf, integration, parsed, source, spawn } from "./program.ts"

const make = `import * as Integration from ${source("Integration.ts")}\n`

describe("what is printed of a design", { timeout: 60_000 }, () => {
  it.live("is the document, as Markdown or as a page", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const markdown = yield* integration(["doc", fixture])
      assertCode(markdown, 0)
      assert.match(markdown.stdout, /^# /)
      assert.include(markdown.stdout, "orders-to-payments")
      assert.strictEqual(markdown.stderr, "")

      const page = yield* integration(["doc", fixture, "--out", "docs/design.html"], { cwd })
      assertCode(page, 0)
      assert.deepStrictEqual([page.stdout, page.stderr], ["", "wrote docs/design.html\n"])
      assert.match(fs.readFileSync(path.join(cwd, "docs/design.html"), "utf8"), /^<!doctype html>/i)
      const same = yield* integration(["doc", fixture, "--out", "design.txt", "--format", "md"], { cwd })
      assertCode(same, 0)
      assert.strictEqual(fs.readFileSync(path.join(cwd, "design.txt"), "utf8"), markdown.stdout)
    })
  )

  it.live("is OpenAPI, AsyncAPI and Mermaid", () =>
    Effect.gen(function* () {
      const openapi = parsed(yield* integration(["openapi", fixture]))
      assert.deepStrictEqual([openapi.openapi, openapi.info.title], ["3.1.0", "payments"])
      assert.deepStrictEqual(parsed(yield* integration(["openapi", fixture, "--contract", "payments"])), openapi)
      const unknown = yield* integration(["openapi", fixture, "--contract", "stock"])
      assertCode(unknown, 2)
      assert.include(unknown.stderr, "no contract is named stock: there is payments")

      assert.strictEqual(parsed(yield* integration(["asyncapi", fixture])).asyncapi, "3.0.0")

      const topology = yield* integration(["mermaid", fixture])
      assertCode(topology, 0)
      assert.match(topology.stdout, /^flowchart LR\n/)
      const saga = yield* integration(["mermaid", fixture, "--saga", "transfer"])
      assertCode(saga, 0)
      assert.match(saga.stdout, /^sequenceDiagram\n/)
    })
  )

  it.live("is written again when an imported file changes, until SIGINT", () =>
    Effect.gen(function* () {
      const purpose = (text: string) => `export const purpose: string = ${JSON.stringify(text)}\n`
      const cwd = yield* folderOf({
        "d.ts": `${make}import { purpose } from "./purpose.ts"\nexport default Integration.make("x", { purpose })\n`,
        "purpose.ts": purpose("first purpose")
      })
      const child = spawn(["doc", "d.ts", "--out", "d.md", "--watch"], { cwd })
      let said = ""
      child.stderr.on("data", (text) => (said += String(text)))
      const watching = (count: number) =>
        until(Effect.sync(() => said.split("watching").length > count || child.exitCode !== null))
      const document = () => fs.readFileSync(path.join(cwd, "d.md"), "utf8")
      const end = yield* Effect.forkChild(ended(child))

      yield* watching(1)
      assert.include(document(), "first purpose", said)
      assert.include(said, "watching ", said)
      fs.writeFileSync(path.join(cwd, "purpose.ts"), purpose("second purpose"))
      yield* watching(2)
      assert.include(document(), "second purpose", said)
      // What does not load is said, and waited for.
      fs.writeFileSync(path.join(cwd, "purpose.ts"), "export const purpose = =\n")
      yield* watching(3)
      assert.include(said, "purpose.ts:1: SyntaxError")
      fs.writeFileSync(path.join(cwd, "purpose.ts"), purpose("third purpose"))
      yield* watching(4)
      assert.include(document(), "third purpose", said)

      child.kill("SIGINT")
      const { code, stdout } = yield* Fiber.join(end)
      assert.deepStrictEqual([code, stdout], [130, ""])
    })
  )

  it.live("is watched only where it is written", () =>
    Effect.gen(function* () {
      const result = yield* integration(["doc", fixture, "--watch"])
      assertCode(result, 2)
      assert.include(result.stderr, "--watch needs --out")
    })
  )
})

describe("integration check", { timeout: 60_000 }, () => {
  const flawed = `${make}
    export default Integration.make("x", { criticality: "critical", rpo: "1 minute", acknowledged: [
      { finding: "no-such-finding", reason: "of old" }
    ] })`

  it.live("ends with 1 where an error is not acknowledged, with --strict also for a warning", () =>
    Effect.gen(function* () {
      const cwd = yield* folderOf({
        "flawed.ts": flawed,
        "empty.ts": `${make}export default Integration.make("x", {})`
      })
      const { design, findings } = parsed(yield* integration(["check", "flawed.ts", "--json", "--strict"], { cwd }), 1)
      assert.strictEqual(design, "x")
      const bad = findings.filter(({ severity }: { readonly severity: string }) => severity !== "note")
      assert.isAbove(bad.length, 0)
      const worst: string = findings[0].severity
      const text = yield* integration(["check", "flawed.ts"], { cwd })
      assertCode(text, worst === "error" ? 1 : 0)
      assert.match(text.stdout, new RegExp(`^${worst}: `))
      assert.notInclude(text.stdout, "\u001b[")

      const coloured = yield* integration(["check", "flawed.ts"], { cwd, env: { FORCE_COLOR: "1" } })
      assert.include(coloured.stdout, "\u001b[")

      const warned = yield* integration(["check", fixture])
      assertCode(warned, 0)
      assert.match(warned.stdout, /^warning: /)
      assertCode(yield* integration(["check", fixture, "--strict"]), 1)

      const empty = yield* integration(["check", "empty.ts"], { cwd })
      assertCode(empty, 0)
    })
  )
})

describe("integration diff", { timeout: 60_000 }, () => {
  it.live("compares snapshots and designs, and ends with 1 where something breaks", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      assertCode(yield* integration(["snapshot", fixture, "--out", "before.json"], { cwd }), 0)
      const same = yield* integration(["diff", "before.json", fixture], { cwd })
      assertCode(same, 0)
      assert.strictEqual(same.stdout, "No changes.\n")

      const before = JSON.parse(fs.readFileSync(path.join(cwd, "before.json"), "utf8"))
      const after = { ...before, overview: { ...before.overview, purpose: "Something else" } }
      fs.writeFileSync(path.join(cwd, "purpose.json"), JSON.stringify(after))
      const { changes } = parsed(yield* integration(["diff", fixture, "purpose.json", "--json"], { cwd }))
      assert.deepStrictEqual(
        changes.map(({ kind }: { readonly kind: string }) => kind),
        ["documentation"]
      )
      const failing = ["diff", fixture, "purpose.json", "--fail-on", "documentation"]
      assertCode(yield* integration(failing, { cwd }), 1)

      fs.writeFileSync(path.join(cwd, "gone.json"), JSON.stringify({ ...before, channels: {}, consumers: {} }))
      const broken = yield* integration(["diff", "before.json", "gone.json"], { cwd })
      assertCode(broken, 1)
      assert.match(broken.stdout, /^breaking: /)
    })
  )
})
