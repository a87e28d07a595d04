/**
 * Alerts in the process: the rules of a design (`Rule.of`), evaluated where the integration runs, and told to the channels
 * that the design names.
 *
 * **Details**
 *
 * - Every second, and exactly when a rule is due, the metrics are sampled and compared. A rule fires when its comparison has
 *   held for its `for` without a break, and is over when it does not hold any more, or when there is no value. What a
 *   broker or a store is asked for (dead letters, lag, stuck sagas, the outbox) may have none for 5 minutes before that:
 *   to be away for a moment mends nothing.
 * - Messages of errors are told without credentials, and without what contracts of the design call personal data.
 * - An error whose action alerts or escalates fires at once (`ErrorAction.AlertHook`), with its message and ids: once per
 *   integration, kind and tag, until it was quiet for 5 minutes. This layer is the hook: whatever is provided with it tells
 *   it. A hook that was there before is called too.
 * - Every alert is logged. Who else is told is said by the routes of the design, whose channels are bound here. A
 *   channel that is not bound is an `UnboundChannel`, so that nobody waits for a message that never comes.
 * - Telling can neither delay nor fail the integration; see `AlertChannel`. When the layer is closed, what is left to be
 *   told is tried for `drain`, and logged if that is not enough. Alerts that are firing then are not resolved.
 * - It counts as `integration_{name}_alerts_total`, with the name of the design. The traffic of alerts raises no alerts.
 *
 * **Gotchas**
 *
 * The metrics are those of the `Metric.MetricRegistry` of this layer. What is firing is not remembered across a
 * restart: it fires again, with the same id.
 *
 * **Example** (One layer below the integration)
 *
 * ```ts
 * import { Config, Layer } from "effect"
 * import type { Integration } from "effect-integration"
 * import { Alerts, PagerDuty, Slack } from "effect-integration/monitoring"
 *
 * declare const design: Integration.Integration
 * declare const integration: Layer.Layer<never>
 *
 * export const main = integration.pipe(
 *   Layer.provide(
 *     Alerts.layer(design, {
 *       channels: {
 *         "PagerDuty payments": PagerDuty.channel({ routingKey: Config.Redacted("PAGERDUTY_ROUTING_KEY") }),
 *         "Slack #payments": Slack.channel({ webhook: Config.Redacted("SLACK_WEBHOOK") })
 *       }
 *     })
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Integration from "../Integration.ts"
import * as Option from "../internal/option.ts"
import * as ErrorAction from "../policy/ErrorAction.ts"
import type * as Alert from "./Alert.ts"
import * as AlertChannel from "./AlertChannel.ts"
import { Evaluator } from "./internal/alertEvaluator.ts"
import { tellers } from "./internal/alertTellers.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options<Channels> {
  /** What the channels of the design's routes are, by name. `log` is there anyway. */
  readonly channels?: Channels
  /** The longest time between two evaluations. Default: 1 second, and not longer. */
  readonly every?: Duration.Input
  /** How long what could not be sent waits: `base`, doubled up to `cap`. Default: 1 second, 1 minute. */
  readonly backoff?: { readonly base?: Duration.Input; readonly cap?: Duration.Input }
  /** How many incidents may wait for a channel before those of one rule are told as one. Default: 100. */
  readonly capacity?: number
  /** How long what is not told yet is tried when the layer is closed. Default: 5 seconds. */
  readonly drain?: Duration.Input
}

/**
 * Routes of the design name channels that nothing was bound to.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnboundChannel extends Schema.TaggedError<UnboundChannel>()("UnboundChannel", {
  design: Schema.String,
  /** As the design names them. */
  channels: Schema.Array(Schema.String),
  /** What is bound. */
  bound: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const names = (all: ReadonlyArray<string>) => all.map((each) => JSON.stringify(each)).join(", ")
    const known = this.bound.length === 0 ? "no channel is" : `${names(this.bound)} are`
    return `${this.design}: the alert routes name ${names(this.channels)}, to which nothing is bound (${known})`
  }
}

/**
 * What is firing now.
 *
 * @category services
 * @since 0.1.0
 */
export class Alerts extends Context.Service<
  Alerts,
  {
    readonly firing: Effect.Effect<ReadonlyArray<Alert.Alert>>
    /** Alerts as they fire and as they are over, from now on. A reader that is slow misses the oldest. */
    readonly changes: Stream.Stream<Alert.Alert>
    /** Samples and compares now. */
    readonly evaluate: Effect.Effect<void>
    /** What is not told yet, by channel. */
    readonly pending: Effect.Effect<Readonly<Record<string, ReadonlyArray<Alert.Alert>>>>
  }
>()("effect-integration/monitoring/Alerts") {}

const where = "Alerts.layer"

/**
 * Evaluates the rules of a design for as long as the layer is there.
 *
 * **Details**
 *
 * Fails with `UnboundChannel`, and with what its channels fail with: a key that the configuration does not give.
 *
 * **Gotchas**
 *
 * Throws `InvalidOption` for options that make no sense.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Channels extends Readonly<Record<string, AlertChannel.Any>> = {}>(
  design: Integration.Integration,
  options: Options<Channels> = {}
): Layer.Layer<
  Alerts,
  UnboundChannel | AlertChannel.Error<Channels[keyof Channels]>,
  Exclude<AlertChannel.Services<Channels[keyof Channels]>, Scope.Scope>
> => {
  const millis = (option: string, given: Duration.Input) => Option.millis(where, option, given)
  const every = millis("every", options.every ?? "1 second")
  if (every > 1000) Option.reject(where, "every", options.every, "at most 1 second")
  const base = millis("backoff.base", options.backoff?.base ?? "1 second")
  const cap = millis("backoff.cap", options.backoff?.cap ?? "1 minute")
  if (cap < base) Option.reject(where, "backoff.cap", options.backoff?.cap, "at least backoff.base")
  const capacity = Option.number(where, "capacity", options.capacity ?? 100, { min: 1, integer: true })
  const drain = Option.millisOrZero(where, "drain", options.drain ?? "5 seconds")
  const channels: Readonly<Record<string, AlertChannel.Any>> = { log: AlertChannel.log, ...options.channels }

  const make = Effect.gen(function* () {
    const missing = unbound(design, channels)
    if (missing.length > 0) {
      const bound = Object.keys(options.channels ?? {})
      return yield* new UnboundChannel({ design: design.name, channels: missing, bound })
    }
    const previous = yield* ErrorAction.AlertHook
    const told = yield* tellers(design, channels, { backoff: { base, cap }, capacity, drain })
    const evaluator = yield* Evaluator.make(design, told.tell)
    yield* Effect.forkScoped(evaluator.run(every))
    const hook = (notice: ErrorAction.Notice) => Effect.andThen(evaluator.notice(notice), previous(notice))
    const service = Alerts.of({
      firing: evaluator.firing,
      changes: told.changes,
      evaluate: evaluator.evaluate,
      pending: told.pending
    })
    return Context.add(Context.make(Alerts, service), ErrorAction.AlertHook, hook)
  })
  return Layer.effectContext(make) as any
}

const unbound = (
  { alerts }: Integration.Integration,
  channels: Readonly<Record<string, AlertChannel.Any>>
): ReadonlyArray<string> =>
  Array.from(new Set(alerts.flatMap((route) => route.channels))).filter((name) => !Object.hasOwn(channels, name))
