import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Deferred, Effect, Layer, Random, Schema, Tracer } from "effect"
import { Integration } from "effect-integration"
import { Channel, Consumer, EventType, MemoryBroker, Publisher } from "effect-integration/event"
import { HttpPolicy, StatusTable } from "effect-integration/http"
import { Tracing } from "effect-integration/monitoring"
import { Sqlite } from "effect-integration/sqlite"
import { FetchHttpClient } from "effect/http"
import { SqlClient } from "effect/sql"
import { StubProvider } from "../../src/testing/index.ts"
import design from "../../examples/orders-to-payments/design.ts"
import { recording } from "./collector.ts"

const sampling = (percent: number | undefined) =>
  Integration.make("sampled", {
    environments: [
      { name: "Production", purpose: "p", trigger: "t", ...(percent === undefined ? undefined : { sampling: percent }) }
    ]
  })

/** What a tracer gets of these traces, which are begun one after another. */
const kept = (percent: number | undefined, begin: Effect.Effect<unknown>) => {
  const { layer, spans } = recording()
  return Effect.map(
    Effect.provide(begin, Tracing.sampled(sampling(percent), { environment: "Production" })(layer)),
    () => spans.filter(({ status }) => status._tag === "Ended")
  )
}

const child = Effect.withSpan(Effect.void, "child")
const ten = Effect.forEach(Array.from({ length: 10_000 }), () => Effect.withSpan(child, "root", { root: true }), {
  discard: true
})

/** A tracer whose traces have these ids. */
const numbered = (ids: ReadonlyArray<string>) => {
  const spans: Array<Tracer.Span> = []
  const ended = (sampled: boolean) => spans.filter(({ status }) => (status._tag === "Ended") === sampled)
  let next = 0
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      if (options.parent._tag === "None") span._traceId = ids[next++]!
      spans.push(span)
      return span
    }
  })
  return { ended, layer: Layer.succeed(Tracer.Tracer, tracer) }
}

const hex = (value: bigint, digits: number) => value.toString(16).padStart(digits, "0")

describe("sampling", () => {
  it.effect("keeps everything at 100 %, also where nothing is said, and nothing at 0 %", () =>
    Effect.gen(function* () {
      assert.lengthOf(yield* kept(100, ten), 20_000)
      assert.lengthOf(yield* kept(undefined, ten), 20_000)
      assert.lengthOf(yield* kept(0, ten), 0)
    })
  )

  it.effect("keeps exactly 500 of 10,000 ids that are evenly spread at 5 %, those of the highest randomness", () =>
    Effect.gen(function* () {
      const ids = Array.from(
        { length: 10_000 },
        (_, at) => `${"ab".repeat(9)}${hex((BigInt(at) << 56n) / 10_000n, 14)}`
      )
      const { ended, layer } = numbered(ids)
      yield* Effect.provide(ten, Tracing.sampled(sampling(5), { environment: "Production" })(layer))
      const traces = new Set(ended(true).map(({ traceId }) => traceId))
      assert.deepStrictEqual(traces, new Set(ids.slice(9500)))
      assert.lengthOf(ended(true), 1000, "each with its child")
      const again = numbered(ids)
      const told = yield* Effect.forEach(ids, () =>
        Effect.withSpan(
          Effect.map(Effect.currentSpan, ({ sampled, traceId }) => ({ sampled, traceId })),
          "root",
          { root: true }
        )
      ).pipe(Effect.provide(Tracing.sampled(sampling(5), { environment: "Production" })(again.layer)))
      assert.deepStrictEqual(
        told,
        ids.map((traceId, at) => ({ sampled: at >= 9500, traceId })),
        "also those that are not kept have the id by which that was decided"
      )
    })
  )

  it.effect("keeps 5 % of random ids within four deviations, and by the id alone", () =>
    Effect.gen(function* () {
      const ids = yield* Effect.forEach(Array.from({ length: 10_000 }), () =>
        Effect.map(Effect.all([Random.nextInt, Random.nextInt, Random.nextInt, Random.nextInt]), (parts) =>
          parts.map((part) => hex(BigInt.asUintN(32, BigInt(part)), 8)).join("")
        )
      ).pipe(Random.withSeed("trace ids"))
      const of = Effect.fnUntraced(function* (percent: number) {
        const { ended, layer } = numbered(ids)
        yield* Effect.provide(ten, Tracing.sampled(sampling(percent), { environment: "Production" })(layer))
        return new Set(ended(true).map(({ traceId }) => traceId))
      })
      const [five, again, fifty] = [yield* of(5), yield* of(5), yield* of(50)]
      assert.isAtLeast(five.size, 413)
      assert.isAtMost(five.size, 587)
      assert.deepStrictEqual(five, again)
      assert.isTrue(
        Array.from(five).every((id) => fifty.has(id)),
        "what is kept at 5 % is kept at 50 %"
      )
    })
  )

  it.effect("lets the parent decide, both ways", () =>
    Effect.gen(function* () {
      const parent = (sampled: boolean) =>
        Tracer.externalSpan({ traceId: "0".repeat(31) + "1", spanId: "00f067aa0ba902b7", sampled })
      const under = (sampled: boolean) => Effect.withSpan(child, "server", { parent: parent(sampled) })
      assert.lengthOf(yield* kept(0, under(true)), 2)
      assert.lengthOf(yield* kept(100, under(false)), 0)
    })
  )

  it.effect("tells others not to keep what is not kept, over HTTP and in events", () =>
    Effect.gen(function* () {
      const Placed = EventType.make("com.acme.placed", { source: "https://acme.com", data: Schema.String })
      const Orders = Channel.make("orders", [Placed], { consumers: ["last"] })
      const flow = Effect.fnUntraced(function* (percent: number) {
        const provider = yield* StubProvider.make()
        const { layer, spans } = recording()
        const heard = yield* Deferred.make<unknown>()
        const Last = Consumer.make("last", Orders, {
          handlers: { "com.acme.placed": (event) => Deferred.succeed(heard, event.extensions["traceparent"]) }
        })
        const current = yield* Effect.gen(function* () {
          const client = yield* HttpPolicy.make("stock", { baseUrl: provider.url, errors: StatusTable.standard })
          yield* Effect.exit(client.get("/v1/items"))
          yield* Publisher.publish(Orders, Placed, "a")
          yield* Deferred.await(heard)
          return yield* Effect.currentSpan
        }).pipe(
          Effect.withSpan("caller"),
          Effect.provide(
            Last.layer.pipe(
              Layer.provideMerge([MemoryBroker.layer, FetchHttpClient.layer]),
              Layer.provideMerge(Tracing.sampled(sampling(percent), { environment: "Production" })(layer))
            )
          )
        )
        const [request] = yield* provider.requests
        return {
          ended: spans.filter(({ status }) => status._tag === "Ended").length,
          header: String(request!.headers["traceparent"]),
          extension: String(yield* Deferred.await(heard)),
          traceId: current.traceId
        }
      })
      for (const [percent, flags, ended] of [
        [0, "00", 0],
        [100, "01", 4]
      ] as const) {
        const seen = yield* flow(percent)
        assert.match(seen.header, new RegExp(`^00-${seen.traceId}-[0-9a-f]{16}-${flags}$`))
        assert.match(seen.extension, new RegExp(`^00-${seen.traceId}-[0-9a-f]{16}-${flags}$`))
        assert.strictEqual(seen.ended, ended)
      }
    })
  )
})

describe("statements", () => {
  it.live("are in the trace of what asks for them, and in none where a timer does", () =>
    Effect.gen(function* () {
      const sql = Effect.gen(function* () {
        const client = yield* SqlClient.SqlClient
        yield* client`select 1`
        yield* client.withTransaction(client`select 2`)
      })
      const { layer, spans } = recording()
      yield* Effect.andThen(sql, Effect.withSpan(sql, "own")).pipe(
        Effect.provide(
          Sqlite.layer({ filename: ":memory:" }).pipe(
            Layer.provideMerge(Tracing.sampled(sampling(100), { environment: "Production" })(layer))
          )
        )
      )
      const ended = spans.filter(({ status }) => status._tag === "Ended")
      assert.strictEqual(new Set(ended.map(({ traceId }) => traceId)).size, 1)
      const names = new Set(ended.map(({ name }) => name))
      assert.deepStrictEqual(names, new Set(["own", "sql.transaction", "sqlite"]))
      assert.strictEqual(ended.filter(({ name }) => name === "sqlite").length >= 2, true)
    })
  )
})

describe("environments", () => {
  const build = (environment: Tracing.Sampling["environment"], of = design) =>
    Effect.scoped(Layer.build(Tracing.sampled(of, { environment })(recording().layer)))

  it.effect("are those of the design, whatever their case", () =>
    Effect.gen(function* () {
      assert.isTrue(Context.isContext(yield* build("production")))
      const error = yield* Effect.flip(build("Prodution"))
      assert.instanceOf(error, Tracing.UnknownEnvironment)
      assert.strictEqual(
        error.message,
        'orders-to-payments has no environment "Prodution": it declares Local, Staging, Production'
      )
      assert.strictEqual(
        (yield* Effect.flip(build("Local", Integration.make("bare", {})))).message,
        'bare has no environment "Local": it declares none'
      )
    })
  )

  it.effect("may be read from the configuration", () =>
    Effect.gen(function* () {
      const given = (env: Record<string, string>) =>
        Effect.provide(build(Config.String("ENVIRONMENT")), ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
      assert.isTrue(Context.isContext(yield* given({ ENVIRONMENT: "Staging" })))
      assert.strictEqual((yield* Effect.flip(given({})))._tag, "ConfigError")
    })
  )
})
