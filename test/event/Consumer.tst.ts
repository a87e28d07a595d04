import { Context, Data, Effect, type Layer, Schema } from "effect"
import { describe, expect, test } from "tstyche"
import type { Broker } from "../../src/event/Broker.ts"
import type { BrokerError, PublishError } from "../../src/event/BrokerError.ts"
import * as Channel from "../../src/event/Channel.ts"
import type { CloudEvent, InvalidEvent } from "../../src/event/CloudEvent.ts"
import * as Consumer from "../../src/event/Consumer.ts"
import type { CurrentDelivery } from "../../src/event/CurrentDelivery.ts"
import type { DedupStore } from "../../src/event/DedupStore.ts"
import * as EventType from "../../src/event/EventType.ts"
import * as Ordering from "../../src/event/Ordering.ts"
import type { Parking } from "../../src/event/Parking.ts"
import * as Publisher from "../../src/event/Publisher.ts"
import * as ErrorAction from "../../src/policy/ErrorAction.ts"

const Order = Schema.Struct({ id: Schema.String, tenantId: Schema.String, placedAt: Schema.DateFromString })
const OrderPlaced = EventType.make("placed", { source: "/orders", data: Order })
const OrderCancelled = EventType.make("cancelled", {
  source: "/orders",
  data: Schema.Struct({ tenantId: Schema.String })
})
const Other = EventType.make("other", { source: "/orders", data: Order })
const Orders = Channel.make("orders", [OrderPlaced], { ordering: Ordering.strict("tenantId") })
const Both = Channel.make("both", [OrderPlaced, OrderCancelled])

class Payments extends Context.Service<Payments, { readonly charge: Effect.Effect<void, Declined> }>()("Payments") {}
class Declined extends Data.TaggedError("Declined") {
  readonly errorAction = ErrorAction.fail
}
class Unclassified extends Data.TaggedError("Unclassified") {}

const charge = Payments.use((payments) => payments.charge)

describe("a consumer", () => {
  const Billing = Consumer.make("billing", Orders, { handlers: { placed: () => charge }, dedup: { window: "1 day" } })

  test("needs what its handlers, its dedup and its order need, and nothing else", () => {
    expect(Billing.layer).type.toBe<Layer.Layer<never, BrokerError, Broker | DedupStore | Parking | Payments>>()
    const plain = Consumer.make("plain", Both, { handlers: { placed: () => Effect.void, cancelled: () => charge } })
    expect(plain.layer).type.toBe<Layer.Layer<never, BrokerError, Broker | Payments>>()
    const none = Consumer.make("none", Channel.make("c", [OrderPlaced]), { handlers: { placed: () => Effect.void } })
    expect(none.layer).type.toBe<Layer.Layer<never, BrokerError, Broker>>()
  })

  test("has the errors of its handlers, and its name", () => {
    expect(Billing["~Error"]).type.toBe<Declined>()
    expect(Billing.name).type.toBe<"billing">()
    expect(
      Consumer.make("n", Both, { handlers: { placed: () => charge, cancelled: () => Effect.void } })["~Error"]
    ).type.toBe<Declined>()
  })

  test("is given CurrentDelivery and a scope", () => {
    const consumer = Consumer.make("billing", Orders, {
      handlers: { placed: () => Effect.andThen(Effect.context<CurrentDelivery>(), Effect.scope) }
    })
    expect(consumer.layer).type.toBe<Layer.Layer<never, BrokerError, Broker | Parking>>()
  })

  test("types the event of each handler, also of Effect.fn", () => {
    Consumer.make("billing", Both, {
      handlers: {
        placed: (event) => {
          expect(event).type.toBe<CloudEvent<"placed", typeof Order.Type>>()
          expect(event.data.placedAt).type.toBe<Date>()
          return Effect.void
        },
        cancelled: Effect.fn("cancelled")(function* (event: EventType.Event<typeof OrderCancelled>) {
          expect(event.data.tenantId).type.toBe<string>()
          yield* charge
        })
      }
    })
    const fn = Consumer.make("billing", Channel.make("c", [OrderPlaced]), {
      handlers: {
        placed: Effect.fn("placed")(function* (event: EventType.Event<typeof OrderPlaced>) {
          expect(event.data.id).type.toBe<string>()
          yield* charge
        })
      }
    })
    expect(fn.layer).type.toBe<Layer.Layer<never, BrokerError, Broker | Payments>>()
    expect(fn["~Error"]).type.toBe<Declined>()
  })

  test("without a handler for a type, with a foreign one, or with an error that nobody decides does not compile", () => {
    expect(Consumer.make).type.not.toBeCallableWith("billing", Both, { handlers: { placed: () => Effect.void } })
    expect(Consumer.make).type.not.toBeCallableWith("billing", Orders, {
      handlers: { placed: () => Effect.void, other: () => Effect.void }
    })
    expect(Consumer.make).type.not.toBeCallableWith("billing", Orders, {
      handlers: { placed: () => Effect.fail(new Unclassified()) }
    })
    expect(Consumer.make).type.not.toBeCallableWith("billing", Orders, {
      handlers: { placed: () => Effect.fail("text") }
    })
    expect(Consumer.make).type.toBeCallableWith("billing", Orders, { handlers: { placed: () => Effect.void } })
  })

  test("with a typing error in its options does not compile", () => {
    expect(Consumer.make).type.not.toBeCallableWith("billing", Orders, {
      handlers: { placed: () => Effect.void },
      dedup: { window: "1 day", mode: "once" }
    })
    expect(Consumer.make).type.not.toBeCallableWith("billing", Orders, {
      handlers: { placed: () => Effect.void },
      tiemout: "1 second"
    })
  })
})

describe("an ordering", () => {
  test("by what is not in the data of every event, or is no text or number, does not compile", () => {
    expect(Channel.make).type.not.toBeCallableWith("c", [OrderPlaced], { ordering: Ordering.strict("tenant") })
    expect(Channel.make).type.not.toBeCallableWith("c", [OrderPlaced], { ordering: Ordering.strict("placedAt") })
    expect(Channel.make).type.not.toBeCallableWith("c", [OrderPlaced, OrderCancelled], {
      ordering: Ordering.strict("id")
    })
    expect(Channel.make).type.toBeCallableWith("c", [OrderPlaced, OrderCancelled], {
      ordering: Ordering.strict("tenantId")
    })
  })
})

describe("Publisher.publish", () => {
  test("says what can go wrong", () => {
    expect(Publisher.publish(Orders, OrderPlaced, { id: "1", tenantId: "t", placedAt: new Date(0) })).type.toBe<
      Effect.Effect<CloudEvent<"placed", typeof Order.Type>, PublishError | InvalidEvent, Broker>
    >()
  })

  test("refuses a type that is not of the channel, and data that is not of the type", () => {
    const publish = Publisher.publish<typeof OrderPlaced, "placed", typeof Order>
    type Given = Parameters<typeof publish>
    expect(Orders).type.toBeAssignableTo<Given[0]>()
    expect(OrderPlaced).type.toBeAssignableTo<Given[1]>()
    expect(Other).type.not.toBeAssignableTo<Given[1]>()
    expect<Given[2]>().type.toBe<typeof Order.Type>()
    const others = Publisher.publish<typeof Other, "other", typeof Order>
    expect(Orders).type.not.toBeAssignableTo<Parameters<typeof others>[0]>()
    expect(Channel.make("c", [Other])).type.toBeAssignableTo<Parameters<typeof others>[0]>()
  })
})
