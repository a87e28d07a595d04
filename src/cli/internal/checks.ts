import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Diff from "../../document/Diff.ts"
import * as Findings from "../../document/Findings.ts"
import { load, snapshotOf } from "./design.ts"
import { Ended, reporting } from "./failure.ts"
import { file, json } from "./options.ts"
import { printJson, printReport } from "./output.ts"

/** `integration check`. */
export const check = Command.make(
  "check",
  {
    file,
    json,
    strict: Flag.Boolean("strict").pipe(
      Flag.withDescription("End with 1 for warnings that are not acknowledged, too"),
      Flag.withDefault(false)
    )
  },
  ({ file, json, strict }) =>
    Effect.gen(function* () {
      const { design } = yield* load(file)
      const findings = Findings.of(design)
      yield* json ? printJson({ design: design.name, findings }) : printReport(Findings.toText(findings))
      const code = Findings.exitCode(findings, { strict })
      if (code !== 0) return yield* new Ended({ code })
    }).pipe(reporting(json))
).pipe(
  Command.withDescription("Says what does not add up in a design. Ends with 1 where an error is not acknowledged"),
  Command.withShortDescription("Says what does not add up in a design"),
  Command.withExamples([
    { command: "integration check design.ts", description: "The findings, worst first" },
    { command: "integration check design.ts --strict --json", description: "For a build that accepts no warnings" }
  ])
)

const side = (name: string) =>
  Argument.Path(name).pipe(Argument.withDescription("A design in TypeScript, or a snapshot in JSON"))

/** `integration diff`. */
export const diff = Command.make(
  "diff",
  {
    before: side("before"),
    after: side("after"),
    json,
    failOn: Flag.Literals("fail-on", Diff.kinds).pipe(
      Flag.withDescription("End with 1 for changes as bad as this. Default: breaking"),
      Flag.withDefault("breaking" as const)
    )
  },
  ({ after, before, failOn, json }) =>
    Effect.gen(function* () {
      const changes = Diff.between(yield* snapshotOf(before), yield* snapshotOf(after))
      yield* json ? printJson({ changes }) : printReport(Diff.toText(changes))
      const code = Diff.exitCode(changes, { failOn })
      if (code !== 0) return yield* new Ended({ code })
    }).pipe(reporting(json))
).pipe(
  Command.withDescription("Says what a change of a design means, worst first. Ends with 1 where something breaks"),
  Command.withShortDescription("Says what a change of a design means"),
  Command.withExamples([
    { command: "integration diff design.json design.ts", description: "What has changed since a snapshot was kept" },
    { command: "integration diff old/design.ts new/design.ts --fail-on behavioural", description: "Two designs" }
  ])
)
