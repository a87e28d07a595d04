/**
 * Tells `Health` over HTTP: `GET /health/live` and `GET /health/ready`, as `application/health+json`
 * (draft-inadarei-api-health-check-06).
 *
 * **Details**
 *
 * - 200 where the status is `pass` or `warn`, 503 where it is `fail`, as the draft wants. HEAD is answered too.
 * - `Cache-Control: max-age` is as long as `Health` keeps its answers; `no-store` where that is less than a second.
 * - The requests are not logged, since they come every few seconds. To have none of them traced, add
 *   `HttpMiddleware.layerTracerDisabledForUrls`.
 *
 * **Gotchas**
 *
 * A report names contracts, consumers and stores, and why they fail. Serve it where only your own systems ask, or with
 * `details: false`, which leaves the status.
 *
 * **Example** (Paths of your own)
 *
 * ```ts
 * import { HealthRoute } from "effect-integration/monitoring"
 *
 * export const Routes = HealthRoute.layer({ live: "/livez", ready: "/readyz" })
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import { Health } from "./Health.ts"
import { httpStatus, mediaType, type Report } from "./HealthReport.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `/health/live`. */
  readonly live?: HttpRouter.PathInput
  /** Default: `/health/ready`. */
  readonly ready?: HttpRouter.PathInput
  /** Whether it tells the checks, and not only the status. Default: true. */
  readonly details?: boolean
}

/** Adds the two routes to the router of the application. @category layers @since 0.1.0 */
export const layer = ({ details = true, live = "/health/live", ready = "/health/ready" }: Options = {}): Layer.Layer<
  never,
  never,
  HttpRouter.HttpRouter | Health
> =>
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      const health = yield* Health
      const seconds = Math.floor(Duration.toSeconds(health.cache))
      const answer = (report: Effect.Effect<Report>) =>
        HttpMiddleware.withLoggerDisabled(
          Effect.map(report, (given) => responseOf(details ? given : { status: given.status, checks: {} }, seconds))
        )
      yield* router.add("GET", live, answer(health.live))
      yield* router.add("GET", ready, answer(health.ready))
    })
  )

/** A report as it is answered. */
const responseOf = (report: Report, seconds: number): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(JSON.stringify(report), {
    status: httpStatus(report.status),
    contentType: mediaType,
    headers: { "cache-control": seconds > 0 ? `max-age=${seconds}` : "no-store" }
  })
