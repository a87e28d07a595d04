/**
 * The payments provider: a real HTTP server with a ledger. It recognises a charge that was made before by its idempotency
 * key and by nothing else, so whoever repeats a request without a key pays twice. Charges above a limit are refused.
 */
import { Duration, Effect, Queue, Schema } from "effect"
import { Idempotency } from "effect-integration/http"
import { Reply, type RecordedRequest, StubProvider, TokenIssuer } from "effect-integration/testing"
import { type Charge, NewCharge, NewRefund } from "../orders-to-payments/payments.ts"
import type { Fault, Outage } from "./outage.ts"

export const client = { id: "order-service", secret: "correct-horse" }

/** Amounts that mean something, as in the sandboxes of providers. */
export const sandbox = { declined: 402, unreadable: 502 }

/** Something that was booked: a charge, or why it was given back. */
export interface Booking {
  readonly charge: typeof Charge.Type
  readonly refund?: string
}

export interface Provider {
  readonly url: string
  /** Every charge that was booked, whether the caller was told or not. */
  readonly ledger: Effect.Effect<ReadonlyArray<typeof Charge.Type>>
  /** The orders whose charge was given back. */
  readonly refunds: Effect.Effect<ReadonlySet<string>>
  /** What is booked from now on. */
  readonly bookings: Queue.Dequeue<Booking>
  /** What was refused before is accepted from now on. */
  readonly liftLimit: Effect.Effect<void>
  /** Forgets the requests that it has seen. The ledger stays. */
  readonly forget: Effect.Effect<void>
}

const latency = Duration.millis(80)
const unavailable = Reply.text(503, "<html>Service Unavailable</html>", "text/html")

/** What the caller sees, once the charge is booked or not. `book` gives the receipt, or refuses. */
const replyTo = (fault: Fault, book: () => Reply.Reply): Reply.Reply => {
  switch (fault) {
    case "none":
    case "expire tokens":
      return Reply.delay(latency, book())
    case "slow":
      return Reply.delay(Duration.times(latency, 5), book())
    case "error after booking":
      book()
      return Reply.json(500, { code: "OOPS", message: "booked, but the receipt could not be printed" })
    case "reset after booking":
      book()
      return Reply.reset
    case "hang after booking":
      book()
      return Reply.hang
    case "error":
      return Reply.json(500, { code: "OOPS", message: "nothing was booked" })
    case "rate limit":
      return Reply.status(429, { headers: { "retry-after": "5" } })
    case "unavailable":
      return unavailable
    case "unavailable after booking":
      book()
      return unavailable
  }
}

export const make = Effect.fnUntraced(function* (outage: Outage, options: { readonly limit: number }) {
  const stub = yield* StubProvider.make()
  const issuer = yield* TokenIssuer.make({ clients: { [client.id]: client.secret } })
  const bookings = yield* Queue.unbounded<Booking>()
  const ledger: Array<typeof Charge.Type> = []
  const refunds = new Set<string>()
  const byKey = new Map<string, typeof Charge.Type>()
  let { limit } = options

  const book = (request: RecordedRequest, given: typeof NewCharge.Type): Reply.Reply => {
    if (given.amount > limit) return Reply.json(422, { code: "AMOUNT_TOO_HIGH", message: "above the agreed limit" })
    if (given.amount === sandbox.declined) return Reply.json(402, { code: "CARD_DECLINED", message: "no funds" })
    const header = request.headers["idempotency-key"]
    const key = header === undefined ? undefined : Idempotency.parse(header)
    let charge = key === undefined ? undefined : byKey.get(key)
    if (charge === undefined) {
      charge = { id: `ch_${ledger.length + 1}`, ...given, status: "captured" }
      ledger.push(charge)
      Queue.offerUnsafe(bookings, { charge })
      if (key !== undefined) byKey.set(key, charge)
    }
    if (given.amount === sandbox.unreadable) return Reply.text(200, "<receipt/>", "text/xml")
    return Reply.json(200, { ...charge, requestId: request.headers["x-request-id"] })
  }

  const giveBack = ({ orderId, reason }: typeof NewRefund.Type): Reply.Reply => {
    const charge = ledger.find((each) => each.orderId === orderId)
    if (charge !== undefined && !refunds.has(orderId)) {
      refunds.add(orderId)
      Queue.offerUnsafe(bookings, { charge, refund: reason })
    }
    return Reply.json(200, { refunded: charge !== undefined })
  }

  yield* stub.on("POST /oauth/token", issuer.endpoint)
  yield* stub.on(
    "POST /v1/charges",
    Reply.dynamic(
      Effect.fnUntraced(function* (request) {
        const fault = yield* outage.next
        if (fault === "expire tokens") yield* issuer.expireAll
        const given = yield* Effect.orDie(Schema.decodeUnknownEffect(NewCharge)(request.json))
        const reply = Reply.dynamic(() => Effect.sync(() => replyTo(fault, () => book(request, given))))
        return Reply.requireToken(issuer, reply)
      })
    )
  )
  yield* stub.on(
    "POST /v1/refunds",
    Reply.dynamic(
      Effect.fnUntraced(function* (request) {
        const given = yield* Effect.orDie(Schema.decodeUnknownEffect(NewRefund)(request.json))
        return Reply.requireToken(
          issuer,
          Reply.dynamic(() => Effect.sync(() => giveBack(given)))
        )
      })
    )
  )

  const provider: Provider = {
    url: stub.url,
    refunds: Effect.sync(() => refunds),
    ledger: Effect.sync(() => ledger),
    bookings,
    liftLimit: Effect.sync(() => {
      limit = Infinity
    }),
    forget: stub.reset
  }
  return provider
})
