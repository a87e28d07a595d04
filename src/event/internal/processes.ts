import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Secrets from "../../internal/secrets.ts"
import * as Settling from "./settling.ts"
import type { Setup } from "./setup.ts"

const uninterruptible = { uninterruptible: true }

/** The messages that are being worked on. */
export class Processes {
  readonly #fibers = new Set<Fiber.Fiber<unknown>>()
  readonly #setup: Setup
  constructor(setup: Setup) {
    this.#setup = setup
  }
  /**
   * Begins with something at once, and goes on with what is left, which is `Settling.isDone` where nothing is. A bug ends
   * nothing but this.
   */
  begin<A>(work: (on: A) => Effect.Effect<unknown>, on: A): void {
    let rest: Effect.Effect<unknown>
    try {
      rest = work(on)
    } catch (defect) {
      rest = Effect.die(defect)
    }
    if (rest !== Settling.isDone) this.#fork(rest)
  }
  #fork(rest: Effect.Effect<unknown>): void {
    const { name } = this.#setup
    const process = Effect.catchCause(rest, (cause) =>
      Effect.logError(`${name}: a message stays unsettled until the consumer ends, by a bug: ${Secrets.ofCause(cause)}`)
    )
    const fiber = this.#setup.fork(process, uninterruptible)
    if (fiber.pollUnsafe() !== undefined) return
    this.#fibers.add(fiber)
    fiber.addObserver(() => this.#fibers.delete(fiber))
  }
  get ended(): Effect.Effect<void> {
    return Effect.suspend(() => Effect.asVoid(Fiber.awaitAll(Array.from(this.#fibers))))
  }
}
