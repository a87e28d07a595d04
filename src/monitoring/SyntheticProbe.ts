/**
 * A synthetic probe: something that is tried in production again and again, so that a failure is known before somebody
 * needs it (section 6.2).
 *
 * **Details**
 *
 * - It runs as synthetic traffic (`Telemetry.Synthetic`): it is not recorded in the metrics of the business, and the other
 *   side is told (`x-synthetic: true`, the extension `synthetic` of events).
 * - A probe never overlaps itself: one that is due while another runs is left out. The first comes after a random delay, so
 *   that processes that were started together do not probe together.
 * - How it ends is in the metrics `probes_total`, `probe_success` and `probe_duration_ms`, of which comes the alert, and in
 *   `Health`, where it warns. A probe that fails, dies or hangs ends neither the process nor the probes after it.
 *
 * **Gotchas**
 *
 * Each process that has the layer probes. What a probe does, it does for real: call what changes nothing, or mark what it
 * makes, and have the other side leave it out. A dead letter that it leaves is one like any other: it is in the depth of
 * the queue, and alerts until somebody takes it away.
 *
 * **Example** (A call every five minutes, and a round trip every hour)
 *
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Channel, type Consumer, EventType } from "effect-integration/event"
 * import { SyntheticProbe } from "effect-integration/monitoring"
 *
 * declare const status: Effect.Effect<string, Error>
 * declare const Billing: Consumer.Any
 * const OrderPlaced = EventType.make("com.acme.order.placed", {
 *   source: "https://acme.com/orders",
 *   data: Schema.Struct({ orderId: Schema.String })
 * })
 * const Orders = Channel.make("orders", [OrderPlaced], { consumers: ["billing"] })
 *
 * export const Reachable = SyntheticProbe.make("payments-status", { timeout: "5 seconds", run: status })
 * export const RoundTrip = SyntheticProbe.make("order-round-trip", {
 *   cron: "0 * * * *",
 *   run: SyntheticProbe.roundTrip(Orders, OrderPlaced, { orderId: "synthetic" }, { consumer: Billing })
 * })
 *
 * export const Probes = Layer.merge(Reachable.layer, RoundTrip.layer)
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as EffectOption from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Broker } from "../event/Broker.ts"
import type { PublishError } from "../event/BrokerError.ts"
import type * as Channel from "../event/Channel.ts"
import type { InvalidEvent } from "../event/CloudEvent.ts"
import type * as Consumer from "../event/Consumer.ts"
import { DedupStore, type DedupStoreError } from "../event/DedupStore.ts"
import type * as EventType from "../event/EventType.ts"
import type * as Ordering from "../event/Ordering.ts"
import * as Publisher from "../event/Publisher.ts"
import type * as Integration from "../Integration.ts"
import { monotonicMillis } from "../internal/monotonic.ts"
import * as Option from "../internal/option.ts"
import * as RequestContext from "../policy/RequestContext.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Probes from "./internal/probes.ts"
import * as Times from "./internal/probeTimes.ts"

/**
 * The probe has not ended in time.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProbeTimeout extends Schema.TaggedError<ProbeTimeout>()("ProbeTimeout", {
  probe: Schema.String,
  timeout: Schema.Duration
}) {
  override get message(): string {
    return `the probe ${this.probe} has not ended within ${Duration.format(this.timeout)}`
  }
}

/**
 * How a probe has ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Result extends Probes.Result {}

/**
 * @category models
 * @since 0.1.0
 */
export interface SyntheticProbe<out Name extends string, out E, out R> extends Integration.Probe {
  readonly name: Name
  /** Of a cron expression the longest of its pauses. */
  readonly every: Duration.Duration
  readonly timeout: Duration.Duration
  /** Probes once, and records how it ends. */
  readonly once: Effect.Effect<void, E | ProbeTimeout, R>
  /** Probes for as long as the layer is there. */
  readonly layer: Layer.Layer<never, never, R>
}

/** @category models @since 0.1.0 */
export interface Any extends SyntheticProbe<string, unknown, any> {}

/**
 * @category models
 * @since 0.1.0
 */
export type Options<E, R> = {
  /** What is tried. It fails where it does not do what is expected. */
  readonly run: Effect.Effect<unknown, E, R>
  /** When it has failed without an answer. Default: 30 seconds, or `every` where that is shorter. */
  readonly timeout?: Duration.Input
  /** The first probe, or each one of a cron expression, comes up to so much later. Default: 30 seconds, or half of `every`. */
  readonly jitter?: Duration.Input
} & (
  | {
      /** Default: 5 minutes. */
      readonly every?: Duration.Input
      readonly cron?: never
    }
  | {
      readonly every?: never
      /** Texts are in UTC, for example `0 6 * * 1-5`. */
      readonly cron: string | Cron.Cron
    }
)

const where = "SyntheticProbe.make"

/**
 * A probe.
 *
 * **Details**
 *
 * Throws `InvalidOption` for options that make no sense, such as a timeout longer than the time between two probes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Name extends string, E, R>(
  name: Name,
  options: Options<E, R>
): SyntheticProbe<Name, E, Exclude<R, Scope.Scope>> => {
  const recorder = Telemetry.recorder(Option.name(where, name))
  const times =
    options.cron === undefined
      ? Times.ofEvery(Duration.millis(Option.millis(where, "every", options.every ?? "5 minutes")))
      : Times.ofCron(where, options.cron)
  const everyMillis = Duration.toMillis(times.every)
  const millis = Option.millis(where, "timeout", options.timeout ?? Math.min(30_000, everyMillis))
  if (millis > everyMillis) {
    Option.reject(where, "timeout", options.timeout, `at most ${Duration.format(times.every)}, when the next is due`)
  }
  const jitter = Option.millisOrZero(where, "jitter", options.jitter ?? Math.min(30_000, everyMillis / 2))
  const timeout = Duration.millis(millis)

  const isolated = Effect.scoped(options.run).pipe(
    Effect.withSpan(`probe ${name}`, { root: true, attributes: { [Telemetry.Attribute.synthetic]: true } }),
    Effect.provideService(RequestContext.RequestContext, {}),
    Effect.provideService(Telemetry.Synthetic, true)
  ) as Effect.Effect<unknown, E, Exclude<R, Scope.Scope>>

  /** Gives how it ended when it no longer runs; what is recorded is known before, where it cannot be interrupted. */
  const attempt = (running: Probes.Running | undefined) =>
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const clock = yield* Clock.Clock
      const begun = monotonicMillis(clock)
      const fiber = yield* Effect.forkChild(isolated)
      const ended = yield* Effect.timeoutOption(Fiber.await(fiber), timeout)
      const exit: Exit.Exit<unknown, E | ProbeTimeout> = EffectOption.getOrElse(ended, () =>
        Exit.fail(new ProbeTimeout({ probe: name, timeout }))
      )
      const took = monotonicMillis(clock) - begun
      const outcome = Probes.outcomeOf(exit)
      recorder.probe(outcome, took, context)
      if (running !== undefined) {
        const before = running.last?.outcome
        running.last = { probe: name, outcome, millis: took, at: yield* DateTime.now }
        yield* Probes.logged(name, exit, outcome, before)
      }
      yield* Fiber.interrupt(fiber)
      return exit
    })

  const launch = Effect.gen(function* () {
    const running = yield* Probes.running(name)
    const offset = Math.round(jitter * (yield* Random.next))
    const { next } = yield* times.first(offset)
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(next, attempt(running))))
  })

  return {
    name,
    every: times.every,
    timeout,
    once: Effect.asVoid(Effect.flatten(attempt(undefined))),
    layer: Layer.effectDiscard(launch)
  }
}

/** How the probes of this process have last ended. @category getters @since 0.1.0 */
export const results: Effect.Effect<ReadonlyArray<Result>> = Probes.results

/**
 * Publishes an event, and returns when a consumer has handled it, in whatever process.
 *
 * **Details**
 *
 * It asks the dedup store of the consumer, where an event is only after its handler has succeeded: one that goes to the
 * dead letters is not. It takes as long as it takes; the probe has the timeout. For a consumer without dedup, say in
 * `handled` what there is when it has handled the event.
 *
 * **Gotchas**
 *
 * The handler sees the event as any other. `yield* Telemetry.Synthetic` tells it that nobody has placed this order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const roundTrip = <
  Events extends EventType.Any,
  const Type extends Events["type"],
  Data extends Schema.Constraint,
  E = DedupStoreError,
  R = DedupStore
>(
  channel: Channel.Channel<string, Events, Ordering.Ordering>,
  type: EventType.EventType<Type, Data>,
  data: NoInfer<Data["Type"]>,
  options: {
    readonly consumer: Consumer.Any
    /** Whether the event has been handled. Default: the dedup store says so. */
    readonly handled?: (event: { readonly source: string; readonly id: string }) => Effect.Effect<boolean, E, R>
    /** How long to wait before it is asked again. Default: 100 milliseconds. */
    readonly poll?: Duration.Input
    readonly publish?: Publisher.Options
  }
): Effect.Effect<void, E | PublishError | InvalidEvent, R | Broker | Data["EncodingServices"]> => {
  const { consumer } = options
  const at = "SyntheticProbe.roundTrip"
  const poll = Option.millis(at, "poll", options.poll ?? "100 millis")
  if (consumer.channel.name !== channel.name) {
    Option.reject(at, "consumer", consumer.name, `a consumer of the channel ${channel.name}`)
  }
  if (options.handled === undefined && consumer.options.dedup === undefined) {
    Option.reject(at, "handled", undefined, `given, since ${consumer.name} has no dedup`)
  }
  const handled = (options.handled ?? processedBy(consumer.name)) as NonNullable<typeof options.handled>
  return Effect.gen(function* () {
    const { id, source } = yield* Publisher.publish(channel, type, data, options.publish)
    while (!(yield* handled({ source, id }))) yield* Effect.sleep(Duration.millis(poll))
  })
}

const processedBy = (group: string) => (event: { readonly source: string; readonly id: string }) =>
  DedupStore.use((store) => Effect.map(store.processed(group, [event]), ([processed]) => processed === true))
