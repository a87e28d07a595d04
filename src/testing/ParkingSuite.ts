/**
 * What every `Parking` must do, as tests for any runner.
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
 * import { Parking } from "effect-integration/event"
 * import { ParkingSuite } from "effect-integration/testing"
 *
 * for (const test of ParkingSuite.make({ name: "memory", time: "clock" })) {
 *   it.effect(test.name, () => test.run.pipe(Effect.provide(Parking.layerMemory)))
 * }
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import type { Identity } from "../event/DedupStore.ts"
import type { Message } from "../event/Message.ts"
import { type Acquisition, type Lease, Parking } from "../event/Parking.ts"
import { after, type Test, test, type Time } from "./internal/conformance.ts"

export { SuiteFailure, type Test, type Time } from "./internal/conformance.ts"

type Store = Parking["Service"]

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
}

const long = Duration.minutes(5)
const short = Duration.millis(200)

const identity = (id: string, source = "https://acme.com/orders"): Identity => ({ source, id })
const message = (text: string): Message => ({ body: new TextEncoder().encode(text), headers: { text } })

const oddKeys = ["a", "a ", "A", "ä", "a\u0308", "🚀'\"\\", "null", "\0", "\ud800", "\udc00", "x".repeat(255)].concat([
  "x".repeat(256),
  "x".repeat(2047),
  "x".repeat(2048),
  "ß".repeat(1000),
  "%",
  "1",
  "01"
])

/** Everything that a message can hold. */
const rich: Message = {
  body: new Uint8Array(Array.from({ length: 256 }, (_, byte) => byte)),
  contentType: "application/octet-stream",
  messageId: "m\0-\ud800",
  key: "k",
  headers: {
    nothing: null,
    text: "ä\0🚀\udc00'\"\\",
    integer: Number.MAX_SAFE_INTEGER,
    decimal: -0.1,
    negativeZero: -0,
    infinite: -Infinity,
    notANumber: NaN,
    yes: true,
    no: false,
    bytes: new Uint8Array([0, 255]),
    noBytes: new Uint8Array(),
    list: [1, "2", [null, new Uint8Array([3])], {}],
    table: { a: { b: { c: new Uint8Array([1]) } }, "~bytes": "not bytes", "": "" },
    "~bytes": "text",
    "": "empty"
  },
  properties: { correlationId: "c", priority: 3, "~pairs": ["x"] }
}

/**
 * The tests. Run each on a store that is provided.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (features: Features): ReadonlyArray<Test<Parking>> => {
  const { time } = features
  const cases: Array<Test<Parking>> = []
  const add = <E>(name: string, run: (store: Store, other: Store, group: string) => Effect.Effect<void, E>) => {
    const group = `${features.name}: ${name}`
    cases.push(
      test(
        name,
        Effect.flatMap(Parking, (store) =>
          Effect.flatMap(features.shared ?? Effect.succeed(store), (other) => run(store, other, group))
        )
      )
    )
  }

  const leaseOf = (acquisition: Acquisition): Lease => {
    assert.equal(acquisition._tag, "Acquired", "the key should be free to be acquired")
    return (acquisition as Extract<Acquisition, { readonly _tag: "Acquired" }>).lease
  }
  const acquired = (store: Store, group: string, key: string, owner = "one", lease = long) =>
    Effect.map(store.acquire(group, key, owner, lease), leaseOf)
  const park = (store: Store, lease: Lease, id: string, delay: Duration.Duration = Duration.zero) =>
    store.park(lease, identity(id), message(id), delay)
  const firstId = (store: Store, lease: Lease) =>
    Effect.map(store.first(lease), (first) => Option.getOrUndefined(first)?.identity.id)
  const first = (store: Store, lease: Lease) =>
    Effect.map(store.first(lease), (first) => {
      assert.ok(Option.isSome(first), "there should be a first message")
      return first.value
    })

  add("a key has one owner at a time, for no longer than its lease", (store, other, group) =>
    Effect.gen(function* () {
      yield* acquired(store, group, "k")
      const held = yield* other.acquire(group, "k", "two", long)
      assert.equal(held._tag, "Held")
      const remaining = held._tag === "Held" ? Duration.toMillis(held.remaining) : -1
      assert.ok(remaining > 0 && remaining <= Duration.toMillis(long), `remaining: ${remaining} ms`)
    })
  )

  add("the owner keeps its token when it acquires the key again", (store, _, group) =>
    Effect.gen(function* () {
      const lease = yield* acquired(store, group, "k", "one", short)
      assert.equal((yield* acquired(store, group, "k", "one", long)).token, lease.token)
      const held = yield* after(time, short, store.acquire(group, "k", "two", long), () => true)
      assert.equal(held._tag, "Held")
      const remaining = held._tag === "Held" ? Duration.toMillis(held.remaining) : -1
      assert.ok(remaining > Duration.toMillis(long) / 2, `remaining: ${remaining} ms`)
    })
  )

  add("a released key can be acquired at once, with a higher token", (store, other, group) =>
    Effect.gen(function* () {
      const lease = yield* acquired(store, group, "k")
      yield* store.release([lease])
      const next = yield* acquired(other, group, "k", "two")
      assert.ok(next.token > lease.token, `token ${next.token} after ${lease.token}`)
      yield* store.release([lease])
      assert.equal((yield* store.acquire(group, "k", "one", long))._tag, "Held")
      yield* store.release([])
    })
  )

  add("who has lost its lease can change nothing", (store, other, group) =>
    Effect.gen(function* () {
      const lost = yield* acquired(store, group, "k", "one", short)
      assert.equal(yield* park(store, lost, "1"), true)
      const { position } = yield* first(store, lost)
      const taken = yield* after(
        time,
        short,
        other.acquire(group, "k", "two", long),
        (acquisition) => acquisition._tag === "Acquired"
      )
      const lease = leaseOf(taken)
      assert.ok(lease.token > lost.token, `token ${lease.token} after ${lost.token}`)
      assert.equal(yield* store.confirm(lost), false)
      assert.equal(yield* park(store, lost, "2"), false)
      assert.equal(yield* store.postpone(lost, position, message("changed"), long), false)
      assert.equal(yield* store.remove(lost, position), false)
      assert.equal(yield* store.halt(lost, "no"), false)
      assert.deepEqual(yield* store.renew([lost], long), [lost])
      yield* store.release([lost])
      assert.deepEqual(yield* store.keys(group, 10), [{ key: "k", parked: 1, halted: undefined }])
      assert.deepEqual((yield* first(other, lease)).message, message("1"))
      assert.equal(yield* other.confirm(lease), true)
      assert.equal((yield* store.acquire(group, "k", "one", long))._tag, "Held")
    })
  )

  add("a forged token is refused", (store, _, group) =>
    Effect.gen(function* () {
      const lease = yield* acquired(store, group, "k")
      assert.equal(yield* store.confirm({ ...lease, token: lease.token + 1 }), false)
      assert.equal(yield* store.confirm({ ...lease, owner: "two" }), false)
      assert.equal(yield* store.confirm({ ...lease, key: "other" }), false)
      assert.equal(yield* store.confirm({ ...lease, group: `${group}!` }), false)
      assert.equal(yield* store.confirm(lease), true)
    })
  )

  add("a lease that has ended is held until another takes it", (store, _, group) =>
    Effect.gen(function* () {
      const lease = yield* acquired(store, group, "k", "one", Duration.millis(1))
      const confirmed = yield* after(time, Duration.millis(1), store.confirm(lease), () => true)
      assert.equal(confirmed, true)
      assert.equal(yield* park(store, lease, "1"), true)
      assert.deepEqual(yield* store.renew([lease], long), [])
      assert.equal((yield* store.acquire(group, "k", "two", long))._tag, "Held")
    })
  )

  add("renew prolongs, and gives those that were lost", (store, other, group) =>
    Effect.gen(function* () {
      const kept = yield* acquired(store, group, "kept", "one", short)
      const lost = yield* acquired(store, group, "lost")
      yield* store.release([lost])
      yield* acquired(other, group, "lost", "two")
      assert.deepEqual(yield* store.renew([kept, lost], long), [lost])
      const held = yield* after(time, short, other.acquire(group, "kept", "two", long), () => true)
      assert.equal(held._tag, "Held")
      assert.deepEqual(yield* store.renew([], long), [])
    })
  )

  add("a thousand keys are acquired at once, each by one of two", (store, other, group) =>
    Effect.gen(function* () {
      const wanted = Array.from({ length: 2000 }, (_, n) => ({ key: `k${n >> 1}`, mine: n % 2 === 0 }))
      const all = yield* Effect.forEach(
        wanted,
        ({ key, mine }) => (mine ? store : other).acquire(group, key, mine ? "one" : "two", long),
        { concurrency: "unbounded" }
      )
      const leases = all.flatMap((each) => (each._tag === "Acquired" ? [each.lease] : []))
      assert.equal(new Set(leases.map((lease) => lease.key)).size, 1000)
      assert.equal(leases.length, 1000)
      for (const owner of ["one", "two"]) {
        const own = leases.filter((lease) => lease.owner === owner)
        assert.deepEqual(yield* store.renew(own, long), [])
        yield* store.release(own)
      }
      assert.equal((yield* store.acquire(group, "k0", "three", long))._tag, "Acquired")
    })
  )

  add("messages of a key come in the order in which they were parked", (store, other, group) =>
    Effect.gen(function* () {
      const lease = yield* acquired(store, group, "k")
      const positions: Array<number> = []
      for (let n = 0; n < 20; n++) assert.equal(yield* park(store, lease, `${n}`), true)
      yield* store.release([lease])
      const next = yield* other.acquire(group, "k", "two", long)
      assert.equal(next._tag === "Acquired" ? next.parked : undefined, 20)
      const taken = leaseOf(next)
      for (let n = 0; n < 20; n++) {
        const { identity, position } = yield* first(other, taken)
        assert.equal(identity.id, `${n}`)
        positions.push(position)
        assert.equal(yield* other.remove(taken, position), true)
      }
      assert.deepEqual(
        positions,
        positions.toSorted((a, b) => a - b)
      )
      assert.equal(new Set(positions).size, 20)
      assert.equal(yield* firstId(other, taken), undefined)
      assert.equal(yield* park(other, taken, "again"), true)
      assert.ok((yield* first(other, taken)).position > positions.at(-1)!, "a position should not come again")
    })
  )

  add("a message that is parked stays where it is", (store, _, group) =>
    Effect.gen(function* () {
      const lease = yield* acquired(store, group, "k")
      yield* park(store, lease, "1")
      yield* park(store, lease, "2")
      assert.equal(yield* store.park(lease, identity("1"), message("changed"), long), true)
      assert.equal(yield* store.park(lease, identity("2", "other"), message("2"), long), true)
      assert.deepEqual((yield* first(store, lease)).message, message("1"))
      assert.deepEqual(yield* store.keys(group, 10), [{ key: "k", parked: 3, halted: undefined }])
    })
  )

  add("a postponed message keeps its place and its identity", (store, _, group) =>
    Effect.gen(function* () {
      const lease = yield* acquired(store, group, "k")
      yield* park(store, lease, "1")
      yield* park(store, lease, "2")
      const before = yield* first(store, lease)
      assert.equal(Duration.toMillis(before.remaining), 0)
      assert.equal(yield* store.postpone(lease, before.position, message("changed"), long), true)
      const found = yield* first(store, lease)
      assert.deepEqual(found.message, message("changed"))
      assert.deepEqual(found.identity, identity("1"))
      assert.equal(found.position, before.position)
      const remaining = Duration.toMillis(found.remaining)
      assert.ok(remaining > 0 && remaining <= Duration.toMillis(long), `remaining: ${remaining} ms`)
      yield* store.release([lease])
      assert.deepEqual(yield* store.due(group, 10), [])
    })
  )

  add("a key is due when its first message is, and nobody has it", (store, other, group) =>
    Effect.gen(function* () {
      const lease = yield* acquired(store, group, "k")
      yield* park(store, lease, "1", short)
      yield* park(store, lease, "2")
      const later = yield* acquired(store, group, "later")
      yield* park(store, later, "3", long)
      yield* acquired(store, group, "empty", "one", Duration.millis(1))
      yield* store.release([later])
      const due = yield* after(time, short, other.due(group, 10), () => true)
      assert.deepEqual(due, [], "a key with an owner should not be due")
      yield* store.release([lease])
      const found = yield* after(time, short, other.due(group, 10), (due) => due.length > 0)
      assert.deepEqual(found, ["k"])
      const more = yield* Effect.forEach(["x", "y", "z"], (key) =>
        Effect.tap(acquired(store, group, key), (lease) => park(store, lease, key))
      )
      yield* store.release(more)
      assert.equal((yield* other.due(group, 2)).length, 2)
      assert.deepEqual((yield* other.due(group, 10)).toSorted(), ["k", "x", "y", "z"])
      assert.deepEqual(yield* other.due(`${group}!`, 10), [])
    })
  )

  add("a halted key is not due until it is resumed, and then at once", (store, other, group) =>
    Effect.gen(function* () {
      const lease = yield* acquired(store, group, "k")
      yield* park(store, lease, "1", long)
      assert.equal(yield* store.halt(lease, "the card 'ä' was declined"), true)
      yield* store.release([lease])
      assert.deepEqual(yield* other.due(group, 10), [])
      assert.deepEqual(yield* other.keys(group, 10), [{ key: "k", parked: 1, halted: "the card 'ä' was declined" }])
      const again = yield* other.acquire(group, "k", "two", long)
      assert.equal(again._tag === "Acquired" && again.halted, true)
      yield* other.release([leaseOf(again)])
      assert.equal(yield* other.resume(group, "k"), true)
      assert.equal(yield* other.resume(group, "k"), false)
      assert.equal(yield* other.resume(group, "unknown"), false)
      assert.deepEqual(yield* store.due(group, 10), ["k"])
      const resumed = yield* store.acquire(group, "k", "one", long)
      assert.equal(resumed._tag === "Acquired" && resumed.halted, false)
      assert.equal(Duration.toMillis((yield* first(store, leaseOf(resumed))).remaining), 0)
    })
  )

  add("a message is restored byte for byte", (store, other, group) =>
    Effect.gen(function* () {
      const lease = yield* acquired(store, group, "k")
      const odd = identity("\0\ud800🚀", "x".repeat(2048))
      yield* store.park(lease, odd, rich, Duration.zero)
      const found = yield* first(other, lease)
      assert.deepEqual(found.message, rich)
      assert.deepEqual(found.identity, odd)
      yield* store.remove(lease, found.position)
      const empty: Message = { body: new Uint8Array(), headers: {} }
      yield* store.park(lease, identity("2"), empty, Duration.zero)
      assert.deepEqual((yield* first(other, lease)).message, empty)
    })
  )

  add("odd and long keys are different keys", (store, _, group) =>
    Effect.gen(function* () {
      const leases = yield* Effect.forEach(oddKeys, (key) => acquired(store, group, key), {
        concurrency: "unbounded"
      })
      for (const [n, lease] of leases.entries()) yield* park(store, lease, `${n}`)
      yield* store.release(leases)
      const listed = yield* store.keys(group, 100)
      assert.deepEqual(
        listed.map(({ key }) => key),
        oddKeys
      )
      assert.deepEqual((yield* store.due(group, 100)).toSorted(), oddKeys.toSorted())
      assert.deepEqual((yield* store.keys(group, 2)).length, 2)
    })
  )

  add("keys say when they were last worked on", (store, other, group) =>
    Effect.gen(function* () {
      const one = yield* acquired(store, group, "1")
      const two = yield* acquired(store, group, "2")
      assert.equal(yield* store.confirm(one), true)
      const before = (yield* other.lastWorked(group, ["1"]))[0]!
      const worked = yield* after(
        time,
        short,
        Effect.andThen(store.confirm(two), other.lastWorked(group, ["2", "unknown", "1", "2"])),
        (times) => times[0]! > before
      )
      assert.ok(worked[0]! > before, `${worked[0]} after ${before}`)
      assert.deepEqual(worked, [worked[0], undefined, before, worked[0]])
      assert.deepEqual(yield* other.lastWorked(group, []), [])
    })
  )

  add("purge forgets idle keys, and nothing else", (store, _, group) =>
    Effect.gen(function* () {
      const idle = yield* acquired(store, group, "idle")
      const parked = yield* acquired(store, group, "parked")
      const owned = yield* acquired(store, group, "owned")
      for (const lease of [idle, parked, owned]) yield* store.confirm(lease)
      yield* park(store, parked, "1")
      yield* store.release([idle, parked])
      assert.equal(yield* store.purge(group, Duration.days(100)), 0)
      const purged = yield* after(time, short, store.purge(group, short), (purged) => purged > 0)
      assert.equal(purged, 1)
      assert.deepEqual(
        (yield* store.lastWorked(group, ["idle", "parked", "owned"])).map((at) => at === undefined),
        [true, false, false]
      )
      assert.equal(yield* store.confirm(owned), true)
      const next = yield* acquired(store, group, "idle")
      assert.ok(next.token > idle.token, `token ${next.token} after ${idle.token}`)
    })
  )

  return cases
}
