/**
 * Publishes events in the caller's database transaction (section 4.4): the event is stored beside what it tells of, and is
 * published if and only if the transaction commits. An `OutboxRelay` publishes what was stored.
 *
 * The stores: `SqlOutbox` in `effect-integration/sql` (SQLite, PostgreSQL, MySQL), `MemoryOutbox` for tests.
 *
 * **Details**
 *
 * - `publish` takes what `Publisher.publish` takes, and checks it as that does: data, schema, key, and that the codec of
 *   the channel can write the event. It returns when the event is stored, not when it is published.
 * - Events of one key of a strictly ordered channel are published in the order in which their transactions commit. For
 *   that, transactions of one key wait for one another: from the first `publish` of the key until they end. Two that use
 *   several keys in opposite orders can deadlock: the database ends one of them, which fails as `unavailable` and can be
 *   run again as a whole.
 * - Delivery is at least once: a relay that dies between the broker's confirm and the removal of the row leaves it to be
 *   published again, with the same (source, id), and an event that is stored twice is published twice. Consumers with
 *   dedup handle it once.
 * - The table is bounded: from `maxPending` events on, `publish` fails as `full`.
 * - An event that the broker will not have is set aside: kept whole, with what is wrong with it, until it is tried again
 *   or discarded.
 *
 * **Gotchas**
 *
 * - Outside of a transaction of the store's database, `publish` is a transaction of its own. Whether it is inside of one
 *   is decided by the `SqlClient`: a transaction of another client is not the store's.
 * - After a failed `publish` a transaction of PostgreSQL can only be rolled back.
 * - Order is kept among what goes through the outbox, not between it and what `Publisher` sends on the same channel.
 *
 * **Example** (A row and its event)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { SqlClient } from "effect/sql"
 * import { Channel, EventType, Outbox } from "effect-integration/event"
 *
 * const OrderPlaced = EventType.make("com.acme.order.placed", {
 *   source: "https://acme.com/orders",
 *   data: Schema.Struct({ orderId: Schema.String })
 * })
 * const Orders = Channel.make("orders", [OrderPlaced], { consumers: ["billing"] })
 *
 * export const place = Effect.fn("place")(function* (orderId: string) {
 *   const sql = yield* SqlClient.SqlClient
 *   yield* sql.withTransaction(
 *     Effect.andThen(
 *       sql`INSERT INTO orders ${sql.insert({ id: orderId })}`,
 *       Outbox.publish(Orders, OrderPlaced, { orderId })
 *     )
 *   )
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Channel from "./Channel.ts"
import { type CloudEvent, InvalidEvent } from "./CloudEvent.ts"
import type * as EventType from "./EventType.ts"
import { build, messageOf, recorderOf } from "./internal/building.ts"
import * as Structured from "./internal/cloudEventStructured.ts"
import type { Depth, Entry, Lease, OutboxError, Pending, SetAside } from "./internal/storedEvent.ts"
import * as Tracing from "./internal/tracing.ts"
import type * as Ordering from "./Ordering.ts"
import type { Options } from "./Publisher.ts"

export {
  bucketOf,
  buckets,
  type Depth,
  type Entry,
  type Lease,
  OutboxError,
  type Pending,
  type Reason,
  type SetAside,
  share
} from "./internal/storedEvent.ts"

/**
 * The store.
 *
 * @category services
 * @since 0.1.0
 */
export class Outbox extends Context.Service<
  Outbox,
  {
    /** Stores an event, in the caller's transaction where there is one. */
    readonly add: (entry: Entry) => Effect.Effect<void, OutboxError>
    /**
     * Calls back when an event may have been committed, with its channel where that is known. It may miss some, so it
     * replaces no polling.
     */
    readonly watch: (listener: (channel: string | undefined) => void) => Effect.Effect<void, never, Scope.Scope>
    /**
     * Says that a relay lives and publishes these channels, prolongs its leases from now, and takes free buckets up to its
     * share (`share`). Gives all that it holds. Those above its share are `surplus`: to be released when nothing of them is
     * under way.
     */
    readonly lease: (relay: {
      readonly owner: string
      readonly channels: ReadonlyArray<string>
      readonly lease: Duration.Duration
    }) => Effect.Effect<ReadonlyArray<Lease & { readonly surplus: boolean }>, OutboxError>
    /** Gives leases up; with `leaves` the relay is gone, and what others may hold is more from now on. */
    readonly release: (
      owner: string,
      leases: ReadonlyArray<Lease>,
      options: { readonly leaves: boolean }
    ) => Effect.Effect<void, OutboxError>
    /**
     * Events of the buckets that the owner holds, by position: neither those that are `known`, nor those of `busy` or
     * halted keys.
     */
    readonly pending: (query: {
      readonly owner: string
      readonly channel: string
      readonly known: ReadonlyArray<number>
      readonly busy: ReadonlyArray<string>
      readonly limit: number
    }) => Effect.Effect<ReadonlyArray<Pending>, OutboxError>
    /** Removes events that were published. */
    readonly remove: (positions: ReadonlyArray<number>) => Effect.Effect<void, OutboxError>
    /** Counts a failed attempt; false where the event is not pending any more, or its lease was lost. */
    readonly attempted: (owner: string, event: Pending, error: string) => Effect.Effect<boolean, OutboxError>
    /** Counts a failed attempt, and sets the event aside; `None` where it is not pending any more, or its lease was lost. */
    readonly putAside: (
      owner: string,
      event: Pending,
      failure: Pick<SetAside, "reason" | "error" | "halts">
    ) => Effect.Effect<Option.Option<SetAside>, OutboxError>
    /** Events that were set aside, oldest first. */
    readonly setAside: (selection: {
      readonly channel: string | undefined
      readonly limit: number
    }) => Effect.Effect<ReadonlyArray<SetAside>, OutboxError>
    /** Makes events that were set aside pending again, at their old positions, as if they had never failed. */
    readonly retry: (positions: ReadonlyArray<number>) => Effect.Effect<number, OutboxError>
    /** Removes events that were set aside. */
    readonly discard: (positions: ReadonlyArray<number>) => Effect.Effect<number, OutboxError>
    readonly depth: Effect.Effect<ReadonlyArray<Depth>, OutboxError>
  }
>()("effect-integration/event/Outbox") {}

/**
 * Stores an event of a type to be published, and gives it as it will be.
 *
 * **Details**
 *
 * Fails with `InvalidEvent` as `Publisher.publish` does; nothing was stored then, and the transaction can go on.
 *
 * @category combinators
 * @since 0.1.0
 */
export const publish: <Events extends EventType.Any, const Type extends Events["type"], Data extends Schema.Constraint>(
  channel: Channel.Channel<string, Events, Ordering.Ordering>,
  type: EventType.EventType<Type, Data>,
  data: NoInfer<Data["Type"]>,
  options?: Options
) => Effect.Effect<CloudEvent<Type, Data["Type"]>, OutboxError | InvalidEvent, Outbox | Data["EncodingServices"]> = ((
  channel: Channel.Any,
  type: EventType.Any,
  data: unknown,
  options?: Options
) => Tracing.produced(channel, "create", store(channel, type, data, options))) as any

const store = Effect.fnUntraced(function* (
  channel: Channel.Any,
  type: EventType.Any,
  data: unknown,
  options: Options = {}
): Effect.fn.Return<CloudEvent<any, any>, OutboxError | InvalidEvent, Outbox> {
  const outbox = yield* Outbox
  const { context, event, key } = yield* build(channel, type, data, options)
  // What the codec refuses is the caller's to know, and not the relay's.
  yield* messageOf(channel, event, key, "amqp")
  const text = Structured.write(event)
  if (text instanceof InvalidEvent) return yield* text
  const { id, source } = event
  const added = outbox.add({ channel: channel.name, key, source, id, type: event.type, event: text })
  const recorder = recorderOf(channel)
  yield* Effect.onExit(added, (exit) =>
    Effect.sync(() => {
      const failed = exit._tag === "Failure" ? exit.cause.reasons.find((reason) => reason._tag === "Fail") : undefined
      recorder.published(exit._tag === "Success" ? "stored" : (failed?.error.reason ?? "interrupted"), context)
    })
  )
  return { ...event, data }
})

/** @category models @since 0.1.0 */
export interface Selection {
  /** Default: all channels. */
  readonly channel?: { readonly name: string }
  /** How many events at most, from the oldest. Default: 1000. */
  readonly limit?: number
}

/** Events that were set aside, which stay so. @category getters @since 0.1.0 */
export const setAside = (selection: Selection = {}): Effect.Effect<ReadonlyArray<SetAside>, OutboxError, Outbox> =>
  Outbox.use((outbox) => outbox.setAside({ channel: selection.channel?.name, limit: selection.limit ?? 1000 }))

/**
 * Lets events that were set aside be published again, from their first attempt on. Gives how many there were.
 *
 * **Gotchas**
 *
 * One that has halted its key comes before those that have waited for it. Otherwise the key has gone on, and it comes
 * after later events of its key.
 *
 * @category combinators
 * @since 0.1.0
 */
export const retry = (events: ReadonlyArray<SetAside>): Effect.Effect<number, OutboxError, Outbox> =>
  Outbox.use((outbox) => outbox.retry(events.map((event) => event.position)))

/**
 * Removes events that were set aside, for good. A key that was halted by one goes on. Gives how many there were.
 *
 * @category combinators
 * @since 0.1.0
 */
export const discard = (events: ReadonlyArray<SetAside>): Effect.Effect<number, OutboxError, Outbox> =>
  Outbox.use((outbox) => outbox.discard(events.map((event) => event.position)))

/** What is stored, by channel: for health and metrics. @category getters @since 0.1.0 */
export const depth: Effect.Effect<ReadonlyArray<Depth>, OutboxError, Outbox> = Outbox.use((outbox) => outbox.depth)
