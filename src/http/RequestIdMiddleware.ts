/**
 * X-Request-ID on the provider's side (sections 3.1 and 7.2): taken from the request, or made, forwarded by the contracts
 * that the handler calls, named in its log lines, and echoed in the response. With `trustSynthetic`, synthetic traffic
 * (`x-synthetic: true`) stays so: what the handler does for it is not recorded in the metrics of the business.
 *
 * **Example** (Around an application)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import { RequestIdMiddleware } from "effect-integration/http"
 *
 * export const app = Effect.succeed(HttpServerResponse.text("hello")).pipe(RequestIdMiddleware.make)
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { ParentSpan } from "effect/Tracer"
import * as RequestContext from "../policy/RequestContext.ts"
import * as Telemetry from "../Telemetry.ts"

/** What is accepted from outside: it goes into logs and into other systems. */
const legal = /^[\x21-\x7e]{1,128}$/

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Whether `x-synthetic: true` is believed, which keeps a request out of the metrics and so out of the alerts. Only for
   * a server that strangers cannot reach, or whose gateway takes the header away. Default: false.
   */
  readonly trustSynthetic?: boolean
}

/**
 * Gives each request an id. One that is not 1 to 128 visible ASCII characters is replaced.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  { trustSynthetic = false }: Options = {}
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const given = request.headers["x-request-id"]
    const requestId = given !== undefined && legal.test(given) ? given : (yield* RequestContext.IdGenerator)()
    const echo = (response: HttpServerResponse.HttpServerResponse) =>
      HttpServerResponse.setHeader(response, "x-request-id", requestId)
    // Also where the application fails and the server makes the response.
    yield* HttpEffect.appendPreResponseHandler((_, response) => Effect.succeed(echo(response)))
    const span = yield* Effect.serviceOption(ParentSpan)
    if (span._tag === "Some" && span.value._tag === "Span")
      span.value.attribute(Telemetry.Attribute.requestId, requestId)
    const isSynthetic = trustSynthetic && request.headers["x-synthetic"] === "true"
    return yield* app.pipe(
      RequestContext.withRequestId(requestId),
      (self) => (isSynthetic ? Effect.provideService(self, Telemetry.Synthetic, true) : self),
      Effect.annotateLogs({ [Telemetry.Attribute.requestId]: requestId }),
      Effect.map(echo)
    )
  })
