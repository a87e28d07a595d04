import { assert, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { HttpRouter } from "effect/http"
import * as Metrics from "../../src/monitoring/Metrics.ts"
import * as PrometheusRules from "../../src/monitoring/PrometheusRules.ts"
import { listen } from "../http/server.ts"
import { observed } from "../policy/observe.ts"
import * as Prometheus from "../servers/Prometheus.ts"
import { until } from "../servers/until.ts"
import * as Scene from "./MetricsScene.ts"

/** With metrics of its own, and without the lines that failures log. */
const own = <A, E, R>(self: Effect.Effect<A, E, R>) => observed(() => self)

/** `name{label="value"} 1` of the text format, by what stands before the value. */
const samplesOf = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))])
  )

Prometheus.describePrometheus("a running integration", () => {
  it.live("is scraped with its exact metrics, and its rules fire and are over", () =>
    Effect.gen(function* () {
      const scene = yield* Scene.make("scraped")
      const url = yield* listen(yield* HttpRouter.toHttpEffect(Metrics.route()))
      const server = yield* Prometheus.make({
        targets: [new URL(url).host],
        rules: PrometheusRules.render(scene.design, { scrapeInterval: "100 millis" })
      })
      const one = (expression: string) =>
        Effect.map(server.query(expression), (samples) => (samples.length === 1 ? samples[0]!.value : samples.length))
      const values = Effect.all({
        success: one('integration_scraped_payments_requests_total{outcome="success"}'),
        failed: one('integration_scraped_payments_requests_total{outcome="InternalError"}'),
        errorRate: one("integration_scraped_payments_error_rate"),
        circuitOpen: one("integration_scraped_payments_circuit_open"),
        deadLetters: one("integration_scraped_billing_dlq_depth"),
        lag: one("integration_scraped_billing_consumer_lag")
      })
      const firing = Effect.map(server.api("alerts"), ({ alerts }) =>
        (alerts as Array<any>).filter(({ state }) => state === "firing")
      )
      const ruleOf = (each: any): string => each.labels.rule

      // Nothing was called yet: no series says anything of failures.
      yield* until(Effect.map(one("integration_scraped_payments_circuit_open"), (value) => value === 0))
      assert.deepStrictEqual(yield* server.query("integration_scraped_payments_error_rate"), [])
      assert.deepStrictEqual(yield* firing, [])

      const hostile = 'a"b\\c\nd{e="f"} # é 🚀 1'
      yield* Metric.update(Metric.counter("own_total", { attributes: { reason: hostile } }), 1)
      yield* scene.busy
      const expected = { success: 6, failed: 2, errorRate: 25, circuitOpen: 1, deadLetters: 2, lag: 3 }
      yield* until(Effect.map(values, (now) => now.deadLetters === 2 && now.lag === 3 && now.circuitOpen === 1))
      assert.deepStrictEqual(yield* values, expected)
      // What calls took is not known beforehand: it is what the process says.
      const said = samplesOf(yield* Metrics.text).get("integration_scraped_payments_latency_p99_ms")!
      assert.isAbove(said, 0)
      assert.strictEqual(yield* one("integration_scraped_payments_latency_p99_ms"), said)
      assert.strictEqual(yield* one('integration_scraped_payments_latency_ms_bucket{le="+Inf"}'), 8)

      const [mine] = yield* server.query("own_total")
      assert.deepInclude(mine, { value: 1 })
      assert.strictEqual(mine!.labels["reason"], hostile)

      yield* until(Effect.map(firing, (alerts) => alerts.length >= 3))
      const alerts = yield* firing
      assert.deepStrictEqual(alerts.map(ruleOf).toSorted(), [
        "circuit-open/scraped-payments",
        "dead-letters/scraped-billing",
        "engineering/scraped-billing"
      ])
      const circuit = alerts.find((each) => ruleOf(each) === "circuit-open/scraped-payments")
      assert.deepInclude(circuit.labels, { severity: "critical", integration: "scraped", condition: "circuit open" })
      assert.strictEqual(circuit.annotations.runbook_url, "https://runbooks.acme.com/circuit")
      assert.include(circuit.annotations.description, "integration_scraped_payments_circuit_open is 1, above 0.")
      assert.strictEqual(yield* one("consumer:integration_scraped_billing_dlq_depth:max"), 2)
      const { groups } = yield* server.api("rules")
      for (const rule of groups[0].rules) assert.strictEqual(rule.health, "ok", JSON.stringify(rule))

      yield* scene.calm
      yield* until(Effect.map(firing, (alerts) => !alerts.some((each) => ruleOf(each).startsWith("circuit-open"))))
      yield* until(Effect.map(one("integration_scraped_billing_consumer_lag"), (lag) => lag === 0))
    }).pipe(own)
  )

  it.live("has metrics that promtool accepts, but for the units that the document names", () =>
    Effect.gen(function* () {
      const scene = yield* Scene.make("checked")
      yield* scene.busy
      const text = yield* Metrics.text
      const { output } = yield* Prometheus.promtool(["check", "metrics"], { input: text })
      assert.isAbove(samplesOf(text).size, 20)
      const remarks = output.split("\n").filter((line) => line !== "")
      assert.isAbove(remarks.length, 0)
      for (const remark of remarks) {
        assert.match(remark, /^integration_\w+_ms (metric names should not contain abbreviated units|use base unit)/)
      }
      assert.notInclude(text, "hunter2")
    }).pipe(own)
  )

  it.live("is refused by promtool where a page is no page of metrics", () =>
    Effect.gen(function* () {
      const { code } = yield* Prometheus.promtool(["check", "metrics"], { input: 'a{b="c} 1\n' })
      assert.notStrictEqual(code, 0)
    })
  )
})
