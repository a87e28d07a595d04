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
 *
 * **Gotchas**
 *
 * Two names that become the same legal name (`a-b` and `a.b`) are rejected at construction: their series would be mixed.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import * as Option from "./internal/option.ts"

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
  status: "http.response.status_code"
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

const latencyBoundaries = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000]
const maximumLabels = 64

type Registry = ReadonlyMap<string, Metric.Metric.Metadata<any, any>>

/**
 * One series. It updates as its metric does, but looks the metric up again only where the registry of the fiber is another
 * or has lost it: metrics are a tenth of what a policy costs.
 */
class Series {
  readonly #metric: Metric.Metric<number, unknown>
  #registry: Registry | undefined
  #key = ""
  #known: Metric.Metric.Metadata<any, any> | undefined
  constructor(metric: Metric.Metric<number, unknown>) {
    this.#metric = metric
  }
  update(value: number, context: Context.Context<never>): void {
    const registry = Context.get(context, Metric.MetricRegistry) as Registry
    const known = this.#known
    if (known !== undefined && registry === this.#registry && registry.get(this.#key) === known && plain(context)) {
      known.hooks.update(value, context)
    } else this.#find(value, context, registry)
  }
  #find(value: number, context: Context.Context<never>, registry: Registry): void {
    this.#known = undefined
    this.#metric.updateUnsafe(value, context)
    if (!plain(context)) return
    for (const [key, metadata] of registry) {
      if (metadata.id !== this.#metric.id || !sameLabels(metadata.attributes, this.#metric.attributes)) continue
      this.#registry = registry
      this.#key = key
      this.#known = metadata
    }
  }
}

const none = Context.get(Context.empty(), Metric.CurrentMetricAttributes)
/** Whether the fiber adds no attributes of its own, which would make it another series. */
const plain = (context: Context.Context<never>): boolean =>
  Context.get(context, Metric.CurrentMetricAttributes) === none

const sameLabels = (a: Metric.Metric.AttributeSet | undefined, b: Metric.Metric.AttributeSet | undefined): boolean => {
  const names = Object.keys(a ?? {})
  return names.length === Object.keys(b ?? {}).length && names.every((name) => a?.[name] === b?.[name])
}

/** Counters that differ in one label, made when a value first appears; past the bound they share `other`. */
class LabelledCounter {
  readonly #metrics = new Map<string, Series>()
  readonly #id: string
  readonly #description: string
  readonly #label: string
  constructor(id: string, description: string, label: string) {
    this.#id = id
    this.#description = description
    this.#label = label
  }
  add(value: string, context: Context.Context<never>): void {
    let metric = this.#metrics.get(value)
    if (metric === undefined) {
      const label = this.#metrics.size < maximumLabels ? value : "other"
      metric = this.#metrics.get(label)
      if (metric === undefined) {
        metric = new Series(
          Metric.counter(this.#id, {
            description: this.#description,
            incremental: true,
            attributes: { [this.#label]: label }
          })
        )
        this.#metrics.set(label, metric)
      }
    }
    metric.update(1, context)
  }
}

/**
 * Records what happens in one integration.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recorder {
  readonly name: string
  /** A logical call ended, after so many milliseconds, with `success` or the tag of its error. */
  readonly call: (outcome: string, millis: number, context: Context.Context<never>) => void
  /** A request was sent. */
  readonly attempt: (context: Context.Context<never>) => void
  /** A call will be tried again because of an error with this tag. */
  readonly retry: (reason: string, context: Context.Context<never>) => void
  /** A call was made to wait for the rate limit. */
  readonly rateLimitWait: (context: Context.Context<never>) => void
  /** A token endpoint was asked: `success` or the tag of the error. */
  readonly tokenRefresh: (outcome: string, context: Context.Context<never>) => void
  /** A delivery was settled: `done`, `duplicate`, `retried`, `dead-lettered` and so on. */
  readonly delivery: (outcome: string, context: Context.Context<never>) => void
  /** A handler ended, after so many milliseconds. */
  readonly handled: (millis: number, context: Context.Context<never>) => void
  /** A consumer was paused, by an outage or by an operator, or goes on. */
  readonly paused: (paused: boolean, context: Context.Context<never>) => void
  /** An event was published: `confirmed`, or the reason why not. */
  readonly published: (outcome: string, context: Context.Context<never>) => void
  /** One of the circuits left the closed state, or came back to it (or is gone). */
  readonly circuit: (change: "opened" | "closed", context: Context.Context<never>) => void
}

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

const make = (name: string): Recorder => {
  const id = (metric: MetricName) => metricName(metric, name)
  const requests = new LabelledCounter(id("requests"), "Logical calls by outcome", "outcome")
  const retries = new LabelledCounter(id("retries"), "Attempts made again by reason", "reason")
  const tokens = new LabelledCounter(id("tokenRefreshes"), "Requests to the token endpoint by outcome", "outcome")
  const latency = new Series(
    Metric.histogram(id("latency"), {
      description: "Duration of logical calls in milliseconds, retries and waits included",
      boundaries: latencyBoundaries
    })
  )
  const attempts = new Series(
    Metric.counter(id("attempts"), { description: "Requests sent, retries included", incremental: true })
  )
  const waits = Metric.counter(id("rateLimitWait"), {
    description: "Calls that waited for the rate limit",
    incremental: true
  })
  const open = Metric.gauge(id("circuitOpen"), { description: "1 while any circuit of the integration is not closed" })
  const deliveries = new LabelledCounter(id("deliveries"), "Deliveries by what became of them", "outcome")
  const published = new LabelledCounter(id("published"), "Events published by outcome", "outcome")
  const handling = new Series(
    Metric.histogram(id("handlingTime"), {
      description: "Duration of handlers in milliseconds",
      boundaries: latencyBoundaries
    })
  )
  const paused = Metric.gauge(id("paused"), { description: "1 while a consumer takes no messages" })
  let notClosed = 0
  const openings = Metric.counter(id("circuitOpenings"), {
    description: "Times the closed circuit opened",
    incremental: true
  })
  return {
    name,
    call(outcome, millis, context) {
      requests.add(outcome, context)
      latency.update(millis, context)
    },
    attempt: (context) => attempts.update(1, context),
    retry: (reason, context) => retries.add(reason, context),
    rateLimitWait: (context) => waits.updateUnsafe(1, context),
    tokenRefresh: (outcome, context) => tokens.add(outcome, context),
    delivery: (outcome, context) => deliveries.add(outcome, context),
    handled: (millis, context) => handling.update(millis, context),
    paused: (value, context) => paused.updateUnsafe(value ? 1 : 0, context),
    published: (outcome, context) => published.add(outcome, context),
    circuit(change, context) {
      notClosed += change === "opened" ? 1 : -1
      open.updateUnsafe(notClosed > 0 ? 1 : 0, context)
      if (change === "opened") openings.updateUnsafe(1, context)
    }
  }
}
