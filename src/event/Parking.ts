/**
 * Where messages of a strictly ordered channel wait when one of their key must be retried later, and who may work on a
 * key. `layerMemory` is of one process; SQLite, PostgreSQL and MySQL are in `effect-integration/sql`.
 *
 * **Details**
 *
 * - A key of a group is worked on under a lease. Each lease has a higher token than the one before (a fencing token):
 *   whoever lost it can no longer park, change or remove a message, nor `confirm`.
 * - Messages of a key are kept in the order in which they were parked. Only the first is due; the others wait behind it.
 * - Leases and due times are measured by the store's own clock.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { monotonicMillis } from "../internal/monotonic.ts"
import * as ErrorAction from "../policy/ErrorAction.ts"
import type { Identity } from "./DedupStore.ts"
import type { Message } from "./Message.ts"

const down = ErrorAction.make("retry", { circuit: "ignored", outage: true, guidance: "wait until the store is back" })

/**
 * The store could not be asked, or did not answer: whether it did what it was asked is not known.
 *
 * @category errors
 * @since 0.1.0
 */
export class ParkingError extends Schema.TaggedError<ParkingError>()("ParkingError", {
  operation: Schema.String,
  /** Without credentials. */
  description: Schema.String
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return down
  }
  /** No handler is to blame: whatever is not known of the store, the message keeps its attempts. */
  get outcome(): ErrorAction.Outcome {
    return "unprocessed"
  }
  override get message(): string {
    return `the store of parked messages could not ${this.operation}: ${this.description}`
  }
}

/**
 * The right to work on a key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lease {
  readonly group: string
  readonly key: string
  readonly owner: string
  readonly token: number
}

/**
 * What became of asking for a key: `Acquired` (also where the owner had it already: its lease is prolonged and keeps its
 * token), with how many messages are parked and whether the key is halted; `Held` by another, whose lease ends after `remaining` unless it is renewed.
 *
 * @category models
 * @since 0.1.0
 */
export type Acquisition = Data.TaggedEnum<{
  Acquired: { readonly lease: Lease; readonly parked: number; readonly halted: boolean }
  Held: { readonly remaining: Duration.Duration }
}>
/** @category constructors @since 0.1.0 */
export const Acquisition = Data.taggedEnum<Acquisition>()

/**
 * A parked message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parked {
  /** Its place among those of its key: rising, not without gaps. */
  readonly position: number
  readonly identity: Identity
  readonly message: Message
  /** Until it is due; zero where it is. */
  readonly remaining: Duration.Duration
}

/**
 * The service. `group` stands for the consumers of a channel: `Parking.groupOf(Orders, "billing")`.
 *
 * @category services
 * @since 0.1.0
 */
export class Parking extends Context.Service<
  Parking,
  {
    readonly acquire: (
      group: string,
      key: string,
      owner: string,
      lease: Duration.Duration
    ) => Effect.Effect<Acquisition, ParkingError>
    /** Prolongs leases of one group and owner from now. Gives those that were lost. */
    readonly renew: (
      leases: ReadonlyArray<Lease>,
      lease: Duration.Duration
    ) => Effect.Effect<ReadonlyArray<Lease>, ParkingError>
    /** Gives leases up; nothing where they were lost. */
    readonly release: (leases: ReadonlyArray<Lease>) => Effect.Effect<void, ParkingError>
    /**
     * Whether the lease is still held, asked within the caller's transaction where the store can: then nobody else can
     * have acquired the key before the transaction has ended. Keeps that the key was worked on now.
     */
    readonly confirm: (lease: Lease) => Effect.Effect<boolean, ParkingError>
    /**
     * Puts a message behind those of its key, due after `after`; false where the lease was lost. One that is parked
     * already (by its identity) stays where it is.
     */
    readonly park: (
      lease: Lease,
      identity: Identity,
      message: Message,
      after: Duration.Duration
    ) => Effect.Effect<boolean, ParkingError>
    /** The first message of the key. */
    readonly first: (lease: Lease) => Effect.Effect<Option.Option<Parked>, ParkingError>
    /** Changes the first message's headers and due time; false where the lease was lost. */
    readonly postpone: (
      lease: Lease,
      position: number,
      message: Message,
      after: Duration.Duration
    ) => Effect.Effect<boolean, ParkingError>
    /** Removes a message; false where the lease was lost. */
    readonly remove: (lease: Lease, position: number) => Effect.Effect<boolean, ParkingError>
    /** Keys whose first message is due, that are not halted, and that nobody has a lease of; at most `limit`. */
    readonly due: (group: string, limit: number) => Effect.Effect<ReadonlyArray<string>, ParkingError>
    /** Halts a key: it is not due until it is resumed; false where the lease was lost. */
    readonly halt: (lease: Lease, reason: string) => Effect.Effect<boolean, ParkingError>
    /** Lets a halted key go on at once; false where it was not halted. */
    readonly resume: (group: string, key: string) => Effect.Effect<boolean, ParkingError>
    /** Keys with parked messages: how many, and why they are halted where they are. Oldest first. */
    readonly keys: (
      group: string,
      limit: number
    ) => Effect.Effect<
      ReadonlyArray<{ readonly key: string; readonly parked: number; readonly halted: string | undefined }>,
      ParkingError
    >
    /** How many messages of a group are parked, and the one that was parked first. */
    readonly depth: (
      group: string
    ) => Effect.Effect<{ readonly parked: number; readonly oldest: Option.Option<Message> }, ParkingError>
    /** When each key was last worked on, in epoch milliseconds of the store; `undefined` where it is not known. */
    readonly lastWorked: (
      group: string,
      keys: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyArray<number | undefined>, ParkingError>
    /** Forgets keys without parked messages and leases that were last worked on longer than this ago. */
    readonly purge: (group: string, olderThan: Duration.Duration) => Effect.Effect<number, ParkingError>
  }
>()("effect-integration/event/Parking") {}

/**
 * What the store knows the consumers of a channel by: for `keys`, and for `resume` of a halted key.
 *
 * @category getters
 * @since 0.1.0
 */
export const groupOf = (channel: { readonly name: string }, consumer: string): string => `${channel.name}/${consumer}`

interface Waiting {
  readonly position: number
  readonly identity: Identity
  message: Message
  /** Monotonic milliseconds. */
  dueAt: number
}

interface Key {
  owner: string | undefined
  token: number
  /** Monotonic milliseconds. */
  endsAt: number
  halted: string | undefined
  workedAt: number | undefined
  readonly waiting: Array<Waiting>
}

/**
 * Parked messages in the memory of this process: the companion of the memory broker.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<Parking> = Layer.effect(
  Parking,
  Effect.map(Clock.Clock, (clock) => {
    const now = () => monotonicMillis(clock)
    const groups = new Map<string, Map<string, Key>>()
    let tokens = 0
    let positions = 0
    const groupOf = (name: string): Map<string, Key> => {
      let group = groups.get(name)
      if (group === undefined) groups.set(name, (group = new Map()))
      return group
    }
    const held = (lease: Lease): Key | undefined => {
      const key = groupOf(lease.group).get(lease.key)
      return key?.owner === lease.owner && key.token === lease.token ? key : undefined
    }
    /** Does something with a key that is still held; false where it is not. */
    const fenced = (lease: Lease, change: (key: Key) => void) =>
      Effect.sync(() => {
        const key = held(lease)
        if (key !== undefined) change(key)
        return key !== undefined
      })
    const remaining = (at: number) => Duration.millis(Math.max(at - now(), 0))

    return Parking.of({
      acquire: (name, key, owner, lease) =>
        Effect.sync(() => {
          const group = groupOf(name)
          let found = group.get(key)
          if (found === undefined) {
            found = { owner: undefined, token: 0, endsAt: 0, halted: undefined, workedAt: undefined, waiting: [] }
            group.set(key, found)
          }
          const free = found.owner === undefined || found.endsAt <= now()
          if (!free && found.owner !== owner) return Acquisition.Held({ remaining: remaining(found.endsAt) })
          if (found.owner !== owner) found.token = ++tokens
          found.owner = owner
          found.endsAt = now() + Duration.toMillis(lease)
          return Acquisition.Acquired({
            lease: { group: name, key, owner, token: found.token },
            parked: found.waiting.length,
            halted: found.halted !== undefined
          })
        }),
      renew: (leases, lease) =>
        Effect.sync(() =>
          leases.filter((each) => {
            const key = held(each)
            if (key !== undefined) key.endsAt = now() + Duration.toMillis(lease)
            return key === undefined
          })
        ),
      release: (leases) =>
        Effect.sync(() => {
          for (const lease of leases) {
            const key = held(lease)
            if (key !== undefined) key.owner = undefined
          }
        }),
      confirm: (lease) =>
        fenced(lease, (key) => {
          key.workedAt = clock.currentTimeMillisUnsafe()
        }),
      park: (lease, identity, message, after) =>
        fenced(lease, ({ waiting }) => {
          const known = waiting.some(
            (each) => each.identity.id === identity.id && each.identity.source === identity.source
          )
          if (known) return
          waiting.push({ position: ++positions, identity, message, dueAt: now() + Duration.toMillis(after) })
        }),
      first: (lease) =>
        Effect.sync(() => {
          const first = groupOf(lease.group).get(lease.key)?.waiting[0]
          if (first === undefined) return Option.none()
          const { dueAt, identity, message, position } = first
          return Option.some({ position, identity, message, remaining: remaining(dueAt) })
        }),
      postpone: (lease, position, message, after) =>
        fenced(lease, ({ waiting }) => {
          const found = waiting.find((each) => each.position === position)
          if (found === undefined) return
          found.message = message
          found.dueAt = now() + Duration.toMillis(after)
        }),
      remove: (lease, position) =>
        fenced(lease, ({ waiting }) => {
          const place = waiting.findIndex((each) => each.position === position)
          if (place >= 0) waiting.splice(place, 1)
        }),
      due: (name, limit) =>
        Effect.sync(() => {
          const due: Array<string> = []
          for (const [key, { endsAt, halted, owner, waiting }] of groupOf(name)) {
            if (due.length >= limit) break
            const free = owner === undefined || endsAt <= now()
            if (free && halted === undefined && waiting.length > 0 && waiting[0]!.dueAt <= now()) due.push(key)
          }
          return due
        }),
      halt: (lease, reason) =>
        fenced(lease, (key) => {
          key.halted = reason
        }),
      resume: (name, key) =>
        Effect.sync(() => {
          const found = groupOf(name).get(key)
          if (found?.halted === undefined) return false
          found.halted = undefined
          if (found.waiting[0] !== undefined) found.waiting[0].dueAt = now()
          return true
        }),
      keys: (name, limit) =>
        Effect.sync(() =>
          Array.from(groupOf(name))
            .filter(([, { waiting }]) => waiting.length > 0)
            .toSorted(([, a], [, b]) => a.waiting[0]!.position - b.waiting[0]!.position)
            .slice(0, limit)
            .map(([key, { halted, waiting }]) => ({ key, parked: waiting.length, halted }))
        ),
      depth: (name) =>
        Effect.sync(() => {
          const all = Array.from(groupOf(name).values())
          const firsts = all.flatMap(({ waiting }) => waiting[0] ?? []).toSorted((a, b) => a.position - b.position)
          return {
            parked: all.reduce((sum, { waiting }) => sum + waiting.length, 0),
            oldest: Option.map(Option.fromNullishOr(firsts[0]), ({ message }) => message)
          }
        }),
      lastWorked: (name, keys) => Effect.sync(() => keys.map((key) => groupOf(name).get(key)?.workedAt)),
      purge: (name, olderThan) =>
        Effect.sync(() => {
          const group = groupOf(name)
          const before = clock.currentTimeMillisUnsafe() - Duration.toMillis(olderThan)
          let purged = 0
          for (const [key, { endsAt, owner, waiting, workedAt = 0 }] of group) {
            const idle = waiting.length === 0 && (owner === undefined || endsAt <= now())
            if (idle && workedAt <= before && group.delete(key)) purged++
          }
          return purged
        })
    })
  })
)
