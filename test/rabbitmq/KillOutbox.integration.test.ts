import { assert, it } from "@effect/vitest"
import { Effect, Layer, Random, Schedule } from "effect"
import { SqlClient } from "effect/sql"
import { Consumer, CurrentDelivery, Outbox } from "effect-integration/event"
import { RabbitMqBroker } from "effect-integration/rabbitmq"
import { SqlOutbox, SqlStores } from "effect-integration/sql"
import { RetryPolicy } from "effect-integration/policy"
import * as ChildProcess from "../servers/ChildProcess.ts"
import { make as makeRabbitMq } from "../servers/RabbitMq.ts"
import { describeOwnRabbitMq, describePostgres, freshDatabase, unique } from "../servers/Servers.ts"
import { until } from "../servers/until.ts"
import * as clients from "../sql/clients.ts"
import { between, isThorough, seed } from "./kill/harness.ts"
import { channelOf } from "./kill/orders.ts"
import type { Role } from "./kill/outbox.ts"

const kills = isThorough ? 50 : 3

const start = Effect.fnUntraced(function* (role: Role) {
  const child = yield* ChildProcess.make("test/rabbitmq/kill/outbox.ts", { args: [JSON.stringify(role)] })
  yield* child.next
  return { kill: Effect.andThen(child.kill("SIGKILL"), child.exit) }
})

const suite = (tests: () => void) =>
  describeOwnRabbitMq(`Writers, relays and brokers killed with -9 (SEED=${seed})`, () => describePostgres("", tests))

suite(() => {
  it.live(
    "publish an event if and only if its transaction has committed, in the order of the commits of its key",
    () =>
      Effect.gen(function* () {
        const server = yield* makeRabbitMq()
        const databaseUrl = yield* freshDatabase("outbox")
        const sql = yield* clients.pg(databaseUrl)
        yield* sql`CREATE TABLE ledger (serial bigserial, id text PRIMARY KEY, key text NOT NULL, n int NOT NULL)`
        yield* sql`CREATE TABLE effects (serial bigserial, id text NOT NULL, key text NOT NULL)`
        const names = { channel: unique("outbox"), group: unique("billing") }
        const channel = channelOf({ ...names, strict: true })
        let handled = 0
        const consumer = Consumer.make(names.group, channel, {
          handlers: {
            "com.acme.order.placed": Effect.fn(function* (event) {
              handled++
              yield* CurrentDelivery
              yield* Effect.orDie(sql`INSERT INTO effects (id, key) VALUES (${event.id}, ${event.data.key})`)
            })
          },
          dedup: { window: "1 day", mode: "transactional" },
          retry: RetryPolicy.make({ delays: Array.from({ length: 20 }, () => "500 millis" as const), jitter: "none" }),
          lease: "2 seconds"
        })
        const client = Layer.succeed(SqlClient.SqlClient, sql)
        const broker = RabbitMqBroker.layer({
          url: server.url,
          reconnect: { base: "50 millis", cap: "500 millis" }
        })
        yield* Layer.build(consumer.layer.pipe(Layer.provide([broker, SqlStores.layer]), Layer.provide(client)))
        const { depth } = yield* Effect.map(Layer.build(SqlOutbox.layer.pipe(Layer.provide(client))), (context) =>
          Outbox.Outbox.pipe(Effect.provideContext(context))
        ).pipe(Effect.flatten)

        const role = (does: Role["does"]): Role => ({ ...names, amqpUrl: server.url, databaseUrl, does, keys: 6 })
        const running = {
          write: [yield* start(role("write")), yield* start(role("write"))],
          relay: [yield* start(role("relay")), yield* start(role("relay"))]
        }
        const killed = { write: 0, relay: 0, broker: 0 }
        for (let kill = 0; kill < kills; kill++) {
          yield* Effect.sleep(yield* between(100, 1500))
          // The few of a short run are one of each.
          const dice = isThorough ? yield* Random.next : [0.1, 0.5, 0.95][kill % 3]!
          const victim = dice < 0.4 ? "write" : dice < 0.85 ? "relay" : "broker"
          killed[victim]++
          if (victim === "broker") {
            yield* server.kill
            yield* Effect.sleep(yield* between(0, 1000))
            yield* server.start
          } else {
            const place = (yield* Random.next) < 0.5 ? 0 : 1
            yield* running[victim][place]!.kill
            running[victim][place] = yield* start(role(victim))
          }
        }
        yield* Effect.sleep(500)
        for (const { kill } of running.write) yield* kill

        const ledger = yield* sql<{ id: string; key: string; n: number }>`SELECT id, key, n FROM ledger ORDER BY serial`
        const distinct = Effect.map(sql<{ n: unknown }>`SELECT count(DISTINCT id) AS n FROM effects`, ([row]) =>
          Number(row!.n)
        )
        const pending = Effect.map(Effect.retry(depth, Schedule.spaced(100)), (all) =>
          all.reduce((sum, each) => sum + each.pending, 0)
        )
        yield* until(Effect.map(Effect.all([pending, distinct]), ([pending, n]) => pending === 0 && n >= ledger.length))
        for (const { kill } of running.relay) yield* kill

        const effects = yield* sql<{ id: string; key: string }>`SELECT id, key FROM effects ORDER BY serial`
        const numbers = new Map(ledger.map(({ id, n }) => [id, n]))
        const phantom = effects.filter(({ id }) => !numbers.has(id))
        const seen = new Set(effects.map(({ id }) => id))
        const lost = ledger.filter(({ id }) => !seen.has(id))
        console.log(
          `outbox: seed ${seed}, kills ${JSON.stringify(killed)}, committed ${ledger.length}, handled ${handled}, ` +
            `effects ${effects.length}, lost ${lost.length}, of no transaction ${phantom.length}`
        )
        assert.deepStrictEqual({ lost, phantom }, { lost: [], phantom: [] })
        assert.strictEqual(effects.length, ledger.length)
        assert.isAbove(ledger.length, 50)
        for (const key of new Set(ledger.map((row) => row.key))) {
          const order = effects.filter((row) => row.key === key).map(({ id }) => numbers.get(id)!)
          assert.deepStrictEqual(
            order,
            Array.from(order, (_, n) => n + 1),
            key
          )
        }
        assert.strictEqual(
          (yield* depth).reduce((sum, { setAside }) => sum + setAside, 0),
          0
        )
      }).pipe(Random.withSeed(seed)),
    { timeout: isThorough ? 900_000 : 180_000 }
  )
})
