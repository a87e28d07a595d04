import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Channel, Consumer, Ordering } from "effect-integration/event"
import { InvalidOption } from "effect-integration/policy"
import * as Fixture from "./orders.ts"

/** The option that is complained about. */
const rejection = (make: () => unknown): string => {
  const made = Result.try(make)
  if (Result.isSuccess(made)) return "nothing"
  return made.failure instanceof InvalidOption ? made.failure.option : String(made.failure)
}

const channel = (options: object, name = "orders") =>
  Channel.make(name, [Fixture.OrderPlaced], options as Channel.Options<Ordering.None>)
const durations: ReadonlyArray<unknown> = [0, -1, Number.NaN, Number.POSITIVE_INFINITY, "soon", null]

describe("Channel.make rejects", () => {
  for (const name of ["", ".", "a b", "-a", "a/b", "ä", "a".repeat(101)]) {
    it(`the name ${JSON.stringify(name.slice(0, 8))}`, () =>
      assert.include(
        rejection(() => channel({}, name)),
        "name"
      ))
  }
  for (const partitions of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1025, "2"]) {
    it(`partitions ${partitions}`, () =>
      assert.include(
        rejection(() => channel({ ordering: Ordering.strict("tenant"), partitions })),
        "partitions"
      ))
  }
  for (const given of durations) {
    it(`durations of ${given}`, () => {
      assert.include(
        rejection(() => channel({ retention: given })),
        "retention"
      )
      assert.include(
        rejection(() => channel({ retention: { maxAge: given } })),
        "retention.maxAge"
      )
      assert.include(
        rejection(() => channel({ deadLetters: { maxAge: given } })),
        "deadLetters.maxAge"
      )
      assert.include(
        rejection(() => channel({ acceptableLag: given })),
        "acceptableLag"
      )
    })
  }
  for (const maxMessages of [0, -1, 1.5, Number.NaN, "1"]) {
    it(`maxMessages ${maxMessages}`, () =>
      assert.include(
        rejection(() => channel({ retention: { maxMessages } })),
        "retention.maxMessages"
      ))
  }
  it("the rest", () => {
    assert.include(
      rejection(() => channel({ consumers: ["a", "a"] })),
      "consumers"
    )
    assert.include(
      rejection(() => channel({ consumers: ["a b"] })),
      "consumers"
    )
    assert.include(
      rejection(() => channel({ unknownEvents: "drop" })),
      "unknownEvents"
    )
    assert.include(
      rejection(() => Channel.make("orders", [Fixture.OrderPlaced, Fixture.OrderPlaced])),
      "events"
    )
    assert.include(
      rejection(() => channel({ ordering: Ordering.strict("tenant"), partitions: 2, existing: { queue: "q" } })),
      "partitions"
    )
  })
  it("an existing queue without a name", () =>
    assert.include(
      rejection(() => channel({ existing: { queue: "" } })),
      "existing.queue"
    ))
})

describe("Ordering.strict rejects", () => {
  for (const path of ["", ".", "a.", ".a", "a..b"]) {
    it(`the path ${JSON.stringify(path)}`, () =>
      assert.include(
        rejection(() => Ordering.strict(path)),
        "path"
      ))
  }
  it("what is no text, and an unknown word", () => {
    assert.include(
      rejection(() => Ordering.strict("a", { exhausted: "stop" as never })),
      "exhausted"
    )
    assert.include(
      rejection(() => Ordering.strict(undefined as never)),
      "path"
    )
    assert.include(
      rejection(() => Ordering.strict(5 as never)),
      "path"
    )
  })
})

describe("Consumer.make rejects", () => {
  const consumer = (options: object, name = "billing", on: typeof Fixture.Orders = Fixture.Orders) =>
    Consumer.make(name, on, { handlers: { "com.acme.order.placed": () => Effect.void }, ...options })
  for (const name of ["", "a b", "-a", "a/b", "a".repeat(101)]) {
    it(`the name ${JSON.stringify(name.slice(0, 8))}`, () =>
      assert.include(
        rejection(() => consumer({}, name)),
        "name"
      ))
  }
  for (const prefetch of [0, -1, 1.5, Number.NaN, 65_536, "8"]) {
    it(`prefetch ${prefetch}`, () =>
      assert.include(
        rejection(() => consumer({ prefetch })),
        "prefetch"
      ))
  }
  it("a prefetch smaller than the partitions", () =>
    assert.include(
      rejection(() => consumer({ prefetch: 1 }, "billing", Fixture.Ordered as never)),
      "prefetch"
    ))
  for (const maxRedeliveries of [0, -1, 1.5, Number.NaN]) {
    it(`maxRedeliveries ${maxRedeliveries}`, () =>
      assert.include(
        rejection(() => consumer({ maxRedeliveries })),
        "maxRedeliveries"
      ))
  }
  for (const given of durations.filter((each) => each !== null)) {
    it(`durations of ${given}`, () => {
      assert.include(
        rejection(() => consumer({ timeout: given })),
        "timeout"
      )
      assert.include(
        rejection(() => consumer({ lease: given })),
        "lease"
      )
      assert.include(
        rejection(() => consumer({ hold: given })),
        "hold"
      )
      assert.include(
        rejection(() => consumer({ dedup: { window: given } })),
        "dedup.window"
      )
      if (given !== 0)
        assert.include(
          rejection(() => consumer({ drain: given })),
          "drain"
        )
    })
  }
  it("a drain of nothing is allowed", () => assert.isDefined(consumer({ drain: 0 })))
  it("dedup of an unknown mode", () =>
    assert.include(
      rejection(() => consumer({ dedup: { window: "1 day", mode: "once" } })),
      "dedup.mode"
    ))
  it("handlers that are none", () =>
    assert.include(
      rejection(() => consumer({ handlers: { "com.acme.order.placed": 5 } })),
      "handlers.com.acme.order.placed"
    ))
})
