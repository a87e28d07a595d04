import type * as Clock from "effect/Clock"

/** Monotonic milliseconds of a clock: never set back, of an arbitrary origin. */
export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
