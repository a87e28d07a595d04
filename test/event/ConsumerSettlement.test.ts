import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Broker, Channel, Consumer, DedupStore, Publisher } from "effect-integration/event"
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
})
