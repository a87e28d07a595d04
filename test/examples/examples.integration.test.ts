import { it } from "@effect/vitest"
import { Effect } from "effect"
import { amqpUrl, databaseUrl, describePostgres, describeRabbitMq } from "../servers/Servers.ts"
import { assertSays, run } from "./child.ts"

describeRabbitMq("the examples on RabbitMQ", () => {
  it.live("13_rabbitmq.ts says what 08_consumer.ts says", () =>
    Effect.gen(function* () {
      const env = { AMQP_URL: yield* amqpUrl }
      const expected = ["mails to grace and ada", "dead: o-2, rejected after attempt 1: NoSuchAddress"]
      assertSays(yield* run("examples/13_rabbitmq.ts", [], { env }), expected)
      // Queues that are there already are used, and nothing of the first run is left in them.
      assertSays(yield* run("examples/13_rabbitmq.ts", [], { env }), expected)
    })
  )
})

describePostgres("the examples on PostgreSQL", () => {
  it.live("11_transactional_dedup.ts leaves one row for each order", () =>
    Effect.gen(function* () {
      const env = { DATABASE_URL: yield* databaseUrl }
      const expected = ["o-1 in attempt 2", "o-2 in attempt 1", "rows: o-1 o-2\n"]
      assertSays(yield* run("examples/11_transactional_dedup.ts", [], { env }), expected)
      assertSays(yield* run("examples/11_transactional_dedup.ts", [], { env }), expected)
    })
  )
})
