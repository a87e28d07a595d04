import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Ordering } from "effect-integration/event"
import { amqpUrl, describeRabbitMq } from "../servers/Servers.ts"
import { connect, fresh, subscribe, takeAck, text } from "./fixture.ts"

describeRabbitMq("counting", () => {
  it.live("of 300 groups at once took all AMQP channels of the connection, which consumers need", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh({ ordering: Ordering.strict("tenantid"), partitions: 8 })
      const groups = Array.from({ length: 300 }, (_, n) => `group-${n}`)
      const counting = yield* Effect.forkChild(
        Effect.forEach(groups, (group) => Effect.exit(broker.depth({ channel, group })), { concurrency: "unbounded" })
      )
      yield* Effect.yieldNow
      const other = fresh()
      const deliveries = yield* subscribe(broker, other)
      yield* broker.publish(other, text("x"))
      yield* takeAck(deliveries)
      const counted = yield* Fiber.join(counting)
      assert.deepStrictEqual(new Set(counted.map(({ _tag }) => _tag)), new Set(["Success"]))
    })
  )
})
