/**
 * Alerts as messages of Slack, through an incoming webhook, laid out with Block Kit.
 *
 * **Details**
 *
 * - One message when an alert fires and one when it is over. An alert that was over before Slack could be reached is one
 *   message.
 * - The message says what happened, since when, the numbers, the runbook and the ids; all texts are escaped, and cut to
 *   what a block may hold. Nobody is mentioned, whatever a text says.
 *
 * **Gotchas**
 *
 * - Slack knows no dedup key: delivery is at least once. A message whose answer was lost is sent again, and is then there
 *   twice.
 * - Whoever knows the URL of a webhook can post: it is a secret.
 *
 * **Example** (The channel `Slack #payments` of a design)
 *
 * ```ts
 * import { Config } from "effect"
 * import type { Integration } from "effect-integration"
 * import { Alerts, Slack } from "effect-integration/monitoring"
 *
 * declare const design: Integration.Integration
 *
 * export const alerts = Alerts.layer(design, {
 *   channels: { "Slack #payments": Slack.channel({ webhook: Config.Redacted("SLACK_WEBHOOK") }) }
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as Redacted from "effect/Redacted"
import * as Option from "../internal/option.ts"
import type * as Policy from "../policy/Policy.ts"
import * as Alert from "./Alert.ts"
import * as AlertChannel from "./AlertChannel.ts"
import { post } from "./internal/alertPost.ts"
import { secretOf } from "./internal/alertSecret.ts"
import { bounded } from "./internal/alertText.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** URL of the incoming webhook, for example `https://hooks.slack.com/services/T000/B000/XXXX`. */
  readonly webhook: Config.Config<Redacted.Redacted<string>> | Redacted.Redacted<string>
  /** Default: `AlertChannel.defaultPolicy`, since Slack takes about one message a second. */
  readonly policy?: Policy.Options
}

/** @category models @since 0.1.0 */
export type Text =
  | { readonly type: "plain_text"; readonly text: string; readonly emoji: boolean }
  | { readonly type: "mrkdwn"; readonly text: string; readonly verbatim: boolean }

/** @category models @since 0.1.0 */
export type Block =
  | { readonly type: "header"; readonly text: Text }
  | { readonly type: "section"; readonly text: Text }
  | { readonly type: "section"; readonly fields: ReadonlyArray<Text> }
  | { readonly type: "context"; readonly elements: ReadonlyArray<Text> }

/**
 * @category models
 * @since 0.1.0
 */
export interface Message {
  /** For notifications, and for clients that show no blocks. */
  readonly text: string
  readonly blocks: ReadonlyArray<Block>
}

const longest = { fallback: 3000, header: 150, section: 3000, field: 2000, fields: 10 } as const
const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" }

/** Escaped, and cut between characters so that it fits after that. */
const escaped = (text: string, max: number): string => {
  const pieces = Array.from(bounded(text, max), (character) => escapes[character] ?? character)
  const whole = pieces.join("")
  if (whole.length <= max) return whole
  let made = ""
  for (const piece of pieces) {
    if (made.length + piece.length >= max) break
    made += piece
  }
  return `${made}…`
}

/** `verbatim`: nothing in it becomes a link to a channel or mentions a person. */
const mrkdwn = (text: string): Text => ({ type: "mrkdwn", text, verbatim: true })

/**
 * The message of an alert.
 *
 * @category constructors
 * @since 0.1.0
 */
export const message = (alert: Alert.Alert): Message => {
  const { error, severity, state, summary } = alert
  const urgent = severity === "critical" || severity === "high"
  const sign = state === "resolved" ? "✅" : urgent ? "🔴" : "🟠"
  const said = error === undefined ? "" : `\n>>> ${escaped(error.message, longest.section / 2)}`
  const links = Alert.links(alert)
  // A runbook that is no URL is told as it is.
  const shown = Alert.details(alert).filter(([name, told]) => !links.some((each) => each.text === name && told !== ""))
  const fields = shown.map(([name, told]) => mrkdwn(`*${name}*\n${escaped(told, longest.field - 100)}`))
  const pages = Math.ceil(fields.length / longest.fields)
  return {
    text: escaped(Alert.describe(alert), longest.fallback),
    blocks: [
      {
        type: "header",
        text: { type: "plain_text", text: `${sign} ${escaped(Alert.title(alert), longest.header - 3)}`, emoji: false }
      },
      { type: "section", text: mrkdwn(`${escaped(summary, longest.section / 2 - 10)}${said}`) },
      ...Array.from({ length: pages }, (_, page) => ({
        type: "section" as const,
        fields: fields.slice(page * longest.fields, (page + 1) * longest.fields)
      })),
      ...(links.length === 0 ? [] : [{ type: "context" as const, elements: links.map(linked) }])
    ]
  }
}

const linked = ({ href, text }: { readonly href: string; readonly text: string }): Text =>
  mrkdwn(`<${href.replaceAll("|", "%7C").replaceAll("&", "&amp;")}|${text}>`)

/**
 * Alerts are messages in the channel that the webhook belongs to.
 *
 * **Gotchas**
 *
 * At least once: a message whose answer was lost is there twice. Throws `InvalidOption` for a webhook that is no URL of
 * http or https; one that the configuration gives is a `ConfigError`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const channel = (options: Options): AlertChannel.AlertChannel<Config.ConfigError, HttpClient.HttpClient> => {
  const webhook = secretOf("Slack.channel", "webhook", options.webhook, {
    expected: "an absolute URL of http or https",
    fits: Option.isHttpUrl
  })
  return AlertChannel.make("Slack", {
    ...(options.policy === undefined ? undefined : { policy: options.policy }),
    connect: Effect.fnUntraced(function* (name) {
      const client = yield* HttpClient.HttpClient
      const url = yield* webhook
      return (alert) =>
        Effect.provideService(
          post({ channel: name, url, body: message(alert), read: wordOf }),
          HttpClient.HttpClient,
          client
        )
    })
  })
}

/** Slack answers with a word, such as `invalid_payload` or `no_service`. */
const wordOf = (body: string): string | undefined => (/^[a-z]{2,20}(_[a-z]{1,20}){0,5}$/.test(body) ? body : undefined)
