import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import assert from "node:assert/strict"
import { type Depth, type Group, Settlement } from "../../event/Broker.ts"
import { type Bench, test, type Test } from "./brokerSuiteBench.ts"
import type { Features } from "./brokerSuiteFeatures.ts"
import { text, texts } from "./brokerSuiteMessage.ts"

const ack = Settlement.Ack()

/** Waits until the depth is this; a server counts a little later than it delivers. */
export const depthIs = (bench: Bench, group: Group, expected: Depth) => {
  let found: Depth | undefined
  return bench.until(
    () => `the depth ${JSON.stringify(expected)}, not ${JSON.stringify(found)}`,
    Effect.map(bench.broker.depth(group), (depth) => {
      found = depth
      return (Object.keys(expected) as ReadonlyArray<keyof Depth>).every((name) => depth[name] === expected[name])
    })
  )
}

const subscriptionsOf = (bench: Bench, group: Group) =>
  Effect.map(bench.broker.health, ({ subscriptions }) =>
    subscriptions.filter((each) => each.channel === group.channel.name && each.group === group.group)
  )

export const depth = (features: Features): ReadonlyArray<Test> => [
  test(
    features,
    "depth: it counts what waits, what is delayed, the dead letters and the consumers of all processes",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ consumers: ["billing", "audit"] })
      const group = { channel, group: "billing" }
      yield* Effect.forEach(["first", ...texts(6)], (body) => bench.broker.publish(channel, text(body)))
      yield* depthIs(bench, group, { ready: 7, delayed: 0, deadLetters: 0, consumers: 0 })
      const after = Duration.seconds(30)
      const first = yield* bench.subscribe(group, { prefetch: 3, delays: [after] })
      const hand = yield* first.fill(3)
      yield* depthIs(bench, group, { ready: 3, delayed: 0, deadLetters: 0, consumers: 1 })
      const other = yield* bench.other
      const second = yield* bench.subscribe(group, { prefetch: 1, delays: [after], on: other })
      const fourth = yield* second.take
      yield* depthIs(bench, group, { ready: 2, delayed: 0, deadLetters: 0, consumers: 2 })
      yield* fourth.settle(Settlement.DeadLetter({ headers: {} }))
      const fifth = yield* second.take
      yield* depthIs(bench, group, { ready: 1, delayed: 0, deadLetters: 1, consumers: 2 })
      if (features.delays) {
        yield* fifth.settle(Settlement.Retry({ after, headers: {} }))
        yield* second.take
        yield* depthIs(bench, group, { ready: 0, delayed: 1, deadLetters: 1, consumers: 2 })
      }
      const delayed = features.delays ? 1 : 0
      for (const delivery of hand) yield* delivery.settle(ack)
      yield* second.leave
      yield* first.leave
      yield* depthIs(bench, group, { ready: features.delays ? 1 : 2, delayed, deadLetters: 1, consumers: 0 })
      yield* depthIs(bench, { channel, group: "audit" }, { ready: 7, delayed: 0, deadLetters: 0, consumers: 0 })
    })
  ),
  test(
    features,
    "depth: of a group that nobody has seen it is nothing, and asking makes no queue",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel()
      yield* depthIs(bench, { channel, group: "nobody" }, { ready: 0, delayed: 0, deadLetters: 0, consumers: 0 })
      const published = yield* Effect.exit(bench.broker.publish(channel, text("x")))
      assert.equal(published._tag, "Failure", "expected a publish to be unroutable, as no group has subscribed")
    })
  ),
  ...(features.partitions ? [1, 3] : [1]).map((partitions) =>
    test(
      features,
      `health: it compares consumers wanted with consumers present, with ${partitions} partitions`,
      Effect.fnUntraced(function* (bench) {
        const channel = bench.channel(partitions === 1 ? {} : { partitions })
        const group = { channel, group: "billing" }
        assert.deepEqual(yield* subscriptionsOf(bench, group), [], "expected no subscription yet")
        const billing = yield* bench.subscribe(group)
        const expected = { channel: channel.name, group: "billing", wanted: partitions, present: partitions }
        assert.deepEqual(yield* subscriptionsOf(bench, group), [expected], "expected all consumers to be there")
        const { connected, problem } = yield* bench.broker.health
        assert.deepEqual({ connected, problem }, { connected: true, problem: undefined }, "expected good health")
        yield* billing.leave
        assert.deepEqual(yield* subscriptionsOf(bench, group), [], "expected no subscription any more")
      })
    )
  )
]
