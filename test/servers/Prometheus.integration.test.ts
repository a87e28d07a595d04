import { assert, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { isOpen } from "./Port.ts"
import { describePrometheus, make } from "./Prometheus.ts"
import { isAlive } from "./Supervised.ts"

describePrometheus("a Prometheus of its own", () => {
  it.live("answers queries, and ends with the scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(make({ targets: ["127.0.0.1:1"] }), scope)
      assert.deepStrictEqual(yield* server.query("vector(7)"), [{ labels: {}, value: 7 }])
      assert.isTrue(isAlive(server.pid))
      const error = yield* Effect.flip(server.query("up{"))
      assert.match(error.message, /query\?query=up%7B: .*400.*parse error/)
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(isAlive(server.pid))
      assert.isFalse(yield* isOpen(Number(new URL(server.url).port)))
    })
  )

  it.live("says why it does not start", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(make({ targets: [], rules: "groups: [{}]" }))
      assert.match(error.message, /prometheus ended with 1[^]*Groupname must not be empty/)
    })
  )
})
