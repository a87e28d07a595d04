import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import * as Sagas from "../../saga/Sagas.ts"
import { type Entry, type Instance, type Recorded, SagaStore } from "../../saga/SagaStore.ts"
import { load } from "./design.ts"
import { Failure, reporting } from "./failure.ts"
import { file, json } from "./options.ts"
import { counted, oneLine, print, printJson } from "./output.ts"
import { withRuntime } from "./runtime.ts"

const id = Argument.String("id").pipe(Argument.withDescription("The id of the saga, as `sagas list` prints it"))

const instanceJson = ({ begun, updated, ...instance }: Instance) => ({
  ...instance,
  begun: DateTime.formatIso(begun),
  updated: DateTime.formatIso(updated)
})

const lineOf = ({ begun, id, key, saga, state, updated, waiting }: Instance): string =>
  [
    oneLine(
      `${id} ${saga} (${key}): ${state}, begun ${DateTime.formatIso(begun)}, updated ${DateTime.formatIso(updated)}`
    ),
    ...waiting.map(({ failure, phase, skippable, step }) =>
      oneLine(
        `waits for a decision on ${phase} ${step}${skippable ? "" : ", cannot be skipped"}: ${failure.tag}: ${failure.description}`
      )
    )
  ].join("\n    ")

const said = (entry: Entry): string => {
  const why =
    "failure" in entry && entry.failure !== undefined ? `: ${entry.failure.tag}: ${entry.failure.description}` : ""
  switch (entry._tag) {
    case "Begun":
      return `begun with key ${entry.key}`
    case "AttemptBegun":
      return `${entry.phase} ${entry.step}, attempt ${entry.attempt}`
    case "AttemptEnded": {
      const next = entry.next === undefined ? "" : `, again in ${Duration.format(Duration.millis(entry.next))}`
      return `${entry.phase} ${entry.step}, attempt ${entry.attempt} ${why === "" ? "done" : `failed${next}${why}`}`
    }
    case "Stuck":
      return `stuck in ${entry.phase} ${entry.step}${why}`
    case "Decided":
      return `${entry.verdict}${entry.by === undefined ? "" : ` by ${entry.by}`}: ${entry.reason}`
    case "Ended":
      return `${entry.state}${why}${entry.compensated.length === 0 ? "" : `; undone: ${entry.compensated.join(", ")}`}`
  }
}

const recordedLine = ({ at, entry, runs }: Recorded): string =>
  `  ${DateTime.formatIso(at)}  ${oneLine(said(entry))}${runs > 1 ? ` (${runs} times)` : ""}`

const list = Command.make(
  "list",
  {
    file,
    json,
    saga: Flag.String("saga").pipe(Flag.withDescription("Only those of this name"), Flag.optional),
    state: Flag.Literals("state", ["running", "stuck", "completed", "rolledBack", "abandoned"]).pipe(
      Flag.withDescription("Only those in this state"),
      Flag.optional
    ),
    limit: Flag.Int("limit").pipe(
      Flag.withDescription("At most so many, from those begun first"),
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThan(0))),
      Flag.withDefault(100)
    )
  },
  ({ file, json, limit, saga, state }) =>
    Effect.gen(function* () {
      const query = { limit, ...Option.match(saga, { onNone: () => ({}), onSome: (saga) => ({ saga }) }) }
      const found = yield* withRuntime(
        yield* load(file),
        { SagaStore },
        Sagas.list(Option.isNone(state) ? query : { ...query, state: state.value })
      )
      if (json) return yield* printJson({ sagas: found.map(instanceJson) })
      return yield* print([counted(found.length, "saga"), ...found.map((each) => `  ${lineOf(each)}`)].join("\n"))
    }).pipe(reporting(json))
).pipe(
  Command.withDescription("Lists sagas, those begun first at the top, and what they wait for"),
  Command.withExamples([
    { command: "integration sagas list design.ts --state stuck", description: "Those that wait for a decision" },
    { command: "integration sagas list design.ts --saga place-order --json", description: "Those of a name, as JSON" }
  ])
)

const show = Command.make("show", { file, id, json }, ({ file, id, json }) =>
  Effect.gen(function* () {
    const { history, instance } = yield* withRuntime(
      yield* load(file),
      { SagaStore },
      Effect.all({ instance: Sagas.find(id), history: Sagas.history(id) })
    )
    if (json) {
      const entries = history.map(({ at, ...each }) => ({ ...each, at: DateTime.formatIso(at) }))
      return yield* printJson({ saga: instanceJson(instance), history: entries })
    }
    return yield* print([lineOf(instance), ...history.map(recordedLine)].join("\n"))
  }).pipe(reporting(json))
).pipe(
  Command.withDescription("Shows what a saga has done, and what was done to it"),
  Command.withExamples([{ command: "integration sagas show design.ts 5d3c...", description: "The history of a saga" }])
)

/** How long an engine may take to note a decision. */
const patience = "30 seconds"

/** An engine that shares the sagas waits for ever for the layer of one that it should run itself. */
const silent = (id: string) =>
  new Failure({
    message: `the engine has not noted the decision on saga ${id} in ${patience}: see what has become of it (sagas show), and give the runtime an engine that runs none (\`SqlSagas.layerClient\`)`
  })

/** Those who decide are remembered, with their reasons. */
const decision = (name: string, decide: typeof Sagas.resume, description: string) =>
  Command.make(
    name,
    {
      file,
      id,
      json,
      reason: Flag.String("reason").pipe(Flag.withDescription("Why. It is kept in the history")),
      by: Flag.String("by").pipe(Flag.withDescription("Who decides. It is kept in the history"), Flag.optional),
      step: Flag.String("step").pipe(
        Flag.withDescription("Which of several steps that are stuck. Default: the one that has waited longest"),
        Flag.optional
      )
    },
    ({ by, file, id, json, reason, step }) =>
      Effect.gen(function* () {
        const who = Option.match(by, { onNone: () => ({}), onSome: (by) => ({ by }) })
        const where = Option.match(step, { onNone: () => ({}), onSome: (step) => ({ step }) })
        const decided = decide(id, { reason, ...who, ...where })
        yield* withRuntime(
          yield* load(file),
          { SagaStore, WorkflowEngine },
          Effect.timeoutOrElse(decided, { duration: patience, orElse: () => Effect.fail(silent(id)) })
        )
        if (json) return yield* printJson({ id, verdict: name, reason, ...who, ...where })
        return yield* print(`${name}: saga ${id} is told, and goes on where its process runs`)
      }).pipe(reporting(json))
  ).pipe(
    Command.withDescription(description),
    Command.withExamples([
      {
        command: `integration sagas ${name} design.ts 5d3c... --reason "ticket 4711" --by ada`,
        description: "Decide, and say why"
      }
    ])
  )

/** `integration sagas`. */
export const sagas = Command.make("sagas").pipe(
  Command.withDescription(
    "Looks at sagas, and decides on those that are stuck. The file also exports `runtime`, a Layer that gives the SagaStore, and the WorkflowEngine for decisions"
  ),
  Command.withShortDescription("Lists and shows sagas, and decides on those that are stuck"),
  Command.withExamples([
    { command: "integration sagas list design.ts --state stuck", description: "Who needs a decision" }
  ]),
  Command.withSubcommands([
    list,
    show,
    decision("resume", Sagas.resume, "Tries again what a saga is stuck in"),
    decision("skip", Sagas.skip, "Goes on as if what a saga is stuck in had been done"),
    decision("abandon", Sagas.abandon, "Ends a saga that is stuck as it is: nothing more is done or undone")
  ])
)
