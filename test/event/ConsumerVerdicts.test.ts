import { assert, describe, it } from "@effect/vitest"
import { Data, Duration, Effect, Layer, Option, Schema } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import {
  Broker,
  Channel,
  Consumer,
  CurrentDelivery,
  DeadLetters,
  DedupStore,
  EventType,
  MemoryBroker,
  Parking,
  Publisher
} from "effect-integration/event"
import { HttpContract, StatusTable } from "effect-integration/http"
import { ErrorAction, RetryPolicy } from "effect-integration/policy"
import { TestClock } from "effect/testing"
import * as Fixture from "./orders.ts"

const memory = Layer.mergeAll(MemoryBroker.layer, DedupStore.layerMemory, Parking.layerMemory)
const retry = RetryPolicy.make({ delays: ["1 second", "10 seconds"] })

const Api = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.post("create", "/v1/charges", {
      payload: Schema.Struct({ amount: Schema.Int }),
      success: Schema.Struct({ id: Schema.String })
    })
  )
)

interface Request {
  readonly key: string | undefined
  readonly requestId: string | undefined
  readonly traceparent: string | undefined
}

/** What the provider answers, one after another; the last for ever. `0` is no answer at all. */
const provider = (...answers: ReadonlyArray<readonly [status: number, headers?: Record<string, string>]>) => {
  const requests: Array<Request> = []
  class Payments extends HttpContract.Service<Payments>()(`verdicts-${++contracts}`, {
    api: Api,
    baseUrl: new URL("http://provider.test"),
    idempotent: true,
    errors: StatusTable.standard
  }) {}
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      const [status, headers = {}] = answers[Math.min(requests.length, answers.length - 1)]!
      const { "x-request-id": requestId, "idempotency-key": key, traceparent } = request.headers
      requests.push({ key, requestId, traceparent })
      if (status === 0) {
        const reason = new HttpClientError.TransportError({ request, cause: new Error("ECONNRESET") })
        return Effect.fail(new HttpClientError.HttpClientError({ reason }))
      }
      const body = status === 200 ? { id: "c-1" } : { code: "X" }
      return Effect.succeed(HttpClientResponse.fromWeb(request, Response.json(body, { status, headers })))
    })
  )
  const layer = Payments.layer.pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))
  const consumer = Consumer.make("billing", Fixture.Orders, {
    handlers: {
      "com.acme.order.placed": (event) =>
        Payments.use((payments) => payments.charges.create({ payload: { amount: event.data.amount } }))
    },
    retry,
    dedup: { window: "1 day" }
  })
  return { requests, consumer, layer: consumer.layer.pipe(Layer.provide(layer), Layer.orDie) }
}
let contracts = 0

const notified = <A, E, R>(self: (notices: ReadonlyArray<ErrorAction.Notice>) => Effect.Effect<A, E, R>) => {
  const notices: Array<ErrorAction.Notice> = []
  return Effect.provideService(self(notices), ErrorAction.AlertHook, (notice) =>
    Effect.sync(() => notices.push(notice))
  )
}

const depth = Broker.Broker.use((broker) => broker.depth({ channel: Fixture.Orders, group: "billing" }))

describe("errors of the status table decide in a handler", () => {
  it.effect("200 acknowledges", () =>
    Effect.gen(function* () {
      const { consumer, layer, requests } = provider([200])
      yield* Fixture.start(layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(30)
      assert.strictEqual(requests.length, 1)
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(Effect.provide(memory))
  )

  it.effect("409 of an idempotent contract acknowledges", () =>
    Effect.gen(function* () {
      const { consumer, layer, requests } = provider([409])
      yield* Fixture.start(layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(30)
      assert.strictEqual(requests.length, 1)
      assert.deepStrictEqual(yield* depth, { ready: 0, delayed: 0, deadLetters: 0, consumers: 1 })
      assert.strictEqual(yield* DeadLetters.count(consumer), 0)
    }).pipe(Effect.provide(memory))
  )

  it.effect("500 is tried again after the delays, with the same key, and then dead-letters", () =>
    Effect.gen(function* () {
      const { consumer, layer, requests } = provider([500])
      yield* Fixture.start(layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(12)
      assert.strictEqual(requests.length, 3)
      assert.strictEqual(new Set(requests.map((each) => each.key)).size, 1)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.strictEqual(letter?.reason, "exhausted")
      assert.strictEqual(letter?.attempts, 3)
      assert.include(letter?.error, "InternalError")
    }).pipe(Effect.provide(memory))
  )

  it.effect("422 dead-letters at once and escalates once", () =>
    notified((notices) =>
      Effect.gen(function* () {
        const { consumer, layer, requests } = provider([422])
        yield* Fixture.start(layer)
        yield* Fixture.place("o-1")
        yield* Fixture.pass(30)
        assert.strictEqual(requests.length, 1)
        const [letter] = yield* DeadLetters.list(consumer)
        assert.strictEqual(letter?.reason, "rejected")
        assert.strictEqual(letter?.attempts, 1)
        assert.deepStrictEqual(
          notices.map((each) => each.kind),
          ["escalate"]
        )
      })
    ).pipe(Effect.provide(memory))
  )

  it.effect("422 of a handler's own error escalates once too", () =>
    notified((notices) =>
      Effect.gen(function* () {
        const consumer = Consumer.make("billing", Fixture.Orders, {
          handlers: { "com.acme.order.placed": () => Effect.fail(new Fixture.Refused()) },
          retry
        })
        yield* Fixture.start(consumer.layer)
        yield* Fixture.place("o-1")
        yield* Fixture.pass(30)
        assert.deepStrictEqual(
          notices.map((each) => [each.kind, each.integration]),
          [["escalate", "billing"]]
        )
      })
    ).pipe(Effect.provide(memory))
  )

  for (const [name, answer] of [
    ["429", [429, { "retry-after": "40" }]],
    ["503", [503, { "retry-after": "40" }]],
    ["no answer", [0]]
  ] as const) {
    it.effect(`${name} pauses, and spends no attempt`, () =>
      Effect.gen(function* () {
        const { consumer, layer, requests } = provider(answer, answer, answer, answer, answer, [200])
        yield* Fixture.start(layer)
        yield* Fixture.place("o-1")
        if (answer.length === 2) {
          yield* Fixture.pass(39)
          assert.strictEqual(requests.length, 1)
        }
        yield* Fixture.pass(300, 1000)
        assert.strictEqual(requests.length, 6)
        assert.strictEqual(yield* DeadLetters.count(consumer), 0)
        assert.deepStrictEqual(yield* depth, { ready: 0, delayed: 0, deadLetters: 0, consumers: 1 })
      }).pipe(Effect.provide(memory))
    )
  }

  it.effect("request id and trace of the event go to the provider", () =>
    Effect.gen(function* () {
      const { layer, requests } = provider([200])
      yield* Fixture.start(layer)
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      yield* Publisher.publish(Fixture.Orders, Fixture.OrderPlaced, Fixture.order("o-1"), {
        extensions: { requestid: "request-7", traceparent }
      })
      yield* TestClock.adjust(1)
      assert.strictEqual(requests[0]?.requestId, "request-7")
      assert.include(requests[0]?.traceparent, "0af7651916cd43dd8448eb211c80319c")
    }).pipe(Effect.provide(memory))
  )
})

describe("handlers that misbehave", () => {
  const handling = (
    handler: Effect.Effect<unknown, ErrorAction.Actionable, CurrentDelivery>,
    options?: Consumer.Options
  ) =>
    Consumer.make("billing", Fixture.Orders, {
      handlers: { "com.acme.order.placed": () => handler },
      retry,
      ...options
    })

  it.effect("a defect is tried again, and dead-letters as a defect", () =>
    Effect.gen(function* () {
      const consumer = handling(Effect.die(new Error("a bug")))
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(12)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual([letter?.reason, letter?.attempts, letter?.error], ["defect", 3, "Error: a bug"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("one that interrupts itself is tried again", () =>
    Effect.gen(function* () {
      const consumer = handling(Effect.interrupt)
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(12)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual([letter?.reason, letter?.attempts], ["defect", 3])
    }).pipe(Effect.provide(memory))
  )

  it.effect("a throw before the effect is a defect", () =>
    Effect.gen(function* () {
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: {
          "com.acme.order.placed": (): Effect.Effect<void> => {
            throw new Error("thrown")
          }
        }
      })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust(1)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual([letter?.reason, letter?.attempts], ["defect", 1])
    }).pipe(Effect.provide(memory))
  )

  it.effect("one that never ends is stopped at its timeout, and tried again", () =>
    Effect.gen(function* () {
      const consumer = handling(Effect.never, { timeout: "5 seconds" })
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(30)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual([letter?.reason, letter?.attempts], ["exhausted", 3])
      assert.include(letter?.error, "HandlerTimeout")
    }).pipe(Effect.provide(memory))
  )

  it.effect("one that cannot be interrupted for a while is stopped after that, and counts as timed out", () =>
    Effect.gen(function* () {
      const journal = yield* Fixture.journal
      const consumer = handling(
        Effect.gen(function* () {
          const { attempt } = yield* CurrentDelivery
          yield* Effect.uninterruptible(Effect.sleep("8 seconds"))
          yield* Effect.yieldNow
          yield* journal.add(`ended ${attempt}`)
        }),
        { timeout: "5 seconds", retry: RetryPolicy.make({ delays: [] }) }
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(10)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.include(letter?.error, "HandlerTimeout")
      assert.deepStrictEqual(yield* journal.all, [])
    }).pipe(Effect.provide(memory))
  )

  it.effect("an error without an action (past the types) dead-letters", () =>
    Effect.gen(function* () {
      const consumer = handling(Effect.fail("what?") as never)
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust(1)
      const [letter] = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual([letter?.reason, letter?.attempts], ["rejected", 1])
    }).pipe(Effect.provide(memory))
  )

  it.effect("the attempts that a handler sees rise with those that were spent", () =>
    Effect.gen(function* () {
      const attempts: Array<number> = []
      const consumer = handling(
        Effect.gen(function* () {
          attempts.push((yield* CurrentDelivery).attempt)
          return yield* new Fixture.Overloaded()
        })
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* Fixture.pass(12)
      assert.deepStrictEqual(attempts, [1, 2, 3])
    }).pipe(Effect.provide(memory))
  )

  it.effect("Retry-After of an error that is no outage is not shortened", () =>
    Effect.gen(function* () {
      class Later extends Data.TaggedError("Later")<{ readonly retryAfter: Duration.Duration }> {
        readonly errorAction = ErrorAction.make("wait", { outage: false })
      }
      let tries = 0
      const consumer = handling(
        Effect.suspend(() =>
          ++tries === 1 ? Effect.fail(new Later({ retryAfter: Duration.seconds(30) })) : Effect.void
        )
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(tries, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(tries, 2)
    }).pipe(Effect.provide(memory))
  )

  it.effect("the delays of a retry policy with decorrelated jitter did not grow", () =>
    Effect.gen(function* () {
      const times: Array<number> = []
      const consumer = handling(
        Effect.clockWith((clock) =>
          Effect.suspend(() => {
            times.push(clock.currentTimeMillisUnsafe())
            return Effect.fail(new Fixture.Overloaded())
          })
        ),
        {
          retry: RetryPolicy.exponential({ base: "1 second", cap: "1 hour", maxRetries: 12, jitter: "decorrelated" })
        } as never
      )
      yield* Fixture.start(consumer.layer)
      yield* Fixture.place("o-1")
      yield* TestClock.adjust("24 hours")
      assert.strictEqual(times.length, 13)
      const longest = Math.max(...times.map((time, index) => time - (times[index - 1] ?? 0)))
      assert.isAbove(longest, 5000)
    }).pipe(Effect.provide(memory))
  )
})

describe("a dead letter", () => {
  it.effect("is the message byte for byte, with why, how often and when", () =>
    Effect.gen(function* () {
      const raw: Array<{ readonly body: Uint8Array; readonly headers: object }> = []
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: { "com.acme.order.placed": () => Effect.fail(new Fixture.Overloaded()) },
        retry
      })
      const broker = yield* Broker.Broker
      yield* Fixture.start(consumer.layer)
      const event = yield* Fixture.place("o-1")
      const sent = Fixture.Orders.codec.encode({ ...event, data: Fixture.order("o-1") }, broker.binding)
      yield* TestClock.adjust("1 minute")
      yield* broker.deadLetters({ channel: Fixture.Orders, group: "billing" }).visit(
        (message) =>
          Effect.sync(() => {
            raw.push(message)
            return Broker.Verdict.Keep()
          }),
        { limit: 10 }
      )
      assert.strictEqual(raw.length, 1)
      assert.deepStrictEqual(raw[0]!.body, sent.body)
      const headers = raw[0]!.headers as Record<string, unknown>
      for (const [name, value] of Object.entries(sent.headers)) assert.deepStrictEqual(headers[name], value)
      assert.strictEqual(headers["integration-dead-reason"], "exhausted")
      assert.strictEqual(headers["integration-dead-group"], "billing")
      assert.strictEqual(headers["integration-failures"], 3)
      assert.strictEqual(headers["integration-dead-error"], "Overloaded")
      assert.strictEqual(headers["integration-first-failed-at"], "1970-01-01T00:00:00.000Z")
      assert.strictEqual(headers["integration-dead-at"], "1970-01-01T00:00:11.000Z")
      const letter = Option.getOrThrow(yield* DeadLetters.peek(consumer))
      assert.deepStrictEqual(letter.message, sent)
    }).pipe(Effect.provide(memory))
  )

  it.effect("of what is no event is kept as it is, and the attribute is named", () =>
    Effect.gen(function* () {
      const consumer = Consumer.make("billing", Fixture.Orders, {
        handlers: { "com.acme.order.placed": () => Effect.void }
      })
      const broker = yield* Broker.Broker
      yield* Fixture.start(consumer.layer)
      const message = { body: new Uint8Array([0, 255, 13, 10]), headers: { x: "y" }, contentType: "application/json" }
      yield* broker.publish(Fixture.Orders, message)
      yield* TestClock.adjust(1)
      const letter = Option.getOrThrow(yield* DeadLetters.peek(consumer))
      assert.strictEqual(letter.reason, "invalid")
      assert.deepStrictEqual(letter.message, message)
      assert.isUndefined(letter.event)
      assert.match(letter.error, /specversion/)
    }).pipe(Effect.provide(memory))
  )

  it.effect("of data that does not fit names the path, and never the value", () =>
    Effect.gen(function* () {
      const consumer = Consumer.make("billing", Fixture.Ordered, {
        handlers: { "com.acme.order.placed": () => Effect.void }
      })
      yield* Fixture.start(consumer.layer)
      const Loose = Channel.make("ordered", [Foreign], { partitions: 2, consumers: ["billing"] })
      const secret = "4111-1111-1111-1111"
      yield* Publisher.publish(
        Loose,
        Foreign,
        { id: "1", tenant: "t", amount: secret },
        { extensions: { partitionkey: "t" } }
      )
      yield* Publisher.publish(Loose, Foreign, { id: "1", amount: 1 }, { extensions: { partitionkey: "t" } })
      yield* Publisher.publish(
        Loose,
        Foreign,
        { id: "1", tenant: "", amount: 1 },
        { extensions: { partitionkey: "t" } }
      )
      yield* TestClock.adjust(1)
      const letters = yield* DeadLetters.list(consumer)
      assert.strictEqual(letters.length, 3)
      assert.isTrue(letters.every((letter) => letter.reason === "invalid"))
      assert.include(letters[0]?.error, "data.amount")
      assert.notInclude(letters[0]?.error, secret)
      assert.include(letters[1]?.error, "data.tenant")
      assert.include(letters[2]?.error, "data.tenant")
    }).pipe(Effect.provide(memory))
  )

  it.effect("of an unknown type; or it is ignored", () =>
    Effect.gen(function* () {
      for (const unknownEvents of ["dead-letter", "ignore"] as const) {
        const channel = Channel.make(`types-${unknownEvents}`, [Fixture.OrderPlaced], { unknownEvents })
        const wide = Channel.make(`types-${unknownEvents}`, [Fixture.OrderPlaced, Fixture.OrderCancelled])
        const consumer = Consumer.make("billing", channel, { handlers: { "com.acme.order.placed": () => Effect.void } })
        yield* Fixture.start(consumer.layer)
        yield* Publisher.publish(wide, Fixture.OrderCancelled, { id: "o-1", tenant: "t" })
        yield* TestClock.adjust(1)
        const letters = yield* DeadLetters.list(consumer)
        assert.deepStrictEqual(
          letters.map((each) => each.reason),
          unknownEvents === "ignore" ? [] : ["unknown-type"]
        )
        const depth = yield* Broker.Broker.use((broker) => broker.depth({ channel, group: "billing" }))
        assert.strictEqual(depth.ready, 0)
      }
    }).pipe(Effect.provide(memory))
  )
})

const Foreign = EventType.make("com.acme.order.placed", { source: "https://acme.com/orders", data: Schema.Any })

describe("versions", () => {
  const one = "https://acme.com/schemas/order/1"
  const two = "https://acme.com/schemas/order/2"
  const Money = EventType.make("com.acme.paid", {
    source: "/erp",
    data: Schema.Struct({ cents: Schema.Int }),
    dataschema: two,
    previous: {
      [one]: EventType.version(Schema.Struct({ euros: Schema.Int }), ({ euros }) => ({ cents: euros * 100 }))
    }
  })
  const Old = EventType.make("com.acme.paid", {
    source: "/erp",
    data: Schema.Struct({ euros: Schema.Int }),
    dataschema: one
  })
  const Unknown = EventType.make("com.acme.paid", { source: "/erp", data: Schema.Any, dataschema: `${one}0` })
  const Unversioned = EventType.make("com.acme.paid", { source: "/erp", data: Schema.Any })

  it.effect("of old are raised to the current one, unknown ones are dead letters", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const channel = Channel.make("paid", [Money])
      const consumer = Consumer.make("ledger", channel, {
        handlers: { "com.acme.paid": (event) => Effect.sync(() => seen.push(event.data.cents)) }
      })
      yield* Fixture.start(consumer.layer)
      yield* Publisher.publish(channel, Money, { cents: 7 })
      yield* Publisher.publish(Channel.make("paid", [Old]), Old, { euros: 3 })
      yield* Publisher.publish(Channel.make("paid", [Unversioned]), Unversioned, { cents: 9 })
      yield* Publisher.publish(Channel.make("paid", [Unknown]), Unknown, { cents: 1 })
      yield* Publisher.publish(Channel.make("paid", [Unversioned]), Unversioned, { euros: 9 })
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(seen, [7, 300, 9])
      const letters = yield* DeadLetters.list(consumer)
      assert.deepStrictEqual(
        letters.map((each) => each.reason),
        ["invalid", "invalid"]
      )
      assert.include(letters[0]?.error, "dataschema")
      assert.include(letters[1]?.error, "data.cents")
    }).pipe(Effect.provide(memory))
  )
})
