import * as Effect from "effect/Effect"
import assert from "node:assert/strict"
import { Settlement } from "../../event/Broker.ts"
import { test, type Test } from "./brokerSuiteBench.ts"
import type { Features } from "./brokerSuiteFeatures.ts"
import { same, text } from "./brokerSuiteMessage.ts"
import { fullMessage } from "./brokerSuiteMessages.ts"

const ack = Settlement.Ack()

export const settlement = (features: Features): ReadonlyArray<Test> => [
  test(
    features,
    "settle: a delivery is settled once, and late after that",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel()
      const billing = yield* bench.subscribe({ channel, group: "billing" })
      for (const first of [ack, Settlement.DeadLetter({ headers: {} }), Settlement.Requeue()]) {
        yield* bench.broker.publish(channel, text(first._tag))
        const delivery = yield* billing.take
        assert.equal(delivery.redeliveries, 0, "expected a new message to have no redeliveries")
        assert.ok(delivery.isLive(), "expected a delivery in hand to be live")
        assert.equal(yield* delivery.settle(first), "done", `expected ${first._tag} to be done`)
        assert.ok(!delivery.isLive(), "expected a settled delivery not to be live")
        for (const second of [ack, Settlement.Requeue(), Settlement.DeadLetter({ headers: {} })]) {
          assert.equal(yield* delivery.settle(second), "late", `expected ${second._tag} after ${first._tag} to be late`)
        }
      }
      assert.deepEqual(yield* billing.ackMany(1), ["Requeue"], "expected only the requeued message to come again")
      yield* bench.until(
        () => "one dead letter, and no more messages",
        Effect.map(
          bench.broker.depth({ channel, group: "billing" }),
          ({ deadLetters, ready }) => deadLetters === 1 && ready === 0
        )
      )
    })
  ),
  test(
    features,
    "settle: of two settlements at once, one is done",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel()
      const billing = yield* bench.subscribe({ channel, group: "billing" })
      yield* bench.broker.publish(channel, text("x"))
      const delivery = yield* billing.take
      const both = yield* Effect.all([delivery.settle(Settlement.DeadLetter({ headers: {} })), delivery.settle(ack)], {
        concurrency: 2
      })
      assert.deepEqual(both.toSorted(), ["done", "late"], "expected one of the settlements to be late")
    })
  ),
  test(
    features,
    "settle: Requeue gives it back as it is, to this group only, and counts the redelivery",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel()
      const billing = yield* bench.subscribe({ channel, group: "billing" })
      const audit = yield* bench.subscribe({ channel, group: "audit" })
      const message = fullMessage(features)
      yield* bench.broker.publish(channel, message)
      let delivery = yield* billing.take
      for (let round = 1; round <= 3; round++) {
        yield* delivery.settle(Settlement.Requeue())
        delivery = yield* billing.take
        same("a requeued message", delivery.message, message)
        assert.ok(delivery.redeliveries > 0, "expected a requeued message to have redeliveries")
      }
      yield* delivery.settle(ack)
      yield* bench.broker.publish(channel, text("next"))
      yield* audit.ackMany(1)
      assert.deepEqual(yield* audit.ackMany(1), ["next"], "expected the other group to see nothing of it")
    })
  ),
  test(
    features,
    "settle: DeadLetter moves it whole, with the headers added",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel()
      const billing = yield* bench.subscribe({ channel, group: "billing" })
      const message = fullMessage(features)
      yield* bench.broker.publish(channel, message)
      const delivery = yield* billing.take
      const headers = { "dead-reason": "größer als erlaubt", plain: "replaced" }
      assert.equal(yield* delivery.settle(Settlement.DeadLetter({ headers })), "done", "expected it to be moved")
      const letters: Array<typeof message> = []
      yield* bench.until(
        () => "the dead letter",
        Effect.map(
          bench.broker.deadLetters({ channel, group: "billing" }).visit(
            (letter) => {
              letters.push(letter)
              return Effect.succeed({ _tag: "Keep" })
            },
            { limit: 10 }
          ),
          (shown) => shown > 0
        )
      )
      assert.equal(letters.length, 1, "expected one dead letter")
      same("the dead letter", letters[0]!, { ...message, headers: { ...message.headers, ...headers } })
      yield* bench.broker.publish(channel, text("next"))
      assert.deepEqual(yield* billing.ackMany(1), ["next"], "expected the dead letter not to be delivered again")
    })
  )
]
