import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Data, Duration, Effect, Fiber, Layer, Logger, Option, Scope } from "effect"
import { Broker, Consumers, DedupStore, MemoryBroker, Outbox, Parking, Publisher } from "effect-integration/event"
import { Health, HealthCheck, HealthReport } from "effect-integration/monitoring"
import { CircuitBreaker, CircuitBreakers, InvalidOption } from "effect-integration/policy"
import { SagaStore } from "effect-integration/saga"
import { SqlOutbox, SqlSagaStore, SqlStores } from "effect-integration/sql"
import { Sqlite } from "effect-integration/sqlite"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { Registry as Running } from "../../src/event/internal/control.ts"
import { alone, Billing, billing, design, Down, entryOf, healthOf, OrderPlaced, Orders } from "./healthDesign.ts"

/** A test whose process has nothing else, and says nothing. */
const test = <A, E>(name: string, body: () => Effect.Effect<A, E, Scope.Scope>) =>
  it.effect(name, () => Effect.suspend(body).pipe(Effect.provide(Layer.merge(alone, Logger.layer([])))))

const breaker = CircuitBreaker.options({ failurePercent: 50, window: "10 seconds", openFor: "30 seconds" })

const brokerOf = (change: (real: Broker.Broker["Service"]) => Partial<Broker.Broker["Service"]>) =>
  Layer.effect(
    Broker.Broker,
    Effect.map(Broker.Broker, (real) => Broker.Broker.of({ ...real, ...change(real) }))
  ).pipe(Layer.provide(MemoryBroker.layer))

const brokerThat = (health: Broker.Health) => brokerOf(() => ({ health: Effect.succeed(health) }))
const connected: Broker.Health = { connected: true, problem: undefined, subscriptions: [] }

const storeThat = (processed: DedupStore.DedupStore["Service"]["processed"]) =>
  Layer.effect(
    DedupStore.DedupStore,
    Effect.map(DedupStore.DedupStore, (real) => DedupStore.DedupStore.of({ ...real, processed }))
  ).pipe(Layer.provide(DedupStore.layerMemory))
const storeDown = storeThat(() =>
  Effect.fail(
    new DedupStore.DedupStoreError({
      operation: "look for events",
      description: "connect ECONNREFUSED postgres://app:hunter2@10.0.0.7:5432/orders"
    })
  )
)

const memory = Layer.merge(MemoryBroker.layer, DedupStore.layerMemory)

describe("readiness", () => {
  test("passes where nothing is wrong, and says what was asked", () =>
    Effect.gen(function* () {
      const all = Layer.mergeAll(memory, Parking.layerMemory, SagaStore.layerMemory)
      const health = yield* healthOf(all, { releaseId: "4711" })
      const report = yield* health.ready
      assert.deepStrictEqual(Object.keys(report.checks), [
        "broker:connection",
        "dedup-store:responseTime",
        "parking:responseTime",
        "saga-store:responseTime"
      ])
      const { checks, ...rest } = report
      const about = { description: "health of health-of-orders", version: "1.2", releaseId: "4711" }
      assert.deepStrictEqual(rest, { status: "pass", ...about })
      assert.deepStrictEqual(checks["dedup-store:responseTime"], [
        {
          componentType: "datastore",
          observedValue: 0,
          observedUnit: "ms",
          status: "pass",
          time: "1970-01-01T00:00:00.000Z"
        }
      ])
      assert.deepStrictEqual(yield* HealthReport.decode(JSON.parse(JSON.stringify(report))), report)
    }))

  test("warns of an open circuit, which makes nothing unready and nobody dead", () =>
    Effect.gen(function* () {
      const circuit = yield* CircuitBreaker.make("health-payments", { ...breaker, minimumCalls: 1 })
      const health = yield* healthOf(Layer.empty, { cache: 0 })
      const circuitOf = Effect.map(health.ready, (report) => [
        report.status,
        ...entryOf(report, "health-payments:circuit")!
      ])
      assert.deepStrictEqual(yield* circuitOf, ["pass", "pass", "closed", undefined])

      yield* Effect.exit(circuit.execute(Effect.die("boom")))
      const open = "calls fail at once for another 30s"
      assert.deepStrictEqual(yield* circuitOf, ["warn", "warn", "open", open])
      assert.strictEqual((yield* health.ready).output, "health-payments:circuit")
      assert.strictEqual((yield* health.live).status, "pass")

      yield* CircuitBreakers.forceOpen("health-payments", { reason: "they asked: https://a:hunter2@x.test" })
      const forced = "opened by an operator: they asked: https://x.test"
      assert.deepStrictEqual(yield* circuitOf, ["warn", "warn", "forced open", forced])
      yield* CircuitBreakers.forceClosed("health-payments")
      assert.deepStrictEqual(yield* circuitOf, ["pass", "pass", "closed", undefined])
    }))

  test("shows the circuits of many tenants as one, without the tenants", () =>
    Effect.gen(function* () {
      const circuits = yield* CircuitBreakers.keyed("health-tenants", breaker)
      for (let tenant = 0; tenant < 100; tenant++) circuits.get(`tenant-${tenant}`)
      yield* circuits.get("tenant-7").forceOpen("moving")
      const health = yield* healthOf(Layer.empty)
      const report = yield* health.ready
      const output = "1 of 100 circuits: opened by an operator: moving"
      assert.deepStrictEqual(entryOf(report, "health-tenants:circuit"), ["warn", "forced open", output])
      assert.notInclude(JSON.stringify(report), "tenant-7")
    }))

  test("fails without a connection, and where a consumer is missing behind one", () =>
    Effect.gen(function* () {
      const without = yield* healthOf(
        brokerThat({ ...connected, connected: false, problem: "amqp://guest:hunter2@mq.test refused" })
      )
      const disconnected = yield* without.ready
      assert.strictEqual(disconnected.status, "fail")
      const output = "amqp://mq.test refused"
      assert.deepStrictEqual(entryOf(disconnected, "broker:connection"), ["fail", "not connected", output])

      const subscription = { channel: "orders", group: "billing", wanted: 4, present: 3 }
      const other = { channel: "refunds", group: "billing", wanted: 1, present: 1 }
      const lost = yield* healthOf(brokerThat({ ...connected, subscriptions: [subscription, other] }))
      const report = yield* lost.ready
      assert.deepStrictEqual([report.status, report.output], ["fail", "billing:subscription"])
      assert.deepStrictEqual(entryOf(report, "broker:connection"), ["pass", "connected", undefined])
      const entries = report.checks["billing:subscription"]!.map(({ componentId, output, status }) => [
        componentId,
        status,
        output
      ])
      assert.deepStrictEqual(entries, [
        ["orders", "fail", "3 of 4 consumers are there"],
        ["refunds", "pass", undefined]
      ])

      const blocked = yield* healthOf(brokerThat({ ...connected, problem: "the broker blocks publishers: disk" }))
      assert.strictEqual((yield* blocked.ready).status, "warn")
      const lenient = yield* healthOf(brokerThat({ ...connected, connected: false }), { warnOnly: ["broker"] })
      assert.strictEqual((yield* lenient.ready).status, "warn")
    }))

  test("looks at the consumers of the process: one that is paused warns", () =>
    Effect.gen(function* () {
      const services = Layer.succeedContext(yield* Layer.build(memory))
      yield* Layer.build(Billing.layer.pipe(Layer.provide(services)))
      const health = yield* healthOf(services, { cache: 0, consumers: [Billing] })
      const consumerOf = Effect.map(health.ready, (report) => [
        report.status,
        ...entryOf(report, "health-billing:consumer")!
      ])
      assert.deepStrictEqual(yield* consumerOf, ["pass", "pass", "running", undefined])
      assert.deepStrictEqual(entryOf(yield* health.ready, "health-billing:subscription"), ["pass", 1, undefined])

      yield* Consumers.pause("health-billing", { reason: "the ledger is migrated" })
      assert.deepStrictEqual(yield* consumerOf, ["warn", "warn", "paused", "the ledger is migrated"])
    }))

  test("warns of a consumer in an outage", () =>
    Effect.gen(function* () {
      const services = Layer.succeedContext(yield* Layer.build(memory))
      yield* Layer.build(billing(Effect.fail(new Down())).layer.pipe(Layer.provide(services)))
      yield* Publisher.publish(Orders, OrderPlaced, { id: "o-1" }).pipe(Effect.provide(services))
      const health = yield* healthOf(services, { cache: 0 })
      const outage = Effect.map(health.ready, (report) => entryOf(report, "health-billing:consumer")![1] === "outage")
      while (!(yield* outage)) yield* TestClock.adjust("10 millis")
      assert.strictEqual((yield* health.ready).status, "warn")
    }))

  test("fails while a consumer is not subscribed", () =>
    Effect.gen(function* () {
      const starting = {
        name: "health-starting",
        channel: "orders",
        state: "starting",
        reason: undefined,
        handling: 0
      } as const
      const control = { ...starting, status: Effect.succeed(starting), pause: () => Effect.void, resume: Effect.void }
      const registry = yield* Running
      registry.set(starting.name, new Set([control]))
      const report = yield* (yield* healthOf(memory)).ready
      assert.strictEqual(report.status, "fail")
      const entry = ["fail", "starting", "is not subscribed yet"]
      assert.deepStrictEqual(entryOf(report, "health-starting:consumer"), entry)
      const lenient = yield* (yield* healthOf(memory, { warnOnly: ["consumers"] })).ready
      assert.strictEqual(lenient.status, "warn")
    }))

  test("fails where a consumer does not run that is to run here", () =>
    Effect.gen(function* () {
      const health = yield* healthOf(memory, { consumers: [Billing] })
      const report = yield* health.ready
      assert.strictEqual(report.status, "fail")
      const output = "does not run in this process"
      assert.deepStrictEqual(entryOf(report, "health-billing:consumer"), ["fail", "absent", output])
      assert.strictEqual((yield* (yield* healthOf(memory)).ready).status, "pass")
    }))

  test("tells of what consumers need and nobody asks", () =>
    Effect.gen(function* () {
      const services = Layer.succeedContext(yield* Layer.build(memory))
      yield* Layer.build(Billing.layer.pipe(Layer.provide(services)))
      const report = yield* (yield* healthOf(Layer.empty)).ready
      const [status, , output] = entryOf(report, "health:coverage")!
      assert.strictEqual(status, "warn")
      assert.match(String(output), /Broker, DedupStore$/)
      assert.notProperty((yield* (yield* healthOf(services)).ready).checks, "health:coverage")
    }))

  test("fails where a store does not answer, and says why without who signs in", () =>
    Effect.gen(function* () {
      const report = yield* (yield* healthOf(storeDown)).ready
      assert.strictEqual(report.status, "fail")
      const why = "the dedup store could not look for events: connect ECONNREFUSED postgres://10.0.0.7:5432/orders"
      assert.deepStrictEqual(entryOf(report, "dedup-store:responseTime"), ["fail", undefined, why])
      assert.notInclude(JSON.stringify(report), "hunter2")
      const lenient = yield* (yield* healthOf(storeDown, { warnOnly: ["stores"] })).ready
      assert.strictEqual(lenient.status, "warn")
    }))

  test("warns of what waits in the outbox for too long, for no relay, or for an operator", () =>
    Effect.gen(function* () {
      const depth = (channel: string, rest: Partial<Outbox.Depth>): Outbox.Depth => ({
        channel,
        pending: 1,
        oldest: Option.some(Duration.seconds(60)),
        setAside: 0,
        relays: 1,
        ...rest
      })
      const outbox = Layer.mock(Outbox.Outbox, {
        depth: Effect.succeed([
          depth("well", {}),
          depth("old", { oldest: Option.some(Duration.seconds(61)) }),
          depth("alone", { relays: 0 }),
          depth("aside", { pending: 0, oldest: Option.none(), setAside: 2 })
        ])
      })
      const report = yield* (yield* healthOf(outbox)).ready
      assert.strictEqual(report.status, "warn")
      assert.deepStrictEqual(
        ["well", "old", "alone", "aside"].map((channel) => entryOf(report, `${channel}:outboxAge`)),
        [
          ["pass", 60, undefined],
          ["warn", 61, "the oldest of 1 events waits for longer than 60 s"],
          ["warn", 60, "no relay publishes the channel"],
          ["warn", 0, "2 events are set aside, and wait for an operator"]
        ]
      )
      const down = Layer.mock(Outbox.Outbox, {
        depth: Effect.fail(
          new Outbox.OutboxError({ reason: "unavailable", operation: "count events", description: "gone" })
        )
      })
      assert.strictEqual((yield* (yield* healthOf(down)).ready).status, "fail")
    }))

  test("fails while it ends", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const health = yield* Scope.provide(healthOf(memory), scope)
      assert.strictEqual((yield* health.ready).status, "pass")
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      const ended = yield* health.ready
      assert.deepStrictEqual([ended.status, ended.output], ["fail", "it is ending"])
    }))
})

describe("the stores in a database", () => {
  it.live("are asked what they can answer, and fail where they cannot", () =>
    Effect.gen(function* () {
      const sqlite = Sqlite.layer({ filename: ":memory:" })
      const stores = Layer.mergeAll(SqlStores.layer, SqlSagaStore.layer, SqlOutbox.layer).pipe(
        Layer.provideMerge(sqlite)
      )
      const context = yield* Layer.build(stores)
      const health = yield* healthOf(Layer.succeedContext(context), { cache: 0 })
      const keys = ["dedup-store", "outbox", "parking", "saga-store"].map((name) => `${name}:responseTime`)
      const before = yield* health.ready
      assert.deepStrictEqual([before.status, Object.keys(before.checks)], ["pass", keys])

      const sql = Context.get(context, SqlClient.SqlClient)
      yield* sql`DROP TABLE processed_events`
      const after = yield* health.ready
      assert.deepStrictEqual([after.status, after.output], ["fail", "dedup-store:responseTime"])
    }).pipe(Effect.provide(Layer.merge(alone, Logger.layer([]))))
  )
})

describe("liveness", () => {
  test("asks nothing outside, whatever is down", () =>
    Effect.gen(function* () {
      const down = Layer.merge(storeDown, brokerThat({ ...connected, connected: false }))
      const health = yield* healthOf(down)
      assert.strictEqual((yield* health.ready).status, "fail")
      assert.deepStrictEqual(yield* health.live, {
        status: "pass",
        description: "health of health-of-orders",
        version: "1.2",
        checks: {}
      })
    }))

  test("has the checks that are about it", () =>
    Effect.gen(function* () {
      const health = yield* healthOf(Layer.empty)
      const stuck = { status: "fail", output: "the worker is stuck" } as const
      yield* health.add(HealthCheck.make("worker:progress", { about: ["live"], run: Effect.succeed(stuck) }))
      assert.deepStrictEqual(entryOf(yield* health.live, "worker:progress"), ["fail", undefined, "the worker is stuck"])
      assert.strictEqual((yield* health.ready).status, "pass")
    }))
})

class Refused extends Data.TaggedError("Refused")<{ readonly password: string }> {}

describe("checks", () => {
  test("take no others with them: they fail, die, hang or throw, each for itself and in time", () =>
    Effect.gen(function* () {
      const health = yield* healthOf(memory, { timeout: "2 seconds" })
      let begun = 0
      const hangs = Effect.andThen(
        Effect.sync(() => void begun++),
        Effect.uninterruptible(Effect.never)
      )
      const runs: Record<string, Effect.Effect<HealthCheck.Observation | void, unknown>> = {
        fails: Effect.fail(new Refused({ password: "hunter2" })),
        dies: Effect.die(new Error("hunter2")),
        throws: Effect.suspend(() => {
          throw new Error("hunter2")
        }),
        interrupts: Effect.interrupt,
        hangs,
        sleeps: Effect.sleep("1999 millis"),
        passes: Effect.void
      }
      for (const [name, run] of Object.entries(runs)) yield* health.add(HealthCheck.make(`a:${name}`, { run }))
      const asking = yield* Effect.forkChild(health.ready)
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(asking.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const report = yield* Fiber.join(asking)
      assert.strictEqual(report.status, "fail")
      const late = ["fail", undefined, "has not answered within 2s"]
      assert.deepStrictEqual(
        Object.fromEntries(Object.keys(runs).map((name) => [name, entryOf(report, `a:${name}`)])),
        {
          fails: ["fail", undefined, "failed: Refused"],
          dies: ["fail", undefined, "died"],
          throws: ["fail", undefined, "died"],
          interrupts: ["fail", undefined, "was interrupted"],
          hangs: late,
          sleeps: ["pass", undefined, undefined],
          passes: ["pass", undefined, undefined]
        }
      )
      assert.strictEqual(entryOf(report, "broker:connection")![0], "pass")
      assert.notInclude(JSON.stringify(report), "hunter2")

      // It cannot be stopped, so it is not begun again, and nobody waits for it.
      yield* TestClock.adjust("1 minute")
      const again = yield* Effect.forkChild(health.ready)
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(entryOf(yield* Fiber.join(again), "a:hangs"), late)
      assert.strictEqual(begun, 1)
    }))

  test("are asked once at a time and once a second, however many ask, and whoever leaves", () =>
    Effect.gen(function* () {
      let asked = 0
      const health = yield* healthOf(
        storeThat(() =>
          Effect.as(
            Effect.andThen(
              Effect.sync(() => void asked++),
              Effect.sleep("500 millis")
            ),
            [false]
          )
        )
      )
      const first = yield* Effect.forkChild(health.ready)
      const many = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 100 }), () => health.ready, { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("100 millis")
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("400 millis")
      const reports = yield* Fiber.join(many)
      assert.deepStrictEqual([reports.length, new Set(reports.map(({ status }) => status)).size, asked], [100, 1, 1])
      assert.deepStrictEqual(entryOf(reports[0]!, "dedup-store:responseTime"), ["pass", 500, undefined])

      yield* TestClock.adjust("999 millis")
      yield* health.ready
      assert.strictEqual(asked, 1)
      yield* TestClock.adjust("1 millis")
      const later = yield* Effect.forkChild(health.ready)
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(later)
      assert.strictEqual(asked, 2)
    }))

  test("are there for as long as their layer, and bound to what they need", () =>
    Effect.gen(function* () {
      class Ledger extends Context.Service<Ledger, { readonly rows: number }>()("test/Ledger") {}
      const check = HealthCheck.make("ledger:rows", {
        type: "datastore",
        severity: "warn",
        run: Ledger.use(({ rows }) =>
          Effect.succeed({ status: rows > 0 ? ("pass" as const) : ("fail" as const), value: rows, unit: "rows" })
        )
      })
      const health = yield* healthOf(Layer.empty, { cache: 0 })
      const scope = yield* Scope.make()
      const added = Health.layerCheck(check).pipe(
        Layer.provide([Layer.succeed(Ledger, { rows: 0 }), Layer.succeed(Health.Health, health)])
      )
      yield* Layer.buildWithScope(added, scope)
      const report = yield* health.ready
      assert.deepStrictEqual([report.status, ...entryOf(report, "ledger:rows")!], ["warn", "warn", 0, undefined])
      assert.strictEqual(report.checks["ledger:rows"]![0]!.componentType, "datastore")
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      assert.deepStrictEqual((yield* health.ready).checks, {})
    }))

  test("show no secrets, and no more than there is room for", () =>
    Effect.gen(function* () {
      const health = yield* healthOf(Layer.empty)
      const secrets = [
        "postgres://app:hunter2@db.test/orders",
        "amqps://app:hun@ter2:hunter2@mq.test",
        "password=hunter2; next",
        'api_key: "hunter2 hunter2"',
        "Authorization: Bearer hunter2hunter2",
        "sent bearer hunter2hunter2",
        "?token=hunter2&x=1"
      ]
      for (const [at, output] of secrets.entries()) {
        yield* health.add(
          HealthCheck.make(`s:${at}`, { run: Effect.succeed({ status: "warn", output, value: output }) })
        )
      }
      const long = "x".repeat(5000)
      yield* health.add(HealthCheck.make("s:long", { run: Effect.succeed({ status: "warn", output: long }) }))
      const report = yield* health.ready
      assert.notInclude(JSON.stringify(report), "hunter2")
      assert.isAtMost(report.checks["s:long"]![0]!.output!.length, 512)
      assert.strictEqual(entryOf(report, "s:0")![2], "postgres://db.test/orders")
      assert.strictEqual(entryOf(report, "s:2")![2], "password=<redacted>; next")
    }))
})

describe("a report", () => {
  it.effect("is read with the words of others too, and not where it has no status", () =>
    Effect.gen(function* () {
      const statuses = yield* Effect.forEach(["pass", "OK", "up", "warn", "fail", "down", "Error"], (status) =>
        Effect.map(HealthReport.decode({ status, notes: ["x"] }), (report) => report.status)
      )
      assert.deepStrictEqual(statuses, ["pass", "pass", "pass", "warn", "fail", "fail", "fail"])
      for (const wrong of [{}, { status: "fine" }, null, { status: "pass", checks: [] }]) {
        const exit = yield* Effect.exit(HealthReport.decode(wrong))
        assert.isTrue(exit._tag === "Failure" && Cause.hasFails(exit.cause))
      }
      assert.strictEqual(HealthReport.worst(["pass", "fail", "warn"]), "fail")
      assert.strictEqual(HealthReport.worst([]), "pass")
    })
  )
})

describe("options that make no sense", () => {
  const refused: ReadonlyArray<[option: string, make: () => unknown]> = [
    ["timeout", () => Health.layer(design, { timeout: 0 })],
    ["cache", () => Health.layer(design, { cache: -1 })],
    ["warnOnly", () => Health.layer(design, { warnOnly: ["circuits" as never] })],
    ["name", () => HealthCheck.make(" ", { run: Effect.void })],
    ["about", () => HealthCheck.make("a:b", { run: Effect.void, about: [] })],
    ["severity", () => HealthCheck.make("a:b", { run: Effect.void, severity: "bad" as never })],
    ["type", () => HealthCheck.make("a:b", { run: Effect.void, type: "cache" as never })],
    ["timeout", () => HealthCheck.make("a:b", { run: Effect.void, timeout: Infinity })]
  ]
  for (const [option, make] of refused) {
    it(`are refused: ${option} of ${String(make).replace("() => ", "")}`, () => {
      let thrown: unknown
      try {
        make()
      } catch (error) {
        thrown = error
      }
      assert.isTrue(thrown instanceof InvalidOption)
      assert.strictEqual((thrown as InvalidOption).option, option)
    })
  }
})
