/** A process that runs sagas, each on a database of its own, and may kill itself in the middle of them. */
import { NodeHttpClient } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Logger, Option, Redacted } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import { Sagas, SagaStore } from "../../../src/saga/index.ts"
import { SqlSagas } from "../../../src/sql/index.ts"
import { Sqlite } from "../../../src/sqlite/index.ts"
import { until } from "../../servers/until.ts"
import * as boundaries from "./boundaries.ts"
import { type Database, Effects, type Job, type Report, type Run, sagas } from "./sagas.ts"

const { runs } = JSON.parse(process.argv[2]!) as Job

const say = (report: Report) => Effect.sync(() => console.log(JSON.stringify(report)))

const clientOf = (database: Database) =>
  database._tag === "sqlite"
    ? Sqlite.layer({ filename: database.filename })
    : PgClient.layer({ url: Redacted.make(database.url), maxConnections: 3 })

let moving = runs.length
const onStop = () => {
  moving -= 1
  if (moving === 0) process.kill(process.pid, "SIGKILL")
}

const effects = Effects.layer.pipe(Layer.provide(NodeHttpClient.layerUndici))

const perform = ({ crashAt, database, order, start, variant }: Run) => {
  const saga = sagas[variant]
  const tracer = boundaries.make(crashAt, onStop)
  const layer = Layer.fresh(
    saga.layer.pipe(
      Layer.provideMerge(SqlSagas.layerWith({ takeover: "3 seconds", poll: "100 millis" })),
      Layer.provideMerge(boundaries.layer(tracer)),
      Layer.provide([Layer.orDie(clientOf(database)), Reactivity.layer, Layer.orDie(effects)])
    )
  )
  const isQuiet = () =>
    tracer.reached.filter((label) => label.startsWith("before ")).length * 2 === tracer.reached.length
  return Effect.gen(function* () {
    if (start) {
      yield* saga.start({ order, work: 0 })
      yield* say({ _tag: "Started", order })
    }
    const id = yield* saga.idOf(order)
    const ended = yield* saga
      .outcome(id)
      .pipe(
        Effect.tap(Effect.sleep("10 millis")),
        Effect.repeat({ until: Option.isSome }),
        Effect.map(Option.getOrThrow)
      )
    yield* until(Effect.sync(isQuiet))
    // It stands still right behind its last write, whose effect can be seen already.
    if (crashAt !== undefined && tracer.reached.includes(crashAt)) return yield* Effect.never
    const { state } = yield* Sagas.find(id)
    const history = yield* Sagas.history(id)
    const entries = history.map(({ entry, runs }) => ({ name: SagaStore.nameOf(entry), runs }))
    // Of no use to anybody, and different in each run.
    const outcome = JSON.parse(JSON.stringify(ended).replaceAll(id, "the saga's id"))
    yield* say({ _tag: "Ended", order, ending: { outcome, state, history: entries }, boundaries: tracer.reached })
    if (crashAt !== undefined) onStop()
  }).pipe(Effect.provide(layer), Effect.scoped)
}

await Effect.runPromise(
  Effect.forEach(runs, perform, { concurrency: "unbounded", discard: true }).pipe(
    Effect.provide(Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]))
  )
)
// Connections of the HTTP client may still be open.
process.exit(0)
