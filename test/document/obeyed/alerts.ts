/** Section 7: when people are told, how often is probed, and which part of the traces is kept. */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, Metric, type Scope, Tracer } from "effect"
import { options } from "../../../examples/orders-to-payments/design.ts"
import { Markdown } from "../../../src/document/index.ts"
import type { Integration } from "../../../src/index.ts"
import { type Alert, AlertChannel, Alerts, Rule, SyntheticProbe, Tracing } from "../../../src/monitoring/index.ts"
import { part } from "../sections.ts"
import * as Variants from "../variants.ts"
import { type Case, millisOf, now, obeys, said, settle, timeIn, until } from "./case.ts"

/** A rule as the document prints it. */
interface Printed {
  readonly metric: string
  readonly label: string | undefined
  readonly comparison: string
  readonly limit: number
  readonly for: number
  readonly severity: string
  readonly told: ReadonlyArray<string>
}

const ruleIn = (text: string, id: string): Printed => {
  const routing = part(text, "7.3 Alert Routing")
  const line = routing.split("\n").find((each) => each.startsWith(`| \`${id}\` |`))
  if (line === undefined) throw new Error(`no rule ${id} in:\n${routing}`)
  const [, when, held, severity, told] = line.slice(2, -2).split(" | ")
  const [, metric, label, comparison, limit] =
    /^`([^`]+)`(?: of `([^`]+)`)? (>|below|has grown within) (.+)$/.exec(when!) ?? []
  // In the unit of the metric.
  const value = metric!.endsWith("_seconds") ? millisOf(limit!) / 1000 : Number.parseFloat(limit!)
  return {
    metric: metric!,
    label,
    comparison: comparison!,
    limit: value,
    for: held === "at once" ? 0 : millisOf(held!),
    severity: severity!.toLowerCase(),
    told: told!.startsWith("nobody") ? [] : told!.split(" + ")
  }
}

/** The rule fires as it is printed: at the moment, beyond the limit, as severe as said, to those who are named. */
const fires = (over: Partial<Integration.Options>, id: string): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const design = Variants.designOf(over)
    const text = Markdown.render(design)
    const rule = ruleIn(text, id)
    assert.include(part(text, "7.1 Key Metrics"), rule.metric.replace(/_seconds$/, ""))
    const sent: Array<{ readonly to: string; readonly alert: Alert.Alert }> = []
    const names = [...new Set(design.alerts.flatMap(({ channels }) => channels))]
    const channels = Object.fromEntries(
      names.map((to) => [
        to,
        AlertChannel.make("Test", {
          connect: Effect.succeed((alert: Alert.Alert) => Effect.sync(() => void sent.push({ to, alert }))),
          policy: {}
        })
      ])
    )
    const alerts = Context.get(yield* Layer.build(Layer.fresh(Alerts.layer(design, { channels }))), Alerts.Alerts)
    const context = yield* Effect.context()
    const measure = (value: number) => Effect.sync(() => Metric.gauge(rule.metric).updateUnsafe(value, context))
    const mine = () => sent.filter(({ alert }) => alert.id.endsWith(`/${id}`))
    yield* measure(rule.limit)
    yield* until(600_000)
    assert.deepStrictEqual(mine(), [], "at the limit")
    yield* measure(rule.limit + (rule.comparison === ">" ? 0.001 : -0.001))
    yield* alerts.evaluate
    const begun = yield* now
    if (rule.for > 0) {
      yield* until(begun + rule.for - 1)
      assert.deepStrictEqual(mine(), [], "before its time")
      yield* until(begun + rule.for)
    }
    yield* settle
    assert.deepStrictEqual(
      mine()
        .map(({ to }) => to)
        .toSorted(),
      rule.told.toSorted()
    )
    const fired = (yield* alerts.firing).find((alert) => alert.id.endsWith(`/${id}`))
    assert.strictEqual(fired?.severity, rule.severity)
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())) as Effect.Effect<void, unknown, Scope.Scope>

const monitoring = options.monitoring as Required<Integration.Monitoring>
const withMonitoring = (over: Integration.Monitoring) => ({ monitoring: { ...monitoring, ...over } })

type Field = keyof Integration.Monitoring

/** A field of the monitoring, with the flagship's value and another. */
const limit = <K extends Field>(
  field: K,
  name: keyof Required<Integration.Monitoring>[K] & string,
  id: string,
  other: unknown
): ReadonlyArray<Case> => {
  const given: any = monitoring[field]
  return obeys(`monitoring.${field}.${name}`, [given[name], other] as [unknown, unknown], (value) =>
    fires(withMonitoring({ [field]: { ...given, [name]: value } }), id)
  )
}

/** Every rule of the flagship, and no other row. */
const rules: ReadonlyArray<Case> = Rule.of(Variants.designOf({})).flatMap(({ comparison, id }) =>
  comparison._tag === "Increased" ? [] : [{ field: "rule", value: id, run: fires({}, id) } satisfies Case]
)
const all: Case = {
  field: "rule",
  value: "each has a row",
  run: Effect.sync(() => {
    const design = Variants.designOf({})
    const routing = part(Markdown.render(design), "7.3 Alert Routing")
    const printed = Array.from(routing.matchAll(/^\| `([^`]+\/[^`]+)` \|/gm), ([, id]) => id)
    assert.deepStrictEqual(
      printed,
      Rule.of(design).map(({ id }) => id)
    )
    // What engineering and the owners are told of.
    for (const id of ["engineering/payments", "escalation/payments"]) {
      const { label, limit } = ruleIn(Markdown.render(design), id)
      const rule = Rule.of(design).find((each) => each.id === id)!
      assert.strictEqual(label, rule.label)
      assert.strictEqual(rule.comparison._tag, "Increased")
      assert.strictEqual(limit, 5)
    }
  })
}

const probes: ReadonlyArray<Case> = [
  ...obeys(
    "probe.every",
    [options.probes![0]!.every, "90 seconds"],
    (every) =>
      Effect.gen(function* () {
        const times: Array<number> = []
        const probe = SyntheticProbe.make("charge-one-cent", {
          every,
          jitter: 0,
          run: Effect.map(now, (moment) => void times.push(moment))
        })
        const text = Variants.textOf({ probes: [probe] })
        const printed = timeIn(part(text, "6.2 Integration Test Environments"), /charge-one-cent every ([\dhms ]+)$/m)
        yield* Layer.build(probe.layer)
        yield* settle
        const start = times[0] ?? printed
        for (const round of [1, 2]) {
          yield* until(start + round * printed - 1)
          const before = times.length
          yield* until(start + round * printed)
          assert.strictEqual(times.length, before + 1)
        }
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())) as Effect.Effect<void, unknown, Scope.Scope>
  ),
  ...obeys(
    "probe.name",
    ["charge-one-cent", "other"],
    (name) =>
      Effect.gen(function* () {
        const probe = SyntheticProbe.make(name, { every: "5 minutes", run: Effect.fail("down") })
        const text = Variants.textOf({ probes: [probe] })
        const metric = said(part(text, "7.1 Key Metrics"), /`(\w+_probe_success)`/)
        yield* Effect.exit(probe.once)
        const snapshot = yield* Metric.snapshot
        const gauge = snapshot.find(({ id }) => id === metric)!
        assert.strictEqual((gauge.state as any).value, 0)
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())) as Effect.Effect<void, unknown, Scope.Scope>
  )
]

const sampling: ReadonlyArray<Case> = obeys("environment.sampling", [5, 40], (percent) =>
  Effect.gen(function* () {
    const over = { environments: [{ ...options.environments![2]!, sampling: percent }] }
    const printed = Number(said(part(Variants.textOf(over), "7.2 Distributed Tracing"), /([\d.]+)% in Production/))
    const spans: Array<Tracer.Span> = []
    const tracer = Tracer.make({
      span: (given) => {
        const span = new Tracer.NativeSpan(given)
        spans.push(span)
        return span
      }
    })
    const layer = Tracing.sampled(Variants.designOf(over), { environment: "Production" })(
      Layer.succeed(Tracer.Tracer, tracer)
    )
    yield* Effect.provide(Effect.repeat(Effect.withSpan(Effect.void, "call", { root: true }), { times: 3999 }), layer)
    // What is not kept is never ended. The ids are random.
    const kept = spans.filter(({ status }) => status._tag === "Ended").length
    assert.closeTo((kept / spans.length) * 100, printed, 4)
  })
)

const routes = options.alerts!
const routesWith = (over: Partial<Integration.Route>) => ({ alerts: [{ ...routes[0]!, ...over }, ...routes.slice(1)] })

export const alertCases: ReadonlyArray<Case> = [
  ...limit("errorRate", "percent", "error-rate/payments", 7),
  ...limit("errorRate", "for", "error-rate/payments", "90 seconds"),
  ...limit("errorRate", "severity", "error-rate/payments", "low"),
  ...limit("latencyP99", "limit", "latency/payments", "500 millis"),
  ...limit("latencyP99", "for", "latency/payments", "7 minutes"),
  ...limit("latencyP99", "severity", "latency/payments", "critical"),
  ...limit("lag", "messages", "consumer-lag/billing", 7),
  ...limit("lag", "age", "consumer-lag-age/billing", "90 seconds"),
  ...limit("lag", "severity", "consumer-lag-age/billing", "low"),
  ...limit("circuitOpen", "severity", "circuit-open/payments", "low"),
  ...limit("deadLetters", "severity", "dead-letters/billing", "low"),
  ...limit("outboxAge", "limit", "outbox-age/orders", "10 seconds"),
  ...limit("outboxAge", "severity", "outbox-age/orders", "low"),
  ...limit("sagaStuck", "severity", "saga-stuck/place-order", "low"),
  ...limit("probeFailed", "severity", "probe-failed/charge-one-cent", "low"),
  ...obeys("route.condition", ["circuit open", "latency"] as const, (condition) =>
    fires(routesWith({ condition }), "circuit-open/payments")
  ),
  ...obeys<ReadonlyArray<string>>("route.channels", [routes[0]!.channels, ["Slack #other"]], (channels) =>
    fires(routesWith({ channels }), "circuit-open/payments")
  ),
  ...probes,
  ...sampling,
  ...rules,
  all
]
