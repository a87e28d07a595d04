/** Writes the document of the design beside it, in Markdown. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, FileSystem } from "effect"
import { Markdown } from "effect-integration/document"
import design from "./design.ts"

const write = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  yield* files.writeFileString(`${import.meta.dirname}/DOCUMENT.md`, Markdown.render(design))
})

write.pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
