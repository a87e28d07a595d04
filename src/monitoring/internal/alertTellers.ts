import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type * as Integration from "../../Integration.ts"
import { monotonicMillis } from "../../internal/monotonic.ts"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as Telemetry from "../../Telemetry.ts"
import * as Alert from "../Alert.ts"
import type * as AlertChannel from "../AlertChannel.ts"
import { Delivery, type Settings } from "./alertDelivery.ts"

/** The channels of a design, each with a fiber that sends. Ends after what is left was tried. */
export const tellers = Effect.fnUntraced(function* (
  design: Integration.Integration,
  channels: Readonly<Record<string, AlertChannel.Any>>,
  options: Pick<Settings, "backoff" | "capacity"> & { readonly drain: number }
) {
  const { backoff, capacity, drain } = options
  const clock = yield* Clock.Clock
  const context = yield* Effect.context()
  const changes = yield* PubSub.sliding<Alert.Alert>(256)
  const count = counter(design.name)
  const named = new Set(design.alerts.flatMap((route) => route.channels))
  const deliveries: Array<Delivery> = []
  for (const [name, channel] of Object.entries(channels)) {
    if (channel.kind === "log") continue
    if (!named.has(name)) yield* Effect.logWarning(`${design.name}: no alert route names the channel ${name}`)
    const settings = {
      name,
      keepsOpen: channel.keepsOpen,
      send: yield* channel.connect(name),
      capacity,
      backoff,
      now: () => monotonicMillis(clock),
      count: (outcome: string) => count(outcome).updateUnsafe(1, context)
    }
    const delivery = new Delivery(settings)
    deliveries.push(delivery)
    // What goes wrong with telling is not told: it could go on for ever.
    yield* Effect.forkScoped(Effect.provideService(delivery.run, ErrorAction.AlertHook, () => Effect.void))
  }
  yield* Effect.addFinalizer(() =>
    Effect.forEach(deliveries, (delivery) => delivery.drain(drain), { concurrency: "unbounded", discard: true })
  )

  const tell = (alert: Alert.Alert): Effect.Effect<void> =>
    Effect.suspend(() => {
      for (const delivery of deliveries) {
        const routes = alert.routes.filter((route) => route.channels.includes(delivery.settings.name))
        if (routes.length > 0) delivery.offer({ ...alert, routes })
      }
      PubSub.publishUnsafe(changes, alert)
      // A logger that fails keeps nobody else from being told.
      return Effect.ignoreCause(logged(alert))
    })
  return {
    tell,
    changes: Stream.fromPubSub(changes),
    pending: Effect.sync(() => Object.fromEntries(deliveries.map((each) => [each.settings.name, each.pending])))
  }
})

const levels = { critical: "Error", high: "Error", medium: "Warn", low: "Warn" } as const

const logged = (alert: Alert.Alert): Effect.Effect<void> =>
  Effect.logWithLevel(alert.state === "firing" ? levels[alert.severity] : "Info")(Alert.describe(alert)).pipe(
    Effect.annotateLogs({
      [Telemetry.Attribute.integration]: alert.subject,
      ...(alert.error === undefined ? undefined : { [Telemetry.Attribute.errorTag]: alert.error.tag }),
      ...Object.fromEntries(Alert.details(alert))
    })
  )

const mostOutcomes = 64

/** Counters of what became of messages, made when an outcome first appears. */
const counter = (design: string): ((outcome: string) => Metric.Counter<number>) => {
  const counters = new Map<string, Metric.Counter<number>>()
  return (given) => {
    const outcome = counters.size < mostOutcomes || counters.has(given) ? given : "other"
    let made = counters.get(outcome)
    if (made === undefined) {
      const { description } = Telemetry.catalogue.alerts
      made = Metric.counter(Telemetry.metricName("alerts", design), {
        description,
        incremental: true,
        attributes: { outcome }
      })
      counters.set(outcome, made)
    }
    return made
  }
}
