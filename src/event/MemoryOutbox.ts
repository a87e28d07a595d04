/**
 * An outbox in the memory of this process, for tests: the companion of the memory broker.
 *
 * **Gotchas**
 *
 * It takes part in no transaction: an event is there as soon as it is published, and stays although the caller's
 * transaction is rolled back.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { monotonicMillis } from "../internal/monotonic.ts"
import * as Options from "../internal/option.ts"
import { bucketOf, buckets, type Depth, type Entry, Outbox, OutboxError, type SetAside, share } from "./Outbox.ts"

interface Row extends Entry {
  readonly position: number
  readonly bucket: number
  readonly addedAt: number
  attempts: number
  firstFailedAt: number
  setAside: SetAside | undefined
}

interface Held {
  owner: string | undefined
  token: number
  /** Monotonic milliseconds. */
  until: number
}

/**
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: {
  /** How many events may wait or be set aside. Default: 100,000. */
  readonly maxPending?: number
}): Layer.Layer<Outbox> => {
  const maxPending = Options.number("MemoryOutbox.layerWith", "maxPending", options.maxPending ?? 100_000, {
    min: 1,
    integer: true
  })
  return Layer.effect(
    Outbox,
    Effect.map(Clock.Clock, (clock) => make(clock, maxPending))
  )
}

/** @category layers @since 0.1.0 */
export const layer: Layer.Layer<Outbox> = layerWith({})

const make = (clock: Clock.Clock, maxPending: number): Outbox["Service"] => {
  const now = () => monotonicMillis(clock)
  const rows = new Map<number, Row>()
  const listeners = new Set<(channel: string | undefined) => void>()
  const leases = new Map<string, Array<Held>>()
  /** When each relay of a channel is taken for dead. */
  const relays = new Map<string, Map<string, number>>()
  let positions = 0

  const heldOf = (channel: string): Array<Held> => {
    const known =
      leases.get(channel) ?? Array.from({ length: buckets }, () => ({ owner: undefined, token: 0, until: 0 }))
    leases.set(channel, known)
    return known
  }
  const relaysOf = (channel: string): Map<string, number> => {
    const known = relays.get(channel) ?? new Map<string, number>()
    relays.set(channel, known)
    for (const [owner, until] of known) if (until <= now()) known.delete(owner)
    return known
  }
  const isHeld = (owner: string, { bucket, channel }: Row): boolean => {
    const held = heldOf(channel)[bucket]!
    return held.owner === owner && held.until > now()
  }
  /** The row of an event whose lease is still the owner's. */
  const fenced = (owner: string, event: { readonly position: number; readonly token: number }): Row | undefined => {
    const row = rows.get(event.position)
    if (row === undefined || row.setAside !== undefined || !isHeld(owner, row)) return undefined
    return heldOf(row.channel)[row.bucket]!.token === event.token ? row : undefined
  }
  const count = (row: Row): void => {
    row.attempts++
    if (row.attempts === 1) row.firstFailedAt = clock.currentTimeMillisUnsafe()
  }
  const setAsideOf = (positions: ReadonlyArray<number>): ReadonlyArray<Row> =>
    positions.flatMap((position) => {
      const row = rows.get(position)
      return row?.setAside === undefined ? [] : [row]
    })
  const tell = (channel: string): void => {
    for (const listener of listeners) listener(channel)
  }

  const lease = (owner: string, channel: string, until: number) => {
    const living = relaysOf(channel).set(owner, until)
    const most = share(living.size)
    const all = heldOf(channel)
    let mine = all.filter((held) => held.owner === owner).length
    for (const held of all) {
      const isFree = held.owner === undefined || held.until <= now()
      if (held.owner !== owner && isFree && mine < most) {
        held.owner = owner
        held.token++
        mine++
      }
      if (held.owner === owner) held.until = until
    }
    const held = all.flatMap(({ owner: by, token }, bucket) => (by === owner ? [{ channel, bucket, token }] : []))
    return held.map((each, index) => ({ ...each, surplus: index >= most }))
  }

  return Outbox.of({
    add: (entry) =>
      Effect.suspend(() => {
        if (rows.size >= maxPending) {
          const description = `${rows.size} events wait or are set aside, and no more may`
          return Effect.fail(new OutboxError({ reason: "full", operation: "store an event", description }))
        }
        const position = ++positions
        const addedAt = now()
        const bucket = bucketOf(entry)
        rows.set(position, { ...entry, position, bucket, addedAt, attempts: 0, firstFailedAt: 0, setAside: undefined })
        tell(entry.channel)
        return Effect.void
      }),
    watch: (listener) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => listeners.add(listener)),
          () => Effect.sync(() => listeners.delete(listener))
        )
      ),
    lease: ({ channels, lease: duration, owner }) =>
      Effect.sync(() => {
        const until = now() + Duration.toMillis(duration)
        return channels.flatMap((channel) => lease(owner, channel, until))
      }),
    release: (owner, given, { leaves }) =>
      Effect.sync(() => {
        for (const { bucket, channel, token } of given) {
          const held = heldOf(channel)[bucket]!
          if (held.owner === owner && held.token === token) held.owner = undefined
        }
        if (!leaves) return
        for (const known of relays.values()) known.delete(owner)
        for (const held of Array.from(leases.values()).flat()) if (held.owner === owner) held.owner = undefined
      }),
    pending: ({ busy, channel, known, limit, owner }) =>
      Effect.sync(() => {
        const skipped = new Set(known)
        const keys = new Set<string | undefined>(busy)
        for (const { channel: of, key, setAside } of rows.values()) {
          if (of === channel && setAside?.halts === true) keys.add(key)
        }
        const found = Array.from(rows.values()).filter(
          (row) =>
            row.channel === channel &&
            row.setAside === undefined &&
            !skipped.has(row.position) &&
            (row.key === undefined || !keys.has(row.key)) &&
            isHeld(owner, row)
        )
        return found.slice(0, limit).map(({ addedAt: _, firstFailedAt: __, setAside: ___, ...row }) => ({
          ...row,
          token: heldOf(channel)[row.bucket]!.token
        }))
      }),
    remove: (positions) => Effect.sync(() => positions.forEach((position) => rows.delete(position))),
    attempted: (owner, event) =>
      Effect.sync(() => {
        const row = fenced(owner, event)
        if (row !== undefined) count(row)
        return row !== undefined
      }),
    putAside: (owner, event, failure) =>
      Effect.sync(() => {
        const row = fenced(owner, event)
        if (row === undefined) return Option.none()
        count(row)
        const { attempts, channel, event: text, firstFailedAt, id, key, position, source, type } = row
        const entry = { channel, key, source, id, type, event: text }
        row.setAside = {
          ...entry,
          ...failure,
          position,
          attempts,
          halts: failure.halts && key !== undefined,
          firstFailedAt: DateTime.makeUnsafe(firstFailedAt),
          setAsideAt: DateTime.makeUnsafe(clock.currentTimeMillisUnsafe())
        }
        return Option.some(row.setAside)
      }),
    setAside: ({ channel, limit }) =>
      Effect.sync(() =>
        Array.from(rows.values(), ({ setAside }) => setAside)
          .filter((each) => each !== undefined)
          .filter((each) => channel === undefined || each.channel === channel)
          .slice(0, limit)
      ),
    retry: (positions) =>
      Effect.sync(() => {
        const found = setAsideOf(positions)
        for (const row of found) {
          row.setAside = undefined
          row.attempts = 0
          tell(row.channel)
        }
        return found.length
      }),
    discard: (positions) =>
      Effect.sync(() => {
        const found = setAsideOf(positions)
        for (const row of found) {
          rows.delete(row.position)
          tell(row.channel)
        }
        return found.length
      }),
    depth: Effect.sync(() => {
      const channels = new Set([...relays.keys(), ...Array.from(rows.values(), ({ channel }) => channel)])
      return Array.from(channels, (channel): Depth => {
        const all = Array.from(rows.values()).filter((row) => row.channel === channel)
        const waiting = all.filter(({ setAside }) => setAside === undefined)
        const oldest = waiting.reduce((oldest, { addedAt }) => Math.min(oldest, addedAt), Infinity)
        return {
          channel,
          pending: waiting.length,
          oldest: waiting.length === 0 ? Option.none() : Option.some(Duration.millis(now() - oldest)),
          setAside: all.length - waiting.length,
          relays: relaysOf(channel).size
        }
      }).filter(({ pending, relays, setAside }) => pending + setAside + relays > 0)
    })
  })
}
