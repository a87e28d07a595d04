/** What the test and the consumers that it kills agree on. */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Channel, EventType, Ordering } from "../../../src/event/index.ts"

export const Order = Schema.Struct({
  key: Schema.String,
  /** Counts the orders of a key from 0. */
  n: Schema.Int,
  /** How long its handler takes, in milliseconds; such a handler cannot be interrupted. */
  slow: Schema.optionalKey(Schema.Int),
  /** The channel on which the first attempt fails. */
  failsOn: Schema.optionalKey(Schema.String)
})
export type Order = typeof Order.Type

export const OrderPlaced = EventType.make("com.acme.order.placed", { source: "https://acme.com/orders", data: Order })

/** One consumer of a process. */
export interface Job {
  readonly channel: string
  readonly strict: boolean
  readonly group: string
  readonly dedup: "claimed" | "transactional"
  /** What a handler does: a row, a charge, or a charge with a key of its own each time. */
  readonly does: "write" | "charge" | "charge with random keys"
  /** How long handlers take at most. */
  readonly work: number
  readonly prefetch: number
  readonly lease: number
  readonly timeout: number
  readonly delays: ReadonlyArray<number>
}

/** What a process is given as its first argument. */
export interface Jobs {
  readonly amqpUrl: string
  readonly databaseUrl: string
  readonly jobs: ReadonlyArray<Job>
}

/** What a process says of itself. */
export type Report =
  | { readonly _tag: "Ready" }
  | {
      readonly _tag: "Begun" | "Wrote" | "Failed"
      readonly channel: string
      readonly group: string
      readonly id: string
      readonly attempt: number
    }

export const channelOf = (job: Pick<Job, "channel" | "group" | "strict">) =>
  Channel.make<string, typeof OrderPlaced, Ordering.Ordering>(job.channel, [OrderPlaced], {
    consumers: [job.group],
    ...(job.strict ? { ordering: Ordering.strict("key"), partitions: 2 } : { ordering: Ordering.none })
  } as Channel.Options<Ordering.Ordering>)

export const Charge = Schema.Struct({ order: Schema.String, amount: Schema.Int })

export const PaymentsApi = HttpApi.make("payments").add(
  HttpApiGroup.make("charges").add(HttpApiEndpoint.post("create", "/v1/charges", { payload: Charge, success: Charge }))
)
