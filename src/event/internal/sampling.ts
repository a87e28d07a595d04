import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Secrets from "../../internal/secrets.ts"
import * as Telemetry from "../../Telemetry.ts"
import type { Message } from "../Message.ts"
import * as Parking from "../Parking.ts"
import type { Setup } from "./setup.ts"

/** How many of the messages in hand are read again for the time of their event: the first are the oldest, nearly always. */
const readAtMost = 100

/**
 * Shows dead letters, lag and pause of a group for as long as the scope is open. A process counts what the broker and the
 * store of parked messages know, and what it has in hand itself.
 *
 * What waits at the broker cannot be looked at: the age of the oldest is that of the messages in hand and parked. Where
 * others wait, and none of those are there, it is not known.
 */
export const register = (setup: Setup, isPaused: () => boolean): Effect.Effect<void, never, Scope.Scope> => {
  const { broker, channel, inHand, name, parking } = setup
  const known = <A, E>(asked: Effect.Effect<A, E>): Effect.Effect<Option.Option<A>> =>
    Effect.matchCauseEffect(asked, {
      onSuccess: (value) => Effect.succeedSome(value),
      onFailure: (cause) => Effect.as(Effect.logDebug(`${name}: not sampled`, Secrets.ofCause(cause)), Option.none())
    })
  const depth = known(broker.depth({ channel, group: name }))
  const parked =
    parking === undefined
      ? Effect.succeed(Option.some({ parked: 0, oldest: Option.none<Message>() }))
      : known(parking.depth(Parking.groupOf(channel, name)))

  /** Epoch milliseconds. */
  const timeOf = (message: Message): number | undefined => {
    const read = Result.getOrUndefined(Result.try(() => channel.codec.decode(message, broker.binding)))
    const event = read === undefined ? undefined : Result.getOrUndefined(read)
    return event?.time === undefined ? undefined : DateTime.toEpochMillis(event.time)
  }

  const read = Effect.gen(function* () {
    const [atBroker, inStore] = yield* Effect.all([depth, parked], { concurrency: "unbounded" })
    for (const delivery of inHand) if (!delivery.isLive()) inHand.delete(delivery)
    const readings: Array<Telemetry.Reading> = [{ metric: "paused", name, value: isPaused() ? 1 : 0 }]
    let waiting: number | undefined
    if (Option.isSome(atBroker)) {
      const { deadLetters, delayed, ready } = atBroker.value
      readings.push({ metric: "deadLetters", name, value: deadLetters })
      if (Option.isSome(inStore)) {
        waiting = ready + delayed + inStore.value.parked + inHand.size
        readings.push({ metric: "lag", name, value: waiting })
      }
    }
    const oldest = Option.flatMap(inStore, ({ oldest }) => oldest)
    const messages = Array.from(inHand)
      .slice(0, readAtMost)
      .map(({ message }) => message)
    const times = [...messages, ...Option.toArray(oldest)].flatMap((message) => timeOf(message) ?? [])
    const now = yield* Clock.currentTimeMillis
    if (times.length > 0) {
      readings.push({ metric: "lagAge", name, value: Math.max(0, now - Math.min(...times)) / 1000 })
    } else if (waiting === 0) readings.push({ metric: "lagAge", name, value: 0 })
    return readings
  })
  return Telemetry.sampler(read)
}
