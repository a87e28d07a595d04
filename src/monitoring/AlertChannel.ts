/**
 * Where alerts are sent: a function that sends one, under a policy.
 *
 * A channel of the design (`Slack #payments`) is bound to one of these where the application starts, with `Alerts.layer`.
 * `PagerDuty.channel` and `Slack.channel` are channels; `make` makes one of a function of your own.
 *
 * **Details**
 *
 * - A channel sends on a fiber of its own: it cannot delay or fail the integration, nor another channel.
 * - What cannot be sent is tried again until it is, or until the alert has changed; then its latest state is sent.
 * - The policy spends its attempts first (`defaultPolicy`), and the channel waits between rounds: a second, doubled up to a
 *   minute, and never less than a Retry-After, of which it waits 15 minutes at most. One that refuses everything (a key
 *   that was withdrawn) is asked for all messages together.
 *
 * **Gotchas**
 *
 * Sending is at least once: a request whose answer was lost is sent again.
 *
 * **Example** (A channel of one's own)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient, HttpClientRequest } from "effect/http"
 * import { Alert, AlertChannel } from "effect-integration/monitoring"
 *
 * export const teams = AlertChannel.make("Teams", {
 *   connect: Effect.map(HttpClient.HttpClient, (client) => (alert: Alert.Alert) =>
 *     HttpClient.filterStatusOk(client).execute(
 *       HttpClientRequest.post("https://teams.example.com/hook").pipe(
 *         HttpClientRequest.bodyJsonUnsafe({ text: Alert.describe(alert) })
 *       )
 *     )
 *   )
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Option from "../internal/option.ts"
import * as ErrorAction from "../policy/ErrorAction.ts"
import * as Policy from "../policy/Policy.ts"
import * as RetryPolicy from "../policy/RetryPolicy.ts"
import type * as Alert from "./Alert.ts"

/**
 * An alert was not taken.
 *
 * **Details**
 *
 * `rejected`: the other side does not accept such a message (400, 413, 422), so it is not sent again; it is logged.
 * `refused`: it does not accept messages of ours now (a key that was withdrawn, say). `rate limited`, `unavailable`:
 * it says so. `unreachable`: there was no answer. The URL, the key and the message are not told.
 *
 * @category errors
 * @since 0.1.0
 */
export class AlertNotDelivered extends Schema.TaggedError<AlertNotDelivered>()("AlertNotDelivered", {
  /** Name of the channel in the design. */
  channel: Schema.String,
  reason: Schema.Literals(["rejected", "refused", "rate limited", "unavailable", "unreachable"]),
  status: Schema.optionalKey(Schema.Int),
  /** A word of the other side, or the system's code. */
  detail: Schema.optionalKey(Schema.String),
  retryAfter: Schema.optionalKey(Schema.Duration)
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return actions[this.reason]
  }
  override get message(): string {
    const status = this.status === undefined ? "" : ` (${this.status})`
    return `${this.channel}: the alert was not delivered: ${this.reason}${status}${this.detail === undefined ? "" : `: ${this.detail}`}`
  }
}

const warn = { log: "warn", outage: true } as const
const later = "tried again until it is delivered"
const actions: { readonly [K in AlertNotDelivered["reason"]]: ErrorAction.ErrorAction } = {
  rejected: ErrorAction.make("fail", { guidance: "the message is not sent again: report it" }),
  refused: ErrorAction.make("fail", { ...warn, guidance: `check the key or the webhook; ${later}` }),
  "rate limited": ErrorAction.make("wait", { holds: true, guidance: later }),
  unavailable: ErrorAction.make("retry", { ...warn, guidance: later }),
  unreachable: ErrorAction.make("retry", { ...warn, guidance: later })
}

/**
 * Sends one alert. Any error means that it is sent again, but for `AlertNotDelivered` with the reason `rejected`.
 *
 * @category models
 * @since 0.1.0
 */
export type Send = (alert: Alert.Alert) => Effect.Effect<unknown, unknown>

/**
 * @category models
 * @since 0.1.0
 */
export interface AlertChannel<out E = never, out R = never> {
  /** What it is, for example `Slack`. */
  readonly kind: string
  /**
   * Whether the other side keeps an incident open until it is told of the end. Such a channel is told of the begin also
   * where the end is known already; another only hears the end. It is told again every 5 minutes while it lasts, since
   * somebody else may have ended it there.
   */
  readonly keepsOpen: boolean
  /** Made once for each channel of the design, with its name. */
  readonly connect: (name: string) => Effect.Effect<Send, E, R>
}

/** @category models @since 0.1.0 */
export type Any = AlertChannel<any, any>

/** What making a channel can fail with. @category models @since 0.1.0 */
export type Error<C> = C extends AlertChannel<infer E, infer _R> ? E : never

/** What a channel needs. @category models @since 0.1.0 */
export type Services<C> = C extends AlertChannel<infer _E, infer R> ? R : never

/**
 * What an alert is sent under: 2 retries after 1 and 3 seconds, 5 seconds for an attempt and 20 for all, a circuit that
 * opens for 15 seconds after half of at least 5 requests of a minute failed, and a request a second.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultPolicy = {
  retry: RetryPolicy.make({ delays: ["1 second", "3 seconds"], jitter: "equal" }),
  breaker: { failurePercent: 50, window: "1 minute", openFor: "15 seconds", minimumCalls: 5 },
  rateLimit: { burst: 1, perMinute: 60 },
  timeouts: { attempt: "5 seconds", total: "20 seconds" }
} as const satisfies Policy.Options

/**
 * A channel made of a function that sends.
 *
 * **Details**
 *
 * An error that carries an `ErrorAction` is tried again by the policy as that says, any other is. `policy` replaces the
 * whole `defaultPolicy`; its metrics are named after the kind (`integration_alerts_slack_requests_total`).
 *
 * **Gotchas**
 *
 * The message of an error is logged: let it tell no secret. Throws `InvalidOption` for a kind without letter or digit, and
 * for a policy that makes no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  kind: string,
  options: {
    readonly connect: Effect.Effect<Send, E, R> | ((name: string) => Effect.Effect<Send, E, R>)
    /** Default: false. */
    readonly keepsOpen?: boolean
    readonly policy?: Policy.Options
  }
): AlertChannel<E, R> => {
  const { connect, keepsOpen = false, policy: given = defaultPolicy } = options
  const policyName = `alerts ${Option.name("AlertChannel.make", kind)}`
  Policy.check(policyName, given)
  const classify = ErrorAction.orElse(ErrorAction.all(ErrorAction.retry))(ErrorAction.carried)
  return {
    kind,
    keepsOpen,
    connect: (name) =>
      Effect.zipWith(
        typeof connect === "function" ? connect(name) : connect,
        Policy.make(policyName, { ...given, classify }),
        (send, policy) => (alert) => policy.run(send(alert), { operation: () => name })
      )
  }
}

/**
 * The log. Every alert is logged without it, once when it fires and once when it is over: bind it to a channel of the
 * design that nothing else is there for.
 *
 * @category constructors
 * @since 0.1.0
 */
export const log: AlertChannel = {
  kind: "log",
  keepsOpen: false,
  connect: () => Effect.succeed(() => Effect.void)
}
