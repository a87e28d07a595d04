/**
 * The dead letters: looked at, understood, and replayed where the cause is gone.
 */
import { Effect } from "effect"
import { DeadLetters } from "effect-integration/event"
import { Billing } from "../orders-to-payments/orders.ts"

/** What the provider has refused can be charged once it accepts it. What is no event never will be one. */
export const isFixable = (letter: DeadLetters.DeadLetter): boolean => letter.reason === "rejected"

const describe = ({ attempts, error, event, message, reason }: DeadLetters.DeadLetter): string => {
  const what = event === undefined ? `${message.body.length} bytes` : event.id
  return `  ${reason.padEnd(9)}${what.padEnd(14)} attempts ${attempts}  ${error.replace(/ \(request .*\)$/, "")}`
}

export const list = (title: string, letters: ReadonlyArray<DeadLetters.DeadLetter>): string =>
  ["", `${title}: ${letters.length}`, ...letters.map(describe)].join("\n")

const ids = (letters: ReadonlyArray<DeadLetters.DeadLetter>): string =>
  letters.length === 0 ? "none" : letters.map((letter) => letter.event?.id ?? "no event").join(", ")

const plan = ({ breaksOrder, letters, processed }: DeadLetters.Replay): string =>
  [
    "",
    "dry run of the replay",
    `  would be replayed       ${ids(letters)}`,
    `  processed meanwhile     ${ids(processed)}`,
    `  after later ones        ${ids(breaksOrder)}`
  ].join("\n")

/** Tells what a replay would do, then does it. Gives what was replayed. */
export const replay = Effect.fnUntraced(function* (tell: (text: string) => Effect.Effect<void>) {
  const dryRun = yield* DeadLetters.replay(Billing, { where: isFixable })
  yield* tell(plan(dryRun))
  const { letters } = yield* DeadLetters.replay(Billing, { where: isFixable, confirm: true })
  return letters
})
