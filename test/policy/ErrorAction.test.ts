import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Duration, Effect, Exit, Fiber, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as ErrorAction from "../../src/policy/ErrorAction.ts"
import * as Policy from "../../src/policy/Policy.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import { Fault, final, observed, retriable, script } from "./observe.ts"

const settle = Effect.yieldNow.pipe(Effect.repeat({ times: 5 }))
const errorOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
const occurrence = (action: ErrorAction.ErrorAction, nextMillis?: number): ErrorAction.Occurrence => ({
  integration: "acts",
  error: new Fault({ errorAction: action }),
  action,
  attempt: 2,
  nextMillis,
  requestId: "r-1"
})

class Declined extends Data.TaggedError("Declined")<{ readonly code?: string }> {}

describe("perform", () => {
  it.effect("logs the error that ends a call at its level, and one that is tried again at most at warn", () =>
    observed((lines) =>
      Effect.gen(function* () {
        const { fail, refresh, retry, skip, wait } = ErrorAction
        for (const action of [fail, retry, wait, skip, refresh]) yield* ErrorAction.perform(occurrence(action))
        assert.deepStrictEqual(
          lines.map((line) => line.level),
          ["Error", "Error", "Warn", "Info", "Error"],
          "a refresh that ends the call was refused again: an error"
        )
        for (const action of [fail, retry, wait, skip, refresh]) yield* ErrorAction.perform(occurrence(action, 100))
        assert.deepStrictEqual(
          lines.slice(5).map((line) => line.level),
          ["Warn", "Warn", "Warn", "Info", "Warn"]
        )
      })
    )
  )

  it.effect("says what happened, how often and what comes next, with bounded attributes", () =>
    observed((lines) =>
      Effect.gen(function* () {
        const error = Object.assign(new Declined({ code: "CARD" }), {
          method: "POST",
          path: "/v1/charges",
          status: 402
        })
        const given = { ...occurrence(ErrorAction.fail), error }
        yield* ErrorAction.perform(given)
        yield* ErrorAction.perform({ ...given, nextMillis: 99.6 })
        assert.strictEqual(lines[0]!.message, "acts: Declined (attempt 2, given up; do not retry)")
        assert.strictEqual(lines[1]!.message, "acts: Declined (attempt 2, next in 100 ms; do not retry)")
        assert.deepStrictEqual(lines[0]!.annotations, {
          "integration.name": "acts",
          "error.type": "Declined",
          "integration.action": "fail",
          "integration.attempt": 2,
          "integration.request_id": "r-1",
          "integration.error.code": "CARD",
          "http.request.method": "POST",
          "url.path": "/v1/charges",
          "http.response.status_code": 402
        })
      })
    )
  )

  it.effect("in a policy: retries warn, the end of the call is an error, a refresh refused again too", () =>
    observed((lines) =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("performs", { retry: RetryPolicy.make({ delays: [0] }) })
        yield* Effect.exit(policy.with({ requestId: "r-2" })(Effect.fail(retriable)))
        assert.deepStrictEqual(
          lines.map((line) => line.level),
          ["Warn", "Error"]
        )
        assert.isTrue(lines.every((line) => line.annotations["integration.request_id"] === "r-2"))
        const unauthorized = new Fault({ errorAction: ErrorAction.refresh, outcome: "unprocessed" })
        yield* Effect.exit(policy.with({ refresh: () => Effect.succeed(true) })(Effect.fail(unauthorized)))
        assert.deepStrictEqual(
          lines.slice(2).map((line) => line.level),
          ["Warn", "Error"]
        )
      })
    )
  )
})

describe("the alert hook", () => {
  const noticing = Effect.fnUntraced(function* <A, E, R>(self: Effect.Effect<A, E, R>) {
    const notices: Array<ErrorAction.Notice> = []
    yield* Effect.provideService(self, ErrorAction.AlertHook, (notice) => Effect.sync(() => notices.push(notice)))
    yield* settle
    return notices
  })
  const alerting = (notify: ErrorAction.ErrorAction["notify"]) =>
    new Fault({ errorAction: ErrorAction.make("retry", { notify }) })

  it.effect("is called once, when the call ends, for alert and escalate only", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("noticed", { retry: RetryPolicy.make({ delays: ["1 second", "1 second"] }) })
      for (const kind of ["none", "alert", "escalate"] as const) {
        const fault = alerting(kind)
        const notices = yield* noticing(
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(Effect.exit(policy.with({ requestId: "r" })(Effect.fail(fault))))
            yield* TestClock.adjust("5 seconds")
            yield* Fiber.join(fiber)
          })
        )
        assert.deepStrictEqual(
          notices.map((notice) => [notice.kind, notice.integration, notice.error, notice.requestId]),
          kind === "none" ? [] : [[kind, "noticed", fault, "r"]]
        )
      }
      const recovered = script(Effect.fail(alerting("alert")), Effect.succeed("ok"))
      const notices = yield* noticing(
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(policy(recovered.effect))
          yield* TestClock.adjust("5 seconds")
          yield* Fiber.join(fiber)
        })
      )
      assert.deepStrictEqual(notices, [], "a call that recovered alerts nobody")
    })
  )

  it.effect("that fails, dies, throws or hangs neither delays nor fails the call", () =>
    observed((lines) =>
      Effect.gen(function* () {
        const policy = yield* Policy.make("bad-hook", {})
        const fault = alerting("alert")
        const hooks: ReadonlyArray<(notice: ErrorAction.Notice) => Effect.Effect<unknown, unknown>> = [
          () => Effect.fail("pager is down"),
          () => Effect.die("pager is down"),
          () => {
            throw new Error("pager is down")
          },
          () => Effect.never,
          () => Effect.interrupt
        ]
        for (const hook of hooks) {
          const exit = yield* policy(Effect.fail(fault)).pipe(
            Effect.provideService(ErrorAction.AlertHook, hook),
            Effect.exit
          )
          assert.strictEqual(errorOf(exit), fault)
        }
        yield* settle
        assert.isAtLeast(lines.filter((line) => line.message.includes("the alert hook failed")).length, 3)
      })
    )
  )

  it.effect("runs on after the call that raised the notice was interrupted", () =>
    Effect.gen(function* () {
      let told = false
      const hook = () =>
        Effect.andThen(
          Effect.sleep("1 second"),
          Effect.sync(() => (told = true))
        )
      const fiber = yield* ErrorAction.perform(occurrence(ErrorAction.make("fail", { notify: "alert" }))).pipe(
        Effect.andThen(Effect.never),
        Effect.provideService(ErrorAction.AlertHook, hook),
        Effect.forkChild
      )
      yield* settle
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 second")
      assert.isTrue(told)
    })
  )
})

describe("an action", () => {
  it("has the defaults of its kind, some of them replaced", () => {
    assert.strictEqual(ErrorAction.make("fail").circuit, "success")
    assert.strictEqual(ErrorAction.make("retry").circuit, "failure")
    assert.strictEqual(ErrorAction.make("wait").circuit, "ignored")
    assert.strictEqual(ErrorAction.make("skip").log, "info")
    assert.isTrue(!ErrorAction.make("retry").outage && ErrorAction.make("wait").outage)
    const changed = ErrorAction.make("fail", { log: "info", guidance: "ask" })
    assert.deepStrictEqual(changed, { ...ErrorAction.fail, log: "info", guidance: "ask" })
  })

  it("survives encoding and decoding, also as JSON", () => {
    const codec = Schema.fromJsonString(ErrorAction.ErrorAction)
    for (const kind of ["fail", "retry", "wait", "skip", "refresh"] as const) {
      const action = ErrorAction.make(kind, { holds: true, notify: "escalate", guidance: "as it says" })
      const text = Schema.encodeUnknownSync(codec)(action)
      assert.deepStrictEqual(Schema.decodeUnknownSync(codec)(text), action)
    }
    assert.throws(() => Schema.decodeUnknownSync(ErrorAction.ErrorAction)({ ...ErrorAction.fail, kind: "shrug" }))
  })
})

describe("classifiers", () => {
  const { classify } = ErrorAction.tags({ Declined: ErrorAction.skip, 404: ErrorAction.fail })

  it("tags decides by tag and leaves the rest", () => {
    assert.strictEqual(classify(new Declined({})), ErrorAction.skip)
    assert.isUndefined(classify({ _tag: "Other" }))
    for (const odd of [undefined, null, 0, "Declined", [], {}, { _tag: undefined }, { _tag: Symbol.iterator }]) {
      assert.isUndefined(classify(odd))
    }
  })

  it("tags does not take a property of Object for a row", () => {
    for (const _tag of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
      assert.isUndefined(classify({ _tag }))
      assert.isUndefined(classify(JSON.parse(`{"_tag":"${_tag}"}`)))
    }
  })

  it("carried asks the error", () => {
    assert.strictEqual(ErrorAction.carried.classify(final), ErrorAction.fail)
    assert.isUndefined(ErrorAction.carried.classify(new Declined({})))
    assert.isUndefined(ErrorAction.carried.classify("text"))
    assert.isUndefined(ErrorAction.carried.classify(undefined))
  })

  it("an error whose own property of that name is no action was taken at its word", () => {
    for (const errorAction of ["retry", 1, null]) {
      const found = ErrorAction.carried.classify({ errorAction })
      assert.isNotOk(found, JSON.stringify(errorAction))
    }
  })

  it("orElse asks the second where the first does not decide", () => {
    const composed = ErrorAction.orElse(ErrorAction.all(ErrorAction.wait))(
      ErrorAction.tags({ Declined: ErrorAction.skip })
    )
    assert.strictEqual(composed.classify(new Declined({})), ErrorAction.skip)
    assert.strictEqual(composed.classify("other"), ErrorAction.wait)
  })

  it("from decides with a function", () => {
    const decided = ErrorAction.from((error: Declined) => (error.code === "X" ? ErrorAction.skip : ErrorAction.fail))
    assert.strictEqual(decided.classify(new Declined({ code: "X" })), ErrorAction.skip)
  })
})

describe("attach and assign", () => {
  it("attach adds an action that does not show, and leaves one that is there", () => {
    const error = new Declined({ code: "X" })
    assert.isFalse(ErrorAction.isActionable(error))
    const before = JSON.stringify(error)
    assert.strictEqual(ErrorAction.attach(error, ErrorAction.skip), error)
    assert.strictEqual(ErrorAction.carried.classify(error), ErrorAction.skip)
    assert.strictEqual(JSON.stringify(error), before)
    assert.notInclude(Object.keys(error), "errorAction")
    ErrorAction.attach(error, ErrorAction.wait)
    assert.strictEqual(ErrorAction.carried.classify(error), ErrorAction.skip)
    assert.strictEqual(ErrorAction.attach("text", ErrorAction.fail), "text")
  })

  it("a frozen error made attach throw", () => {
    const frozen = Object.freeze({ _tag: "Frozen" })
    assert.doesNotThrow(() => ErrorAction.attach(frozen, ErrorAction.fail))
  })

  it.effect("assign attaches by tag, and passes the rest", () =>
    Effect.gen(function* () {
      const assign = ErrorAction.assign<Declined | { readonly _tag: "Other" }, { Declined: ErrorAction.ErrorAction }>({
        Declined: ErrorAction.skip
      })
      const declined = yield* Effect.flip(assign(Effect.fail(new Declined({}))))
      assert.strictEqual(ErrorAction.carried.classify(declined), ErrorAction.skip)
      const other = { _tag: "Other" as const }
      assert.strictEqual(yield* Effect.flip(assign(Effect.fail(other))), other)
      assert.isFalse(ErrorAction.isActionable(other))
      assert.strictEqual(yield* Effect.flip(Effect.fail(null).pipe(ErrorAction.assign({}))), null)
    })
  )

  it.effect("assign took a property of Object for a row", () =>
    Effect.gen(function* () {
      for (const _tag of ["constructor", "toString", "valueOf"]) {
        const error = { _tag }
        yield* Effect.flip(Effect.fail(error).pipe(ErrorAction.assign({})))
        assert.isFalse(ErrorAction.isActionable(error), _tag)
      }
    })
  )
})

describe("tagOf", () => {
  it("is bounded: a tag, a name or a type, never a message", () => {
    assert.strictEqual(ErrorAction.tagOf(new Declined({})), "Declined")
    assert.strictEqual(ErrorAction.tagOf(new TypeError("secret")), "TypeError")
    assert.strictEqual(ErrorAction.tagOf("secret"), "string")
    assert.strictEqual(ErrorAction.tagOf({ _tag: 5 }), "object")
    assert.strictEqual(ErrorAction.tagOf(undefined), "undefined")
  })
})

describe("a Retry-After that makes no sense", () => {
  it.effect("does no harm: negative, endless", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("odd-retry-after", {
        retry: RetryPolicy.make({ delays: ["1 second"] }),
        rateLimit: { perMinute: 100 },
        timeouts: { total: "10 seconds" }
      })
      const odd = (retryAfter: Duration.Duration) =>
        new Fault({ errorAction: ErrorAction.make("wait", { holds: true }), retryAfter })
      const negative = script(Effect.fail(odd(Duration.seconds(-5))), Effect.succeed("ok"))
      const fiber = yield* Effect.forkChild(policy(negative.effect))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "ok")
      const endless = odd(Duration.infinity)
      assert.strictEqual(errorOf(yield* Effect.exit(policy(Effect.fail(endless)))), endless)
      assert.strictEqual(errorOf(yield* Effect.exit(policy(Effect.void)))._tag, "RateLimitExceeded")
    })
  )
})

describe("skipped", () => {
  it.effect("gives the value, None where the work is done already, and any other error as it is", () =>
    Effect.gen(function* () {
      const conflict = new Fault({ errorAction: ErrorAction.skip })
      const broken = new Fault({ errorAction: ErrorAction.fail })
      assert.deepStrictEqual(yield* ErrorAction.skipped(Effect.succeed(5)), Option.some(5))
      assert.deepStrictEqual(yield* ErrorAction.skipped(Effect.fail(conflict)), Option.none())
      assert.strictEqual(yield* Effect.flip(ErrorAction.skipped(Effect.fail(broken))), broken)
      assert.strictEqual(yield* Effect.flip(ErrorAction.skipped(Effect.fail("no action"))), "no action")
    })
  )
})
