/** Handlers that hang, kill their process, or whose provider is down. */
import { assert, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Consumers, DeadLetters } from "../../src/event/index.ts"
import { RetryPolicy } from "../../src/policy/index.ts"
import * as ChildProcess from "../servers/ChildProcess.ts"
import { amqpUrl, databaseUrl, describeRabbitMq, describeServers, unique } from "../servers/Servers.ts"
import { until } from "../servers/until.ts"
import type { Job } from "./faultCrasher.ts"
import * as Faults from "./faultOrders.ts"
import { connect } from "./fixture.ts"

const concurrently = { concurrent: true }

const tenants = (count: number) => Array.from({ length: count }, (_, n) => `t-${n}`)

describeRabbitMq("a handler that hangs", () => {
  for (const [kind, channelOf] of [
    ["unordered", Faults.unordered],
    ["ordered", Faults.ordered]
  ] as const) {
    it.live(
      `runs out of time, is interrupted, is tried again, and is dead-lettered at last (${kind})`,
      () =>
        Effect.gen(function* () {
          const broker = yield* connect({ url: yield* amqpUrl })
          const orders = channelOf(unique("orders"))
          const effects = new Faults.Tally()
          const hung = new Faults.Tally()
          let interrupted = 0
          const consumer = Faults.billing(
            orders,
            ({ data }) => {
              if (data.note !== "hang") return Effect.sync(() => effects.add(data.id))
              hung.add(data.id)
              return Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
            },
            { timeout: "300 millis", retry: RetryPolicy.make({ delays: ["100 millis", "200 millis"] }) }
          )
          yield* Faults.consume(consumer, broker)
          const place = (id: string, tenant: string, note?: string) =>
            Faults.on(broker)(Faults.place(orders, id, tenant, note))
          for (const [n, id] of Faults.ids("before", 25).entries()) yield* place(id, `t-${n % 5}`)
          yield* place("hung", "t-0", "hang")
          for (const [n, id] of Faults.ids("after", 25).entries()) yield* place(id, `t-${n % 5}`)
          // Whose key is another's is not held up.
          const others = Faults.ids("after", 25).filter((_, n) => n % 5 !== 0)
          yield* until(Effect.sync(() => others.every((id) => effects.of(id) === 1)))
          assert.isAtMost(hung.of("hung"), 2)
          yield* until(Effect.map(Faults.on(broker)(DeadLetters.count(consumer)), (count) => count === 1))
          yield* until(Effect.sync(() => effects.counts.size === 50))
          assert.strictEqual(hung.of("hung"), 3)
          assert.strictEqual(interrupted, 3)
          assert.deepStrictEqual(effects.doubled, [])
          const [letter] = yield* Faults.on(broker)(DeadLetters.list(consumer))
          assert.deepInclude(letter, { reason: "exhausted", attempts: 3 })
          assert.strictEqual(letter!.event?.id, "hung")
          assert.include(letter!.error, "did not end within 300ms")
        }).pipe(Effect.provide(Faults.logBook().layer)),
      concurrently
    )
  }
})

describeServers("a handler that kills its process every time", () => {
  const cases: ReadonlyArray<{
    readonly name: string
    readonly strict: boolean
    readonly parked: boolean
    /** Where it is longer than a restart takes, the claim of the dead process is still there after it. */
    readonly lease: "2 seconds" | "6 seconds"
    readonly store: "memory" | "sqlite" | "postgres"
  }> = [
    {
      name: "an unordered channel, dedup in memory",
      strict: false,
      parked: false,
      lease: "2 seconds",
      store: "memory"
    },
    {
      name: "an unordered channel, dedup on SQLite",
      strict: false,
      parked: false,
      lease: "6 seconds",
      store: "sqlite"
    },
    {
      name: "a strict channel on SQLite, as a delivered message",
      strict: true,
      parked: false,
      lease: "2 seconds",
      store: "sqlite"
    },
    {
      name: "a strict channel on PostgreSQL, as a parked message",
      strict: true,
      parked: true,
      lease: "6 seconds",
      store: "postgres"
    }
  ]
  /** More crashes than that are a loop. */
  const most = 5

  for (const { lease, name, parked, store, strict } of cases) {
    it.live(
      `ends in the dead letters after three redeliveries, and takes no innocent event along: ${name}`,
      () =>
        Effect.gen(function* () {
          const url = yield* amqpUrl
          const broker = yield* connect({ url })
          const orders = strict ? Faults.ordered(unique("orders")) : Faults.unordered(unique("orders"))
          const consumer = Faults.billing(orders, () => Effect.void)
          const folder = yield* Effect.acquireRelease(
            Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "faults-"))),
            (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
          )
          const job: Job = {
            url,
            channel: orders.name,
            strict,
            parked,
            lease,
            ...(store === "sqlite" ? { sqlite: path.join(folder, "app.db") } : undefined),
            ...(store === "postgres" ? { postgres: yield* databaseUrl } : undefined)
          }
          const innocent = Faults.ids("innocent", 50)
          const tenantOf = (id: string) => `t-${Number(id.split("-")[1]) % 5}`
          for (const id of innocent.slice(0, 25)) yield* Faults.on(broker)(Faults.place(orders, id, tenantOf(id)))
          yield* Faults.on(broker)(Faults.place(orders, "poison", "t-0", "poison"))
          for (const id of innocent.slice(25)) yield* Faults.on(broker)(Faults.place(orders, id, tenantOf(id)))

          const handled = new Faults.Tally()
          let crashes = 0
          const dead = Faults.on(broker)(DeadLetters.count(consumer))
          const done = Effect.map(dead, (count) => count > 0 && handled.counts.size + count >= 51)
          const started = ChildProcess.make("test/rabbitmq/faultCrasher.ts", { args: [JSON.stringify(job)] })
          /** One life of the process; whether there is nothing more to do. */
          const life = Effect.scoped(
            Effect.gen(function* () {
              const child = yield* started
              const listening = Effect.forever(Effect.map(child.next, (id) => handled.add(String(id))))
              const died = Effect.gen(function* () {
                const exit = yield* Effect.exit(listening)
                const { signal } = yield* child.exit
                assert.strictEqual(signal, "SIGKILL", String(exit))
                crashes++
                return false
              })
              return yield* Effect.raceFirst(died, Effect.as(until(done), true))
            })
          )
          while (!(yield* life)) if (crashes > most) break
          const letters = yield* Faults.on(broker)(DeadLetters.list(consumer))
          assert.deepStrictEqual(
            { crashes, dead: letters.map(({ event, reason }) => [event?.id, reason]), handled: handled.counts.size },
            { crashes: 3, dead: [["poison", "delivery-limit"]], handled: 50 }
          )
          assert.isAtLeast(letters[0]!.attempts, 3)
          assert.isAtMost(letters[0]!.attempts, 4)
          // What had been handled, and not yet acknowledged, when the last one was ended comes to another.
          const emptied = Faults.emptied(consumer, broker)
          if (!(yield* emptied)) yield* Effect.scoped(Effect.andThen(started, until(emptied)))
          if (!strict) return
          for (const tenant of tenants(5)) {
            const own = innocent.filter((id) => tenantOf(id) === tenant)
            assert.deepStrictEqual(
              handled.ids.filter((id) => tenantOf(id) === tenant),
              own
            )
          }
        }).pipe(Effect.provide(Faults.logBook().layer)),
      concurrently
    )
  }
})

describeRabbitMq("a provider that is down for some seconds while 1,000 events arrive", () => {
  it.live(
    "sends none to the dead letters; all are handled after it, once, in order per key",
    () =>
      Effect.gen(function* () {
        const broker = yield* connect({ url: yield* amqpUrl })
        const orders = Faults.ordered(unique("orders"))
        const effects = new Faults.Tally()
        let down = true
        let calls = 0
        const consumer = Faults.billing(
          orders,
          ({ data }) =>
            Effect.suspend(() => {
              calls++
              return down ? Effect.fail(new Faults.Down()) : Effect.sync(() => effects.add(data.id))
            }),
          { retry: RetryPolicy.make({ delays: ["10 millis", "10 millis"] }) }
        )
        yield* Faults.consume(consumer, broker)
        const state = Effect.map(Consumers.all, (all) => all.find((each) => each.channel === orders.name)?.state)
        const keys = tenants(20)
        const [took] = yield* Effect.timed(
          Effect.forEach(
            keys,
            (key) =>
              Effect.forEach(Faults.ids(key, 50), (id) => Faults.on(broker)(Faults.place(orders, id, key)), {
                discard: true
              }),
            { concurrency: "unbounded", discard: true }
          )
        )
        yield* until(Effect.map(state, (state) => state === "outage"))
        yield* Effect.sleep(Math.max(0, 3000 - Duration.toMillis(took)))
        assert.strictEqual(effects.counts.size, 0)
        assert.strictEqual(yield* state, "outage")
        // Those that were begun with before the first failed, and the probes.
        assert.isAtMost(calls, 30)
        down = false
        yield* until(Effect.sync(() => effects.counts.size === 1000))
        yield* until(Faults.emptied(consumer, broker))
        assert.strictEqual(yield* state, "running")
        assert.strictEqual(yield* Faults.on(broker)(DeadLetters.count(consumer)), 0)
        assert.deepStrictEqual(effects.doubled, [])
        for (const key of keys) {
          assert.deepStrictEqual(
            effects.ids.filter((id) => id.startsWith(`${key}-`)),
            Faults.ids(key, 50)
          )
        }
      }).pipe(Effect.provide(Faults.logBook().layer)),
    concurrently
  )
})
