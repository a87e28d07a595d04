import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Exit, Layer, Metric, Scope } from "effect"
import { ErrorAction } from "effect-integration/policy"
import { Alert, AlertChannel, Alerts, Rule } from "effect-integration/monitoring"
import { TestClock } from "effect/testing"
import { counts, type Line, observed } from "../policy/observe.ts"
import { brief, design, set, settle, started, type Taken, taking } from "./alertDesign.ts"

const letters = Rule.of(design()).find((rule) => rule.condition === "dead letters")!
const stuck = Rule.of(design()).find((rule) => rule.condition === "saga stuck")!
const id = "checkout/dead-letters/billing"

const given = design({
  alerts: [
    { condition: "dead letters", channels: ["one", "two"] },
    { condition: "saga stuck", channels: ["one"] }
  ]
})

/** The rules fire and end as the test says; `one` is the channel that is tested. */
const delivering = (
  one: Taken,
  test: (given: {
    readonly alerts: Alerts.Alerts["Service"]
    readonly two: Taken
    readonly lines: ReadonlyArray<Line>
    readonly registry: Metric.MetricRegistry
    readonly change: (rule: Rule.Rule, value: number) => Effect.Effect<void>
    readonly waiting: Effect.Effect<ReadonlyArray<string>>
  }) => Effect.Effect<void>,
  options: { readonly capacity?: number; readonly drain?: Duration.Input } = {}
) =>
  observed((lines) =>
    Effect.gen(function* () {
      const two = taking()
      const { alerts } = yield* started(given, {
        channels: { one: one.channel, two: two.channel },
        drain: 0,
        ...options
      })
      const change = (rule: Rule.Rule, value: number) =>
        Effect.andThen(set(rule, value), Effect.andThen(alerts.evaluate, settle))
      const waiting = Effect.map(alerts.pending, (all) => brief(all.one!))
      const registry = yield* Metric.MetricRegistry
      yield* test({ alerts, two, lines, registry, change, waiting })
    }).pipe(Effect.scoped)
  )

const fails = (times: number, error: unknown = new Error("down")) =>
  taking((_, nth) => (nth <= times ? Effect.fail(error) : Effect.void))

describe("Telling of alerts", () => {
  it.effect("what fails is tried again after 1, 2, 4 ... seconds, at most a minute, until it is taken", () => {
    const at: Array<number> = []
    const one = taking((_, nth) =>
      Effect.andThen(
        Effect.clockWith((clock) => Effect.sync(() => at.push(clock.currentTimeMillisUnsafe() / 1000))),
        nth <= 9 ? Effect.fail("no") : Effect.void
      )
    )
    return delivering(one, ({ change, waiting }) =>
      Effect.gen(function* () {
        yield* change(letters, 1)
        assert.deepStrictEqual(yield* waiting, [`firing ${id} 1`])
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(at, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243])
        assert.deepStrictEqual(brief(one.sent), [`firing ${id} 1`])
        assert.deepStrictEqual(yield* waiting, [])
      })
    )
  })

  it.effect("a Retry-After is never shortened, and holds back the whole channel", () => {
    const limited = new AlertChannel.AlertNotDelivered({
      channel: "one",
      reason: "rate limited",
      status: 429,
      retryAfter: Duration.seconds(90)
    })
    const one = fails(1, limited)
    return delivering(one, ({ change }) =>
      Effect.gen(function* () {
        yield* change(letters, 1)
        yield* TestClock.adjust("89 seconds")
        yield* change(stuck, 1)
        yield* TestClock.adjust(999)
        assert.deepStrictEqual(brief(one.sent), [])
        yield* TestClock.adjust(1)
        yield* settle
        assert.strictEqual(one.sent.length, 2)
      })
    )
  })

  it.effect("a Retry-After of a year was the end of the channel: at most 15 minutes are waited", () => {
    const limited = new AlertChannel.AlertNotDelivered({
      channel: "one",
      reason: "rate limited",
      retryAfter: Duration.days(365)
    })
    let asked = 0
    const one = taking((_, nth) => {
      asked = nth
      return nth === 1 ? Effect.fail(limited) : Effect.void
    })
    return delivering(one, ({ change, waiting }) =>
      Effect.gen(function* () {
        yield* change(letters, 1)
        yield* TestClock.adjust("899999 millis")
        assert.strictEqual(asked, 1)
        assert.deepStrictEqual(yield* waiting, [`firing ${id} 1`])
        yield* TestClock.adjust(1)
        yield* settle
        assert.strictEqual(asked, 2)
        assert.deepStrictEqual(yield* waiting, [])
      })
    )
  })

  it.effect("a webhook that was withdrawn was tried each second for ever, with a line in the log", () => {
    const refused = new AlertChannel.AlertNotDelivered({ channel: "one", reason: "refused", status: 404 })
    let asked = 0
    const one = taking((_, nth) => {
      asked = nth
      return nth <= 65 ? Effect.fail(refused) : Effect.void
    })
    return observed(() =>
      Effect.gen(function* () {
        const routes = [{ condition: "engineering", channels: ["one"] }] as const
        const { alerts, context } = yield* Effect.orDie(
          started(design({ alerts: routes }), { channels: { one: one.channel } })
        )
        const hook = Context.get(context, ErrorAction.AlertHook)
        for (let n = 0; n < 200; n++) {
          const error = { _tag: `Failed${n}` }
          yield* Effect.ignore(
            hook({ kind: "alert", integration: "payments", message: "no", error, requestId: undefined })
          )
        }
        for (let minute = 0; minute < 60; minute++) yield* TestClock.adjust("1 minute")
        // 1, 2, 4, 8, 16, 32 seconds, and each minute after that.
        assert.strictEqual(asked, 65)
        assert.strictEqual(one.sent.length, 0)
        yield* TestClock.adjust("1 minute")
        yield* settle
        assert.isAbove(one.sent.length, 0)
        assert.deepStrictEqual((yield* alerts.pending).one, [])
      }).pipe(Effect.scoped)
    )
  })

  it.effect(
    "a channel that keeps incidents open is told again every 5 minutes; another, or one that is over, is not",
    () => {
      const one = taking(undefined, { keepsOpen: true })
      return delivering(one, ({ change, two, waiting }) =>
        Effect.gen(function* () {
          yield* change(letters, 1)
          yield* TestClock.adjust("299 seconds")
          assert.strictEqual(one.sent.length, 1)
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(brief(one.sent), [`firing ${id} 1`, `firing ${id} 1`])
          yield* TestClock.adjust("5 minutes")
          assert.strictEqual(one.sent.length, 3)
          yield* change(letters, 0)
          yield* TestClock.adjust("1 hour")
          assert.deepStrictEqual(brief(one.sent).slice(3), [`resolved ${id} 1`])
          assert.deepStrictEqual(brief(two.sent), [`firing ${id} 1`, `resolved ${id} 1`])
          assert.deepStrictEqual(yield* waiting, [])
        })
      )
    }
  )

  it.effect("an end that is never taken is given up, and the begin not told again", () => {
    const rejected = new AlertChannel.AlertNotDelivered({ channel: "one", reason: "rejected", status: 400 })
    const one = taking((alert) => (alert.state === "resolved" ? Effect.fail(rejected) : Effect.void), {
      keepsOpen: true
    })
    return delivering(one, ({ change }) =>
      Effect.gen(function* () {
        yield* change(letters, 1)
        yield* change(letters, 0)
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(brief(one.sent), [`firing ${id} 1`])
      })
    )
  })

  it.effect("two processes have one incident: what one of them ends is there again while it fires in the other", () => {
    const open = new Set<string>()
    let incidents = 0
    const pager = taking(
      (alert) =>
        Effect.sync(() => {
          const key = Alert.dedupKey(alert)
          if (alert.state === "resolved") open.delete(key)
          else if (!open.has(key)) incidents++
          if (alert.state === "firing") open.add(key)
        }),
      { keepsOpen: true }
    )
    const process = (test: Parameters<typeof delivering>[1]) => Effect.orDie(delivering(pager, test))
    return process((first) =>
      process((second) =>
        Effect.gen(function* () {
          yield* second.change(letters, 1)
          yield* settle
          assert.deepStrictEqual([...open], [id])
          yield* Effect.provideService(first.change(letters, 1), Metric.MetricRegistry, first.registry)
          yield* Effect.provideService(first.change(letters, 0), Metric.MetricRegistry, first.registry)
          assert.deepStrictEqual([...open], [])
          yield* TestClock.adjust("5 minutes")
          yield* settle
          assert.deepStrictEqual([...open], [id])
          assert.strictEqual(incidents, 2)
          yield* second.change(letters, 0)
          yield* TestClock.adjust("1 hour")
          assert.deepStrictEqual([...open], [])
          assert.strictEqual(incidents, 2)
        })
      )
    )
  })

  it.effect("one message that is not taken does not hold up the others", () => {
    const one = taking((alert) => (alert.condition === "dead letters" ? Effect.fail("poison") : Effect.void))
    return delivering(one, ({ change, waiting }) =>
      Effect.gen(function* () {
        yield* change(letters, 1)
        yield* change(stuck, 1)
        assert.deepStrictEqual(brief(one.sent), ["firing checkout/saga-stuck/place-order 1"])
        assert.deepStrictEqual(yield* waiting, [`firing ${id} 1`])
      })
    )
  })

  it.effect("a channel that hangs or dies holds up neither the evaluation nor other channels", () => {
    const one = taking(() => Effect.never)
    return delivering(one, ({ change, two }) =>
      Effect.gen(function* () {
        yield* change(letters, 1)
        yield* change(letters, 0)
        assert.deepStrictEqual(brief(two.sent), [`firing ${id} 1`, `resolved ${id} 1`])
      })
    )
  })

  it.effect("a defect of a channel is tried again like an error", () => {
    const one = taking((_, nth) => (nth === 1 ? Effect.die(new TypeError("bug")) : Effect.void))
    return delivering(one, ({ change }) =>
      Effect.gen(function* () {
        yield* change(letters, 1)
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.deepStrictEqual(brief(one.sent), [`firing ${id} 1`])
        assert.deepInclude(yield* counts("checkout"), { "alerts_total{TypeError}": 1, "alerts_total{delivered}": 2 })
      })
    )
  })

  it.effect(
    "what was over before it could be told: the end alone is told, unless the channel keeps incidents open",
    () =>
      Effect.gen(function* () {
        for (const keepsOpen of [false, true]) {
          const one = taking((_, nth) => (nth <= 1 ? Effect.fail("down") : Effect.void), { keepsOpen })
          yield* delivering(one, ({ change }) =>
            Effect.gen(function* () {
              yield* change(letters, 3)
              yield* change(letters, 0)
              yield* TestClock.adjust("1 minute")
              assert.deepStrictEqual(
                brief(one.sent),
                keepsOpen ? [`firing ${id} 1`, `resolved ${id} 1`] : [`resolved ${id} 1`]
              )
              if (keepsOpen) assert.strictEqual(one.sent[0]!.measured?.value, 3)
            })
          )
        }
      })
  )

  it.effect("an end that comes while the begin is being sent is told after it", () => {
    const gate = Deferred.makeUnsafe<void>()
    const one = taking((_, nth) => (nth === 1 ? Deferred.await(gate) : Effect.void))
    return delivering(one, ({ change, waiting }) =>
      Effect.gen(function* () {
        yield* change(letters, 1)
        yield* change(letters, 0)
        assert.deepStrictEqual(yield* waiting, [`resolved ${id} 1`])
        yield* Deferred.succeed(gate, undefined)
        yield* settle
        assert.deepStrictEqual(brief(one.sent), [`firing ${id} 1`, `resolved ${id} 1`])
        assert.deepStrictEqual(yield* waiting, [])
      })
    )
  })

  it.effect("an end that fails is tried again without telling of the begin again", () => {
    const one = taking((alert, nth) => (alert.state === "resolved" && nth < 5 ? Effect.fail("down") : Effect.void), {
      keepsOpen: true
    })
    return delivering(one, ({ change }) =>
      Effect.gen(function* () {
        yield* change(letters, 1)
        yield* change(letters, 0)
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(brief(one.sent), [`firing ${id} 1`, `resolved ${id} 1`])
      })
    )
  })

  it.effect("incidents of a rule that could not be told are told in their order", () => {
    const one = taking((_, nth) => (nth <= 1 ? Effect.fail("down") : Effect.void), { keepsOpen: true })
    return delivering(one, ({ change, waiting }) =>
      Effect.gen(function* () {
        for (const value of [1, 0, 1, 0, 1]) yield* change(letters, value)
        assert.deepStrictEqual(yield* waiting, [`resolved ${id} 1`, `resolved ${id} 2`, `firing ${id} 3`])
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(brief(one.sent), [
          `firing ${id} 1`,
          `resolved ${id} 1`,
          `firing ${id} 2`,
          `resolved ${id} 2`,
          `firing ${id} 3`
        ])
      })
    )
  })

  it.effect("with a full queue the incidents of one rule are told as one that says so; no rule is dropped", () => {
    let down = true
    const one = taking(() => (down ? Effect.fail("down") : Effect.void))
    return delivering(
      one,
      ({ change, waiting }) =>
        Effect.gen(function* () {
          for (const value of [1, 0, 2, 0, 3, 0, 4]) yield* change(letters, value)
          yield* change(stuck, 1)
          const last = `firing ${id} 4`
          assert.deepStrictEqual(yield* waiting, [last, "firing checkout/saga-stuck/place-order 1"])
          down = false
          yield* TestClock.adjust("5 minutes")
          assert.sameMembers(brief(one.sent) as Array<string>, [last, "firing checkout/saga-stuck/place-order 1"])
          const told = one.sent.find((each) => each.id === id)!
          assert.strictEqual(told.earlier, 3)
          assert.include(Object.fromEntries(Alert.details(told)), { "Earlier incidents that were not told": "3" })
        }),
      { capacity: 1 }
    )
  })

  it.effect("a message that is rejected is logged in full, and not sent again", () => {
    const rejected = new AlertChannel.AlertNotDelivered({ channel: "one", reason: "rejected", status: 400 })
    const one = fails(1000, rejected)
    return delivering(one, ({ change, lines, waiting }) =>
      Effect.gen(function* () {
        yield* change(letters, 1)
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* waiting, [])
        const logged = lines.filter((line) =>
          line.message.startsWith("one does not take this alert: [FIRING] HIGH dead letters")
        )
        assert.deepStrictEqual(
          logged.map((line) => line.level),
          ["Error"]
        )
        assert.deepInclude(yield* counts("checkout"), { "alerts_total{AlertNotDelivered}": 1 })
      })
    )
  })

  it.effect("delivered messages and errors are counted", () =>
    delivering(fails(2), ({ change }) =>
      Effect.gen(function* () {
        yield* change(letters, 1)
        yield* TestClock.adjust("1 minute")
        const { "alerts_total{Error}": failed, "alerts_total{delivered}": delivered } = yield* counts("checkout")
        assert.deepStrictEqual({ failed, delivered }, { failed: 2, delivered: 2 })
      })
    )
  )

  it.effect("a failing channel raises no alert, whatever its errors and its policy say", () =>
    observed(() => {
      const told: Array<string> = []
      return Effect.gen(function* () {
        const error = ErrorAction.attach(new Error("down"), ErrorAction.make("fail", { notify: "alert" }))
        const channel = AlertChannel.make("Loud", {
          connect: Effect.succeed(() => Effect.fail(error)),
          policy: {
            breaker: {
              failurePercent: 1,
              window: "1 minute",
              openFor: "1 second",
              minimumCalls: 1,
              alertAfter: "1 second"
            }
          }
        })
        const { alerts } = yield* started(design({ alerts: [{ condition: "dead letters", channels: ["one"] }] }), {
          channels: { one: channel },
          drain: 0
        })
        yield* set(letters, 1)
        yield* TestClock.adjust("30 minutes")
        assert.deepStrictEqual(brief(yield* alerts.firing), [`firing ${id} 1`])
        assert.deepStrictEqual(told, [], "nor is any other hook told")
      }).pipe(
        Effect.provideService(ErrorAction.AlertHook, ({ message }) => Effect.sync(() => told.push(message))),
        Effect.scoped
      )
    })
  )

  it.effect("the default policy retries, and opens its circuit before it floods a channel that is down", () => {
    let sent = 0
    const down = new AlertChannel.AlertNotDelivered({ channel: "one", reason: "unavailable", status: 500 })
    const channel = AlertChannel.make("Default", {
      connect: Effect.succeed(() =>
        Effect.andThen(
          Effect.sync(() => sent++),
          Effect.fail(down)
        )
      )
    })
    return observed(() =>
      Effect.gen(function* () {
        const { alerts } = yield* started(design({ alerts: [{ condition: "dead letters", channels: ["one"] }] }), {
          channels: { one: channel },
          drain: 0
        })
        yield* set(letters, 1)
        yield* alerts.evaluate
        yield* TestClock.adjust("500 millis")
        assert.strictEqual(sent, 1)
        yield* TestClock.adjust("4500 millis")
        assert.isAtLeast(sent, 3)
        const before = sent
        yield* TestClock.adjust("10 minutes")
        assert.isAtLeast(sent, before + 5)
        assert.isAtMost(sent, before + 60)
        assert.isAbove((yield* counts("checkout"))["alerts_total{CircuitOpen}"] ?? 0, 0)
      }).pipe(Effect.scoped)
    )
  })

  it.effect("a hanging channel is given up by the policy's timeout, and tried again", () => {
    const sent: Array<string> = []
    const channel = AlertChannel.make("Default", {
      connect: Effect.succeed((alert) =>
        Effect.suspend(() => {
          sent.push(alert.state)
          return sent.length === 1 ? Effect.never : Effect.void
        })
      )
    })
    return observed(() =>
      Effect.gen(function* () {
        const { alerts } = yield* started(design({ alerts: [{ condition: "dead letters", channels: ["one"] }] }), {
          channels: { one: channel }
        })
        yield* set(letters, 1)
        yield* alerts.evaluate
        yield* TestClock.adjust("4999 millis")
        assert.deepStrictEqual(sent, ["firing"])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(sent, ["firing", "firing"])
        assert.deepStrictEqual((yield* alerts.pending).one, [])
      }).pipe(Effect.scoped)
    )
  })

  const closing = (one: Taken, drain: Duration.Input) =>
    observed((lines) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const layer = Alerts.layer(given, { channels: { one: one.channel, two: taking().channel }, drain })
        yield* Layer.buildWithScope(layer, scope)
        yield* settle
        yield* set(letters, 1)
        yield* TestClock.adjust("20 seconds")
        const closed = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* settle
        return { closed, lines }
      })
    )

  it.effect("at the end, what is left is tried at once, and the end waits for it", () => {
    let down = true
    const one = taking(() => (down ? Effect.fail("down") : Effect.void))
    return observed(() =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(
          Alerts.layer(given, { channels: { one: one.channel, two: taking().channel } }),
          scope
        )
        yield* settle
        yield* set(letters, 1)
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("40 seconds")
        assert.deepStrictEqual(one.sent, [])
        down = false
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(brief(one.sent), [`firing ${id} 1`])
      })
    )
  })

  it.effect("at the end, what cannot be told in time is logged, and the end is not held up for longer", () =>
    Effect.gen(function* () {
      const { closed, lines } = yield* closing(
        taking(() => Effect.never),
        "3 seconds"
      )
      yield* TestClock.adjust("2999 millis")
      assert.isUndefined(closed.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* settle
      assert.isDefined(closed.pollUnsafe())
      const told = lines.filter((line) =>
        line.message.startsWith("one could not be told before the end: [FIRING] HIGH")
      )
      assert.strictEqual(told.length, 1)
    })
  )

  it.effect("what fires when it starts again has the same id, so that it is the same incident for PagerDuty", () =>
    Effect.gen(function* () {
      const ids: Array<string> = []
      for (const _ of [1, 2]) {
        const one = taking()
        yield* delivering(one, ({ change }) => change(letters, 1))
        ids.push(...one.sent.map(Alert.dedupKey))
      }
      assert.deepStrictEqual(ids, [id, id])
    })
  )
})
