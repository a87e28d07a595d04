import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { databaseUrl, describePostgres } from "../servers/Servers.ts"
import type { ServerUnavailable } from "../servers/Supervised.ts"
import { until } from "../servers/until.ts"
import * as Databases from "./kill/databases.ts"
import * as Provider from "./kill/provider.ts"
import * as Shared from "./kill/shared.ts"

/** How long a step takes, so that a saga is in the middle for a while. */
const work = 200

/** Two processes with 40 sagas, when they are in the middle of them. */
const two = Effect.fnUntraced(function* (databases: Databases.Databases) {
  const provider = yield* Provider.make
  const database = yield* databases.fresh
  const view = yield* Shared.look(database)
  const [first, second] = [Shared.ordersOf("first", 20), Shared.ordersOf("second", 20)]
  const orders = [...first, ...second]
  const [one, other] = yield* Effect.all(
    [
      Shared.start({ database, orders: first, work }, provider),
      Shared.start({ database, orders: second, work }, provider)
    ],
    { concurrency: 2 }
  )
  yield* view.shared(2)
  yield* Effect.all([one.begin, other.begin], { concurrency: 2 })
  const atWork = () => new Set(orders.flatMap(({ order }) => Array.from(provider.doneFor(order).processes))).size
  yield* until(Effect.sync(() => Shared.done(provider, orders) >= 60 && atWork() === 2))
  return { one, other, orders, provider, view }
})

const report = (what: string, where: string, provider: Provider.Provider, orders: Shared.Orders) => {
  const [effects, again] = [Shared.done(provider, orders), Shared.repeated(provider, orders)]
  const over = Shared.handedOver(provider, orders)
  console.log(`${what} on ${where}: ${effects} effects, ${again} asked for again, ${over} sagas taken over`)
}

const suite = (where: string, databases: Effect.Effect<Databases.Databases, ServerUnavailable, Scope.Scope>) => {
  it.live("finish the sagas of one that is killed", () =>
    Effect.gen(function* () {
      const { one, orders, other, provider, view } = yield* two(yield* databases)
      yield* until(Effect.sync(() => Shared.unfinished(provider, orders, one.pid).length >= 3))
      yield* one.kill
      const left = Shared.unfinished(provider, orders, one.pid)
      assert.isAbove(left.length, 0, "it was at work when it was killed")
      yield* other.whileAlive(view.ended(orders))
      report("a process killed", where, provider, orders)
      yield* Shared.verify(orders, provider, view.list)
      // What it was at was ended by the other. Where only the last answer was left to store, there was nothing more to ask.
      assert.isAbove(Shared.handedOver(provider, left), 0)
      // What was under way, one step of a saga each, at most.
      assert.isAtMost(Shared.repeated(provider, orders), orders.length)
      yield* other.stop
    })
  )

  it.live("finish the sagas of one that stalls, and go on with it", () =>
    Effect.gen(function* () {
      const { one, orders, other, provider, view } = yield* two(yield* databases)
      yield* one.signal("SIGSTOP")
      const before = Shared.handedOver(provider, orders)
      // Where it has the file of SQLite locked, nobody can do anything until it goes on.
      yield* Effect.raceFirst(
        until(Effect.sync(() => Shared.handedOver(provider, orders) > before)),
        Effect.sleep("10 seconds")
      )
      yield* one.signal("SIGCONT")
      yield* Effect.all([one.whileAlive(view.ended(orders)), other.whileAlive(Effect.void)])
      report("a process stopped", where, provider, orders)
      yield* one.stop
      yield* other.stop
      yield* Shared.verify(orders, provider, view.list)
    })
  )
}

/** For longer than its locks may go without a sign of it, and not for so long that others take them over. */
const stall = Effect.fnUntraced(function* (child: {
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
}) {
  yield* child.signal("SIGSTOP")
  yield* Effect.sleep("1500 millis")
  yield* child.signal("SIGCONT")
  yield* Effect.sleep("500 millis")
})

const stalling = (where: string, databases: Effect.Effect<Databases.Databases, ServerUnavailable, Scope.Scope>) =>
  it.live.skipIf(process.env.THOROUGH !== "1")("finish all sagas where one stalls several times", () =>
    Effect.gen(function* () {
      const { one, orders, other, provider, view } = yield* two(yield* databases)
      yield* Effect.repeat(stall(one), { times: 5 })
      yield* one.whileAlive(other.whileAlive(view.ended(orders)))
      report("a process stopped several times", where, provider, orders)
      yield* one.stop
      yield* other.stop
      yield* Shared.verify(orders, provider, view.list)
    })
  )

describe("Two processes with one SQLite file", () => {
  suite("SQLite", Databases.sqlite)
  stalling("SQLite", Databases.sqlite)
})

describePostgres("Two processes with one PostgreSQL", () => {
  suite("PostgreSQL", Databases.postgres(databaseUrl))
  stalling("PostgreSQL", Databases.postgres(databaseUrl))
})
