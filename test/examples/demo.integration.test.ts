import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import amqp from "amqplib"
import { amqpUrl, databaseUrl, describeServers, freshVhost } from "../servers/Servers.ts"
import { run } from "./child.ts"
import { demo, proven, summaryOf } from "./Summary.ts"

describeServers("the demo on RabbitMQ and PostgreSQL", () => {
  it.live("proves the same, twice on the same servers", () =>
    Effect.gen(function* () {
      const env = { AMQP_URL: yield* amqpUrl, DATABASE_URL: yield* databaseUrl }
      const args = ["--json", "--orders", "60", "--speed", "20", "--broker", "rabbitmq", "--store", "postgres"]
      for (let time = 0; time < 2; time++) {
        const { code, stderr, stdout } = yield* run(demo, args, { env })
        assert.strictEqual(code, 0, stderr + stdout)
        const summary = yield* summaryOf(stdout)
        assert.deepInclude(summary, { ...proven, broker: "rabbitmq", store: "postgres" })
        assert.isAtLeast(summary.duplicatesSkipped, summary.duplicatesInjected)
      }
    })
  )

  it.live("leaves a virtual host alone that has the names of the design in use", () =>
    Effect.gen(function* () {
      const url = yield* freshVhost("used")
      const connection = yield* Effect.promise(() => amqp.connect(url))
      yield* Effect.addFinalizer(() => Effect.promise(() => connection.close()))
      const session = yield* Effect.promise(() => connection.createChannel())
      yield* Effect.promise(() => session.assertExchange("settlements", "direct"))
      const { code, stderr, stdout } = yield* run(demo, ["--json", "--broker", "rabbitmq"], { env: { AMQP_URL: url } })
      assert.strictEqual(code, 1)
      assert.match(
        stderr + stdout,
        /the exchange settlements is there already: give the demo a virtual host of its own/
      )
      yield* Effect.promise(() => session.checkExchange("settlements"))
    }).pipe(Effect.scoped)
  )
})
