import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Broker } from "../../event/Broker.ts"
import type * as Consumer from "../../event/Consumer.ts"
import * as DeadLetters from "../../event/DeadLetters.ts"
import { load } from "./design.ts"
import { chosen } from "./documents.ts"
import { reporting } from "./failure.ts"
import * as Letters from "./letters.ts"
import { file, json } from "./options.ts"
import { counted, print, printJson, printReport } from "./output.ts"
import { withRuntime } from "./runtime.ts"

const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

const flags = {
  file,
  json,
  consumer: text("consumer", "Whose dead letters. May be left out where the design has one consumer"),
  id: text("id", "Only those of the event, or message, of this id"),
  type: text("type", "Only those of this event type"),
  reason: text("reason", "Only those that died of this: rejected, exhausted, defect, invalid, expired, ..."),
  limit: Flag.Int("limit").pipe(
    Flag.withDescription("How many letters are looked at, from the oldest"),
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThan(0))),
    Flag.withDefault(1000)
  )
}

const confirm = Flag.Boolean("confirm").pipe(
  Flag.withDescription("Do it. Without, it is a dry run, which only says what would be done"),
  Flag.withDefault(false)
)

interface Given {
  readonly file: string
  readonly json: boolean
  readonly consumer: Option.Option<string>
  readonly id: Option.Option<string>
  readonly type: Option.Option<string>
  readonly reason: Option.Option<string>
  readonly limit: number
}

const whereOf =
  ({ id, reason, type }: Given) =>
  (letter: DeadLetters.DeadLetter): boolean =>
    fits(id, letter.event?.id ?? letter.message.messageId) &&
    fits(type, letter.event?.type) &&
    fits(reason, letter.reason)

const fits = (wanted: Option.Option<string>, given: string | undefined): boolean =>
  Option.isNone(wanted) || wanted.value === given

/** Runs a command on the dead letters of the consumer that was asked for. */
const on = <E>(
  given: Given,
  self: (consumer: Consumer.Any, selection: Required<DeadLetters.Selection>) => Effect.Effect<void, E, Broker>
) =>
  Effect.gen(function* () {
    const loaded = yield* load(given.file)
    const { consumers } = loaded.design
    const names = consumers.map((each) => each.name)
    const name = yield* chosen("consumer", names, given.consumer, loaded.file)
    const consumer = consumers.find((each) => each.name === name)!
    yield* withRuntime(loaded, { Broker }, self(consumer, { where: whereOf(given), limit: given.limit }))
  }).pipe(reporting(given.json))

const list = Command.make("list", flags, (given) =>
  on(given, (consumer, selection) =>
    Effect.gen(function* () {
      const letters = yield* DeadLetters.list(consumer, selection)
      if (given.json) return yield* printJson({ consumer: consumer.name, letters: letters.map(Letters.summaryOf) })
      return yield* print(Letters.linesOf(`${counted(letters.length, "dead letter")} of ${consumer.name}`, letters))
    })
  )
).pipe(
  Command.withDescription("Lists dead letters, oldest first, without what they carry"),
  Command.withExamples([
    { command: "integration dead-letters list design.ts --consumer billing", description: "All of a consumer" },
    { command: "integration dead-letters list design.ts --reason rejected --json", description: "Some, as JSON" }
  ])
)

const peek = Command.make("peek", flags, (given) =>
  on(given, (consumer, selection) =>
    Effect.gen(function* () {
      const [letter] = yield* DeadLetters.list(consumer, selection)
      if (given.json) {
        return yield* printJson({
          consumer: consumer.name,
          letter: letter === undefined ? null : Letters.contentOf(letter)
        })
      }
      if (letter === undefined) return yield* print(`no dead letter of ${consumer.name}`)
      return yield* print(Letters.textOf(letter))
    })
  )
).pipe(
  Command.withDescription("Shows the oldest dead letter whole, with what it carries. It stays where it is"),
  Command.withExamples([
    { command: "integration dead-letters peek design.ts --consumer billing", description: "The oldest" },
    { command: "integration dead-letters peek design.ts --consumer billing --id o-2", description: "That of an event" }
  ])
)

const replay = Command.make("replay", { ...flags, confirm }, (given) =>
  on(given, (consumer, selection) =>
    Effect.gen(function* () {
      const replayed = yield* DeadLetters.replay(consumer, { ...selection, confirm: given.confirm })
      if (!given.json) return yield* printReport(Letters.replayed(consumer.name, replayed))
      const { breaksOrder, confirmed, letters, processed } = replayed
      return yield* printJson({
        consumer: consumer.name,
        confirmed,
        letters: letters.map(Letters.summaryOf),
        processed: processed.map(Letters.summaryOf),
        breaksOrder: breaksOrder.map(Letters.summaryOf)
      })
    })
  )
).pipe(
  Command.withDescription(
    "Puts dead letters into the queue of their consumer again. Says which were processed meanwhile, and which would break the order"
  ),
  Command.withShortDescription("Puts dead letters into the queue again"),
  Command.withExamples([
    { command: "integration dead-letters replay design.ts --consumer billing", description: "What would happen" },
    { command: "integration dead-letters replay design.ts --consumer billing --confirm", description: "Do it" }
  ])
)

const purge = Command.make("purge", { ...flags, confirm }, (given) =>
  on(given, (consumer, selection) =>
    Effect.gen(function* () {
      const { confirm: confirmed, json } = given
      const letters = yield* confirmed ? DeadLetters.purge(consumer, selection) : DeadLetters.list(consumer, selection)
      if (json) return yield* printJson({ consumer: consumer.name, confirmed, letters: letters.map(Letters.summaryOf) })
      const done = confirmed ? "removed for good" : "would be removed for good"
      yield* print(Letters.linesOf(`${counted(letters.length, "dead letter")} of ${consumer.name} ${done}`, letters))
      if (!confirmed) yield* print("This was a dry run: add --confirm to do it.")
    })
  )
).pipe(
  Command.withDescription("Removes dead letters for good"),
  Command.withExamples([
    { command: "integration dead-letters purge design.ts --consumer billing --id o-4", description: "What would go" },
    { command: "integration dead-letters purge design.ts --consumer billing --id o-4 --confirm", description: "Do it" }
  ])
)

/** `integration dead-letters`. */
export const deadLetters = Command.make("dead-letters").pipe(
  Command.withDescription(
    "Looks at the dead letters of a consumer, replays or purges them. The file also exports `runtime`, a Layer that gives the Broker, and DedupStore and Parking where there are some"
  ),
  Command.withShortDescription("Lists, shows, replays and purges dead letters"),
  Command.withExamples([
    { command: "integration dead-letters list design.ts --consumer billing", description: "What has died, and why" }
  ]),
  Command.withSubcommands([list, peek, replay, purge])
)
