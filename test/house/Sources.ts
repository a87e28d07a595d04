import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript"

export const root = path.resolve(import.meta.dirname, "../..")

/** The TypeScript files below `src/`, by path relative to `src/` with forward slashes. */
export const sources = (): ReadonlyMap<string, string> => {
  const src = path.join(root, "src")
  return new Map(
    fs
      .readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .toSorted()
      .map((file) => [file.replaceAll(path.sep, "/"), fs.readFileSync(path.join(src, file), "utf8")])
  )
}

/** Every module that a source file names: imports, re-exports, `import()` as expression and as type. */
export const importsOf = (file: string, text: string): ReadonlyArray<string> => {
  const specifiers = new Set<string>()
  const add = (node: ts.Node | undefined): void => {
    if (node !== undefined && ts.isStringLiteralLike(node)) specifiers.add(node.text)
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier)
    else if (ts.isExternalModuleReference(node)) add(node.expression)
    else if (ts.isImportTypeNode(node)) add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0])
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest))
  return [...specifiers]
}
