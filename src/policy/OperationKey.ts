/**
 * Keys of logical operations: one key per operation, the same on every attempt and every redelivery, so that nothing is
 * done twice.
 *
 * **Details**
 *
 * By default each operation gets a new UUID. Inside something that may be run again as a whole (a message handler, a saga
 * step) the keys must be the same again: `derived` makes them from what identifies the work, the operation, and the
 * ordinal of the operation within it. An HTTP contract sends them as idempotency keys, a publisher as ids of events.
 *
 * **Gotchas**
 *
 * Derived keys rely on the handler making the same calls in the same order each time it runs. Calls made concurrently
 * have no order, and a call that the handler itself makes again (`Effect.retry`) is another call with another key: give
 * such calls their own `withKey`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as RequestContext from "./RequestContext.ts"

/**
 * Gives the key of the next logical operation. Called once per call, not per attempt.
 *
 * @category models
 * @since 0.1.0
 */
export type Keys = (operation: string) => Effect.Effect<string>

/** Where keys come from; `undefined` stands for a new UUID per call. @category services @since 0.1.0 */
export const Keys = Context.Reference<Keys | undefined>("effect-integration/policy/OperationKey/Keys", {
  defaultValue: () => undefined
})

/**
 * All calls of an effect carry this key: it must be one operation.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withKey =
  (key: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(self, Keys, () => Effect.succeed(key))

/**
 * The calls of an effect carry keys made from these parts, the operation, and the ordinal of the call for that operation:
 * the same again when the effect is run again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const derived =
  (...parts: readonly [string, ...ReadonlyArray<string>]) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => Effect.provideService(self, Keys, keysOf(...parts)))

/**
 * Keys made from these parts, the operation, and the ordinal of the call for that operation. For one run of the work: the
 * ordinals begin with it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const keysOf = (...parts: readonly [string, ...ReadonlyArray<string>]): Keys => {
  let ordinals: Map<string, number> | undefined
  return (operation) => {
    ordinals ??= new Map()
    const ordinal = ordinals.get(operation) ?? 0
    ordinals.set(operation, ordinal + 1)
    return bounded(
      [...parts, operation, String(ordinal)].map((part) => encodeURIComponent(part.toWellFormed())).join("/")
    )
  }
}

/** What most providers accept, this library's middleware among them. */
const longestKey = 255

/** A key that is too long keeps its beginning, for those who read it, and ends in the SHA-256 of the whole. */
const bounded = (key: string): Effect.Effect<string> =>
  key.length <= longestKey
    ? Effect.succeed(key)
    : Effect.promise(async () => {
        const digest = await globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(key))
        const hash = Hex.encode(new Uint8Array(digest))
        return `${key.slice(0, longestKey - hash.length - 1)}/${hash}`
      })

/** The key of one logical operation, in the current fiber. @category getters @since 0.1.0 */
export const next = (operation: string): Effect.Effect<string> =>
  Effect.withFiber((fiber) =>
    Effect.suspend(() => fiber.getRef(Keys)?.(operation) ?? Effect.succeed(fiber.getRef(RequestContext.IdGenerator)()))
  )
