import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, Layer, Metric, Result, Stream } from "effect"
import { Telemetry } from "effect-integration"
import { Alert, Alerts, Rule } from "effect-integration/monitoring"
import { TestClock } from "effect/testing"
import { observed } from "../policy/observe.ts"
import { beyond, brief, design, pager, set, settle, slack, started, taking, within } from "./alertDesign.ts"

const rules = Rule.of(design())
const measured = rules.filter((rule) => rule.comparison._tag !== "Increased")

/** An evaluator over both channels, and metrics of its own. */
const evaluating = (
  test: (given: {
    readonly alerts: Alerts.Alerts["Service"]
    readonly sent: Array<Alert.Alert>
    readonly slackSent: Array<Alert.Alert>
  }) => Effect.Effect<void>,
  given = design()
) =>
  observed(() =>
    Effect.gen(function* () {
      const [one, two] = [taking(), taking()]
      const { alerts } = yield* started(given, { channels: { [pager]: one.channel, [slack]: two.channel } })
      yield* settle
      yield* test({ alerts, sent: one.sent, slackSent: two.sent })
    }).pipe(Effect.scoped)
  )

describe("Alerts", () => {
  it("has a rule for every condition", () => {
    assert.deepStrictEqual(new Set(rules.map((rule) => rule.condition)).size, 10)
  })

  for (const rule of measured) {
    it.effect(`${rule.id} fires at its moment, not a millisecond before, once, and is over once`, () =>
      evaluating(({ alerts, sent, slackSent }) =>
        Effect.gen(function* () {
          const held = Duration.toMillis(rule.for)
          const id = `checkout/${rule.id}`
          // The rules about a circuit share its gauge.
          const only = (all: ReadonlyArray<Alert.Alert>) => brief(all.filter((each) => each.id === id))
          yield* set(rule, within(rule))
          yield* alerts.evaluate
          yield* TestClock.adjust("10 minutes")
          assert.deepStrictEqual(brief(sent), [], "at the limit nothing fires")
          yield* TestClock.adjust("300 millis")
          const began = yield* DateTime.now
          yield* set(rule, beyond(rule))
          yield* alerts.evaluate
          if (held > 0) {
            yield* TestClock.adjust(held - 1)
            assert.deepStrictEqual(only(sent), [])
            assert.deepStrictEqual(only(yield* alerts.firing), [])
            yield* TestClock.adjust(1)
          }
          yield* settle
          assert.deepStrictEqual(only(sent), [`firing ${id} 1`])
          assert.deepStrictEqual(only(slackSent), [`firing ${id} 1`])
          const fired = sent.find((each) => each.id === id)!
          assert.deepStrictEqual(fired.since, began)
          assert.strictEqual(fired.measured?.value, beyond(rule))
          yield* TestClock.adjust("10 minutes")
          assert.deepStrictEqual(only(sent), [`firing ${id} 1`])
          yield* set(rule, within(rule))
          yield* TestClock.adjust("1 second")
          yield* settle
          assert.deepStrictEqual(only(sent), [`firing ${id} 1`, `resolved ${id} 1`])
          assert.deepStrictEqual(only(slackSent), [`firing ${id} 1`, `resolved ${id} 1`])
          yield* TestClock.adjust("10 minutes")
          assert.strictEqual(only(sent).length, 2)
          yield* set(rule, beyond(rule))
          yield* alerts.evaluate
          yield* TestClock.adjust(held + 1)
          yield* settle
          assert.deepStrictEqual(only(sent).slice(2), [`firing ${id} 2`], "firing again is a new incident")
        })
      )
    )
  }

  for (const [label, kind] of [
    ["alert", "engineering"],
    ["escalate", "escalation"]
  ] as const) {
    it.effect(`${kind} fires when its counter grows without the hook, and is over 5 minutes after the last`, () =>
      evaluating(({ alerts, sent }) =>
        Effect.gen(function* () {
          const context = yield* Effect.context()
          const id = `checkout/${kind}/payments`
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual(brief(sent), [])
          Telemetry.noticed("payments", label, context)
          yield* alerts.evaluate
          yield* settle
          assert.deepStrictEqual(brief(sent), [`firing ${id} 1`])
          yield* TestClock.adjust("2 minutes")
          Telemetry.noticed("payments", label, context)
          yield* alerts.evaluate
          yield* TestClock.adjust(299_999)
          yield* settle
          assert.deepStrictEqual(brief(sent), [`firing ${id} 1`])
          yield* TestClock.adjust(1)
          yield* alerts.evaluate
          yield* settle
          assert.deepStrictEqual(brief(sent), [`firing ${id} 1`, `resolved ${id} 1`])
        })
      )
    )
  }

  it.effect("what was counted before the start fires nothing", () =>
    observed(() =>
      Effect.gen(function* () {
        Telemetry.noticed("payments", "alert", yield* Effect.context())
        const one = taking()
        yield* started(design(), { channels: { [pager]: one.channel, [slack]: taking().channel } })
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(brief(one.sent), [])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("what is counted from the start on fires, also where the first sampling hangs", () =>
    observed(() =>
      Effect.gen(function* () {
        yield* Telemetry.sampler(Effect.never)
        const one = taking()
        const { alerts } = yield* started(design(), { channels: { [pager]: one.channel, [slack]: taking().channel } })
        Telemetry.noticed("payments", "alert", yield* Effect.context())
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.deepStrictEqual(brief(yield* alerts.firing), ["firing checkout/engineering/payments 1"])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("a gauge that is asked for in vain does not hold up the rules of the others", () =>
    evaluating(({ sent }) =>
      Effect.gen(function* () {
        yield* Telemetry.sampler(Effect.never)
        yield* TestClock.adjust("10 seconds")
        const rule = measured.find((each) => each.condition === "dead letters")!
        for (const value of [1, 0, 1, 0]) {
          yield* set(rule, value)
          yield* TestClock.adjust("1 second")
          yield* settle
        }
        assert.deepStrictEqual(
          sent.map(({ state }) => state),
          ["firing", "resolved", "firing", "resolved"]
        )
      }).pipe(Effect.scoped)
    )
  )

  it.effect("a store that takes long to count was asked each second", () => {
    let [asked, hung] = [0, 0]
    const count = (wait: Effect.Effect<void>, seen: () => void) =>
      Telemetry.sampler(Effect.as(Effect.andThen(Effect.sync(seen), wait), []))
    return evaluating(() =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        yield* count(Effect.sleep("500 millis"), () => asked++)
        yield* count(Effect.never, () => hung++)
        for (let second = 0; second < 60; second++) yield* TestClock.adjust("1 second")
        assert.isAtLeast(asked, 5)
        assert.isAtMost(asked, 7)
        assert.isAtLeast(hung, 3)
        assert.isAtMost(hung, 5)
        const [before] = [asked]
        yield* Effect.forkChild(Telemetry.sample)
        yield* settle
        assert.strictEqual(asked, before + 1)
      }).pipe(Effect.scoped)
    )
  })

  it.effect("a break of the time that it must hold begins it anew", () =>
    evaluating(({ alerts, sent }) =>
      Effect.gen(function* () {
        const rule = measured.find((each) => each.condition === "latency")!
        yield* set(rule, beyond(rule))
        yield* alerts.evaluate
        yield* TestClock.adjust("179 seconds")
        yield* set(rule, within(rule))
        yield* alerts.evaluate
        yield* set(rule, beyond(rule))
        yield* alerts.evaluate
        yield* TestClock.adjust("179999 millis")
        assert.deepStrictEqual(brief(sent), [])
        yield* TestClock.adjust("1 millis")
        yield* settle
        assert.deepStrictEqual(brief(sent), ["firing checkout/latency/payments 1"])
      })
    )
  )

  it.effect("without a call of evaluate, what fires at once is told within a second", () =>
    evaluating(({ sent }) =>
      Effect.gen(function* () {
        const rule = measured.find((each) => each.condition === "dead letters")!
        yield* set(rule, 1)
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.deepStrictEqual(brief(sent), ["firing checkout/dead-letters/billing 1"])
      })
    )
  )

  it.effect("no value is no alert, and ends one", () =>
    evaluating(({ alerts, sent }) =>
      Effect.gen(function* () {
        const rule = measured.find((each) => each.condition === "probe failed")!
        yield* set(rule, Number.NaN)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(brief(sent), [])
        yield* set(rule, 0)
        yield* alerts.evaluate
        yield* set(rule, Number.NaN)
        yield* alerts.evaluate
        yield* settle
        assert.deepStrictEqual(brief(sent), [
          "firing checkout/probe-failed/round trip 1",
          "resolved checkout/probe-failed/round trip 1"
        ])
        assert.isUndefined(sent[1]!.measured?.value)
      })
    )
  )

  it.effect("a broker that was away for a moment ended the alert of its dead letters, and began another", () =>
    evaluating(({ alerts, sent }) =>
      Effect.gen(function* () {
        const rule = measured.find((each) => each.condition === "dead letters")!
        yield* set(rule, 2)
        yield* alerts.evaluate
        yield* set(rule, Number.NaN)
        yield* TestClock.adjust("299 seconds")
        assert.isUndefined((yield* alerts.firing)[0]?.measured?.value)
        yield* set(rule, 1)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(brief(sent), ["firing checkout/dead-letters/billing 1"])
        yield* set(rule, Number.NaN)
        yield* TestClock.adjust("299 seconds")
        assert.strictEqual(sent.length, 1)
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.deepStrictEqual(brief(sent).slice(1), ["resolved checkout/dead-letters/billing 1"])
      })
    )
  )

  it.effect("a metric that cannot be read ended the alerts of all others for ever, and said nothing", () =>
    evaluating(({ sent }) =>
      Effect.gen(function* () {
        const context = yield* Effect.context()
        const [broken, rule] = ["saga stuck", "dead letters"].map((condition) =>
          measured.find((each) => each.condition === condition)
        )
        const get = () => {
          throw new Error("it is broken")
        }
        Metric.registerUnsafe(Metric.gauge(Rule.metricName(broken!)), context, { get, update() {}, modify() {} })
        yield* TestClock.adjust("2 seconds")
        yield* set(rule!, 1)
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.deepStrictEqual(brief(sent), ["firing checkout/dead-letters/billing 1"])
      })
    )
  )

  it.effect("an evaluation that dies is told once, and the next one comes", () =>
    observed((lines) => {
      const one = taking()
      const registry: Metric.MetricRegistry = new Map()
      let isBroken = false
      registry.values = () => {
        if (isBroken) throw new Error("it is broken: token=hunter2")
        return Map.prototype.values.call(registry)
      }
      return Effect.gen(function* () {
        yield* started(design(), { channels: { [pager]: one.channel, [slack]: taking().channel } })
        for (const incident of [1, 2]) {
          isBroken = true
          yield* TestClock.adjust("1 minute")
          yield* settle
          const told = lines.filter(({ message }) => message.includes("could not be evaluated"))
          assert.deepStrictEqual([told.length, told.at(-1)?.level], [incident, "Error"])
          assert.notInclude(JSON.stringify(told), "hunter2")
          isBroken = false
          yield* TestClock.adjust("2 seconds")
        }
        yield* set(
          measured.find((each) => each.condition === "dead letters")!,
          1
        )
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.deepStrictEqual(brief(one.sent), ["firing checkout/dead-letters/billing 1"])
      }).pipe(Effect.scoped, Effect.provideService(Metric.MetricRegistry, registry))
    })
  )

  it.effect("the metrics of another integration fire nothing", () =>
    evaluating(({ sent }) =>
      Effect.gen(function* () {
        const context = yield* Effect.context()
        Metric.gauge("integration_other_circuit_open").updateUnsafe(1, context)
        Metric.gauge("integration_alerts_test_circuit_open").updateUnsafe(1, context)
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(brief(sent), [])
      })
    )
  )

  it.effect("of several series of a metric the worst counts", () =>
    evaluating(({ alerts, sent }) =>
      Effect.gen(function* () {
        const context = yield* Effect.context()
        const series = (host: string) => Metric.gauge("integration_billing_dlq_depth", { attributes: { host } })
        series("a").updateUnsafe(3, context)
        series("b").updateUnsafe(0, context)
        yield* alerts.evaluate
        yield* settle
        assert.deepStrictEqual(brief(sent), ["firing checkout/dead-letters/billing 1"])
        assert.strictEqual(sent[0]!.measured?.value, 3)
      })
    )
  )

  it.effect("a circuit that really opens fires, by its recorder; one that stays open fires the second rule too", () =>
    evaluating(({ sent }) =>
      Effect.gen(function* () {
        const context = yield* Effect.context()
        const recorder = Telemetry.recorder("payments")
        const closed = recorder.opened(recorder, context)
        yield* Effect.addFinalizer(() => Effect.sync(closed))
        yield* TestClock.adjust("60 seconds")
        yield* settle
        assert.deepStrictEqual(brief(sent), ["firing checkout/circuit-open/payments 1"])
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.deepStrictEqual(brief(sent).slice(1), ["firing checkout/circuit-open-long/payments 1"])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("the error rate of real calls fires, and without calls it is over", () =>
    evaluating(({ alerts, sent }) =>
      Effect.gen(function* () {
        const context = yield* Effect.context()
        const recorder = Telemetry.recorder("payments")
        for (let second = 0; second < 120; second++) {
          recorder.call(second % 2 === 0 ? "InternalError" : "success", 10, context)
          yield* TestClock.adjust("1 second")
        }
        yield* settle
        const found = (yield* alerts.firing).find((each) => each.condition === "error rate")
        assert.strictEqual(found?.measured?.value, 50)
        yield* TestClock.adjust("2 minutes")
        yield* settle
        const about = brief(sent.filter((each) => each.condition === "error rate"))
        assert.deepStrictEqual(about, [
          "firing checkout/error-rate/payments 1",
          "resolved checkout/error-rate/payments 1"
        ])
      })
    )
  )

  it.effect("each alert says what, since when, with which numbers, and what to do", () =>
    evaluating(({ alerts, sent }) =>
      Effect.gen(function* () {
        const rule = measured.find((each) => each.condition === "error rate")!
        yield* set(rule, 12.34567)
        yield* alerts.evaluate
        yield* TestClock.adjust("90500 millis")
        yield* settle
        assert.deepStrictEqual(Object.fromEntries(Alert.details(sent[0]!)), {
          Integration: "checkout",
          Subject: "payments",
          Condition: "error rate",
          Severity: "high",
          Since: "1970-01-01T00:00:00.000Z",
          Value: "12.346 %",
          Limit: "above 5 % for 1m 30s 500ms",
          Escalation: "on-call engineer",
          "Investigate within": "15m",
          Runbook: "https://runbooks.acme.com/checkout",
          Dashboard: "https://grafana.acme.com/d/checkout?var=a&b=c",
          Metric: "integration_payments_error_rate"
        })
        assert.strictEqual(
          Alert.describe(sent[0]!),
          "[FIRING] HIGH error rate: payments: more than 5 % of the calls to payments fail " +
            "(12.346 %, alert above 5 % for 1m 30s 500ms), since 1970-01-01T00:00:00.000Z"
        )
      })
    )
  )

  it.effect("changes tell of what fires and what is over", () =>
    evaluating(({ alerts }) =>
      Effect.gen(function* () {
        const rule = measured.find((each) => each.condition === "saga stuck")!
        const seen: Array<Alert.Alert> = []
        const following = Stream.runForEach(alerts.changes, (each) => Effect.sync(() => seen.push(each)))
        yield* Effect.forkScoped(following)
        yield* settle
        yield* set(rule, 1)
        yield* alerts.evaluate
        yield* set(rule, 0)
        yield* alerts.evaluate
        yield* settle
        assert.deepStrictEqual(
          seen.map(({ state }) => state),
          ["firing", "resolved"]
        )
      }).pipe(Effect.scoped)
    )
  )

  it.effect("a rule is told to the channels of its routes only, with what they say; without a route it is logged", () =>
    observed((lines) =>
      Effect.gen(function* () {
        const [one, two] = [taking(), taking()]
        const given = design({
          alerts: [
            { condition: "dead letters", channels: ["one"], runbook: "wiki: letters" },
            { condition: "dead letters", channels: ["one", "two"], escalation: "the team" },
            { condition: "saga stuck", channels: ["two", "log"] }
          ]
        })
        const { alerts } = yield* started(given, { channels: { one: one.channel, two: two.channel } })
        for (const rule of measured) if (Duration.isZero(rule.for)) yield* set(rule, beyond(rule))
        yield* alerts.evaluate
        yield* settle
        assert.deepStrictEqual(brief(one.sent), ["firing checkout/dead-letters/billing 1"])
        assert.strictEqual(one.sent[0]!.routes.length, 2)
        assert.deepStrictEqual(brief(two.sent), [
          "firing checkout/dead-letters/billing 1",
          "firing checkout/saga-stuck/place-order 1"
        ])
        assert.deepStrictEqual(
          two.sent[0]!.routes.map((route) => route.escalation),
          ["the team"]
        )
        const logged = lines.filter((line) => line.message.startsWith("[FIRING]"))
        assert.strictEqual(logged.length, measured.filter((rule) => Duration.isZero(rule.for)).length)
        assert.deepInclude(logged.find((line) => line.message.includes("consumer lag: billing"))?.annotations ?? {}, {
          "integration.name": "billing",
          Condition: "consumer lag"
        })
        assert.deepStrictEqual(new Set(logged.map((line) => line.level)), new Set(["Error"]))
      }).pipe(Effect.scoped)
    )
  )

  it.effect("a channel that the design names and nothing is bound to is an error that names it", () =>
    observed(() =>
      Effect.gen(function* () {
        const built = yield* Effect.result(
          Effect.scoped(Layer.build(Alerts.layer(design(), { channels: { [pager]: taking().channel } })))
        )
        assert.isTrue(Result.isFailure(built))
        if (Result.isFailure(built)) {
          assert.strictEqual(built.failure._tag, "UnboundChannel")
          assert.deepStrictEqual(built.failure.channels, [slack])
          assert.strictEqual(
            built.failure.message,
            'checkout: the alert routes name "Slack #checkout-alerts", to which nothing is bound ("PagerDuty Checkout" are)'
          )
        }
      })
    )
  )

  it.effect("a bound channel that no route names is pointed out", () =>
    observed((lines) =>
      Effect.gen(function* () {
        yield* started(design({ alerts: [] }), { channels: { Slak: taking().channel } })
        assert.deepStrictEqual(
          lines.map((line) => line.message),
          ["checkout: no alert route names the channel Slak"]
        )
      }).pipe(Effect.scoped)
    )
  )

  it("rejects options that make no sense", () => {
    const rejected = (options: Alerts.Options<{}>, option: string) => {
      const built = Effect.runSyncExit(Effect.sync(() => Alerts.layer(design(), options)))
      assert.isTrue(Exit.isFailure(built))
      assert.include(String(built), `Alerts.layer: ${option} must be`)
    }
    rejected({ every: "2 seconds" }, "every")
    rejected({ every: 0 }, "every")
    rejected({ backoff: { base: "2 minutes" } }, "backoff.cap")
    rejected({ capacity: 0 }, "capacity")
    rejected({ drain: "-1 seconds" }, "drain")
  })
})
