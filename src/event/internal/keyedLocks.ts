import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

/** One at a time per key, first come first served; keys that nobody holds or waits for are forgotten. */
export class KeyedLocks {
  readonly #locks = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()
  hold<A, E, R>(key: string, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const lock = this.#locks.get(key) ?? { semaphore: Semaphore.makeUnsafe(1), users: 0 }
      this.#locks.set(key, lock)
      lock.users++
      return Effect.onExitPrimitive(lock.semaphore.withPermits(1)(self), () => {
        if (--lock.users === 0) this.#locks.delete(key)
        return undefined
      })
    })
  }
}
