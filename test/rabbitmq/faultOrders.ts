/** What the fault tests publish and consume, and how they watch a consumer at it. Child processes use it too. */
import * as callbacks from "amqplib/callback_api"
import { Data, Effect, Layer, Logger, Schema } from "effect"
import {
  Broker,
  Channel,
  Consumer,
  DedupStore,
  EventType,
  Ordering,
  Parking,
  Publisher
} from "../../src/event/index.ts"
import { ErrorAction, RetryPolicy } from "../../src/policy/index.ts"

export const OrderPlaced = EventType.make("com.acme.order.placed", {
  source: "https://acme.com/orders",
  data: Schema.Struct({ id: Schema.String, tenant: Schema.String, note: Schema.optionalKey(Schema.String) })
})
export type Event = EventType.Event<typeof OrderPlaced>

export class Overloaded extends Data.TaggedError("Overloaded") {
  readonly errorAction = ErrorAction.retry
}
export class Down extends Data.TaggedError("Down") {
  readonly errorAction = ErrorAction.make("retry", { outage: true })
  readonly outcome = "unprocessed"
}

export const unordered = (name: string, options?: Channel.Options<Ordering.None>) =>
  Channel.make(name, [OrderPlaced], { consumers: ["billing"], ...options })
export const ordered = (name: string, partitions = 2) =>
  Channel.make(name, [OrderPlaced], { ordering: Ordering.strict("tenant"), partitions, consumers: ["billing"] })
export type Orders = ReturnType<typeof unordered> | ReturnType<typeof ordered>

export const place = (channel: Orders, id: string, tenant = "t", note?: string) =>
  Publisher.publish(
    channel as ReturnType<typeof unordered>,
    OrderPlaced,
    { id, tenant, ...(note === undefined ? undefined : { note }) },
    { id }
  )

type Handle = (event: Event) => Effect.Effect<unknown, ErrorAction.Actionable, any>
export type Billing = Consumer.Consumer<
  "billing",
  ErrorAction.Actionable,
  Broker.Broker | DedupStore.DedupStore | Parking.Parking
>

export const billing = (channel: Orders, handle: Handle, options?: Consumer.Options): Billing =>
  Consumer.make("billing", channel as ReturnType<typeof ordered>, {
    handlers: { "com.acme.order.placed": handle },
    retry: RetryPolicy.make({ delays: ["100 millis", "1 second", "3 seconds"] }),
    dedup: { window: "1 day" },
    ...options
  }) as Billing

/** How often something has happened, by id. */
export class Tally {
  readonly counts = new Map<string, number>()
  add(id: string): void {
    this.counts.set(id, this.of(id) + 1)
  }
  of(id: string): number {
    return this.counts.get(id) ?? 0
  }
  get ids(): ReadonlyArray<string> {
    return [...this.counts.keys()]
  }
  /** Those that happened more than once. */
  get doubled(): ReadonlyArray<string> {
    return this.ids.filter((id) => this.of(id) > 1)
  }
}

/** Memory stores that count how often an event was claimed, and was found to be processed already. */
export const watched = () => {
  const claims = new Tally()
  const duplicates = new Tally()
  const dedup = Layer.effect(
    DedupStore.DedupStore,
    Effect.map(DedupStore.DedupStore, (real) =>
      DedupStore.DedupStore.of({
        ...real,
        claim: (group, event, lease) =>
          Effect.tap(real.claim(group, event, lease), (claim) =>
            Effect.sync(() => {
              claims.add(event.id)
              if (claim._tag === "Processed") duplicates.add(event.id)
            })
          )
      })
    )
  ).pipe(Layer.provide(DedupStore.layerMemory))
  return { claims, duplicates, layer: Layer.merge(dedup, Parking.layerMemory) }
}

export const memory = Layer.merge(DedupStore.layerMemory, Parking.layerMemory)

/** Runs a consumer on a broker until the scope closes. */
export const consume = (
  consumer: Billing,
  broker: Broker.Broker["Service"],
  stores: Layer.Layer<DedupStore.DedupStore | Parking.Parking> = memory
) =>
  Effect.asVoid(
    Layer.build(Layer.provide(consumer.layer, Layer.merge(Layer.fresh(stores), Layer.succeed(Broker.Broker, broker))))
  )

export const on = (broker: Broker.Broker["Service"]) => Effect.provideService(Broker.Broker, broker)

/** Keeps the log from the terminal, to be looked at. */
export const logBook = () => {
  const lines: Array<string> = []
  const logger = Logger.make((options) => {
    lines.push(`${options.logLevel} ${String(options.message)}`)
  })
  return { lines, layer: Logger.layer([logger]) }
}

interface Model {
  readonly connection: { readonly stream: { readonly remotePort?: number } }
  createChannel(...args: Array<unknown>): unknown
  createConfirmChannel(...args: Array<unknown>): unknown
}

/** Counts the channels that this process opens to a port. */
export const openings = (url: string, port: number) =>
  Effect.gen(function* () {
    const model = yield* Effect.callback<callbacks.Connection>((resume) =>
      callbacks.connect(url, (error: unknown, model: callbacks.Connection) =>
        resume(error === null ? Effect.succeed(model) : Effect.die(error))
      )
    )
    const prototype = Object.getPrototypeOf(model) as Model
    yield* Effect.callback<void>((resume) => model.close(() => resume(Effect.void)))
    const counted = { count: 0 }
    for (const name of ["createChannel", "createConfirmChannel"] as const) {
      const original = prototype[name]
      prototype[name] = function (this: Model, ...args) {
        if (this.connection.stream.remotePort === port) counted.count++
        return original.apply(this, args)
      }
    }
    return counted
  })

/** Whether each consumer that is wanted is there. */
export const isThere = (broker: Broker.Broker["Service"]) =>
  Effect.map(
    broker.health,
    ({ connected, subscriptions }) =>
      connected && subscriptions.length > 0 && subscriptions.every(({ present, wanted }) => present === wanted)
  )

export const emptied = (consumer: Billing, broker: Broker.Broker["Service"]) =>
  Effect.map(
    broker.depth({ channel: consumer.channel, group: consumer.name }),
    ({ delayed, ready }) => delayed === 0 && ready === 0
  )

/** `prefix-0` to `prefix-(count - 1)`. */
export const ids = (prefix: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, n) => `${prefix}-${n}`)

export const thorough = process.env["THOROUGH"] === "1"
