import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, Schema } from "effect"
import { RunnerAddress } from "effect/cluster"
import { Saga, Sagas } from "effect-integration/saga"
import { SqlSagas } from "effect-integration/sql"
import * as net from "node:net"
import { databaseUrl, describePostgres } from "../servers/Servers.ts"

const freePort = Effect.callback<number>((resume) => {
  const server = net.createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

const runner = Effect.fnUntraced(function* (name: string, ran: Array<string>) {
  const address = RunnerAddress.make("127.0.0.1", yield* freePort)
  const saga = Saga.make("clustered", { payload: Schema.Struct({ key: Schema.String }), idempotencyKey: (p) => p.key })
    .step("one", {
      success: Schema.String,
      run: ({ key }) => Effect.sync(() => `${name}:${ran.push(`${key} ${name}`) > 0 ? key : ""}`),
      compensate: () => Effect.void
    })
    .step("two", { run: () => Effect.void, irreversible: "done" })
  const cluster = NodeClusterSocket.layer({
    storage: "sql",
    shardingConfig: {
      runnerAddress: Option.some(address),
      refreshAssignmentsInterval: "200 millis",
      entityMessagePollInterval: "200 millis"
    }
  })
  const database = PgClient.layer({ url: Redacted.make(yield* databaseUrl) })
  const context = yield* Layer.build(
    saga.layer.pipe(Layer.provideMerge(SqlSagas.layerCluster), Layer.provide(cluster), Layer.provide(database))
  )
  return { saga, context }
})

describePostgres("Sagas on an Effect Cluster", () => {
  it.live("are shared by its runners, wherever they are started", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const first = yield* runner("first", ran)
      const second = yield* runner("second", ran)
      const by = (name: string) => ran.filter((line) => line.endsWith(name)).length
      const stamp = process.hrtime.bigint()
      const keys: Array<string> = []
      // The second gets its share of them once it is known to the first.
      while (keys.length < 40 || by("second") === 0) {
        assert.isBelow(keys.length, 2000, "the second runs nothing")
        const more = Array.from({ length: 20 }, (_, index) => `${stamp}-${keys.length + index}`)
        keys.push(...more)
        const outcomes = yield* Effect.forEach(more, (key) => first.saga.execute({ key }), { concurrency: 10 }).pipe(
          Effect.provide(first.context)
        )
        assert.deepStrictEqual(new Set(outcomes.map(({ _tag }) => _tag)), new Set(["Completed"]))
      }
      assert.strictEqual(ran.length, keys.length, "each step once")
      assert.isAbove(by("first"), 0)
      // Joined on the other runner, and known to its history.
      const joined = yield* Effect.provide(second.saga.execute({ key: keys[0]! }), second.context)
      assert.strictEqual(joined._tag, "Completed")
      assert.strictEqual(ran.length, keys.length, "joined, and not run again")
      assert.strictEqual((yield* Effect.provide(Sagas.find(joined.id), second.context)).state, "completed")
    })
  )
})
