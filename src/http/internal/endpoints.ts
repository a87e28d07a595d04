import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import { NetworkError } from "../CallError.ts"
import * as Exchange from "./exchange.ts"
import * as Transport from "./transport.ts"

/** Whether the call wants the response only; decoding then is the caller's. */
const ResponseOnly = Context.Reference<boolean>("effect-integration/http/internal/ResponseOnly", {
  defaultValue: () => false
})

/** The decoded value travels on its response, which client middleware may look at on the way. */
const decoded = Symbol.for("effect-integration/http/decoded")
interface Carrier extends HttpClientResponse.HttpClientResponse {
  [decoded]?: { readonly value: unknown }
}

type AnyEffect = Effect.Effect<any, any, any>

/**
 * The methods of an API. Encoding and client middleware are those of `HttpApiClient`; sending is ours, so that decoding
 * happens within the attempt.
 */
export const makeClient = Effect.fnUntraced(function* (wire: Exchange.Wire, api: HttpApi.Top, baseUrl: string) {
  const endpoints: Array<Effect.Effect<void>> = []
  const client: Record<string, any> = {}
  HttpApi.reflect(api, {
    onGroup: ({ group }) => {
      if (!group.topLevel) client[group.identifier] = {}
    },
    onEndpoint: ({ endpoint, errors, group }) => {
      const at = { group: group.identifier, endpoint: endpoint.identifier } as never
      const decode = HttpApiClient.decodeResponse(api, at) as unknown as (
        response: HttpClientResponse.HttpClientResponse
      ) => AnyEffect
      const target = group.topLevel ? client : client[group.identifier]
      const operation = `${group.identifier}.${endpoint.identifier}`
      const read: Exchange.Read<Carrier, unknown> = (response: Carrier, fiber) => {
        if (response.status >= 300 && !errors.has(response.status)) return undefined
        if (response.status < 300 && fiber.getRef(ResponseOnly)) return Effect.succeed(response)
        return Effect.flatMap(decode(response), (value) => {
          response[decoded] = { value: adapt(wire, response, value) }
          return reportEcho(wire, response, value)
        })
      }
      const httpClient = HttpClient.makeWith(
        (request: Effect.Effect<HttpClientRequest.HttpClientRequest>) =>
          Effect.flatMap(request, (each) => Exchange.exchange(wire, operation, each, read)),
        Effect.succeed
      )
      const raw = HttpApiClient.endpoint(api, { ...(at as object), httpClient, baseUrl } as never) as Effect.Effect<
        (request: unknown) => AnyEffect
      >
      const path = endpoint.path as string
      endpoints.push(
        Effect.map(raw, (send) => {
          target[endpoint.identifier] = (request: any) => {
            const mode = request?.responseMode ?? "decoded-only"
            const sent = Effect.catch(send({ ...request, responseMode: "response-only" }), (error: unknown) =>
              Schema.isSchemaError(error) ? badRequest(wire, endpoint.method, path, error) : Effect.fail(error)
            )
            if (mode === "response-only") return Effect.provideService(sent, ResponseOnly, true)
            return Effect.flatMap(sent, (response: Carrier) => {
              // A middleware that made a response of its own has it decoded here.
              const carried = response[decoded]
              const value = carried === undefined ? decode(response) : Effect.succeed(carried.value)
              return mode === "decoded-and-response" ? Effect.map(value, (each) => [each, response]) : value
            })
          }
        })
      )
    }
  })
  yield* Effect.all(endpoints, { discard: true })
  return client
})

/** What was to be sent does not fit the schema: nothing was sent, and the policy was not asked. */
const badRequest = (wire: Exchange.Wire, method: string, path: string, cause: Schema.SchemaError) => {
  const error = Exchange.protocolError({ integration: wire.name, method, path }, "request", cause)
  const action = error.errorAction
  return Effect.andThen(
    ErrorAction.perform({
      integration: wire.name,
      error,
      action,
      attempt: 0,
      nextMillis: undefined,
      requestId: undefined
    }),
    Effect.fail(error)
  )
}

/** Errors inside a streamed response, in the terms of the contract. */
const adapt = (wire: Exchange.Wire, response: HttpClientResponse.HttpClientResponse, value: unknown): unknown => {
  if (!Stream.isStream(value)) return value
  const site = siteOf(wire, response)
  return Stream.mapError(value as Stream.Stream<unknown, unknown>, (error) => {
    if (Schema.isSchemaError(error)) return Exchange.protocolError(site, "response", error, 200)
    if (!HttpClientError.isHttpClientError(error)) return error
    const failure = Transport.failureOf(error)
    const code = failure?.code ?? "no code"
    return new NetworkError({ ...site, kind: "reset", code, outcome: "processed" })
  })
}

const siteOf = (wire: Exchange.Wire, { request }: HttpClientResponse.HttpClientResponse): Exchange.Site =>
  Exchange.siteOf(wire.name, request, request.headers["x-request-id"] ?? "")

/** The `requestId` in a body should be the echo of X-Request-ID. */
const reportEcho = (wire: Exchange.Wire, response: Carrier, value: unknown): Effect.Effect<Carrier> => {
  const echo = Predicate.hasProperty(value, "requestId") ? value.requestId : undefined
  if (typeof echo !== "string" || echo === response.request.headers["x-request-id"]) return Effect.succeed(response)
  return Effect.as(Exchange.reportEcho(wire.name, siteOf(wire, response), echo), response)
}
