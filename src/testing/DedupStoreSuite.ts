/**
 * What every `DedupStore` must do, as tests for any runner.
 *
 * **Details**
 *
 * Each test uses a group of its own, so that all can share one store. A test fails with a `SuiteFailure` that says what
 * was expected.
 *
 * **Example** (The memory store, by `@effect/vitest`)
 *
 * ```ts no-check
 * import { it } from "@effect/vitest"
 * import { Effect } from "effect"
 * import { DedupStore } from "effect-integration/event"
 * import { DedupStoreSuite } from "effect-integration/testing"
 *
 * for (const test of DedupStoreSuite.make({ name: "memory", time: "clock", transactional: false })) {
 *   it.effect(test.name, () => test.run.pipe(Effect.provide(DedupStore.layerMemory)))
 * }
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { DedupStore, type Identity } from "../event/DedupStore.ts"
import { after, type Test, test, type Time } from "./internal/conformance.ts"

export { SuiteFailure, type Test, type Time } from "./internal/conformance.ts"

type Store = DedupStore["Service"]

/**
 * In what stores differ.
 *
 * @category models
 * @since 0.1.0
 */
export interface Features {
  /** Tells the groups of this run from those of others in the same store. */
  readonly name: string
  readonly time: Time
  /** Another handle to the same store, as another process has. Default: the store itself. */
  readonly shared?: Effect.Effect<Store>
  /**
   * Writes and reads in the database of the store, where it has transactions: `write` runs within `transaction`, and
   * `isWritten` asks afterwards whether it was kept. `false` where the store has none.
   */
  readonly transactional:
    | false
    | {
        readonly write: (text: string) => Effect.Effect<void>
        readonly isWritten: (text: string) => Effect.Effect<boolean>
      }
}

const long = Duration.minutes(5)
const short = Duration.millis(200)
const timeout = { timeout: Duration.seconds(20) }

const event = (id: string, source = "https://acme.com/orders"): Identity => ({ source, id })

/** Different events, with ids that stores could confuse, cut off or refuse. */
const oddEvents: ReadonlyArray<Identity> = [
  event("bc", "a"),
  event("c", "ab"),
  event("abc", ""),
  event("a"),
  event("a "),
  event(" a"),
  event("A"),
  event("ä"),
  event("a\u0308"),
  event("🚀 '\"`;--\\"),
  event("%"),
  event("_"),
  event("null"),
  event("\0"),
  event("\\u0000"),
  event("\ud800"),
  event("\udc00"),
  event("\ufffd"),
  event("x".repeat(255)),
  event("x".repeat(256)),
  event("x".repeat(2047)),
  event("x".repeat(2048)),
  event("ß".repeat(1000), "https://acme.com/".padEnd(2048, "ü")),
  event("1"),
  event("01"),
  event("1.0")
]

/**
 * The tests. Run each on a store that is provided.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (features: Features): ReadonlyArray<Test<DedupStore>> => {
  const { time } = features
  const cases: Array<Test<DedupStore>> = []
  const add = <E>(name: string, run: (store: Store, other: Store, group: string) => Effect.Effect<void, E>) => {
    const group = `${features.name}: ${name}`
    cases.push(
      test(
        name,
        Effect.flatMap(DedupStore, (store) =>
          Effect.flatMap(features.shared ?? Effect.succeed(store), (other) => run(store, other, group))
        )
      )
    )
  }

  const claimed = Effect.fnUntraced(function* (
    store: Store,
    group: string,
    identity: Identity,
    lease: Duration.Duration = long
  ) {
    const claim = yield* store.claim(group, identity, lease)
    assert.equal(claim._tag, "Claimed", "the event should be free to be claimed")
    return claim._tag === "Claimed" ? claim.token : Number.NaN
  })

  add("a completed event is a duplicate", (store, other, group) =>
    Effect.gen(function* () {
      const token = yield* claimed(store, group, event("1"))
      assert.equal(yield* store.complete(group, event("1"), token), true)
      assert.equal((yield* store.claim(group, event("1"), long))._tag, "Processed")
      assert.equal((yield* other.claim(group, event("1"), long))._tag, "Processed")
    })
  )

  add("a claimed event is running, for no longer than its lease", (store, other, group) =>
    Effect.gen(function* () {
      yield* claimed(store, group, event("1"))
      for (const handle of [store, other]) {
        const claim = yield* handle.claim(group, event("1"), long)
        assert.equal(claim._tag, "Running")
        const remaining = claim._tag === "Running" ? Duration.toMillis(claim.remaining) : -1
        assert.ok(remaining > 0 && remaining <= Duration.toMillis(long), `remaining: ${remaining} ms`)
      }
    })
  )

  add("a released event can be claimed at once, with a higher token", (store, other, group) =>
    Effect.gen(function* () {
      const first = yield* claimed(store, group, event("1"))
      yield* store.release(group, event("1"), first)
      const second = yield* claimed(other, group, event("1"))
      assert.ok(second > first, `token ${second} after ${first}`)
    })
  )

  add("when its lease has ended an event goes to the next, and the old owner can do nothing", (store, other, group) =>
    Effect.gen(function* () {
      const first = yield* claimed(store, group, event("1"), short)
      const taken = yield* after(time, short, other.claim(group, event("1"), long), (claim) => claim._tag === "Claimed")
      assert.equal(taken._tag, "Claimed")
      const second = taken._tag === "Claimed" ? taken.token : Number.NaN
      assert.ok(second > first, `token ${second} after ${first}`)
      assert.equal(yield* store.renew(group, event("1"), first, long), false)
      assert.equal(yield* store.complete(group, event("1"), first), false)
      yield* store.release(group, event("1"), first)
      assert.equal((yield* store.claim(group, event("1"), long))._tag, "Running")
      assert.equal(yield* other.complete(group, event("1"), second), true)
    })
  )

  add("a renewed lease lasts longer", (store, other, group) =>
    Effect.gen(function* () {
      const token = yield* claimed(store, group, event("1"), short)
      assert.equal(yield* store.renew(group, event("1"), token, long), true)
      const claim = yield* after(time, short, other.claim(group, event("1"), long), () => true)
      assert.equal(claim._tag, "Running")
      const remaining = claim._tag === "Running" ? Duration.toMillis(claim.remaining) : -1
      assert.ok(remaining > Duration.toMillis(long) / 2, `remaining: ${remaining} ms`)
      assert.equal(yield* store.complete(group, event("1"), token), true)
    })
  )

  add("of two claims at once one succeeds", (store, other, group) =>
    Effect.gen(function* () {
      for (let round = 0; round < 20; round++) {
        const claims = yield* Effect.all(
          [store, other].map((handle) => handle.claim(group, event(`${round}`), long)),
          { concurrency: "unbounded" }
        )
        assert.deepEqual(claims.map((claim) => claim._tag).toSorted(), ["Claimed", "Running"])
      }
    })
  )

  add("a thousand claims of different events at once all succeed, and can be completed", (store, _, group) =>
    Effect.gen(function* () {
      const events = Array.from({ length: 1000 }, (_, n) => event(`${n}`))
      const tokens = yield* Effect.forEach(events, (event) => claimed(store, group, event), {
        concurrency: "unbounded"
      })
      const completed = yield* Effect.forEach(events, (event, n) => store.complete(group, event, tokens[n]!), {
        concurrency: "unbounded"
      })
      assert.ok(completed.every(Boolean), "every complete should be true")
      assert.ok((yield* store.processed(group, events)).every(Boolean), "every event should be processed")
    })
  )

  add("of a thousand claims of one event at once one succeeds", (store, other, group) =>
    Effect.gen(function* () {
      const claims = yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, n) => (n % 2 === 0 ? store : other)),
        (handle) => handle.claim(group, event("1"), long),
        { concurrency: "unbounded" }
      )
      assert.equal(claims.filter((claim) => claim._tag === "Claimed").length, 1)
      assert.equal(claims.filter((claim) => claim._tag === "Running").length, 999)
    })
  )

  add("groups do not see each other", (store, _, group) =>
    Effect.gen(function* () {
      const token = yield* claimed(store, group, event("1"))
      yield* store.complete(group, event("1"), token)
      yield* claimed(store, `${group}!`, event("1"))
      assert.deepEqual(yield* store.processed(`${group}!`, [event("1")]), [false])
    })
  )

  add("odd and long ids are different events", (store, _, group) =>
    Effect.gen(function* () {
      const tokens = yield* Effect.forEach(oddEvents, (identity) => claimed(store, group, identity), {
        concurrency: "unbounded"
      })
      for (const [n, identity] of oddEvents.entries()) {
        if (n % 2 === 0) assert.equal(yield* store.complete(group, identity, tokens[n]!), true)
      }
      assert.deepEqual(
        yield* store.processed(group, oddEvents),
        oddEvents.map((_, n) => n % 2 === 0)
      )
    })
  )

  add("`processed` answers in the order of the events, also where one comes twice", (store, _, group) =>
    Effect.gen(function* () {
      yield* store.complete(group, event("1"), yield* claimed(store, group, event("1")))
      yield* claimed(store, group, event("2"))
      const asked = [event("2"), event("1"), event("3"), event("1")]
      assert.deepEqual(yield* store.processed(group, asked), [false, true, false, true])
      assert.deepEqual(yield* store.processed(group, []), [])
    })
  )

  add("purge removes what is old, and nothing else", (store, _, group) =>
    Effect.gen(function* () {
      yield* store.complete(group, event("1"), yield* claimed(store, group, event("1")))
      yield* claimed(store, group, event("ended"), short)
      yield* claimed(store, group, event("running"))
      yield* store.complete(`${group}!`, event("1"), yield* claimed(store, `${group}!`, event("1")))
      assert.equal(yield* store.purge(group, Duration.days(1)), 0)
      let purged = 0
      const purge = Effect.map(store.purge(group, short), (count) => (purged += count))
      yield* after(time, Duration.times(short, 2), purge, () => purged >= 2)
      assert.equal(purged, 2)
      assert.deepEqual(yield* store.processed(group, [event("1")]), [false])
      assert.equal((yield* store.claim(group, event("running"), long))._tag, "Running")
      assert.deepEqual(yield* store.processed(`${group}!`, [event("1")]), [true])
    })
  )

  add("a transaction marks the event, and does not run for a duplicate", (store, other, group) =>
    Effect.gen(function* () {
      assert.deepEqual(yield* store.transaction(group, event("1"), Effect.succeed(42), timeout), Option.some(42))
      const never = Effect.die(new Error("the effect should not run"))
      assert.deepEqual(yield* other.transaction(group, event("1"), never, timeout), Option.none())
      assert.equal((yield* store.claim(group, event("1"), long))._tag, "Processed")
      yield* store.complete(group, event("2"), yield* claimed(store, group, event("2")))
      assert.deepEqual(yield* store.transaction(group, event("2"), never, timeout), Option.none())
    })
  )

  add("a transaction that fails, dies or is interrupted does not mark", (store, other, group) =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(store.transaction(group, event("1"), Effect.fail("no" as const), timeout))
      assert.equal(failed, "no")
      const died = yield* Effect.exit(store.transaction(group, event("1"), Effect.die("no"), timeout))
      assert.equal(died._tag, "Failure")
      const begun = yield* Latch.make()
      const fiber = yield* Effect.forkChild(
        store.transaction(group, event("1"), Effect.andThen(begun.open, Effect.never), timeout)
      )
      yield* begun.await
      yield* Fiber.interrupt(fiber)
      assert.deepEqual(yield* store.processed(group, [event("1")]), [false])
      assert.deepEqual(yield* other.transaction(group, event("1"), Effect.succeed(1), timeout), Option.some(1))
    })
  )

  add("of two transactions of one event at once one runs", (store, other, group) =>
    Effect.gen(function* () {
      let runs = 0
      const effect = Effect.andThen(
        Effect.sync(() => runs++),
        Effect.yieldNow
      )
      const results = yield* Effect.all(
        [store, other, store].map((handle) => handle.transaction(group, event("1"), effect, timeout)),
        { concurrency: "unbounded" }
      )
      assert.equal(runs, 1)
      assert.equal(results.filter(Option.isSome).length, 1)
    })
  )

  add("a transaction takes a claim over whose lease has ended", (store, other, group) =>
    Effect.gen(function* () {
      const token = yield* claimed(store, group, event("1"), short)
      const marked = yield* after(
        time,
        short,
        other.transaction(group, event("1"), Effect.succeed(1), timeout),
        Option.isSome
      )
      assert.deepEqual(marked, Option.some(1))
      assert.equal(yield* store.complete(group, event("1"), token), false)
      assert.equal(yield* store.renew(group, event("1"), token, long), false)
      assert.deepEqual(yield* store.processed(group, [event("1")]), [true])
    })
  )

  const { transactional } = features
  if (transactional !== false) {
    add("what the effect wrote is kept with the mark, and only then", (store, _, group) =>
      Effect.gen(function* () {
        const text = (what: string) => `${group} ${what}`
        yield* store.transaction(group, event("1"), transactional.write(text("kept")), timeout)
        const fails = Effect.andThen(transactional.write(text("failed")), Effect.fail("no"))
        yield* Effect.exit(store.transaction(group, event("2"), fails, timeout))
        const dies = Effect.andThen(transactional.write(text("died")), Effect.die("no"))
        yield* Effect.exit(store.transaction(group, event("3"), dies, timeout))
        const begun = yield* Latch.make()
        const hangs = Effect.andThen(transactional.write(text("hung")), Effect.andThen(begun.open, Effect.never))
        const fiber = yield* Effect.forkChild(store.transaction(group, event("4"), hangs, timeout))
        yield* begun.await
        yield* Fiber.interrupt(fiber)
        for (const [what, kept] of Object.entries({ kept: true, failed: false, died: false, hung: false })) {
          assert.equal(yield* transactional.isWritten(text(what)), kept, `${what}: written`)
        }
        assert.deepEqual(
          yield* store.processed(
            group,
            ["1", "2", "3", "4"].map((id) => event(id))
          ),
          [true, false, false, false]
        )
      })
    )
  }

  add("an interrupted claim harms nobody else's", (store, _, group) =>
    Effect.gen(function* () {
      const claims = Array.from({ length: 50 }, (_, n) => event(`${n}`))
      const fibers = yield* Effect.forEach(claims, (event) => Effect.forkChild(store.claim(group, event, long)))
      yield* Effect.yieldNow
      yield* Fiber.interruptAll(fibers.filter((_, n) => n % 2 === 0))
      for (const fiber of fibers.filter((_, n) => n % 2 === 1)) {
        assert.equal((yield* Fiber.join(fiber))._tag, "Claimed")
      }
    })
  )

  return cases
}
