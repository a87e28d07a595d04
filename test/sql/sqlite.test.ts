import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DedupStore, Parking } from "effect-integration/event"
import { DedupStoreSuite, ParkingSuite } from "effect-integration/testing"
import * as clients from "./clients.ts"
import { createNotes, event, features, long, notes, stores } from "./features.ts"

const filename = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "sqlite-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
).pipe(Effect.map((directory) => path.join(directory, "a.db")))

/** Two clients of one database; of memory they are the same. */
const databases = {
  file: Effect.flatMap(filename, (file) => Effect.all([clients.sqlite(file), clients.sqlite(file)])),
  memory: Effect.map(clients.sqlite(":memory:"), (sql) => [sql, sql] as const)
}

/** The suites are data before there is a store, so each test makes its own. */
const names = {
  name: "names",
  time: "real",
  transactional: { write: () => Effect.void, isWritten: () => Effect.succeed(true) }
} as const

for (const [where, database] of Object.entries(databases)) {
  describe(`SqlDedupStore on SQLite, ${where}`, () => {
    DedupStoreSuite.make(names).forEach((test, n) =>
      it.live(test.name, () =>
        Effect.gen(function* () {
          const [one, two] = yield* database
          yield* createNotes(one)
          const { dedup } = yield* stores(one)
          const shared = one === two ? dedup : (yield* stores(two)).dedup
          const suite = DedupStoreSuite.make({ ...names, shared: Effect.succeed(shared), transactional: notes(one) })
          yield* Effect.provideService(suite[n]!.run, DedupStore.DedupStore, dedup)
        })
      )
    )
  })

  describe(`SqlParking on SQLite, ${where}`, () => {
    ParkingSuite.make(names).forEach((test, n) =>
      it.live(test.name, () =>
        Effect.gen(function* () {
          const [one, two] = yield* database
          const { parking } = yield* stores(one)
          const shared = one === two ? parking : (yield* stores(two)).parking
          const suite = ParkingSuite.make({ ...names, shared: Effect.succeed(shared) })
          yield* Effect.provideService(suite[n]!.run, Parking.Parking, parking)
        })
      )
    )
  })

  describe(`SqlStores on SQLite, ${where}`, () => {
    it.live.each(Object.entries(features))("%s", ([, feature]) =>
      Effect.flatMap(database, ([one, two]) => feature(one, two))
    )
  })
}

describe("SqlStores", () => {
  it.live("work on a client that renames columns", () =>
    Effect.gen(function* () {
      const rename = {
        transformResultNames: (name: string) => name.toUpperCase(),
        transformQueryNames: (name: string) => `x_${name}`
      }
      const { dedup, parking } = yield* stores(yield* clients.sqlite(":memory:", rename))
      assert.strictEqual((yield* dedup.claim("g", event("1"), long))._tag, "Claimed")
      assert.strictEqual((yield* parking.acquire("g", "k", "o", long))._tag, "Acquired")
      assert.strictEqual((yield* parking.acquire("g", "k", "p", long))._tag, "Held")
    })
  )

  it.live("do not migrate where they are told not to", () =>
    Effect.gen(function* () {
      const sql = yield* clients.sqlite(":memory:")
      const { dedup } = yield* stores(sql, { migrate: false })
      assert.strictEqual((yield* Effect.flip(dedup.claim("g", event("1"), long)))._tag, "DedupStoreError")
      assert.deepStrictEqual(yield* sql`SELECT name FROM sqlite_master`, [])
    })
  )
})
