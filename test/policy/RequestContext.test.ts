import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as RequestContext from "../../src/policy/RequestContext.ts"

describe("RequestContext", () => {
  it.effect("is empty by default, and is inherited by forked fibers", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* RequestContext.RequestContext, {})
      const inherited = yield* Effect.all([RequestContext.RequestContext, RequestContext.RequestContext], {
        concurrency: 2
      }).pipe(RequestContext.withRequestId("r-1"))
      assert.deepStrictEqual(inherited, [{ requestId: "r-1" }, { requestId: "r-1" }])
    })
  )

  it.effect("a nested deadline can only come nearer, and the request id stays", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust(1000)
      const deadline = Effect.map(RequestContext.RequestContext, (context) => context.deadline)
      assert.strictEqual(yield* deadline.pipe(RequestContext.withDeadline("1 second")), 2000)
      const wider = deadline.pipe(RequestContext.withDeadline("1 hour"), RequestContext.withDeadline("1 second"))
      assert.strictEqual(yield* wider, 2000)
      const nearer = deadline.pipe(RequestContext.withDeadline("1 second"), RequestContext.withDeadline("1 hour"))
      assert.strictEqual(yield* nearer, 2000)
      const both = RequestContext.RequestContext.pipe(
        RequestContext.withDeadline("1 second"),
        RequestContext.withRequestId("r")
      )
      assert.deepStrictEqual(yield* both, { requestId: "r", deadline: 2000 })
    })
  )

  it.effect("the deadline counts from when the effect runs, not from when it is described", () =>
    Effect.gen(function* () {
      const deadline = Effect.map(RequestContext.RequestContext, (context) => context.deadline).pipe(
        RequestContext.withDeadline("1 second")
      )
      assert.strictEqual(yield* deadline, 1000)
      yield* TestClock.adjust(500)
      assert.strictEqual(yield* deadline, 1500)
    })
  )

  it.effect("ids are random UUIDs of version 4, and can be replaced", () =>
    Effect.gen(function* () {
      const make = yield* RequestContext.IdGenerator
      assert.match(make(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.notStrictEqual(make(), make())
      const fixed = yield* RequestContext.IdGenerator.pipe(
        Effect.provideService(RequestContext.IdGenerator, () => "fixed")
      )
      assert.strictEqual(fixed(), "fixed")
    })
  )
})
