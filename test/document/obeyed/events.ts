/** Section 4: channels, events and consumers, on the broker and the stores in memory. */
import { assert } from "@effect/vitest"
import { Data, Duration, Effect, Exit, Layer, Queue, Schema, Scope } from "effect"
import {
  Billing,
  OrderPlaced,
  Orders,
  OrderStatus,
  PaymentCaptured,
  Settlements
} from "../../../examples/orders-to-payments/orders.ts"
import {
  Broker,
  type Channel,
  Codec,
  Consumer,
  CurrentDelivery,
  DeadLetters,
  DedupStore,
  EventType,
  MemoryBroker,
  Ordering,
  Parking,
  Publisher
} from "../../../src/event/index.ts"
import { ErrorAction, RetryPolicy } from "../../../src/policy/index.ts"
import { part } from "../sections.ts"
import * as Variants from "../variants.ts"
import { order } from "./broker.ts"
import { type Case, millisOf, now, numberIn, obeys, rowIn, said, settle, timeIn, until } from "./case.ts"

class Again extends Data.TaggedError("Again") {
  readonly errorAction = ErrorAction.retry
}
class Down extends Data.TaggedError("Down") {
  readonly errorAction = ErrorAction.make("retry", { outage: true })
  readonly outcome = "unprocessed"
}

const memory = Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)
const withMemory = <A, E>(self: Effect.Effect<A, E, any>): Effect.Effect<A, E, Scope.Scope> =>
  Effect.provide(self, Layer.fresh(memory)) as Effect.Effect<A, E, Scope.Scope>

const settled = {
  ...order,
  chargeId: "ch_1042",
  previousState: "pending" as const,
  newState: "captured" as const
}
const { amount: _amount, currency: _currency, ...captured } = settled
/** Publishes on the flagship's channels. */
const capture = (id: string) => Publisher.publish(Settlements, PaymentCaptured, captured, { id })
const place = (id: string, tenantId: string = order.tenantId, on: Channel.Any = Orders) =>
  Publisher.publish(on as typeof Orders, OrderPlaced, { ...order, tenantId }, { id })

type Options = Consumer.Options & { readonly dedup?: Consumer.Dedup }
type Handler = () => Effect.Effect<unknown, any, any>
const given = ({ options }: Consumer.Any): Options => {
  const { dedup, drain, hold, lease, maxRedeliveries, prefetch, retry, timeout } = options
  return {
    drain,
    hold,
    lease,
    maxRedeliveries,
    prefetch,
    timeout,
    ...(retry === undefined ? {} : { retry }),
    ...(dedup === undefined ? {} : { dedup })
  }
}

/** The flagship's consumer of settlements with some options replaced, and what is printed of it. */
const orderStatus = (over: Options, handle: Handler) => {
  const consumer = Consumer.make("order-status", Settlements, {
    handlers: { "com.acme.payment.captured": handle, "com.acme.payment.refunded": handle },
    ...given(OrderStatus),
    // The clock stands still when a test ends.
    drain: 0,
    ...over
  })
  const text = part(Variants.textOf(Variants.withConsumer(consumer)), "Consumer: order-status")
  return { consumer, text }
}
const billing = (over: Options, handle: Handler, channel: Channel.Any = Orders) => {
  const consumer = Consumer.make("billing", channel as typeof Orders, {
    handlers: { "com.acme.order.placed": handle },
    ...given(Billing),
    drain: 0,
    ...over
  })
  const text = part(
    Variants.textOf({ ...Variants.withChannel(channel), ...Variants.withConsumer(consumer) }),
    "Consumer: billing"
  )
  return { consumer, text }
}

/** A process of its own, which ends when the test says so. */
const start = Effect.fnUntraced(function* (layer: Layer.Layer<never, any, any>) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* Layer.buildWithScope(Layer.fresh(layer), scope)
  yield* settle
  return { stop: Scope.close(scope, Exit.void) }
})

/** The broker with deliveries that are changed. */
const changed = (change: (delivery: Broker.Delivery) => Broker.Delivery) =>
  Layer.effect(
    Broker.Broker,
    Effect.map(Broker.Broker, (real) =>
      Broker.Broker.of({
        ...real,
        subscribe: (subscription) =>
          Effect.gen(function* () {
            const queue = yield* real.subscribe(subscription)
            const other = yield* Queue.unbounded<Broker.Delivery>()
            yield* Effect.forkScoped(
              Effect.forever(Effect.flatMap(Queue.take(queue), (delivery) => Queue.offer(other, change(delivery))))
            )
            return other
          })
      })
    )
  ).pipe(Layer.provide(MemoryBroker.layer))

const consumers: ReadonlyArray<Case> = [
  ...obeys(
    "consumer.retry",
    [OrderStatus.options.retry!, RetryPolicy.make({ delays: ["2 seconds", "5 seconds"] })],
    (retry) => {
      const times: Array<number> = []
      const { consumer, text } = orderStatus({ retry }, () =>
        Effect.andThen(
          Effect.map(now, (moment) => void times.push(moment)),
          Effect.fail(new Again())
        )
      )
      return withMemory(
        Effect.gen(function* () {
          const delays = said(text, /retries, `\[([^\]]*)\]`/)
            .split(", ")
            .map(millisOf)
          yield* start(consumer.layer)
          yield* capture("1")
          yield* settle
          const expected = [0]
          for (const delay of delays) {
            expected.push(expected.at(-1)! + delay)
            yield* until(expected.at(-1)! - 1)
            assert.strictEqual(times.length, expected.length - 1)
            yield* until(expected.at(-1)!)
          }
          assert.deepStrictEqual(times, expected)
          assert.strictEqual(delays.length, numberIn(text, /\*\*When a handler fails:\*\* (\d+) retries/))
          assert.include(text, "then the event goes to the dead letters")
          assert.strictEqual(yield* DeadLetters.count(consumer), 1)
        })
      )
    }
  ),
  ...obeys(
    "consumer.retry",
    [Billing.options.retry!, RetryPolicy.make({ delays: ["2 seconds", "5 seconds"] })],
    (retry) => {
      const times: Array<number> = []
      const { consumer, text } = billing({ retry }, () =>
        Effect.andThen(
          Effect.map(now, (moment) => void times.push(moment)),
          Effect.fail(new Again())
        )
      )
      return withMemory(
        Effect.gen(function* () {
          const delays = said(text, /retries, `\[([^\]]*)\]`/)
            .split(", ")
            .map(millisOf)
          yield* start(consumer.layer)
          yield* place("1")
          yield* settle
          let moment = 0
          for (const [index, delay] of delays.entries()) {
            moment = times.at(-1)! + delay
            yield* until(moment - 1)
            assert.strictEqual(times.length, index + 1)
            // It is parked, and its key is looked at once a second.
            yield* until(moment)
            yield* until(moment + 1000)
            assert.strictEqual(times.length, index + 2, `after ${moment} ms`)
          }
          yield* until(moment + 10_000)
          assert.strictEqual(yield* DeadLetters.count(consumer), 1)
        })
      )
    }
  ).map((each) => ({ ...each, value: `in strict order, ${each.value}` })),
  ...obeys<Duration.Input>("consumer.dedup.window", [OrderStatus.options.dedup!.window, "7 days"], (window) => {
    let handled = 0
    const { consumer, text } = orderStatus({ dedup: { window, mode: "transactional" } }, () =>
      Effect.sync(() => void handled++)
    )
    return withMemory(
      Effect.gen(function* () {
        const printed = timeIn(text, /\*\*Deduplication window:\*\* (\S+)/)
        yield* start(consumer.layer)
        yield* capture("1")
        yield* settle
        yield* until(printed - 1000)
        yield* capture("1")
        yield* settle
        assert.strictEqual(handled, 1)
        // It is forgotten when the table is next tidied: within an hour.
        yield* until(printed + 3_600_000)
        yield* capture("1")
        yield* settle
        assert.strictEqual(handled, 2)
      })
    )
  }),
  ...obeys("consumer.dedup.mode", ["transactional", "claimed"] as const, (mode) => {
    const asked = new Set<string>()
    const noted = Layer.effect(
      DedupStore.DedupStore,
      Effect.map(DedupStore.DedupStore, (real) => {
        const claim: typeof real.claim = (...all) => (asked.add("claimed"), real.claim(...all))
        const transaction: typeof real.transaction = (...all) => (asked.add("transactional"), real.transaction(...all))
        return DedupStore.DedupStore.of({ ...real, claim, transaction })
      })
    ).pipe(Layer.provide(DedupStore.layerMemory))
    const { consumer, text } = orderStatus({ dedup: { window: "1 day", mode } }, () => Effect.void)
    return Effect.gen(function* () {
      yield* start(consumer.layer)
      yield* capture("1")
      yield* settle
      assert.deepStrictEqual([...asked], [said(text, /\*\*Mode:\*\* (\w+)/)])
    }).pipe(Effect.provide(Layer.fresh(Layer.mergeAll(MemoryBroker.layer, noted)))) as Effect.Effect<
      void,
      unknown,
      Scope.Scope
    >
  }),
  ...obeys("consumer.prefetch", [OrderStatus.options.prefetch, 3], (prefetch) => {
    let running = 0
    const { consumer, text } = orderStatus({ prefetch }, () =>
      Effect.andThen(
        Effect.sync(() => running++),
        Effect.never
      )
    )
    return withMemory(
      Effect.gen(function* () {
        const printed = numberIn(text, /in hand at once (\d+)/)
        yield* start(consumer.layer)
        for (let index = 0; index < printed + 5; index++) yield* capture(String(index))
        yield* settle
        yield* settle
        assert.strictEqual(running, printed)
      })
    )
  }),
  ...obeys<Duration.Input>("consumer.timeout", [OrderStatus.options.timeout, "4 seconds"], (timeout) => {
    const ended: Array<number> = []
    const { consumer, text } = orderStatus({ timeout }, () =>
      Effect.onInterrupt(Effect.never, () => Effect.map(now, (moment) => void ended.push(moment)))
    )
    return withMemory(
      Effect.gen(function* () {
        const printed = timeIn(text, /Limits:\*\* handler (\S+);/)
        yield* start(consumer.layer)
        yield* capture("1")
        yield* settle
        yield* until(printed - 1)
        assert.deepStrictEqual(ended, [])
        yield* until(printed)
        assert.deepStrictEqual(ended, [printed])
      })
    )
  }),
  ...obeys<Duration.Input>("consumer.lease", [OrderStatus.options.lease, "6 seconds"], (lease) => {
    const ended: Array<number> = []
    // As where a process is cut off from the database: nothing is renewed any more.
    const stale = Layer.effect(
      DedupStore.DedupStore,
      Effect.map(DedupStore.DedupStore, (real) => DedupStore.DedupStore.of({ ...real, renew: () => Effect.never }))
    ).pipe(Layer.provide(DedupStore.layerMemory))
    const { consumer, text } = orderStatus(
      { lease, timeout: "1 hour", dedup: { window: "1 day", mode: "claimed" } },
      () => Effect.onInterrupt(Effect.never, () => Effect.map(now, (moment) => void ended.push(moment)))
    )
    return Effect.gen(function* () {
      const printed = timeIn(text, /; lease ([^;]+);/)
      assert.include(text, `under a lease of ${said(text, /; lease ([^;]+);/)}`)
      yield* start(consumer.layer)
      yield* capture("1")
      yield* settle
      const rival = yield* DedupStore.DedupStore
      const identity = { source: PaymentCaptured.source, id: "1" }
      const step = printed / 12
      for (let moment = step; moment < printed; moment += step) yield* until(moment)
      yield* until(printed - 1)
      assert.deepStrictEqual(ended, [])
      assert.strictEqual((yield* rival.claim("order-status", identity, Duration.seconds(1)))._tag, "Running")
      yield* until(printed)
      assert.deepStrictEqual(ended, [printed])
    }).pipe(Effect.provide(Layer.fresh(Layer.mergeAll(MemoryBroker.layer, stale)))) as Effect.Effect<
      void,
      unknown,
      Scope.Scope
    >
  }),
  ...obeys<Duration.Input>("consumer.drain", [OrderStatus.options.drain, "4 seconds"], (drain) => {
    const { consumer, text } = orderStatus({ drain, timeout: "1 hour" }, () => Effect.never)
    return withMemory(
      Effect.gen(function* () {
        const printed = timeIn(text, /; drain ([^;]+);/)
        const { stop } = yield* start(consumer.layer)
        yield* capture("1")
        yield* settle
        let ended = -1
        yield* Effect.forkChild(
          Effect.andThen(
            stop,
            Effect.map(now, (moment) => void (ended = moment))
          )
        )
        yield* until(printed - 1)
        assert.strictEqual(ended, -1)
        yield* until(printed)
        assert.strictEqual(ended, printed)
      })
    )
  }),
  ...obeys("consumer.maxRedeliveries", [OrderStatus.options.maxRedeliveries, 3], (maxRedeliveries) => {
    const handled: Array<number> = []
    const { consumer, text } = orderStatus({ maxRedeliveries }, () =>
      Effect.map(CurrentDelivery, ({ redeliveries }) => void handled.push(redeliveries))
    )
    const printed = numberIn(text, /redeliveries without settlement (\d+);/)
    let next = 0
    const died = changed((delivery) => ({ ...delivery, redeliveries: next }))
    return Effect.gen(function* () {
      yield* start(consumer.layer)
      next = printed - 1
      yield* capture("1")
      yield* settle
      assert.deepStrictEqual(handled, [printed - 1])
      next = printed
      yield* capture("2")
      yield* settle
      assert.deepStrictEqual(handled, [printed - 1])
      const [letter] = yield* DeadLetters.list(consumer)
      assert.strictEqual(letter?.reason, "delivery-limit")
    }).pipe(Effect.provide(Layer.fresh(Layer.mergeAll(died, DedupStore.layerMemory)))) as Effect.Effect<
      void,
      unknown,
      Scope.Scope
    >
  }),
  ...obeys<Duration.Input>("consumer.hold", [OrderStatus.options.hold, "45 seconds"], (hold) => {
    const moved: Array<number> = []
    const { consumer, text } = orderStatus({ hold }, () => Effect.fail(new Down()))
    const watched = changed((delivery) => ({
      ...delivery,
      settle: (settlement) =>
        Effect.andThen(
          Effect.map(now, (moment) => void (settlement._tag === "Retry" && moved.push(moment))),
          delivery.settle(settlement)
        )
    }))
    return Effect.gen(function* () {
      const printed = timeIn(text, /held in an outage (\S+)\n/)
      yield* start(consumer.layer)
      yield* capture("1")
      yield* settle
      for (let moment = 1000; moment < printed; moment += 1000) yield* until(moment)
      yield* until(printed - 1)
      assert.deepStrictEqual(moved, [])
      yield* until(printed)
      // A probe may be under way at the moment: then it is moved when that has failed.
      yield* until(printed + 1)
      assert.strictEqual(moved.length, 1)
      assert.strictEqual(moved[0], printed)
    }).pipe(Effect.provide(Layer.fresh(Layer.mergeAll(watched, DedupStore.layerMemory)))) as Effect.Effect<
      void,
      unknown,
      Scope.Scope
    >
  })
]

/** The flagship's channel of orders with some options replaced. */
const ordersWith = (over: Partial<Channel.Any>): Channel.Any => ({ ...Orders, ...over })
const printedOf = (channel: Channel.Any, end: string) => part(Variants.textOf(Variants.withChannel(channel)), end)

/** What a consumer of a channel has handled, while it is there. */
const handling = Effect.fnUntraced(function* (channel: Channel.Any, over: Options = {}, types?: ReadonlyArray<string>) {
  const handled: Array<any> = []
  const handler = (event: any) => Effect.sync(() => void handled.push(event))
  const consumer = Consumer.make("billing", channel as typeof Orders, {
    handlers: Object.fromEntries(
      (types ?? channel.events.map(({ type }) => type)).map((type) => [type, handler])
    ) as any,
    drain: 0,
    ...over
  })
  const running = yield* start(consumer.layer)
  return { consumer, handled, ...running }
})

const orderings = [
  Orders.ordering,
  Ordering.strict("orderId"),
  Ordering.strict("tenantId", { exhausted: "halt" }),
  Ordering.bestEffort
] as const

const channels: ReadonlyArray<Case> = [
  ...obeys<Ordering.Ordering>("channel.ordering", orderings as never, (ordering) => {
    const channel = ordersWith({ ordering, partitions: ordering._tag === "Strict" ? 8 : 1 })
    const text = printedOf(channel, "4.3 Ordering Guarantees")
    const [, kind, scope, , kept] = rowIn(text, "orders")
    let running = 0
    let most = 0
    const handle: Handler = () =>
      Effect.gen(function* () {
        most = Math.max(most, ++running)
        yield* Effect.sleep("1 second")
        running--
      })
    const tenants = ["7c9e6679-7425-40de-944b-e07fc1f90ae7", "0d6f7a1e-3b52-4c8e-9d0e-5a1f6b7c8d9e"]
    return withMemory(
      Effect.gen(function* () {
        const { consumer } = billing({}, handle, channel)
        yield* start(consumer.layer)
        // Two tenants, one order.
        for (const [index, tenant] of [...tenants, ...tenants].entries()) yield* place(String(index), tenant, channel)
        for (let moment = 250; moment <= 8000; moment += 250) yield* until(moment)
        const atOnce = kind === "Strict order" ? (scope === "Per `tenantId`" ? 2 : 1) : 4
        assert.strictEqual(most, atOnce)
        if (kind !== "Strict order") return
        // What becomes of the key whose event fails for good.
        const handled: Array<string> = []
        const failing = Consumer.make("failing", channel as typeof Orders, {
          handlers: {
            "com.acme.order.placed": (event) =>
              event.id === "bad" ? Effect.die("bad") : Effect.sync(() => void handled.push(event.id))
          }
        })
        yield* start(failing.layer)
        yield* place("bad", tenants[0], channel)
        yield* place("next", tenants[0], channel)
        const begun = yield* now
        for (let moment = 250; moment <= 5000; moment += 250) yield* until(begun + moment)
        const dead = yield* DeadLetters.count(failing)
        const goesOn = kept!.includes("is dead-lettered, and its key goes on")
        assert.strictEqual(kept!.includes("halts its key"), !goesOn)
        assert.deepStrictEqual([handled, dead], goesOn ? [["next"], 1] : [[], 0])
      })
    )
  }),
  ...obeys("channel.partitions", [Orders.partitions, 3], (partitions) =>
    withMemory(
      Effect.gen(function* () {
        const channel = ordersWith({ partitions })
        const [, printed] = rowIn(printedOf(channel, "4.2 Topics / Queues"), "`orders`")
        yield* handling(channel)
        const { subscriptions } = yield* Broker.Broker.use(({ health }) => health)
        assert.deepStrictEqual(
          subscriptions.map(({ wanted }) => wanted),
          [Number(printed)]
        )
      })
    )
  ),
  ...obeys<ReadonlyArray<string>>("channel.consumers", [Orders.consumers, ["billing", "audit"]], (names) =>
    withMemory(
      Effect.gen(function* () {
        const channel = ordersWith({ consumers: names })
        const [, , , groups] = rowIn(printedOf(channel, "4.2 Topics / Queues"), "`orders`")
        yield* place("1", order.tenantId, channel)
        const broker = yield* Broker.Broker
        for (const group of ["billing", "audit", "other"]) {
          const { ready } = yield* broker.depth({ channel, group })
          assert.strictEqual(ready, groups!.includes(`\`${group}\``) ? 1 : 0, group)
        }
      })
    )
  ),
  ...obeys("channel.deadLetters.maxAge", [Orders.deadLetters.maxAge!, Duration.days(2)], (maxAge) =>
    withMemory(
      Effect.gen(function* () {
        const channel = ordersWith({ deadLetters: { maxAge } })
        const [, , , kept] = rowIn(printedOf(channel, "4.2 Topics / Queues"), "`orders.billing.0 to .7`")
        const consumer = Consumer.make("billing", channel as typeof Orders, {
          handlers: { "com.acme.order.placed": () => Effect.die("bad") }
        })
        const running = yield* start(consumer.layer)
        yield* place("1", order.tenantId, channel)
        yield* settle
        assert.strictEqual(yield* DeadLetters.count(consumer), 1)
        yield* running.stop
        yield* until(millisOf(kept!) - 1)
        assert.strictEqual(yield* DeadLetters.count(consumer), 1)
        yield* until(millisOf(kept!))
        assert.strictEqual(yield* DeadLetters.count(consumer), 0)
      })
    )
  ),
  ...obeys("retention.maxAge", [Orders.retention.maxAge!, Duration.hours(2)], (maxAge) =>
    withMemory(
      Effect.gen(function* () {
        const channel = ordersWith({ retention: { ...Orders.retention, maxAge }, deadLetters: { maxAge: undefined } })
        const [, , retention] = rowIn(printedOf(channel, "4.2 Topics / Queues"), "`orders`")
        const age = timeIn(retention!, /^(\S+), then to the dead letters/)
        const broker = yield* Broker.Broker
        yield* place("1", order.tenantId, channel)
        const group = { channel, group: "billing" }
        yield* until(age - 1)
        assert.deepInclude(yield* broker.depth(group), { ready: 1, deadLetters: 0 })
        yield* until(age)
        assert.deepInclude(yield* broker.depth(group), { ready: 0, deadLetters: 1 })
      })
    )
  ),
  ...obeys("retention.maxMessages", [Orders.retention.maxMessages!, 3], (maxMessages) =>
    withMemory(
      Effect.gen(function* () {
        const channel = ordersWith({ retention: { ...Orders.retention, maxMessages } })
        const [, , retention] = rowIn(printedOf(channel, "4.2 Topics / Queues"), "`orders`")
        const limit = numberIn(retention!, /(\d+) messages, then refused/)
        const broker = yield* Broker.Broker
        // The message itself, without what a publisher does: there may be a million.
        const message = { body: new Uint8Array(), headers: {}, key: order.tenantId }
        const publish = broker.publish(channel, message)
        for (let index = 0; index < limit; index++) yield* publish
        assert.strictEqual((yield* broker.depth({ channel, group: "billing" })).ready, limit)
        assert.strictEqual((yield* Effect.flip(publish)).reason, "refused")
      })
    )
  ),
  ...obeys("channel.unknownEvents", [Orders.unknownEvents, "ignore"] as const, (unknownEvents) =>
    withMemory(
      Effect.gen(function* () {
        const channel = ordersWith({ unknownEvents })
        const text = printedOf(channel, "4.2 Topics / Queues")
        const { consumer } = yield* handling(channel)
        const Odd = EventType.make("com.acme.order.odd", { source: "https://orders.acme.com", data: Schema.Struct({}) })
        const odd = { ...channel, events: [...channel.events, Odd] } as any
        yield* Publisher.publish(odd, Odd as any, {} as any, { extensions: { partitionkey: "1" } } as any).pipe(
          Effect.ignore
        )
        const event = Codec.binary.encode(
          {
            specversion: "1.0",
            type: "com.acme.order.odd",
            source: "https://x",
            id: "1",
            data: {},
            extensions: {}
          } as any,
          "amqp"
        )
        yield* Broker.Broker.use((broker) => broker.publish(channel, { ...event, key: "1" }))
        yield* settle
        const ignored = text.includes("`orders`: an event of an unknown type is ignored")
        assert.strictEqual(text.includes("`orders`: an event of an unknown type goes to the dead letters"), !ignored)
        assert.strictEqual((yield* DeadLetters.count(consumer)) > 0, !ignored)
      })
    )
  ),
  ...obeys("channel.codec", [Orders.codec, Codec.structured], (codec) =>
    withMemory(
      Effect.gen(function* () {
        const channel = ordersWith({ codec })
        const text = printedOf(channel, "Event: order.placed")
        const consumer = Consumer.make("billing", channel as typeof Orders, {
          handlers: {
            "com.acme.order.placed": () =>
              Effect.map(CurrentDelivery, ({ message: { contentType } }) => {
                assert.strictEqual(contentType?.startsWith("application/cloudevents+json"), /structured/.test(text))
              })
          }
        })
        assert.match(text, codec === Codec.structured ? /structured/ : /binary/)
        yield* start(consumer.layer)
        yield* place("1", order.tenantId, channel)
        yield* settle
        assert.strictEqual(yield* DeadLetters.count(consumer), 0)
      })
    )
  )
]

/** The flagship's event with some options replaced, published and handled: the event that arrives. */
const event = (
  over: Partial<EventType.Any>,
  look: (event: any, printed: any, text: string) => void,
  data: any = order
) =>
  withMemory(
    Effect.gen(function* () {
      const type = { ...OrderPlaced, ...over } as typeof OrderPlaced
      const channel = ordersWith({ events: [type] })
      const text = printedOf(channel, `Event: ${type.type.split(".").slice(-2).join(".")}`)
      const { handled } = yield* handling(channel, {}, [type.type])
      yield* Publisher.publish(channel as any, type, data)
      yield* settle
      assert.strictEqual(handled.length, 1)
      look(handled[0], JSON.parse(said(text, /```json\n([^]*?)```/)), text)
    })
  )

const Other = Schema.Struct({ tenantId: Schema.String, parcels: Schema.Int })

const events: ReadonlyArray<Case> = [
  ...obeys<string>("event.type", [OrderPlaced.type, "com.acme.order.other"], (type) =>
    event({ type } as any, (seen, printed) => assert.strictEqual(seen.type, printed.type))
  ),
  ...obeys<string>("event.source", [OrderPlaced.source, "https://other.example"], (source) =>
    event({ source }, (seen, printed) => assert.strictEqual(seen.source, printed.source))
  ),
  ...obeys<string>(
    "event.datacontenttype",
    [OrderPlaced.datacontenttype, "application/other+json"],
    (datacontenttype) =>
      event({ datacontenttype }, (seen, printed) => assert.strictEqual(seen.datacontenttype, printed.datacontenttype))
  ),
  ...obeys<string>("event.dataschema", [OrderPlaced.dataschema!, "https://other.example/schema"], (dataschema) =>
    event({ dataschema }, (seen, printed) => assert.strictEqual(seen.dataschema, printed.dataschema))
  ),
  ...obeys<Schema.Top>("event.data", [OrderPlaced.data, Other], (data) =>
    event(
      { data: data as any },
      (seen, printed) =>
        assert.deepStrictEqual(Object.keys(seen.data).toSorted(), Object.keys(printed.data).toSorted()),
      data === Other ? { tenantId: order.tenantId, parcels: 2 } : order
    )
  ).map((each, index) => ({ ...each, value: index === 0 ? "of the flagship" : "another" })),
  ...obeys<EventType.Any["previous"]>("event.previous", [OrderPlaced.previous, {}], (previous) =>
    withMemory(
      Effect.gen(function* () {
        const uri = "https://orders.acme.com/schemas/order-placed/1"
        const channel = ordersWith({ events: [{ ...OrderPlaced, previous } as any] })
        const text = printedOf(channel, "Event: order.placed")
        const { consumer, handled } = yield* handling(channel)
        const { entityId, tenantId, actorId, orderId } = order
        const old = Codec.binary.encode(
          {
            specversion: "1.0",
            type: OrderPlaced.type,
            source: OrderPlaced.source,
            id: "1",
            dataschema: uri,
            datacontenttype: "application/json",
            data: { entityId, tenantId, actorId, orderId, euros: 42 },
            extensions: {}
          } as any,
          "amqp"
        )
        yield* Broker.Broker.use((broker) => broker.publish(channel, { ...old, key: tenantId }))
        yield* settle
        const isRead = text.includes(uri)
        assert.deepStrictEqual(
          handled.map(({ data }) => data.amount),
          isRead ? [4200] : []
        )
        assert.strictEqual(yield* DeadLetters.count(consumer), isRead ? 0 : 1)
      })
    )
  ).map((each, index) => ({ ...each, value: index === 0 ? "one" : "none" }))
]

export const eventCases: ReadonlyArray<Case> = [...consumers, ...channels, ...events]
