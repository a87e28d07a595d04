import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import assert from "node:assert/strict"
import { type Delivery, Settlement } from "../../event/Broker.ts"
import { type ChannelOptions, test, type Test } from "./brokerSuiteBench.ts"
import type { Features } from "./brokerSuiteFeatures.ts"
import { sameTexts, text, texts, textOf } from "./brokerSuiteMessage.ts"

const ack = Settlement.Ack()

export const groups = (features: Features): ReadonlyArray<Test> => [
  test(
    features,
    "groups: each gets each message once, from many publishers to many consumers",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel()
      const other = yield* bench.other
      const names = ["billing", "audit"]
      const received = names.map((): Array<string> => [])
      const redelivered: Array<string> = []
      for (const [at, group] of names.entries()) {
        for (const on of [bench.broker, other, bench.broker]) {
          const consumer = yield* bench.subscribe({ channel, group }, { on, prefetch: 20 })
          yield* consumer.forEach((delivery) => {
            received[at]!.push(textOf(delivery.message))
            if (delivery.redeliveries > 0) redelivered.push(textOf(delivery.message))
            return delivery.settle(ack)
          })
        }
      }
      const all = texts(features.messages ?? 3000)
      yield* Effect.forEach(
        all,
        (body, at) => (at % 2 === 0 ? bench.broker : other).publish(channel, text(body, { messageId: body })),
        { concurrency: 50, discard: true }
      )
      yield* bench.until(
        () => `${all.length} messages in each group, not ${received.map((each) => each.length).join(" and ")}`,
        Effect.sync(() => received.every((each) => each.length >= all.length))
      )
      // What comes twice would come before this.
      yield* Effect.forEach(names, (group) =>
        bench.until(
          () => `nothing left for ${group}`,
          Effect.map(bench.broker.depth({ channel, group }), (depth) => depth.ready === 0)
        )
      )
      for (const [at, group] of names.entries()) sameTexts(group, received[at]!, all)
      assert.deepEqual(redelivered, [], "expected no redeliveries where nothing fails")
    })
  ),
  test(
    features,
    "groups: consumers of one group share its messages",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel()
      const first = yield* bench.subscribe({ channel, group: "billing" }, { prefetch: 1 })
      const second = yield* bench.subscribe({ channel, group: "billing" }, { prefetch: 1, on: yield* bench.other })
      yield* Effect.forEach(texts(2), (body) => bench.broker.publish(channel, text(body)))
      const one = yield* first.take
      const two = yield* second.take
      sameTexts("two consumers at once", [textOf(one.message), textOf(two.message)], texts(2))
    })
  ),
  test(
    features,
    "groups: channels are apart, also for groups of one name",
    Effect.fnUntraced(function* (bench) {
      const [here, there] = [bench.channel(), bench.channel()]
      const hereBilling = yield* bench.subscribe({ channel: here, group: "billing" })
      const thereBilling = yield* bench.subscribe({ channel: there, group: "billing" })
      yield* Effect.forEach(texts(5), (body) => bench.broker.publish(here, text(body)), { discard: true })
      yield* bench.broker.publish(there, text("there"))
      const mine = "expected a channel to carry its own messages only"
      assert.deepEqual(yield* hereBilling.ackMany(5), texts(5), mine)
      assert.deepEqual(yield* thereBilling.ackMany(1), ["there"], mine)
      yield* bench.broker.publish(here, text("here again"))
      assert.deepEqual(yield* hereBilling.ackMany(1), ["here again"], "expected no message of the other channel")
      assert.equal(yield* Queue.size(thereBilling.deliveries), 0, "expected no message of the other channel")
    })
  ),
  test(
    features,
    "groups: those of channel.consumers get what was published before they came",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ consumers: ["billing", "audit"] })
      yield* Effect.forEach(texts(5), (body) => bench.broker.publish(channel, text(body)))
      for (const group of ["billing", "audit"]) {
        const late = yield* bench.subscribe({ channel, group })
        assert.deepEqual(yield* late.ackMany(5), texts(5), `expected all that ${group} had missed, oldest first`)
      }
    })
  ),
  test(
    features,
    "groups: a group that has left gets what was published meanwhile",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel()
      const before = yield* bench.subscribe({ channel, group: "billing" })
      yield* before.leave
      yield* Effect.forEach(texts(5), (body) => bench.broker.publish(channel, text(body)))
      const after = yield* bench.subscribe({ channel, group: "billing" })
      assert.deepEqual(yield* after.ackMany(5), texts(5), "expected all that was published meanwhile, oldest first")
    })
  ),
  test(
    features,
    "groups: what nobody consumes is unroutable",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel()
      const error = yield* Effect.flip(bench.broker.publish(channel, text("x", { messageId: "m-1" }))).pipe(
        Effect.catch(() => Effect.die(new assert.AssertionError({ message: "expected the publish to fail" })))
      )
      assert.ok(error._tag === "PublishError", "expected a PublishError")
      const { channel: name, messageId, reason } = error
      assert.deepEqual(
        { channel: name, messageId, reason },
        { channel: channel.name, messageId: "m-1", reason: "unroutable" },
        "expected an error that says what could not be routed"
      )
      // The handle goes on.
      const billing = yield* bench.subscribe({ channel, group: "billing" })
      yield* bench.broker.publish(channel, text("y"))
      assert.deepEqual(yield* billing.ackMany(1), ["y"], "expected nothing of the message that was unroutable")
    })
  ),
  ...[{}, ...(features.partitions ? [{ partitions: 2 }, { partitions: 5 }] : [])].map((options: ChannelOptions) =>
    test(
      features,
      `groups: never more unsettled than prefetch, with ${options.partitions ?? 1} partitions`,
      Effect.fnUntraced(function* (bench) {
        const prefetch = 7
        const channel = bench.channel({ ...options, consumers: ["billing"] })
        const all = texts(200)
        yield* Effect.forEach(all, (body, at) => bench.broker.publish(channel, text(body, { key: `key-${at % 40}` })), {
          concurrency: 20
        })
        const billing = yield* bench.subscribe({ channel, group: "billing" }, { prefetch })
        const received: Array<string> = []
        const hand: Array<Delivery> = []
        for (let settled = 0; settled < all.length;) {
          const taken = [yield* billing.take, ...(yield* Queue.clear(billing.deliveries))]
          received.push(...taken.map((each) => textOf(each.message)))
          hand.push(...taken)
          assert.ok(hand.length <= prefetch, `expected at most ${prefetch} unsettled deliveries, not ${hand.length}`)
          const { ready } = yield* bench.broker.depth({ channel, group: "billing" })
          const least = all.length - settled - prefetch
          assert.ok(ready >= least, `expected at least ${least} messages to wait at the broker, not ${ready}`)
          // With partitions the next may be of the one whose share is in hand.
          const done = channel.partitions > 1 || received.length === all.length ? hand.length : 1
          for (const each of hand.splice(0, done)) yield* each.settle(ack)
          settled += done
        }
        sameTexts("billing", received, all)
      })
    )
  ),
  test(
    features,
    "groups: nothing is lost while a consumer comes and goes, and what it left unsettled comes again",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ consumers: ["billing"] })
      const all = texts(300)
      yield* bench.background(
        Effect.forEach(all, (body) => bench.broker.publish(channel, text(body)), { concurrency: 3 })
      )
      const done: Array<string> = []
      const given: Array<string> = []
      for (let round = 0; done.length < all.length; round++) {
        const billing = yield* bench.subscribe({ channel, group: "billing" }, { prefetch: 10 })
        const count = Math.min(all.length - done.length, 25)
        for (let n = 0; n < count; n++) {
          const delivery = yield* billing.take
          const body = textOf(delivery.message)
          if (given.includes(body)) {
            assert.ok(delivery.redeliveries > 0, `expected ${body} to be marked as redelivered`)
          }
          // The last few are left in hand, except where there are no others.
          if (n >= count - 3 && count === 25) {
            given.push(body)
          } else if ((yield* delivery.settle(ack)) === "done") {
            done.push(body)
          }
        }
        yield* billing.leave
        assert.ok(round < 100, "expected an end")
      }
      sameTexts("settled", done, all)
      assert.ok(given.length > 0 && given.every((body) => done.includes(body)), "expected what was left to come again")
    })
  ),
  test(
    features,
    "groups: after coming back, the oldest unsettled comes first",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ consumers: ["billing"] })
      yield* Effect.forEach(["first", ...texts(10)], (body) => bench.broker.publish(channel, text(body)))
      const before = yield* bench.subscribe({ channel, group: "billing" }, { prefetch: 4 })
      const taken = yield* before.fill(4)
      yield* taken[1]!.settle(ack)
      yield* before.leave
      const after = yield* bench.subscribe({ channel, group: "billing" })
      const received = yield* after.ackMany(9)
      const expected = texts(10).filter((body) => body !== "m-1")
      if (features.givenBack === "place") {
        assert.deepEqual(received, expected, "expected the oldest that were not settled, then the others")
      } else {
        sameTexts("given back before", received.slice(0, 4), expected.slice(0, 4))
        assert.deepEqual(received.slice(4), expected.slice(4), "expected the others after what was given back")
      }
    })
  )
]
