/** Designs to make rules and dashboards of. */
import { Config, Effect, Redacted, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as Channel from "../../src/event/Channel.ts"
import * as Consumer from "../../src/event/Consumer.ts"
import * as EventType from "../../src/event/EventType.ts"
import * as Authentication from "../../src/http/Authentication.ts"
import * as HttpContract from "../../src/http/HttpContract.ts"
import * as StatusTable from "../../src/http/StatusTable.ts"
import * as Integration from "../../src/Integration.ts"
import * as Saga from "../../src/saga/Saga.ts"
import * as Telemetry from "../../src/Telemetry.ts"

const api = HttpApi.make("api").add(
  HttpApiGroup.make("charges").add(HttpApiEndpoint.post("create", "/v1/charges", { success: Schema.Void }))
)

const secret = "hunter2"

/** Texts that must not be in what is printed. */
export const secrets = [secret, "T0001", "client-secret"]

/** A design that has every condition, of names that begin with this. */
export const everything = (name: string): Integration.Integration => {
  // Of a channel and a consumer the names are checked.
  const short = Telemetry.legalName(name).slice(0, 20)
  class Contract extends HttpContract.Service<Contract>()(`${name} contract`, {
    api,
    baseUrl: `https://api:${secret}@payments.example.com`,
    authentication: Authentication.clientCredentials({
      tokenUrl: `https://${secret}@login.example.com/token`,
      id: Config.String("ID"),
      secret: Config.succeed(Redacted.make("client-secret"))
    }),
    errors: StatusTable.standard,
    breaker: { failurePercent: 50, window: "10 seconds", openFor: "30 seconds", alertAfter: "1 minute" },
    rateLimit: { perMinute: 600 }
  }) {}
  const type = EventType.make("com.acme.order.placed", { source: "https://acme.com/orders", data: Schema.Struct({}) })
  const channel = Channel.make(`${short}-channel`, [type])
  const consumer = Consumer.make(`${short}-consumer`, channel, {
    handlers: { "com.acme.order.placed": () => Effect.void },
    dedup: { window: "14 days" }
  })
  const saga = Saga.make(`${name.replaceAll(/[/!?~&>()]/g, "")} saga`, {
    payload: Schema.Struct({ id: Schema.String }),
    idempotencyKey: ({ id }) => id
  }).step("debit", { run: () => Effect.void, compensate: () => Effect.void })
  return Integration.make(`${name} design`, {
    purpose: name,
    parties: { consumer: { system: "Shop", team: `${name} team` } },
    contracts: [Contract],
    channels: [channel],
    consumers: [consumer],
    sagas: [saga],
    probes: [{ name: `${name} probe`, every: "5 minutes" }],
    monitoring: {
      errorRate: { percent: 5, for: "90 seconds" },
      latencyP99: { limit: "1500 millis", for: "2 minutes" },
      lag: { messages: 100, age: "5 minutes" },
      outboxAge: { limit: "1 minute" },
      dashboard: `https://ada:${secret}@grafana.example.com/d/1?x=${encodeURIComponent(name)}`
    },
    alerts: Integration.conditions.map((condition) => ({
      condition,
      channels: [`PagerDuty ${name}`, `Slack #${name}`, "Slack https://hooks.slack.com/services/T0001/B1", "the owner"],
      escalation: `${name} escalation`,
      investigateWithin: "15 minutes",
      runbook: `https://ada:${secret}@runbooks.example.com/${encodeURIComponent(condition)} ${name}`
    }))
  })
}

export const plain = everything("plain")

/** What YAML, PromQL, templates of Go and of Grafana, and comments would trip over. */
export const hostile = everything(
  `hos"tile' {{ .Labels }} {{{ $value }}} {a="b"} [[x]] \${datasource} \\n \\ \n# - : | > & * ! %s é 日本 🚀 \u2028\u0085 <!channel>`
)
