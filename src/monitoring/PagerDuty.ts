/**
 * Alerts as incidents of PagerDuty, over its Events API v2.
 *
 * **Details**
 *
 * - An alert that fires is a `trigger`, one that is over a `resolve`, both with the dedup key of its id. Sent twice, after
 *   a lost answer or a restart, a trigger is folded into the alert that is open: incidents are not doubled. Processes
 *   that run the same design share the key, and so the incident.
 * - Severities: critical is `critical`, high `error`, medium `warning`, low `info`.
 * - The integration is the `source`, the design the `group`, the condition the `class`; the numbers, ids, escalation and
 *   runbook are custom details, and what is a URL is a link as well.
 *
 * **Gotchas**
 *
 * An incident that ends while no process runs stays open until somebody resolves it in PagerDuty. The first of several
 * processes for which it is over resolves it for all; where it still fires in another, that one opens it again within 5
 * minutes, as it does where a person has resolved it too early.
 *
 * **Example** (The channel `PagerDuty payments` of a design)
 *
 * ```ts
 * import { Config } from "effect"
 * import type { Integration } from "effect-integration"
 * import { Alerts, PagerDuty } from "effect-integration/monitoring"
 *
 * declare const design: Integration.Integration
 *
 * export const alerts = Alerts.layer(design, {
 *   channels: { "PagerDuty payments": PagerDuty.channel({ routingKey: Config.Redacted("PAGERDUTY_ROUTING_KEY") }) }
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Check from "../internal/option.ts"
import type * as Policy from "../policy/Policy.ts"
import * as Alert from "./Alert.ts"
import * as AlertChannel from "./AlertChannel.ts"
import { post } from "./internal/alertPost.ts"
import { secretOf } from "./internal/alertSecret.ts"
import { bounded, oneLine } from "./internal/alertText.ts"

/** Where events are sent. For the European service region it is `events.eu.pagerduty.com`. @category constants @since 0.1.0 */
export const endpoint = "https://events.pagerduty.com/v2/enqueue"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The integration key (32 characters) of an Events API v2 integration of a service. */
  readonly routingKey: Config.Config<Redacted.Redacted<string>> | Redacted.Redacted<string>
  /** Default: `PagerDuty.endpoint`. */
  readonly endpoint?: string
  /** The affected system, preferably a host name. Default: the subject of the alert. */
  readonly source?: string
  /** Default: `AlertChannel.defaultPolicy`. */
  readonly policy?: Policy.Options
}

/** @category models @since 0.1.0 */
export type Action = "trigger" | "acknowledge" | "resolve"

/**
 * What is sent, without the routing key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Event {
  readonly event_action: Action
  readonly dedup_key: string
  readonly client?: string
  readonly client_url?: string
  readonly links?: ReadonlyArray<{ readonly href: string; readonly text: string }>
  readonly payload?: {
    readonly summary: string
    readonly source: string
    readonly severity: "critical" | "error" | "warning" | "info"
    readonly timestamp: string
    readonly component: string
    readonly group: string
    readonly class: string
    readonly custom_details: Readonly<Record<string, string>>
  }
}

const severities = { critical: "critical", high: "error", medium: "warning", low: "info" } as const
const longestSummary = 1024

/**
 * The event of an alert. By default its action is `trigger` while the alert is firing, then `resolve`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const event = (
  alert: Alert.Alert,
  options: { readonly action?: Action; readonly source?: string } = {}
): Event => {
  const { action = alert.state === "firing" ? "trigger" : "resolve", source = alert.subject } = options
  const identity = { event_action: action, dedup_key: Alert.dedupKey(alert) }
  if (action !== "trigger") return identity
  const [dashboard] = Alert.links({ ...alert, routes: [] })
  const said = alert.error === undefined ? [] : [["Message", bounded(alert.error.message, Alert.maximumText)] as const]
  return {
    ...identity,
    client: `effect-integration: ${oneLine(alert.design, 100)}`,
    ...(dashboard === undefined ? undefined : { client_url: dashboard.href }),
    links: Alert.links(alert),
    payload: {
      summary: oneLine(summaryOf(alert), longestSummary),
      source: oneLine(source, 255) || "unknown",
      severity: severities[alert.severity],
      timestamp: DateTime.formatIso(alert.since),
      component: oneLine(alert.subject, 255),
      group: oneLine(alert.design, 255),
      class: alert.condition,
      custom_details: Object.fromEntries([...said, ...Alert.details(alert)])
    }
  }
}

const summaryOf = ({ condition, error, subject, summary }: Alert.Alert): string =>
  `${condition}: ${subject}: ${summary}${error === undefined ? "" : `: ${bounded(error.message, longestSummary)}`}`

/**
 * Alerts are incidents of the service that the routing key belongs to.
 *
 * **Gotchas**
 *
 * Throws `InvalidOption` for an endpoint that is no URL of http or https, and for an empty key; one that the configuration
 * gives is a `ConfigError`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const channel = (options: Options): AlertChannel.AlertChannel<Config.ConfigError, HttpClient.HttpClient> => {
  const key = keyOf(options)
  return AlertChannel.make("PagerDuty", {
    keepsOpen: true,
    ...(options.policy === undefined ? undefined : { policy: options.policy }),
    connect: Effect.fnUntraced(function* (name) {
      const client = yield* HttpClient.HttpClient
      const routingKey = yield* key
      return (alert) =>
        Effect.provideService(
          enqueue(name, routingKey, event(alert, options), options.endpoint),
          HttpClient.HttpClient,
          client
        )
    })
  })
}

/**
 * Tells PagerDuty that somebody works on the alert: it does not notify anybody else of it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const acknowledge = (
  alert: Alert.Alert,
  options: Options
): Effect.Effect<void, AlertChannel.AlertNotDelivered | Config.ConfigError, HttpClient.HttpClient> => {
  const key = keyOf(options)
  return Effect.flatMap(key, (routingKey) =>
    enqueue("PagerDuty", routingKey, event(alert, { action: "acknowledge" }), options.endpoint)
  )
}

const keyOf = (options: Options) => {
  const { endpoint: given, routingKey } = options
  if (given !== undefined && !Check.isHttpUrl(given)) {
    Check.reject("PagerDuty.channel", "endpoint", "<text>", "an absolute URL of http or https")
  }
  return secretOf("PagerDuty.channel", "routingKey", routingKey, {
    expected: "an integration key without spaces",
    fits: (key) => /^\S+$/.test(key)
  })
}

const enqueue = (name: string, key: Redacted.Redacted<string>, sent: Event, url = endpoint) =>
  post({
    channel: name,
    url: Redacted.make(url),
    body: { routing_key: Redacted.value(key), ...sent },
    read: (body) => reasonsOf(body, Redacted.value(key))
  })

const parse = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/** What PagerDuty says is wrong; without anything that may be a part of the key. */
const reasonsOf = (body: string, key: string): string | undefined => {
  const answer = Option.getOrUndefined(parse(body))
  const errors = Predicate.hasProperty(answer, "errors") && Array.isArray(answer.errors) ? answer.errors : []
  const message = Predicate.hasProperty(answer, "message") ? [answer.message] : []
  const told = [...message, ...errors].filter((each) => typeof each === "string").join("; ")
  const plain = told.replaceAll(key, "<redacted>").replace(/[A-Za-z0-9+/_=\\-]{16,}/g, "<redacted>")
  return plain === "" ? undefined : oneLine(plain, 200)
}
