import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as net from "node:net"
import { StubProvider, Unreachable } from "../../src/testing/index.ts"
import { connect } from "./client.ts"

const listens = (port: number) =>
  Effect.callback<string>((resume) => {
    const server = net.createServer()
    server.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? error.message)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed("listening"))))
  })

describe("Unreachable", () => {
  it.live("refused: the connection is refused, every time", () =>
    Effect.gen(function* () {
      const address = yield* Unreachable.refused
      const codes = yield* Effect.replicateEffect(Effect.flip(connect(address)), 3)
      assert.deepStrictEqual(
        codes.map((error) => error.code),
        ["ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED"]
      )
    })
  )

  it.live("refused: a provider can come up on the port, and go down again", () =>
    Effect.gen(function* () {
      const address = yield* Unreachable.refused
      const up = Effect.gen(function* () {
        yield* StubProvider.make({ port: address.port })
        return yield* connect(address)
      })
      for (let i = 0; i < 3; i++) {
        assert.strictEqual(yield* Effect.scoped(up), "connected")
        assert.strictEqual((yield* Effect.flip(connect(address))).code, "ECONNREFUSED")
      }
    })
  )

  it.live("silent: connecting neither succeeds nor fails", () =>
    Effect.gen(function* () {
      const address = yield* Unreachable.silent
      // An outcome would be there at once on loopback; the time-out is what every client must do here
      const attempts = yield* Effect.all(
        Array.from({ length: 10 }, () => Effect.timeoutOption(Effect.exit(connect(address)), "1500 millis")),
        { concurrency: "unbounded" }
      )
      assert.isTrue(attempts.every((attempt) => attempt._tag === "None"))
    })
  )

  it.live("silent: the port is free again when the scope closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const address = yield* Scope.provide(Unreachable.silent, scope)
      assert.strictEqual(yield* listens(address.port), "EADDRINUSE")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Effect.flip(connect(address))).code, "ECONNREFUSED")
    })
  )
})
