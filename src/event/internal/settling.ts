import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Immediate from "../../internal/immediate.ts"
import * as Broker from "../Broker.ts"
import type { Headers, Message } from "../Message.ts"
import type { Decision } from "./attempt.ts"
import * as History from "./history.ts"
import type { Setup } from "./setup.ts"

/** Wall-clock time, for the headers that people read. */
export const now: Effect.Effect<string> = Effect.map(DateTime.now, DateTime.formatIso)

/** What a message has used up. */
export interface Spent {
  readonly failures: number
  readonly redeliveries: number
}

/** The headers of a message after a decision to try it again. */
export const againHeaders = (message: Message, spent: Spent): Effect.Effect<Headers> =>
  Effect.map(now, (at) => History.after(History.read(message), spent, at))

/** The headers of a dead letter. */
export const deadHeaders = (
  setup: Setup,
  message: Message,
  death: { readonly reason: string; readonly error: string; readonly attempts: number }
): Effect.Effect<Headers> =>
  Effect.map(now, (at) =>
    History.dead({
      ...death,
      group: setup.name,
      firstFailedAt: History.read(message).firstFailedAt ?? at,
      deadAt: at
    })
  )

/** Settles a delivery, at once where the broker can, and says so where that had another effect than was wanted. */
export const settle = (
  setup: Setup,
  delivery: Broker.Delivery,
  settlement: Broker.Settlement,
  outcome: string
): Effect.Effect<Broker.Settled> => {
  const settling = delivery.settle(settlement)
  const settled = Immediate.value(settling)
  return settled === undefined ? later(setup, delivery, settling, outcome) : after(setup, delivery, settled, outcome)
}

const later = (
  setup: Setup,
  delivery: Broker.Delivery,
  settling: Effect.Effect<Broker.Settled>,
  outcome: string
): Effect.Effect<Broker.Settled> => Effect.flatMap(settling, (settled) => after(setup, delivery, settled, outcome))

/** What a settlement gives that has waited for nothing. */
export const isDone: Effect.Effect<Broker.Settled> = Effect.succeed("done")

const after = (
  setup: Setup,
  delivery: Broker.Delivery,
  settled: Broker.Settled,
  outcome: string
): Effect.Effect<Broker.Settled> => {
  const { context, inHand, name, recorder, synthetic, unrecorded } = setup
  if (inHand.size > 0) inHand.delete(delivery)
  recorder.delivery(settled === "done" ? outcome : settled, unrecorded.has(delivery) ? synthetic : context)
  if (settled === "done") return isDone
  const id = delivery.message.messageId ?? "without id"
  const text =
    settled === "late"
      ? `message ${id} was ${outcome}, but its delivery had ended: the broker delivers it again`
      : `message ${id} could not be moved (${outcome}): it went back to its queue`
  return Effect.as(Effect.logWarning(`${name}: ${text}`), settled)
}

const ack = Broker.Settlement.Ack()
const requeue = Broker.Settlement.Requeue()

/** Settles what was handled. */
export const acknowledge = (setup: Setup, delivery: Broker.Delivery): Effect.Effect<Broker.Settled> =>
  settle(setup, delivery, ack, "done")

/** Carries a decision out at the broker: what a consumer of a channel without strict order does. */
export const carryOut = (
  setup: Setup,
  delivery: Broker.Delivery,
  decision: Decision
): Effect.Effect<Broker.Settled> => {
  switch (decision._tag) {
    case "Done":
      return settle(setup, delivery, ack, decision.outcome)
    case "Return":
      return settle(setup, delivery, requeue, "requeued")
    case "Again":
      return Effect.flatMap(againHeaders(delivery.message, decision), (headers) => {
        const after = Duration.millis(decision.millis)
        return settle(setup, delivery, Broker.Settlement.Retry({ after, headers }), "retried")
      })
    case "Dead":
      return Effect.flatMap(deadHeaders(setup, delivery.message, decision), (headers) =>
        settle(setup, delivery, Broker.Settlement.DeadLetter({ headers }), "dead-lettered")
      )
  }
}
