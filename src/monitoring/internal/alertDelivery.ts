import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import * as Alert from "../Alert.ts"
import type * as AlertChannel from "../AlertChannel.ts"

/** What one channel has to be told of one incident. */
interface Item {
  /** The latest state, which is what is sent. */
  alert: Alert.Alert
  /** As it fired: what a channel that keeps incidents open is told first. */
  readonly opened: Alert.Alert
  /** Whether the channel was told that it fires. */
  told: boolean
  failures: number
  /** Not tried before; monotonic milliseconds. */
  dueAt: number
}

export interface Settings {
  readonly name: string
  readonly keepsOpen: boolean
  readonly send: AlertChannel.Send
  /** How many incidents wait before those of one rule are told as one. */
  readonly capacity: number
  readonly backoff: { readonly base: number; readonly cap: number }
  readonly now: () => number
  /** Counts what became of a message. */
  readonly count: (outcome: string) => void
}

/** The longest Retry-After that is obeyed: one of a year would be the end of the channel. */
export const longestHold = Duration.minutes(15)

/** How often a channel that keeps incidents open is told again: somebody else may have ended the incident. */
const reminded = Duration.toMillis("5 minutes")

/**
 * What one channel has not been told yet. Nothing is dropped: a newer state of an incident takes the place of an older one,
 * and where too many incidents wait, a newer one of the same rule takes the place of one that is over, and says so.
 */
export class Delivery {
  readonly settings: Settings
  readonly #pending = new Map<string, Item>()
  /** The incidents, by id, that the channel believes to be firing. */
  readonly #open = new Map<string, { readonly alert: Alert.Alert; readonly at: number }>()
  readonly #news = Latch.makeUnsafe()
  readonly #empty = Latch.makeUnsafe(true)
  #sending: string | undefined
  /** The channel asked to be left alone until then. */
  #gate = -Infinity
  /** How often it has refused everything, one after another. */
  #refusals = 0
  constructor(settings: Settings) {
    this.settings = settings
  }

  offer(alert: Alert.Alert): void {
    const key = keyOf(alert)
    const known = this.#pending.get(key)
    if (known !== undefined) known.alert = { ...alert, earlier: known.alert.earlier }
    else this.#add(key, this.#pending.size < this.settings.capacity ? alert : this.#folded(alert))
    this.#empty.closeUnsafe()
    this.#news.openUnsafe()
  }
  #add(key: string, alert: Alert.Alert): void {
    const told = this.#open.get(alert.id)?.alert.incident === alert.incident
    const opened: Alert.Alert = { ...alert, state: "firing" }
    this.#pending.set(key, { alert, opened, told, failures: 0, dueAt: -Infinity })
  }
  /** Takes the place of an older incident of the same rule, where one waits. */
  #folded(alert: Alert.Alert): Alert.Alert {
    for (const [key, { alert: older, told }] of this.#pending) {
      if (older.id !== alert.id || key === this.#sending) continue
      this.#pending.delete(key)
      return { ...alert, earlier: alert.earlier + older.earlier + (told ? 0 : 1) }
    }
    return alert
  }

  /** What is still to be told. */
  get pending(): ReadonlyArray<Alert.Alert> {
    return Array.from(this.#pending.values(), ({ alert }) => alert)
  }

  /** Sends for ever. */
  get run(): Effect.Effect<never> {
    return Effect.forever(
      Effect.suspend(() => {
        this.#news.closeUnsafe()
        const now = this.settings.now()
        this.#remind(now)
        const { at, item } = this.#next()
        if (item !== undefined && at <= now)
          return Effect.catchCause(this.#attempt(item), () => Effect.sleep("1 second"))
        // What was offered meanwhile is looked at, however long the wait.
        const next = Math.min(at, this.#nextReminder)
        return next === Infinity ? this.#news.await : Effect.timeoutOption(this.#news.await, waitOf(next - now))
      })
    )
  }
  /** What is to be sent next, and when. Incidents of one rule go in their order, one that fails lets others pass. */
  #next(): { readonly at: number; readonly item: Item | undefined } {
    const ids = new Set<string>()
    let first: Item | undefined
    for (const item of this.#pending.values()) {
      if (ids.has(item.alert.id)) continue
      ids.add(item.alert.id)
      if (first === undefined || item.dueAt < first.dueAt) first = item
    }
    return { at: first === undefined ? Infinity : Math.max(first.dueAt, this.#gate), item: first }
  }

  /** Comes after what is not told yet. */
  #remind(now: number): void {
    for (const { alert, at } of this.#open.values()) {
      if (!this.settings.keepsOpen || now - at < reminded || this.#pending.has(keyOf(alert))) continue
      this.#pending.set(keyOf(alert), { alert, opened: alert, told: true, failures: 0, dueAt: now })
    }
  }
  get #nextReminder(): number {
    if (!this.settings.keepsOpen) return Infinity
    const open = Array.from(this.#open.values()).filter(({ alert }) => !this.#pending.has(keyOf(alert)))
    return Math.min(Infinity, ...open.map(({ at }) => at + reminded))
  }

  #attempt(item: Item): Effect.Effect<void> {
    const { keepsOpen, send } = this.settings
    const begins = item.alert.state === "firing" || (keepsOpen && !item.told)
    const sent = item.alert.state === "resolved" && begins ? item.opened : item.alert
    this.#sending = keyOf(sent)
    return Effect.flatMap(Effect.exit(Effect.suspend(() => send(sent))), (exit) => {
      this.#sending = undefined
      if (Exit.isSuccess(exit)) return Effect.sync(() => this.#delivered(item, sent))
      return this.#failed(item, sent, Cause.squash(exit.cause))
    })
  }
  #delivered(item: Item, sent: Alert.Alert): void {
    this.settings.count("delivered")
    item.failures = 0
    item.dueAt = -Infinity
    this.#refusals = 0
    if (sent.state === "firing") {
      item.told = true
      this.#open.set(sent.id, { alert: sent, at: this.settings.now() })
    } else this.#open.delete(sent.id)
    if (item.alert.state === sent.state) this.#remove(item)
  }
  #failed(item: Item, sent: Alert.Alert, error: unknown): Effect.Effect<void> {
    const { backoff, count, keepsOpen, name, now } = this.settings
    count(ErrorAction.tagOf(error))
    if (isBecause(error, "rejected") && (keepsOpen || item.alert.state === sent.state)) {
      this.#remove(item)
      if (item.alert.state === "resolved") this.#open.delete(item.alert.id)
      return Effect.logError(`${name} does not take this alert: ${Alert.describe(sent)}`)
    }
    item.failures++
    const backoffOf = (failures: number) => Math.min(backoff.cap, backoff.base * 2 ** (failures - 1))
    const retryAfter = ErrorAction.retryAfterMillis(error)
    item.dueAt = now() + backoffOf(item.failures)
    // It is refused whatever is told, so that to try the others is of no use, and would fill the log.
    if (isBecause(error, "refused")) this.#gate = Math.max(this.#gate, now() + backoffOf(++this.#refusals))
    if (retryAfter !== undefined) {
      this.#gate = Math.max(this.#gate, now() + Math.min(retryAfter, Duration.toMillis(longestHold)))
    }
    return Effect.void
  }
  #remove(item: Item): void {
    this.#pending.delete(keyOf(item.alert))
    if (this.#pending.size === 0) this.#empty.openUnsafe()
  }

  /** Tries what is left without waiting for its turn, for so long. What could not be told is logged. */
  drain(millis: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const item of this.#pending.values()) item.dueAt = -Infinity
      this.#news.openUnsafe()
      return Effect.timeoutOption(this.#empty.await, Duration.millis(millis))
    }).pipe(
      Effect.andThen(
        Effect.suspend(() =>
          Effect.forEach(
            Array.from(this.#pending.values()).filter(({ alert, told }) => !told || alert.state === "resolved"),
            ({ alert }) =>
              Effect.logError(`${this.settings.name} could not be told before the end: ${Alert.describe(alert)}`),
            { discard: true }
          )
        )
      )
    )
  }
}

/** A timer of the host has a longest wait: who waits for longer looks again. */
const waitOf = (millis: number): number => Math.min(Math.max(millis, 1), 3_600_000)

const keyOf = ({ id, incident }: Alert.Alert): string => `${incident} ${id}`

const isBecause = (error: unknown, reason: AlertChannel.AlertNotDelivered["reason"]): boolean =>
  ErrorAction.tagOf(error) === "AlertNotDelivered" && (error as AlertChannel.AlertNotDelivered).reason === reason
