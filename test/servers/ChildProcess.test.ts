import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import * as ChildProcess from "./ChildProcess.ts"
import { isAlive } from "./Supervised.ts"
import { until } from "./until.ts"

const talker = ChildProcess.make("test/servers/talker.ts", { args: ["Ada"], env: { MOOD: "calm" } })

describe("a program as a child process", () => {
  it.live("talks in lines of JSON", () =>
    Effect.gen(function* () {
      const child = yield* talker
      assert.deepStrictEqual(yield* child.next, { name: "Ada", mood: "calm" })
      yield* child.send([1, "two"])
      yield* child.send("three")
      assert.strictEqual(yield* child.nextWhere((message) => typeof message === "string"), "three")
    })
  )

  it.live("is stopped, continued and killed", () =>
    Effect.gen(function* () {
      const child = yield* talker
      yield* child.next
      yield* child.kill("SIGSTOP")
      yield* Effect.sleep("50 millis")
      yield* child.send("hello")
      assert.isTrue((yield* Effect.timeoutOption(child.next, "200 millis"))._tag === "None")
      yield* child.kill("SIGCONT")
      assert.strictEqual(yield* child.next, "hello")
      yield* child.kill("SIGKILL")
      assert.deepStrictEqual(yield* child.exit, { code: null, signal: "SIGKILL" })
      assert.isFalse(isAlive(child.pid))
    })
  )

  it.live("says why it ended when a message is waited for", () =>
    Effect.gen(function* () {
      const child = yield* talker
      yield* child.next
      yield* child.send("fail")
      const exit = yield* Effect.exit(child.next)
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isFailure(exit)) assert.match(Cause.pretty(exit.cause), /ended with 1[^]*told to fail/)
      assert.strictEqual((yield* child.exit).code, 1)
    })
  )

  it.live("has its last lines read, also when they come together with its end", () =>
    Effect.gen(function* () {
      const child = yield* talker
      yield* child.next
      const heard: Array<unknown> = []
      const listening = yield* Effect.forkChild(Effect.forever(Effect.map(child.next, (line) => heard.push(line))), {
        startImmediately: true
      })
      yield* child.send("burst")
      yield* Effect.sleep("10 millis")
      // This process is busy while the lines and the end come, so that it finds all of it at once.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
      yield* Fiber.await(listening)
      assert.strictEqual((yield* child.exit).signal, "SIGKILL")
      assert.lengthOf(heard, 100)
    })
  )

  it.live("ends with the scope, also when it is stopped", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const child = yield* Scope.provide(talker, scope)
      yield* child.next
      yield* child.kill("SIGSTOP")
      yield* Scope.close(scope, Exit.void)
      yield* until(Effect.sync(() => !isAlive(child.pid)))
    })
  )
})
