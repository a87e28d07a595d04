/**
 * The one catalogue of metric and attribute names, and how they are recorded.
 *
 * Metrics are named as the document names them (section 7.1): `integration_{name}_requests_total` and so on, where
 * `{name}` is the integration's name made legal (`orders-to-payments` becomes `orders_to_payments`).
 *
 * **Details**
 *
 * - A logical call counts once in `requests_total`, whatever its number of attempts; each request that is sent counts in
 *   `attempts_total`.
 * - Label sets are bounded: an outcome is `success` or the tag of an error, never a message, a URL or an id.
 * - Recording goes to the `Metric.MetricRegistry` of the fiber that made the call.
 * - Gauges that must be asked for are brought up to date by `sample`; `layer` does so every 5 seconds. One without a value,
 *   such as the error rate of a minute without calls, is not there.
 * - Error rate and p99 are of the last minute: what is older than 55 to 60 seconds is forgotten, and the p99 is exact to
 *   2 %.
 *
 * **Gotchas**
 *
 * Two names that become the same legal name (`a-b` and `a.b`) are rejected at construction: their series would be mixed.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Option from "./internal/option.ts"
import * as Recording from "./internal/telemetry/recorder.ts"
import * as Samplers from "./internal/telemetry/samplers.ts"
import * as Target from "./internal/telemetry/target.ts"

/**
 * Attribute names of log annotations and span attributes.
 *
 * @category names
 * @since 0.1.0
 */
export const Attribute = {
  integration: "integration.name",
  errorTag: "error.type",
  errorCode: "integration.error.code",
  action: "integration.action",
  attempt: "integration.attempt",
  circuit: "integration.circuit.state",
  requestId: "integration.request_id",
  eventId: "cloudevents.event_id",
  eventSource: "cloudevents.event_source",
  eventType: "cloudevents.event_type",
  consumer: "messaging.consumer.group.name",
  channel: "messaging.destination.name",
  method: "http.request.method",
  path: "url.path",
  status: "http.response.status_code",
  synthetic: "integration.synthetic"
} as const

/**
 * What a metric is about: `{name}` in its name is the name of that.
 *
 * @category models
 * @since 0.1.0
 */
export type Subject = "contract" | "channel" | "consumer" | "saga" | "probe" | "design" | "any"

/**
 * A metric of the catalogue.
 *
 * @category models
 * @since 0.1.0
 */
export interface Metered {
  readonly name: string
  readonly kind: "counter" | "gauge" | "histogram"
  readonly of: Subject
  /** The one label that its series differ in. Its values are bounded. */
  readonly label?: string
  readonly unit?: "percent" | "milliseconds" | "seconds"
  readonly description: string
}

/**
 * Every metric that is recorded (section 7.1). `{name}` stands for what it is about.
 *
 * @category names
 * @since 0.1.0
 */
export const catalogue = {
  requests: {
    name: "integration_{name}_requests_total",
    kind: "counter",
    of: "contract",
    label: "outcome",
    description: "Logical calls by outcome: success, or the tag of the error"
  },
  errorRate: {
    name: "integration_{name}_error_rate",
    kind: "gauge",
    of: "contract",
    unit: "percent",
    description: "Share of the logical calls of the last minute that did not succeed"
  },
  latencyP99: {
    name: "integration_{name}_latency_p99_ms",
    kind: "gauge",
    of: "contract",
    unit: "milliseconds",
    description: "What 99 of 100 logical calls of the last minute took at most"
  },
  latency: {
    name: "integration_{name}_latency_ms",
    kind: "histogram",
    of: "contract",
    unit: "milliseconds",
    description: "Duration of logical calls, retries and waits included"
  },
  attempts: {
    name: "integration_{name}_attempts_total",
    kind: "counter",
    of: "contract",
    description: "Requests sent, retries included"
  },
  retries: {
    name: "integration_{name}_retries_total",
    kind: "counter",
    of: "contract",
    label: "reason",
    description: "Attempts made again by reason"
  },
  circuitOpen: {
    name: "integration_{name}_circuit_open",
    kind: "gauge",
    of: "contract",
    description: "1 while any circuit of the integration is not closed"
  },
  circuitOpenings: {
    name: "integration_{name}_circuit_openings_total",
    kind: "counter",
    of: "contract",
    description: "Times the closed circuit opened"
  },
  rateLimitWait: {
    name: "integration_{name}_rate_limit_waits_total",
    kind: "counter",
    of: "contract",
    description: "Calls that waited for the rate limit"
  },
  tokenRefreshes: {
    name: "integration_{name}_token_refreshes_total",
    kind: "counter",
    of: "contract",
    label: "outcome",
    description: "Requests to the token endpoint by outcome"
  },
  notices: {
    name: "integration_{name}_notices_total",
    kind: "counter",
    of: "any",
    label: "kind",
    description: "Errors whose action alerts engineering (alert) or escalates (escalate)"
  },
  published: {
    name: "integration_{name}_published_total",
    kind: "counter",
    of: "channel",
    label: "outcome",
    description: "Events published by outcome"
  },
  deliveries: {
    name: "integration_{name}_deliveries_total",
    kind: "counter",
    of: "consumer",
    label: "outcome",
    description: "Deliveries by what became of them; duplicates that were skipped are among them"
  },
  handlingTime: {
    name: "integration_{name}_handling_ms",
    kind: "histogram",
    of: "consumer",
    unit: "milliseconds",
    description: "Duration of handlers"
  },
  paused: {
    name: "integration_{name}_consumer_paused",
    kind: "gauge",
    of: "consumer",
    description: "1 while a consumer takes no messages"
  },
  deadLetters: {
    name: "integration_{name}_dlq_depth",
    kind: "gauge",
    of: "consumer",
    description: "Messages among the dead letters of the group"
  },
  lag: {
    name: "integration_{name}_consumer_lag",
    kind: "gauge",
    of: "consumer",
    description: "Messages of the group that are not settled: those that wait, and those that wait for their delay"
  },
  lagAge: {
    name: "integration_{name}_consumer_lag_seconds",
    kind: "gauge",
    of: "consumer",
    unit: "seconds",
    description: "Age of the oldest message that is not settled"
  },
  sagas: {
    name: "integration_{name}_sagas_total",
    kind: "counter",
    of: "saga",
    label: "outcome",
    description: "Sagas by how they ended"
  },
  sagasStuck: {
    name: "integration_{name}_sagas_stuck",
    kind: "gauge",
    of: "saga",
    description: "Sagas that wait for an operator"
  },
  outboxPending: {
    name: "integration_{name}_outbox_pending",
    kind: "gauge",
    of: "channel",
    description: "Events of the channel that are stored and not published"
  },
  outboxAge: {
    name: "integration_{name}_outbox_age_seconds",
    kind: "gauge",
    of: "channel",
    unit: "seconds",
    description: "Age of the oldest event of the channel that is stored and not published"
  },
  probes: {
    name: "integration_{name}_probes_total",
    kind: "counter",
    of: "probe",
    label: "outcome",
    description: "Synthetic probes by outcome: success, or the tag of the error"
  },
  probeSuccess: {
    name: "integration_{name}_probe_success",
    kind: "gauge",
    of: "probe",
    description: "1 when the last synthetic probe succeeded"
  },
  probeDuration: {
    name: "integration_{name}_probe_duration_ms",
    kind: "gauge",
    of: "probe",
    unit: "milliseconds",
    description: "Duration of the last synthetic probe"
  },
  alerts: {
    name: "integration_{name}_alerts_total",
    kind: "counter",
    of: "design",
    label: "outcome",
    description:
      "Messages of alerts by what became of them: delivered, or the tag of the error of one that is tried again"
  }
} as const satisfies Readonly<Record<string, Metered>>

/**
 * @category models
 * @since 0.1.0
 */
export type MetricName = keyof typeof catalogue

/**
 * Makes a name legal in a Prometheus metric: every run of other characters than letters and digits becomes one `_`.
 *
 * @category names
 * @since 0.1.0
 */
export const legalName = (name: string): string =>
  name
    .replace(/[^A-Za-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .toLowerCase()

/**
 * The full name of a metric of an integration.
 *
 * @category names
 * @since 0.1.0
 */
export const metricName = (metric: MetricName, name: string): string =>
  catalogue[metric].name.replace("{name}", legalName(name))

/**
 * Records what happens in one integration. What runs as synthetic traffic (`Synthetic`) is not recorded, but for circuits,
 * pauses and probes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recorder extends Recording.Recorder {}

const make = (name: string): Recorder =>
  Recording.make(name, (metric) => ({ ...catalogue[metric], id: metricName(metric, name) }))

const recorders = new Map<string, Recorder>()

/**
 * The recorder of an integration. The same name always gives the same recorder.
 *
 * **Gotchas**
 *
 * Throws `InvalidOption` for a name with no letter or digit, and for a second name that becomes the same legal name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const recorder = (name: string): Recorder => {
  const legal = legalName(name)
  const known = recorders.get(legal)
  if (known?.name === name) return known
  if (legal === "") return Option.reject("Telemetry.recorder", "name", name, "a name with a letter or digit")
  if (known !== undefined) {
    const expected = `a name whose metrics differ from those of ${known.name} (both become ${legal})`
    return Option.reject("Telemetry.recorder", "name", name, expected)
  }
  const made = make(name)
  recorders.set(legal, made)
  return made
}

/** Of names that nobody has a recorder of; those that come later share `other`. */
const strangers = new Map<string, Recorder>()
const maximumStrangers = 64

/**
 * Counts that people were told of an error. Unlike `recorder` it takes every name: one that clashes with another, or is
 * one too many, is counted as `other`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const noticed = (name: string, kind: "alert" | "escalate", context: Context.Context<never>): void => {
  const legal = legalName(name)
  const known = recorders.get(legal)
  if (known?.name === name) return known.notice(kind, context)
  const isFree = legal !== "" && known === undefined
  const stranger = isFree && (strangers.has(legal) || strangers.size < maximumStrangers) ? legal : "other"
  const made = strangers.get(stranger) ?? make(stranger)
  strangers.set(stranger, made)
  made.notice(kind, context)
}

/**
 * Whether what runs is synthetic traffic, of a probe say. Default: false.
 *
 * **Details**
 *
 * It is not recorded in the metrics of the business: requests, latency, error rate, attempts, deliveries and so on. It
 * travels with events (extension `synthetic`) and over HTTP (header `x-synthetic: true`), so that the other side can leave
 * it out too, and spans have the attribute `integration.synthetic`. Circuits and rate limits know no difference.
 *
 * **Gotchas**
 *
 * Whoever can publish to a channel is believed. The header is believed only where `RequestIdMiddleware` is told to: a
 * stranger could hide in it.
 *
 * **Example** (A call that nobody made)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Telemetry } from "effect-integration"
 *
 * declare const call: Effect.Effect<string>
 *
 * export const probe = Effect.provideService(call, Telemetry.Synthetic, true)
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Synthetic: Context.Reference<boolean> = Target.Synthetic

/**
 * What a gauge of the catalogue is to show.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reading {
  readonly metric: MetricName
  /** What it is about: `{name}` in the name of the metric. */
  readonly name: string
  /** `NaN`: there is no value. */
  readonly value: number
}

/**
 * Registers, for as long as the scope is open, what gauges are to show that must be asked for.
 *
 * **Details**
 *
 * It is asked by `sample`, for the `Metric.MetricRegistry` of the fiber that registers it. A gauge that is not among the
 * readings is not shown. After a failure, without an answer within 2 seconds, and when the scope has closed, none is.
 *
 * **Example** (The depth of a queue)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Telemetry } from "effect-integration"
 *
 * declare const depth: Effect.Effect<number>
 *
 * export const registered = Telemetry.sampler(
 *   Effect.map(depth, (value) => [{ metric: "lag", name: "billing", value } as const])
 * )
 * ```
 *
 * @category sampling
 * @since 0.1.0
 */
export const sampler = <R = never>(
  read: Effect.Effect<ReadonlyArray<Reading>, unknown, R>
): Effect.Effect<void, never, R | Scope.Scope> =>
  Effect.flatMap(Effect.context<R>(), (context) => {
    const readings = Effect.map(read, (all) =>
      all.map(({ metric, name, value }) => {
        const { description } = catalogue[metric]
        return { id: metricName(metric, name), description, value }
      })
    )
    return Effect.asVoid(
      Effect.acquireRelease(
        Effect.sync(
          () => new Samplers.Sampler(context as Context.Context<any>, Effect.provideContext(readings, context))
        ),
        (each) => Effect.sync(() => each.remove())
      )
    )
  })

/**
 * Brings the gauges up to date that must be asked for: error rate and p99 of the last minute, dead letters, lag, outbox,
 * stuck sagas. To be run before metrics are read. It does not fail, and takes 2 seconds at most.
 *
 * @category sampling
 * @since 0.1.0
 */
export const sample: Effect.Effect<void> = Samplers.sample

/**
 * Samples in the background, for exporters that only read what is there.
 *
 * **Gotchas**
 *
 * Throws `InvalidOption` for a time that makes no sense.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: { /** Default: 5 seconds. */ readonly every?: Duration.Input } = {}
): Layer.Layer<never> => {
  const every = Option.millis("Telemetry.layer", "every", options.every ?? "5 seconds")
  return Layer.effectDiscard(Effect.forkScoped(Effect.forever(Effect.andThen(sample, Effect.sleep(every)))))
}
