import { assert } from "@effect/vitest"
import { Schema } from "effect"

export const demo = "examples/demo/main.ts"

/** What the demo says in JSON. */
export const Summary = Schema.Struct({
  broker: Schema.String,
  store: Schema.String,
  orders: Schema.Int,
  charged: Schema.Int,
  lost: Schema.Int,
  doubled: Schema.Int,
  orderViolations: Schema.Int,
  paid: Schema.Int,
  replayed: Schema.Int,
  duplicatesInjected: Schema.Int,
  duplicatesSkipped: Schema.Int,
  poisonInjected: Schema.Int,
  poisonFound: Schema.Int,
  deadLettersLeft: Schema.Int,
  sagas: Schema.Int,
  sagasCompleted: Schema.Int,
  sagasRolledBack: Schema.Int,
  sagasInconsistent: Schema.Int,
  calls: Schema.Int,
  attempts: Schema.Int,
  retries: Schema.Int,
  circuitOpenings: Schema.Int,
  tokenRefreshes: Schema.Int,
  rateLimitWaits: Schema.Int,
  speed: Schema.Int,
  designMs: Schema.Int,
  durationMs: Schema.Int
})

/** The one line on stdout, as the summary it is. */
export const summaryOf = (stdout: string) => {
  assert.match(stdout, /^[^\n]+\n$/, "one line and nothing else")
  return Schema.decodeUnknownEffect(Schema.fromJsonString(Summary))(stdout)
}

/** What 60 orders must come to, wherever the events travel. */
export const proven = {
  orders: 60,
  charged: 60,
  lost: 0,
  doubled: 0,
  orderViolations: 0,
  paid: 60,
  replayed: 3,
  duplicatesInjected: 6,
  poisonInjected: 7,
  poisonFound: 7,
  deadLettersLeft: 4,
  sagas: 24,
  sagasCompleted: 21,
  sagasRolledBack: 3,
  sagasInconsistent: 0
}
