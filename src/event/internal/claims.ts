import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../../internal/monotonic.ts"
import type * as DedupStore from "../DedupStore.ts"
import type { Handling, Setup } from "./setup.ts"

/** A claim whose event is being handled, or was handled and is to be marked. */
export interface Claim {
  readonly event: DedupStore.Identity
  readonly token: number
  handling: Handling | undefined
  /** Monotonic milliseconds until when it is surely held. */
  until: number
}

/**
 * Prolongs the claims of what takes long to handle, every third of a lease; most are gone before. A handler is stopped when
 * its claim was taken over, or is over because it could not be prolonged.
 */
export const renew = (
  setup: Setup,
  store: DedupStore.DedupStore["Service"],
  claims: ReadonlySet<Claim>
): Effect.Effect<never> => {
  const { alarm, lease, name } = setup
  const now = () => monotonicMillis(alarm.clock)
  const millis = Duration.toMillis(lease)
  const prolong = (claim: Claim): Effect.Effect<void> =>
    Effect.suspend(() => {
      const before = now()
      return Effect.match(Effect.timeout(store.renew(name, claim.event, claim.token, lease), millis / 3), {
        onSuccess: (held) => {
          if (held) claim.until = before + millis
          else claim.handling?.stop("lost")
        },
        onFailure: () => {}
      })
    })
  const over = (claim: Claim): Effect.Effect<void> => {
    const { until } = claim
    const stop = Effect.sync(() => {
      if (claim.until === until) claim.handling?.stop("lost")
    })
    return Effect.andThen(Effect.sleep(Math.max(until - now(), 0)), stop)
  }
  const round = Effect.suspend(() => {
    const young = now() + millis * (2 / 3)
    const old = Array.from(claims).filter((claim) => claim.until <= young)
    const prolonged = Effect.forEach(old, prolong, { concurrency: "unbounded", discard: true })
    // A lease has room for one round that fails.
    const endings = Effect.suspend(() => {
      const last = old.filter((claim) => claims.has(claim) && claim.until <= now() + millis / 3)
      return Effect.forEach(last, (claim) => Effect.forkChild(over(claim)), { discard: true })
    })
    return Effect.andThen(prolonged, endings)
  })
  return Effect.forever(Effect.andThen(Effect.sleep(millis / 3), round))
}
