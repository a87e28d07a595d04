/**
 * A clock that runs faster than the one on the wall: the design keeps its times, such as an open circuit's 30 seconds, and
 * whoever watches need not wait for them.
 */
import { Clock, Context, Duration, Effect, Layer } from "effect"

const wall = Context.get(Context.empty(), Clock.Clock)

const perMilli = 1_000_000n

const longestTimer = 2 ** 31 - 1

/** Not a timer that keeps the process alive: a deadline that nobody waits for any more would do so when all is over. */
const nap = (millis: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.void), Math.min(millis, longestTimer)).unref()
    return Effect.sync(() => clearTimeout(timer))
  })

class Faster implements Clock.Clock {
  #speed: number
  /** Where it stood when its speed was set last, and where the wall's stood. */
  #nanos = 0n
  #since = wall.monotonicTimeNanosUnsafe()
  readonly #origin = BigInt(wall.currentTimeMillisUnsafe()) * perMilli
  constructor(speed: number) {
    this.#speed = speed
  }
  set speed(speed: number) {
    this.#nanos = this.monotonicTimeNanosUnsafe()
    this.#since = wall.monotonicTimeNanosUnsafe()
    this.#speed = speed
  }
  get speed(): number {
    return this.#speed
  }
  monotonicTimeNanosUnsafe(): bigint {
    return this.#nanos + (wall.monotonicTimeNanosUnsafe() - this.#since) * BigInt(this.#speed)
  }
  currentTimeNanosUnsafe(): bigint {
    return this.#origin + this.monotonicTimeNanosUnsafe()
  }
  currentTimeMillisUnsafe(): number {
    return Number(this.currentTimeNanosUnsafe() / perMilli)
  }
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis <= 0 || !Number.isFinite(millis)) return wall.sleep(duration)
    return Effect.suspend(() => this.#until(this.monotonicTimeNanosUnsafe() + BigInt(Math.ceil(millis * 1e6))))
  }
  /** The host's timers ring up to a millisecond early, which is many of these; and the speed may have changed. */
  #until(end: bigint): Effect.Effect<void> {
    return Effect.suspend(() => {
      const left = Number(end - this.monotonicTimeNanosUnsafe()) / 1e6
      if (left <= 0) return Effect.void
      return Effect.andThen(nap(left / this.#speed), this.#until(end))
    })
  }
}

/** Whatever is done with it is done this many times faster. */
export const times = (speed: number): Layer.Layer<never> => Layer.succeed(Clock.Clock, new Faster(speed))

/** From now on the clock is at most this many times faster. */
export const slowDown = (speed: number): Effect.Effect<void> =>
  Clock.clockWith((clock) =>
    Effect.sync(() => {
      if (clock instanceof Faster) clock.speed = Math.min(clock.speed, speed)
    })
  )

/** For whoever watches. */
export const sleepOnTheWall = (duration: Duration.Input): Effect.Effect<void> =>
  wall.sleep(Duration.fromInputUnsafe(duration))

export const millisOnTheWall = wall.currentTimeMillis
