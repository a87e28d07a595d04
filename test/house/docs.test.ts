import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { blocksOfMarkdown, blocksOfSource, check } from "./Docs.ts"
import { root, sources } from "./Sources.ts"

describe("the examples in the documentation", { timeout: 120_000 }, () => {
  it("compile", () => {
    const readme = path.join(root, "README.md")
    const examples = [
      ...(fs.existsSync(readme) ? blocksOfMarkdown("README.md", fs.readFileSync(readme, "utf8")) : []),
      ...Array.from(sources()).flatMap(([file, text]) => blocksOfSource(`src/${file}`, text))
    ]
    assert.deepStrictEqual(check(examples), [])
  })

  it("fail at the file, line and column of the mistake", () => {
    const markdown = "# Title\n\n```ts\nconst a: number = 1\nconst b: string = a\n```\n"
    const source = [
      'import * as Effect from "effect/Effect"',
      "",
      "/**",
      " * A constant.",
      " *",
      " * **Example**",
      " *",
      " * ```ts",
      ' * import { Effect } from "effect"',
      " *",
      ' * export const b: Effect.Effect<number> = Effect.succeed("text")',
      " * ```",
      " */",
      "export const a = Effect.void",
      "",
      "export interface Options {",
      "  /**",
      "   * ```ts",
      "   * export const c: number = undefined",
      "   * ```",
      "   */",
      "  readonly c: number",
      "}"
    ].join("\n")
    const found = check([...blocksOfMarkdown("README.md", markdown), ...blocksOfSource("src/made/Up.ts", source)])
    assert.deepStrictEqual(
      found.map((line) => line.split(": ")[0]),
      ["README.md:5:7", "src/made/Up.ts:11:17", "src/made/Up.ts:19:19"]
    )
  })

  it("are modules of their own, with the settings of the project", () => {
    const markdown = [
      "```ts",
      "const list = [1]",
      "export const first: number = list[0]",
      "```",
      "```ts",
      "const list = await Promise.resolve([1])",
      "export const first: number | undefined = list[0]",
      "```"
    ].join("\n")
    const found = check(blocksOfMarkdown("README.md", markdown))
    assert.deepStrictEqual(found, [
      "README.md:3:14: Type 'number | undefined' is not assignable to type 'number'.\n  Type 'undefined' is not assignable to type 'number'."
    ])
  })

  it("are skipped when they are not TypeScript or say no-check", () => {
    const markdown =
      "```ts no-check\n???\n```\n```bash\nnpm test\n```\n````md\n```ts\n???\n```\n````\n```ts\nexport {}\n```\n"
    assert.deepStrictEqual(
      blocksOfMarkdown("README.md", markdown).map((block) => block.line),
      [12]
    )
  })
})
