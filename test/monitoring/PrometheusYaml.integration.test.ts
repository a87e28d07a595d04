import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as YamlReader from "effect/encoding/Yaml"
import * as Yaml from "../../src/monitoring/internal/yaml.ts"
import { random, runs } from "../policy/observe.ts"
import { describePrometheus, jsonAsYaml, promtool } from "../servers/Prometheus.ts"

const awkward = [..." \t\n\r'\"\\:#-?&*!|>%@`{}[],=~/.aZ09_é日🚀$<\u0001\u007f\u0085\u00a0\u2028\ufeff\uffff"]

const words = [
  "true",
  "No",
  "null",
  "~",
  "1e3",
  "0x1f",
  "1_000",
  "12:30",
  "2026-11-23",
  ".inf",
  "---",
  "...",
  "<<",
  "5m",
  "- a",
  "a: b",
  "a #b",
  "|-"
]

/** Texts of a few characters each, of which many look like something else to YAML. */
const texts = (count: number): ReadonlyArray<string> => {
  const next = random(7)
  const one = () => awkward[Math.floor(next() * awkward.length)]!
  return [
    ...words,
    ...Array.from({ length: count }, () => Array.from({ length: 1 + Math.floor(next() * 8) }, one).join(""))
  ]
}

describePrometheus("YAML", () => {
  it.live("is read by Prometheus as it was written, whatever a text is", () =>
    Effect.gen(function* () {
      // Without braces that would begin a template.
      const given = texts(runs(2000)).map((text) => text.replaceAll("{{", "{"))
      const labels = Object.fromEntries(given.map((text, index) => [`l${index}`, text]))
      const rules = Yaml.encode({ groups: [{ name: "texts", rules: [{ alert: "Texts", expr: "up == 0", labels }] }] })
      const { code, output } = yield* promtool(["test", "rules", "test.yml"], {
        files: {
          "rules.yml": rules,
          "test.yml": jsonAsYaml({
            rule_files: ["rules.yml"],
            tests: [
              {
                interval: "1m",
                input_series: [{ series: "up", values: "0x3" }],
                alert_rule_test: [{ eval_time: "1m", alertname: "Texts", exp_alerts: [{ exp_labels: labels }] }]
              }
            ]
          })
        }
      })
      assert.strictEqual(code, 0, output.slice(0, 2000))
    })
  )

  it("is read by another reader as it was written, in any structure", () => {
    const given = texts(200)
    const value = {
      ...Object.fromEntries(given.map((text) => [text, text])),
      list: given,
      lists: [
        { a: given.slice(0, 9), b: { c: given.slice(9, 12), d: [] } },
        { e: {}, f: true, g: 1.5, h: "1.5" }
      ],
      lines: "first\n  second\n# third"
    }
    assert.deepStrictEqual(YamlReader.parse(Yaml.encode(value)), value)
  })

  it("writes half of a surrogate pair as the character that stands for no character", () => {
    assert.strictEqual(Yaml.encode({ a: "\ud83d!" }), 'a: "\ufffd!"\n')
  })

  it("is as people write it, and leaves out what is undefined", () => {
    const value = {
      name: "orders",
      for: "5m",
      expr: 'a{b="c"} > 0',
      long: "a\nor b",
      none: undefined,
      list: [{ a: 1, b: ["x"] }, "z"],
      empty: []
    }
    assert.deepStrictEqual(Yaml.encode(value).split("\n"), [
      "name: orders",
      "for: 5m",
      "expr: 'a{b=\"c\"} > 0'",
      "long: |-",
      "  a",
      "  or b",
      "list:",
      "  - a: 1",
      "    b:",
      "      - x",
      "  - z",
      "empty: []",
      ""
    ])
  })
})
