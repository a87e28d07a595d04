import { assert, it } from "@effect/vitest"
import * as amqplib from "amqplib"
import { Duration, Effect, Exit, Fiber, Scope } from "effect"
import type { PublishError } from "effect-integration/event"
import { amqpUrl, describeOwnRabbitMq, describeRabbitMq, unique } from "../servers/Servers.ts"
import * as RabbitMq from "../servers/RabbitMq.ts"
import * as TcpProxy from "../servers/TcpProxy.ts"
import { until } from "../servers/until.ts"
import { connect, fresh, read, subscribe, takeAck, text } from "./fixture.ts"

const raw = Effect.flatMap(amqpUrl, (url) =>
  Effect.acquireRelease(
    Effect.promise(() => amqplib.connect(url)),
    (connection) => Effect.promise(() => connection.close())
  )
).pipe(Effect.flatMap((connection) => Effect.promise(() => connection.createChannel())))

const reasonOf = <A>(publish: Effect.Effect<A, PublishError>) =>
  Effect.map(Effect.flip(publish), ({ reason }) => reason)

const proxied = Effect.gen(function* () {
  const url = yield* amqpUrl
  const proxy = yield* TcpProxy.make({ port: Number(new URL(url).port) })
  return { proxy, url: proxy.url(url) }
})

describeRabbitMq("publishing", () => {
  it.live("says that no queue takes the message, and which of two alike", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const lonely = fresh({ consumers: [] })
      const consumed = fresh()
      const message = text("x", { messageId: "same" })
      const exits = yield* Effect.all(
        [
          broker.publish(consumed, message),
          broker.publish(lonely, message),
          broker.publish(consumed, message),
          broker.publish(lonely, message)
        ].map(Effect.result),
        { concurrency: "unbounded" }
      )
      const reasons = exits.map((exit) => (exit._tag === "Success" ? "done" : exit.failure.reason))
      assert.deepStrictEqual(reasons, ["done", "unroutable", "done", "unroutable"])
      assert.strictEqual((yield* broker.depth({ channel: consumed, group: "g" })).ready, 2)
    })
  )

  it.live("says that a full queue refused the message", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh({ retention: { maxMessages: 2 } })
      // A quorum queue notices a little late that it is full.
      const refused = Effect.map(
        Effect.result(broker.publish(channel, text("x"))),
        (result) => result._tag === "Failure" && result.failure.reason === "refused"
      )
      yield* until(refused)
      assert.isAtLeast((yield* broker.depth({ channel, group: "g" })).ready, 2)
    })
  )

  it.live("refuses what cannot be written down, and goes on", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh()
      const bad = [
        text("x", { headers: { nan: Number.NaN } }),
        text("x", { headers: { ["n".repeat(300)]: 1 } }),
        text("x", { properties: { priority: 1000 } }),
        text("x", { contentType: "t".repeat(300) })
      ]
      const reasons = yield* Effect.all(
        bad.map((message) => reasonOf(broker.publish(channel, message))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(reasons, ["refused", "refused", "refused", "refused"])
      yield* broker.publish(channel, text("good"))
      assert.strictEqual((yield* broker.depth({ channel, group: "g" })).ready, 1)
    })
  )

  it.live("recovers from a missing exchange (404) on the same connection", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const gone = fresh()
      const good = fresh()
      yield* broker.publish(gone, text("1"))
      yield* broker.publish(good, text("1"))
      const admin = yield* raw
      yield* Effect.promise(() => admin.deleteExchange(gone.name))
      const results = yield* Effect.all(
        [
          broker.publish(good, text("2")),
          broker.publish(gone, text("2")),
          broker.publish(good, text("3")),
          broker.publish(good, text("4"))
        ].map(Effect.result),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        results.map((result) => (result._tag === "Success" ? "done" : result.failure.reason)),
        ["done", "topology", "done", "done"]
      )
      const failed = results[1]!
      assert.include(failed._tag === "Failure" ? failed.failure.description : "", "no exchange")
      // It is declared again.
      yield* broker.publish(gone, text("3"))
      assert.strictEqual((yield* broker.depth({ channel: gone, group: "g" })).ready, 2)
    })
  )

  it.live("finds the messages for which the broker closes the channel, and publishes the others", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh()
      const admin = yield* raw
      const { exchange } = yield* Effect.promise(() =>
        admin.assertExchange(unique("internal"), "direct", { internal: true })
      )
      const { queue } = yield* Effect.promise(() => admin.assertQueue(unique("theirs")))
      // Nobody may publish to an internal exchange.
      const forbidden = fresh({ existing: { queue, exchange } })
      const results = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n),
        (n) => Effect.result(broker.publish(n % 10 === 7 ? forbidden : channel, text(String(n)))),
        { concurrency: "unbounded" }
      )
      const failed = results.flatMap((result, n) => (result._tag === "Failure" ? [[n, result.failure.reason]] : []))
      assert.deepStrictEqual(failed, [
        [7, "refused"],
        [17, "refused"]
      ])
      const deliveries = yield* subscribe(broker, channel)
      const seen = new Set<string>()
      while (seen.size < 18) seen.add(read(yield* takeAck(deliveries)))
      assert.isFalse(seen.has("7"))
    })
  )

  it.live("fails with topology where the queue is there with other arguments, and names the argument", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh()
      yield* broker.publish(channel, text("1"))
      const changed = { ...channel, retention: { maxAge: Duration.seconds(60), maxMessages: undefined } }
      const error = yield* Effect.flip(broker.publish(changed, text("2")))
      assert.strictEqual(error.reason, "topology")
      assert.include(error.description, "x-message-ttl")
      const mismatch = yield* Effect.flip(Effect.scoped(subscribe(broker, changed)))
      assert.deepInclude(mismatch, {
        _tag: "TopologyMismatch",
        entity: "queue",
        name: `${channel.name}.g`,
        argument: "x-message-ttl"
      })
      const missing = yield* Effect.flip(Effect.scoped(subscribe(broker, fresh({ existing: { queue: "nowhere" } }))))
      assert.deepInclude(missing, { _tag: "TopologyMismatch", name: "nowhere", argument: "existence" })
      const long = { ...channel, retention: { maxAge: Duration.days(50), maxMessages: undefined } }
      assert.strictEqual(yield* reasonOf(broker.publish(long, text("3"))), "topology")
      yield* broker.publish(channel, text("4"))
      assert.strictEqual((yield* broker.depth({ channel, group: "g" })).ready, 2)
    })
  )

  it.live("sends again what was in flight when the connection was lost", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* proxied
      const broker = yield* connect({ url })
      const channel = fresh()
      yield* broker.publish(channel, text("first"))
      yield* proxy.swallow("down")
      const publishing = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3], (n) => broker.publish(channel, text(String(n), { messageId: String(n) })), {
          concurrency: 3
        })
      )
      yield* Effect.sleep(50)
      yield* proxy.resume
      yield* proxy.cut
      yield* Fiber.join(publishing)
      const deliveries = yield* subscribe(broker, channel)
      const seen = new Set<string>()
      while (seen.size < 4) seen.add(read(yield* takeAck(deliveries)))
      assert.deepStrictEqual([...seen].toSorted(), ["1", "2", "3", "first"])
    })
  )

  it.live("does not know what became of a message whose confirm was swallowed", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* proxied
      const broker = yield* connect({ url, publishTimeout: "300 millis" })
      const channel = fresh()
      yield* broker.publish(channel, text("1"))
      yield* proxy.swallow("down")
      const [took, error] = yield* Effect.timed(Effect.flip(broker.publish(channel, text("2", { messageId: "m2" }))))
      assert.deepInclude(error, { reason: "unknown", messageId: "m2", channel: channel.name })
      assert.strictEqual(error.outcome, "unknown")
      assert.isAtLeast(Duration.toMillis(took), 295)
      yield* proxy.refuse
      yield* proxy.resume
      yield* proxy.cut
      yield* until(Effect.map(broker.health, ({ connected }) => !connected))
      assert.strictEqual(yield* reasonOf(broker.publish(channel, text("3"))), "unavailable")
      assert.isFalse((yield* broker.health).connected)
      yield* proxy.accept
      yield* until(Effect.map(broker.health, ({ connected }) => connected))
      yield* broker.publish(channel, text("4"))
    })
  )

  it.live("holds no more than maxInFlight, and gives the place of an interrupted one to the next", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* proxied
      const other = yield* connect({ url: yield* amqpUrl })
      const broker = yield* connect({ url, maxInFlight: 2, publishTimeout: "60 seconds" })
      const channel = fresh()
      yield* broker.publish(channel, text("0"))
      yield* proxy.swallow("down")
      const fibers = yield* Effect.forEach([1, 2, 3, 4], (n) =>
        Effect.forkChild(broker.publish(channel, text(String(n))), { startImmediately: true })
      )
      const there = (count: number) =>
        until(Effect.map(other.depth({ channel, group: "g" }), ({ ready }) => ready === count))
      yield* there(3)
      yield* Fiber.interrupt(fibers[0]!)
      yield* there(4)
      yield* Fiber.interrupt(fibers[3]!)
      yield* proxy.resume
      yield* proxy.cut
      yield* Fiber.join(fibers[1]!)
      yield* Fiber.join(fibers[2]!)
      const deliveries = yield* subscribe(other, channel)
      const seen = new Set<string>()
      while (seen.size < 4) seen.add(read(yield* takeAck(deliveries)))
      assert.deepStrictEqual([...seen].toSorted(), ["0", "1", "2", "3"])
    })
  )

  it.live("settles what is in flight when it is closed", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* proxied
      const scope = yield* Scope.make()
      const broker = yield* Scope.provide(connect({ url, publishTimeout: "500 millis" }), scope)
      const channel = fresh()
      yield* broker.publish(channel, text("0"))
      const quick = yield* Effect.forEach([1, 2, 3], (n) =>
        Effect.forkChild(Effect.exit(broker.publish(channel, text(String(n)))), { startImmediately: true })
      )
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      assert.strictEqual(yield* reasonOf(broker.publish(channel, text("late"))), "unavailable")
      for (const fiber of quick) assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
      yield* Fiber.join(closing)

      const other = yield* Scope.make()
      const stuck = yield* Scope.provide(connect({ url, publishTimeout: "500 millis" }), other)
      yield* stuck.publish(channel, text("0"))
      yield* proxy.swallow("down")
      const left = yield* Effect.forkChild(Effect.flip(stuck.publish(channel, text("1"))), { startImmediately: true })
      yield* Scope.close(other, Exit.void)
      assert.strictEqual((yield* Fiber.join(left)).reason, "unknown")
    })
  )
})

describeOwnRabbitMq("publishing to a broker that blocks", () => {
  it.live("waits until it unblocks, and says where it does not that nothing was sent", () =>
    Effect.gen(function* () {
      const server = yield* RabbitMq.make()
      const broker = yield* connect({ url: server.url, publishTimeout: "500 millis" })
      const channel = fresh()
      yield* broker.publish(channel, text("1"))
      const deliveries = yield* subscribe(broker, channel)
      yield* server.ctl("set_vm_memory_high_watermark", "0")
      // The broker tells the connection with the first message that it does not take.
      yield* Effect.ignore(broker.publish(channel, text("2")))
      yield* until(Effect.map(broker.health, ({ problem }) => problem?.includes("blocks") === true))
      const error = yield* Effect.flip(broker.publish(channel, text("3")))
      assert.strictEqual(error.reason, "unavailable")
      assert.include(error.description, "blocks")
      assert.strictEqual(read(yield* takeAck(deliveries)), "1")
      yield* server.ctl("set_vm_memory_high_watermark", "0.6")
      yield* until(Effect.map(broker.health, ({ problem }) => problem === undefined))
      yield* broker.publish(channel, text("4"))
    })
  )
})
