import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Data, Deferred, Effect, Layer, Redacted, Schema } from "effect"
import {
  Channel,
  Consumer,
  Consumers,
  CurrentDelivery,
  DeadLetters,
  EventType,
  Publisher
} from "effect-integration/event"
import { ErrorAction } from "effect-integration/policy"
import { RabbitMqBroker } from "effect-integration/rabbitmq"
import { SqlStores } from "effect-integration/sql"
import { SqlClient } from "effect/sql"
import * as Postgres from "../servers/Postgres.ts"
import { amqpUrl, describeServers, unique } from "../servers/Servers.ts"
import { until } from "../servers/until.ts"

const Counted = EventType.make("com.acme.counted", {
  source: "https://acme.com/counter",
  data: Schema.Struct({ n: Schema.Int })
})

class Unwritten extends Data.TaggedError("Unwritten") {
  readonly errorAction = ErrorAction.make("retry", { outage: true })
}

describeServers("a consumer whose store is killed", () => {
  it.live.each(["claimed", "transactional"] as const)("keeps its messages and spends no attempt (%s)", (mode) =>
    Effect.gen(function* () {
      const postgres = yield* Postgres.make({ durable: true })
      const name = unique("store-down").replaceAll(/[^a-z0-9-]/g, "-")
      const channel = Channel.make(name, [Counted], { consumers: ["counter"] })
      const layer = Layer.mergeAll(RabbitMqBroker.layer({ url: yield* amqpUrl }), SqlStores.layer).pipe(
        Layer.provideMerge(PgClient.layer({ url: Redacted.make(postgres.url), maxConnections: 8 }))
      )
      yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE effects (n INT, attempt INT)`
        const begun = yield* Deferred.make<void>()
        const killed = yield* Deferred.make<void>()
        const write = Effect.fnUntraced(function* (n: number) {
          const { attempt } = yield* CurrentDelivery
          // One is in hand when the store goes.
          if (n === 5) {
            yield* Deferred.succeed(begun, undefined)
            yield* Deferred.await(killed)
          }
          yield* Effect.mapError(sql`INSERT INTO effects ${sql.insert({ n, attempt })}`, () => new Unwritten())
        })
        const consumer = Consumer.make("counter", channel, {
          // No retry: an attempt that is spent is a dead letter.
          handlers: { "com.acme.counted": (event) => write(event.data.n) },
          dedup: { window: "1 day", mode },
          prefetch: 4,
          lease: "2 seconds",
          drain: "2 seconds"
        })
        yield* Layer.build(consumer.layer)
        const publish = (n: number) => Publisher.publish(channel, Counted, { n })
        const rows = sql<{ readonly n: number; readonly attempt: number }>`SELECT n, attempt FROM effects ORDER BY n`
        for (let n = 0; n < 6; n++) yield* publish(n)
        yield* Deferred.await(begun)
        yield* until(Effect.map(rows, ({ length }) => length === 5))
        yield* postgres.kill
        yield* Deferred.succeed(killed, undefined)
        for (let n = 6; n < 26; n++) yield* publish(n)
        yield* until(
          Effect.map(Consumers.all, (all) => all.some((each) => each.name === "counter" && each.state === "outage"))
        )
        yield* postgres.start
        yield* until(
          Effect.map(
            Effect.orElseSucceed(rows, () => []),
            ({ length }) => length >= 26
          )
        )
        const written = yield* rows
        assert.deepStrictEqual(
          written.map(({ n }) => n),
          Array.from({ length: 26 }, (_, n) => n)
        )
        assert.isTrue(written.every(({ attempt }) => attempt === 1))
        assert.strictEqual(yield* DeadLetters.count(consumer), 0)
      }).pipe(Effect.provide(layer), Effect.scoped)
    })
  )
})
