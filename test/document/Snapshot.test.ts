import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted, Schema } from "effect"
import { Diff, Findings, Snapshot } from "effect-integration/document"
import { type Channel, Ordering } from "effect-integration/event"
import { Authentication } from "effect-integration/http"
import * as topology from "../../src/rabbitmq/internal/topology.ts"
import { fingerprint } from "../../src/saga/internal/definition.ts"
import * as Hostile from "./hostileApis.ts"
import { channel, consumer, contract, design, Order, orderPlaced, saga } from "./parts.ts"

const keysOf = (value: unknown): ReadonlyArray<ReadonlyArray<string>> =>
  Array.isArray(value)
    ? value.flatMap(keysOf)
    : typeof value === "object" && value !== null
      ? [Object.keys(value), ...Object.values(value).flatMap(keysOf)]
      : []

describe("Snapshot", () => {
  it.effect("survives being written and read", () =>
    Effect.gen(function* () {
      const snapshot = Snapshot.of(design())
      const text = Snapshot.encode(snapshot)
      const read = yield* Snapshot.decode(text)
      assert.deepStrictEqual(read, snapshot)
      assert.strictEqual(Snapshot.encode(read), text)
      assert.strictEqual(Snapshot.encode(Snapshot.of(design())), text)
    })
  )

  it("is text with sorted keys and without what JSON cannot say", () => {
    const text = Snapshot.encode(Snapshot.of(design()))
    for (const keys of keysOf(JSON.parse(text))) {
      // JavaScript has keys that are numbers in front.
      const words = keys.filter((key) => !/^\d+$/.test(key))
      assert.deepStrictEqual(words, words.toSorted())
    }
    assert.notMatch(text, /undefined|NaN|Infinity|\[object/)
  })

  it("says what runs", () => {
    const snapshot = Snapshot.of(design())
    const payments = snapshot.contracts.payments
    assert.deepStrictEqual(payments?.retry?.delays, [100, 300, 900])
    assert.deepStrictEqual(payments?.timeouts, {
      connectMillis: 1_000,
      readMillis: 1_500,
      attemptMillis: 2_000,
      totalMillis: 10_000
    })
    assert.strictEqual(payments?.rows["401"]?.action.kind, "refresh")
    assert.strictEqual(payments?.endpoints["charges.create"]?.method, "POST")
    assert.deepInclude(payments?.endpoints["charges.create"]?.request["body application/json"] as object, {
      required: ["orderId", "cents"]
    })
    assert.deepInclude(snapshot.channels.orders?.events["com.acme.order.placed"]?.data as object, {
      required: ["orderId", "tenantId"]
    })
    assert.strictEqual(snapshot.overview.rtoMillis, Duration.toMillis("1 hour"))
    assert.strictEqual(snapshot.consumers.billing?.dedup?.windowMillis, Duration.toMillis("14 days"))
  })

  it("keeps every field of a design that people write", () => {
    const full = design({
      project: "shop",
      date: "2026-11-23",
      monitoring: { latencyP99: { limit: "2 seconds", for: "5 minutes" }, lag: { age: "1 minute" } },
      consistency: [{ data: "charges", model: "eventual", acceptableLag: "10 seconds" }],
      environments: [{ name: "staging", purpose: "tests", trigger: "merge", sampling: 100 }]
    })
    assert.deepInclude(Snapshot.of(full).overview, {
      project: "shop",
      date: "2026-11-23",
      monitoring: { latencyP99: { limitMillis: 2_000, forMillis: 300_000 }, lag: { ageMillis: 60_000 } },
      consistency: { charges: { model: "eventual", acceptableLagMillis: 10_000 } },
      environments: { staging: { purpose: "tests", trigger: "merge", sampling: 100 } }
    })
  })

  it("holds no secret", () => {
    const secret = "hunter2-hunter2"
    const text = Snapshot.encode(
      Snapshot.of(
        design({
          pactBroker: `https://ci:${secret}@pact.acme.com`,
          contracts: [
            {
              contract: contract({
                baseUrl: `https://orders:${secret}@payments.acme.com/api?key=${secret}`,
                authentication: Authentication.clientCredentials({
                  tokenUrl: `https://id.acme.com/token?key=${secret}`,
                  id: "orders",
                  secret: Redacted.make(secret)
                })
              }),
              tokenEndpoint: `https://orders:${secret}@id.acme.com/token`
            }
          ]
        })
      )
    )
    assert.include(text, "https://payments.acme.com/api")
    assert.include(text, "https://pact.acme.com")
    assert.notInclude(text, secret)
  })

  it.effect("keeps odd names and schemas", () =>
    Effect.gen(function* () {
      const snapshot = Snapshot.of(Hostile.design)
      const text = Snapshot.encode(snapshot)
      assert.notInclude(text, Hostile.secret)
      assert.deepStrictEqual(yield* Snapshot.decode(text), snapshot)
      assert.deepStrictEqual(Diff.between(snapshot, snapshot), [])
      const report =
        Diff.toText(Diff.between(Snapshot.of(design()), snapshot)) + Findings.toText(Findings.of(Hostile.design))
      assert.notInclude(report, Hostile.secret)
      assert.notMatch(report.replaceAll("\n", ""), /undefined|NaN|\[object|\p{Cc}|\p{Bidi_Control}/u)
    })
  )

  it.effect("refuses what is no snapshot of its format", () =>
    Effect.gen(function* () {
      for (const text of [
        "",
        "{",
        "null",
        "{}",
        Snapshot.encode(Snapshot.of(design())).replace('"format": 1', '"format": 2')
      ]) {
        const error = yield* Effect.flip(Snapshot.decode(text))
        assert.strictEqual(error._tag, "InvalidSnapshot")
        assert.include(error.message, "format 1")
      }
    })
  )

  it("knows the queue arguments that RabbitMQ is asked for", () => {
    const channels: ReadonlyArray<Channel.Any> = [
      channel(),
      channel({ ordering: Ordering.none, partitions: 1, retention: { maxMessages: 10 } }),
      channel({ deadLetters: { maxAge: "30 days" }, retention: { maxAge: "1 day", maxMessages: 10 } }),
      channel({ partitions: 1, existing: { queue: "legacy" } })
    ]
    for (const each of channels) {
      const { deadLetters, queue } = Snapshot.of(design({ channels: [each], consumers: [] })).channels.orders!
        .queueArguments
      const steps = topology
        .groupSteps(each, "billing", "quorum")
        .flatMap((step) => (step._tag === "Queue" ? [step] : []))
      for (const step of steps) {
        const dead = step.name.endsWith(".dead")
        const { "x-dead-letter-routing-key": named, ...rest } = step.arguments
        assert.strictEqual(named === undefined, dead)
        assert.deepStrictEqual(rest, dead ? deadLetters : queue)
      }
      assert.strictEqual(steps.length > 1, queue !== undefined)
    }
  })

  it("tells sagas apart as their runs do", () => {
    const undo = { compensate: () => Effect.void }
    const run = () => Effect.void
    const sagas = [
      saga(),
      saga((start) =>
        start
          .parallel((group) => group.step("a", { run, ...undo }).step("b", { run, ...undo }))
          .waitFor("paid", { success: Schema.String, deadline: "3 days" })
          .delay("cool off", "1 hour")
      )
    ]
    for (const each of sagas) {
      const process = Snapshot.of(design({ sagas: [each] })).sagas["place-order"]
      assert.strictEqual(process?.fingerprint, fingerprint(each.definition))
    }
  })

  it("keeps older versions of events", () => {
    const event = orderPlaced(Order, "https://acme.com/order/2", {
      "https://acme.com/order/1": { data: Schema.Struct({ id: Schema.String }), upcast: () => undefined }
    })
    const orders = channel({}, event)
    const kept = Snapshot.of(design({ channels: [orders], consumers: [consumer({}, orders)] })).channels.orders
    assert.deepStrictEqual(Object.keys(kept?.events["com.acme.order.placed"]?.previous ?? {}), [
      "https://acme.com/order/1"
    ])
  })
})
