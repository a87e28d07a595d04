/**
 * Idempotency keys on the caller's side (section 3.1, Idempotency): one key per logical operation, the same on every
 * attempt, so that a retry cannot do the work twice.
 *
 * **Details**
 *
 * By default each call of an idempotent contract makes a new UUID. Inside something that may be run again as a whole (a
 * message handler, a saga step) the keys must be the same again: `derived` makes them from what identifies the work, the
 * operation, and the ordinal of the call within it.
 *
 * **Gotchas**
 *
 * Derived keys rely on the handler making the same calls in the same order each time it runs. Calls made concurrently
 * have no order, and a call that the handler itself makes again (`Effect.retry`) is another call with another key: give
 * such calls their own `withKey`.
 *
 * **Example** (Keys of a message handler)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Idempotency } from "effect-integration/http"
 *
 * declare const handler: Effect.Effect<void>
 *
 * export const handled = handler.pipe(Idempotency.derived("https://orders.acme.com", "event-1", "billing"))
 * ```
 *
 * @since 0.1.0
 */
export {
  /** All calls of an effect carry keys derived from what identifies the work. @category combinators @since 0.1.0 */
  derived,
  /** Where keys come from. @category services @since 0.1.0 */
  Keys,
  /** The key of one logical operation, in the current fiber. @category getters @since 0.1.0 */
  next,
  /** All calls of an effect carry this key. @category combinators @since 0.1.0 */
  withKey
} from "../policy/OperationKey.ts"

/**
 * Which headers carry the key. `Idempotency-Key` is written as a structured-field string (RFC 9651), as
 * draft-ietf-httpapi-idempotency-key-header says; any other header as it is.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultHeaders: ReadonlyArray<string> = ["Idempotency-Key", "X-Idempotency-Key"]

/** The headers that carry a key. @category getters @since 0.1.0 */
export const headersOf = (key: string, names: ReadonlyArray<string>): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, name.toLowerCase() === "idempotency-key" ? quote(key) : key]))

/** A structured-field string: quoted, with `\` before `"` and `\`. */
const quote = (key: string): string => `"${key.replace(/["\\]/g, "\\$&")}"`

/** Reads a key that is quoted or not. @category getters @since 0.1.0 */
export const parse = (value: string): string => {
  const trimmed = value.trim()
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(trimmed)
  return quoted === null ? trimmed : quoted[1]!.replace(/\\(["\\])/g, "$1")
}
