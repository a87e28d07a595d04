/**
 * Who may import whom inside `src/`.
 *
 * The rule is a pure function of the imports that each file names, so that it can be tried on made-up sources.
 */
import { posix } from "node:path"

/** The specifiers that each file names, by path relative to `src/` with forward slashes: `policy/RetryPolicy.ts`. */
export type Imports = ReadonlyMap<string, ReadonlyArray<string>>

const policy = ["Telemetry", "internal", "policy"]
const wires = ["http", "grpc", "graphql", "websocket", "file", "event", "saga"]
const values = [...policy, ...wires]
const adapters = ["rabbitmq", "kafka", "sql", "sqlite", "redis"]
const top = ["monitoring", "document", "testing"]

/** For each folder of `src/`, and each module that stands beside the folders, what it may import besides itself. */
export const order: Readonly<Record<string, ReadonlyArray<string>>> = {
  Telemetry: ["internal"],
  internal: [],
  policy: ["Telemetry", "internal"],
  ...Object.fromEntries(wires.map((wire) => [wire, policy])),
  ...Object.fromEntries(adapters.map((adapter) => [adapter, values])),
  integration: values,
  Integration: [...values, "integration"],
  ...Object.fromEntries(top.map((folder) => [folder, [...values, ...adapters, "Integration", ...top]])),
  cli: [...values, ...adapters, "Integration", ...top],
  index: [...values, "Integration"]
}

/** Packages that only one folder may name, also where no other does yet. */
const reserved: Readonly<Record<string, string>> = { "@effect/platform-node": "cli" }

/** What stays usable in any runtime: nothing that is reachable from here may name a package other than `effect`. */
const portable = (file: string): boolean =>
  file === "index.ts" || ["policy/", "http/", "event/", "saga/"].some((folder) => file.startsWith(folder))

const isRelative = (specifier: string): boolean => specifier.startsWith(".")

const resolve = (file: string, specifier: string): string => posix.join(posix.dirname(file), specifier)

/** The folder of `src/` a file belongs to, or its own name when it stands beside the folders. */
const unitOf = (file: string): string =>
  file.includes("/") ? file.slice(0, file.indexOf("/")) : posix.basename(file, ".ts")

/** `policy/internal/x/Y.ts` -> `policy`; undefined when the file is not internal; `""` for `internal/` itself. */
const ownerOfInternal = (file: string): string | undefined => {
  const segments = posix.dirname(file).split("/")
  const at = segments.lastIndexOf("internal")
  return at < 0 ? undefined : segments.slice(0, at).join("/")
}

/** The folder that answers for a dependency: its private part answers as the folder itself. */
const folderOf = (file: string): string => ownerOfInternal(file) ?? posix.dirname(file)

const isWithin = (file: string, folder: string): boolean => folder === "" || file.startsWith(`${folder}/`)

/** `@scope/name/module` -> `@scope/name`; `node:fs/promises` -> `node:fs/promises`. */
const packageOf = (specifier: string): string =>
  specifier.startsWith("node:") ? specifier : specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")

const isHeavy = (specifier: string): boolean => !isRelative(specifier) && packageOf(specifier) !== "effect"

/** The circles of a graph, at least one of each knot, as paths that end where they began. */
const circles = (graph: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyArray<ReadonlyArray<string>> => {
  const found: Array<ReadonlyArray<string>> = []
  const done = new Set<string>()
  const path: Array<string> = []
  const visit = (node: string): void => {
    const at = path.indexOf(node)
    if (at >= 0) found.push([...path.slice(at), node])
    if (at >= 0 || done.has(node)) return
    path.push(node)
    for (const next of graph.get(node) ?? []) visit(next)
    path.pop()
    done.add(node)
  }
  for (const node of graph.keys()) visit(node)
  return found
}

const fileGraph = (imports: Imports): ReadonlyMap<string, ReadonlyArray<string>> =>
  new Map(
    Array.from(imports, ([file, specifiers]) => [
      file,
      specifiers.filter(isRelative).map((specifier) => resolve(file, specifier))
    ])
  )

const unitGraph = (files: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyMap<string, ReadonlyArray<string>> => {
  const graph = new Map<string, Set<string>>()
  for (const [file, targets] of files) {
    const unit = unitOf(file)
    const edges = graph.get(unit) ?? new Set()
    graph.set(unit, edges)
    for (const target of targets) if (unitOf(target) !== unit) edges.add(unitOf(target))
  }
  return new Map(Array.from(graph, ([unit, edges]) => [unit, [...edges]]))
}

/** One sentence for each import that breaks the order of the house. `declared` are the packages users get or install. */
export const violations = (imports: Imports, declared: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...misplaced(imports),
  ...undeclared(imports, declared),
  ...scattered(imports),
  ...trespassing(imports),
  ...heavyReach(imports),
  ...circles(fileGraph(imports)).map((circle) => `circle of files: ${circle.join(" -> ")}`),
  ...circles(unitGraph(fileGraph(imports))).map((circle) => `circle of folders: ${circle.join(" -> ")}`)
]

const misplaced = (imports: Imports): ReadonlyArray<string> =>
  Array.from(imports).flatMap(([file, specifiers]) => {
    const unit = unitOf(file)
    const allowed = order[unit]
    if (allowed === undefined) return [`${file}: "${unit}" has no place in the order`]
    return specifiers.filter(isRelative).flatMap((specifier) => {
      const target = resolve(file, specifier)
      if (!imports.has(target)) return [`${file}: "${specifier}" is no source file of src`]
      const owner = ownerOfInternal(target)
      return [
        ...(unitOf(target) === unit || allowed.includes(unitOf(target))
          ? []
          : [`${file}: ${unit} may not import ${target}`]),
        ...(owner === undefined || isWithin(file, owner) ? [] : [`${file}: ${target} is private to ${owner}`])
      ]
    })
  })

const undeclared = (imports: Imports, declared: ReadonlyArray<string>): ReadonlyArray<string> =>
  Array.from(imports).flatMap(([file, specifiers]) =>
    specifiers
      .filter((specifier) => !isRelative(specifier) && !specifier.startsWith("node:"))
      .filter((specifier) => !declared.includes(packageOf(specifier)))
      .map((specifier) => `${file}: "${specifier}" is neither a dependency nor a peer dependency`)
  )

const scattered = (imports: Imports): ReadonlyArray<string> => {
  const folders = new Map<string, Set<string>>()
  for (const [file, specifiers] of imports) {
    for (const specifier of specifiers.filter(isHeavy).filter((name) => !name.startsWith("node:"))) {
      const named = folders.get(packageOf(specifier)) ?? new Set()
      folders.set(packageOf(specifier), named.add(folderOf(file)))
    }
  }
  return Array.from(folders)
    .filter(([, named]) => named.size > 1)
    .map(([name, named]) => `${name} is named in ${[...named].toSorted().join(" and ")}: one folder may name it`)
}

const trespassing = (imports: Imports): ReadonlyArray<string> =>
  Array.from(imports).flatMap(([file, specifiers]) =>
    specifiers.flatMap((specifier) => {
      const owner = isRelative(specifier) ? undefined : reserved[packageOf(specifier)]
      return owner === undefined || folderOf(file) === owner ? [] : [`${file}: only ${owner} may name ${specifier}`]
    })
  )

const heavyReach = (imports: Imports): ReadonlyArray<string> => {
  const graph = fileGraph(imports)
  const reported = new Set<string>()
  const found: Array<string> = []
  const visit = (file: string, path: ReadonlyArray<string>, seen: Set<string>): void => {
    if (seen.has(file)) return
    seen.add(file)
    for (const specifier of (imports.get(file) ?? []).filter(isHeavy)) {
      if (reported.has(`${file} ${specifier}`)) continue
      reported.add(`${file} ${specifier}`)
      found.push(`${path[0]} may reach only effect: ${[...path, specifier].join(" -> ")}`)
    }
    for (const next of graph.get(file) ?? []) visit(next, [...path, next], seen)
  }
  const starts = Array.from(imports.keys()).filter(portable)
  // The barrel comes last, so that a path is reported from the folder that answers for it.
  for (const file of starts.toSorted((a, b) => Number(a === "index.ts") - Number(b === "index.ts"))) {
    visit(file, [file], new Set())
  }
  return found
}
