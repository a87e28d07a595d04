/** A design with every condition, and channels that keep what they are sent. */
import { Context, Effect, Layer, Metric } from "effect"
import { Integration } from "effect-integration"
import { type Alert, AlertChannel, Alerts, Rule } from "effect-integration/monitoring"
import { channel, consumer, contract, saga } from "../document/parts.ts"

export const pager = "PagerDuty Checkout"
export const slack = "Slack #checkout-alerts"
export const runbook = "https://runbooks.acme.com/checkout"
export const dashboard = "https://grafana.acme.com/d/checkout?var=a&b=c"

export const routes: ReadonlyArray<Integration.Route> = Integration.conditions.map((condition) => ({
  condition,
  channels: [pager, slack],
  escalation: "on-call engineer",
  investigateWithin: "15 minutes",
  runbook
}))

export const design = (over: Partial<Integration.Options> = {}): Integration.Integration => {
  const orders = channel()
  return Integration.make("checkout", {
    contracts: [contract()],
    channels: [orders],
    consumers: [consumer({}, orders)],
    sagas: [saga()],
    probes: [{ name: "round trip", every: "5 minutes" }],
    monitoring: {
      errorRate: { percent: 5, for: "90500 millis" },
      latencyP99: { limit: "2 seconds", for: "3 minutes" },
      lag: { messages: 1000, age: "5 minutes" },
      outboxAge: { limit: "1 minute" },
      dashboard
    },
    alerts: routes,
    ...over
  })
}

/** What a channel was sent, and what it does about it. */
export interface Taken {
  readonly sent: Array<Alert.Alert>
  readonly channel: AlertChannel.AlertChannel
}

export const taking = (
  respond: (alert: Alert.Alert, nth: number) => Effect.Effect<unknown, unknown> = () => Effect.void,
  options: { readonly keepsOpen?: boolean } = {}
): Taken => {
  const sent: Array<Alert.Alert> = []
  let nth = 0
  const send = (alert: Alert.Alert) =>
    Effect.tap(
      Effect.suspend(() => respond(alert, ++nth)),
      () => Effect.sync(() => sent.push(alert))
    )
  return { sent, channel: AlertChannel.make("Test", { connect: Effect.succeed(send), policy: {}, ...options }) }
}

/** Sets the metric of a rule. */
export const set = Effect.fnUntraced(function* (rule: Rule.Rule, value: number) {
  const context = yield* Effect.context()
  Metric.gauge(Rule.metricName(rule)).updateUnsafe(value, context)
})

/** Beyond the limit of a rule, and just within it. */
export const beyond = ({ comparison }: Rule.Rule): number =>
  comparison._tag === "Above" ? comparison.value + 0.001 : comparison._tag === "Below" ? comparison.value - 0.001 : 1
export const within = ({ comparison }: Rule.Rule): number => (comparison._tag === "Increased" ? 0 : comparison.value)

/** Lets other fibers do what they can do now. */
export const settle = Effect.repeat(Effect.yieldNow, { times: 50 })

export const started = Effect.fnUntraced(function* <const C extends Readonly<Record<string, AlertChannel.Any>>>(
  given: Integration.Integration,
  options: Alerts.Options<C>
) {
  const context = yield* Layer.build(Alerts.layer(given, options))
  yield* settle
  return { context, alerts: Context.get(context, Alerts.Alerts) }
})

export const brief = (alerts: ReadonlyArray<Alert.Alert>): ReadonlyArray<string> =>
  alerts.map(({ id, incident, state }) => `${state} ${id} ${incident}`)
