import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/testing/TestClock"
import assert from "node:assert/strict"
import { type Delivery, Settlement } from "../../event/Broker.ts"
import type { Headers } from "../../event/Message.ts"
import { type Bench, type Subscriber, test, type Test } from "./brokerSuiteBench.ts"
import type { Features } from "./brokerSuiteFeatures.ts"
import { same, text, textOf } from "./brokerSuiteMessage.ts"
import { fullMessage } from "./brokerSuiteMessages.ts"

const ack = Settlement.Ack()

/** Servers round to milliseconds. */
const rounding = 2

/** Settles the delivery to come again, and takes it when it does: not before its time, and in test time at its time. */
const retried = Effect.fnUntraced(function* (
  bench: Bench,
  subscriber: Subscriber,
  delivery: Delivery,
  after: Duration.Duration,
  options: { readonly headers?: Headers; readonly at?: Duration.Duration } = {}
) {
  const from = yield* bench.now
  const settled = yield* delivery.settle(Settlement.Retry({ after, headers: options.headers ?? {} }))
  assert.equal(settled, "done", "expected the retry to be settled")
  if (bench.features.time === "test") {
    yield* bench.calm
    yield* TestClock.adjust(Duration.subtract(after, Duration.millis(1)))
    yield* bench.calm
    assert.equal(yield* Queue.size(subscriber.deliveries), 0, `expected nothing before ${Duration.format(after)}`)
    yield* TestClock.adjust(Duration.sum(Duration.subtract(options.at ?? after, after), Duration.millis(1)))
  }
  const again = yield* subscriber.take
  const waited = (yield* bench.now) - from
  const least = Duration.toMillis(after) - (bench.features.time === "test" ? 0 : rounding)
  assert.ok(waited >= least, `expected a delay of at least ${Duration.format(after)}, not ${waited} ms`)
  return again
})

export const retries = (features: Features): ReadonlyArray<Test> => {
  if (!features.delays) return []
  const [short, middle, long] = [Duration.millis(100), Duration.millis(300), Duration.millis(600)]
  return [
    test(
      features,
      "retry: comes again whole after its delay and not before, to this group only, with the headers added",
      Effect.fnUntraced(function* (bench) {
        const channel = bench.channel()
        const billing = yield* bench.subscribe({ channel, group: "billing" }, { delays: [middle] })
        const audit = yield* bench.subscribe({ channel, group: "audit" }, { delays: [middle] })
        const message = fullMessage(features)
        yield* bench.broker.publish(channel, message)
        const headers = { attempt: "1", plain: "replaced" }
        const again = yield* retried(bench, billing, yield* billing.take, middle, { headers })
        same("a retried message", again.message, { ...message, headers: { ...message.headers, ...headers } })
        assert.equal(again.redeliveries, 0, "expected a retry to begin again at 0 redeliveries")
        yield* again.settle(ack)
        yield* bench.broker.publish(channel, text("next"))
        yield* audit.ackMany(1)
        assert.deepEqual(yield* audit.ackMany(1), ["next"], "expected the other group to see nothing of the retry")
        assert.deepEqual(yield* billing.ackMany(1), ["next"], "expected the retry to come once")
      })
    ),
    test(
      features,
      "retry: a count that the consumer keeps in a header survives every round",
      Effect.fnUntraced(function* (bench) {
        const channel = bench.channel()
        const delays = [short, Duration.millis(200)]
        const billing = yield* bench.subscribe({ channel, group: "billing" }, { delays })
        yield* bench.broker.publish(channel, text("x", { headers: { kept: "yes" } }))
        let delivery = yield* billing.take
        for (let round = 1; round <= 6; round++) {
          delivery = yield* retried(bench, billing, delivery, delays[round % 2]!, {
            headers: { attempt: String(round) }
          })
          const { attempt, kept } = delivery.message.headers
          assert.deepEqual(
            { attempt, kept },
            { attempt: String(round), kept: "yes" },
            `expected the count of round ${round}`
          )
          assert.equal(delivery.redeliveries, 0, `expected no redeliveries in round ${round}`)
        }
      })
    ),
    test(
      features,
      "retry: a short delay does not wait for a long one before it",
      Effect.fnUntraced(function* (bench) {
        const channel = bench.channel()
        const billing = yield* bench.subscribe({ channel, group: "billing" }, { delays: [short, long] })
        const from = yield* bench.now
        for (const after of [long, short]) {
          yield* bench.broker.publish(channel, text(Duration.format(after)))
          yield* (yield* billing.take).settle(Settlement.Retry({ after, headers: {} }))
        }
        for (const after of [short, long]) {
          yield* bench.calm
          if (features.time === "test")
            yield* TestClock.adjust(after === short ? short : Duration.subtract(long, short))
          const again = yield* billing.take
          assert.equal(textOf(again.message), Duration.format(after), "expected the shorter delay to end first")
          const waited = (yield* bench.now) - from
          assert.ok(
            waited >= Duration.toMillis(after) - rounding,
            `expected ${Duration.format(after)}, not ${waited} ms`
          )
        }
      })
    ),
    test(
      features,
      "retry: a delay that was not announced is rounded up at most",
      Effect.fnUntraced(function* (bench) {
        const channel = bench.channel()
        const billing = yield* bench.subscribe({ channel, group: "billing" }, { delays: [short, long] })
        yield* bench.broker.publish(channel, text("x"))
        yield* retried(bench, billing, yield* billing.take, middle, { at: long })
      })
    ),
    test(
      features,
      "retry: without a delay it comes again at once",
      Effect.fnUntraced(function* (bench) {
        const channel = bench.channel()
        const billing = yield* bench.subscribe({ channel, group: "billing" }, { delays: [short] })
        yield* bench.broker.publish(channel, text("x"))
        const delivery = yield* billing.take
        const headers = { attempt: "1" }
        const settled = yield* delivery.settle(Settlement.Retry({ after: Duration.zero, headers }))
        assert.equal(settled, "done", "expected the retry to be settled")
        yield* bench.calm
        if (features.time === "test") yield* TestClock.adjust(short)
        same("a message retried at once", (yield* billing.take).message, text("x", { headers }))
      })
    ),
    test(
      features,
      "retry: it outlives the subscription that asked for it",
      Effect.fnUntraced(function* (bench) {
        const channel = bench.channel()
        const before = yield* bench.subscribe({ channel, group: "billing" }, { delays: [middle] })
        yield* bench.broker.publish(channel, text("x"))
        yield* (yield* before.take).settle(Settlement.Retry({ after: middle, headers: {} }))
        yield* before.leave
        const after = yield* bench.subscribe(
          { channel, group: "billing" },
          { delays: [middle], on: yield* bench.other }
        )
        yield* bench.calm
        if (features.time === "test") yield* TestClock.adjust(middle)
        assert.deepEqual(yield* after.ackMany(1), ["x"], "expected the retry to come to the next subscription")
      })
    )
  ]
}
