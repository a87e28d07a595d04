/**
 * Distributed tracing (section 7.2): one trace from the caller through HTTP, event, consumer and saga and back, of which
 * each environment keeps as much as the design says.
 *
 * The toolkit makes the spans by itself wherever a tracer is there; this module is the tracer, over OTLP or around another.
 *
 * **Details**
 *
 * Spans are named and described by OpenTelemetry's semantic conventions:
 *
 * | span | kind | what it is |
 * |---|---|---|
 * | `POST /v1/charges` | client | one attempt of a call, by method and template; `http.request.resend_count` from the second on |
 * | `publish orders` | producer | one event that is published; of an outbox `create orders` in the transaction, and `publish orders` (client) by the relay |
 * | `process orders` | consumer | one attempt of a handler: child of the producer, and linked to it |
 * | `saga place-order` | internal | one run, from its begin to its end |
 * | `step charge`, `compensate charge` | internal | one attempt of a step, below the run |
 *
 * - The trace is forwarded as `traceparent`, over HTTP and in events, and is kept with a saga; so is X-Request-ID. Effect's
 *   HTTP server continues what it is sent.
 * - Sampling is parent-based: who begins a trace decides by its id, and all others do as they are told. What is not kept
 *   is forwarded with the flag `00`.
 * - No URL, query or header is recorded of a call. What other code records loses queries, credentials and the fields that
 *   contracts declare as personal data.
 *
 * **Gotchas**
 *
 * - Provide it to the layers of consumers, relays and sagas too, and not only to the program: they look for a tracer when
 *   they are built.
 * - The span of a saga's run ends where the run ends. A crash loses it; the process that goes on begins another one in the
 *   same trace. The span of a step is made once, however often the run is replayed.
 * - SQL statements and transactions outside of any span are left out: they are those of timers, which look again and
 *   again whether there is anything to do.
 * - Events that were published before the trace began, and `tracestate`, are not continued.
 *
 * **Example** (Five percent in production, as the design says)
 *
 * ```ts
 * import { NodeHttpClient } from "@effect/platform-node"
 * import { Config, Layer } from "effect"
 * import type { Integration } from "effect-integration"
 * import { Tracing } from "effect-integration/monitoring"
 *
 * declare const design: Integration.Integration
 *
 * export const tracing = Tracing.layer(design, {
 *   environment: Config.String("ENVIRONMENT"),
 *   endpoint: "http://collector:4318"
 * }).pipe(Layer.provide(NodeHttpClient.layerUndici))
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Headers from "effect/http/Headers"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import * as Tracer from "effect/Tracer"
import type * as Integration from "../Integration.ts"
import * as Option from "../internal/option.ts"
import * as Redaction from "./internal/redaction.ts"
import * as SampledTracer from "./internal/sampledTracer.ts"
import * as Sampler from "./internal/sampler.ts"

/**
 * The program runs in an environment that its design does not know, so that nobody has said what is to be kept there.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownEnvironment extends Data.TaggedError("UnknownEnvironment")<{
  readonly integration: string
  readonly environment: string
  /** Those that the design declares. */
  readonly known: ReadonlyArray<string>
}> {
  override get message(): string {
    const known = this.known.length === 0 ? "it declares none" : `it declares ${this.known.join(", ")}`
    return `${this.integration} has no environment "${this.environment}": ${known}`
  }
}

/**
 * Where the program runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sampling {
  /** One of the design's environments; upper and lower case are the same. One without `sampling` keeps everything. */
  readonly environment: string | Config.Config<string>
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options extends Sampling {
  /** The collector, to which `/v1/traces` is appended. Default: `http://localhost:4318`, where OTLP over HTTP is. */
  readonly endpoint?: string
  /** Default: `protobuf`. */
  readonly format?: "json" | "protobuf"
  /** Sent to the collector with each request. */
  readonly headers?: Headers.Input
  /** `service.name`. Default: the design's service of the consumer, else the name of the design. */
  readonly service?: string
  /** Further attributes of the resource. `deployment.environment.name` is there already. */
  readonly attributes?: Readonly<Record<string, string>>
  /** How often spans are sent. Default: 5 seconds. */
  readonly every?: Duration.Input
  /** How many spans are sent at once. Default: 1000. */
  readonly batch?: number
}

const where = "Tracing.layer"

/**
 * Keeps the part of the traces that the environment says, and sends it to a collector over OTLP (HTTP).
 *
 * **Details**
 *
 * Spans that cannot be delivered are dropped, with a log line: tracing never holds anything up. What is left is sent when
 * the layer is closed, for 3 seconds at most. Throws `InvalidOption` for an endpoint that is no URL, and for numbers that
 * make no sense.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  design: Integration.Integration,
  options: Options
): Layer.Layer<OtlpExporter.Flusher, UnknownEnvironment | Config.ConfigError, HttpClient.HttpClient> => {
  const endpoint = options.endpoint ?? "http://localhost:4318"
  // Not shown: who signs in may be written into it, and what fails would log it.
  if (!Option.isHttpUrl(endpoint) || new URL(endpoint).username !== "") {
    Option.reject(
      where,
      "endpoint",
      "<text>",
      "an absolute URL of http or https without credentials, which are headers"
    )
  }
  const format = Option.word(where, "format", options.format ?? "protobuf", ["json", "protobuf"])
  const exportInterval = Duration.millis(Option.millis(where, "every", options.every ?? "5 seconds"))
  const maxBatchSize = Option.number(where, "batch", options.batch ?? 1000, { min: 1, integer: true })
  const { consumer } = design.parties ?? {}
  const exporter = (environment: string) =>
    OtlpTracer.layer({
      url: `${endpoint.replace(/\/$/, "")}/v1/traces`,
      resource: {
        serviceName: options.service ?? consumer?.service ?? consumer?.system ?? design.name,
        serviceVersion: design.version,
        attributes: { ...options.attributes, "deployment.environment.name": environment }
      },
      headers: options.headers,
      exportInterval,
      maxBatchSize
    }).pipe(Layer.provide(format === "json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf))
  return Layer.unwrap(
    Effect.map(find(design, options), (environment) => around(design, environment)(exporter(environment.name)))
  )
}

/**
 * The same around any layer of a `Tracer`, for example the SDK of OpenTelemetry for Node.
 *
 * **Example** (NodeSdk)
 *
 * ```ts
 * import { Config, Layer } from "effect"
 * import type { Integration } from "effect-integration"
 * import { Tracing } from "effect-integration/monitoring"
 *
 * declare const design: Integration.Integration
 * declare const sdk: Layer.Layer<never> // NodeSdk.layer of @effect/opentelemetry
 *
 * export const tracing = Tracing.sampled(design, { environment: Config.String("ENVIRONMENT") })(sdk)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const sampled =
  (design: Integration.Integration, options: Sampling) =>
  <A, E, R>(tracer: Layer.Layer<A, E, R>): Layer.Layer<A, E | UnknownEnvironment | Config.ConfigError, R> =>
    Layer.unwrap(Effect.map(find(design, options), (environment) => around(design, environment)(tracer)))

const around =
  (design: Integration.Integration, { sampling }: Integration.Environment) =>
  <A, E, R>(inner: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> => {
    const redaction = Redaction.make(Redaction.personalData(design))
    const keeps = Sampler.ratio(sampling ?? 100)
    return Layer.effect(
      Tracer.Tracer,
      Effect.map(Effect.service(Tracer.Tracer), (tracer) => SampledTracer.make(tracer, keeps, redaction))
    ).pipe(Layer.provideMerge(inner))
  }

const find = Effect.fnUntraced(function* (
  design: Integration.Integration,
  { environment: given }: Sampling
): Effect.fn.Return<Integration.Environment, UnknownEnvironment | Config.ConfigError> {
  const environment = typeof given === "string" ? given : yield* given
  const { environments, name: integration } = design
  const found =
    environments.find(({ name }) => name === environment) ??
    environments.find(({ name }) => name.toLowerCase() === environment.toLowerCase())
  if (found !== undefined) return found
  return yield* new UnknownEnvironment({ integration, environment, known: environments.map(({ name }) => name) })
})
