/**
 * A bulkhead: bounds how many calls of a contract are under way at once, and how many wait for their turn, so that a slow
 * provider cannot take all of the caller's memory and connections.
 *
 * **Details**
 *
 * Callers are let in first come first served. Whoever finds the queue full fails at once with `BulkheadFull`; whoever is
 * interrupted while waiting gives its place to the next.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Option from "../internal/option.ts"
import * as Site from "../internal/site.ts"
import * as ErrorAction from "./ErrorAction.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Calls under way at once. */
  readonly maxConcurrent: number
  /** Calls that may wait. Default 0: reject at once. */
  readonly maxQueue?: number
}

/**
 * Checks the bounds. Throws `InvalidOption` where `maxConcurrent` is not a whole number of at least 1, or `maxQueue` not
 * one of at least 0.
 *
 * @category constructors
 * @since 0.1.0
 */
export const options = (options: Options): Options => {
  Option.number("Bulkhead.options", "maxConcurrent", options.maxConcurrent, { min: 1, integer: true })
  Option.number("Bulkhead.options", "maxQueue", options.maxQueue ?? 0, { min: 0, integer: true })
  return options
}

const fullAction = ErrorAction.make("fail", {
  circuit: "ignored",
  log: "warn",
  outage: true,
  guidance: "too many calls at once: shed load or raise maxConcurrent"
})

/**
 * As many calls as allowed are under way and waiting; nothing was sent.
 *
 * @category errors
 * @since 0.1.0
 */
export class BulkheadFull extends Schema.TaggedError<BulkheadFull>()("BulkheadFull", {
  integration: Schema.String,
  ...Site.fields,
  maxConcurrent: Schema.Int,
  maxQueue: Schema.Int
}) {
  get errorAction(): ErrorAction.ErrorAction {
    return fullAction
  }
  get outcome(): "unprocessed" {
    return "unprocessed"
  }
  override get message(): string {
    return Site.describe(
      this,
      `${this.maxConcurrent} calls are under way and ${this.maxQueue} wait, which is the limit; nothing was sent`
    )
  }
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Bulkhead {
  readonly name: string
  readonly execute: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | BulkheadFull, R>
  /** Calls under way and calls that wait. */
  readonly load: Effect.Effect<{ readonly running: number; readonly waiting: number }>
}

/** @category constructors @since 0.1.0 */
export const make = (name: string, bounds: Options): Effect.Effect<Bulkhead> => {
  options(bounds)
  return Effect.sync(() => makeUnsafe(name, bounds))
}

/** @internal */
export const makeUnsafe = (name: string, bounds: Options): Permits => new Permits(name, bounds)

/** @internal */
export class Permits implements Bulkhead {
  readonly #maxConcurrent: number
  readonly #maxQueue: number
  readonly #queue: Array<() => void> = []
  #running = 0
  #draining = false
  readonly name: string
  constructor(name: string, bounds: Options) {
    this.name = Option.name("Bulkhead.make", name)
    this.#maxConcurrent = bounds.maxConcurrent
    this.#maxQueue = bounds.maxQueue ?? 0
  }
  takeUnsafe(): boolean {
    if (this.#queue.length > 0 || this.#running >= this.#maxConcurrent) return false
    this.#running++
    return true
  }
  /** Joins the queue, or says that it is full. The permit is taken when `granted` is called. */
  joinUnsafe(granted: () => void): BulkheadFull | undefined {
    if (this.#queue.length >= this.#maxQueue) {
      return new BulkheadFull({
        integration: this.name,
        maxConcurrent: this.#maxConcurrent,
        maxQueue: this.#maxQueue
      })
    }
    this.#queue.push(granted)
    return undefined
  }
  leaveUnsafe(granted: () => void): void {
    const index = this.#queue.indexOf(granted)
    if (index >= 0) this.#queue.splice(index, 1)
  }
  /** Lets in who waits. Whoever ends at once gives back within this loop, so that a long queue needs no deep stack. */
  releaseUnsafe(): void {
    this.#running--
    if (this.#draining) return
    this.#draining = true
    try {
      while (this.#running < this.#maxConcurrent) {
        const next = this.#queue.shift()
        if (next === undefined) break
        this.#running++
        next()
      }
    } finally {
      this.#draining = false
    }
  }
  get execute() {
    return <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | BulkheadFull, R> =>
      Effect.suspend(() => {
        let held = false
        const acquire = Effect.callback<void, BulkheadFull>((resume) => {
          held = this.takeUnsafe()
          if (held) return resume(Effect.void)
          const granted = () => {
            held = true
            resume(Effect.void)
          }
          const full = this.joinUnsafe(granted)
          if (full !== undefined) return resume(Effect.fail(full))
          return Effect.sync(() => this.leaveUnsafe(granted))
        })
        const release = () => {
          if (held) this.releaseUnsafe()
          return undefined
        }
        // What was taken is given back even where the interruption comes between the two.
        return Effect.onExitPrimitive(Effect.andThen(acquire, self), release)
      })
  }
  get load(): Effect.Effect<{ readonly running: number; readonly waiting: number }> {
    return Effect.sync(() => ({ running: this.#running, waiting: this.#queue.length }))
  }
}
