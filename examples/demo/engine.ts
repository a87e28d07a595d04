/**
 * What runs sagas durably: an engine on SQLite, whose file goes with the demo.
 */
import { Effect, FileSystem, Layer } from "effect"
import { SqlSagas } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"

/** Each engine that is made of the layer has the same file. */
export const make = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const filename = `${yield* files.makeTempDirectoryScoped({ prefix: "sagas-" })}/sagas.db`
  return Layer.provide(SqlSagas.layer, Sqlite.layer({ filename, synchronous: "normal" }))
})
