import * as Effect from "effect/Effect"
import type { Asked } from "./healthAsked.ts"
import type { Seen } from "./healthWatch.ts"
import * as Probes from "./probes.ts"

/** The last results of the probes of this process. They only warn: what they have found is told of by the others. */
export const probes: Asked = {
  name: "probes",
  type: "component",
  observe: Effect.map(Probes.results, (all) =>
    all.map(({ at, millis, outcome, probe }): Seen => ({
      key: `${probe}:probe`,
      type: "component",
      status: outcome === "success" ? "pass" : "warn",
      value: Math.round(millis),
      unit: "ms",
      time: at,
      output: `the last synthetic probe has failed: ${outcome}`
    }))
  )
}
