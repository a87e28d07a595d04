import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Parking from "../Parking.ts"
import type { Setup } from "./setup.ts"

const shortest = Duration.seconds(1)
const longest = Duration.hours(1)

/** Removes what the stores need not remember any longer, a hundred times in each window. */
export const run = (setup: Setup): Effect.Effect<never> => {
  const { channel, dedup, name, parking, store } = setup
  const window = dedup?.window ?? Duration.days(1)
  const every = Duration.clamp(Duration.times(window, 1 / 100), { minimum: shortest, maximum: longest })
  const purged = Effect.all(
    [
      ...(dedup === undefined || store === undefined ? [] : [store.purge(name, dedup.window)]),
      ...(parking === undefined ? [] : [parking.purge(Parking.groupOf(channel, name), window)])
    ],
    { discard: true }
  )
  return Effect.forever(Effect.andThen(Effect.sleep(every), Effect.ignore(purged, { log: "Debug" })))
}
