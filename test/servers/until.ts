import { Effect } from "effect"

/** Waits until something is so, as long as the test may last. */
export const until = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.flatMap(condition, (so) => (so ? Effect.void : Effect.andThen(Effect.sleep("20 millis"), until(condition))))
