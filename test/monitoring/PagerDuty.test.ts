import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Exit, Redacted } from "effect"
import { Alert, PagerDuty } from "effect-integration/monitoring"
import { withFake } from "../http/payments.ts"
import { eventErrors } from "./alertSchemas.ts"
import { alertOf, full, hostile } from "./alertTexts.ts"

const key = "e93facc04764012d7bfb002500d5d1a6"
const routed = (event: PagerDuty.Event) => JSON.parse(JSON.stringify({ routing_key: key, ...event }))

/** Sends through a channel made with these options, to a client that answers so. */
const sending = (
  options: Partial<PagerDuty.Options>,
  respond: (request: Request) => Response | Promise<Response>,
  alert = alertOf()
) =>
  Effect.gen(function* () {
    const send = yield* PagerDuty.channel({ routingKey: Redacted.make(key), policy: {}, ...options }).connect("Pager")
    return yield* send(alert)
  }).pipe(withFake(respond), Effect.flip)

describe("PagerDuty", () => {
  it("is a trigger while it fires, with everything that is known", () => {
    const event = PagerDuty.event(alertOf({ ids: ["r-1", "r-2"], earlier: 2 }))
    assert.deepStrictEqual(eventErrors(routed(event)), [])
    assert.deepStrictEqual(event, {
      event_action: "trigger",
      dedup_key: "checkout/error-rate/payments",
      client: "effect-integration: checkout",
      client_url: "https://grafana.acme.com/d/checkout?var=a&b=c",
      links: [
        { href: "https://runbooks.acme.com/checkout", text: "Runbook" },
        { href: "https://grafana.acme.com/d/checkout?var=a&b=c", text: "Dashboard" }
      ],
      payload: {
        summary: "error rate: payments: more than 5 % of the calls to payments fail",
        source: "payments",
        severity: "error",
        timestamp: "2026-11-23T10:00:00.000Z",
        component: "payments",
        group: "checkout",
        class: "error rate",
        custom_details: {
          Integration: "checkout",
          Subject: "payments",
          Condition: "error rate",
          Severity: "high",
          Since: "2026-11-23T10:00:00.000Z",
          Value: "12.5 %",
          Limit: "above 5 % for 5m",
          "Requests and events": "r-1, r-2",
          "Earlier incidents that were not told": "2",
          Escalation: "on-call engineer",
          "Investigate within": "15m",
          Runbook: "https://runbooks.acme.com/checkout",
          Dashboard: "https://grafana.acme.com/d/checkout?var=a&b=c",
          Metric: "integration_payments_error_rate"
        }
      }
    })
  })

  it("is a resolve with the same key when it is over, and an acknowledge when somebody works on it", () => {
    const over = PagerDuty.event(alertOf({ state: "resolved", incident: 7 }))
    assert.deepStrictEqual(over, { event_action: "resolve", dedup_key: "checkout/error-rate/payments" })
    const acknowledged = PagerDuty.event(alertOf(), { action: "acknowledge" })
    assert.deepStrictEqual(acknowledged, { event_action: "acknowledge", dedup_key: "checkout/error-rate/payments" })
    assert.deepStrictEqual([...eventErrors(routed(over)), ...eventErrors(routed(acknowledged))], [])
  })

  it("knows the four severities", () => {
    const severities = (["critical", "high", "medium", "low"] as const).map(
      (severity) => PagerDuty.event(alertOf({ severity })).payload?.severity
    )
    assert.deepStrictEqual(severities, ["critical", "error", "warning", "info"])
  })

  it("names the host where one is given, and the message of an error", () => {
    const event = PagerDuty.event(alertOf({ error: { tag: "Forbidden", message: "answered 403" } }), {
      source: "host-1"
    })
    assert.strictEqual(event.payload?.source, "host-1")
    assert.deepInclude(event.payload?.custom_details, { Message: "answered 403", Error: "Forbidden", Occurrences: "1" })
    assert.include(event.payload?.summary, "answered 403")
  })

  for (const [name, text] of hostile) {
    it(`is a valid event, whatever the texts are: ${name}`, () => {
      for (const state of ["firing", "resolved"] as const) {
        const event = PagerDuty.event({ ...full(text), state })
        const sent = JSON.stringify({ routing_key: key, ...event })
        assert.deepStrictEqual(eventErrors(JSON.parse(sent)), [])
        assert.isTrue(sent.isWellFormed())
        assert.notMatch(sent, /\\ud[89a-f]/i, "no half of a surrogate pair is sent")
        assert.isAtMost(new TextEncoder().encode(sent).length, 512 * 1024)
      }
    })
  }

  it("cuts a long id to a key that no other id has", () => {
    const long = "x".repeat(300)
    const keys = [`${long}a`, `${long}b`, long, `y${long}`].map((id) => Alert.dedupKey({ id }))
    assert.strictEqual(new Set(keys).size, 4)
    for (const each of keys) assert.strictEqual(each.length, 255)
    assert.strictEqual(Alert.dedupKey({ id: "x".repeat(255) }), "x".repeat(255))
    assert.strictEqual(Alert.dedupKey({ id: `${long}a` }), keys[0])
  })

  it.effect("posts JSON to the endpoint, with the key", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      yield* Effect.gen(function* () {
        const send = yield* PagerDuty.channel({ routingKey: Config.Redacted("PD_KEY"), policy: {} }).connect("Pager")
        yield* send(alertOf())
      }).pipe(
        withFake(async (request) => {
          const { headers, method, url } = request
          seen.push([method, url, headers.get("content-type"), headers.get("traceparent")], await request.json())
          return new Response('{"status":"success"}', { status: 202 })
        }),
        Effect.withSpan("caller"),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ PD_KEY: key }))
      )
      assert.deepStrictEqual(seen[0], ["POST", "https://events.pagerduty.com/v2/enqueue", "application/json", null])
      assert.deepStrictEqual(seen[1], routed(PagerDuty.event(alertOf())))
    })
  )

  it.effect("says why an event was not accepted, without what may be the key", () =>
    Effect.gen(function* () {
      const body = {
        status: "invalid event",
        message: "Event object is invalid",
        errors: [
          "Length of 'routing_key' is incorrect (should be 32 characters)",
          `you sent ${key}`,
          `or ${key.slice(8)}`
        ]
      }
      const error = yield* sending({}, () => Response.json(body, { status: 400 }))
      assert.strictEqual(
        String((error as Error).message),
        "Pager: the alert was not delivered: rejected (400): Event object is invalid; " +
          "Length of 'routing_key' is incorrect (should be 32 characters); you sent <redacted>; or <redacted>"
      )
    })
  )

  for (const [status, reason] of [
    [400, "rejected"],
    [401, "refused"],
    [403, "refused"],
    [404, "refused"],
    [429, "rate limited"],
    [302, "refused"],
    [500, "unavailable"],
    [503, "unavailable"]
  ] as const) {
    it.effect(`${status} is ${reason}`, () =>
      Effect.gen(function* () {
        const error = yield* sending({}, () => new Response("<html>no", { status, headers: { "retry-after": "7" } }))
        assert.deepInclude(error, { _tag: "AlertNotDelivered", reason, status })
        assert.notInclude((error as Error).message, "html")
      })
    )
  }

  it.effect("acknowledges", () =>
    Effect.gen(function* () {
      const bodies: Array<unknown> = []
      yield* PagerDuty.acknowledge(alertOf(), { routingKey: Redacted.make(key) }).pipe(
        withFake(async (request) => {
          bodies.push(await request.json())
          return new Response("", { status: 202 })
        })
      )
      assert.deepStrictEqual(bodies, [
        { routing_key: key, event_action: "acknowledge", dedup_key: "checkout/error-rate/payments" }
      ])
    })
  )

  it.effect("a key that the configuration does not give, or that is none, is an error that does not tell it", () =>
    Effect.gen(function* () {
      for (const given of [{}, { PD_KEY: "" }, { PD_KEY: "two SECRET words" }]) {
        const channel = PagerDuty.channel({ routingKey: Config.Redacted("PD_KEY") })
        const exit = yield* channel.connect("Pager").pipe(
          withFake(() => new Response()),
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(given)),
          Effect.exit
        )
        assert.isTrue(Exit.isFailure(exit))
        assert.include(String(exit), "ConfigError")
        assert.notInclude(String(exit), "SECRET")
      }
    })
  )

  it("rejects constants that make no sense, without telling a secret", () => {
    assert.throws(() => PagerDuty.channel({ routingKey: Redacted.make("a SECRET") }), /routingKey must be .*<redacted>/)
    assert.throws(() => PagerDuty.channel({ routingKey: Redacted.make(key), endpoint: "events" }), /endpoint must be/)
    const policy = { timeouts: { total: -1 } }
    assert.throws(() => PagerDuty.channel({ routingKey: Redacted.make(key), policy }), /must be/)
  })
})
