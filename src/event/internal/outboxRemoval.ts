import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { OutboxError } from "./storedEvent.ts"
import { pauseAfter } from "./brokerOutage.ts"

const removedAtOnce = 1000

/** Milliseconds in which what is confirmed is collected, so that a busy relay does not delete row by row. */
const collected = 5

/** Removes what was published, many at once. */
export class OutboxRemoval {
  readonly #name: string
  readonly #remove: (positions: ReadonlyArray<number>) => Effect.Effect<void, OutboxError>
  readonly #removed: (position: number) => void
  readonly #positions: Array<number> = []
  #added = Deferred.makeUnsafe<void>()
  #done = Deferred.makeUnsafe<void>()
  readonly #hurry = Deferred.makeUnsafe<void>()
  constructor(
    name: string,
    remove: (positions: ReadonlyArray<number>) => Effect.Effect<void, OutboxError>,
    removed: (position: number) => void
  ) {
    this.#name = name
    this.#remove = remove
    this.#removed = removed
  }

  add(position: number): void {
    this.#positions.push(position)
    Deferred.doneUnsafe(this.#added, Effect.void)
  }

  /** Collects no longer, and waits until all is removed. */
  readonly settled: Effect.Effect<void> = Effect.suspend(() => {
    Deferred.doneUnsafe(this.#hurry, Effect.void)
    return this.#positions.length === 0 ? Effect.void : Effect.andThen(Deferred.await(this.#done), this.settled)
  })

  readonly run: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    let failures = 0
    for (;;) {
      yield* Deferred.await(this.#added)
      yield* Effect.timeoutOption(Deferred.await(this.#hurry), collected)
      this.#added = Deferred.makeUnsafe()
      while (this.#positions.length > 0) {
        const positions = this.#positions.slice(0, removedAtOnce)
        const exit = yield* Effect.exit(this.#remove(positions))
        if (Exit.isSuccess(exit)) {
          failures = 0
          this.#positions.splice(0, positions.length)
          for (const position of positions) this.#removed(position)
        } else {
          // Whoever takes over publishes them again meanwhile: consumers know their ids.
          if (failures++ === 0) yield* Effect.logWarning(`${this.#name}: published events stay stored`, exit.cause)
          yield* Effect.sleep(pauseAfter(failures))
        }
      }
      const done = this.#done
      this.#done = Deferred.makeUnsafe()
      Deferred.doneUnsafe(done, Effect.void)
    }
  })
}
