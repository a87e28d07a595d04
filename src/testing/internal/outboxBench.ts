import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Entry, Outbox } from "../../event/Outbox.ts"

type Store = Outbox["Service"]

/** Longer than a test. */
export const long = Duration.minutes(5)

/** Keys that stores could confuse, cut off or refuse. */
export const oddKeys = [
  "a",
  "A",
  "a ",
  " a",
  "ä",
  "a\u0308",
  "🚀 '\"`;--\\",
  "%",
  "null",
  "1",
  "01",
  "x".repeat(300),
  "\0",
  "{,}"
]

let ids = 0

/** An event that nobody has stored yet. */
export const entry = (channel: string, key: string | undefined): Entry => {
  const id = `e-${++ids}`
  const type = "com.acme.order.placed"
  const source = "https://acme.com/orders"
  return { channel, key, source, id, type, event: JSON.stringify({ specversion: "1.0", id, type, source, data: key }) }
}

/** Stores an event of each key, and gives their ids. */
export const stored = (store: Store, channel: string, keys: ReadonlyArray<string | undefined>) =>
  Effect.forEach(keys, (key) => {
    const added = entry(channel, key)
    return Effect.as(store.add(added), added.id)
  })

/** Leases what the owner may have of a channel. */
export const leased = (store: Store, owner: string, channel: string, lease = long) =>
  store.lease({ owner, channels: [channel], lease })

/** What the owner may publish. */
export const read = (
  store: Store,
  owner: string,
  channel: string,
  options: Partial<Pick<Parameters<Store["pending"]>[0], "known" | "busy" | "limit">> = {}
) => store.pending({ owner, channel, known: [], busy: [], limit: 100, ...options })

export const idsOf = (events: ReadonlyArray<{ readonly id: string }>): ReadonlyArray<string> =>
  events.map(({ id }) => id)

export const depthOf = (store: Store, channel: string) =>
  Effect.map(store.depth, (depths) => depths.find((depth) => depth.channel === channel))
