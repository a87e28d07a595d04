import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { amqpUrl, databaseUrl, describeServers } from "../servers/Servers.ts"
import { run } from "./child.ts"
import { demo, proven, summaryOf } from "./Summary.ts"

describeServers("the demo on RabbitMQ and PostgreSQL", () => {
  it.live("proves the same, twice on the same servers", () =>
    Effect.gen(function* () {
      const env = { AMQP_URL: yield* amqpUrl, DATABASE_URL: yield* databaseUrl }
      const args = ["--json", "--orders", "60", "--broker", "rabbitmq", "--store", "postgres"]
      for (let time = 0; time < 2; time++) {
        const { code, stderr, stdout } = yield* run(demo, args, { env })
        assert.strictEqual(code, 0, stderr + stdout)
        const summary = yield* summaryOf(stdout)
        assert.deepInclude(summary, { ...proven, broker: "rabbitmq", store: "postgres" })
        assert.isAtLeast(summary.duplicatesSkipped, summary.duplicatesInjected)
      }
    })
  )
})
