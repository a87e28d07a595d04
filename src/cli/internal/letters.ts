import * as DateTime from "effect/DateTime"
import * as Base64 from "effect/encoding/Base64"
import * as Option from "effect/Option"
import type { DeadLetter, Replay } from "../../event/DeadLetters.ts"
import type { HeaderValue } from "../../event/Message.ts"
import { counted, oneLine, visible } from "./output.ts"

const iso = (time: Option.Option<DateTime.Utc>): string | undefined =>
  Option.getOrUndefined(Option.map(time, DateTime.formatIso))

/** What is known of a letter, without what it carries. */
export const summaryOf = ({ attempts, deadAt, error, event, firstFailedAt, message, reason }: DeadLetter) => ({
  event:
    event === undefined
      ? undefined
      : {
          source: event.source,
          id: event.id,
          type: event.type,
          subject: event.subject,
          time: event.time && DateTime.formatIso(event.time)
        },
  messageId: message.messageId,
  key: message.key,
  reason,
  error,
  attempts,
  firstFailedAt: iso(firstFailedAt),
  deadAt: iso(deadAt)
})

const secret = /authorization|cookie|credential|token|secret|password|api-?key/i

/** A letter, whole. Headers that carry credentials are not shown. */
export const contentOf = (letter: DeadLetter) => {
  const { body, contentType, headers } = letter.message
  return {
    ...summaryOf(letter),
    contentType,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, secret.test(name) ? "<redacted>" : shown(value)])
    ),
    body: shown(body) as string
  }
}

/** Bytes are text where they are UTF-8, else base64. */
const shown = (value: HeaderValue): unknown => {
  if (!(value instanceof Uint8Array)) return value
  const text = new TextDecoder().decode(value)
  return text.includes("\ufffd") ? `base64:${Base64.encode(value)}` : text
}

/** A line for a letter. */
export const lineOf = (letter: DeadLetter): string => {
  const { attempts, deadAt, error, event, key, messageId, reason } = summaryOf(letter)
  const what = event === undefined ? `message ${messageId ?? "without an id"}` : `${event.type} ${event.id}`
  const of = key === undefined ? "" : ` of ${key}`
  const when = deadAt === undefined ? "" : ` at ${deadAt}`
  return oneLine(`${what}${of}: ${reason} after ${counted(attempts, "attempt")}${when}${error && `: ${error}`}`)
}

/** Lines for a list of letters. */
export const linesOf = (title: string, letters: ReadonlyArray<DeadLetter>): string =>
  [letters.length === 0 ? `${title}.` : `${title}:`, ...letters.map((letter) => `  ${lineOf(letter)}`)].join("\n")

/** A letter for people. */
export const textOf = (letter: DeadLetter): string => {
  const { body, headers } = contentOf(letter)
  return [
    lineOf(letter),
    ...Object.entries(headers).map(
      ([name, value]) => `  ${oneLine(`${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)}`
    ),
    "",
    visible(body)
  ].join("\n")
}

/** What a replay did, or would do. */
export const replayed = (consumer: string, { breaksOrder, confirmed, letters, processed }: Replay): string =>
  [
    linesOf(
      `${counted(letters.length, "dead letter")} of ${consumer} ${confirmed ? "replayed" : "would be replayed"}`,
      letters
    ),
    ...(processed.length === 0 ? [] : [linesOf(`${processed.length} processed meanwhile, which stay`, processed)]),
    ...(breaksOrder.length === 0
      ? []
      : [
          linesOf(
            `warning: ${breaksOrder.length} of them out of order, since later events of their keys may be done`,
            breaksOrder
          )
        ]),
    ...(confirmed ? [] : ["This was a dry run: add --confirm to do it."])
  ].join("\n")
