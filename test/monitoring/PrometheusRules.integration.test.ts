import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import flagship from "../../examples/orders-to-payments/design.ts"
import * as Integration from "../../src/Integration.ts"
import * as PrometheusRules from "../../src/monitoring/PrometheusRules.ts"
import * as Rule from "../../src/monitoring/Rule.ts"
import { describePrometheus, jsonAsYaml, promtool } from "../servers/Prometheus.ts"
import { hostile, plain, secrets } from "./PrometheusDesigns.ts"
import { begin, expected, over, seconds, type Series, seriesOf, step } from "./PrometheusSeries.ts"

const designs = { flagship, plain, hostile }

const isAlerting = (rule: PrometheusRules.Recording | PrometheusRules.Alerting): rule is PrometheusRules.Alerting =>
  "alert" in rule

const alertsOf = (design: Integration.Integration) =>
  PrometheusRules.of(design).groups.flatMap(({ rules }) => rules.filter(isAlerting))

interface Case {
  readonly series: ReadonlyArray<Series>
  readonly alerts?: ReadonlyArray<object>
  readonly expressions?: ReadonlyArray<object>
}

/** Runs rules against series, as Prometheus would. */
const tried = (rules: string, cases: ReadonlyArray<Case>) =>
  promtool(["test", "rules", "test.yml"], {
    files: {
      "rules.yml": rules,
      "test.yml": jsonAsYaml({
        rule_files: ["rules.yml"],
        evaluation_interval: `${step}s`,
        tests: cases.map(({ alerts, expressions, series }) => ({
          interval: `${step}s`,
          input_series: series,
          alert_rule_test: alerts,
          promql_expr_test: expressions
        }))
      })
    }
  })

interface Tried {
  readonly rule: Rule.Rule
  readonly alerting: PrometheusRules.Alerting
}

const triedOf = (design: Integration.Integration): ReadonlyArray<Tried> => {
  const alerts = alertsOf(design)
  return Rule.of(design).map((rule, index) => ({ rule, alerting: alerts[index]! }))
}

const expectations = (rules: ReadonlyArray<Tried>, time: (rule: Rule.Rule) => number, fires: boolean) =>
  Array.from(
    Map.groupBy(rules, ({ alerting }) => alerting.alert),
    ([alertname, all]) => ({
      eval_time: `${time(all[0]!.rule)}s`,
      alertname,
      exp_alerts: fires ? all.map(({ alerting, rule }) => expected(rule, alerting)) : []
    })
  )

/** Rules fire at their moment and not one evaluation earlier, each once, and are over when their cause is. */
const firing = (rules: ReadonlyArray<Tried>): Case => {
  const at = (rule: Rule.Rule) => begin + seconds(rule.for)
  return {
    series: rules.flatMap(({ rule }) => seriesOf(rule, true)),
    alerts: [
      ...expectations(rules, (rule) => at(rule) - step, false),
      ...expectations(rules, at, true),
      ...expectations(rules, () => over, false)
    ]
  }
}

const calm = (rules: ReadonlyArray<Tried>): Case => ({
  series: rules.flatMap(({ rule }) => seriesOf(rule, false)),
  alerts: [() => begin - step, () => begin, (rule: Rule.Rule) => begin + seconds(rule.for) + step, () => over].flatMap(
    (time) => expectations(rules, time, false)
  )
})

describePrometheus("the rules for Prometheus", () => {
  for (const [name, design] of Object.entries(designs)) {
    it.live(`of the ${name} design are valid, and there is one for each rule`, () =>
      Effect.gen(function* () {
        const yaml = PrometheusRules.render(design)
        const { code, output } = yield* promtool(["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"], {
          files: { "rules.yml": yaml }
        })
        assert.strictEqual(code, 0, output)
        const count = PrometheusRules.of(design).groups.flatMap(({ rules }) => rules).length
        assert.include(output, `SUCCESS: ${count} rules found`)
        assert.deepStrictEqual(
          alertsOf(design).map(({ labels }) => labels["rule"]!.replaceAll('{{"{{"}}', "{{")),
          Rule.of(design).map(({ id }) => id)
        )
        for (const secret of secrets) assert.notInclude(yaml, secret)
      })
    )

    it.live(`of the ${name} design fire at their moment, and are over when their cause is`, () =>
      Effect.gen(function* () {
        const all = triedOf(design)
        const { code, output } = yield* tried(PrometheusRules.render(design), [firing(all), calm(all)])
        assert.strictEqual(code, 0, output)
        assert.include(output, "SUCCESS")
      })
    )
  }

  it("know every condition that a design can have", () => {
    const conditions = new Set(Rule.of(plain).map(({ condition }) => condition))
    assert.deepStrictEqual([...conditions].toSorted(), Integration.conditions.toSorted())
  })

  it.live("fire one by one, each of its own series", () =>
    Effect.gen(function* () {
      const all = triedOf(plain)
      const { code, output } = yield* tried(
        PrometheusRules.render(plain),
        all.map((each) => {
          const at = () => begin + seconds(each.rule.for)
          // An open circuit that lasts is two rules.
          const others = all.filter(
            ({ alerting, rule }) =>
              alerting.alert !== each.alerting.alert &&
              (rule.metric !== "circuitOpen" || rule.metric !== each.rule.metric)
          )
          return {
            series: seriesOf(each.rule, true),
            alerts: [...expectations([each], at, true), ...expectations(others, at, false)]
          }
        })
      )
      assert.strictEqual(code, 0, output)
    })
  )

  it.live("are refused by promtool when they do not fire as expected", () =>
    Effect.gen(function* () {
      const [{ alerting, rule }] = triedOf(plain) as [Tried]
      const wrong = { ...rule, comparison: { _tag: "Above", value: 1 } as const }
      const { code, output } = yield* tried(PrometheusRules.render(plain), [calm([{ alerting, rule: wrong }])])
      assert.strictEqual(code, 1, output)
      assert.include(output, "FAILED")
    })
  )

  it.live("keep a label, so that one environment does not hide another", () =>
    Effect.gen(function* () {
      const all = triedOf(plain)
      const of = (environment: string, { series }: Case) =>
        series.map((each) => ({ ...each, series: each.series.replace("{", `{environment="${environment}",`) }))
      const alerts = expectations(all, (rule) => begin + seconds(rule.for), true).map((each) => ({
        ...each,
        exp_alerts: each.exp_alerts.map(({ exp_annotations, exp_labels }) => ({
          exp_annotations,
          exp_labels: { ...exp_labels, environment: "staging" }
        }))
      }))
      const { code, output } = yield* tried(PrometheusRules.render(plain, { by: ["environment"] }), [
        { series: [...of("staging", firing(all)), ...of("production", calm(all))], alerts }
      ])
      assert.strictEqual(code, 0, output)
    })
  )

  it.live("tell of the first error there is, which has no series before", () =>
    Effect.gen(function* () {
      const { alerting, rule } = triedOf(plain).find(({ rule }) => rule.id === "engineering/plain contract")!
      const series = `${Rule.metricName(rule)}{kind="alert"}`
      const at = (time: number, fires: boolean) => ({
        eval_time: `${time}s`,
        alertname: alerting.alert,
        exp_alerts: fires ? [expected(rule, alerting)] : []
      })
      const values = `_x${begin / step} 1x60`
      const { code, output } = yield* tried(PrometheusRules.render(plain), [
        { series: [{ series, values }], alerts: [at(begin - step, false), at(begin, true), at(over, false)] },
        // Of the other kind.
        { series: [{ series: series.replace("alert", "escalate"), values }], alerts: [at(begin, false)] }
      ])
      assert.strictEqual(code, 0, output)
    })
  )

  it.live("have a rate of 0 without a series of failures, and none without calls", () =>
    Effect.gen(function* () {
      const rate = "contract:integration_plain_contract_error_rate:1m"
      const p99 = "contract:integration_plain_contract_latency_p99_ms:1m"
      const requests = `integration_plain_contract_requests_total{outcome="success"}`
      const bucket = (le: string) => `integration_plain_contract_latency_ms_bucket{le="${le}"}`
      const gauge = "integration_plain_contract_latency_p99_ms"
      const value = (expr: string, labels: string, value: number | undefined) => ({
        expr,
        eval_time: "5m",
        exp_samples: value === undefined ? [] : [{ labels, value }]
      })
      const { code, output } = yield* tried(PrometheusRules.render(plain), [
        { series: [{ series: requests, values: "0+10x40" }], expressions: [value(rate, rate, 0)] },
        { series: [{ series: requests, values: "10x40" }], expressions: [value(rate, rate, undefined)] },
        // The histogram alone, the gauge alone, both: the lower; above the last bound, where the histogram knows nothing.
        {
          series: [
            { series: bucket("1000"), values: "0x40" },
            { series: bucket("2000"), values: "0+100x40" },
            { series: bucket("+Inf"), values: "0+100x40" }
          ],
          expressions: [value(p99, p99, 1990)]
        },
        { series: [{ series: gauge, values: "1200x40" }], expressions: [value(p99, p99, 1200)] },
        {
          series: [
            { series: bucket("1000"), values: "0x40" },
            { series: bucket("2000"), values: "0+100x40" },
            { series: bucket("+Inf"), values: "0+100x40" },
            { series: `${gauge}{instance="a"}`, values: "1200x40" },
            { series: `${gauge}{instance="b"}`, values: "1100x40" }
          ],
          expressions: [value(p99, p99, 1200)]
        },
        {
          series: [
            { series: bucket("60000"), values: "0x40" },
            { series: bucket("+Inf"), values: "0+100x40" },
            { series: gauge, values: "90000x40" }
          ],
          expressions: [value(p99, p99, 90_000)]
        },
        {
          series: [
            { series: bucket("1000"), values: "7x40" },
            { series: bucket("+Inf"), values: "9x40" }
          ],
          expressions: [value(p99, p99, undefined)]
        }
      ])
      assert.strictEqual(code, 0, output)
    })
  )

  it.live("take a rate over four scrapes, where these are rare", () =>
    Effect.gen(function* () {
      const yaml = PrometheusRules.render(plain, { scrapeInterval: "1 minute" })
      assert.include(yaml, "[4m]")
      assert.notInclude(yaml, "[1m]")
      assert.include(yaml, "interval: 1m")
      const { code, output } = yield* promtool(["check", "rules", "rules.yml"], { files: { "rules.yml": yaml } })
      assert.strictEqual(code, 0, output)
    })
  )

  it("are not made with options that make no sense", () => {
    assert.throws(() => PrometheusRules.of(plain, { by: ["a b"] }), /by must be names of labels/)
    assert.throws(() => PrometheusRules.of(plain, { scrapeInterval: 0 }), /scrapeInterval must be/)
  })

  it.live("say once what two things of one name share", () =>
    Effect.gen(function* () {
      const [{ contract }] = plain.contracts as [Integration.Contract]
      const shared = Integration.make("shared", {
        contracts: [contract],
        probes: [{ name: contract.key, every: "1 minute" }],
        sagas: [{ ...plain.sagas[0]!, name: contract.key } as never]
      })
      const ids = Rule.of(shared).map(({ id }) => id)
      const { code, output } = yield* promtool(["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"], {
        files: { "rules.yml": PrometheusRules.render(shared) }
      })
      assert.strictEqual(code, 0, output)
      assert.deepStrictEqual(
        alertsOf(shared).map(({ labels }) => labels["rule"]),
        [...new Set(ids)]
      )
    })
  )
})
