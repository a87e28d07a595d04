import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Layer } from "effect"
import { ErrorAction } from "effect-integration/policy"
import { Alert, Alerts, Rule } from "effect-integration/monitoring"
import { TestClock } from "effect/testing"
import { observed } from "../policy/observe.ts"
import { brief, design, pager, settle, slack, taking } from "./alertDesign.ts"

class Forbidden extends Data.TaggedError("Forbidden")<{}> {}
class Declined extends Data.TaggedError("Declined")<{}> {}

const notice = (over: Partial<ErrorAction.Notice> = {}): ErrorAction.Notice => ({
  kind: "alert",
  integration: "payments",
  message: "POST /v1/charges answered 403 FORBIDDEN (request r-1)",
  error: new Forbidden(),
  requestId: "r-1",
  ...over
})

/** What is provided with the layer tells it: that is all an application does. */
const hooked = (
  test: (given: {
    readonly alerts: Alerts.Alerts["Service"]
    readonly sent: Array<Alert.Alert>
  }) => Effect.Effect<unknown, never, Alerts.Alerts>,
  given = design(),
  before: Layer.Layer<never> = Layer.empty
) =>
  observed(() => {
    const one = taking()
    const layer = Alerts.layer(given, { channels: { [pager]: one.channel, [slack]: taking().channel } })
    return Effect.gen(function* () {
      const alerts = yield* Alerts.Alerts
      yield* settle
      yield* test({ alerts, sent: one.sent })
    }).pipe(Effect.provide(Layer.provide(layer, before)))
  })

const tell = (given?: Partial<ErrorAction.Notice>) => Effect.andThen(ErrorAction.notify(notice(given)), settle)

describe("Alerts as the AlertHook", () => {
  it.effect("an error that engineering is told of fires at once, with its message, tag and id", () =>
    hooked(({ sent }) =>
      Effect.gen(function* () {
        yield* TestClock.adjust("500 millis")
        yield* tell()
        assert.deepStrictEqual(brief(sent), ["firing checkout/engineering/payments/Forbidden 1"])
        const [alert] = sent
        assert.deepInclude(alert, { condition: "engineering", severity: "high", subject: "payments", count: 1 })
        assert.deepStrictEqual(alert!.error, { tag: "Forbidden", message: notice().message })
        assert.deepStrictEqual(alert!.ids, ["r-1"])
        assert.strictEqual(alert!.routes[0]?.runbook, "https://runbooks.acme.com/checkout")
        assert.strictEqual(alert!.dashboard, "https://grafana.acme.com/d/checkout?var=a&b=c")
      })
    )
  )

  it.effect("an escalation goes the way of escalations", () =>
    hooked(
      ({ sent }) =>
        Effect.gen(function* () {
          yield* tell({ kind: "escalate", error: new Declined() })
          yield* tell()
          assert.deepStrictEqual(brief(sent), ["firing checkout/escalation/payments/Declined 1"])
          assert.strictEqual(sent[0]!.severity, "medium")
        }),
      design({
        alerts: [
          { condition: "escalation", channels: [pager] },
          { condition: "latency", channels: [slack] }
        ]
      })
    )
  )

  it.effect("one message per integration, kind and tag, until it was quiet for 5 minutes; then it is over, once", () =>
    hooked(({ alerts, sent }) =>
      Effect.gen(function* () {
        for (let nth = 0; nth < 30; nth++) {
          yield* tell({ requestId: `r-${nth}` })
          yield* TestClock.adjust("1 minute")
        }
        yield* tell({ integration: "billing" })
        yield* tell({ error: new Declined() })
        yield* tell({ kind: "escalate" })
        assert.deepStrictEqual(brief(sent), [
          "firing checkout/engineering/payments/Forbidden 1",
          "firing checkout/engineering/billing/Forbidden 1",
          "firing checkout/engineering/payments/Declined 1",
          "firing checkout/escalation/payments/Forbidden 1"
        ])
        assert.strictEqual((yield* alerts.firing).length, 4)
        sent.length = 0
        yield* TestClock.adjust("239999 millis")
        assert.deepStrictEqual(brief(sent), [])
        yield* TestClock.adjust("1 millis")
        yield* settle
        assert.deepStrictEqual(brief(sent), ["resolved checkout/engineering/payments/Forbidden 1"])
        assert.strictEqual(sent[0]!.count, 30)
        assert.deepStrictEqual(sent[0]!.ids, [
          "r-20",
          "r-21",
          "r-22",
          "r-23",
          "r-24",
          "r-25",
          "r-26",
          "r-27",
          "r-28",
          "r-29"
        ])
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(sent.length, 4)
        assert.deepStrictEqual(yield* alerts.firing, [])
        yield* tell()
        assert.deepStrictEqual(brief(sent).slice(4), ["firing checkout/engineering/payments/Forbidden 2"])
      })
    )
  )

  it.effect("is not told again by the counter of the same notices", () =>
    hooked(({ alerts, sent }) =>
      Effect.gen(function* () {
        for (let nth = 0; nth < 5; nth++) {
          yield* ErrorAction.notify(notice({ requestId: undefined }))
          yield* alerts.evaluate
          yield* TestClock.adjust("1 second")
        }
        yield* settle
        assert.deepStrictEqual(brief(sent), ["firing checkout/engineering/payments/Forbidden 1"])
        assert.deepStrictEqual(sent[0]!.ids, [])
      })
    )
  )

  it.effect("a circuit that is open for long is told by its rule only", () =>
    hooked(({ sent }) =>
      Effect.gen(function* () {
        yield* tell({ error: undefined, message: "payments: the circuit is open for 1m" })
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(brief(sent), [])
        yield* tell({ error: undefined, integration: "billing", message: "billing: key 7 is halted" })
        assert.deepStrictEqual(brief(sent), ["firing checkout/engineering/billing/notice 1"])
      })
    )
  )

  it.effect("errors beyond what can be told apart share one alert", () =>
    hooked(({ sent }) =>
      Effect.gen(function* () {
        for (let nth = 0; nth < 300; nth++) yield* tell({ error: { _tag: `E${nth}` } })
        assert.strictEqual(sent.length, 257)
        assert.strictEqual(sent.at(-1)?.id, "checkout/engineering/other")
      })
    )
  )

  it.effect("a hook that was there before is called too, and its failure does not matter", () => {
    const told: Array<string> = []
    const before = Layer.succeed(ErrorAction.AlertHook, (each) =>
      Effect.andThen(
        Effect.sync(() => told.push(each.message)),
        Effect.fail("no")
      )
    )
    return hooked(
      ({ sent }) =>
        Effect.gen(function* () {
          yield* tell()
          assert.strictEqual(sent.length, 1)
          assert.deepStrictEqual(told, [notice().message])
        }),
      design(),
      before
    )
  })

  it.effect("hostile texts are bounded", () =>
    hooked(({ sent }) =>
      Effect.gen(function* () {
        const long = "x\u0000\ud800".repeat(10_000)
        yield* tell({ message: long, requestId: long, integration: long, error: { _tag: long } })
        const [alert] = sent
        assert.isAtMost(JSON.stringify(alert).length, 8000)
        assert.isAtMost(Alert.dedupKey(alert!).length, 255)
        assert.isTrue(alert!.error!.message.isWellFormed())
        assert.isAtMost(Alert.describe(alert!).length, 2000)
      })
    )
  )

  it.effect("has the rules of both conditions for what it tells", () =>
    Effect.sync(() => {
      const told = Rule.of(design()).filter((rule) => rule.metric === "notices")
      assert.isAbove(told.length, 1)
    })
  )
})
