/** The parts of a design that adds up, each of which a test can replace. */
import { Effect, Redacted, Schema } from "effect"
import { Integration } from "effect-integration"
import { Channel, type Consumer as ConsumerOf, Consumer, EventType, Ordering } from "effect-integration/event"
import { Authentication, HttpContract, type HttpPolicy, StatusTable } from "effect-integration/http"
import type { Bulkhead, CircuitBreaker, RateLimit } from "effect-integration/policy"
import { RetryPolicy } from "effect-integration/policy"
import { Saga } from "effect-integration/saga"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

export const Charge = Schema.Struct({ id: Schema.String, cents: Schema.Int })
export const NewCharge = Schema.Struct({
  orderId: Schema.String,
  cents: Schema.Int,
  note: Schema.optionalKey(Schema.String)
})

export const apiOf = (payload: Schema.Codec<any, any> = NewCharge, success: Schema.Codec<any, any> = Charge) =>
  HttpApi.make("payments").add(
    HttpApiGroup.make("charges").add(
      HttpApiEndpoint.post("create", "/v1/charges", { payload, success }),
      HttpApiEndpoint.get("get", "/v1/charges/:id", { params: { id: Schema.String }, success })
    )
  )

export const readOnly = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(
    HttpApiEndpoint.put("replace", "/v1/charges/:id", { params: { id: Schema.String }, payload: NewCharge })
  )
)

export const ladder = (
  ...delays: ReadonlyArray<"100 millis" | "300 millis" | "900 millis" | "10 seconds" | "1 hour">
) => RetryPolicy.make({ delays })

type ContractOptions = Partial<
  HttpPolicy.Options<
    StatusTable.StandardRows,
    Authentication.Authentication<any>,
    CircuitBreaker.Options,
    RateLimit.Options,
    Bulkhead.Options
  > & { readonly api: HttpApi.HttpApi<string, any> }
>

export const breaker: CircuitBreaker.Options = {
  failurePercent: 50,
  window: "10 seconds",
  openFor: "30 seconds",
  alertAfter: "1 minute"
}

export const twoKeys = Authentication.bearer([Redacted.make("old"), Redacted.make("new")])

const sound: ContractOptions = {
  api: apiOf(),
  baseUrl: "https://payments.acme.com",
  authentication: twoKeys,
  idempotent: true,
  retry: ladder("100 millis", "300 millis", "900 millis"),
  breaker,
  rateLimit: { perMinute: 600, burst: 50, perDay: 100_000 },
  timeouts: { connect: "1 second", read: "1500 millis", attempt: "2 seconds", total: "10 seconds" },
  errors: StatusTable.standard
}

/** A contract with some options replaced; `undefined` leaves one out. */
export const contract = (over: { readonly [K in keyof ContractOptions]: ContractOptions[K] | undefined } = {}) => {
  const options = Object.fromEntries(Object.entries({ ...sound, ...over }).filter(([, value]) => value !== undefined))
  return HttpContract.Service<any>()("payments", options as any) as unknown as HttpContract.Any
}

export const Order = Schema.Struct({ orderId: Schema.String, tenantId: Schema.String })

export const orderPlaced = (data: Schema.Codec<any, any> = Order, version?: string, previous = {}) =>
  EventType.make("com.acme.order.placed", {
    source: "https://orders.acme.com",
    data,
    ...(version === undefined ? {} : { dataschema: version, previous })
  })

export const channel = (
  over: Channel.Options<Ordering.Ordering> = {},
  event: EventType.EventType<"com.acme.order.placed", any> = orderPlaced()
) =>
  Channel.make("orders", [event], {
    ordering: Ordering.strict("tenantId"),
    partitions: 8,
    retention: "7 days",
    ...over
  } as any) as unknown as Channel.Channel<"orders", ReturnType<typeof orderPlaced>, Ordering.Ordering>

export const consumer = (
  over: { readonly [K in keyof ConsumerOf.Options]?: ConsumerOf.Options[K] | undefined } & {
    readonly dedup?: ConsumerOf.Dedup | undefined
  } = {},
  on = channel(),
  name = "billing"
): ConsumerOf.Any => {
  const options = {
    handlers: { "com.acme.order.placed": () => Effect.void },
    retry: RetryPolicy.make({ delays: ["1 second", "10 seconds", "1 minute"] }),
    dedup: { window: "14 days" },
    ...over
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  return Consumer.make(name, on, given as any)
}

export const saga = (
  build: (start: ReturnType<typeof begin>) => Saga.Any = (start) =>
    start.step("ship", { run: () => Effect.void, irreversible: "the parcel has left" })
): Saga.Any => build(begin())

const begin = () =>
  Saga.make("place-order", { payload: Order, idempotencyKey: ({ orderId }) => orderId }).step("reserve", {
    success: Schema.String,
    run: () => Effect.succeed("r-1"),
    compensate: () => Effect.void
  })

export const routes: ReadonlyArray<Integration.Route> = Integration.conditions.map((condition) => ({
  condition,
  channels: ["PagerDuty payments"],
  investigateWithin: "15 minutes",
  runbook: "https://runbooks.acme.com/payments"
}))

/** Without an error or a warning. */
export const design = (over: Partial<Integration.Options> = {}): Integration.Integration => {
  const orders = channel()
  return Integration.make("orders-to-payments", {
    criticality: "critical",
    rto: "1 hour",
    rpo: 0,
    parties: { consumer: { system: "orders", team: "Orders" }, provider: { system: "payments" } },
    contracts: [{ contract: contract(), keyRetention: "30 days" }],
    channels: [{ channel: orders, replayHorizon: "7 days", processes: 4 }],
    consumers: [consumer({}, orders)],
    sagas: [saga()],
    monitoring: {
      errorRate: { percent: 2 },
      latencyP99: { limit: "3 seconds" },
      lag: { messages: 1000, age: "5 minutes" },
      outboxAge: { limit: "1 minute" }
    },
    probes: [{ name: "charge-one-cent", every: "5 minutes" }],
    alerts: routes,
    ...over
  })
}
