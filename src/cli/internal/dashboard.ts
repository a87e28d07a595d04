import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Grafana from "../../monitoring/Grafana.ts"
import { load } from "./design.ts"
import { reporting } from "./failure.ts"
import { deliver, file, out } from "./options.ts"

/** `integration dashboard`. */
export const dashboard = Command.make(
  "dashboard",
  { file, out },
  Effect.fnUntraced(function* ({ file, out }) {
    const { design } = yield* load(file)
    yield* deliver(JSON.stringify(Grafana.of(design), undefined, 2), out)
  }, reporting(false))
).pipe(
  Command.withDescription("Prints a dashboard for Grafana, as JSON to be imported"),
  Command.withExamples([
    { command: "integration dashboard design.ts --out dashboards/orders.json", description: "A file to provision" }
  ])
)
