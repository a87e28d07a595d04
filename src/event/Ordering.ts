/**
 * What is promised about the order of a channel's events (section 4.3, Ordering Guarantees).
 *
 * **Details**
 *
 * - `strict("tenantId")`: events whose data has the same value at this path are handled one at a time, in the order in
 *   which they were published, across processes and through redelivery. A path and not a function, so that the document
 *   can print it.
 * - `bestEffort`: one first-in first-out queue; several consumers, redelivery and retries may change the order.
 * - `none`: independent events.
 *
 * @since 0.1.0
 */
import * as Option from "../internal/option.ts"

/**
 * One at a time per key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Strict<out Path extends string = string> {
  readonly _tag: "Strict"
  /** Where in the data the key is, names separated by dots. */
  readonly path: Path
  /** What happens to a key when the attempts of one of its events are exhausted. */
  readonly exhausted: "dead-letter" | "halt"
}

/** @category models @since 0.1.0 */
export interface BestEffort {
  readonly _tag: "BestEffort"
}
/** @category models @since 0.1.0 */
export interface None {
  readonly _tag: "None"
}
/** @category models @since 0.1.0 */
export type Ordering<Path extends string = string> = Strict<Path> | BestEffort | None

/**
 * One at a time per key, in order.
 *
 * **Details**
 *
 * `exhausted` says what happens when an event of a key has failed for good: `dead-letter` (default) puts it with the dead
 * letters and goes on with the next; `halt` keeps it and its successors parked until an operator resumes the key.
 *
 * @category constructors
 * @since 0.1.0
 */
export const strict = <const Path extends string>(
  path: Path,
  options?: { readonly exhausted?: Strict["exhausted"] }
): Strict<Path> => {
  if (typeof path !== "string" || !/^[^.]+(\.[^.]+)*$/.test(path)) {
    Option.reject("Ordering.strict", "path", path, "names of fields separated by dots, such as customer.id")
  }
  const exhausted = options?.exhausted ?? "dead-letter"
  return {
    _tag: "Strict",
    path,
    exhausted: Option.word("Ordering.strict", "exhausted", exhausted, ["dead-letter", "halt"])
  }
}

/** A first-in first-out queue, and no promise. @category constructors @since 0.1.0 */
export const bestEffort: BestEffort = { _tag: "BestEffort" }

/** Independent events. @category constructors @since 0.1.0 */
export const none: None = { _tag: "None" }

/** For the document: `strict per tenantId`. @category getters @since 0.1.0 */
export const describe = (self: Ordering): string =>
  self._tag === "Strict" ? `strict per ${self.path}` : self._tag === "BestEffort" ? "best effort" : "none"

/**
 * The key in the data; `undefined` where there is none: a missing field, or one that is neither a text that is not empty
 * nor a number.
 *
 * @category getters
 * @since 0.1.0
 */
export const keyOf = (self: Strict, data: unknown): string | undefined => {
  let found = data
  for (const name of self.path.split(".")) {
    if (typeof found !== "object" || found === null || !(name in found)) return undefined
    found = (found as Readonly<Record<string, unknown>>)[name]
  }
  if (typeof found === "number" || typeof found === "bigint") return String(found)
  return typeof found === "string" && found !== "" ? found : undefined
}
