/**
 * Rate limits (section 3.1, Rate Limiting): requests per minute, a burst limit per second, and a daily quota, each with
 * its own answer.
 *
 * **Details**
 *
 * - `perMinute` (sliding 60 seconds) and `burst` (sliding second): a call waits its turn, first come first served, where
 *   the wait fits its time budget; else it fails at once with `RateLimitExceeded`, which says when there is room.
 * - `perDay` (sliding 24 hours): `QuotaExhausted` at once.
 * - A Retry-After of the provider (`hold`) holds back every call, as if there were no room until then.
 * - A caller that is interrupted while it waits gives its place to the next.
 *
 * In no stretch of 60 seconds, 1 second or 24 hours are more requests sent than the limit says. Limits up to 2,048 are
 * exact; above, the window moves in steps of 1/1,024 and errs on the safe side by at most one step. A limiter takes at
 * most 16 KiB per limit.
 *
 * **Gotchas**
 *
 * The limit is of one process. The provider may see requests closer together than they were sent.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { monotonicMillis } from "../internal/monotonic.ts"
import * as Option from "../internal/option.ts"
import * as Site from "../internal/site.ts"
import * as ErrorAction from "./ErrorAction.ts"
import { type Alarm, type Entry, makeAlarms } from "../internal/alarm.ts"
import * as SlidingWindow from "./internal/slidingWindow.ts"
import * as RequestContext from "./RequestContext.ts"

/**
 * Limits in requests; what is left out is not limited.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Requests in any 60 seconds. */
  readonly perMinute?: number
  /** Requests in any second. */
  readonly burst?: number
  /** Requests in any 24 hours. */
  readonly perDay?: number
}

/**
 * Checks the limits. Throws `InvalidOption` for a limit that is not a whole number of at least 1, or that a wider window
 * makes unreachable (a burst above the minute's limit).
 *
 * @category constructors
 * @since 0.1.0
 */
export const options = <const O extends Options>(options: O): O => {
  const where = "RateLimit.options"
  let wider: { readonly option: string; readonly limit: number } | undefined
  for (const option of ["perDay", "perMinute", "burst"] as const) {
    const limit = (options as Options)[option]
    if (limit === undefined) continue
    Option.number(where, option, limit, { min: 1, max: 1_000_000_000, integer: true })
    if (wider !== undefined && limit > wider.limit) {
      return Option.reject(where, option, limit, `at most the ${wider.limit} of ${wider.option}`)
    }
    wider = { option, limit }
  }
  return options
}

/**
 * There is no room for the call within its time budget; nothing was sent. The call ends; its action of kind `wait` is for
 * the layer above, a consumer or a queue, that can come again. `limit` says what holds it back: `provider` is
 * a Retry-After that the provider answered to this or another call.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimitExceeded extends Schema.TaggedError<RateLimitExceeded>()("RateLimitExceeded", {
  integration: Schema.String,
  ...Site.fields,
  limit: Schema.Literals(["perMinute", "burst", "provider"]),
  retryAfter: Schema.Duration
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return exceededAction
  }
  get outcome(): "unprocessed" {
    return "unprocessed"
  }
  override get message(): string {
    const who = this.limit === "provider" ? "the provider asked to wait" : `the rate limit ${this.limit} is reached`
    return Site.describe(
      this,
      `${who}; there is room in ${Option.brief(this.retryAfter)}, which does not fit the time budget; nothing was sent`
    )
  }
}

/**
 * The daily quota is used up; nothing was sent. `resetsAt` is when there is room for one more request.
 *
 * @category errors
 * @since 0.1.0
 */
export class QuotaExhausted extends Schema.TaggedError<QuotaExhausted>()("QuotaExhausted", {
  integration: Schema.String,
  ...Site.fields,
  limit: Schema.Int,
  resetsAt: Schema.DateTimeUtc,
  retryAfter: Schema.Duration
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return exhaustedAction
  }
  get outcome(): "unprocessed" {
    return "unprocessed"
  }
  override get message(): string {
    const until = DateTime.formatIso(this.resetsAt)
    return Site.describe(this, `the daily quota of ${this.limit} requests is used up until ${until}; nothing was sent`)
  }
}

const exceededAction = ErrorAction.make("wait", { guidance: "wait until there is room, then retry" })
const exhaustedAction = ErrorAction.make("fail", { circuit: "ignored", outage: true, guidance: "contact support" })

/**
 * How a limit stands, for RateLimit headers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  readonly limit: keyof Options
  readonly quota: number
  readonly windowSeconds: number
  readonly remaining: number
  /** Milliseconds until there is room for one more; 0 where there is. */
  readonly resetMillis: number
}

/**
 * @category models
 * @since 0.1.0
 */
export interface RateLimit {
  readonly name: string
  readonly options: Options
  /** Spends a token. Waits for it as long as the inbound deadline allows. */
  readonly take: Effect.Effect<void, RateLimitExceeded | QuotaExhausted>
  /** Spends a token where that needs no waiting. */
  readonly tryTake: Effect.Effect<void, RateLimitExceeded | QuotaExhausted>
  /** Holds back every call for a time: what a provider's Retry-After asks for. Never shortens another hold. */
  readonly hold: (duration: Duration.Input) => Effect.Effect<void>
  /** How each limit stands, the narrowest window first. */
  readonly status: Effect.Effect<ReadonlyArray<Status>>
}

/**
 * A limiter with all its tokens.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string, limits: Options): Effect.Effect<RateLimit> => {
  options(limits)
  return Effect.sync(() => makeUnsafe(name, limits))
}

/** @internal */
export const makeUnsafe = (name: string, limits: Options): Gate => new Gate(Option.name("RateLimit.make", name), limits)

/**
 * Someone who waits for a token.
 *
 * @internal
 */
export interface Waiter {
  /** Monotonic milliseconds after which the token is of no use. */
  readonly endsAt: number
  /** Whether a token is still wanted; asked just before it is spent. */
  readonly wanted: (now: number) => boolean
  /** The token is spent: go. */
  readonly granted: (now: number) => void
  readonly refused: (error: Refusal) => void
}

/** @internal */
export type Refusal = RateLimitExceeded | QuotaExhausted

/** A place in the queue, which is lost when the budget ends. */
class Place implements Entry {
  place = -1
  order = 0
  readonly at: number
  readonly waiter: Waiter
  readonly fire: (now: number) => void
  constructor(waiter: Waiter, expire: (waiter: Waiter, now: number) => void) {
    this.waiter = waiter
    this.at = waiter.endsAt
    this.fire = (now) => expire(waiter, now)
  }
}

const windows = { burst: 1000, perMinute: 60_000, perDay: 86_400_000 } as const

/** @internal */
export class Gate implements RateLimit, Entry {
  place = -1
  order = 0
  at = 0
  readonly #waited: ReadonlyArray<readonly [keyof typeof windows, SlidingWindow.SlidingWindow]>
  readonly #day: SlidingWindow.SlidingWindow | undefined
  readonly #windows: ReadonlyArray<SlidingWindow.SlidingWindow>
  readonly #alarmOf = makeAlarms()
  readonly #alarmsOfPlaces = makeAlarms()
  readonly #queue: Array<Place> = []
  #alarm: Alarm | undefined
  #context: Context.Context<never> | undefined
  #holdUntil = -Infinity
  #pumping = false
  readonly name: string
  readonly options: Options
  constructor(name: string, options: Options) {
    this.name = name
    this.options = options
    const window = (limit: keyof typeof windows) =>
      options[limit] === undefined ? undefined : SlidingWindow.make(options[limit], windows[limit])
    this.#waited = (["burst", "perMinute"] as const).flatMap((limit) => {
      const made = window(limit)
      return made === undefined ? [] : [[limit, made] as const]
    })
    this.#day = window("perDay")
    this.#windows = [...this.#waited.map(([, each]) => each), ...(this.#day === undefined ? [] : [this.#day])]
  }

  /** Spends a token if there is room now and nobody waits. */
  passUnsafe(now: number): boolean {
    if (this.#queue.length > 0 || now < this.#holdUntil) return false
    for (let index = 0; index < this.#windows.length; index++) if (!this.#windows[index]!.fits(now)) return false
    this.#record(now)
    return true
  }
  #record(now: number): void {
    for (let index = 0; index < this.#windows.length; index++) this.#windows[index]!.record(now)
  }

  /** Joins the queue, or says why that is of no use. */
  joinUnsafe(
    waiter: Waiter,
    now: number,
    clock: Clock.Clock,
    context: Context.Context<never>
  ): RateLimitExceeded | QuotaExhausted | undefined {
    const exhausted = this.#exhausted(now, clock, this.#queue.length)
    if (exhausted !== undefined) return exhausted
    const { at, limit } = this.#room(now, this.#queue.length)
    if (at >= waiter.endsAt) return this.#exceeded(limit, at - now)
    if (this.#queue.length === 0) {
      this.#alarm = this.#alarmOf(clock)
      this.#context = context
    }
    const place = new Place(waiter, (each, at) => {
      const { limit, at: room } = this.#room(at, 0)
      if (this.#remove(each) !== undefined) each.refused(this.#exceeded(limit, room - at))
      this.#pump(at)
    })
    this.#queue.push(place)
    if (waiter.endsAt < Infinity) this.#alarmsOfPlaces(clock).add(place, now, context)
    if (this.#queue.length === 1) this.#pump(now)
    return undefined
  }
  leaveUnsafe(waiter: Waiter, now: number): void {
    const first = this.#queue[0]?.waiter === waiter
    if (this.#remove(waiter) !== undefined && first) this.#pump(now)
  }
  /** Takes a waiter out of the queue, where it still is there. */
  #remove(waiter: Waiter): Place | undefined {
    const index = this.#queue.findIndex((each) => each.waiter === waiter)
    if (index < 0) return undefined
    const [place] = this.#queue.splice(index, 1)
    this.#alarmsOfPlaces(this.#alarm!.clock).remove(place!)
    return place
  }
  holdUnsafe(until: number): void {
    if (until <= this.#holdUntil) return
    this.#holdUntil = until
    for (const { waiter } of this.#queue.filter((each) => each.at <= until)) {
      // Refusing one may have made another leave.
      if (this.#remove(waiter) === undefined) continue
      waiter.refused(this.#exceeded("provider", until - monotonicMillis(this.#alarm!.clock)))
    }
    if (this.#queue.length > 0) this.#pump(monotonicMillis(this.#alarm!.clock))
  }

  /** When there is room after so many others, and what there is no room in. */
  #room(now: number, ahead: number): { readonly at: number; readonly limit: RateLimitExceeded["limit"] } {
    let at = Math.max(now, this.#holdUntil)
    let limit: RateLimitExceeded["limit"] = "provider"
    for (const [name, window] of this.#waited) {
      const room = window.earliest(now, ahead)
      if (room <= at || name === "perDay") continue
      at = room
      limit = name
    }
    return { at, limit }
  }
  #exceeded(limit: RateLimitExceeded["limit"], millis: number): RateLimitExceeded {
    return new RateLimitExceeded({ integration: this.name, limit, retryAfter: Duration.millis(Math.max(0, millis)) })
  }
  #exhausted(now: number, clock: Clock.Clock, ahead: number): QuotaExhausted | undefined {
    if (this.#day === undefined) return undefined
    const at = this.#day.earliest(now, ahead)
    if (at <= now) return undefined
    return new QuotaExhausted({
      integration: this.name,
      limit: this.#day.limit,
      resetsAt: DateTime.makeUnsafe(Math.ceil(clock.currentTimeMillisUnsafe() + at - now)),
      retryAfter: Duration.millis(at - now)
    })
  }

  fire(now: number): void {
    this.#pump(now)
  }
  /** Lets go whoever is first in the queue, until there is no room. */
  #pump(now: number): void {
    if (this.#pumping) return
    this.#pumping = true
    this.#alarm?.remove(this)
    try {
      while (this.#letGo(now)) continue
    } finally {
      this.#pumping = false
    }
  }
  /** Lets go or refuses whoever is first, and says whether there may be more to do. */
  #letGo(now: number): boolean {
    const waiter = this.#queue[0]?.waiter
    if (waiter === undefined) return false
    const { at, limit } = this.#room(now, 0)
    if (at > now && at < waiter.endsAt) {
      this.at = at
      this.#alarm!.add(this, now, this.#context!)
      return false
    }
    this.#remove(waiter)
    if (at > now) waiter.refused(this.#exceeded(limit, at - now))
    else if (waiter.wanted(now)) {
      this.#record(now)
      waiter.granted(now)
    }
    return true
  }

  get take(): Effect.Effect<void, RateLimitExceeded | QuotaExhausted> {
    return this.#take((deadline) => deadline)
  }
  get tryTake(): Effect.Effect<void, RateLimitExceeded | QuotaExhausted> {
    return this.#take((_, now) => now)
  }
  #take(endsAt: (deadline: number, now: number) => number): Effect.Effect<void, RateLimitExceeded | QuotaExhausted> {
    return Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const now = monotonicMillis(clock)
      if (this.passUnsafe(now)) return Effect.void
      const deadline = fiber.getRef(RequestContext.RequestContext).deadline ?? Infinity
      return Effect.callback<void, RateLimitExceeded | QuotaExhausted>((resume) => {
        const waiter: Waiter = {
          endsAt: endsAt(deadline, now),
          wanted: () => true,
          granted: () => resume(Effect.void),
          refused: (error) => resume(Effect.fail(error))
        }
        const error = this.joinUnsafe(waiter, now, clock, fiber.context)
        if (error !== undefined) return resume(Effect.fail(error))
        return Effect.sync(() => this.leaveUnsafe(waiter, monotonicMillis(clock)))
      })
    })
  }
  hold(duration: Duration.Input): Effect.Effect<void> {
    return Effect.clockWith((clock) =>
      Effect.sync(() => this.holdUnsafe(monotonicMillis(clock) + Duration.toMillis(Duration.fromInputUnsafe(duration))))
    )
  }
  get status(): Effect.Effect<ReadonlyArray<Status>> {
    return Effect.clockWith((clock) =>
      Effect.sync(() => {
        const now = monotonicMillis(clock)
        const day = this.#day === undefined ? [] : ([["perDay", this.#day]] as const)
        return [...this.#waited, ...day].map(([limit, window]) => ({
          limit,
          quota: window.limit,
          windowSeconds: window.millis / 1000,
          remaining: Math.max(0, window.limit - window.count(now)),
          resetMillis: Math.max(0, window.earliest(now) - now, this.#holdUntil - now)
        }))
      })
    )
  }
}
