import { assert, it } from "@effect/vitest"
import * as amqplib from "amqplib"
import { Duration, Effect, Queue } from "effect"
import { Broker, Ordering } from "effect-integration/event"
import { amqpUrl, describeRabbitMq, unique } from "../servers/Servers.ts"
import { connect, fresh, read, subscribe, takeAck, text } from "./fixture.ts"

const { Settlement, Verdict } = Broker

const bytes = (length: number) => Uint8Array.from({ length }, (_, index) => (index * 31) % 256)

describeRabbitMq("RabbitMqBroker", () => {
  it.live("carries bodies, headers and properties as they are", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh()
      const deliveries = yield* subscribe(broker, channel)
      const headers = {
        text: "größe",
        empty: "",
        integer: 42,
        negative: -7,
        big: 2 ** 40,
        double: 1.5,
        yes: true,
        no: false,
        nothing: null,
        bytes: bytes(300),
        table: { inner: { deep: [1, "two", null, { three: 3 }] } },
        list: ["a", 1, false, bytes(3)],
        time: { "!": "timestamp", value: 1_700_000_000 },
        CC: ["elsewhere"],
        "x-death": [{ queue: channel.name, reason: "expired", count: 1 }],
        "x-mine": "kept"
      }
      const properties = {
        correlationId: "c",
        replyTo: "r",
        priority: 3,
        timestamp: 1_700_000_000,
        type: "t",
        appId: "a",
        contentEncoding: "gzip",
        userId: "somebody-else"
      }
      const message = { body: bytes(1000), headers, contentType: "x/y", messageId: "m1", key: "k", properties }
      yield* broker.publish(channel, message)
      yield* broker.publish(channel, { body: new Uint8Array(0), headers: {} })
      yield* broker.publish(channel, { body: bytes(1024 * 1024), headers: {} })
      const first = yield* takeAck(deliveries)
      assert.deepStrictEqual(first.message, message)
      assert.strictEqual(first.redeliveries, 0)
      const second = yield* takeAck(deliveries)
      assert.deepStrictEqual(second.message, { body: new Uint8Array(0), headers: {} })
      const third = yield* takeAck(deliveries)
      assert.deepStrictEqual(third.message, { body: bytes(1024 * 1024), headers: {} })
    })
  )

  it.live("carries them through a retry, the dead letters and a replay", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh()
      const deliveries = yield* subscribe(broker, channel, { delays: [Duration.millis(20)] })
      const message = {
        ...text("body", { key: "k", messageId: "m", contentType: "x/y" }),
        headers: { at: { "!": "timestamp", value: 1_700_000_000 }, CC: ["q"] },
        properties: { expiration: "60000", userId: "other", correlationId: "c" }
      }
      yield* broker.publish(channel, message)
      const first = yield* Queue.take(deliveries)
      assert.deepStrictEqual(first.message, message)
      const retry = Settlement.Retry({ after: Duration.millis(10), headers: { attempt: 2 } })
      assert.strictEqual(yield* first.settle(retry), "done")
      assert.strictEqual(yield* first.settle(retry), "late")
      const again = yield* Queue.take(deliveries)
      assert.deepStrictEqual(again.message, { ...message, headers: { ...message.headers, attempt: 2 } })
      assert.strictEqual(again.redeliveries, 0)
      assert.strictEqual(yield* again.settle(Settlement.DeadLetter({ headers: { reason: "no" } })), "done")

      const letters = broker.deadLetters({ channel, group: "g" })
      const buried = { ...message, headers: { ...message.headers, attempt: 2, reason: "no" } }
      assert.strictEqual((yield* broker.depth({ channel, group: "g" })).deadLetters, 1)
      const shown: Array<unknown> = []
      const replay = yield* letters.visit(
        (letter) => Effect.sync(() => Verdict.Replay({ message: (shown.push(letter), message) })),
        { limit: 10 }
      )
      assert.strictEqual(replay, 1)
      assert.deepStrictEqual(shown, [buried])
      assert.deepStrictEqual((yield* takeAck(deliveries)).message, message)
      assert.deepStrictEqual(yield* broker.depth({ channel, group: "g" }), {
        ready: 0,
        delayed: 0,
        deadLetters: 0,
        consumers: 1
      })
    })
  )

  it.live("visits dead letters without spending them", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh()
      const letters = broker.deadLetters({ channel, group: "g" })
      for (const body of ["1", "2", "3"]) yield* letters.add(text(body))
      const visit = (verdict: (body: string) => Broker.Verdict, limit = 10) =>
        Effect.gen(function* () {
          const shown: Array<string> = []
          const count = yield* letters.visit(
            (message) =>
              Effect.sync(() => {
                const body = new TextDecoder().decode(message.body)
                shown.push(body)
                return verdict(body)
              }),
            { limit }
          )
          assert.strictEqual(count, shown.length)
          return shown
        })
      assert.deepStrictEqual(yield* visit(() => Verdict.Keep()), ["1", "2", "3"])
      assert.deepStrictEqual(yield* visit(() => Verdict.Keep(), 2), ["1", "2"])
      const failed = yield* Effect.flip(letters.visit(() => Effect.fail("stop"), { limit: 10 }))
      assert.strictEqual(failed, "stop")
      assert.deepStrictEqual(yield* visit((body) => (body === "2" ? Verdict.Remove() : Verdict.Keep())), [
        "1",
        "2",
        "3"
      ])
      assert.deepStrictEqual(yield* visit(() => Verdict.Keep()), ["1", "3"])
    })
  )

  it.live("does not deliver a retry before its time, also where it is longer than every queue's", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh()
      const deliveries = yield* subscribe(broker, channel, { delays: [Duration.millis(50), Duration.millis(150)] })
      for (const [after, most] of [
        [30, 3000],
        [100, 3000],
        [500, 5000]
      ] as const) {
        yield* broker.publish(channel, text(String(after)))
        const delivery = yield* Queue.take(deliveries)
        yield* delivery.settle(Settlement.Retry({ after: Duration.millis(after), headers: { n: 1 } }))
        const [took, again] = yield* Effect.timed(takeAck(deliveries))
        assert.isAtLeast(Duration.toMillis(took), after - 5)
        assert.isBelow(Duration.toMillis(took), most)
        assert.deepStrictEqual(again.message.headers, { n: 1 })
        assert.strictEqual(again.redeliveries, 0)
      }
    })
  )

  it.live("gives requeued messages back to their place, and counts it", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh()
      for (const body of ["1", "2", "3"]) yield* broker.publish(channel, text(body))
      const deliveries = yield* subscribe(broker, channel, { prefetch: 1 })
      for (let count = 0; count < 3; count++) {
        const delivery = yield* Queue.take(deliveries)
        assert.strictEqual(read(delivery), "1")
        assert.strictEqual(delivery.redeliveries, count)
        assert.isTrue(delivery.isLive())
        assert.strictEqual(yield* delivery.settle(Settlement.Requeue()), "done")
        assert.isFalse(delivery.isLive())
      }
      const rest = [yield* takeAck(deliveries), yield* takeAck(deliveries), yield* takeAck(deliveries)]
      assert.deepStrictEqual(rest.map(read), ["1", "2", "3"])
    })
  )

  it.live("keeps keys in their partition, in order, at most its prefetch at a time", () =>
    Effect.gen(function* () {
      const broker = yield* connect({ url: yield* amqpUrl })
      const channel = fresh({ ordering: Ordering.strict("k"), partitions: 4 })
      for (let n = 0; n < 40; n++) yield* broker.publish(channel, text(String(n), { key: `k${n % 5}` }))
      const deliveries = yield* subscribe(broker, channel, { prefetch: 8 })
      const seen = new Map<string, Array<number>>()
      for (let n = 0; n < 40; n++) {
        const delivery = yield* takeAck(deliveries)
        const { key } = delivery.message
        seen.set(key!, [...(seen.get(key!) ?? []), Number(read(delivery))])
      }
      for (const [, numbers] of seen)
        assert.deepStrictEqual(
          numbers,
          numbers.toSorted((a, b) => a - b)
        )
      assert.strictEqual(seen.size, 5)
      assert.strictEqual((yield* broker.depth({ channel, group: "g" })).consumers, 4)
    })
  )

  it.live("reads what others publish", () =>
    Effect.gen(function* () {
      const url = yield* amqpUrl
      const queue = unique("theirs")
      const connection = yield* Effect.acquireRelease(
        Effect.promise(() => amqplib.connect(url)),
        (connection) => Effect.promise(() => connection.close())
      )
      const raw = yield* Effect.promise(() => connection.createChannel())
      yield* Effect.promise(() => raw.assertQueue(queue))
      const broker = yield* connect({ url })
      const channel = fresh({ existing: { queue } })
      const deliveries = yield* subscribe(broker, channel)
      raw.sendToQueue(queue, Buffer.from("theirs"), { headers: { a: 1 }, type: "t" })
      const first = yield* Queue.take(deliveries)
      assert.strictEqual(read(first), "theirs")
      assert.deepStrictEqual(first.message.headers, { a: 1 })
      assert.deepStrictEqual(first.message.properties, { type: "t" })
      yield* first.settle(Settlement.Retry({ after: Duration.seconds(1), headers: {} }))
      assert.strictEqual(read(yield* takeAck(deliveries)), "theirs")
      yield* broker.publish(channel, text("ours"))
      assert.strictEqual(read(yield* takeAck(deliveries)), "ours")
    })
  )
})
