/** One of several processes that share a database and its sagas. It begins when it is told to, and ends in order likewise. */
import { NodeHttpClient } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Deferred, Effect, Layer, Logger, Redacted } from "effect"
import * as readline from "node:readline"
import { SqlSagas } from "../../../src/sql/index.ts"
import { Sqlite } from "../../../src/sqlite/index.ts"
import { Effects, sagas, type Shift, unbounded } from "./sagas.ts"

const { database, orders, work } = JSON.parse(process.argv[2]!) as Shift

const say = (message: unknown) => Effect.sync(() => console.log(JSON.stringify(message)))

const begin = Deferred.makeUnsafe<void>()
const stop = Deferred.makeUnsafe<void>()
const input = readline.createInterface({ input: process.stdin })
input.on("line", (line) => {
  if (line === '"begin"') return Deferred.doneUnsafe(begin, Effect.void)
  input.close()
  // Else it keeps the process alive.
  process.stdin.destroy()
  return Deferred.doneUnsafe(stop, Effect.void)
})

const client =
  database._tag === "sqlite"
    ? Sqlite.layer({ filename: database.filename })
    : PgClient.layer({ url: Redacted.make(database.url), maxConnections: 8 })

const runner = Layer.mergeAll(sagas.completes.layer, sagas["rolls-back"].layer).pipe(
  Layer.provideMerge(SqlSagas.layerWith({ takeover: "3 seconds", poll: "100 millis" })),
  Layer.provide([
    Layer.orDie(client),
    unbounded,
    Layer.orDie(Effects.layer.pipe(Layer.provide(NodeHttpClient.layerUndici)))
  ])
)

await Effect.runPromise(
  Effect.gen(function* () {
    yield* say({ _tag: "Up" })
    yield* Deferred.await(begin)
    yield* Effect.forEach(
      orders,
      ({ order, variant }) => Effect.andThen(sagas[variant].start({ order, work }), say({ _tag: "Started", order })),
      { concurrency: 4, discard: true }
    )
    yield* say({ _tag: "Ready" })
    yield* Deferred.await(stop)
  }).pipe(
    Effect.provide(runner),
    Effect.scoped,
    // Standard output is for messages.
    Effect.provide(Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]))
  )
)
process.exit(0)
