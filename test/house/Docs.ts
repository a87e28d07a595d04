/**
 * The TypeScript examples of the documentation, type-checked as the project itself is.
 *
 * Each block becomes a module of its own beside the file it stands in. The module holds the block at the block's own
 * lines and columns, everything around it blank, so that the compiler reports an error where the reader would look.
 */
import * as path from "node:path"
import ts from "typescript"
import { root } from "./Sources.ts"

/** A fenced block: the file it stands in, the line of its fence (from 1), and the blanked text of its module. */
export interface Block {
  readonly file: string
  readonly line: number
  readonly text: string
}

/** The `ts` blocks of a Markdown file. */
export const blocksOfMarkdown = (file: string, text: string): ReadonlyArray<Block> => blocks(file, text.split("\n"), 0)

/** The `ts` blocks in the docstrings of a TypeScript file. */
export const blocksOfSource = (file: string, text: string): ReadonlyArray<Block> => {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest)
  const docstrings = new Map<number, Block[]>()
  const visit = (node: ts.Node): void => {
    for (const range of ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []) {
      if (docstrings.has(range.pos) || !text.startsWith("/**", range.pos)) continue
      const first = source.getLineAndCharacterOfPosition(range.pos).line
      const lines = text.slice(range.pos, range.end).split("\n")
      docstrings.set(range.pos, blocks(file, lines.map(withoutGutter), first))
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return Array.from(docstrings.values()).flat()
}

/** The star before each line of a docstring, as blanks. */
const withoutGutter = (line: string): string => line.replace(/^\s*\*(?!\/)/, (gutter) => " ".repeat(gutter.length))

const fence = /^(\s*)(`{3,})\s*(\S*)\s*(.*?)\s*$/

const blocks = (file: string, lines: ReadonlyArray<string>, offset: number): Array<Block> => {
  const found: Array<Block> = []
  let open: { readonly at: number; readonly ticks: string; readonly checked: boolean } | undefined
  for (const [at, line] of lines.entries()) {
    const [, , ticks, language, rest] = fence.exec(line) ?? []
    if (open === undefined) {
      if (ticks === undefined) continue
      open = { at, ticks, checked: /^(ts|typescript)$/.test(language ?? "") && !/\bno-check\b/.test(rest ?? "") }
    } else if (ticks !== undefined && ticks.length >= open.ticks.length && language === "") {
      if (open.checked) {
        const body = lines.slice(open.at + 1, at).join("\n")
        found.push({ file, line: offset + open.at + 1, text: "\n".repeat(offset + open.at + 1) + body })
      }
      open = undefined
    }
  }
  if (open?.checked) throw new Error(`${file}:${offset + open.at + 1}: the block is never closed`)
  return found
}

const configuration = (): ts.ParsedCommandLine => {
  const file = path.join(root, "tsconfig.json")
  const { config } = ts.readConfigFile(file, ts.sys.readFile)
  return ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root)
}

/** What the compiler has to say about the blocks: `README.md:12:7: …`, one line for each error. */
export const check = (all: ReadonlyArray<Block>): ReadonlyArray<string> => {
  const modules = new Map(all.map((block) => [path.join(root, `${block.file}.${block.line}.example.ts`), block]))
  const options: ts.CompilerOptions = { ...configuration().options, incremental: false }
  delete options.tsBuildInfoFile
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  const text = (name: string): string | undefined => modules.get(path.normalize(name))?.text
  host.fileExists = (name) => text(name) !== undefined || fileExists(name)
  host.readFile = (name) => text(name) ?? readFile(name)
  host.getSourceFile = (name, target, ...rest) => {
    const virtual = text(name)
    return virtual === undefined ? getSourceFile(name, target, ...rest) : ts.createSourceFile(name, virtual, target)
  }
  const program = ts.createProgram({ rootNames: [...modules.keys()], options, host })
  return Array.from(modules.keys()).flatMap((name) => {
    const source = program.getSourceFile(name)
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((diagnostic) => {
      const at = source?.getLineAndCharacterOfPosition(diagnostic.start ?? 0) ?? { line: 0, character: 0 }
      const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n")
      return `${modules.get(name)?.file}:${at.line + 1}:${at.character + 1}: ${message}`
    })
  })
}
