import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import assert from "node:assert/strict"
import { Settlement } from "../../event/Broker.ts"
import { test, type Test } from "./brokerSuiteBench.ts"
import type { Features } from "./brokerSuiteFeatures.ts"
import { sameTexts, text, texts, textOf } from "./brokerSuiteMessage.ts"

const ack = Settlement.Ack()

export const shutdown = (features: Features): ReadonlyArray<Test> => [
  test(
    features,
    "shutdown: deliveries in hand may still be settled, no more come, and it ends when all are settled",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ consumers: ["billing"] })
      yield* Effect.forEach(["first", ...texts(6)], (body) => bench.broker.publish(channel, text(body)))
      // Longer than anything waits here, so that it cannot be what ended it.
      const drain = Duration.minutes(30)
      const before = yield* bench.subscribe({ channel, group: "billing" }, { prefetch: 3, drain })
      const hand = yield* before.fill(3)
      const closing = yield* before.close
      yield* bench.calm
      const after = yield* bench.subscribe({ channel, group: "billing" })
      assert.deepEqual(yield* after.ackMany(3), ["m-3", "m-4", "m-5"], "expected the others to go to the next consumer")
      assert.ok(closing.pollUnsafe() === undefined, "expected the subscription to wait for the deliveries in hand")
      for (const delivery of hand) {
        assert.ok(delivery.isLive(), "expected a delivery in hand to be live during the drain")
        assert.equal(yield* delivery.settle(ack), "done", "expected a delivery in hand to be settled during the drain")
      }
      yield* bench.within("the subscription to end when all is settled", Fiber.join(closing))
      yield* bench.broker.publish(channel, text("next"))
      assert.deepEqual(
        yield* after.ackMany(1),
        ["next"],
        "expected what was settled during the drain not to come again"
      )
    })
  ),
  test(
    features,
    "shutdown: what is not settled in time goes to the next, and settling it is late",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ consumers: ["billing"] })
      yield* Effect.forEach(["first", ...texts(4)], (body) => bench.broker.publish(channel, text(body)))
      const drain = Duration.millis(300)
      const before = yield* bench.subscribe({ channel, group: "billing" }, { prefetch: 3, drain })
      const [settled, ...kept] = yield* before.fill(3)
      const from = yield* bench.now
      yield* before.close
      yield* bench.calm
      assert.equal(yield* settled!.settle(ack), "done", "expected a delivery in hand to be settled during the drain")
      yield* before.leave
      const waited = (yield* bench.now) - from
      assert.ok(
        waited >= Duration.toMillis(drain) - 1,
        `expected a drain of ${Duration.format(drain)}, not ${waited} ms`
      )
      for (const delivery of kept) {
        assert.ok(!delivery.isLive(), "expected no delivery to be live after its subscription")
        for (const late of [ack, Settlement.Requeue(), Settlement.DeadLetter({ headers: {} })]) {
          assert.equal(yield* delivery.settle(late), "late", `expected ${late._tag} after the subscription to be late`)
        }
      }
      const after = yield* bench.subscribe({ channel, group: "billing" })
      const rest: Array<string> = []
      for (let n = 0; n < 3; n++) {
        const delivery = yield* after.take
        const body = textOf(delivery.message)
        rest.push(body)
        if (body !== "m-3") assert.ok(delivery.redeliveries > 0, `expected ${body} to be marked as redelivered`)
        assert.equal(yield* delivery.settle(ack), "done", `expected ${body} to be settled by its new consumer`)
      }
      const inOrder = features.givenBack === "place" ? rest : rest.toSorted()
      assert.deepEqual(inOrder, ["m-1", "m-2", "m-3"], "expected what was not settled, and then the others")
      const { deadLetters } = yield* bench.broker.depth({ channel, group: "billing" })
      assert.equal(deadLetters, 0, "expected a late settlement to do nothing")
    })
  ),
  ...(features.otherProcess === undefined ? [] : ofProcesses(features))
]

const ofProcesses = (features: Features): ReadonlyArray<Test> => [
  test(
    features,
    "shutdown: publishes in flight end as success or failure, and tell the truth",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ consumers: ["billing"] })
      const ending = yield* bench.process
      const all = texts(1000)
      const published: Array<string> = []
      const unknown: Array<string> = []
      const failed: Array<string> = []
      const broken: Array<unknown> = []
      const publishing = yield* Effect.forkChild(
        Effect.forEach(
          all,
          (body) =>
            Effect.map(Effect.exit(ending.broker.publish(channel, text(body, { messageId: body }))), (exit) => {
              if (Exit.isSuccess(exit)) return published.push(body)
              const error = exit.cause.reasons.find((each) => each._tag === "Fail")?.error
              if (error === undefined) return broken.push(exit.cause)
              return (error.reason === "unknown" ? unknown : failed).push(body)
            }),
          { concurrency: "unbounded", discard: true }
        )
      )
      yield* bench.until(
        () => "the first publishes",
        Effect.sync(() => published.length >= 20)
      )
      yield* ending.end
      yield* bench.within("every publish to end", Fiber.join(publishing))
      assert.deepEqual(broken, [], "expected a publish to fail with a PublishError, not to be interrupted")
      sameTexts("success, failure or unknown", [...published, ...unknown, ...failed], all)
      const billing = yield* bench.subscribe({ channel, group: "billing" }, { prefetch: 100 })
      const received = new Set<string>()
      yield* billing.forEach((delivery) => {
        received.add(textOf(delivery.message))
        return delivery.settle(ack)
      })
      yield* bench.until(
        () => `all ${published.length} published messages, not ${received.size} messages`,
        Effect.sync(() => published.every((body) => received.has(body)))
      )
      yield* bench.broker.publish(channel, text("last"))
      yield* bench.until(
        () => "the last message",
        Effect.sync(() => received.has("last"))
      )
      assert.deepEqual(
        failed.filter((body) => received.has(body)),
        [],
        "expected what failed with another reason than unknown not to be published"
      )
    })
  ),
  test(
    features,
    "shutdown: after the end of a process its publishes fail, its settlements are late, and others get its deliveries",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ consumers: ["billing"] })
      yield* Effect.forEach(["first", ...texts(2)], (body) => bench.broker.publish(channel, text(body)))
      const ending = yield* bench.process
      const before = yield* bench.subscribe({ channel, group: "billing" }, { on: ending.broker, prefetch: 2 })
      const hand = yield* before.fill(2)
      yield* ending.end
      for (const delivery of hand) {
        assert.ok(!delivery.isLive(), "expected no delivery to be live after its process")
        assert.equal(yield* delivery.settle(ack), "late", "expected settling after the end of the process to be late")
      }
      const publish = yield* bench.within("a publish to fail", Effect.exit(ending.broker.publish(channel, text("x"))))
      assert.ok(Exit.isFailure(publish), "expected a publish after the end of the process to fail")
      const after = yield* bench.subscribe({ channel, group: "billing" })
      sameTexts("the next process", yield* after.ackMany(2), texts(2))
    })
  ),
  ...(features.persistent
    ? [
        test(
          features,
          "shutdown: what a process has published, retried and dead-lettered outlives it",
          Effect.fnUntraced(function* (bench) {
            const channel = bench.channel({ consumers: ["billing"] })
            const group = { channel, group: "billing" }
            const ending = yield* bench.process
            const after = Duration.millis(200)
            const before = yield* bench.subscribe(group, { on: ending.broker, delays: [after], prefetch: 2 })
            yield* Effect.forEach(["first", ...texts(4)], (body) => ending.broker.publish(channel, text(body)))
            const [first, second] = yield* before.fill(2)
            yield* first!.settle(features.delays ? Settlement.Retry({ after, headers: {} }) : Settlement.Requeue())
            yield* second!.settle(Settlement.DeadLetter({ headers: {} }))
            yield* ending.end
            const billing = yield* bench.subscribe(group, { delays: [after] })
            sameTexts("the next process", yield* billing.ackMany(3), ["m-0", "m-2", "m-3"])
            const { deadLetters } = yield* bench.broker.depth(group)
            assert.equal(deadLetters, 1, "expected the dead letter to be there")
          })
        )
      ]
    : [])
]
