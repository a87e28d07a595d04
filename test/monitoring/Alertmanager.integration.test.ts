import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import flagship from "../../examples/orders-to-payments/design.ts"
import * as Integration from "../../src/Integration.ts"
import * as Alertmanager from "../../src/monitoring/Alertmanager.ts"
import * as PrometheusRules from "../../src/monitoring/PrometheusRules.ts"
import { amtool, describeAlertmanager } from "../servers/Prometheus.ts"
import { hostile, plain, secrets } from "./PrometheusDesigns.ts"

const small = Integration.make("small", {})

/** Who Alertmanager would tell of an alert with labels. */
const told = (yaml: string, labels: Readonly<Record<string, string>>) =>
  Effect.map(
    amtool(
      [
        "config",
        "routes",
        "test",
        "--config.file=alertmanager.yml",
        ...Object.entries(labels).map(([name, value]) => `${name}=${value}`)
      ],
      { files: { "alertmanager.yml": yaml } }
    ),
    ({ code, output, stdout }) => {
      assert.strictEqual(code, 0, output)
      return stdout.trim()
    }
  )

const receiverOf = (design: Integration.Integration, name: string): any =>
  Alertmanager.of(design).receivers.find((each) => each.name === name)

describeAlertmanager("the configuration of Alertmanager", () => {
  for (const [name, design] of Object.entries({ flagship, plain, hostile, small })) {
    it.live(`of the ${name} design is valid`, () =>
      Effect.gen(function* () {
        const yaml = Alertmanager.render(design)
        const { code, output } = yield* amtool(["check-config", "alertmanager.yml"], {
          files: { "alertmanager.yml": yaml }
        })
        assert.strictEqual(code, 0, output)
        assert.include(output, `${Alertmanager.of(design).receivers.length} receivers`)
        for (const secret of secrets) assert.notInclude(yaml, secret)
      })
    )
  }

  it.live("tells those whom the routing table names", () =>
    Effect.gen(function* () {
      const yaml = Alertmanager.render(flagship)
      const alerts = PrometheusRules.of(flagship).groups[0]!.rules.filter((rule) => "alert" in rule)
      const byCondition = Map.groupBy(alerts, ({ labels }) => labels["condition"]!)
      assert.strictEqual(byCondition.size > 5, true)
      for (const [condition, [alert]] of byCondition) {
        const channels = flagship.alerts
          .filter((route) => route.condition === condition)
          .flatMap((each) => each.channels)
        const { alert: alertname, labels } = alert!
        // The receiver is named after them.
        assert.strictEqual(yield* told(yaml, { ...labels, alertname }), channels.join(" + ") || "nobody", condition)
      }
      assert.strictEqual(yield* told(yaml, { integration: "another", condition: "circuit open" }), "nobody")
    })
  )

  it("of PagerDuty and Slack has files instead of secrets, one for each channel", () => {
    const both = receiverOf(flagship, "PagerDuty Checkout + Slack #checkout-alerts")
    assert.strictEqual(both.pagerduty_configs[0].routing_key_file, "/etc/alertmanager/secrets/pagerduty-checkout")
    assert.strictEqual(both.slack_configs[0].api_url_file, "/etc/alertmanager/secrets/slack-checkout-alerts")
    assert.strictEqual(both.slack_configs[0].channel, "#checkout-alerts")
    assert.isTrue(both.slack_configs[0].send_resolved && both.pagerduty_configs[0].send_resolved)
    const yaml = Alertmanager.render(flagship, { secrets: "/run/secrets/" })
    assert.include(yaml, "# /run/secrets/pagerduty-checkout: the routing key (Events API v2) of PagerDuty Checkout\n")
    assert.include(yaml, "routing_key_file: /run/secrets/pagerduty-checkout\n")
  })

  it("gives two channels whose names become the same a file each", () => {
    const design = Integration.make("two", {
      alerts: [
        { condition: "latency", channels: ["Slack #a-b", "slack: #a.b"] },
        { condition: "error rate", channels: ["Slack #a-b", "Slack"] },
        { condition: "error rate", channels: ["Slack #a-b", "PagerDuty"] }
      ]
    })
    const files = (name: string) => receiverOf(design, name).slack_configs.map((each: any) => each.api_url_file)
    const at = "/etc/alertmanager/secrets"
    assert.deepStrictEqual(files("Slack #a-b + slack: #a.b"), [`${at}/slack-a-b`, `${at}/slack-a-b-2`])
    // The channels of two routes of one condition are taken together.
    assert.deepStrictEqual(files("Slack #a-b + Slack + PagerDuty"), [`${at}/slack-a-b`, `${at}/slack`])
  })

  it("says which channels only the team knows", () => {
    assert.deepStrictEqual(Alertmanager.others(plain), ["the owner"])
    assert.deepStrictEqual(Alertmanager.others(flagship), [])
    assert.include(Alertmanager.render(plain), "# the owner: nobody is told")
  })
})
