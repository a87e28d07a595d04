import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as AsyncApi from "../../document/AsyncApi.ts"
import * as Html from "../../document/Html.ts"
import * as Markdown from "../../document/Markdown.ts"
import * as OpenApi from "../../document/OpenApi.ts"
import * as SagaDocument from "../../document/SagaDocument.ts"
import * as Snapshot from "../../document/Snapshot.ts"
import * as Topology from "../../document/Topology.ts"
import { load } from "./design.ts"
import { Failure, reporting } from "./failure.ts"
import { deliver, file, out } from "./options.ts"
import { watch } from "./watch.ts"

/** `integration doc`. */
export const doc = Command.make(
  "doc",
  {
    file,
    out,
    format: Flag.Literals("format", ["md", "html"]).pipe(
      Flag.withDescription("Default: what the name of the written file says, else md"),
      Flag.optional
    ),
    watch: Flag.Boolean("watch").pipe(
      Flag.withDescription("Write it again whenever the file, or one that it imports, has changed"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ file, format, out, watch: watching }) {
    if (watching) {
      if (Option.isNone(out)) return yield* new Failure({ message: "--watch needs --out, the file to be written" })
      const args = ["doc", file, "--out", out.value]
      return yield* watch(file, Option.isNone(format) ? args : [...args, "--format", format.value])
    }
    const { design } = yield* load(file)
    const isHtml = Option.getOrElse(format, () => (/\.html?$/i.test(Option.getOrElse(out, () => "")) ? "html" : "md"))
    yield* deliver(isHtml === "html" ? Html.render(design) : Markdown.render(design), out)
  }, reporting(false))
).pipe(
  Command.withDescription("Renders the Integration Design Document"),
  Command.withExamples([
    { command: "integration doc design.ts --out docs/design.md", description: "Write the document as Markdown" },
    { command: "integration doc design.ts --out docs/design.html --watch", description: "Keep a page up to date" }
  ])
)

/** `integration snapshot`. */
export const snapshot = Command.make(
  "snapshot",
  { file, out },
  Effect.fnUntraced(function* ({ file, out }) {
    const { design } = yield* load(file)
    yield* deliver(Snapshot.encode(Snapshot.of(design)), out)
  }, reporting(false))
).pipe(
  Command.withDescription("Prints what is printed of a design as JSON, to be compared with later"),
  Command.withExamples([
    { command: "integration snapshot design.ts --out design.json", description: "Keep what was released" },
    { command: "integration diff design.json design.ts", description: "Compare with it" }
  ])
)

/** `integration openapi`. */
export const openapi = Command.make(
  "openapi",
  {
    file,
    out,
    contract: Flag.String("contract").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Which contract, where the design has several"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ contract, file, out }) {
    const { design } = yield* load(file)
    const names = design.contracts.map((each) => each.contract.key)
    const name = yield* chosen("contract", names, contract, file)
    const documents = yield* Effect.sync(() => OpenApi.of(design))
    yield* deliver(indented(documents[name]), out)
  }, reporting(false))
).pipe(
  Command.withDescription("Prints a contract as OpenAPI 3.1"),
  Command.withExamples([
    { command: "integration openapi design.ts", description: "The only contract of a design" },
    { command: "integration openapi design.ts --contract payments --out openapi.json", description: "One of several" }
  ])
)

/** `integration asyncapi`. */
export const asyncapi = Command.make(
  "asyncapi",
  { file, out },
  Effect.fnUntraced(function* ({ file, out }) {
    const { design } = yield* load(file)
    yield* deliver(indented(AsyncApi.of(design)), out)
  }, reporting(false))
).pipe(
  Command.withDescription("Prints the channels as AsyncAPI 3.0"),
  Command.withExamples([
    { command: "integration asyncapi design.ts --out asyncapi.json", description: "Write it to a file" }
  ])
)

/** `integration mermaid`. */
export const mermaid = Command.make(
  "mermaid",
  {
    file,
    out,
    saga: Flag.String("saga").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Draw this saga as a sequence diagram. Default: the topology, as a flowchart"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ file, out, saga }) {
    const { design } = yield* load(file)
    if (Option.isNone(saga)) return yield* deliver(Topology.flowchart(design), out)
    const names = design.sagas.map((each) => each.name)
    const name = yield* chosen("saga", names, saga, file)
    return yield* deliver(SagaDocument.sequenceDiagram(design.sagas.find((each) => each.name === name)!), out)
  }, reporting(false))
).pipe(
  Command.withDescription("Prints a diagram in Mermaid"),
  Command.withExamples([
    { command: "integration mermaid design.ts", description: "What stands between the systems" },
    { command: "integration mermaid design.ts --saga place-order", description: "A saga, step by step" }
  ])
)

const indented = (value: unknown): string => JSON.stringify(value, undefined, 2)

/** The one of a name, or the only one. */
export const chosen = (
  kind: string,
  names: ReadonlyArray<string>,
  name: Option.Option<string>,
  file: string
): Effect.Effect<string, Failure> => {
  const wanted = Option.getOrElse(name, () => (names.length === 1 ? names[0] : undefined))
  if (wanted !== undefined && names.includes(wanted)) return Effect.succeed(wanted)
  const known =
    names.length === 0
      ? `the design has no ${kind}`
      : `${names.length === 1 ? "there is" : "there are"} ${names.join(", ")}`
  const message =
    wanted === undefined ? `which ${kind}? ${known} (--${kind})` : `no ${kind} is named ${wanted}: ${known}`
  return Effect.fail(new Failure({ message, at: { file } }))
}
