import { Config, Context, Effect, type Layer, Redacted } from "effect"
import type { Integration } from "effect-integration"
import { type Alert, AlertChannel, Alerts, PagerDuty, Slack } from "effect-integration/monitoring"
import type { HttpClient } from "effect/http"
import { describe, expect, test } from "tstyche"

declare const design: Integration.Integration

class Mailer extends Context.Service<Mailer, { readonly mail: (text: string) => Effect.Effect<void, Bounced> }>()(
  "Mailer"
) {}
class Bounced {
  readonly _tag = "Bounced"
}
class NoSender {
  readonly _tag = "NoSender"
}

const pager = PagerDuty.channel({ routingKey: Config.Redacted("KEY") })
const mail = AlertChannel.make("Mail", {
  connect: Effect.gen(function* () {
    const { mail } = yield* Mailer
    if (mail === undefined) return yield* Effect.fail(new NoSender())
    return (alert: Alert.Alert) => mail(alert.summary)
  })
})

describe("what a layer of alerts needs and fails with", () => {
  test("without channels: nothing, and a channel that is not bound", () => {
    expect(Alerts.layer(design)).type.toBe<Layer.Layer<Alerts.Alerts, Alerts.UnboundChannel>>()
    expect(Alerts.layer(design, {})).type.toBe<Layer.Layer<Alerts.Alerts, Alerts.UnboundChannel>>()
    expect(Alerts.layer(design, { channels: {} })).type.toBe<Layer.Layer<Alerts.Alerts, Alerts.UnboundChannel>>()
  })

  test("the log needs nothing", () => {
    expect(Alerts.layer(design, { channels: { "Audit log": AlertChannel.log } })).type.toBe<
      Layer.Layer<Alerts.Alerts, Alerts.UnboundChannel>
    >()
  })

  test("PagerDuty and Slack need a client, and may lack their key", () => {
    const slack = Slack.channel({ webhook: Redacted.make("https://hooks.slack.com/x") })
    expect(
      Alerts.layer(design, { channels: { "PagerDuty Checkout": pager, "Slack #checkout-alerts": slack } })
    ).type.toBe<Layer.Layer<Alerts.Alerts, Alerts.UnboundChannel | Config.ConfigError, HttpClient.HttpClient>>()
  })

  test("a channel of one's own adds what it needs and fails with; what sending fails with does not show", () => {
    expect(mail).type.toBe<AlertChannel.AlertChannel<NoSender, Mailer>>()
    expect(Alerts.layer(design, { channels: { mail, log: AlertChannel.log } })).type.toBe<
      Layer.Layer<Alerts.Alerts, Alerts.UnboundChannel | NoSender, Mailer>
    >()
    expect(Alerts.layer(design, { channels: { mail, pager } })).type.toBe<
      Layer.Layer<Alerts.Alerts, Alerts.UnboundChannel | NoSender | Config.ConfigError, Mailer | HttpClient.HttpClient>
    >()
  })

  test("channels that are known by their type only", () => {
    const channels = {} as Record<string, AlertChannel.AlertChannel<NoSender, Mailer>>
    expect(Alerts.layer(design, { channels })).type.toBe<
      Layer.Layer<Alerts.Alerts, Alerts.UnboundChannel | NoSender, Mailer>
    >()
  })
})

describe("options", () => {
  test("a secret is redacted, or comes from the configuration", () => {
    expect(PagerDuty.channel).type.not.toBeCallableWith({ routingKey: "e93facc0" })
    expect(Slack.channel).type.not.toBeCallableWith({ webhook: "https://hooks.slack.com/x" })
    expect(Slack.channel).type.not.toBeCallableWith({ webhook: Config.String("HOOK") })
    expect(Slack.channel).type.toBeCallableWith({ webhook: Config.Redacted("HOOK") })
  })

  test("a typing error is refused", () => {
    expect(Alerts.layer).type.not.toBeCallableWith(design, { chanels: {} })
    expect(Alerts.layer).type.not.toBeCallableWith(design, { channels: { slack: "Slack #a" } })
  })

  test("acknowledging says what can go wrong", () => {
    const alert = {} as Alert.Alert
    expect(PagerDuty.acknowledge(alert, { routingKey: Config.Redacted("KEY") })).type.toBe<
      Effect.Effect<void, AlertChannel.AlertNotDelivered | Config.ConfigError, HttpClient.HttpClient>
    >()
  })
})
