/** Connections, channels and queues that a consumer and a publisher lose. */
import { assert, it } from "@effect/vitest"
import * as amqplib from "amqplib"
import { Duration, Effect, Fiber, Latch, Layer } from "effect"
import { CurrentDelivery, DeadLetters } from "../../src/event/index.ts"
import { RabbitMqBroker } from "../../src/rabbitmq/index.ts"
import { amqpUrl, describeRabbitMq, unique } from "../servers/Servers.ts"
import * as TcpProxy from "../servers/TcpProxy.ts"
import { until } from "../servers/until.ts"
import * as Faults from "./faultOrders.ts"
import { connect } from "./fixture.ts"

const concurrently = { concurrent: true }

const proxied = Effect.gen(function* () {
  const url = yield* amqpUrl
  const proxy = yield* TcpProxy.make({ port: Number(new URL(url).port) })
  return { proxy, url: proxy.url(url) }
})

const raw = Effect.flatMap(amqpUrl, (url) =>
  Effect.acquireRelease(
    Effect.promise(() => amqplib.connect(url)),
    (connection) => Effect.promise(() => connection.close())
  )
).pipe(Effect.flatMap((connection) => Effect.promise(() => connection.createChannel())))

describeRabbitMq("a connection that is killed while 64 handlers run", () => {
  const book = Faults.logBook()
  it.live(
    "makes their settlements late, acks nobody else's message, repeats no effect, and opens no channel for it",
    () =>
      Effect.gen(function* () {
        const { proxy, url } = yield* proxied
        const channels = yield* Faults.openings(url, proxy.port)
        const publisher = yield* connect({ url: yield* amqpUrl })
        const before = yield* proxy.accepted
        const broker = yield* connect({ url, reconnect: { base: "20 millis", cap: "100 millis" } })
        const orders = Faults.unordered(unique("orders"))
        const latches = { first: yield* Latch.make(), second: yield* Latch.make() }
        const running = new Faults.Tally()
        const effects = new Faults.Tally()
        const stores = Faults.watched()
        const consumer = Faults.billing(
          orders,
          ({ data }) =>
            Effect.gen(function* () {
              running.add(data.id)
              if (data.tenant in latches) yield* latches[data.tenant as keyof typeof latches].await
              effects.add(data.id)
            }),
          { prefetch: 64, lease: "3 seconds" }
        )
        const first = Faults.ids("first", 64)
        const second = Faults.ids("second", 64)
        // A consumer begins with one message, and takes its prefetch after one that is fresh.
        const placeAll = (tenant: string, ids: ReadonlyArray<string>) =>
          Effect.forEach(ids, (id) => Faults.on(publisher)(Faults.place(orders, id, tenant)), { discard: true })
        yield* placeAll("free", ["warm-1"])
        yield* placeAll("first", first)
        yield* placeAll("free", ["warm-2"])
        yield* placeAll("second", second)
        yield* Faults.consume(consumer, broker, stores.layer)
        yield* until(Effect.sync(() => first.every((id) => running.of(id) === 1)))
        assert.strictEqual(running.counts.size, 65)

        yield* proxy.cut
        yield* until(Effect.sync(() => second.every((id) => running.of(id) === 1)))
        assert.strictEqual(effects.counts.size, 2)
        const opened = channels.count
        // Delivery tags of the lost channel are those of other messages on this one.
        yield* latches.first.open
        const late = () => book.lines.filter((line) => line.includes("its delivery had ended"))
        yield* until(Effect.sync(() => late().length >= 64))
        assert.isTrue(first.every((id) => effects.of(id) === 1))
        assert.isTrue(yield* Faults.isThere(broker))
        assert.strictEqual(channels.count, opened)

        // Had a late ack told the broker of another's message, it would not be delivered again.
        yield* proxy.cut
        const claimed = new Map(second.map((id) => [id, stores.claims.of(id)]))
        yield* until(Effect.sync(() => second.every((id) => stores.claims.of(id) > claimed.get(id)!)))
        yield* latches.second.open
        const duplicate = [...first, ...second]
        yield* until(Effect.sync(() => duplicate.every((id) => stores.duplicates.of(id) > 0)))
        // To declare, to consume and to publish; a loop would open one after another.
        assert.isAtMost(channels.count - opened, 8)
        yield* until(Faults.emptied(consumer, broker))
        assert.strictEqual(late().length, 128)
        assert.strictEqual(effects.counts.size, 130)
        assert.deepStrictEqual(effects.doubled, [])
        assert.deepStrictEqual(running.doubled, [])
        assert.strictEqual(yield* Faults.on(broker)(DeadLetters.count(consumer)), 0)
        assert.strictEqual((yield* broker.health).problem, undefined)
        // Two at first and after each cut.
        assert.strictEqual((yield* proxy.accepted) - before, 6)
      }).pipe(Effect.provide(book.layer))
  )
})

describeRabbitMq("queues that are deleted under a consumer", () => {
  it.live(
    "are set up again, and health says so meanwhile: the group's, its delays' and its dead letters'",
    () =>
      Effect.gen(function* () {
        const broker = yield* connect({ url: yield* amqpUrl, reconnect: { base: "1 second", cap: "1 second" } })
        const orders = Faults.unordered(unique("orders"))
        const effects = new Faults.Tally()
        const latch = yield* Latch.make()
        const consumer = Faults.billing(orders, ({ data }) =>
          Effect.gen(function* () {
            if (data.note === "hold") yield* latch.await
            const { attempt } = yield* CurrentDelivery
            if (data.note === "retry" && attempt === 1) return yield* new Faults.Overloaded()
            if (data.note === "die") return yield* Effect.die(new Error("always"))
            effects.add(data.id)
          })
        )
        yield* Faults.consume(consumer, broker)
        const place = (id: string, note?: string) => Faults.on(broker)(Faults.place(orders, id, "t", note))
        yield* place("held", "hold")
        const status = Effect.map(broker.health, ({ problem, subscriptions }) => ({
          problem,
          present: subscriptions[0]!.present
        }))
        const admin = yield* raw
        yield* Effect.promise(() => admin.deleteQueue(`${orders.name}.billing`))
        yield* until(Effect.map(status, ({ present }) => present === 0))
        assert.include((yield* status).problem ?? "", "cancelled")
        assert.isFalse(yield* Faults.isThere(broker))
        yield* latch.open
        yield* until(Effect.map(status, ({ present }) => present === 1))
        assert.strictEqual((yield* status).problem, undefined)
        yield* Effect.forEach(Faults.ids("after", 50), (id) => place(id), { concurrency: 10 })
        yield* until(Effect.sync(() => effects.counts.size === 51))

        // The queues that a consumer writes to are missed only when it does.
        for (const delay of [100, 1000, 3000]) {
          yield* Effect.promise(() => admin.deleteQueue(`${orders.name}.billing.delay.${delay}`))
        }
        yield* Effect.promise(() => admin.deleteQueue(`${orders.name}.billing.dead`))
        yield* place("retried", "retry")
        yield* until(Effect.sync(() => effects.of("retried") === 1))
        const bad = { body: new TextEncoder().encode("no event"), headers: {} }
        yield* broker.publish(orders, bad)
        yield* until(Effect.map(Faults.on(broker)(DeadLetters.count(consumer)), (count) => count === 1))
        assert.deepStrictEqual(effects.doubled, [])
        assert.isTrue(yield* Faults.isThere(broker))
      }).pipe(Effect.provide(Faults.logBook().layer)),
    concurrently
  )
})

describeRabbitMq("a confirm that never comes", () => {
  it.live(
    "is unknown, does not hold up its key, and an event that is published again is handled once",
    () =>
      Effect.gen(function* () {
        const { proxy, url } = yield* proxied
        const publisher = yield* connect({ url, publishTimeout: "500 millis" })
        const broker = yield* connect({ url: yield* amqpUrl })
        const orders = Faults.ordered(unique("orders"), 2)
        const effects: Array<string> = []
        const stores = Faults.watched()
        const consumer = Faults.billing(orders, ({ data }) => Effect.sync(() => effects.push(data.id)))
        yield* Faults.consume(consumer, broker, stores.layer)
        const place = (id: string) => Faults.on(publisher)(Faults.place(orders, id))
        yield* place("1")
        yield* proxy.swallow("down")
        const [took, error] = yield* Effect.timed(Effect.flip(place("2")))
        assert.deepInclude(error, { _tag: "PublishError", reason: "unknown", messageId: "2" })
        assert.isAtLeast(Duration.toMillis(took), 495)
        // It was published all the same.
        yield* until(Effect.sync(() => effects.includes("2")))
        const waiting = yield* Effect.forkChild(Effect.result(place("3")), { startImmediately: true })
        const behind = yield* Effect.forkChild(Effect.result(place("4")), { startImmediately: true })
        yield* proxy.resume
        yield* proxy.cut
        yield* Fiber.join(waiting)
        yield* Fiber.join(behind)
        for (const id of ["2", "3", "4"]) yield* place(id)
        yield* until(Effect.sync(() => ["2", "3", "4"].every((id) => stores.duplicates.of(id) > 0)))
        assert.deepStrictEqual(effects, ["1", "2", "3", "4"])
      }).pipe(Effect.provide(Faults.logBook().layer)),
    concurrently
  )
})

describeRabbitMq("the layer of a consumer whose broker is down", () => {
  const layerOf = (
    channel: Faults.Orders,
    effects: Faults.Tally,
    options: Parameters<typeof RabbitMqBroker.layer>[0]
  ) =>
    Faults.billing(channel, ({ data }) => Effect.sync(() => effects.add(data.id))).layer.pipe(
      Layer.provide(RabbitMqBroker.layer(options)),
      Layer.provide(Faults.memory)
    )

  it.live(
    "fails typed where it is to fail, and where it has waited for long enough",
    () =>
      Effect.gen(function* () {
        const { proxy, url } = yield* proxied
        yield* proxy.refuse
        const orders = Faults.unordered(unique("orders"))
        const build = (options: Partial<Parameters<typeof RabbitMqBroker.layer>[0]>) =>
          Effect.flip(Effect.scoped(Layer.build(Layer.fresh(layerOf(orders, new Faults.Tally(), { url, ...options })))))
        const [took, refused] = yield* Effect.timed(build({ startup: "fail", startupTimeout: "20 seconds" }))
        assert.deepInclude(refused, { _tag: "BrokerUnavailable", operation: "startup" })
        assert.include(refused.message, "ECONNREFUSED")
        assert.isBelow(Duration.toMillis(took), 10_000)
        const waited = yield* build({ startupTimeout: "300 millis" })
        assert.deepInclude(waited, { _tag: "BrokerUnavailable", operation: "startup" })
        assert.include(waited.message, "not there within 300 ms")
        assert.strictEqual(yield* proxy.accepted, 0)
      }).pipe(Effect.provide(Faults.logBook().layer)),
    concurrently
  )

  it.live(
    "waits for it, and then consumes what was published before",
    () =>
      Effect.gen(function* () {
        const { proxy, url } = yield* proxied
        yield* proxy.refuse
        const publisher = yield* connect({ url: yield* amqpUrl })
        const orders = Faults.unordered(unique("orders"))
        yield* Faults.on(publisher)(Faults.place(orders, "early"))
        const effects = new Faults.Tally()
        const book = Faults.logBook()
        const layer = layerOf(orders, effects, { url, reconnect: { base: "5 millis", cap: "50 millis" } })
        const building = yield* Effect.forkScoped(Effect.provide(Layer.build(Layer.fresh(layer)), book.layer), {
          startImmediately: true
        })
        yield* until(Effect.sync(() => book.lines.some((line) => line.includes("no connection to RabbitMQ"))))
        assert.isUndefined(building.pollUnsafe())
        assert.strictEqual(effects.counts.size, 0)
        yield* proxy.accept
        yield* until(Effect.sync(() => effects.of("early") === 1))
        assert.strictEqual(building.pollUnsafe()?._tag, "Success")
      }).pipe(Effect.provide(Faults.logBook().layer)),
    concurrently
  )
})
