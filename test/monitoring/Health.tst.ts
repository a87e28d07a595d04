import { Context, type Duration, type Effect, type Layer, type Schema, type Scope } from "effect"
import type { HttpRouter } from "effect/http"
import { describe, expect, test } from "tstyche"
import type { Broker } from "../../src/event/Broker.ts"
import type { PublishError } from "../../src/event/BrokerError.ts"
import type * as Channel from "../../src/event/Channel.ts"
import type { InvalidEvent } from "../../src/event/CloudEvent.ts"
import type * as Consumer from "../../src/event/Consumer.ts"
import type { DedupStore, DedupStoreError } from "../../src/event/DedupStore.ts"
import type * as EventType from "../../src/event/EventType.ts"
import type * as Ordering from "../../src/event/Ordering.ts"
import type * as Integration from "../../src/Integration.ts"
import * as Health from "../../src/monitoring/Health.ts"
import * as HealthCheck from "../../src/monitoring/HealthCheck.ts"
import * as HealthRoute from "../../src/monitoring/HealthRoute.ts"
import * as SyntheticProbe from "../../src/monitoring/SyntheticProbe.ts"

class Db extends Context.Service<Db, { readonly ping: boolean }>()("Db") {}
declare class Refused {
  readonly _tag: "Refused"
}
declare const design: Integration.Integration
declare const ping: Effect.Effect<void, Refused, Db>
declare const scoped: Effect.Effect<void, Refused, Db | Scope.Scope>

describe("health", () => {
  test("needs nothing, and asks what it is given", () => {
    expect(Health.layer(design)).type.toBe<Layer.Layer<Health.Health>>()
    expect(Health.layer).type.not.toBeCallableWith(design, { warnOnly: ["circuits"] })
  })

  test("of a check needs what the check needs", () => {
    expect(HealthCheck.make("a:b", { run: ping })).type.toBe<HealthCheck.HealthCheck<Refused, Db>>()
    expect(Health.layerCheck(HealthCheck.make("a:b", { run: ping }))).type.toBe<
      Layer.Layer<never, never, Health.Health | Db>
    >()
    expect(Health.layerCheck(HealthCheck.make("a:b", { run: scoped }))).type.toBe<
      Layer.Layer<never, never, Health.Health | Db>
    >()
    expect(Health.add(HealthCheck.make("a:b", { run: ping }))).type.toBe<
      Effect.Effect<void, never, Health.Health | Db | Scope.Scope>
    >()
  })

  test("over HTTP needs a router and the health", () => {
    expect(HealthRoute.layer()).type.toBe<Layer.Layer<never, never, HttpRouter.HttpRouter | Health.Health>>()
    expect(HealthRoute.layer).type.not.toBeCallableWith({ live: "no-slash" })
  })
})

type Order = Schema.Struct<{ readonly id: typeof Schema.String }>
declare const Placed: EventType.EventType<"placed", Order>
declare const Other: EventType.EventType<"other", Order>
declare const Orders: Channel.Channel<"orders", EventType.EventType<"placed", Order>, Ordering.None>
declare const consumer: Consumer.Any

describe("a synthetic probe", () => {
  test("needs what it runs, fails with it or in time, and its layer never fails", () => {
    const probe = SyntheticProbe.make("p", { run: scoped })
    expect(probe).type.toBe<SyntheticProbe.SyntheticProbe<"p", Refused, Db>>()
    expect(probe.once).type.toBe<Effect.Effect<void, Refused | SyntheticProbe.ProbeTimeout, Db>>()
    expect(probe.layer).type.toBe<Layer.Layer<never, never, Db>>()
    expect(probe).type.toBeAssignableTo<Integration.Probe>()
    expect(probe.every).type.toBe<Duration.Duration>()
  })

  test("has steps or a cron expression, not both", () => {
    expect(SyntheticProbe.make).type.not.toBeCallableWith("p", { run: ping, every: "1 minute", cron: "* * * * *" })
    expect(SyntheticProbe.make).type.not.toBeCallableWith("p", { every: "1 minute" })
  })

  test("of a round trip needs the broker, and the store or what else tells", () => {
    expect(SyntheticProbe.roundTrip(Orders, Placed, { id: "o-1" }, { consumer })).type.toBe<
      Effect.Effect<void, PublishError | InvalidEvent | DedupStoreError, Broker | DedupStore>
    >()
    const handled = (_: { readonly id: string }) => ({}) as Effect.Effect<boolean, Refused, Db>
    expect(SyntheticProbe.roundTrip(Orders, Placed, { id: "o-1" }, { consumer, handled })).type.toBe<
      Effect.Effect<void, PublishError | InvalidEvent | Refused, Broker | Db>
    >()
    expect(SyntheticProbe.roundTrip).type.not.toBeCallableWith(Orders, Placed, { id: 1 }, { consumer })
    expect(SyntheticProbe.roundTrip).type.not.toBeCallableWith(Orders, Other, { id: "o-1" }, { consumer })
  })
})
