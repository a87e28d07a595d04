/**
 * The command `integration`, as a value: `main.ts` runs it.
 *
 * **Details**
 *
 * - It ends with 0 where all is well, with 1 where a check or a diff says no, and with 2 where something could not be done:
 *   wrong options, a design that does not load, a broker that is not there.
 * - Results go to standard output, everything else to standard error. With `--json`, failures are JSON too:
 *   `{ "error": { "message", "file", "line", "column" } }`.
 *
 * @since 0.1.0
 */
import * as CliConfig from "effect/cli/CliConfig"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { alerts } from "./internal/alerts.ts"
import { check, diff } from "./internal/checks.ts"
import { dashboard } from "./internal/dashboard.ts"
import { deadLetters } from "./internal/deadLetters.ts"
import { asyncapi, doc, mermaid, openapi, snapshot } from "./internal/documents.ts"
import { Ended } from "./internal/failure.ts"
import { health } from "./internal/health.ts"
import { init } from "./internal/init.ts"
import { version } from "./internal/manifest.ts"
import { printError } from "./internal/output.ts"
import { sagas } from "./internal/sagas.ts"

/**
 * The command, with its subcommands.
 *
 * @category commands
 * @since 0.1.0
 */
export const command = Command.make("integration").pipe(
  Command.withDescription(
    "An integration design document that runs: renders it, checks it, and operates what it describes"
  ),
  Command.withExamples([
    { command: "integration init payments", description: "Begin a project" },
    { command: "integration check design.ts", description: "What does not add up" },
    { command: "integration doc design.ts --out design.md", description: "Write the document" }
  ]),
  Command.withSubcommands([
    init,
    doc,
    check,
    diff,
    snapshot,
    openapi,
    asyncapi,
    mermaid,
    alerts,
    dashboard,
    deadLetters,
    sagas,
    health
  ])
)

/** Whoever reads standard output finds results there, and what they asked for. */
const presenter = CliOutput.layerPresenter({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.gen(function* () {
          const formatter = yield* CliOutput.Formatter
          yield* printError(formatter.formatErrors(event.errors))
          yield* printError(`\n  ${event.helpDoc.usage}\n  ${event.commandPath.join(" ")} --help says more`)
        })
      : CliOutput.defaultPresenter.present(event)
})

const config = CliConfig.layer({ builtIns: GlobalFlag.BuiltIns.filter((flag) => flag !== GlobalFlag.Wizard) })

const logger = Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])

/**
 * Runs the command with arguments. Fails with `Ended`, which has the exit code, after it has said why.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (args: ReadonlyArray<string>): Effect.Effect<void, Ended, Command.Environment> =>
  Command.runWith(command, { version })(args).pipe(
    Effect.catch((error: Ended | CliError.CliError) =>
      error._tag === "ShowHelp" && error.errors.length === 0
        ? Effect.void
        : Effect.fail(error._tag === "Ended" ? error : new Ended({ code: 2 }))
    ),
    Effect.provide(Layer.mergeAll(presenter, config, logger))
  )
