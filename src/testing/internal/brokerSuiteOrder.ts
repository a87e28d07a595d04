import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import assert from "node:assert/strict"
import { type Delivery, Settlement } from "../../event/Broker.ts"
import { type Bench, type Subscriber, test, type Test } from "./brokerSuiteBench.ts"
import type { Features } from "./brokerSuiteFeatures.ts"
import { text, texts, textOf } from "./brokerSuiteMessage.ts"

const ack = Settlement.Ack()
const partitions = 2
const perKey = 100
// Few, so that the next message of a key is near; one of the partitions has a key of its own.
const keys = texts(3, "key")

/** Messages of all keys by turns: those of a key in their order. */
const publishAll = (bench: Bench, channel: Parameters<Bench["broker"]["publish"]>[0]) =>
  Effect.forEach(
    texts(perKey, "n"),
    (body) => Effect.forEach(keys, (key) => bench.broker.publish(channel, text(body, { key })), { concurrency: 4 }),
    { discard: true }
  )

/** What was done for each key, in the order in which it was done, and whether two of one key were ever in hand. */
const journal = () => {
  const done = new Map<string, Array<string>>(keys.map((key) => [key, []]))
  const inHand = new Set<string>()
  const overlaps: Array<string> = []
  const keyOf = (delivery: Delivery) => delivery.message.key ?? "no key"
  const begin = (delivery: Delivery) => {
    if (inHand.has(keyOf(delivery))) overlaps.push(`${keyOf(delivery)} ${textOf(delivery.message)}`)
    inHand.add(keyOf(delivery))
  }
  const giveBack = (delivery: Delivery) => inHand.delete(keyOf(delivery))
  return {
    begin,
    giveBack,
    end: (delivery: Delivery) => {
      giveBack(delivery)
      done.get(keyOf(delivery))?.push(textOf(delivery.message))
    },
    count: () => Array.from(done.values()).reduce((sum, each) => sum + each.length, 0),
    check: () => {
      const wanted = new Map(keys.map((key) => [key, texts(perKey, "n")]))
      assert.deepEqual(done, wanted, "expected the messages of each key in the order of publishing, each once")
      assert.deepEqual(overlaps, [], "expected messages of one key one at a time")
    }
  }
}

const total = keys.length * perKey

/**
 * Acknowledges in the background, one at a time; with `giveBack`, every fifth is first given back. When it is told to stop
 * it has none in hand; some may be in the queue.
 */
const work = Effect.fnUntraced(function* (
  bench: Bench,
  subscriber: Subscriber,
  book: ReturnType<typeof journal>,
  giveBack: boolean
) {
  let count = 0
  const state = { stopped: false }
  const loop = Effect.gen(function* () {
    while (!state.stopped) {
      const next = yield* Queue.poll(subscriber.deliveries)
      if (next._tag === "None") {
        yield* bench.pause
        continue
      }
      const delivery = next.value
      book.begin(delivery)
      count += 1
      // Some take longer than others, so that what is not in order can overtake.
      yield* Effect.repeat(Effect.yieldNow, { times: (count * 7) % 10 })
      const isGivenBack = giveBack && count % 5 === 0 && delivery.redeliveries === 0
      if (isGivenBack) book.giveBack(delivery)
      else book.end(delivery)
      yield* delivery.settle(isGivenBack ? Settlement.Requeue() : ack)
    }
  })
  const fiber = yield* bench.background(loop)
  return {
    stop: Effect.suspend(() => {
      state.stopped = true
      return Fiber.join(fiber)
    })
  }
})

const allDone = (bench: Bench, book: ReturnType<typeof journal>) =>
  bench.until(
    () => `${total} messages to be done, not ${book.count()}`,
    Effect.sync(() => book.count() >= total)
  )

export const order = (features: Features): ReadonlyArray<Test> => [
  test(
    features,
    "order: a channel of one partition is first in, first out",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ consumers: ["billing"] })
      const all = texts(200)
      yield* Effect.forEach(all, (body) => bench.broker.publish(channel, text(body)), { discard: true })
      const billing = yield* bench.subscribe({ channel, group: "billing" }, { prefetch: 20 })
      assert.deepEqual(yield* billing.ackMany(all.length), all, "expected the messages in the order of publishing")
    })
  ),
  ...(features.partitions ? ofKeys(features) : [])
]

const ofKeys = (features: Features): ReadonlyArray<Test> => [
  test(
    features,
    "order: of each key it is kept over partitions, processes and redelivery, one message at a time",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ partitions, consumers: ["billing"] })
      const book = journal()
      yield* bench.background(publishAll(bench, channel))
      for (const on of [bench.broker, yield* bench.other]) {
        const worker = yield* bench.subscribe({ channel, group: "billing" }, { on, prefetch: partitions })
        yield* work(bench, worker, book, true)
      }
      yield* allDone(bench, book)
      book.check()
    })
  ),
  test(
    features,
    "order: of each key it is kept where processes have more than one message in advance",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ partitions, consumers: ["billing"] })
      const book = journal()
      yield* bench.background(publishAll(bench, channel))
      for (const on of [bench.broker, yield* bench.other]) {
        const worker = yield* bench.subscribe({ channel, group: "billing" }, { on, prefetch: 6 * partitions })
        yield* work(bench, worker, book, false)
      }
      yield* allDone(bench, book)
      book.check()
    })
  ),
  test(
    features,
    "order: of each key it is kept when processes leave that have deliveries they have not taken",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ partitions, consumers: ["billing"] })
      const book = journal()
      yield* publishAll(bench, channel)
      const handles = [bench.broker, yield* bench.other]
      const begin = Effect.fnUntraced(function* (at: number) {
        const on = handles[at % 2]!
        const worker = yield* bench.subscribe({ channel, group: "billing" }, { on, prefetch: 6 * partitions })
        const { stop } = yield* work(bench, worker, book, false)
        return { ...worker, stop }
      })
      let current = yield* begin(0)
      for (let at = 1; at <= 5; at++) {
        const next = yield* begin(at)
        yield* bench.until(
          () => `${at * 40} messages to be done, not ${book.count()}`,
          Effect.sync(() => book.count() >= at * 40)
        )
        yield* current.stop
        yield* current.leave
        current = next
      }
      yield* allDone(bench, book)
      book.check()
    })
  ),
  test(
    features,
    "order: while a process leaves, no other gets the successor of what it has in hand",
    Effect.fnUntraced(function* (bench) {
      const channel = bench.channel({ partitions: 1, consumers: ["billing"] })
      yield* Effect.forEach(texts(3), (body) => bench.broker.publish(channel, text(body, { key: "k" })))
      const group = { channel, group: "billing" }
      const leaving = yield* bench.subscribe(group, { prefetch: 1, drain: Duration.minutes(5) })
      const next = yield* bench.subscribe(group, { prefetch: 1, on: yield* bench.other })
      const hand = yield* leaving.take
      const left = yield* leaving.close
      const seen: Array<string> = []
      yield* next.forEach((delivery) => {
        seen.push(textOf(delivery.message))
        return delivery.settle(ack)
      })
      // Round trips on the same connections: what had come would be there by now.
      const around = bench.channel()
      const echo = yield* bench.subscribe({ channel: around, group: "echo" }, { on: yield* bench.other })
      for (const [at, body] of texts(20, "echo").entries()) {
        if (at === 10) yield* bench.broker.publish(channel, text("m-3", { key: "k" }))
        yield* bench.calm
        yield* bench.broker.publish(around, text(body))
        yield* echo.ackMany(1)
      }
      seen.push("settled")
      const settled = yield* hand.settle(ack)
      yield* bench.until(
        () => "the other messages",
        Effect.sync(() => seen.length >= 4)
      )
      yield* bench.within("the subscription to end", Fiber.join(left))
      assert.deepEqual(
        [settled, ...seen],
        ["done", "settled", "m-1", "m-2", "m-3"],
        "expected the successors after the first"
      )
    })
  )
]
