import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { SqlClient } from "effect/sql"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Sqlite } from "effect-integration/sqlite"

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "sqlite-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** A client of its own, as another process would have. */
const client = (options: Sqlite.Options) =>
  Effect.map(Layer.build(Layer.fresh(Sqlite.layer(options))), (context) => Context.get(context, SqlClient.SqlClient))

describe("Sqlite", () => {
  it.effect("keeps texts, numbers, bigints, booleans, blobs and nothing", () =>
    Effect.gen(function* () {
      const sql = yield* client({ filename: ":memory:" })
      yield* sql`CREATE TABLE t (a TEXT, b INTEGER, c INTEGER, d INTEGER, e BLOB, f TEXT, g REAL)`
      const big = 9_007_199_254_740_993n
      yield* sql`INSERT INTO t VALUES (${"ä'\0🚀"}, ${42}, ${big}, ${true}, ${new Uint8Array([0, 255, 10])}, ${null}, ${1.5})`
      assert.deepStrictEqual(yield* sql`SELECT * FROM t`, [
        { a: "ä'\0🚀", b: 42, c: big, d: 1, e: new Uint8Array([0, 255, 10]), f: null, g: 1.5 }
      ])
      assert.deepStrictEqual(yield* sql`SELECT b, c FROM t`.values, [[42, big]])
      const safe = sql`SELECT b FROM t`.pipe(Effect.provideService(SqlClient.SafeIntegers, true))
      assert.deepStrictEqual(yield* safe, [{ b: 42n }])
    })
  )

  it.effect("streams more rows than are read at once", () =>
    Effect.gen(function* () {
      const sql = yield* client({ filename: ":memory:" })
      const numbers = sql<{
        n: number
      }>`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300) SELECT n FROM c`
      const rows = yield* Stream.runCollect(numbers.stream)
      assert.deepStrictEqual(
        rows.map((row) => row.n),
        Array.from({ length: 300 }, (_, n) => n + 1)
      )
    })
  )

  it.effect("says which constraint was violated, also of a primary key and a foreign key", () =>
    Effect.gen(function* () {
      const sql = yield* client({ filename: ":memory:" })
      yield* sql`CREATE TABLE parents (id TEXT PRIMARY KEY)`
      yield* sql`CREATE TABLE children (parent TEXT REFERENCES parents (id))`
      yield* sql`INSERT INTO parents VALUES ('a')`
      const twice = yield* Effect.flip(sql`INSERT INTO parents VALUES ('a')`)
      assert.strictEqual(twice.reason._tag, "UniqueViolation")
      const orphan = yield* Effect.flip(sql`INSERT INTO children VALUES ('b')`)
      assert.strictEqual(orphan.reason._tag, "ConstraintError")
    })
  )

  it.effect("rolls back on failure, defect and interruption, and nests", () =>
    Effect.gen(function* () {
      const sql = yield* client({ filename: ":memory:" })
      yield* sql`CREATE TABLE t (n INTEGER)`
      const insert = (n: number) => sql`INSERT INTO t VALUES (${n})`
      yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(1), Effect.fail("no"))))
      yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(2), Effect.die("no"))))
      const begun = yield* Effect.forkChild(sql.withTransaction(Effect.andThen(insert(3), Effect.never)), {
        startImmediately: true
      })
      yield* Fiber.interrupt(begun)
      yield* sql.withTransaction(
        Effect.andThen(insert(4), Effect.exit(sql.withTransaction(Effect.andThen(insert(5), Effect.fail("no")))))
      )
      assert.deepStrictEqual(yield* sql`SELECT n FROM t`, [{ n: 4 }])
    })
  )

  it.effect("runs one transaction after another, and statements between them", () =>
    Effect.gen(function* () {
      const sql = yield* client({ filename: ":memory:" })
      yield* sql`CREATE TABLE t (n INTEGER)`
      yield* sql`INSERT INTO t VALUES (0)`
      const increment = sql.withTransaction(
        Effect.gen(function* () {
          const [row] = yield* sql<{ n: number }>`SELECT n FROM t`
          yield* Effect.yieldNow
          yield* sql`UPDATE t SET n = ${row!.n + 1}`
        })
      )
      yield* Effect.all(
        Array.from({ length: 50 }, () => increment),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(yield* sql`SELECT n FROM t`, [{ n: 50 }])
    })
  )

  it.live("waits for another process's transaction without blocking, for as long as it may", () =>
    Effect.gen(function* () {
      const filename = path.join(yield* directory, "a.db")
      const one = yield* client({ filename })
      const two = yield* client({ filename })
      const hasty = yield* client({ filename, busyTimeout: "20 millis" })
      yield* one`CREATE TABLE t (n INTEGER)`
      let inside = false
      const waiting = yield* one.withTransaction(
        Effect.gen(function* () {
          yield* one`INSERT INTO t VALUES (1)`
          const waiting = yield* Effect.forkDetach(two.withTransaction(Effect.sync(() => (inside = true))))
          const error = yield* Effect.flip(hasty`INSERT INTO t VALUES (2)`)
          assert.strictEqual(error.reason._tag, "LockTimeoutError")
          assert.isFalse(inside)
          return waiting
        })
      )
      yield* Fiber.join(waiting)
      assert.isTrue(inside)
      assert.deepStrictEqual(yield* hasty`SELECT n FROM t`, [{ n: 1 }])
    })
  )

  it.effect("closes the file with the scope", () =>
    Effect.gen(function* () {
      const filename = path.join(yield* directory, "a.db")
      const closed = yield* Effect.scoped(Effect.tap(client({ filename }), (sql) => sql`CREATE TABLE t (n INTEGER)`))
      assert.isFalse(fs.existsSync(`${filename}-wal`))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(closed`SELECT 1`)))
    })
  )

  it.effect("fails where the file cannot be opened, and refuses options that make no sense", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(client({ filename: "/nowhere/at/all.db" }))
      assert.strictEqual(error.reason._tag, "ConnectionError")
      for (const options of [
        { filename: " " },
        { filename: ":memory:", busyTimeout: "-1 second" as const },
        { filename: ":memory:", preparedStatements: 0 }
      ]) {
        const exit = yield* Effect.exit(client(options))
        assert.isTrue(Exit.isFailure(exit))
        assert.propertyVal(Exit.isFailure(exit) ? Cause.squash(exit.cause) : {}, "_tag", "InvalidOption")
      }
    })
  )
})
