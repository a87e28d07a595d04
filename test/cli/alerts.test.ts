import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Yaml from "effect/encoding/Yaml"
import * as fs from "node:fs"
import * as path from "node:path"
import type * as Alertmanager from "../../src/monitoring/Alertmanager.ts"
import * as Grafana from "../../src/monitoring/Grafana.ts"
import * as PrometheusRules from "../../src/monitoring/PrometheusRules.ts"
import design from "./fixtures/design.ts"
import { assertCode, fixture, folder, folderOf, integration, parsed, source } from "./program.ts"

describe("what a design says to those who watch it", { timeout: 60_000 }, () => {
  it.live("is rules for Prometheus", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const options = ["--by", "a", "--by", "b", "--scrape-interval", "30 seconds", "--out", "rules/orders.yml"]
      const written = yield* integration(["alerts", fixture, ...options], { cwd })
      assertCode(written, 0)
      assert.deepStrictEqual([written.stdout, written.stderr], ["", "wrote rules/orders.yml\n"])
      const yaml = fs.readFileSync(path.join(cwd, "rules/orders.yml"), "utf8")
      const rules: unknown = PrometheusRules.of(design, { by: ["a", "b"], scrapeInterval: "30 seconds" })
      assert.deepStrictEqual(Yaml.parse(yaml), rules)
      assert.notInclude(yaml, "hunter2")
    })
  )

  it.live("is routes for Alertmanager, with a word on who cannot be told", () =>
    Effect.gen(function* () {
      const cwd = yield* folderOf({
        "d.ts": `import * as Integration from ${source("Integration.ts")}
export default Integration.make("x", {
  alerts: [{ condition: "latency", channels: ["Slack #money", "the\\nowner\\u001b[2J"] }]
})\n`
      })
      const yaml = yield* integration(["alerts", "d.ts", "--alertmanager", "--secrets", "/run/secrets"], { cwd })
      assertCode(yaml, 0)
      const { receivers } = Yaml.parse(yaml.stdout) as Alertmanager.Configuration
      assert.deepStrictEqual(
        receivers.map(({ slack_configs }) => (slack_configs as any)?.[0].api_url_file),
        [undefined, "/run/secrets/slack-money"]
      )
      assert.strictEqual(yaml.stderr, "nobody is told by the owner\\u001b[2J: only PagerDuty and Slack are known\n")
    })
  )

  it.live("is a dashboard for Grafana", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(parsed(yield* integration(["dashboard", fixture])), Grafana.of(design) as unknown)
    })
  )

  it.live("is nothing where the options make no sense", () =>
    Effect.gen(function* () {
      const { error } = parsed(yield* integration(["alerts", fixture, "--json", "--scrape-interval", "soon"]), 2)
      assert.match(error.message, /scrapeInterval must be a finite duration longer than zero, but "soon" was given/)
    })
  )
})
