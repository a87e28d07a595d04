/** Processes that share one database and its sagas, and what has become of these. */
import { PgClient } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { SagaStore } from "effect-integration/saga"
import { SqlSagaStore } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"
import * as ChildProcess from "../../servers/ChildProcess.ts"
import { until } from "../../servers/until.ts"
import { environment } from "./harness.ts"
import type { Provider } from "./provider.ts"
import type { Database, Shift } from "./sagas.ts"

export type Orders = Shift["orders"]

/** Every third is rolled back. */
export const ordersOf = (prefix: string, count: number): Orders =>
  Array.from({ length: count }, (_, n) => ({
    order: `${prefix}-${n}`,
    variant: n % 3 === 2 ? "rolls-back" : "completes"
  }))

/** Starts a process that runs sagas, its own and those of others; returns when it could. */
export const start = Effect.fnUntraced(function* (shift: Shift, provider: Provider) {
  const child = yield* ChildProcess.make("test/saga/kill/runner.ts", {
    args: [JSON.stringify(shift)],
    env: environment(provider)
  })
  let up = false
  let ready = false
  const started = new Set<string>()
  const listening = yield* Effect.forkScoped(
    Effect.forever(
      Effect.map(child.next, (message) => {
        const { _tag, order } = message as { readonly _tag: string; readonly order: string }
        if (_tag === "Up") up = true
        else if (_tag === "Ready") ready = true
        else started.add(order)
      })
    )
  )
  /** Waits; dies with what the process wrote when it ends before. */
  const whileAlive = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.raceFirst(self, Fiber.join(listening))
  yield* whileAlive(until(Effect.sync(() => up)))
  return {
    pid: child.pid,
    started,
    signal: child.kill,
    stderr: child.stderr,
    whileAlive,
    /** Starts its sagas; returns when all are started. */
    begin: Effect.andThen(child.send("begin"), whileAlive(until(Effect.sync(() => ready)))),
    kill: Effect.andThen(child.kill("SIGKILL"), Effect.asVoid(Fiber.await(listening))),
    stop: Effect.gen(function* () {
      yield* child.send("stop")
      const { code, signal } = yield* child.exit
      if (code !== 0) return yield* Effect.die(new Error(`ended with ${code ?? signal}:\n${yield* child.stderr}`))
    })
  }
})

/** A look at a database from outside. */
export const look = Effect.fnUntraced(function* (database: Database) {
  const client =
    database._tag === "sqlite"
      ? Sqlite.layer({ filename: database.filename, busyTimeout: "30 seconds" })
      : PgClient.layer({ url: Redacted.make(database.url), maxConnections: 2 })
  const context = yield* Layer.build(Layer.fresh(Layer.provideMerge(SqlSagaStore.layer, client)))
  const store = Context.get(context, SagaStore.SagaStore)
  const sql = Context.get(context, SqlClient.SqlClient)
  const list = store.list({ limit: 10_000 })
  return {
    list,
    store,
    /** Waits until so many processes have a share of the sagas. */
    shared: (processes: number) =>
      until(
        Effect.map(
          database._tag === "sqlite"
            ? sql<{ readonly n: unknown }>`SELECT count(DISTINCT address) AS n FROM saga_locks`
            : sql<{ readonly n: unknown }>`SELECT count(DISTINCT pid) AS n FROM pg_locks WHERE locktype = 'advisory'
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
          ([row]) => Number(row!.n) === processes
        )
      ),
    /** Waits until all of them have ended, and the engine has nothing left to do. */
    ended: (orders: Orders) =>
      until(
        Effect.gen(function* () {
          const found = yield* list
          if (found.filter(({ state }) => state !== "running").length < orders.length) return false
          const [left] = yield* sql<{
            readonly n: unknown
          }>`SELECT count(*) AS n FROM saga_messages WHERE NOT processed`
          return Number(left!.n) === 0
        }).pipe(Effect.orElseSucceed(() => false))
      )
  }
})

const steps = ["one", "two", "three", "four", "five"] as const

/** The last step of those that roll back is refused. Where an attempt of it was cut off, it is undone nevertheless. */
const effectsOf = (variant: Orders[number]["variant"], undoesFive: boolean): ReadonlyArray<string> => {
  const receipt = (index: number) => (index < 0 ? "nothing" : `receipt of run ${steps[index]}`)
  const run = steps.map((step, index) => `run ${step} given ${receipt(index - 1)}`)
  if (variant === "completes") return run
  const undone = steps.slice(0, 4).map((step, index) => `compensate ${step} given ${receipt(index)}`)
  return [...run.slice(0, 4), ...(undoesFive ? ["compensate five given nothing"] : []), ...undone.toReversed()]
}

/** How many effects there are. */
export const done = (provider: Provider, orders: Orders): number =>
  orders.reduce((sum, { order }) => sum + provider.doneFor(order).effects.length, 0)

/** Orders that a process was the last to work on, and that have effects to come. */
export const unfinished = (provider: Provider, orders: Orders, pid: number): Orders =>
  orders.filter(({ order, variant }) => {
    const { effects, processes } = provider.doneFor(order)
    return Array.from(processes).at(-1) === pid && effects.length < effectsOf(variant, false).length
  })

/** Orders that more than one process worked on. */
export const handedOver = (provider: Provider, orders: Orders): number =>
  orders.filter(({ order }) => provider.doneFor(order).processes.size > 1).length

/** How often the provider was asked, beyond once for each key. */
export const repeated = (provider: Provider, orders: Orders): number =>
  orders
    .flatMap(({ order }) => Array.from(provider.doneFor(order).demands.values()))
    .reduce((sum, count) => sum + count - 1, 0)

/** Each saga has ended as it should, and each of its effects was had once, in its order. */
export const verify = Effect.fnUntraced(function* (
  orders: Orders,
  provider: Provider,
  list: Effect.Effect<ReadonlyArray<SagaStore.Instance>, unknown>
) {
  const found = new Map((yield* list).map((instance) => [instance.key, instance]))
  assert.deepStrictEqual(Array.from(found.keys()).toSorted(), orders.map(({ order }) => order).toSorted())
  const wrong = orders.flatMap(({ order, variant }) => {
    const { failure, state } = found.get(order)!
    const { demands, effects } = provider.doneFor(order)
    const fiveAgain = Array.from(demands).some(([key, count]) => key.includes("/run/five/") && count > 1)
    const undoesFive = fiveAgain && effects.length > 8
    const wanted = {
      state: variant === "completes" ? "completed" : "rolledBack",
      effects: effectsOf(variant, undoesFive)
    }
    const isSame = JSON.stringify({ state, effects }) === JSON.stringify(wanted)
    return isSame ? [] : [JSON.stringify({ order, state, failure, effects })]
  })
  assert.deepStrictEqual(wrong, [])
  assert.isTrue(
    orders.every(({ order, variant }) => variant === "completes" || found.get(order)!.failure?.tag === "BusinessRule")
  )
})
