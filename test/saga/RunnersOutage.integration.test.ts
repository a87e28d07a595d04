import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { SagaStore } from "effect-integration/saga"
import * as Postgres from "../servers/Postgres.ts"
import { describeOwnPostgres } from "../servers/Servers.ts"
import { until } from "../servers/until.ts"
import * as Provider from "./kill/provider.ts"
import * as Shared from "./kill/shared.ts"

describeOwnPostgres("Sagas whose PostgreSQL is killed and comes back", () => {
  it.live(
    "all end, and nothing is done twice",
    () =>
      Effect.gen(function* () {
        const provider = yield* Provider.make
        const server = yield* Postgres.make({ durable: true })
        const database = { _tag: "pg", url: server.url } as const
        const orders = Shared.ordersOf("outage", 20)
        const runner = yield* Shared.start({ database, orders, work: 30 }, provider)
        yield* runner.begin
        yield* until(Effect.sync(() => Shared.done(provider, orders) >= 30))
        yield* server.kill
        yield* runner.whileAlive(until(Effect.map(runner.stderr, (log) => log.includes("tried again"))))
        yield* server.start
        const view = yield* Shared.look(database)
        yield* runner.whileAlive(view.ended(orders))
        const [effects, again] = [Shared.done(provider, orders), Shared.repeated(provider, orders)]
        console.log(`PostgreSQL killed: ${effects} effects, ${again} asked for again`)
        yield* Shared.verify(orders, provider, view.list)
        for (const { id } of yield* view.list) {
          const failures = (yield* view.store.history(id)).flatMap(({ entry }) =>
            entry._tag === "AttemptEnded" && entry.failure !== undefined ? [entry.failure.tag] : []
          )
          assert.deepStrictEqual(
            failures.filter((tag) => tag !== "BusinessRule"),
            []
          )
          const names = (yield* view.store.history(id)).map(({ entry }) => SagaStore.nameOf(entry))
          assert.strictEqual(names.filter((name) => name === "ended").length, 1)
        }
        yield* runner.stop
      }),
    180_000
  )
})
