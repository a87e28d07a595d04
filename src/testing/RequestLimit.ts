/**
 * The limit that a provider puts on its clients: so many requests in any window of time.
 *
 * **Details**
 *
 * The window slides: a request counts for exactly one window after it was admitted. What is refused does not count.
 * Time is the `Clock` of the stub that asks.
 *
 * **Example** (Three requests a second, shared by two routes)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Reply, RequestLimit, StubProvider } from "effect-integration/testing"
 *
 * export const program = Effect.gen(function*() {
 *   const stub = yield* StubProvider.make()
 *   const limit = yield* RequestLimit.make({ limit: 3, window: "1 second" })
 *   yield* stub.on("GET /v1/charges/:id", Reply.rateLimit(limit, Reply.json(200, { id: "c1" })))
 *   yield* stub.on("POST /v1/charges", Reply.rateLimit(limit, Reply.json(201, { id: "c1" })))
 *   return yield* limit.violations
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import { atLeast } from "./internal/reply.ts"

/**
 * A limit and what it has seen.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestLimit {
  /** Admits one request, or says after which time to come again. */
  readonly admit: Effect.Effect<Option.Option<Duration.Duration>>
  /** How many requests were admitted. */
  readonly admitted: Effect.Effect<number>
  /** How many requests were refused. */
  readonly violations: Effect.Effect<number>
}

interface State {
  /** When each request of the window was admitted, the oldest first. */
  readonly window: ReadonlyArray<bigint>
  readonly admitted: number
  readonly violations: number
}

/**
 * Makes a limit of `limit` requests in any `window`.
 *
 * **Details**
 *
 * Without `retryAfter`, a refused request is told when the oldest one leaves the window, in whole seconds rounded up, as
 * the header has no fractions.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly limit: number
  readonly window: Duration.Input
  readonly retryAfter?: Duration.Input | undefined
}): Effect.fn.Return<RequestLimit> {
  const limit = atLeast("The limit", 1, options.limit)
  const window = Duration.toNanosUnsafe(options.window)
  const retryAfter = options.retryAfter === undefined ? undefined : Duration.fromInputUnsafe(options.retryAfter)
  const state = yield* Ref.make<State>({ window: [], admitted: 0, violations: 0 })

  const admit = Effect.flatMap(Clock.monotonicTimeNanos, (now) =>
    Ref.modify(state, (self): readonly [Option.Option<Duration.Duration>, State] => {
      const recent = self.window.filter((at) => now - at < window)
      return recent.length < limit
        ? [Option.none(), { ...self, window: [...recent, now], admitted: self.admitted + 1 }]
        : [
            Option.some(retryAfter ?? Duration.nanos(recent[recent.length - limit]! + window - now)),
            { ...self, window: recent, violations: self.violations + 1 }
          ]
    })
  )

  return {
    admit,
    admitted: Effect.map(Ref.get(state), (self) => self.admitted),
    violations: Effect.map(Ref.get(state), (self) => self.violations)
  }
})
