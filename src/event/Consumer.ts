/**
 * A consumer: the handlers of a group for the events of a channel, with retry, dead letters, dedup and order.
 *
 * Each message goes through: decode, dedup, handler, settle. What becomes of a failed one is decided by the `ErrorAction`
 * of the handler's typed error:
 *
 * - `skip`: it is done already, so it is acknowledged.
 * - `retry`, `wait`, `refresh`: it is delivered again after the delay of the retry policy; when the attempts are exhausted,
 *   it goes to the dead letters.
 * - `fail`: it goes to the dead letters at once, and people are told where the action says so.
 * - An error of the outage class is not this message's fault: the consumer pauses until whatever is down is back (as long
 *   as the error's `retryAfter` says, else 1 s doubled up to 30 s), lets one message try, and goes on when that succeeds.
 *   No attempt is spent. Only where others succeed while one message always ends like this does it spend its attempts.
 *
 * **Details**
 *
 * - A defect of a handler, and one that takes longer than `timeout`, count as `retry`.
 * - Messages that are no valid events go to the dead letters as they are, byte for byte.
 * - On a channel of strict order, events of one key are handled one at a time. One that must be tried later is parked in a
 *   durable store (`Parking`) with those of its key that follow; all other keys go on.
 * - In a handler, idempotency keys and ids of published events are derived from the event, so a redelivered event does
 *   the same again and not another thing. Request id and trace of the event are continued.
 *
 * **Gotchas**
 *
 * Delivery is at least once. With dedup in `claimed` mode a handler may run twice after a crash; in `transactional` mode
 * its writes to the store's database happen once.
 *
 * **Example** (Retry, dead letters and dedup)
 *
 * ```ts
 * import { Data, Effect, Layer, Schema } from "effect"
 * import { Channel, Consumer, DedupStore, EventType, MemoryBroker } from "effect-integration/event"
 * import { ErrorAction, RetryPolicy } from "effect-integration/policy"
 *
 * class NoSuchAddress extends Data.TaggedError("NoSuchAddress")<{}> {
 *   readonly errorAction = ErrorAction.fail
 * }
 * declare const sendMail: (order: string) => Effect.Effect<void, NoSuchAddress>
 *
 * const OrderPlaced = EventType.make("com.acme.order.placed", {
 *   source: "https://acme.com/orders",
 *   data: Schema.Struct({ orderId: Schema.String })
 * })
 * const Orders = Channel.make("orders", [OrderPlaced])
 *
 * export const Mailer = Consumer.make("mailer", Orders, {
 *   handlers: { "com.acme.order.placed": (event) => sendMail(event.data.orderId) },
 *   retry: RetryPolicy.make({ delays: ["1 second", "10 seconds", "1 minute"] }),
 *   dedup: { window: "14 days" }
 * })
 *
 * export const main = Mailer.layer.pipe(Layer.provide([MemoryBroker.layer, DedupStore.layerMemory]))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { makeAlarms } from "../internal/alarm.ts"
import * as Option from "../internal/option.ts"
import type * as ErrorAction from "../policy/ErrorAction.ts"
import * as RequestContext from "../policy/RequestContext.ts"
import type * as RetryPolicy from "../policy/RetryPolicy.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Broker from "./Broker.ts"
import type { BrokerError } from "./BrokerError.ts"
import * as Channel from "./Channel.ts"
import type { CurrentDelivery } from "./CurrentDelivery.ts"
import * as DedupStore from "./DedupStore.ts"
import type * as EventType from "./EventType.ts"
import * as Control from "./internal/control.ts"
import * as Purge from "./internal/purge.ts"
import * as Reader from "./internal/reader.ts"
import type { Setup } from "./internal/setup.ts"
import type * as Ordering from "./Ordering.ts"
import * as Parking from "./Parking.ts"

/**
 * Handles the events of a type. It fails only with errors that say what is to be done about them.
 *
 * **Gotchas**
 *
 * The event of a handler made by `Effect.fn` must be annotated, since TypeScript does not infer it there:
 * `Effect.fn("placed")(function* (event: EventType.Event<typeof OrderPlaced>) { ... })`.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<Event> = (event: Event) => Effect.Effect<unknown, ErrorAction.Actionable, any>

/** A handler for each event type. @category models @since 0.1.0 */
export type Handlers<Events extends EventType.Any> = {
  readonly [E in Events as E["type"]]: Handler<EventType.Event<E>>
}

/** Refuses handlers of other events. No conditional type, or the parameters of generator handlers would not be inferred. */
type Foreign<H, Events extends EventType.Any> = {
  readonly handlers: { readonly [K in Exclude<keyof H, Events["type"]>]: "not an event type of this channel" }
}

type Result<H> = { [K in keyof H]: H[K] extends (...args: any) => infer A ? A : never }[keyof H]

/** What the handlers can fail with. @category models @since 0.1.0 */
export type Error<H> = Result<H> extends infer A ? (A extends Effect.Effect<any, infer E, any> ? E : never) : never

/** What the handlers need. @category models @since 0.1.0 */
export type Services<H> = Result<H> extends infer A ? (A extends Effect.Effect<any, any, infer R> ? R : never) : never

/**
 * How events are handled once.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dedup {
  /** How long processed events are remembered. Longer than any redelivery and replay. */
  readonly window: Duration.Input
  /**
   * `claimed` (default): a lease keeps two processes from handling one event at once; after a crash it is handled again.
   * `transactional`: the mark and the handler's writes through the store's `SqlClient` commit together.
   */
  readonly mode?: "claimed" | "transactional"
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Consumer<out Name extends string, out E, out R> {
  readonly name: Name
  readonly "~Error": E
  readonly channel: Channel.Any
  readonly options: Resolved
  /** Consumes for as long as the layer is there. Fails where the broker refuses the first subscription. */
  readonly layer: Layer.Layer<never, BrokerError, R>
}

/** The options of a consumer with their defaults. @category models @since 0.1.0 */
export interface Resolved {
  readonly types: ReadonlyArray<string>
  readonly retry: RetryPolicy.RetryPolicy | undefined
  readonly dedup: { readonly window: Duration.Duration; readonly mode: "claimed" | "transactional" } | undefined
  readonly prefetch: number
  readonly timeout: Duration.Duration
  readonly lease: Duration.Duration
  readonly drain: Duration.Duration
  readonly maxRedeliveries: number
  readonly hold: Duration.Duration
}

/** @category models @since 0.1.0 */
export interface Any extends Consumer<string, unknown, any> {}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** When a failed event is tried again. Default: never. */
  readonly retry?: RetryPolicy.RetryPolicy
  /** How many messages are in hand, and handled, at once. Default: 64. At least the channel's partitions. */
  readonly prefetch?: number
  /** How long a handler may take. Default: 30 seconds. */
  readonly timeout?: Duration.Input
  /**
   * How long a process that has died, or was stalled, keeps others from its event (claimed dedup) or its key (strict
   * order). Renewed while the process lives. Default: 30 seconds.
   */
  readonly lease?: Duration.Input
  /** How long the messages in hand may take when the consumer ends. Default: 30 seconds. */
  readonly drain?: Duration.Input
  /** How often a message may be given out and not settled, because its consumer died. Default: 10. */
  readonly maxRedeliveries?: number
  /** How long a message is held during an outage before it is moved to the delay queue. Default: 10 minutes. */
  readonly hold?: Duration.Input
}

/**
 * A consumer.
 *
 * **Details**
 *
 * There must be a handler for each event type of the channel. The layer needs
 * what the handlers need, the `Broker`, a `DedupStore` where there is dedup, and `Parking` where the order is strict. Throws
 * `InvalidOption` for options that make no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Name extends string,
  ChannelName extends string,
  Events extends EventType.Any,
  Order extends Ordering.Ordering,
  H extends Handlers<Events>,
  D extends Dedup | undefined = undefined
>(
  name: Name,
  channel: Channel.Channel<ChannelName, Events, Order>,
  options: { readonly handlers: H; readonly dedup?: D } & Options & Foreign<H, Events>
): Consumer<
  Name,
  Error<H>,
  | Broker.Broker
  | (D extends Dedup ? DedupStore.DedupStore : never)
  | (Order extends Ordering.Strict ? Parking.Parking : never)
  | Exclude<Services<H>, Scope.Scope | CurrentDelivery>
  | EventType.DecodingServices<Events>
> => {
  const { handlers, ...given } = options as unknown as Given
  const resolved = resolve(name, channel, handlers, given)
  const layer = Layer.effectDiscard(launch(name, channel, handlers, resolved))
  return { name, "~Error": undefined as never, channel, options: resolved, layer: layer as any }
}

/** What is left of the types of the options. */
interface Given extends Options {
  readonly handlers: Setup["handlers"]
  readonly dedup?: Dedup
}

const where = "Consumer.make"

const resolve = (
  name: string,
  channel: Channel.Any,
  handlers: Setup["handlers"],
  options: { readonly dedup?: Dedup } & Options
): Resolved => {
  if (!Channel.isGroupName(name)) Option.reject(where, "name", name, Channel.groupNames)
  for (const [type, handler] of Object.entries(handlers)) {
    if (typeof handler !== "function") Option.reject(where, `handlers.${type}`, handler, "a function")
  }
  const duration = (option: string, input: Duration.Input) => Duration.millis(Option.millis(where, option, input))
  const { dedup } = options
  // Names whose metrics would be the same are refused here, and not when the layer is built.
  Telemetry.recorder(name)
  return {
    types: Object.keys(handlers),
    retry: options.retry,
    dedup:
      dedup === undefined
        ? undefined
        : {
            window: duration("dedup.window", dedup.window),
            mode: Option.word(where, "dedup.mode", dedup.mode ?? "claimed", ["claimed", "transactional"])
          },
    prefetch: Option.number(where, "prefetch", options.prefetch ?? Math.max(64, channel.partitions), {
      min: channel.partitions,
      max: 65_535,
      integer: true
    }),
    timeout: duration("timeout", options.timeout ?? "30 seconds"),
    lease: duration("lease", options.lease ?? "30 seconds"),
    drain: Duration.millis(Option.millisOrZero(where, "drain", options.drain ?? "30 seconds")),
    maxRedeliveries: Option.number(where, "maxRedeliveries", options.maxRedeliveries ?? 10, { min: 1, integer: true }),
    hold: duration("hold", options.hold ?? "10 minutes")
  }
}

const alarms = makeAlarms()

const launch = Effect.fnUntraced(function* (
  name: string,
  channel: Channel.Any,
  handlers: Setup["handlers"],
  options: Resolved
) {
  const context = yield* Effect.context<Broker.Broker>()
  const broker = Context.get(context, Broker.Broker)
  const clock = yield* Clock.Clock
  const setup: Setup = {
    name,
    channel,
    handlers,
    retry: options.retry,
    dedup: options.dedup,
    lease: options.lease,
    leaseMillis: Duration.toMillis(options.lease),
    timeout: options.timeout,
    timeoutMillis: Duration.toMillis(options.timeout),
    heldMillis: Duration.toMillis(options.hold),
    maxRedeliveries: options.maxRedeliveries,
    broker,
    store: options.dedup === undefined ? undefined : yield* DedupStore.DedupStore,
    parking: channel.ordering._tag === "Strict" ? yield* Parking.Parking : undefined,
    read: Reader.make(channel, broker.binding),
    context,
    fork: Effect.runForkWith(context),
    alarm: alarms(clock),
    recorder: Telemetry.recorder(name),
    synthetic: Context.add(context, Telemetry.Synthetic, true),
    unrecorded: new WeakSet(),
    inHand: new Set(),
    traced: Context.get(context, Tracer.Tracer) !== Context.get(Context.empty(), Tracer.Tracer)
  }
  const owner = Context.get(context, RequestContext.IdGenerator)()
  yield* Control.launch(setup, { prefetch: options.prefetch, drain: options.drain, owner })
  yield* Effect.forkScoped(Purge.run(setup))
})
