/** A private broker that is killed, runs out of memory, and is slow to confirm. */
import { assert, it } from "@effect/vitest"
import * as amqplib from "amqplib"
import { Duration, Effect, Exit, Fiber, Schedule, Scope } from "effect"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { afterAll } from "vitest"
import { CurrentDelivery, DeadLetters, type PublishError } from "../../src/event/index.ts"
import * as RabbitMq from "../servers/RabbitMq.ts"
import { describeOwnRabbitMq, unique } from "../servers/Servers.ts"
import * as TcpProxy from "../servers/TcpProxy.ts"
import { until } from "../servers/until.ts"
import * as Faults from "./faultOrders.ts"
import { connect, type Service } from "./fixture.ts"

const concurrently = { concurrent: true }

/** Bytes of the largest message. */
const largest = 100_000

const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

/** One broker for the file. */
const server = Effect.runSync(
  Effect.cached(Scope.provide(RabbitMq.make({ config: [`max_message_size = ${largest}`] }), scope))
)

const raw = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(() => amqplib.connect(url)),
    (connection) => Effect.promise(() => connection.close())
  ).pipe(Effect.flatMap((connection) => Effect.promise(() => connection.createChannel())))

describeOwnRabbitMq("a channel that the broker closes", () => {
  it.live(
    "fails the publisher with a typed error, lets the next event through, and leaves the consumer beside it alone",
    () =>
      Effect.gen(function* () {
        const own = yield* server
        const proxy = yield* TcpProxy.make({ port: own.port })
        const broker = yield* connect({ url: proxy.url(own.url) })
        const good = Faults.unordered(unique("orders"))
        const gone = Faults.unordered(unique("gone"))
        // RabbitMQ closes the channel with 406 for what is larger than it takes.
        const large = "x".repeat(largest)
        const effects = new Faults.Tally()
        const redelivered: Array<string> = []
        const consumer = Faults.billing(good, ({ data }) =>
          Effect.gen(function* () {
            const { redeliveries } = yield* CurrentDelivery
            if (redeliveries > 0) redelivered.push(data.id)
            effects.add(data.id)
          })
        )
        const stores = Faults.watched()
        yield* Faults.consume(consumer, broker, stores.layer)
        const disturbed: Array<string> = []
        const look = Effect.map(broker.health, ({ connected, problem, subscriptions }) => {
          if (!connected || problem !== undefined || subscriptions[0]?.present !== 1)
            disturbed.push(problem ?? "absent")
        })
        const looking = yield* Effect.forkChild(Effect.repeat(look, Schedule.spaced("2 millis")))
        const admin = yield* raw(own.url)
        yield* Faults.on(broker)(Faults.place(gone, "declared"))
        const confirmed: Array<string> = []
        const failed: Array<string> = []
        for (let round = 0; round < 5; round++) {
          yield* Effect.promise(() => admin.deleteExchange(gone.name))
          const around = Faults.ids(`good-${round}`, 20)
          yield* Effect.forEach(
            around,
            (id, place) =>
              Effect.gen(function* () {
                if (place === 7) failed.push((yield* Effect.flip(Faults.place(gone, `gone-${round}`))).message)
                if (place === 13)
                  failed.push((yield* Effect.flip(Faults.place(good, `bad-${round}`, "t", large))).message)
                yield* Faults.place(good, id)
                confirmed.push(id)
              }),
            { concurrency: "unbounded" }
          ).pipe(Faults.on(broker))
          // It is declared again.
          yield* Faults.on(broker)(Faults.place(gone, `again-${round}`))
        }
        assert.lengthOf(failed, 10)
        assert.lengthOf(
          failed.filter((text) => text.includes("topology") && text.includes("no exchange")),
          5
        )
        assert.lengthOf(
          failed.filter((text) => text.includes("refused") && text.includes("PRECONDITION")),
          5
        )
        yield* until(Effect.sync(() => confirmed.every((id) => effects.of(id) === 1)))
        yield* Fiber.interrupt(looking)
        assert.lengthOf(confirmed, 100)
        assert.strictEqual(effects.counts.size, 100)
        assert.deepStrictEqual(effects.doubled, [])
        assert.deepStrictEqual(redelivered, [])
        assert.deepStrictEqual(disturbed, [])
        assert.strictEqual(yield* proxy.accepted, 2)
      }).pipe(Effect.provide(Faults.logBook().layer)),
    concurrently
  )
})

/** Stops and continues the process of a quorum queue, so that it confirms nothing meanwhile. */
const queueProcess = (own: RabbitMq.RabbitMq, queue: string, what: "suspend" | "resume") =>
  own.ctl(
    "eval",
    `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"${queue}">>)),
     {Name, _} = amqqueue:get_pid(Q), sys:${what}(Name).`
  )

describeOwnRabbitMq("confirms", () => {
  it.live(
    "that come out of order, not at all for now, or as a nack, are of the event that they are for",
    () =>
      Effect.gen(function* () {
        const own = yield* server
        const publisher = yield* connect({ url: own.url })
        const hasty = yield* connect({ url: own.url, publishTimeout: "400 millis" })
        const slow = Faults.unordered(unique("slow"))
        const fast = Faults.unordered(unique("fast"))
        const full = Faults.unordered(unique("full"), { retention: { maxMessages: 2 } })
        const lonely = Faults.unordered(unique("lonely"), { consumers: [] })
        for (const broker of [publisher, hasty]) {
          for (const channel of [slow, fast]) {
            yield* Faults.on(broker)(Faults.place(channel, unique("first")))
          }
        }
        yield* queueProcess(own, `${slow.name}.billing`, "suspend")
        const order: Array<string> = []
        const place = (broker: Service, channel: Faults.Orders, id: string) =>
          Faults.on(broker)(Effect.tap(Faults.place(channel, id), () => Effect.sync(() => order.push(id))))
        const held = yield* Effect.forkChild(place(publisher, slow, "slow-0"), { startImmediately: true })
        for (const id of Faults.ids("fast", 20)) yield* place(publisher, fast, id)
        assert.isUndefined(held.pollUnsafe())
        const error = yield* Effect.flip(place(hasty, slow, "unknown"))
        assert.deepInclude(error, { _tag: "PublishError", reason: "unknown", messageId: "unknown" })
        yield* place(hasty, fast, "fast-20")
        yield* queueProcess(own, `${slow.name}.billing`, "resume")
        yield* Fiber.join(held)
        assert.deepStrictEqual(order, [...Faults.ids("fast", 21), "slow-0"])

        const outcomes = new Map<string, string>()
        const outcome = (channel: Faults.Orders, id: string) =>
          Effect.match(Faults.on(publisher)(Faults.place(channel, id)), {
            onSuccess: () => void outcomes.set(id, "confirmed"),
            onFailure: (error) => void outcomes.set(id, (error as PublishError).reason)
          })
        yield* Effect.forEach(
          Array.from({ length: 300 }, (_, n) => n),
          (n) => outcome([fast, full, lonely][n % 3]!, `${["good", "full", "lonely"][n % 3]}-${n}`),
          { concurrency: 50 }
        )
        const of = (kind: string, result: string) =>
          [...outcomes].filter(([id, outcome]) => id.startsWith(kind) && outcome === result).map(([id]) => id)
        assert.lengthOf(of("good", "confirmed"), 100)
        assert.lengthOf(of("lonely", "unroutable"), 100)
        const accepted = of("full", "confirmed")
        assert.isAtLeast(accepted.length, 2)
        assert.isAtLeast(of("full", "refused").length, 1)
        assert.lengthOf([...accepted, ...of("full", "refused")], 100)

        const consumers = [fast, full, slow].map((channel) => {
          const effects = new Faults.Tally()
          return { effects, consumer: Faults.billing(channel, ({ data }) => Effect.sync(() => effects.add(data.id))) }
        })
        for (const { consumer } of consumers) yield* Faults.consume(consumer, publisher)
        const [good, few, late] = consumers.map(({ effects }) => effects)
        yield* until(Effect.sync(() => of("good", "confirmed").every((id) => good!.of(id) === 1)))
        yield* until(Effect.sync(() => accepted.every((id) => few!.of(id) === 1)))
        yield* until(Effect.sync(() => ["slow-0", "unknown"].every((id) => late!.of(id) === 1)))
        for (const { consumer } of consumers) yield* until(Faults.emptied(consumer, publisher))
        assert.strictEqual(few!.counts.size, accepted.length)
      }).pipe(Effect.provide(Faults.logBook().layer)),
    concurrently
  )
})

/** Bytes that are used once the garbage is gone. */
const used = (): number => {
  v8.setFlagsFromString("--expose-gc")
  const collect = vm.runInNewContext("gc") as () => void
  collect()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

describeOwnRabbitMq("a memory alarm", () => {
  it.live("makes publishers wait for their deadline and no longer; nothing piles up, and all goes on after it", () =>
    Effect.gen(function* () {
      const own = yield* server
      const broker = yield* connect({ url: own.url, publishTimeout: "400 millis", maxInFlight: 100 })
      const orders = Faults.unordered(unique("orders"))
      const effects = new Faults.Tally()
      const consumer = Faults.billing(orders, ({ data }) => Effect.sync(() => effects.add(data.id)))
      yield* Faults.consume(consumer, broker)
      const outcomes = new Map<string, string>()
      const place = (id: string, note?: string) =>
        Effect.match(Faults.on(broker)(Faults.place(orders, id, "t", note)), {
          onSuccess: () => void outcomes.set(id, "confirmed"),
          onFailure: (error) => void outcomes.set(id, (error as PublishError).reason)
        })
      const of = (result: string) => [...outcomes].flatMap(([id, outcome]) => (outcome === result ? [id] : []))
      for (const id of Faults.ids("before", 10)) yield* place(id)
      yield* Effect.addFinalizer(() => Effect.ignore(own.ctl("set_vm_memory_high_watermark", "0.6")))
      yield* own.ctl("set_vm_memory_high_watermark", "0")
      const blocked = Effect.map(broker.health, ({ problem }) => problem?.includes("blocks") === true)
      // The broker says so with the first message that it does not take.
      yield* place("first")
      yield* until(blocked)

      const before = used()
      const attempted = Faults.ids("blocked", 10_000)
      const [took] = yield* Effect.timed(
        Effect.forEach(attempted, (id) => place(id, id.padEnd(10_000, "x")), { concurrency: 2000, discard: true })
      )
      assert.lengthOf(
        of("unavailable").filter((id) => id.startsWith("blocked")),
        10_000
      )
      // Five rounds of 400 ms.
      assert.isAtLeast(Duration.toMillis(took), 1900)
      assert.isBelow(Duration.toMillis(took), 20_000)
      // All of it would be 100 MB.
      yield* until(Effect.sync(() => used() - before < 20_000_000))
      assert.isTrue(yield* blocked)
      assert.isTrue(yield* Faults.isThere(broker))

      const patient = yield* connect({ url: own.url, publishTimeout: "60 seconds" })
      const waiting = yield* Effect.forkChild(
        Effect.forEach(Faults.ids("patient", 500), (id) => Faults.on(patient)(Faults.place(orders, id)), {
          concurrency: "unbounded",
          discard: true
        }),
        { startImmediately: true }
      )
      yield* until(Effect.map(patient.health, ({ problem }) => problem?.includes("blocks") === true))
      yield* own.ctl("set_vm_memory_high_watermark", "0.6")
      yield* Fiber.join(waiting)
      yield* until(Effect.map(blocked, (is) => !is))
      for (const id of Faults.ids("after", 100)) yield* place(id)
      assert.lengthOf(
        of("confirmed").filter((id) => id.startsWith("after")),
        100
      )
      const confirmed = [...of("confirmed"), ...Faults.ids("patient", 500)]
      yield* until(Effect.sync(() => confirmed.every((id) => effects.of(id) === 1)))
      yield* until(Faults.emptied(consumer, broker))
      assert.deepStrictEqual(
        effects.ids.filter((id) => id.startsWith("blocked")),
        []
      )
    }).pipe(Effect.provide(Faults.logBook().layer))
  )
})

describeOwnRabbitMq("a broker that is killed with -9 under 200 messages a second both ways", () => {
  const kills = Faults.thorough ? 3 : 1
  const millis = Faults.thorough ? 20_000 : 6000

  it.live(
    "loses nothing that it has confirmed, and dedup absorbs the duplicates",
    () =>
      Effect.gen(function* () {
        const own = yield* server
        const options = { url: own.url, reconnect: { base: "50 millis", cap: "500 millis" } } as const
        const publisher = yield* connect({ ...options, publishTimeout: "60 seconds" })
        const broker = yield* connect(options)
        const orders = Faults.unordered(unique("orders"))
        const effects = new Faults.Tally()
        const stores = Faults.watched()
        // Slow enough for some to be in hand at any time.
        const consumer = Faults.billing(
          orders,
          ({ data }) =>
            Effect.andThen(
              Effect.sleep("50 millis"),
              Effect.sync(() => effects.add(data.id))
            ),
          { lease: "2 seconds" }
        )
        yield* Faults.consume(consumer, broker, stores.layer)
        let sent = 0
        const confirmed = new Set<string>()
        const failed: Array<string> = []
        const one = Effect.suspend(() => {
          const id = `e-${sent++}`
          return Effect.match(Faults.on(publisher)(Faults.place(orders, id)), {
            onSuccess: () => void confirmed.add(id),
            onFailure: (error) => void failed.push((error as PublishError).reason)
          })
        })
        const begun = yield* Effect.sync(() => performance.now())
        const publishing: Array<Fiber.Fiber<void>> = []
        let on = true
        const traffic = yield* Effect.forkChild(
          Effect.whileLoop({
            while: () => on,
            body: () =>
              Effect.gen(function* () {
                const due = Math.floor((performance.now() - begun) / 5)
                for (let more = due - sent; more > 0; more--) {
                  // What is under way when the traffic ends shall go on.
                  publishing.push(yield* Effect.forkScoped(one, { startImmediately: true }))
                }
                yield* Effect.sleep("5 millis")
              }),
            step: () => {}
          })
        )
        const confirmedSince = (count: number, millis: number) =>
          until(Effect.sync(() => confirmed.size >= count + millis / 5))
        for (let kill = 0; kill < kills; kill++) {
          // A third of the traffic before the kill, the rest around and after it.
          yield* confirmedSince(confirmed.size, millis / 3)
          const pid = yield* own.pid
          yield* own.kill
          yield* own.start
          assert.notStrictEqual(yield* own.pid, pid)
          yield* confirmedSince(sent, millis / 3)
        }
        on = false
        yield* Fiber.join(traffic)
        for (const fiber of publishing) yield* Fiber.join(fiber)
        yield* until(Effect.sync(() => [...confirmed].every((id) => effects.of(id) > 0)))
        yield* until(Faults.emptied(consumer, broker))
        const lost = [...confirmed].filter((id) => effects.of(id) === 0).length
        const claims = [...stores.claims.counts.values()].reduce((sum, count) => sum + count, 0)
        const duplicates = claims - stores.claims.counts.size
        console.log(
          `${kills} kill(s) -9: sent ${sent}, confirmed ${confirmed.size}, consumed ${effects.counts.size}, ` +
            `duplicates ${duplicates}, lost ${lost}`
        )
        assert.strictEqual(lost, 0)
        assert.deepStrictEqual(failed, [])
        assert.strictEqual(confirmed.size, sent)
        assert.isAtLeast(sent, (kills * millis) / 5 / 2)
        assert.strictEqual(effects.counts.size, sent)
        assert.isAbove(duplicates, 0)
        assert.deepStrictEqual(effects.doubled, [])
        assert.strictEqual(yield* Faults.on(broker)(DeadLetters.count(consumer)), 0)
      }).pipe(Effect.provide(Faults.logBook().layer)),
    { timeout: 240_000 }
  )
})
