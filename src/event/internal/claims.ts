import * as Effect from "effect/Effect"
import * as Duration from "effect/Duration"
import type * as DedupStore from "../DedupStore.ts"
import type { Handling } from "./setup.ts"

/** A claim whose event is being handled. */
export interface Claim {
  readonly event: DedupStore.Identity
  readonly token: number
  handling: Handling | undefined
  /** Whether it was there at the last round already. */
  old: boolean
}

/**
 * Prolongs the claims of what takes long to handle, every third of a lease; most are gone before. A handler whose claim
 * was taken over is stopped.
 */
export const renew = (
  store: DedupStore.DedupStore["Service"],
  group: string,
  claims: ReadonlySet<Claim>,
  lease: Duration.Duration
): Effect.Effect<never> =>
  Effect.forever(
    Effect.andThen(
      Effect.sleep(Duration.times(lease, 1 / 3)),
      Effect.suspend(() =>
        Effect.forEach(
          Array.from(claims),
          (claim) => {
            if (!claim.old) {
              claim.old = true
              return Effect.void
            }
            return store.renew(group, claim.event, claim.token, lease).pipe(
              Effect.map((held) => {
                if (!held) claim.handling?.stop("lost")
              }),
              // The next round tries again; a lease has room for two that fail.
              Effect.ignore({ log: "Debug" })
            )
          },
          { concurrency: "unbounded", discard: true }
        )
      )
    )
  )
