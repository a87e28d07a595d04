import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import flagship from "../../examples/orders-to-payments/design.ts"
import type * as Integration from "../../src/Integration.ts"
import * as Grafana from "../../src/monitoring/Grafana.ts"
import * as Rule from "../../src/monitoring/Rule.ts"
import * as Telemetry from "../../src/Telemetry.ts"
import { describePrometheus, jsonAsYaml, promtool } from "../servers/Prometheus.ts"
import { hostile, plain, secrets } from "./PrometheusDesigns.ts"

const panelsOf = (design: Integration.Integration) =>
  Grafana.of(design).panels.filter((panel) => panel.type === "timeseries")

/** Names of every metric that is recorded for something of a design. */
const recorded = ({ channels, consumers, contracts, name, probes, sagas }: Integration.Integration) => {
  const subjects = [
    ...contracts.map(({ contract }) => contract.key),
    ...channels.map(({ channel }) => channel.name),
    ...[...consumers, ...sagas, ...probes].map((each) => each.name),
    name
  ]
  return new Set(
    subjects.flatMap((subject) =>
      (Object.keys(Telemetry.catalogue) as Array<Telemetry.MetricName>).flatMap((metric) => {
        const full = Telemetry.metricName(metric, subject)
        return Telemetry.catalogue[metric].kind === "histogram" ? [`${full}_bucket`] : [full]
      })
    )
  )
}

describePrometheus("the dashboard of Grafana", () => {
  for (const [name, design] of Object.entries({ flagship, plain, hostile })) {
    it.live(`of the ${name} design asks for nothing but metrics that there are, in valid PromQL`, () =>
      Effect.gen(function* () {
        const expressions = panelsOf(design).flatMap(({ targets }) => targets.map(({ expr }) => expr))
        const known = recorded(design)
        for (const expression of expressions) {
          const named = expression.match(/integration_\w+/g) ?? []
          assert.isAbove(named.length, 0, expression)
          for (const metric of named) assert.isTrue(known.has(metric), metric)
        }
        const annotations = Grafana.of(design).annotations.list.map((each) => (each as { expr: string }).expr)
        const rules = [...expressions, ...annotations].map((expression, index) => ({
          record: `expression:${index}`,
          expr: expression.replaceAll("$__rate_interval", "1m")
        }))
        const { code, output } = yield* promtool(["check", "rules", "rules.json"], {
          files: { "rules.json": jsonAsYaml({ groups: [{ name: "dashboard", rules }] }) }
        })
        assert.strictEqual(code, 0, output)
        assert.include(output, `SUCCESS: ${rules.length} rules found`)
      })
    )

    it(`of the ${name} design has panels of their own ids, side by side`, () => {
      const { panels } = Grafana.of(design)
      assert.strictEqual(new Set(panels.map(({ id }) => id)).size, panels.length)
      const taken = new Set<string>()
      for (const { gridPos } of panels) {
        assert.isAtMost(gridPos.x + gridPos.w, 24)
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
            assert.isFalse(taken.has(`${x}/${y}`), `two panels at ${x}/${y}`)
            taken.add(`${x}/${y}`)
          }
        }
      }
    })

    it(`of the ${name} design says no secret`, () => {
      const json = JSON.stringify(Grafana.of(design))
      for (const secret of secrets) assert.notInclude(json, secret)
      assert.match(Grafana.of(design).uid, /^[\w-]{1,40}$/)
    })
  }

  it("has a row for everything that has metrics, and every metric of it", () => {
    const rows = Grafana.of(flagship).panels.filter(({ type }) => type === "row")
    assert.deepStrictEqual(
      rows.map(({ title }) => title),
      [
        ...flagship.contracts.map(({ contract }) => `contract ${contract.key}`),
        ...flagship.channels.map(({ channel }) => `channel ${channel.name}`),
        ...flagship.consumers.map(({ name }) => `consumer ${name}`),
        ...flagship.sagas.map(({ name }) => `saga ${name}`),
        ...flagship.probes.map(({ name }) => `probe ${name}`),
        "design orders-to-payments"
      ]
    )
    const shown = panelsOf(flagship)
      .flatMap(({ targets }) => targets.map(({ expr }) => expr))
      .join("\n")
    for (const metric of Object.keys(Telemetry.catalogue) as Array<Telemetry.MetricName>) {
      const suffix = Telemetry.catalogue[metric].name.replace("integration_{name}", "")
      // The error rate is made of the requests.
      if (metric !== "errorRate") assert.include(shown, suffix, metric)
    }
  })

  it("draws the limit of each rule where its metric is shown", () => {
    for (const rule of Rule.of(plain)) {
      if (rule.comparison._tag === "Increased") continue
      const { value } = rule.comparison
      const panel = panelsOf(plain).find(({ targets }) =>
        targets.some(({ expr }) => expr.endsWith(`(${Rule.metricName(rule)})`) || expr.includes(Rule.metricName(rule)))
      )
      // Its error rate is made of its requests.
      const asked = panel ?? panelsOf(plain).find(({ title }) => title === "error rate")!
      const { custom, thresholds } = asked.fieldConfig.defaults
      assert.include(
        thresholds.steps.map((step) => step.value),
        value,
        rule.id
      )
      assert.strictEqual(custom.thresholdsStyle.mode, "line")
      const worse = thresholds.steps.findIndex(({ color }) => color !== "green")
      assert.strictEqual(worse, rule.comparison._tag === "Above" ? 1 : 0)
    }
  })

  it("lets the data source be chosen, and is the same for the same design", () => {
    const dashboard = Grafana.of(flagship)
    assert.deepStrictEqual(
      dashboard.templating.list.map((each) => (each as { name: string }).name),
      ["datasource"]
    )
    for (const { datasource, targets } of panelsOf(flagship)) {
      for (const each of [datasource, ...targets.map((target) => target.datasource)]) {
        assert.deepStrictEqual(each, { type: "prometheus", uid: "${datasource}" })
      }
    }
    assert.deepStrictEqual(Grafana.of(flagship), dashboard)
    assert.notStrictEqual(Grafana.of(plain).uid, Grafana.of(hostile).uid)
  })
})
