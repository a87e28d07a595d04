/**
 * The dead letters of a consumer: to be looked at, replayed, or purged.
 *
 * **Details**
 *
 * A dead letter is the original message, byte for byte, with headers that say why, after how many attempts and when it
 * died. Looking at it does not count as a delivery.
 *
 * **Gotchas**
 *
 * While letters are looked at, no other process sees them. `replay` first without `confirm`, a dry run: it tells which
 * events were processed meanwhile (dedup would skip them), and which come after later ones of their key.
 *
 * **Example** (Replaying what a provider's bug has refused)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { type Consumer, DeadLetters } from "effect-integration/event"
 *
 * declare const Billing: Consumer.Consumer<"billing", never, never>
 *
 * export const replayed = Effect.gen(function* () {
 *   const plan = yield* DeadLetters.replay(Billing, { where: (letter) => letter.reason === "rejected" })
 *   if (plan.breaksOrder.length > 0) return plan
 *   return yield* DeadLetters.replay(Billing, { where: (letter) => letter.reason === "rejected", confirm: true })
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Broker from "./Broker.ts"
import type { BrokerError, PublishError } from "./BrokerError.ts"
import type { CloudEvent } from "./CloudEvent.ts"
import type * as Consumer from "./Consumer.ts"
import * as DedupStore from "./DedupStore.ts"
import * as History from "./internal/history.ts"
import type { Message } from "./Message.ts"
import * as Parking from "./Parking.ts"

/**
 * A dead letter.
 *
 * **Details**
 *
 * `reason` is `rejected` (the handler's error said so), `exhausted` (no attempts left), `defect` (none left, and the
 * handler died), `invalid` (no valid event), `unknown-type`, `delivery-limit` (its handler's process died again and again),
 * or what the broker says, such as `expired`.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadLetter {
  /** The event, where the message is one. Its data is as it was sent. */
  readonly event: CloudEvent | undefined
  /** The message as its producer sent it. */
  readonly message: Message
  readonly reason: string
  /** Tag and message of the last error. */
  readonly error: string
  readonly attempts: number
  readonly firstFailedAt: Option.Option<DateTime.Utc>
  readonly deadAt: Option.Option<DateTime.Utc>
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Selection {
  /** Which letters. Default: all. */
  readonly where?: (letter: DeadLetter) => boolean
  /** How many letters are looked at, from the oldest. Default: 1000. */
  readonly limit?: number
}

const defaultLimit = 1000

const readerOf = (consumer: Consumer.Any, broker: Broker.Broker["Service"]) => {
  const { codec } = consumer.channel
  return (message: Message): DeadLetter => {
    const { attempts, deadAt, error = "", firstFailedAt, reason = brokerReason(message) } = History.readDeath(message)
    const original = History.original(message)
    return {
      event: Result.getOrUndefined(codec.decode(original, broker.binding)),
      message: original,
      reason,
      error,
      attempts,
      firstFailedAt: Option.flatMap(Option.fromUndefinedOr(firstFailedAt), DateTime.make).pipe(
        Option.map(DateTime.toUtc)
      ),
      deadAt: Option.flatMap(Option.fromUndefinedOr(deadAt), DateTime.make).pipe(Option.map(DateTime.toUtc))
    }
  }
}

/** What the broker says of a letter that it has made itself (RabbitMQ: `expired`, `delivery_limit`, `maxlen`). */
const brokerReason = ({ headers }: Message): string => {
  const reason = headers["x-first-death-reason"]
  return typeof reason === "string" ? reason.replaceAll("_", "-") : "unknown"
}

const queueOf = Effect.fnUntraced(function* (consumer: Consumer.Any) {
  const broker = yield* Broker.Broker
  const queue = broker.deadLetters({ channel: consumer.channel, group: consumer.name })
  return { queue, read: readerOf(consumer, broker) }
})

/** How many there are. @category getters @since 0.1.0 */
export const count = (consumer: Consumer.Any): Effect.Effect<number, BrokerError, Broker.Broker> =>
  Effect.map(
    Broker.Broker.use((broker) => broker.depth({ channel: consumer.channel, group: consumer.name })),
    (depth) => depth.deadLetters
  )

/** Letters from the oldest, which stay where they are. @category getters @since 0.1.0 */
export const list = Effect.fnUntraced(function* (
  consumer: Consumer.Any,
  selection?: Selection
): Effect.fn.Return<ReadonlyArray<DeadLetter>, BrokerError | PublishError, Broker.Broker> {
  const { queue, read } = yield* queueOf(consumer)
  const letters: Array<DeadLetter> = []
  const visitor = (message: Message) =>
    Effect.sync(() => {
      const letter = read(message)
      if (selection?.where?.(letter) !== false) letters.push(letter)
      return Broker.Verdict.Keep()
    })
  yield* queue.visit(visitor, { limit: selection?.limit ?? defaultLimit })
  return letters
})

/** The oldest letter, which stays where it is. @category getters @since 0.1.0 */
export const peek = (
  consumer: Consumer.Any
): Effect.Effect<Option.Option<DeadLetter>, BrokerError | PublishError, Broker.Broker> =>
  Effect.map(list(consumer, { limit: 1 }), ([first]) => Option.fromUndefinedOr(first))

/**
 * What a replay does, or would do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Replay {
  /** Whether the letters were replayed, or this was a dry run. */
  readonly confirmed: boolean
  /** The letters that were selected, `processed` left out. */
  readonly letters: ReadonlyArray<DeadLetter>
  /** Events that were processed meanwhile. They are not replayed, and stay. */
  readonly processed: ReadonlyArray<DeadLetter>
  /** Events of a strictly ordered channel whose key was worked on since they died: later ones may be done already. */
  readonly breaksOrder: ReadonlyArray<DeadLetter>
}

/**
 * Puts the originals of letters into the queue of their group again, with all attempts before them. Without `confirm` it is
 * a dry run.
 *
 * **Details**
 *
 * Events that were processed meanwhile are told apart where a `DedupStore` is there, those out of order where `Parking` is.
 *
 * @category combinators
 * @since 0.1.0
 */
export const replay = Effect.fnUntraced(function* (
  consumer: Consumer.Any,
  options: Selection & { readonly confirm?: boolean }
): Effect.fn.Return<
  Replay,
  BrokerError | PublishError | DedupStore.DedupStoreError | Parking.ParkingError,
  Broker.Broker
> {
  const { queue, read } = yield* queueOf(consumer)
  const store = yield* Effect.serviceOption(DedupStore.DedupStore)
  const parking = yield* Effect.serviceOption(Parking.Parking)
  const confirmed = options.confirm === true
  const letters: Array<DeadLetter> = []
  const processed: Array<DeadLetter> = []
  const breaksOrder: Array<DeadLetter> = []

  const isProcessed = (letter: DeadLetter) =>
    letter.event === undefined || Option.isNone(store)
      ? Effect.succeed(false)
      : Effect.map(store.value.processed(consumer.name, [letter.event]), ([done]) => done === true)
  const isOvertaken = Effect.fnUntraced(function* (letter: DeadLetter) {
    const { key } = letter.message
    if (consumer.channel.ordering._tag !== "Strict" || key === undefined) return false
    if (Option.isNone(parking) || Option.isNone(letter.deadAt)) return false
    const [workedAt] = yield* parking.value.lastWorked(Parking.groupOf(consumer.channel, consumer.name), [key])
    return workedAt !== undefined && workedAt > DateTime.toEpochMillis(letter.deadAt.value)
  })

  const visitor = Effect.fnUntraced(function* (message: Message) {
    const letter = read(message)
    if (options.where?.(letter) === false) return Broker.Verdict.Keep()
    if (yield* isProcessed(letter)) {
      processed.push(letter)
      return Broker.Verdict.Keep()
    }
    letters.push(letter)
    if (yield* isOvertaken(letter)) breaksOrder.push(letter)
    return confirmed ? Broker.Verdict.Replay({ message: letter.message }) : Broker.Verdict.Keep()
  })
  yield* queue.visit(visitor, { limit: options.limit ?? defaultLimit })
  return { confirmed, letters, processed, breaksOrder }
})

/** Removes letters for good. Gives them. @category combinators @since 0.1.0 */
export const purge = Effect.fnUntraced(function* (
  consumer: Consumer.Any,
  selection: Selection & Required<Pick<Selection, "where">>
): Effect.fn.Return<ReadonlyArray<DeadLetter>, BrokerError | PublishError, Broker.Broker> {
  const { queue, read } = yield* queueOf(consumer)
  const purged: Array<DeadLetter> = []
  const visitor = (message: Message) =>
    Effect.sync(() => {
      const letter = read(message)
      if (!selection.where(letter)) return Broker.Verdict.Keep()
      purged.push(letter)
      return Broker.Verdict.Remove()
    })
  yield* queue.visit(visitor, { limit: selection.limit ?? defaultLimit })
  return purged
})
