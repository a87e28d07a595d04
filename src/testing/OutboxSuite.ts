/**
 * What every `Outbox` must do, as tests for any runner.
 *
 * **Details**
 *
 * Each test uses channels of its own, so that all can share one store. A test fails with a `SuiteFailure` that says what
 * was expected.
 *
 * **Example** (The memory store, by `@effect/vitest`)
 *
 * ```ts no-check
 * import { it } from "@effect/vitest"
 * import { Effect } from "effect"
 * import { MemoryOutbox } from "effect-integration/event"
 * import { OutboxSuite } from "effect-integration/testing"
 *
 * for (const test of OutboxSuite.make({ name: "memory", time: "clock", transaction: false })) {
 *   it.effect(test.name, () => test.run.pipe(Effect.provide(MemoryOutbox.layer)))
 * }
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { buckets, type Lease, Outbox, type Pending } from "../event/Outbox.ts"
import { after, type Test, test, type Time } from "./internal/conformance.ts"
import { depthOf, entry, idsOf, leased, oddKeys, read, stored } from "./internal/outboxBench.ts"

export { SuiteFailure, type Test, type Time } from "./internal/conformance.ts"

type Store = Outbox["Service"]

/**
 * In what stores differ.
 *
 * @category models
 * @since 0.1.0
 */
export interface Features {
  /** Tells the channels of this run from those of others in the same store. */
  readonly name: string
  readonly time: Time
  /** Another handle to the same store, as another process has. Default: the store itself. */
  readonly shared?: Effect.Effect<Store>
  /** Runs an effect in a transaction of the store's database, which is rolled back where it fails. `false` where it has none. */
  readonly transaction: false | (<A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>)
}

const short = Duration.millis(300)

/**
 * The tests. Run each on a store that is provided.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (features: Features): ReadonlyArray<Test<Outbox>> => {
  const { time, transaction } = features
  const cases: Array<Test<Outbox>> = []
  const add = <E>(name: string, run: (store: Store, other: Store, channel: string) => Effect.Effect<void, E>) => {
    const channel = `${features.name} ${cases.length}`
    cases.push(
      test(
        name,
        Effect.flatMap(Outbox, (store) =>
          Effect.flatMap(features.shared ?? Effect.succeed(store), (other) => run(store, other, channel))
        )
      )
    )
  }

  const keyOf = ({ bucket, token }: Lease) => `${bucket}/${token}`

  add("gives back all of an event, in the order of each key", (store, other, channel) =>
    Effect.gen(function* () {
      const entries = [...oddKeys, undefined, ...oddKeys, undefined].map((key) => entry(channel, key))
      yield* Effect.forEach(entries, (each) => store.add(each))
      yield* leased(other, "one", channel)
      const found = yield* read(other, "one", channel)
      const whole = found.map(({ channel, event, id, key, source, type }) => ({
        channel,
        key,
        source,
        id,
        type,
        event
      }))
      assert.deepStrictEqual(whole, entries)
      const positions = found.map(({ position }) => position)
      assert.deepStrictEqual(
        positions,
        [...new Set(positions)].toSorted((a, b) => a - b)
      )
      assert.deepStrictEqual(new Set(found.map(({ attempts }) => attempts)), new Set([0]))
    })
  )

  add("gives no events to whom it has no lease", (store, other, channel) =>
    Effect.gen(function* () {
      yield* stored(store, channel, ["a"])
      assert.deepStrictEqual(yield* read(store, "one", channel), [])
      yield* leased(store, "one", channel)
      assert.deepStrictEqual(yield* read(other, "two", channel), [])
      assert.strictEqual((yield* read(store, "one", channel)).length, 1)
    })
  )

  add("shares the buckets of a channel by its relays, and never one by two", (store, other, channel) =>
    Effect.gen(function* () {
      const alone = yield* leased(store, "one", channel)
      assert.strictEqual(alone.length, buckets)
      assert.strictEqual(alone.filter(({ surplus }) => surplus).length, 0)
      assert.deepStrictEqual(yield* leased(other, "two", channel), [])
      const told = yield* leased(store, "one", channel)
      const surplus = told.filter((lease) => lease.surplus)
      assert.strictEqual(surplus.length, buckets / 2)
      yield* store.release("one", surplus, { leaves: false })
      const second = yield* leased(other, "two", channel)
      const first = yield* leased(store, "one", channel)
      assert.strictEqual(second.length, buckets / 2)
      assert.strictEqual(first.length, buckets / 2)
      assert.strictEqual(new Set([...first, ...second].map(({ bucket }) => bucket)).size, buckets)
      assert.strictEqual((yield* depthOf(store, channel))?.relays, 2)
      yield* store.release("one", [], { leaves: true })
      assert.strictEqual((yield* leased(other, "two", channel)).length, buckets)
      assert.strictEqual((yield* depthOf(store, channel))?.relays, 1)
    })
  )

  add("gives each event to one of several relays", (store, other, channel) =>
    Effect.gen(function* () {
      const known = yield* stored(
        store,
        channel,
        Array.from({ length: 40 }, (_, n) => `k-${n}`)
      )
      yield* leased(store, "one", channel)
      yield* leased(other, "two", channel)
      const surplus = (yield* leased(store, "one", channel)).filter((lease) => lease.surplus)
      yield* store.release("one", surplus, { leaves: false })
      yield* leased(other, "two", channel)
      const first = idsOf(yield* read(store, "one", channel))
      const second = idsOf(yield* read(other, "two", channel))
      assert.ok(first.length > 0 && second.length > 0)
      assert.deepStrictEqual([...first, ...second].toSorted(), known.toSorted())
    })
  )

  add("lets others take over when leases have ended, with higher tokens", (store, other, channel) =>
    Effect.gen(function* () {
      yield* stored(store, channel, ["a"])
      const before = yield* leased(store, "one", channel, short)
      const [event] = (yield* read(store, "one", channel)) as [Pending]
      const taken = yield* after(time, short, leased(other, "two", channel), (leases) => leases.length === buckets)
      assert.strictEqual(taken.length, buckets)
      const tokens = new Map(before.map(({ bucket, token }) => [bucket, token]))
      assert.ok(taken.every(({ bucket, token }) => token > tokens.get(bucket)!))
      assert.deepStrictEqual(yield* read(store, "one", channel), [])
      assert.strictEqual(yield* store.attempted("one", event, "late"), false)
      const late = { reason: "refused", error: "late", halts: false } as const
      assert.ok(Option.isNone(yield* store.putAside("one", event, late)))
      yield* store.release("one", before, { leaves: false })
      assert.strictEqual((yield* read(other, "two", channel))[0]?.attempts, 0)
    })
  )

  add("prolongs the leases of a relay that lives, and keeps their tokens", (store, other, channel) =>
    Effect.gen(function* () {
      const first = yield* leased(store, "one", channel, short)
      const again = yield* leased(store, "one", channel)
      assert.deepStrictEqual(again.map(keyOf), first.map(keyOf))
      const others = yield* after(time, short, leased(other, "two", channel), () => true)
      assert.deepStrictEqual(others, [])
    })
  )

  add("leaves out what is known, busy or too much", (store, _, channel) =>
    Effect.gen(function* () {
      const [a1, b1, n1, a2, n2] = yield* stored(store, channel, ["a", "b", undefined, "a", undefined])
      yield* leased(store, "one", channel)
      const found = yield* read(store, "one", channel, { limit: 3 })
      assert.deepStrictEqual(idsOf(found), [a1, b1, n1])
      const known = found.map(({ position }) => position)
      assert.deepStrictEqual(idsOf(yield* read(store, "one", channel, { known })), [a2, n2])
      assert.deepStrictEqual(idsOf(yield* read(store, "one", channel, { busy: ["a", "none"] })), [b1, n1, n2])
      assert.deepStrictEqual(idsOf(yield* read(store, "one", channel, { known, busy: ["a"] })), [n2])
    })
  )

  add("removes what was published, and nothing else", (store, other, channel) =>
    Effect.gen(function* () {
      const [, second] = yield* stored(store, channel, ["a", "a"])
      yield* leased(store, "one", channel)
      const [first] = yield* read(store, "one", channel)
      yield* other.remove([first!.position])
      yield* other.remove([first!.position])
      yield* other.remove([])
      assert.deepStrictEqual(idsOf(yield* read(store, "one", channel)), [second])
    })
  )

  add("counts attempts, and sets aside while the key goes on", (store, other, channel) =>
    Effect.gen(function* () {
      const [bad, next] = yield* stored(store, channel, ["a", "a"])
      yield* leased(store, "one", channel)
      const [event] = (yield* read(store, "one", channel)) as [Pending]
      assert.strictEqual(yield* store.attempted("one", event, "first"), true)
      assert.strictEqual((yield* read(store, "one", channel))[0]?.attempts, 1)
      const put = yield* store.putAside("one", event, { reason: "refused", error: "bad \0 \ud800", halts: false })
      assert.ok(Option.isSome(put))
      const listed = yield* other.setAside({ channel, limit: 10 })
      assert.deepStrictEqual(listed, [put.value])
      const { attempts, firstFailedAt, halts, id, reason, setAsideAt } = put.value
      assert.deepStrictEqual({ attempts, halts, id, reason }, { attempts: 2, halts: false, id: bad, reason: "refused" })
      assert.ok(firstFailedAt.epochMilliseconds <= setAsideAt.epochMilliseconds)
      assert.deepStrictEqual(idsOf(yield* read(store, "one", channel)), [next])
      assert.strictEqual(yield* store.attempted("one", event, "late"), false)
      assert.deepStrictEqual(yield* other.setAside({ channel: `${channel} other`, limit: 10 }), [])
      assert.strictEqual(yield* other.retry([event.position]), 1)
      assert.strictEqual(yield* other.retry([event.position]), 0)
      assert.deepStrictEqual(idsOf(yield* read(store, "one", channel)), [bad, next])
      assert.strictEqual((yield* read(store, "one", channel))[0]?.attempts, 0)
    })
  )

  add("lets a key wait for its event that was set aside, until that is retried or discarded", (store, other, channel) =>
    Effect.gen(function* () {
      const [bad, next] = yield* stored(store, channel, ["a", "a"])
      const [free] = yield* stored(store, channel, ["b"])
      yield* leased(store, "one", channel)
      const [event] = (yield* read(store, "one", channel)) as [Pending]
      const halt = { reason: "unroutable", error: "nobody", halts: true } as const
      assert.strictEqual(Option.getOrThrow(yield* store.putAside("one", event, halt)).halts, true)
      const [later] = yield* stored(store, channel, ["a"])
      assert.deepStrictEqual(idsOf(yield* read(store, "one", channel)), [free])
      assert.strictEqual(yield* other.retry([event.position]), 1)
      assert.deepStrictEqual(idsOf(yield* read(store, "one", channel)), [bad, next, free, later])
      yield* store.putAside("one", event, halt)
      assert.strictEqual(yield* other.discard([event.position, event.position + 1]), 1)
      assert.deepStrictEqual(idsOf(yield* read(store, "one", channel)), [next, free, later])
    })
  )

  add("tells how much waits, and for how long", (store, other, channel) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* depthOf(store, channel), undefined)
      yield* stored(store, channel, ["a", "b"])
      const depth = (yield* after(
        time,
        short,
        depthOf(other, channel),
        (depth) => Duration.toMillis(Option.getOrElse(depth!.oldest, () => Duration.zero)) >= 300
      ))!
      assert.ok(Duration.toMillis(Option.getOrThrow(depth.oldest)) >= 300)
      assert.deepStrictEqual([depth.pending, depth.setAside, depth.relays], [2, 0, 0])
      yield* leased(store, "one", channel)
      const [a, b] = (yield* read(store, "one", channel)) as [Pending, Pending]
      yield* store.putAside("one", a, { reason: "invalid", error: "", halts: false })
      yield* store.remove([b.position])
      const left = yield* depthOf(other, channel)
      assert.deepStrictEqual(left, { channel, pending: 0, oldest: Option.none(), setAside: 1, relays: 1 })
    })
  )

  add("tells who watches in the same process of what is stored", (store, _, channel) =>
    Effect.scoped(
      Effect.gen(function* () {
        const told: Array<string | undefined> = []
        yield* store.watch((each) => told.push(each))
        yield* stored(store, channel, ["a"])
        const isTold = Effect.sync(() => told.includes(channel))
        assert.ok(yield* after(time, Duration.zero, isTold, (is) => is))
      })
    )
  )

  if (transaction !== false) {
    add("stores in the transaction of the caller, and of its savepoints", (store, other, channel) =>
      Effect.gen(function* () {
        yield* leased(other, "one", channel)
        const failed = transaction(Effect.andThen(stored(store, channel, ["a"]), Effect.fail("no")))
        assert.strictEqual((yield* Effect.exit(failed))._tag, "Failure")
        const [kept] = yield* transaction(
          Effect.tap(stored(store, channel, ["a"]), () =>
            Effect.ignore(transaction(Effect.andThen(stored(store, channel, ["a", "b"]), Effect.fail("no"))))
          )
        )
        assert.deepStrictEqual(idsOf(yield* read(other, "one", channel)), [kept])
      })
    )
  }

  return cases
}
