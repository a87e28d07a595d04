import { assert, describe, it } from "@effect/vitest"
import { Cron, Data, Duration, Effect, Exit, Fiber, Layer, Option, Ref, Scope } from "effect"
import { Integration, Telemetry } from "effect-integration"
import { Channel, Consumer, DedupStore, MemoryBroker, Publisher } from "effect-integration/event"
import { Rule, SyntheticProbe } from "effect-integration/monitoring"
import { InvalidOption, Policy, RequestContext } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import { counts, type Line, observed } from "../policy/observe.ts"
import { alone, billing, Billing, Down, entryOf, healthOf, Orders, OrderPlaced } from "./healthDesign.ts"

class Rejected extends Data.TaggedError("Rejected")<{ readonly password: string }> {}

const test = <A, E>(name: string, body: (lines: ReadonlyArray<Line>) => Effect.Effect<A, E, Scope.Scope>) =>
  it.effect(name, () => observed((lines) => body(lines).pipe(Effect.provide(alone))))

/** What is counted of a probe. */
const shown = (name: string) => counts(Telemetry.legalName(name))

/** Remembers when something began, in seconds. */
const moments = Effect.map(Ref.make<ReadonlyArray<number>>([]), (ref) => ({
  add: Effect.flatMap(
    Effect.clockWith((clock) => clock.currentTimeMillis),
    (now) => Ref.update(ref, (all) => [...all, now / 1000])
  ),
  all: Ref.get(ref)
}))

describe("a synthetic probe", () => {
  test("runs every five minutes, and says how it ends", () =>
    Effect.gen(function* () {
      const begun = yield* moments
      const probe = SyntheticProbe.make("probe-every", {
        jitter: 0,
        run: Effect.andThen(begun.add, Effect.sleep("120 millis"))
      })
      assert.strictEqual(Duration.toMillis(probe.every), 300_000)
      yield* Layer.build(probe.layer)
      assert.deepStrictEqual(yield* shown("probe-every"), {})
      yield* TestClock.adjust("120 millis")
      assert.deepStrictEqual(yield* shown("probe-every"), {
        "probes_total{success}": 1,
        probe_success: 1,
        probe_duration_ms: 120
      })
      yield* TestClock.adjust("15 minutes")
      assert.deepStrictEqual(yield* begun.all, [0, 300, 600, 900])
      const [result] = yield* SyntheticProbe.results
      assert.deepStrictEqual([result!.probe, result!.outcome, result!.millis], ["probe-every", "success", 120])
    }))

  test("begins after a random delay, of 30 seconds at most", () =>
    Effect.gen(function* () {
      const begun = yield* moments
      for (let at = 0; at < 20; at++) {
        yield* Layer.build(SyntheticProbe.make(`probe-jitter-${at}`, { run: begun.add }).layer)
      }
      yield* TestClock.adjust("30 seconds")
      const first = yield* begun.all
      assert.strictEqual(first.length, 20)
      assert.isAbove(new Set(first).size, 15)
      yield* TestClock.adjust("5 minutes")
      const gaps = (yield* begun.all).slice(20).map((second, at) => second - first[at]!)
      assert.deepStrictEqual(new Set(gaps.map(Math.round)), new Set([300]))
    }))

  test("runs when a cron expression is due", () =>
    Effect.gen(function* () {
      const begun = yield* moments
      const probe = SyntheticProbe.make("probe-cron", { cron: "0 6 * * 1-5", jitter: 0, run: begun.add })
      assert.strictEqual(Duration.toHours(probe.every), 72)
      yield* Layer.build(probe.layer)
      // A Thursday.
      yield* TestClock.adjust("5 days")
      const hours = (yield* begun.all).map((second) => second / 3600)
      assert.deepStrictEqual(hours, [6, 30, 102])
      const given = Cron.parseUnsafe("*/10 * * * * *", "UTC")
      assert.strictEqual(
        Duration.toSeconds(SyntheticProbe.make("probe-given", { cron: given, run: Effect.void }).every),
        10
      )
    }))

  test("never overlaps itself: what is due meanwhile is left out", () =>
    Effect.gen(function* () {
      const begun = yield* moments
      let running = 0
      let most = 0
      // Goes on for 25 seconds, whatever becomes of it.
      const slow = Effect.uninterruptible(
        Effect.gen(function* () {
          most = Math.max(most, ++running)
          yield* begun.add
          yield* Effect.sleep("25 seconds")
          running--
        })
      )
      const probe = SyntheticProbe.make("probe-slow", {
        every: "10 seconds",
        timeout: "4 seconds",
        jitter: 0,
        run: slow
      })
      yield* Layer.build(probe.layer)
      yield* TestClock.adjust("4 seconds")
      // Known when it is late, not when it has ended.
      assert.deepStrictEqual(yield* shown("probe-slow"), {
        "probes_total{ProbeTimeout}": 1,
        probe_success: 0,
        probe_duration_ms: 4000
      })
      yield* TestClock.adjust("112 seconds")
      assert.deepStrictEqual([yield* begun.all, most], [[0, 30, 60, 90], 1])
    }))

  test("goes on after it has failed, died, been interrupted or hung, and keeps what it failed with to itself", (lines) =>
    Effect.gen(function* () {
      const ends: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        Effect.fail(new Rejected({ password: "hunter2" })),
        Effect.die(new Error("hunter2")),
        Effect.interrupt,
        Effect.never,
        Effect.fail("hunter2"),
        Effect.fail({ _tag: "success" }),
        // @effect-diagnostics-next-line globalErrorInEffectFailure:off
        Effect.fail(new TypeError("hunter2")),
        Effect.suspend(() => {
          throw new Error("hunter2")
        }),
        Effect.void
      ]
      let next = 0
      const run = Effect.suspend(() => ends[next++] ?? Effect.void)
      yield* Layer.build(SyntheticProbe.make("probe-ends", { every: "1 minute", jitter: 0, run }).layer)
      const outcomes: Array<string> = []
      for (const _ of ends) {
        yield* TestClock.adjust("30 seconds")
        const found = yield* shown("probe-ends")
        outcomes.push(`${(yield* SyntheticProbe.results)[0]!.outcome} ${found["probe_success"]}`)
        yield* TestClock.adjust("30 seconds")
      }
      assert.deepStrictEqual(outcomes, [
        "Rejected 0",
        "defect 0",
        "interrupted 0",
        "ProbeTimeout 0",
        "failure 0",
        "failure 0",
        "TypeError 0",
        "defect 0",
        "success 1"
      ])
      assert.strictEqual((yield* shown("probe-ends"))["probes_total{defect}"], 2)
      const told = lines.filter(({ level }) => level !== "Debug")
      assert.deepStrictEqual(
        [told.length, told[0]!.level, told[0]!.message, told.at(-1)!.message],
        [9, "Warn", "probe probe-ends: failed (Rejected)", "probe probe-ends: succeeds again"]
      )
      assert.notInclude(JSON.stringify(told), "hunter2")
    }))

  test("ends with its layer, with its gauges", () =>
    Effect.gen(function* () {
      const begun = yield* moments
      const stopped = yield* Ref.make(0)
      const scope = yield* Scope.make()
      const run = Effect.onInterrupt(Effect.andThen(begun.add, Effect.sleep("10 seconds")), () =>
        Ref.update(stopped, (count) => count + 1)
      )
      const probe = SyntheticProbe.make("probe-ending", { every: "1 minute", jitter: 0, run })
      yield* Layer.buildWithScope(probe.layer, scope)
      yield* TestClock.adjust("65 seconds")
      assert.deepStrictEqual([yield* begun.all, yield* Ref.get(stopped)], [[0, 60], 0])
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Ref.get(stopped), 1)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* begun.all, [0, 60])
      assert.deepStrictEqual(yield* shown("probe-ending"), { "probes_total{success}": 1 })
      assert.deepStrictEqual(yield* SyntheticProbe.results, [])
    }))

  test("can be run once, with a typed timeout", () =>
    Effect.gen(function* () {
      const probe = SyntheticProbe.make("probe-once", { timeout: "5 seconds", run: Effect.never })
      const asked = yield* Effect.forkChild(Effect.flip(probe.once))
      yield* TestClock.adjust("5 seconds")
      const error: SyntheticProbe.ProbeTimeout = yield* Fiber.join(asked)
      assert.deepStrictEqual(
        [error._tag, error.message],
        ["ProbeTimeout", "the probe probe-once has not ended within 5s"]
      )
      assert.strictEqual((yield* shown("probe-once"))["probes_total{ProbeTimeout}"], 1)
      yield* SyntheticProbe.make("probe-fine", { run: Effect.void }).once
      assert.strictEqual((yield* shown("probe-fine"))["probe_success"], 1)
    }))

  test("runs as synthetic traffic, with nothing of whoever started it", () =>
    Effect.gen(function* () {
      const seen = yield* Ref.make<ReadonlyArray<unknown>>([])
      const run = Effect.gen(function* () {
        const span = yield* Effect.currentSpan
        const { requestId } = yield* RequestContext.RequestContext
        yield* Ref.set(seen, [
          yield* Telemetry.Synthetic,
          requestId,
          Option.isNone(span.parent),
          span.attributes.get("integration.synthetic"),
          span.name
        ])
      })
      const { once } = SyntheticProbe.make("probe-context", { run })
      yield* once.pipe(RequestContext.withRequestId("r-1"), Effect.withSpan("startup"))
      assert.deepStrictEqual(yield* Ref.get(seen), [true, undefined, true, true, "probe probe-context"])
    }))

  test("is not among the calls of the business", () =>
    Effect.gen(function* () {
      const policy = yield* Policy.make("probe-business", {})
      const call = policy(Effect.void)
      yield* SyntheticProbe.make("probe-call", { run: call }).once
      const probed = yield* counts("probe_business")
      assert.deepStrictEqual(
        Object.keys(probed).filter((key) => /^(requests|attempts|latency)/.test(key)),
        []
      )
      yield* call
      assert.strictEqual((yield* counts("probe_business"))["requests_total{success}"], 1)
    }))

  test("warns in health when it has failed, and makes nothing unready", () =>
    Effect.gen(function* () {
      const fails = yield* Ref.make(true)
      const run = Effect.flatMap(Ref.get(fails), (so) =>
        so ? Effect.fail(new Rejected({ password: "x" })) : Effect.void
      )
      const probe = SyntheticProbe.make("probe-health", { every: "1 minute", jitter: 0, run })
      const health = yield* healthOf(Layer.empty)
      yield* Layer.build(probe.layer)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* shown("probe-health"))["probe_success"], 0)
      const report = yield* health.ready
      assert.strictEqual(report.status, "warn")
      const output = "the last synthetic probe has failed: Rejected"
      assert.deepStrictEqual(entryOf(report, "probe-health:probe"), ["warn", 0, output])
      assert.strictEqual(report.checks["probe-health:probe"]![0]!.time, "1970-01-01T00:00:00.000Z")

      yield* Ref.set(fails, false)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* health.ready).status, "pass")
    }))

  test("is the probe of a design, of which its alert comes", () =>
    Effect.sync(() => {
      const probe = SyntheticProbe.make("probe-design", { run: Effect.void })
      const [rule] = Rule.of(Integration.make("probes-of-orders", { probes: [probe] }))
      assert.deepStrictEqual([rule!.id, rule!.comparison], ["probe-failed/probe-design", { _tag: "Below", value: 1 }])
      assert.strictEqual(Rule.metricName(rule!), "integration_probe_design_probe_success")
    }))
})

describe("a round trip", () => {
  /** A consumer at work, and the services of a probe. */
  const running = Effect.fnUntraced(function* (consumer: Consumer.Consumer<string, unknown, any>) {
    const services = Layer.succeedContext(yield* Layer.build(Layer.merge(MemoryBroker.layer, DedupStore.layerMemory)))
    yield* Layer.build(consumer.layer.pipe(Layer.provide(services)))
    return services
  })

  test("ends when the consumer has handled the event, and not before", () =>
    Effect.gen(function* () {
      const handled = yield* Ref.make(false)
      const consumer = billing(Effect.andThen(Effect.sleep("3 seconds"), Ref.set(handled, true)))
      const services = yield* running(consumer)
      const trip = SyntheticProbe.roundTrip(Orders, OrderPlaced, { id: "synthetic" }, { consumer })
      const probing = yield* Effect.forkChild(Effect.provide(SyntheticProbe.make("trip", { run: trip }).once, services))
      yield* TestClock.adjust("2900 millis")
      assert.isUndefined(probing.pollUnsafe())
      yield* TestClock.adjust("200 millis")
      yield* Fiber.join(probing)
      assert.isTrue(yield* Ref.get(handled))
      assert.strictEqual((yield* shown("trip"))["probe_success"], 1)
      // Neither who publishes nor who consumes counts it.
      const business = { ...(yield* counts("health_orders")), ...(yield* counts("health_billing")) }
      assert.deepStrictEqual(
        Object.keys(business).filter((key) => /^(published|deliveries|handling)/.test(key)),
        []
      )
      yield* Publisher.publish(Orders, OrderPlaced, { id: "o-1" }).pipe(Effect.provide(services))
      assert.strictEqual((yield* counts("health_orders"))["published_total{confirmed}"], 1)
    }))

  test("that ends in the dead letters is seen there, by depth and alert, though no delivery is counted", () =>
    Effect.gen(function* () {
      const broken = Consumer.make("health-broken", Orders, {
        handlers: { "com.acme.order.placed": () => Effect.die(new Error("broken")) },
        dedup: { window: "1 day" }
      })
      const services = yield* running(broken)
      const trip = SyntheticProbe.roundTrip(Orders, OrderPlaced, { id: "synthetic" }, { consumer: broken })
      const probe = SyntheticProbe.make("trip-dead", { timeout: "10 seconds", run: trip })
      const probing = yield* Effect.forkChild(Effect.exit(Effect.provide(probe.once, services)))
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(probing)))
      yield* Telemetry.sample
      const { dlq_depth, ...rest } = yield* counts("health_broken")
      assert.strictEqual(dlq_depth, 1)
      assert.deepStrictEqual(
        Object.keys(rest).filter((key) => /^(deliveries|handling|notices)/.test(key)),
        []
      )
    }))

  test("fails in time where the event is never handled", () =>
    Effect.gen(function* () {
      const consumer = billing(Effect.fail(new Down()))
      const services = yield* running(consumer)
      const trip = SyntheticProbe.roundTrip(Orders, OrderPlaced, { id: "synthetic" }, { consumer })
      const probe = SyntheticProbe.make("trip-lost", { timeout: "10 seconds", run: trip })
      const probing = yield* Effect.forkChild(Effect.exit(Effect.provide(probe.once, services)))
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(probing)))
      assert.strictEqual((yield* shown("trip-lost"))["probes_total{ProbeTimeout}"], 1)
    }))

  test("takes a consumer's own word where there is no dedup", () =>
    Effect.gen(function* () {
      const seen = yield* Ref.make<ReadonlyArray<string>>([])
      const Plain = Channel.make("health-plain", [OrderPlaced])
      const consumer = Consumer.make("health-plain-billing", Plain, {
        handlers: { "com.acme.order.placed": (event) => Ref.update(seen, (ids) => [...ids, event.id]) }
      })
      const services = yield* running(consumer)
      const trip = SyntheticProbe.roundTrip(
        Plain,
        OrderPlaced,
        { id: "synthetic" },
        {
          consumer,
          handled: ({ id }) => Effect.map(Ref.get(seen), (ids) => ids.includes(id)),
          publish: { id: "p-1" }
        }
      )
      const probing = yield* Effect.forkChild(Effect.provide(trip, services))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(probing)
      assert.deepStrictEqual(yield* Ref.get(seen), ["p-1"])
    }))
})

describe("options that make no sense", () => {
  const Plain = Channel.make("health-plain-2", [OrderPlaced])
  const plain = Consumer.make("health-plain-2", Plain, { handlers: { "com.acme.order.placed": () => Effect.void } })
  const run = Effect.void
  const refused: ReadonlyArray<[option: string, make: () => unknown]> = [
    ["name", () => SyntheticProbe.make("", { run })],
    ["every", () => SyntheticProbe.make("refused", { run, every: 0 })],
    ["timeout", () => SyntheticProbe.make("refused", { run, timeout: -1 })],
    ["timeout", () => SyntheticProbe.make("refused", { run, every: "10 seconds", timeout: "11 seconds" })],
    ["jitter", () => SyntheticProbe.make("refused", { run, jitter: Number.NaN })],
    ["cron", () => SyntheticProbe.make("refused", { run, cron: "every day" })],
    ["cron", () => SyntheticProbe.make("refused", { run, cron: "0 0 30 2 *" })],
    ["consumer", () => SyntheticProbe.roundTrip(Plain, OrderPlaced, { id: "x" }, { consumer: Billing })],
    ["handled", () => SyntheticProbe.roundTrip(Plain, OrderPlaced, { id: "x" }, { consumer: plain })],
    ["poll", () => SyntheticProbe.roundTrip(Orders, OrderPlaced, { id: "x" }, { consumer: Billing, poll: 0 })]
  ]
  for (const [option, make] of refused) {
    it(`are refused: ${option} of ${String(make).replace("() => ", "")}`, () => {
      let thrown: unknown
      try {
        make()
      } catch (error) {
        thrown = error
      }
      assert.isTrue(thrown instanceof InvalidOption, String(thrown))
      assert.strictEqual((thrown as InvalidOption).option, option)
    })
  }
})
