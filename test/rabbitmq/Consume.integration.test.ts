import { assert, it } from "@effect/vitest"
import * as amqplib from "amqplib"
import { Duration, Effect, Equal, Exit, Fiber, Queue, Scope } from "effect"
import { Broker, Ordering } from "effect-integration/event"
import { amqpUrl, describeOwnRabbitMq, describeRabbitMq } from "../servers/Servers.ts"
import * as RabbitMq from "../servers/RabbitMq.ts"
import * as TcpProxy from "../servers/TcpProxy.ts"
import { until } from "../servers/until.ts"
import { ack, connect, type Delivery, fresh, read, subscribe, takeAck, text } from "./fixture.ts"

const { Settlement } = Broker

const raw = Effect.flatMap(amqpUrl, (url) =>
  Effect.acquireRelease(
    Effect.promise(() => amqplib.connect(url)),
    (connection) => Effect.promise(() => connection.close())
  )
).pipe(Effect.flatMap((connection) => Effect.promise(() => connection.createChannel())))

const proxied = Effect.gen(function* () {
  const url = yield* amqpUrl
  const proxy = yield* TcpProxy.make({ port: Number(new URL(url).port) })
  return { proxy, url: proxy.url(url) }
})

const take = (deliveries: Queue.Dequeue<Delivery>, count: number) =>
  Effect.forEach(Array.from({ length: count }), () => Queue.take(deliveries))

const bodies = (deliveries: ReadonlyArray<Delivery>) => deliveries.map(read).toSorted()

describeRabbitMq("consuming", () => {
  it.live("takes the prefetch at once after the first fresh message, and no more", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh()
      for (let n = 0; n < 10; n++) yield* broker.publish(channel, text(String(n)))
      const deliveries = yield* subscribe(broker, channel, { prefetch: 4 })
      yield* takeAck(deliveries)
      yield* until(Effect.map(Queue.size(deliveries), (size) => size === 4))
      const held = yield* take(deliveries, 4)
      assert.deepStrictEqual(bodies(held), ["1", "2", "3", "4"])
      assert.strictEqual((yield* broker.depth({ channel, group: "g" })).ready, 5)
      // Out of order: the third first.
      for (const place of [2, 0, 3, 1]) yield* ack(held[place]!)
      for (let n = 5; n < 10; n++) assert.strictEqual(read(yield* takeAck(deliveries)), String(n))
      yield* until(Effect.map(broker.depth({ channel, group: "g" }), ({ ready }) => ready === 0))
    })
  )

  it.live("tries the messages of a crash one by one, before it takes more", () =>
    Effect.gen(function* () {
      const url = yield* amqpUrl
      const channel = fresh()
      const scope = yield* Scope.make()
      const crashing = yield* Scope.provide(connect({ url }), scope)
      for (let n = 0; n < 6; n++) yield* crashing.publish(channel, text(String(n)))
      const lost = yield* Scope.provide(subscribe(crashing, channel, { prefetch: 3, drain: Duration.millis(1) }), scope)
      yield* takeAck(lost)
      yield* until(Effect.map(Queue.size(lost), (size) => size === 3))
      yield* Scope.close(scope, Exit.void)

      const broker = yield* connect({ url })
      const deliveries = yield* subscribe(broker, channel, { prefetch: 3 })
      for (const body of ["1", "2", "3"]) {
        const delivery = yield* Queue.take(deliveries)
        assert.strictEqual(read(delivery), body)
        assert.isAtLeast(delivery.redeliveries, 1)
        assert.strictEqual(yield* Queue.size(deliveries), 0)
        assert.strictEqual((yield* broker.depth({ channel, group: "g" })).ready, 5 - Number(body))
        yield* ack(delivery)
      }
      const fresh4 = yield* Queue.take(deliveries)
      assert.deepStrictEqual([read(fresh4), fresh4.redeliveries], ["4", 0])
      yield* ack(fresh4)
      assert.strictEqual(read(yield* takeAck(deliveries)), "5")
    })
  )

  it.live("settles late what a lost connection brought, and gets all of it again", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* proxied
      const broker = yield* connect({ url })
      const channel = fresh()
      for (let n = 0; n < 6; n++) yield* broker.publish(channel, text(String(n)))
      const deliveries = yield* subscribe(broker, channel, { prefetch: 5 })
      yield* takeAck(deliveries)
      const held = yield* take(deliveries, 4)
      yield* until(Effect.map(Queue.size(deliveries), (size) => size === 1))
      yield* proxy.cut
      yield* until(Effect.map(broker.health, ({ subscriptions }) => subscriptions[0]!.present === 0))
      // What was not taken yet went with the connection.
      assert.strictEqual(yield* Queue.size(deliveries), 0)
      yield* until(Effect.map(broker.health, ({ subscriptions }) => subscriptions[0]!.present === 1))
      // Two before the cut, and two after it: the publishing one may come later.
      const connections = 4
      yield* until(Effect.map(proxy.accepted, (accepted) => accepted === connections))
      const settlements = [
        Settlement.Ack(),
        Settlement.Requeue(),
        Settlement.Retry({ after: Duration.seconds(1), headers: {} }),
        Settlement.DeadLetter({ headers: {} })
      ]
      for (const [place, settlement] of settlements.entries()) {
        assert.isFalse(held[place]!.isLive())
        assert.strictEqual(yield* held[place]!.settle(settlement), "late")
      }
      const again: Array<Delivery> = []
      while (again.length < 5) again.push(yield* takeAck(deliveries))
      assert.deepStrictEqual(bodies(again), ["1", "2", "3", "4", "5"])
      yield* until(Effect.map(broker.depth({ channel, group: "g" }), ({ ready }) => ready === 0))
      assert.strictEqual(yield* Queue.size(deliveries), 0)
      assert.strictEqual(yield* proxy.accepted, connections)
      assert.deepStrictEqual((yield* broker.health).problem, undefined)
    })
  )

  it.live("is set up again when its queue is deleted, and says so meanwhile", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl, reconnect: { base: "1 second", cap: "1 second" } })
      const channel = fresh()
      const deliveries = yield* subscribe(broker, channel)
      yield* broker.publish(channel, text("1"))
      const held = yield* Queue.take(deliveries)
      const admin = yield* raw
      yield* Effect.promise(() => admin.deleteQueue(`${channel.name}.g`))
      yield* until(Effect.map(broker.health, ({ subscriptions }) => subscriptions[0]!.present === 0))
      const health = yield* broker.health
      assert.deepStrictEqual(health.subscriptions, [{ channel: channel.name, group: "g", wanted: 1, present: 0 }])
      assert.include(health.problem ?? "", "cancelled")
      assert.strictEqual(yield* ack(held), "late")
      yield* until(Effect.map(broker.health, ({ subscriptions }) => subscriptions[0]!.present === 1))
      yield* broker.publish(channel, text("2"))
      assert.strictEqual(read(yield* takeAck(deliveries)), "2")
      assert.strictEqual((yield* broker.health).problem, undefined)
    })
  )

  it.live("drains: waits for what was given out, and gives back the rest at once", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh()
      for (let n = 0; n < 6; n++) yield* broker.publish(channel, text(String(n)))
      const scope = yield* Scope.make()
      const deliveries = yield* Scope.provide(subscribe(broker, channel, { prefetch: 4 }), scope)
      yield* takeAck(deliveries)
      const held = yield* take(deliveries, 2)
      yield* until(Effect.map(Queue.size(deliveries), (size) => size === 2))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* until(Effect.map(broker.depth({ channel, group: "g" }), ({ ready }) => ready === 3))
      assert.isUndefined(closing.pollUnsafe())
      assert.strictEqual(yield* ack(held[0]!), "done")
      assert.strictEqual(yield* held[1]!.settle(Settlement.DeadLetter({ headers: {} })), "done")
      yield* Fiber.join(closing)
      // The broker counts a little late.
      yield* until(
        Effect.map(broker.depth({ channel, group: "g" }), (depth) =>
          Equal.equals(depth, { ready: 3, delayed: 0, deadLetters: 1, consumers: 0 })
        )
      )
    })
  )

  it.live("gives back what is not settled within the drain", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh()
      yield* broker.publish(channel, text("1"))
      const scope = yield* Scope.make()
      const deliveries = yield* Scope.provide(subscribe(broker, channel, { drain: Duration.millis(50) }), scope)
      const held = yield* Queue.take(deliveries)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* ack(held), "late")
      yield* until(Effect.map(broker.depth({ channel, group: "g" }), ({ ready }) => ready === 1))
    })
  )

  it.live("gives a message back where it cannot be moved", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* proxied
      const broker = yield* connect({ url, publishTimeout: "200 millis" })
      const channel = fresh()
      yield* broker.publish(channel, text("1"))
      const deliveries = yield* subscribe(broker, channel)
      const held = yield* Queue.take(deliveries)
      yield* proxy.stall("down")
      assert.strictEqual(yield* held.settle(Settlement.DeadLetter({ headers: {} })), "requeued")
      assert.isFalse(held.isLive())
      yield* proxy.resume
      const again = yield* takeAck(deliveries)
      assert.deepStrictEqual([read(again), again.redeliveries], ["1", 1])
    })
  )

  it.live("refuses prefetches and delays that make no sense", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh({ ordering: Ordering.strict("k"), partitions: 4 })
      const bad = [
        { prefetch: 3 },
        { delays: Array.from({ length: 33 }, (_, n) => Duration.seconds(n + 1)) },
        { delays: [Duration.days(50)] }
      ]
      for (const options of bad) {
        const exit = yield* Effect.exit(Effect.scoped(subscribe(broker, channel, options)))
        assert.include(JSON.stringify(exit), "InvalidOption")
      }
    })
  )
})

describeOwnRabbitMq("a broker of its own", () => {
  it.live("connects again for ever, with everything as it was, and tells of it", () =>
    Effect.gen(function* () {
      const server = yield* RabbitMq.make()
      const broker = yield* connect({ url: server.url, publishTimeout: "20 seconds" })
      const channel = fresh()
      const deliveries = yield* subscribe(broker, channel)
      yield* broker.publish(channel, text("1"))
      const held = yield* Queue.take(deliveries)
      yield* server.ctl("close_all_connections", "test")
      yield* until(Effect.map(broker.health, ({ connected }) => connected))
      const again = yield* Queue.take(deliveries)
      assert.strictEqual(yield* ack(held), "late")
      assert.strictEqual(read(again), "1")
      yield* server.kill
      yield* until(Effect.map(broker.health, ({ connected }) => !connected))
      assert.strictEqual(yield* ack(again), "late")
      const publishing = yield* Effect.forkChild(broker.publish(channel, text("2")), { startImmediately: true })
      yield* server.start
      yield* Fiber.join(publishing)
      const rest = [yield* takeAck(deliveries), yield* takeAck(deliveries)]
      assert.deepStrictEqual(bodies(rest), ["1", "2"])
    })
  )
})
