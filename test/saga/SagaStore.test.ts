import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { SagaStore } from "effect-integration/saga"
import { SqlSagaStore } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"
import * as fixture from "./fixture.ts"
import { suite } from "./storeSuite.ts"

const sqlite = Layer.unwrap(
  Effect.map(fixture.filename, (filename) =>
    SqlSagaStore.layer.pipe(Layer.provideMerge(Layer.fresh(Sqlite.layer({ filename }))))
  )
)
const stores = { memory: SagaStore.layerMemory, "SQLite, a file": sqlite }

for (const [where, layer] of Object.entries(stores)) {
  describe(`the store of sagas: ${where}`, () => {
    it.live.each(Object.entries(suite))("%s", ([, test]) => Effect.provide(test, Layer.fresh(layer)))
  })
}

describe("the store of sagas on SQLite", () => {
  it.live("names the operation, and tells nothing of the data, when the database fails", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const store = yield* SagaStore.SagaStore
      yield* sql`DROP TABLE saga_history`
      yield* sql`DROP TABLE sagas`
      const begun = { _tag: "Begun", saga: "s", key: "secret", digest: "d", definition: "a" } as const
      const errors = yield* Effect.all([
        Effect.flip(store.record("secret", begun)),
        Effect.flip(store.find("secret")),
        Effect.flip(store.list({ saga: "secret" })),
        Effect.flip(store.history("secret"))
      ])
      for (const error of errors) {
        assert.strictEqual(error._tag, "SagaStoreError")
        assert.notInclude(JSON.stringify(error) + error.message, "secret")
        assert.deepInclude({ ...error.errorAction }, { kind: "retry", outage: true })
      }
      assert.strictEqual(new Set(errors.map(({ operation }) => operation)).size, 4)
    }).pipe(Effect.provide(sqlite))
  )
})
