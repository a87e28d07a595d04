import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import assert from "node:assert/strict"
import { Settlement } from "../../event/Broker.ts"
import { test, type Test } from "./brokerSuiteBench.ts"
import { depthIs } from "./brokerSuiteDepth.ts"
import type { Features } from "./brokerSuiteFeatures.ts"
import { sameTexts, text, texts } from "./brokerSuiteMessage.ts"

export const retention = (features: Features): ReadonlyArray<Test> => [
  ...(features.maxMessages === "none" ? [] : ofNumber(features)),
  ...(features.maxAge ? ofAge(features) : [])
]

const ofNumber = (features: Features): ReadonlyArray<Test> => [
  test(
    features,
    "retention: what is more than maxMessages is refused, and what was not refused is delivered",
    Effect.fnUntraced(function* (bench) {
      const maxMessages = 10
      const channel = bench.channel({ consumers: ["billing"], maxMessages })
      const most = features.maxMessages === "exact" ? maxMessages : 10 * maxMessages
      const publish = (body: string) =>
        Effect.match(bench.broker.publish(channel, text(body)), {
          onSuccess: () => "published",
          onFailure: (error) => error.reason
        })
      const taken: Array<string> = []
      let answer = "published"
      for (const body of texts(most + 1)) {
        answer = yield* publish(body)
        if (answer !== "published") break
        taken.push(body)
      }
      assert.equal(answer, "refused", `expected message ${taken.length + 1} to be refused`)
      assert.ok(taken.length >= maxMessages, `expected ${maxMessages} to be taken, not ${taken.length}`)
      const billing = yield* bench.subscribe({ channel, group: "billing" })
      sameTexts("billing", yield* billing.ackMany(taken.length), taken)
      yield* bench.until(
        () => "a message to be taken again",
        Effect.map(publish("next"), (answer) => answer === "published")
      )
      assert.deepEqual(yield* billing.ackMany(1), ["next"], "expected nothing of what was refused")
    })
  )
]

const ofAge = (features: Features): ReadonlyArray<Test> => {
  const age = Duration.millis(400)
  return [
    test(
      features,
      "retention: what has waited longer than maxAge is with the dead letters, and not before",
      Effect.fnUntraced(function* (bench) {
        const channel = bench.channel({ consumers: ["billing"], maxAge: age })
        const group = { channel, group: "billing" }
        const from = yield* bench.now
        yield* Effect.forEach(texts(3), (body) => bench.broker.publish(channel, text(body)))
        if (features.time === "test") {
          yield* TestClock.adjust(Duration.subtract(age, Duration.millis(1)))
          yield* depthIs(bench, group, { ready: 3, delayed: 0, deadLetters: 0, consumers: 0 })
          yield* TestClock.adjust("1 millis")
        }
        yield* depthIs(bench, group, { ready: 0, delayed: 0, deadLetters: 3, consumers: 0 })
        const waited = (yield* bench.now) - from
        assert.ok(waited >= Duration.toMillis(age), `expected an age of ${Duration.format(age)}, not ${waited} ms`)
        const billing = yield* bench.subscribe(group)
        yield* bench.broker.publish(channel, text("young"))
        assert.deepEqual(yield* billing.ackMany(1), ["young"], "expected what is too old not to be delivered")
      })
    ),
    test(
      features,
      "retention: what is in hand does not grow too old",
      Effect.fnUntraced(function* (bench) {
        const channel = bench.channel({ consumers: ["billing"], maxAge: age })
        const group = { channel, group: "billing" }
        yield* Effect.forEach(texts(2), (body) => bench.broker.publish(channel, text(body)))
        const billing = yield* bench.subscribe(group, { prefetch: 1 })
        const hand = yield* billing.take
        if (features.time === "test") yield* TestClock.adjust(age)
        yield* depthIs(bench, group, { ready: 0, delayed: 0, deadLetters: 1, consumers: 1 })
        assert.ok(hand.isLive(), "expected the delivery in hand to be live")
        assert.equal(yield* hand.settle(Settlement.Ack()), "done", "expected the delivery in hand to be settled")
      })
    ),
    test(
      features,
      "retention: dead letters are gone after deadLetters.maxAge, and not before",
      Effect.fnUntraced(function* (bench) {
        const channel = bench.channel({ consumers: ["billing"], deadLetterAge: age })
        const group = { channel, group: "billing" }
        const from = yield* bench.now
        yield* bench.broker.deadLetters(group).add(text("x"))
        if (features.time === "test") yield* TestClock.adjust(Duration.subtract(age, Duration.millis(1)))
        yield* depthIs(bench, group, { ready: 0, delayed: 0, deadLetters: 1, consumers: 0 })
        if (features.time === "test") yield* TestClock.adjust("1 millis")
        yield* depthIs(bench, group, { ready: 0, delayed: 0, deadLetters: 0, consumers: 0 })
        const waited = (yield* bench.now) - from
        assert.ok(waited >= Duration.toMillis(age), `expected an age of ${Duration.format(age)}, not ${waited} ms`)
      })
    )
  ]
}
