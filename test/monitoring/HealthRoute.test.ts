import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Ref, type Scope } from "effect"
import { Broker, DedupStore, MemoryBroker } from "effect-integration/event"
import { Health, HealthCheck, HealthReport, HealthRoute } from "effect-integration/monitoring"
import { HttpRouter } from "effect/http"
import * as http from "node:http"
import { ask } from "../http/server.ts"
import { alone, design } from "./healthDesign.ts"

/** Serves routes of a health on a free loopback port until the scope ends; gives its URL. */
const serve = Effect.fnUntraced(function* (health: Layer.Layer<Health.Health>, options?: HealthRoute.Options) {
  const node = http.createServer()
  const server = NodeHttpServer.layer(() => node, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: "1 millis" })
  const app = HttpRouter.serve(HealthRoute.layer(options), { disableListenLog: true }).pipe(
    Layer.provide(health),
    Layer.provideMerge(server)
  )
  yield* Layer.build(app)
  const { port } = node.address() as { readonly port: number }
  yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
  return `http://127.0.0.1:${port}`
})

const get = (url: string, method = "GET") => ask(url, { method })

const test = <A, E>(name: string, body: (lines: ReadonlyArray<string>) => Effect.Effect<A, E, Scope.Scope>) =>
  it.live(name, () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(JSON.stringify(message)))
    return Effect.suspend(() => body(lines)).pipe(Effect.provide(Layer.merge(alone, Logger.layer([logger]))))
  })

describe("the health routes", () => {
  test("answer as the draft says: 200 while it is ready, 503 while it is not, and alive all the time", (lines) =>
    Effect.gen(function* () {
      const isConnected = yield* Ref.make(true)
      const broker = Layer.effect(
        Broker.Broker,
        Effect.map(Broker.Broker, (real) =>
          Broker.Broker.of({
            ...real,
            health: Effect.map(Ref.get(isConnected), (connected) => ({
              connected,
              problem: connected ? undefined : "amqp://guest:hunter2@mq.test is gone",
              subscriptions: []
            }))
          })
        )
      ).pipe(Layer.provide(MemoryBroker.layer))
      const url = yield* serve(Health.layer(design, { cache: "1 millis" }).pipe(Layer.provide(broker)))

      const ready = yield* get(`${url}/health/ready`)
      assert.strictEqual(ready.status, 200)
      assert.strictEqual(ready.headers["content-type"], "application/health+json")
      assert.strictEqual(ready.headers["cache-control"], "no-store")
      const report = yield* HealthReport.decode(JSON.parse(ready.text))
      assert.deepStrictEqual([report.status, Object.keys(report.checks)], ["pass", ["broker:connection"]])
      const [entry] = report.checks["broker:connection"]!
      assert.match(entry!.time!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      assert.deepStrictEqual(Object.keys(entry!), ["componentType", "observedValue", "status", "time"])

      yield* Ref.set(isConnected, false)
      yield* Effect.sleep("5 millis")
      const failing = yield* get(`${url}/health/ready`)
      assert.strictEqual(failing.status, 503)
      assert.strictEqual(failing.headers["content-type"], "application/health+json")
      assert.strictEqual(JSON.parse(failing.text).checks["broker:connection"][0].output, "amqp://mq.test is gone")
      const head = yield* get(`${url}/health/ready`, "HEAD")
      assert.deepStrictEqual([head.status, head.text], [503, ""])
      assert.strictEqual((yield* get(`${url}/health/live`)).status, 200)
      assert.strictEqual((yield* get(`${url}/health`)).status, 404)
      // Neither is a line for each of them, only for what is not there.
      assert.isFalse(lines.some((line) => line.includes("/health/ready")))
    }))

  test("answer a warning with 200", () =>
    Effect.gen(function* () {
      const warned = Layer.provideMerge(
        Health.layerCheck(HealthCheck.make("cache:size", { run: Effect.succeed({ status: "warn", output: "full" }) })),
        Health.layer(design)
      )
      const url = yield* serve(warned)
      const answer = yield* get(`${url}/health/ready`)
      assert.deepStrictEqual([answer.status, JSON.parse(answer.text).status], [200, "warn"])
      assert.strictEqual(answer.headers["cache-control"], "max-age=1")
    }))

  test("tell nothing but the status without details, on paths of their own", () =>
    Effect.gen(function* () {
      const url = yield* serve(Health.layer(design).pipe(Layer.provide(DedupStore.layerMemory)), {
        live: "/livez",
        ready: "/readyz",
        details: false
      })
      for (const path of ["/livez", "/readyz"]) {
        const { status, text } = yield* get(`${url}${path}`)
        assert.deepStrictEqual([status, JSON.parse(text)], [200, { status: "pass", checks: {} }])
      }
    }))

  test("spare the stores, however often they are asked", () =>
    Effect.gen(function* () {
      let asked = 0
      const counted = Layer.effect(
        DedupStore.DedupStore,
        Effect.map(DedupStore.DedupStore, (real) =>
          DedupStore.DedupStore.of({
            ...real,
            processed: (group, events) =>
              Effect.tap(real.processed(group, events), () => Effect.sync(() => void asked++))
          })
        )
      ).pipe(Layer.provide(DedupStore.layerMemory))
      const url = yield* serve(Health.layer(design, { cache: "1 minute" }).pipe(Layer.provide(counted)))
      const answers = yield* Effect.forEach(Array.from({ length: 200 }), () => get(`${url}/health/ready`), {
        concurrency: 20
      })
      assert.deepStrictEqual([new Set(answers.map(({ status }) => status)).size, asked], [1, 1])
      assert.strictEqual(answers[0]!.headers["cache-control"], "max-age=60")
    }))
})
