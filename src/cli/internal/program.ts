import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as ConsoleService from "effect/Console"
import * as Effect from "effect/Effect"
import { Console } from "node:console"
import process from "node:process"
import * as Cli from "../Cli.ts"

const own = globalThis.console
// What the file of a design prints is no result.
globalThis.console = new Console(process.stderr, process.stderr)

Cli.run(process.argv.slice(2)).pipe(
  Effect.provide(NodeServices.layer),
  Effect.provideService(ConsoleService.Console, own),
  NodeRuntime.runMain
)
