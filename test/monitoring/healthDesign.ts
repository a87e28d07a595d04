/** A design of which some runs, and what its health is asked with. */
import { Context, Data, Effect, Layer, Schema, type Scope } from "effect"
import { Integration } from "effect-integration"
import { Channel, Consumer, EventType } from "effect-integration/event"
import { Health, type HealthReport } from "effect-integration/monitoring"
import { ErrorAction } from "effect-integration/policy"
import { Registry as Running } from "../../src/event/internal/control.ts"
import { Registry as Probes } from "../../src/monitoring/internal/probes.ts"
import { Registry as Circuits } from "../../src/policy/internal/circuitRegistry.ts"

export const Order = Schema.Struct({ id: Schema.String })
export const OrderPlaced = EventType.make("com.acme.order.placed", { source: "https://acme.com/orders", data: Order })
export const Orders = Channel.make("health-orders", [OrderPlaced], { consumers: ["health-billing"] })

export class Down extends Data.TaggedError("Down")<{}> {
  readonly errorAction = ErrorAction.make("retry", { outage: true })
  readonly outcome = "unprocessed"
}

export const billing = (handler: Effect.Effect<unknown, ErrorAction.Actionable> = Effect.void) =>
  Consumer.make("health-billing", Orders, {
    handlers: { "com.acme.order.placed": () => handler },
    dedup: { window: "14 days" }
  })
export const Billing = billing()

export const design = Integration.make("health-of-orders", {
  version: "1.2",
  consumers: [Billing],
  monitoring: { outboxAge: { limit: "1 minute" } }
})

/** Nothing of other tests of this process is there. */
export const alone = Layer.mergeAll(
  Layer.sync(Circuits, () => new Map()),
  Layer.sync(Running, () => new Map()),
  Layer.sync(Probes, () => new Set())
)

/** The health of a design that was given these services, until the scope closes. */
export const healthOf = <R>(
  services: Layer.Layer<R>,
  options?: Health.Options
): Effect.Effect<Health.Health["Service"], never, Scope.Scope> =>
  Effect.map(Layer.build(Health.layer(design, options).pipe(Layer.provide(services))), (context) =>
    Context.get(context, Health.Health)
  )

/** The status of the only entry of a check, with its value and why. */
export const entryOf = (report: HealthReport.Report, key: string) => {
  const [entry] = report.checks[key] ?? []
  return entry === undefined ? undefined : [entry.status, entry.observedValue, entry.output]
}
