import * as Effect from "effect/Effect"
import assert from "node:assert/strict"
import { type Group, Settlement, Verdict } from "../../event/Broker.ts"
import { type Bench, test, type Test } from "./brokerSuiteBench.ts"
import type { Features } from "./brokerSuiteFeatures.ts"
import { same, sameTexts, text, texts, textOf } from "./brokerSuiteMessage.ts"
import { fullMessage } from "./brokerSuiteMessages.ts"

const keep = Verdict.Keep()
const remove = Verdict.Remove()

/** Visits, and gives the texts that were shown and how many the broker says they were. */
const visit = Effect.fnUntraced(function* (
  bench: Bench,
  group: Group,
  limit: number,
  verdict: (body: string) => Verdict = () => keep
) {
  const shown: Array<string> = []
  const count = yield* bench.broker.deadLetters(group).visit(
    (letter) => {
      shown.push(textOf(letter))
      return Effect.succeed(verdict(textOf(letter)))
    },
    { limit }
  )
  assert.equal(count, shown.length, "expected visit to give how many letters were shown")
  return shown
})

const add = (bench: Bench, group: Group, bodies: ReadonlyArray<string>) =>
  Effect.forEach(bodies, (body) => bench.broker.deadLetters(group).add(text(body)), { discard: true })

export const deadLetters = (features: Features): ReadonlyArray<Test> => {
  const letters = (name: string, body: (bench: Bench, group: Group) => ReturnType<Parameters<typeof test>[2]>) =>
    test(features, `dead letters: ${name}`, (bench) =>
      body(bench, { channel: bench.channel({ consumers: ["billing", "audit"] }), group: "billing" })
    )
  return [
    letters(
      "none are shown where there are none",
      Effect.fnUntraced(function* (bench, group) {
        yield* bench.broker.publish(group.channel, text("x"))
        assert.deepEqual(yield* visit(bench, group, 10), [], "expected no dead letters")
      })
    ),
    letters(
      "add puts a message there whole, for its group only",
      Effect.fnUntraced(function* (bench, group) {
        const message = fullMessage(features)
        yield* bench.broker.deadLetters(group).add(message)
        let found = message
        const shown = yield* bench.broker.deadLetters(group).visit(
          (letter) => {
            found = letter
            return Effect.succeed(keep)
          },
          { limit: 10 }
        )
        assert.equal(shown, 1, "expected the letter that was added")
        assert.notEqual(found, message, "expected the letter to be shown")
        same("the dead letter", found, message)
        assert.deepEqual(yield* visit(bench, { ...group, group: "audit" }, 10), [], "expected none for the other group")
      })
    ),
    letters(
      "a visit shows each once and oldest first, and keeping changes nothing",
      Effect.fnUntraced(function* (bench, group) {
        yield* add(bench, group, texts(25))
        for (let round = 0; round < 3; round++) {
          assert.deepEqual(yield* visit(bench, group, 100), texts(25), "expected each once, oldest first")
        }
      })
    ),
    letters(
      "a visit shows no more than its limit, the oldest",
      Effect.fnUntraced(function* (bench, group) {
        yield* add(bench, group, texts(10))
        assert.deepEqual(yield* visit(bench, group, 100), texts(10), "expected all, oldest first")
        assert.deepEqual(yield* visit(bench, group, 4), texts(4), "expected the four oldest")
        assert.deepEqual(
          yield* visit(bench, group, 4, () => remove),
          texts(4),
          "expected the same four, which were kept"
        )
        assert.deepEqual(yield* visit(bench, group, 4), texts(8).slice(4), "expected the next four")
        assert.deepEqual(yield* visit(bench, group, 100), texts(10).slice(4), "expected the six that are left")
      })
    ),
    letters(
      "some are removed, and the others stay in their order",
      Effect.fnUntraced(function* (bench, group) {
        yield* add(bench, group, texts(12))
        const isOdd = (body: string) => Number(body.slice(2)) % 2 === 1
        yield* visit(bench, group, 100, (body) => (isOdd(body) ? remove : keep))
        const even = texts(12).filter((body) => !isOdd(body))
        assert.deepEqual(yield* visit(bench, group, 100), even, "expected those that were kept, oldest first")
      })
    ),
    letters(
      "a replay reaches its group only, with the message that the visitor gives",
      Effect.fnUntraced(function* (bench, group) {
        const billing = yield* bench.subscribe(group)
        const audit = yield* bench.subscribe({ ...group, group: "audit" })
        yield* bench.broker.publish(group.channel, text("x", { key: "k" }))
        yield* (yield* billing.take).settle(Settlement.DeadLetter({ headers: { reason: "bad" } }))
        yield* audit.ackMany(1)
        const original = { ...fullMessage(features), body: new Uint8Array([1, 2, 3]) }
        yield* bench.until(
          () => "the dead letter",
          Effect.map(
            visit(bench, group, 10, () => Verdict.Replay({ message: original })),
            (shown) => shown.length === 1
          )
        )
        const again = yield* billing.take
        same("a replayed message", again.message, original)
        assert.equal(again.redeliveries, 0, "expected a replay to begin again at 0 redeliveries")
        yield* again.settle(Settlement.Ack())
        yield* bench.broker.publish(group.channel, text("next"))
        assert.deepEqual(yield* audit.ackMany(1), ["next"], "expected the other group to see nothing of the replay")
        assert.deepEqual(yield* billing.ackMany(1), ["next"], "expected the replay to come once")
        assert.deepEqual(yield* visit(bench, group, 10), [], "expected the letter to be gone")
      })
    ),
    letters(
      "what is replayed while a consumer dead-letters it again is shown once in a visit",
      Effect.fnUntraced(function* (bench, group) {
        const billing = yield* bench.subscribe(group)
        yield* billing.forEach((delivery) => delivery.settle(Settlement.DeadLetter({ headers: {} })))
        yield* add(bench, group, texts(5))
        const shown = yield* bench.within(
          "the visit to end",
          visit(bench, group, 100, (body) => Verdict.Replay({ message: text(body) }))
        )
        assert.deepEqual(shown, texts(5), "expected each letter once")
        let after: ReadonlyArray<string> = []
        yield* bench.until(
          () => `the five letters again, not ${after.length}`,
          Effect.map(visit(bench, group, 100), (shown) => {
            after = shown
            return shown.length === 5
          })
        )
        sameTexts("dead letters", after, texts(5))
      })
    ),
    letters(
      "a visitor that fails loses nothing, and its failure is the visit's",
      Effect.fnUntraced(function* (bench, group) {
        yield* add(bench, group, texts(6))
        const failing = bench.broker
          .deadLetters(group)
          .visit((letter) => (textOf(letter) === "m-3" ? Effect.fail("no" as const) : Effect.succeed(keep)), {
            limit: 100
          })
        const error = yield* Effect.flip(failing).pipe(Effect.catch(() => Effect.succeed("the visit succeeded")))
        assert.equal(error, "no", "expected the visit to fail as its visitor did")
        yield* Effect.exit(
          bench.broker.deadLetters(group).visit(() => Effect.die(new Error("a defect of the visitor")), { limit: 100 })
        )
        let shown: ReadonlyArray<string> = []
        yield* bench.until(
          () => `all six letters, not ${shown.length}`,
          Effect.map(visit(bench, group, 100), (found) => {
            shown = found
            return found.length >= 6
          })
        )
        assert.deepEqual(shown, texts(6), "expected every letter once, oldest first")
      })
    ),
    letters(
      "two visits at once replay each letter once",
      Effect.fnUntraced(function* (bench, group) {
        const other = { ...bench, broker: yield* bench.other }
        yield* add(bench, group, texts(20))
        const replay = (body: string) => Verdict.Replay({ message: text(body) })
        yield* Effect.all([visit(bench, group, 100, replay), visit(other, group, 100, replay)], { concurrency: 2 })
        yield* bench.until(
          () => "no letters to be left",
          Effect.map(visit(bench, group, 100, replay), (shown) => shown.length === 0)
        )
        const billing = yield* bench.subscribe(group)
        sameTexts("replayed", yield* billing.ackMany(20), texts(20))
        yield* bench.broker.publish(group.channel, text("next"))
        assert.deepEqual(yield* billing.ackMany(1), ["next"], "expected each letter to be replayed once")
      })
    )
  ]
}
