import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Logger } from "effect"
import { type Broker, Channel, Consumer, DedupStore, Ordering, Parking, Publisher } from "effect-integration/event"
import { RetryPolicy } from "effect-integration/policy"
import * as Fixture from "./orders.ts"

/** A broker that tells how each message was settled. */
const told = (settlements: Array<readonly [id: string | undefined, how: Broker.Settlement["_tag"]]>) =>
  Fixture.broker((real) => ({
    subscribe: (subscription) =>
      Effect.flatMap(real.subscribe(subscription), (queue) =>
        Fixture.mapped(queue, (delivery) => ({
          ...delivery,
          settle: (settlement) => {
            settlements.push([delivery.message.messageId, settlement._tag])
            return delivery.settle(settlement)
          }
        }))
      )
  }))

describe("a message is settled once, and acknowledged", () => {
  it.effect(
    "when it was handled, was done already, is a duplicate, or is to be ignored; other ends have other ways",
    () => {
      const settlements: Array<readonly [id: string | undefined, how: Broker.Settlement["_tag"]]> = []
      return Effect.gen(function* () {
        const channel = Channel.make("settled", [Fixture.OrderPlaced], { unknownEvents: "ignore" })
        const wide = Channel.make("settled", [Fixture.OrderPlaced, Fixture.OrderCancelled])
        const consumer = Consumer.make("billing", channel, {
          handlers: {
            "com.acme.order.placed": (
              event
            ): Effect.Effect<void, Fixture.AlreadyDone | Fixture.Refused | Fixture.Overloaded> => {
              if (event.id === "skipped") return Effect.fail(new Fixture.AlreadyDone())
              if (event.id === "refused") return Effect.fail(new Fixture.Refused())
              return event.id === "overloaded" ? Effect.fail(new Fixture.Overloaded()) : Effect.void
            }
          },
          dedup: { window: "1 day" },
          retry: RetryPolicy.make({ delays: ["1 hour"] }),
          // What is not settled would be waited for.
          drain: 0
        })
        yield* Fixture.start(consumer.layer)
        for (const id of ["done", "skipped", "refused", "overloaded"]) {
          yield* Publisher.publish(channel, Fixture.OrderPlaced, Fixture.order(id), { id })
          yield* Fixture.pass(1)
        }
        yield* Publisher.publish(channel, Fixture.OrderPlaced, Fixture.order("done"), { id: "done" })
        yield* Fixture.pass(1)
        yield* Publisher.publish(wide, Fixture.OrderCancelled, { id: "ignored", tenant: "t" }, { id: "ignored" })
        yield* Fixture.pass(1)
        assert.deepStrictEqual(settlements, [
          ["done", "Ack"],
          ["skipped", "Ack"],
          ["refused", "DeadLetter"],
          ["overloaded", "Retry"],
          ["done", "Ack"],
          ["ignored", "Ack"]
        ])
      }).pipe(Effect.provide([told(settlements), DedupStore.layerMemory]))
    }
  )

  it.effect.each(["none", "strict"] as const)(
    "by a broker that throws: that ends nothing but this (order: %s)",
    (order) => {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === "Error") lines.push(String(message))
      })
      const broken = Fixture.broker((real) => ({
        subscribe: (subscription) =>
          Effect.flatMap(real.subscribe(subscription), (queue) =>
            Fixture.mapped(queue, (delivery) => ({
              ...delivery,
              settle: (settlement) => {
                if (delivery.message.messageId === "o-1") throw new Error("a bug of the broker")
                return delivery.settle(settlement)
              }
            }))
          )
      }))
      return Effect.gen(function* () {
        const journal = yield* Fixture.journal
        const channel = Channel.make("thrown", [Fixture.OrderPlaced], {
          ordering: order === "none" ? Ordering.none : Ordering.strict("tenant")
        })
        const consumer = Consumer.make("billing", channel, {
          handlers: { "com.acme.order.placed": (event) => journal.add(event.id) },
          drain: 0
        })
        yield* Fixture.start(consumer.layer as typeof consumer.layer & Layer.Layer<never, never, Broker.Broker>)
        for (const id of ["o-1", "o-2"]) {
          yield* Publisher.publish(channel, Fixture.OrderPlaced, { ...Fixture.order(id), tenant: id }, { id })
          yield* Fixture.pass(1)
        }
        assert.deepStrictEqual(yield* journal.all, ["o-1", "o-2"])
        assert.lengthOf(lines, 1)
        assert.match(
          lines[0]!,
          /^billing: a message stays unsettled until the consumer ends, by a bug: .*a bug of the broker/s
        )
      }).pipe(Effect.provide([broken, Parking.layerMemory, Logger.layer([logger])]))
    }
  )
})
