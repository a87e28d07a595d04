import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Latch, Layer, Logger, Ref } from "effect"
import {
  type Channel,
  type Message,
  MemoryOutbox,
  Outbox,
  OutboxRelay,
  type PublishError
} from "effect-integration/event"
import { ErrorAction, InvalidOption } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import { counts } from "../policy/observe.ts"
import * as Fixture from "./orders.ts"
import { answer, asked, failed, ids, keyed, relayed, start as build } from "./outbox.ts"

const { Halting, Loose, Strict } = relayed

const app = Layer.mergeAll(MemoryOutbox.layer, keyed)
const start = (options: OutboxRelay.Options = {}, channels: ReadonlyArray<Channel.Any> = [Strict, Halting, Loose]) =>
  Effect.tap(build(OutboxRelay.layer(channels, options)), () => TestClock.adjust(1))

const store = (channel: typeof Strict | typeof Halting | typeof Loose, id: string, tenant = "t-1") =>
  Outbox.publish(channel, Fixture.OrderPlaced, Fixture.order(id, tenant), { id })

const depthOf = (channel: Channel.Any) =>
  Effect.map(Outbox.depth, (all) => all.find((depth) => depth.channel === channel.name)!)

const hour = Fixture.pass(3600, 5000)
const isOf =
  (...names: ReadonlyArray<string>) =>
  (message: Message.Message) =>
    names.includes(message.messageId!)
/** The broker answers so for these messages, and confirms all others. */
const bad = (is: (message: Message.Message) => boolean, reason: PublishError["reason"]) =>
  answer((message) => (is(message) ? failed(reason) : Effect.void))

/** What was logged, and what people were told. */
const observed = Effect.gen(function* () {
  const lines: Array<string> = []
  const notices: Array<ErrorAction.Notice> = []
  const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
  const hook = Layer.succeed(ErrorAction.AlertHook, (notice: ErrorAction.Notice) =>
    Effect.sync(() => void notices.push(notice))
  )
  return { lines, notices, layer: Layer.mergeAll(logger, hook) }
})

describe("OutboxRelay", () => {
  it.effect("publishes what was stored, in order per key, and removes it", () =>
    Effect.gen(function* () {
      const all = Array.from({ length: 30 }, (_, n) => `o-${n}`)
      yield* Effect.forEach(all, (id, n) => store(Strict, id, `t-${n % 3}`))
      yield* start()
      yield* TestClock.adjust(10)
      const published = yield* ids
      assert.deepStrictEqual(published.toSorted(), all.toSorted())
      for (const key of [0, 1, 2]) {
        const own = (ids: ReadonlyArray<string>) => ids.filter((id) => Number(id.slice(2)) % 3 === key)
        assert.deepStrictEqual(own(published), own(all))
      }
      assert.deepStrictEqual(
        (yield* Outbox.depth).map(({ pending }) => pending),
        [0, 0, 0]
      )
      yield* store(Loose, "later")
      yield* TestClock.adjust(1)
      assert.include(yield* ids, "later")
      assert.deepStrictEqual(yield* counts("outbox_strict"), {
        "published_total{stored}": 30,
        "published_total{confirmed}": 30
      })
    }).pipe(Effect.provide(app))
  )

  it.effect("has one event of a key under way, and no more than it may of all", () =>
    Effect.gen(function* () {
      const running = new Map<string, number>()
      let most = 0
      yield* answer((message) =>
        Effect.acquireUseRelease(
          Effect.sync(() => {
            const key = message.key!
            assert.strictEqual(running.get(key) ?? 0, 0)
            running.set(key, 1)
            most = Math.max(
              most,
              Array.from(running.values()).reduce((sum, n) => sum + n, 0)
            )
          }),
          () => Effect.sleep(10),
          () => Effect.sync(() => running.set(message.key!, 0))
        )
      )
      yield* Effect.forEach(Array.from({ length: 200 }), (_, n) => store(Strict, `${n}`, `t-${n % 20}`))
      yield* start({ concurrency: 8 })
      yield* Fixture.pass(2, 10)
      assert.strictEqual((yield* ids).length, 200)
      assert.strictEqual(most, 8)
    }).pipe(Effect.provide(app))
  )

  it.effect("waits out a broker that is away for an hour, spends nothing, and keeps the order", () =>
    Effect.gen(function* () {
      const { layer, lines, notices } = yield* observed
      yield* Effect.gen(function* () {
        yield* answer(() => failed("unavailable"))
        yield* Effect.forEach(Array.from({ length: 50 }), (_, n) => store(Strict, `o-${n}`, `t-${n % 2}`))
        yield* start()
        yield* hour
        const tries = yield* asked
        // Each half minute one, as a probe.
        assert.isBelow(tries, 150)
        assert.isAbove(tries, 100)
        assert.deepStrictEqual(yield* ids, [])
        const depth = yield* depthOf(Strict)
        assert.deepStrictEqual([depth.pending, depth.setAside], [50, 0])
        yield* answer(() => Effect.void)
        yield* Fixture.pass(31, 1000)
        const published = yield* ids
        assert.strictEqual(published.length, 50)
        const first = published.filter((id) => Number(id.slice(2)) % 2 === 0)
        assert.deepStrictEqual(
          first,
          first.toSorted((a, b) => Number(a.slice(2)) - Number(b.slice(2)))
        )
      }).pipe(Effect.provide(layer))
      assert.strictEqual(lines.filter((line) => line.includes("paused by an outage")).length, 1)
      assert.strictEqual(lines.filter((line) => line.includes("the outage is over")).length, 1)
      assert.deepStrictEqual(notices, [])
    }).pipe(Effect.provide(app))
  )

  it.effect("goes on with other events where one always ends in an outage", () =>
    Effect.gen(function* () {
      yield* bad(isOf("bad"), "unknown")
      yield* store(Strict, "bad", "t-bad")
      yield* store(Strict, "behind", "t-bad")
      yield* start()
      for (let n = 0; n < 60; n++) {
        yield* store(Strict, `good ${n}`, `t-${n}`)
        yield* Fixture.pass(2)
      }
      const published = yield* ids
      assert.strictEqual(published.length, 60)
      assert.notInclude(published, "behind")
      assert.deepStrictEqual(yield* Outbox.setAside(), [])
      yield* answer(() => Effect.void)
      yield* Fixture.pass(31, 1000)
      assert.deepStrictEqual((yield* ids).slice(-2), ["bad", "behind"])
    }).pipe(Effect.provide(app))
  )

  it.effect("sets aside what nobody consumes, tells people, and goes on with the key", () =>
    Effect.gen(function* () {
      const { layer, lines, notices } = yield* observed
      const hooked: Array<Outbox.SetAside> = []
      yield* Effect.gen(function* () {
        yield* bad(isOf("bad"), "unroutable")
        yield* store(Strict, "bad")
        yield* store(Strict, "next")
        yield* start({ maxAttempts: 3, onSetAside: (event) => Effect.sync(() => void hooked.push(event)) })
        yield* Fixture.pass(2)
        assert.deepStrictEqual(yield* ids, [])
        yield* Fixture.pass(3)
        assert.deepStrictEqual(yield* ids, ["next"])
      }).pipe(Effect.provide(layer))
      const [aside] = yield* Outbox.setAside({ channel: Strict })
      assert.deepStrictEqual(hooked, [aside])
      assert.deepInclude(aside, { id: "bad", reason: "unroutable", attempts: 3, halts: false, key: "t-1" })
      assert.strictEqual(aside!.setAsideAt.epochMilliseconds - aside!.firstFailedAt.epochMilliseconds, 3000)
      assert.match(aside!.error, /^PublishError: .*as told/)
      assert.deepInclude(JSON.parse(aside!.event), { id: "bad", data: Fixture.order("bad") })
      const told = lines.filter((line) => line.includes("was set aside"))
      assert.strictEqual(told.length, 1)
      assert.match(
        told[0]!,
        /event bad of https:\/\/acme.com\/orders .*after attempt 3 \(unroutable\), later events of its key go on.*Outbox\.retry/
      )
      assert.deepInclude(notices, { ...notices[0]!, kind: "alert", requestId: "bad" })
      assert.strictEqual(notices.length, 1)
      yield* answer(() => Effect.void)
      assert.strictEqual(yield* Outbox.retry([aside!]), 1)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* ids, ["next", "bad"])
      assert.deepStrictEqual(yield* Outbox.setAside(), [])
    }).pipe(Effect.provide(app))
  )

  it.effect("halts the key where the channel says so, also for the next relay, until the event is retried", () =>
    Effect.gen(function* () {
      yield* bad(isOf("bad"), "unroutable")
      yield* Effect.forEach(["bad", "next", "last"], (id) => store(Halting, id))
      yield* store(Halting, "free", "t-2")
      const first = yield* start({ maxAttempts: 1 })
      yield* Fixture.pass(5)
      assert.deepStrictEqual(yield* ids, ["free"])
      yield* first.stop
      yield* start({ maxAttempts: 1 })
      yield* store(Halting, "more")
      yield* Fixture.pass(60)
      assert.deepStrictEqual(yield* ids, ["free"])
      const [aside] = yield* Outbox.setAside()
      assert.isTrue(aside!.halts)
      yield* answer(() => Effect.void)
      yield* Outbox.retry([aside!])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* ids, ["free", "bad", "next", "last", "more"])
    }).pipe(Effect.provide(app))
  )

  it.effect("lets a halted key go on when its event is discarded", () =>
    Effect.gen(function* () {
      yield* bad(isOf("bad"), "unroutable")
      yield* Effect.forEach(["bad", "next"], (id) => store(Halting, id))
      yield* start({ maxAttempts: 1 })
      assert.strictEqual(yield* Outbox.discard(yield* Outbox.setAside()), 1)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* ids, ["next"])
    }).pipe(Effect.provide(app))
  )

  it.effect("takes a queue that is full for no event's fault, and a refusal of one alone for its own", () =>
    Effect.gen(function* () {
      yield* answer(() => failed("refused"))
      yield* Effect.forEach(Array.from({ length: 5 }), (_, n) => store(Strict, `o-${n}`, `t-${n}`))
      yield* start({ maxAttempts: 3 })
      yield* hour
      assert.deepStrictEqual(yield* Outbox.setAside(), [])
      yield* bad(isOf("o-3"), "refused")
      yield* Fixture.pass(31, 1000)
      assert.sameMembers([...(yield* ids)], ["o-0", "o-1", "o-2", "o-4"])
      for (let n = 0; n < 4; n++) {
        yield* store(Strict, `more ${n}`, `t-${n + 10}`)
        yield* Fixture.pass(31, 1000)
      }
      const [aside] = yield* Outbox.setAside()
      assert.deepInclude(aside, { id: "o-3", reason: "refused", attempts: 3 })
    }).pipe(Effect.provide(app))
  )

  it.effect("pauses, and tells people once, where the queues are not as designed", () =>
    Effect.gen(function* () {
      const { layer, notices } = yield* observed
      yield* Effect.gen(function* () {
        yield* answer(() => failed("topology"))
        yield* store(Strict, "o-1")
        yield* start({ maxAttempts: 1 })
        yield* Fixture.pass(300, 1000)
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(yield* Outbox.setAside(), [])
      assert.strictEqual(notices.length, 1)
    }).pipe(Effect.provide(app))
  )

  it.effect("sets aside what is no event at once, and what the broker's client dies of after its attempts", () =>
    Effect.gen(function* () {
      const outbox = yield* Outbox.Outbox
      const broken = { channel: Strict.name, key: "t", source: "/s", id: "broken", type: "t", event: "{" }
      yield* outbox.add(broken)
      yield* outbox.add({ ...broken, id: "empty", event: "{}" })
      yield* store(Strict, "dies", "u")
      yield* answer((message) => (isOf("dies")(message) ? Effect.die(new Error("in the client")) : Effect.void))
      yield* start({ maxAttempts: 2 })
      yield* Fixture.pass(2)
      const all = yield* Outbox.setAside()
      assert.deepStrictEqual(
        all.map(({ attempts, id, reason }) => [id, reason, attempts]),
        [
          ["broken", "invalid", 1],
          ["empty", "invalid", 1],
          ["dies", "defect", 2]
        ]
      )
      assert.include(all[2]!.error, "in the client")
    }).pipe(Effect.provide(app))
  )

  it.effect("does not let one channel wait for another that is stuck", () =>
    Effect.gen(function* () {
      yield* answer((_, channel) => (channel.name === Loose.name ? failed("unavailable") : Effect.void))
      yield* Effect.forEach(Array.from({ length: 1500 }), (_, n) => store(Loose, `stuck ${n}`))
      yield* start()
      yield* store(Strict, "free")
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* ids, ["free"])
    }).pipe(Effect.provide(app))
  )

  it.effect("publishes other keys while one has ten thousand events", () =>
    Effect.gen(function* () {
      yield* answer(() => Effect.sleep(1))
      yield* Effect.forEach(Array.from({ length: 10_000 }), (_, n) => store(Strict, `hot ${n}`, "hot"))
      yield* store(Strict, "cold", "cold")
      yield* start()
      yield* Fixture.pass(1, 1)
      const published = yield* ids
      assert.include(published, "cold")
      assert.isBelow(published.length, 1500)
      yield* answer(() => Effect.void)
      yield* Fixture.pass(2)
      const all = yield* ids
      assert.deepStrictEqual(
        all.filter((id) => id.startsWith("hot")),
        Array.from({ length: 10_000 }, (_, n) => `hot ${n}`)
      )
    }).pipe(Effect.provide(app))
  )

  it.effect("awaits what is under way when it ends, and gives its keys to others at once", () =>
    Effect.gen(function* () {
      const go = yield* Latch.make(false)
      yield* answer(() => go.await)
      yield* store(Strict, "o-1")
      yield* store(Strict, "o-2")
      const relay = yield* start()
      const stopping = yield* Effect.forkScoped(relay.stop)
      yield* TestClock.adjust(100)
      assert.isUndefined(stopping.pollUnsafe())
      yield* go.open
      yield* TestClock.adjust(1)
      assert.isDefined(stopping.pollUnsafe())
      assert.deepStrictEqual(yield* ids, ["o-1"])
      const { pending, relays } = yield* depthOf(Strict)
      assert.deepStrictEqual([pending, relays], [1, 0])
      yield* start()
      assert.deepStrictEqual(yield* ids, ["o-1", "o-2"])
    }).pipe(Effect.provide(app))
  )

  it.effect("ends although the broker does not answer", () =>
    Effect.gen(function* () {
      yield* answer(() => Effect.never)
      yield* store(Strict, "o-1")
      const relay = yield* start({ drain: "5 seconds" })
      const stopping = yield* Effect.forkScoped(relay.stop)
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(stopping.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      assert.isDefined(stopping.pollUnsafe())
      assert.strictEqual((yield* depthOf(Strict)).pending, 1)
    }).pipe(Effect.provide(app))
  )

  it.effect("says which channels no relay publishes", () =>
    Effect.gen(function* () {
      const { layer, lines } = yield* observed
      yield* Effect.gen(function* () {
        yield* store(Loose, "o-1")
        yield* start({}, [Strict])
        yield* Fixture.pass(61, 1000)
        assert.strictEqual((yield* depthOf(Loose)).relays, 0)
      }).pipe(Effect.provide(layer))
      assert.strictEqual(lines.filter((line) => /1 events of channel outbox-loose wait/.test(line)).length, 1)
    }).pipe(Effect.provide(app))
  )

  it("refuses options that make no sense", () => {
    assert.throws(() => OutboxRelay.layer([]), InvalidOption)
    assert.throws(() => OutboxRelay.layer([Strict, Strict]), InvalidOption)
    assert.throws(() => OutboxRelay.layer([Strict], { concurrency: 0 }), InvalidOption)
    assert.throws(() => OutboxRelay.layer([Strict], { lease: 0 }), InvalidOption)
    assert.throws(() => OutboxRelay.layer([Strict], { maxAttempts: 0.5 }), InvalidOption)
    assert.throws(() => OutboxRelay.layer([Strict], { poll: { shortest: "2 seconds", longest: 1 } }), InvalidOption)
    assert.throws(() => MemoryOutbox.layerWith({ maxPending: 0 }), InvalidOption)
  })
})

/** Relays of one store, as several processes have: what the store answers them can differ. */
const pair = Effect.gen(function* () {
  const outbox = yield* Outbox.Outbox
  const relay = (change: Partial<Outbox.Outbox["Service"]> = {}, options: OutboxRelay.Options = {}) => {
    const provided = Layer.succeed(Outbox.Outbox, Outbox.Outbox.of({ ...outbox, ...change }))
    const layer = OutboxRelay.layer([Strict], { lease: "3 seconds", ...options }).pipe(Layer.provide(provided))
    return Effect.tap(build(layer), () => TestClock.adjust(1))
  }
  return { outbox, relay }
})

describe("relays that share keys", () => {
  it.effect("publish each event once, and all of them, when one comes and one goes", () =>
    Effect.gen(function* () {
      const { relay } = yield* pair
      yield* answer(() => Effect.sleep(5))
      const first = yield* relay()
      let n = 0
      const some = Effect.suspend(() =>
        Effect.forEach(Array.from({ length: 20 }), () => store(Strict, `${n}`, `t-${n++ % 10}`))
      )
      for (let round = 0; round < 20; round++) {
        yield* some
        if (round === 5) yield* relay()
        if (round === 14) yield* Effect.forkScoped(first.stop)
        yield* Fixture.pass(1, 50)
      }
      yield* Fixture.pass(5, 50)
      const published = (yield* ids).map(Number)
      assert.deepStrictEqual(
        published.toSorted((a, b) => a - b),
        Array.from({ length: n }, (_, n) => n)
      )
      for (let key = 0; key < 10; key++) {
        const own = published.filter((n) => n % 10 === key)
        assert.deepStrictEqual(
          own,
          own.toSorted((a, b) => a - b)
        )
      }
    }).pipe(Effect.provide(app))
  )

  it.effect("publish again what was confirmed and not removed by one that was killed", () =>
    Effect.gen(function* () {
      const { relay } = yield* pair
      yield* Effect.forEach(["o-1", "o-2", "o-3"], (id) => store(Strict, id))
      const killed = yield* relay({ remove: () => Effect.never, release: () => Effect.never }, { drain: 0 })
      yield* killed.stop
      assert.deepStrictEqual(yield* ids, ["o-1", "o-2", "o-3"])
      yield* relay()
      assert.strictEqual((yield* ids).length, 3)
      yield* Fixture.pass(5)
      // The same ids in the same order: consumers with dedup skip them.
      assert.deepStrictEqual(yield* ids, ["o-1", "o-2", "o-3", "o-1", "o-2", "o-3"])
      assert.strictEqual((yield* depthOf(Strict)).pending, 0)
    }).pipe(Effect.provide(app))
  )

  it.effect("publish nothing but what was under way when their leases were lost", () =>
    Effect.gen(function* () {
      const { outbox, relay } = yield* pair
      const reached = yield* Ref.make(true)
      const stalled = yield* Latch.make(false)
      let hold = true
      yield* answer((message) => {
        if (message.messageId !== "o-1" || !hold) return Effect.void
        hold = false
        return stalled.await
      })
      yield* Effect.forEach(["o-1", "o-2", "o-3"], (id) => store(Strict, id))
      const down = new Outbox.OutboxError({ reason: "unavailable", operation: "lease", description: "cut off" })
      yield* relay({
        lease: (given) => Effect.flatMap(Ref.get(reached), (is) => (is ? outbox.lease(given) : Effect.fail(down)))
      })
      assert.strictEqual(yield* asked, 1)
      yield* Ref.set(reached, false)
      yield* relay()
      yield* Fixture.pass(8)
      assert.deepStrictEqual(yield* ids, ["o-1", "o-2", "o-3"])
      yield* stalled.open
      yield* Fixture.pass(8)
      assert.deepStrictEqual(yield* ids, ["o-1", "o-2", "o-3", "o-1"])
    }).pipe(Effect.provide(app))
  )

  it.effect("may have clocks that differ by years", () =>
    Effect.gen(function* () {
      const { relay } = yield* pair
      const clock = yield* Clock.Clock
      const years = Duration.toMillis(Duration.days(10_000))
      const ahead: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + years,
        currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis + years)
      })
      yield* relay()
      yield* Effect.provideService(relay(), Clock.Clock, ahead)
      yield* Fixture.pass(5)
      yield* Effect.forEach(Array.from({ length: 50 }), (_, n) => store(Strict, `${n}`, `t-${n}`))
      yield* Fixture.pass(5)
      assert.strictEqual((yield* ids).length, 50)
      assert.strictEqual((yield* depthOf(Strict)).relays, 2)
    }).pipe(Effect.provide(app))
  )

  it.effect("go on when the store was away for longer than their leases", () =>
    Effect.gen(function* () {
      const { outbox, relay } = yield* pair
      const down = new Outbox.OutboxError({ reason: "unavailable", operation: "be asked", description: "away" })
      const away = yield* Ref.make(false)
      const orDown = <A>(self: Effect.Effect<A, Outbox.OutboxError>) =>
        Effect.flatMap(Ref.get(away), (is) => (is ? Effect.fail(down) : self))
      yield* relay({
        lease: (given) => orDown(outbox.lease(given)),
        pending: (query) => orDown(outbox.pending(query)),
        remove: (positions) => orDown(outbox.remove(positions))
      })
      yield* Ref.set(away, true)
      yield* store(Strict, "o-1")
      yield* Fixture.pass(600, 1000)
      assert.deepStrictEqual(yield* ids, [])
      yield* Ref.set(away, false)
      yield* Fixture.pass(2)
      assert.deepStrictEqual(yield* ids, ["o-1"])
    }).pipe(Effect.provide(app))
  )
})
