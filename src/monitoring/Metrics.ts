/**
 * The metrics of the catalogue for the outside (section 7.1): scraped by Prometheus, or sent by OTLP.
 *
 * **Details**
 *
 * - What must be asked for (dead letters, lag, stuck sagas, the outbox) is asked for before each scrape, and as often as
 *   metrics are sent.
 * - A gauge that has no value now is not there: the error rate of no calls is neither 0 nor the last one that there was.
 * - Everything in the registry is exported, the metrics of your own too.
 *
 * **Gotchas**
 *
 * Metrics say how much of your business goes on. Serve them where only Prometheus can reach them.
 *
 * **Example** (A page for Prometheus)
 *
 * ```ts
 * import { HttpRouter } from "effect/http"
 * import { Metrics } from "effect-integration/monitoring"
 *
 * // Needs an HttpServer, such as NodeHttpServer.layer(createServer, { port: 9464 })
 * export const server = HttpRouter.serve(Metrics.route())
 * ```
 *
 * **Example** (OTLP by Effect)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { Metrics } from "effect-integration/monitoring"
 *
 * export const exporter = Metrics.otlp({
 *   url: "http://localhost:4318/v1/metrics",
 *   resource: { serviceName: "orders" }
 * }).pipe(Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * **Example** (The SDK of OpenTelemetry instead)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { Telemetry } from "effect-integration"
 *
 * // With @effect/opentelemetry, @opentelemetry/sdk-metrics and an exporter:
 * // NodeSdk.layer(() => ({
 * //   resource: { serviceName: "orders" },
 * //   metricReader: new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })
 * // }))
 * declare const sdk: Layer.Layer<never>
 *
 * export const exporter = Layer.merge(sdk, Telemetry.layer())
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Headers from "effect/http/Headers"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Option from "../internal/option.ts"
import * as Telemetry from "../Telemetry.ts"

/**
 * The metrics as they are now, in the text format of Prometheus (0.0.4).
 *
 * @category formatting
 * @since 0.1.0
 */
export const text: Effect.Effect<string> = Effect.andThen(Telemetry.sample, PrometheusMetrics.format())

/**
 * The answer to a scrape, for a server of your own.
 *
 * @category responses
 * @since 0.1.0
 */
export const response: Effect.Effect<HttpServerResponse.HttpServerResponse> = Effect.map(text, (body) =>
  HttpServerResponse.text(body, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
)

/**
 * Adds the page that Prometheus scrapes to the router. Default path: `/metrics`.
 *
 * @category layers
 * @since 0.1.0
 */
export const route = (options?: {
  readonly path?: HttpRouter.PathInput
}): Layer.Layer<never, never, HttpRouter.HttpRouter> => HttpRouter.add("GET", options?.path ?? "/metrics", response)

/**
 * @category models
 * @since 0.1.0
 */
export interface OtlpOptions {
  /** With its path, for example `http://localhost:4318/v1/metrics`. */
  readonly url: string
  /** Who sends. `OTEL_RESOURCE_ATTRIBUTES` may say more. */
  readonly resource: {
    readonly serviceName: string
    readonly serviceVersion?: string
    readonly attributes?: Record<string, unknown>
  }
  /** Of each request, for example who sends it. */
  readonly headers?: Headers.Input
  /** Default: protobuf. */
  readonly encoding?: "protobuf" | "json"
  /** Default: none. */
  readonly compression?: "gzip" | "none"
  /** Default: 10 seconds. */
  readonly every?: Duration.Input
  /** How long the last metrics may take when the process ends. Default: 3 seconds. */
  readonly shutdownTimeout?: Duration.Input
  /** Since the process began, or since they were last sent. Default: cumulative. */
  readonly temporality?: OtlpMetrics.AggregationTemporality
}

/**
 * Sends the metrics to a collector of OpenTelemetry, by OTLP over HTTP, also once more when the process ends.
 *
 * **Details**
 *
 * A collector that cannot be reached delays nothing, and loses nothing that is cumulative: it is asked again after a
 * minute, and told then. The `Flusher` sends at once, before a process is suspended.
 *
 * @category layers
 * @since 0.1.0
 */
export const otlp = (options: OtlpOptions): Layer.Layer<OtlpExporter.Flusher, never, HttpClient.HttpClient> => {
  const where = "Metrics.otlp"
  const { encoding = "protobuf", every = "10 seconds", shutdownTimeout, ...given } = options
  // Not shown: who signs in may be written into it, and what fails would log it.
  if (!Option.isHttpUrl(options.url) || new URL(options.url).username !== "") {
    Option.reject(where, "url", "<text>", "an absolute URL of http or https without credentials, which are headers")
  }
  Option.word(where, "encoding", encoding, ["protobuf", "json"])
  const exportInterval = Duration.millis(Option.millis(where, "every", every))
  const timeout = shutdownTimeout === undefined ? 3000 : Option.millis(where, "shutdownTimeout", shutdownTimeout)
  return OtlpMetrics.layer({ ...given, exportInterval, shutdownTimeout: Duration.millis(timeout) }).pipe(
    Layer.provide(encoding === "json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf),
    Layer.provideMerge(Telemetry.layer({ every: exportInterval }))
  )
}
