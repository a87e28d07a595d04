import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Alertmanager from "../../monitoring/Alertmanager.ts"
import * as PrometheusRules from "../../monitoring/PrometheusRules.ts"
import { load } from "./design.ts"
import { reporting } from "./failure.ts"
import { deliver, file, json, out } from "./options.ts"
import { oneLine, printError } from "./output.ts"

/** `integration alerts`. */
export const alerts = Command.make(
  "alerts",
  {
    file,
    out,
    json,
    alertmanager: Flag.Boolean("alertmanager").pipe(
      Flag.withDescription("Print who is told, for Alertmanager. Secrets are files that you put where it says"),
      Flag.withDefault(false)
    ),
    by: Flag.String("by").pipe(
      Flag.withMetavar("LABEL"),
      Flag.withDescription("A label that is kept when processes are taken together. May be given again"),
      Flag.atLeast(0)
    ),
    scrapeInterval: Flag.String("scrape-interval").pipe(
      Flag.withMetavar("DURATION"),
      Flag.withDescription('How often Prometheus scrapes, such as "30 seconds"'),
      Flag.withDefault("15 seconds")
    ),
    secrets: Flag.String("secrets").pipe(
      Flag.withMetavar("FOLDER"),
      Flag.withDescription("Where Alertmanager finds the files with the secrets"),
      Flag.withDefault("/etc/alertmanager/secrets")
    )
  },
  ({ alertmanager, by, file, json, out, scrapeInterval, secrets }) =>
    Effect.gen(function* () {
      const { design } = yield* load(file)
      if (!alertmanager) {
        const options = { by, scrapeInterval: scrapeInterval as PrometheusRules.Options["scrapeInterval"] & {} }
        const rules = yield* Effect.sync(() => PrometheusRules.of(design, options))
        return yield* deliver(json ? indented(rules) : PrometheusRules.render(design, options), out)
      }
      for (const channel of Alertmanager.others(design)) {
        yield* printError(`nobody is told by ${oneLine(channel)}: only PagerDuty and Slack are known`)
      }
      const options = { secrets }
      return yield* deliver(
        json ? indented(Alertmanager.of(design, options)) : Alertmanager.render(design, options),
        out
      )
    }).pipe(reporting(json))
).pipe(
  Command.withDescription("Prints the alerting and recording rules for Prometheus, or the routes for Alertmanager"),
  Command.withExamples([
    { command: "integration alerts design.ts --out rules/orders.yml", description: "A file for rule_files" },
    {
      command: 'integration alerts design.ts --by environment --scrape-interval "30 seconds"',
      description: "Each environment on its own"
    },
    { command: "integration alerts design.ts --alertmanager --out alertmanager.yml", description: "Who is told" }
  ])
)

const indented = (value: unknown): string => JSON.stringify(value, undefined, 2)
