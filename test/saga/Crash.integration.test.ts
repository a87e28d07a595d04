import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { databaseUrl, describePostgres } from "../servers/Servers.ts"
import * as Databases from "./kill/databases.ts"
import * as Harness from "./kill/harness.ts"
import * as Provider from "./kill/provider.ts"

/** A share that takes boundaries before and after what happens, of every kind. */
const every = Harness.isThorough ? 1 : 21

/** Sagas of one process, which is killed once each of them is where it is to end. */
const together = Harness.isThorough ? 8 : 6

const explore = Effect.fnUntraced(function* (where: string, databases: Databases.Databases) {
  const provider = yield* Provider.make
  const traced = yield* Harness.trace(databases, provider)
  const all = traced.flatMap((traced) => traced.boundaries.map((boundary): Harness.Point => ({ traced, boundary })))
  const points = all.filter((_, index) => index % every === 0)
  const batches = Array.from({ length: Math.ceil(points.length / together) }, (_, index) =>
    points.slice(index * together, (index + 1) * together)
  )
  const tried = (yield* Effect.forEach(batches, (batch) => Harness.crash(batch, databases, provider), {
    concurrency: 2
  })).flat()
  console.log(`crashes of sagas on ${where}: ${tried.length} tried, of ${all.length} boundaries traced`)

  assert.deepStrictEqual(
    tried.flatMap(({ point, problem }) => (problem === undefined ? [] : [`${Harness.nameOf(point)}: ${problem}`])),
    []
  )
  const names = (points: ReadonlyArray<Harness.Point>) => points.map(Harness.nameOf).toSorted()
  const wanted = names(Harness.isThorough ? all : points)
  assert.deepStrictEqual(names(tried.map(({ point }) => point)), wanted)
  assert.strictEqual(new Set(wanted).size, wanted.length)
})

const timeout = Harness.isThorough ? 1_800_000 : 240_000

describe("A saga whose process is killed, on SQLite", () => {
  it.live(
    "ends as without that, wherever it was",
    () => Effect.flatMap(Databases.sqlite, (databases) => explore("SQLite", databases)),
    timeout
  )
})

describePostgres("A saga whose process is killed, on PostgreSQL", () => {
  it.live(
    "ends as without that, wherever it was",
    () => Effect.flatMap(Databases.postgres(databaseUrl), (databases) => explore("PostgreSQL", databases)),
    timeout
  )
})
