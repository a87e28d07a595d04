/**
 * The payments provider: a real HTTP server with a ledger. It recognises a charge that was made before by its idempotency
 * key and by nothing else, so whoever repeats a request without a key pays twice. Charges above a limit are refused.
 */
import { Duration, Effect, Schema } from "effect"
import { Idempotency } from "effect-integration/http"
import { Reply, type RecordedRequest, StubProvider, TokenIssuer } from "effect-integration/testing"
import type { Fault, Outage } from "./outage.ts"
import { type Charge, NewCharge, NewRefund } from "./payments.ts"

export const client = { id: "order-service", secret: "correct-horse" }

export interface Provider {
  readonly url: string
  /** Every charge that was booked, whether the caller was told or not. */
  readonly ledger: Effect.Effect<ReadonlyArray<typeof Charge.Type>>
  /** The orders whose charge was given back. */
  readonly refunds: Effect.Effect<ReadonlySet<string>>
  /** What was refused before is accepted from now on. */
  readonly liftLimit: Effect.Effect<void>
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
      return Reply.delay(Duration.times(latency, 2), book())
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
      return Reply.status(429, { headers: { "retry-after": "1" } })
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
  const ledger: Array<typeof Charge.Type> = []
  const refunds = new Set<string>()
  const byKey = new Map<string, typeof Charge.Type>()
  let { limit } = options

  const book = (request: RecordedRequest, given: typeof NewCharge.Type): Reply.Reply => {
    if (given.amount > limit) return Reply.json(422, { code: "AMOUNT_TOO_HIGH", message: "above the agreed limit" })
    if (given.amount === 0) return Reply.json(422, { code: "NOTHING_TO_CHARGE", message: "the amount is zero" })
    const header = request.headers["idempotency-key"]
    const key = header === undefined ? undefined : Idempotency.parse(header)
    const known = key === undefined ? undefined : byKey.get(key)
    if (known !== undefined) return Reply.json(200, known)
    const charge = { id: `ch-${ledger.length + 1}`, ...given }
    ledger.push(charge)
    if (key !== undefined) byKey.set(key, charge)
    return Reply.json(200, charge)
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
        const { orderId } = yield* Effect.orDie(Schema.decodeUnknownEffect(NewRefund)(request.json))
        const refunded = ledger.some((charge) => charge.orderId === orderId)
        if (refunded) refunds.add(orderId)
        return Reply.requireToken(issuer, Reply.json(200, { refunded }))
      })
    )
  )

  const provider: Provider = {
    url: stub.url,
    refunds: Effect.sync(() => refunds),
    ledger: Effect.sync(() => ledger),
    liftLimit: Effect.sync(() => {
      limit = Infinity
    })
  }
  return provider
})
