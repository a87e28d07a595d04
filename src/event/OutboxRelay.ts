/**
 * Publishes what an `Outbox` has stored, with the broker's confirms, and removes it.
 *
 * **Details**
 *
 * - Many keys at once, and of one key of a strictly ordered channel one event at a time, in the order of commits. Events
 *   of other channels are published as they come.
 * - Relays of many processes share the keys of a channel: each key falls into one of 64 buckets, and a relay publishes
 *   those of which it holds the lease. When a relay comes or goes, the others give or take; one that dies is replaced when
 *   its leases end.
 * - A relay that was stalled and lost its leases publishes at most what it had under way, and so at most duplicates.
 * - A commit is noticed at once where the store can tell (in the same process, and by PostgreSQL's NOTIFY), else by
 *   polling.
 * - While the broker is away, or the queues are not as designed, the channel pauses (1 s, doubled up to 30 s), and no
 *   attempt is spent. An event that nobody consumes, that kills the codec, or that is refused while others are taken,
 *   spends one; after `maxAttempts` it is set aside. One that is no valid event is set aside at once. On a strictly
 *   ordered channel whose ordering says `halt`, later events of its key then wait for it; else the key goes on.
 * - When the layer is closed, what is under way is awaited, for `drain`, and its leases are given to others.
 * - Events of channels that no relay publishes are reported once a minute.
 *
 * **Example** (A process that relays)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { type Channel, MemoryBroker, OutboxRelay } from "effect-integration/event"
 * import { SqlOutbox } from "effect-integration/sql"
 * import { Sqlite } from "effect-integration/sqlite"
 *
 * declare const Orders: Channel.Any
 *
 * export const relay = OutboxRelay.layer([Orders], {
 *   onSetAside: (event) => Effect.log(`look after ${event.id}: ${event.error}`)
 * }).pipe(Layer.provide([MemoryBroker.layer, SqlOutbox.layer]), Layer.provide(Sqlite.layer({ filename: "app.db" })))
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as EffectOption from "effect/Option"
import { monotonicMillis } from "../internal/monotonic.ts"
import * as Option from "../internal/option.ts"
import * as RequestContext from "../policy/RequestContext.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Broker from "./Broker.ts"
import type * as Channel from "./Channel.ts"
import { recorderOf } from "./internal/building.ts"
import { OutboxPump } from "./internal/outboxPump.ts"
import { Outbox, OutboxError, type SetAside } from "./Outbox.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options<out R = never> {
  /** How many events of a channel are under way at once. Default: 64. */
  readonly concurrency?: number
  /** How long a relay that has died keeps its keys from others. Renewed while it lives. Default: 10 seconds. */
  readonly lease?: Duration.Input
  /** How often the store is read without being told: after an event, and at longest. Default: 200 ms, 1 second. */
  readonly poll?: { readonly shortest?: Duration.Input; readonly longest?: Duration.Input }
  /** How often an event may fail before it is set aside. Default: 10, which takes about two and a half minutes. */
  readonly maxAttempts?: number
  /** How long what is under way may take when the relay ends. Default: 10 seconds. */
  readonly drain?: Duration.Input
  /** Is called when an event was set aside, on a fiber of its own. The `AlertHook` is told as well. */
  readonly onSetAside?: (event: SetAside) => Effect.Effect<unknown, unknown, R>
}

const where = "OutboxRelay.layer"
const lookAround = Duration.minutes(1)

/**
 * A relay of these channels, for as long as the layer is there. It starts also where the store or the broker is down.
 *
 * **Details**
 *
 * Throws `InvalidOption` for options that make no sense, and for two channels of one name.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  channels: ReadonlyArray<Channel.Any>,
  options: Options<R> = {}
): Layer.Layer<never, never, Outbox | Broker.Broker | R> => {
  const names = channels.map((channel) => channel.name)
  if (names.length === 0 || new Set(names).size < names.length) {
    Option.reject(where, "channels", names, "at least one, each with a name of its own")
  }
  for (const channel of channels) recorderOf(channel)
  const millis = (option: string, input: Duration.Input) => Option.millis(where, option, input)
  const shortest = millis("poll.shortest", options.poll?.shortest ?? 200)
  const longest = millis("poll.longest", options.poll?.longest ?? Math.max(shortest, 1000))
  if (longest < shortest) Option.reject(where, "poll.longest", options.poll?.longest, "at least poll.shortest")
  const lease = Duration.millis(millis("lease", options.lease ?? "10 seconds"))
  const drain = Option.millisOrZero(where, "drain", options.drain ?? "10 seconds")
  const concurrency = Option.number(where, "concurrency", options.concurrency ?? 64, { min: 1, integer: true })
  const maxAttempts = Option.number(where, "maxAttempts", options.maxAttempts ?? 10, { min: 1, integer: true })
  const { onSetAside = () => Effect.void } = options

  const launch = Effect.gen(function* () {
    const context = yield* Effect.context<Outbox | Broker.Broker | R>()
    const outbox = Context.get(context, Outbox)
    const owner = Context.get(context, RequestContext.IdGenerator)()
    const clock = yield* Clock.Clock
    const now = () => monotonicMillis(clock)
    const setup = {
      owner,
      outbox,
      broker: Context.get(context, Broker.Broker),
      context: context as Context.Context<never>,
      now,
      concurrency,
      maxAttempts,
      poll: { shortest, longest },
      onSetAside: (event: SetAside) => Effect.provideContext(onSetAside(event), context)
    }
    const pumps = new Map(channels.map((channel) => [channel.name, new OutboxPump(channel, setup)]))
    const all = Array.from(pumps.values())

    const beat = Effect.gen(function* () {
      const until = now() + Duration.toMillis(lease)
      const held = yield* Effect.timeoutOrElse(outbox.lease({ owner, channels: names, lease }), {
        duration: lease,
        orElse: () => {
          const description = "no answer while the leases lasted"
          return Effect.fail(new OutboxError({ reason: "unavailable", operation: "lease keys", description }))
        }
      })
      for (const [name, pump] of pumps) {
        const kept = held.filter(({ channel, surplus }) => channel === name && !surplus)
        pump.hold(kept, until)
      }
      const unused = held.filter(({ bucket, channel, surplus }) => surplus && pumps.get(channel)!.isIdle(bucket))
      if (unused.length > 0) yield* outbox.release(owner, unused, { leaves: false })
    })
    let isDown = false
    const beats = Effect.gen(function* () {
      const exit = yield* Effect.exit(beat)
      if (exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.interrupt
      if (exit._tag === "Failure" && !isDown) {
        yield* Effect.logWarning("outbox relay: the store cannot be reached, nothing is published", exit.cause)
      } else if (exit._tag === "Success" && isDown) {
        for (const pump of all) pump.wake()
        yield* Effect.logInfo("outbox relay: the store is back")
      }
      isDown = exit._tag === "Failure"
      yield* Effect.sleep(Duration.times(lease, isDown ? 1 / 10 : 1 / 3))
    })
    const strangers = Effect.gen(function* () {
      yield* Effect.sleep(lookAround)
      for (const { channel, pending, relays } of yield* outbox.depth) {
        if (pending === 0 || relays > 0) continue
        yield* Effect.logWarning(
          `outbox: ${pending} events of channel ${channel} wait, and no relay publishes it; add it to a relay`
        )
      }
    })

    const leave = Effect.gen(function* () {
      yield* Effect.timeoutOption(
        Effect.forEach(all, (pump) => pump.drain, { concurrency: "unbounded", discard: true }),
        drain
      )
      yield* Effect.forEach(all, (pump) => pump.stop, { discard: true })
      yield* Effect.ignore(Effect.timeoutOption(outbox.release(owner, [], { leaves: true }), drain), { log: "Debug" })
    })
    // What removes and renews goes on until all is drained, so it ends after that.
    yield* Effect.forkScoped(Effect.forever(beats))
    for (const pump of all) yield* Effect.forkScoped(pump.removal.run)
    yield* Effect.addFinalizer(() => leave)
    for (const pump of all) {
      yield* outbox.watch((channel) => {
        if (channel === undefined || channel === pump.channel.name) pump.wake()
      })
      yield* Effect.forkScoped(pump.run)
    }
    yield* Effect.forkScoped(Effect.forever(Effect.ignore(strangers, { log: "Debug" })))
    yield* Telemetry.sampler(
      Effect.map(outbox.depth, (all) =>
        names.flatMap((name): ReadonlyArray<Telemetry.Reading> => {
          const depth = all.find(({ channel }) => channel === name)
          const age = depth === undefined ? Duration.zero : EffectOption.getOrElse(depth.oldest, () => Duration.zero)
          return [
            { metric: "outboxPending", name, value: depth?.pending ?? 0 },
            { metric: "outboxAge", name, value: Duration.toSeconds(age) }
          ]
        })
      )
    )
  })
  return Layer.effectDiscard(launch)
}
