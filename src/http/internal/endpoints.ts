import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Sse from "effect/encoding/Sse"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ErrorAction from "../../policy/ErrorAction.ts"
import { NetworkError } from "../CallError.ts"
import * as Answer from "./answer.ts"
import * as Exchange from "./exchange.ts"
import * as Mismatch from "./mismatch.ts"
import * as Transport from "./transport.ts"
import { type Site, siteOf, type Wire } from "./wire.ts"

/** How a call wants its response; with the response only, decoding is the caller's. */
const Mode = Context.Reference<{
  readonly responseOnly?: boolean
  readonly sseOptions?: Sse.DecodeOptions | undefined
}>("effect-integration/http/internal/Mode", { defaultValue: () => ({}) })

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
export const makeClient = Effect.fnUntraced(function* (wire: Wire, api: HttpApi.Top) {
  const endpoints: Array<Effect.Effect<void>> = []
  const client: Record<string, any> = {}
  HttpApi.reflect(api, {
    onGroup: ({ group }) => {
      if (!group.topLevel) client[group.identifier] = {}
    },
    onEndpoint: ({ endpoint, errors, group }) => {
      const at = { group: group.identifier, endpoint: endpoint.identifier } as never
      const decode = HttpApiClient.decodeResponse(api, at) as unknown as (
        response: HttpClientResponse.HttpClientResponse,
        options: { readonly sseOptions: Sse.DecodeOptions | undefined }
      ) => AnyEffect
      const target = group.topLevel ? client : client[group.identifier]
      const operation = `${group.identifier}.${endpoint.identifier}`
      const read: Exchange.Read<Carrier, unknown> = (response: Carrier, fiber) => {
        if (response.status >= 300 && !errors.has(response.status)) return undefined
        const { responseOnly, sseOptions } = fiber.getRef(Mode)
        if (response.status < 300 && responseOnly) return Effect.succeed(response)
        return Effect.flatMap(decode(response, { sseOptions }), (value) => {
          response[decoded] = { value: adapt(wire, response, value) }
          return reportEcho(wire, response, value)
        })
      }
      const httpClient = HttpClient.makeWith(
        (request: Effect.Effect<HttpClientRequest.HttpClientRequest>) =>
          Effect.flatMap(request, (each) => Exchange.exchange(wire, operation, each, read, endpoint.path)),
        Effect.succeed
      )
      const raw = HttpApiClient.endpoint(api, { ...(at as object), httpClient } as never) as Effect.Effect<
        (request: unknown) => AnyEffect
      >
      endpoints.push(
        Effect.map(raw, (send) => {
          target[endpoint.identifier] = (request: any) => {
            const mode = request?.responseMode ?? "decoded-only"
            const sent = Effect.matchEffect(send({ ...request, responseMode: "response-only" }), {
              onFailure: (error: unknown) =>
                Schema.isSchemaError(error) ? badRequest(wire, endpoint, request, error) : Effect.fail(error),
              onSuccess: (response: Carrier) => {
                if (mode === "response-only") return Effect.succeed(response)
                const carried = response[decoded]
                const value = carried === undefined ? foreign(wire, response, read) : Effect.succeed(carried.value)
                return mode === "decoded-and-response" ? Effect.map(value, (each) => [each, response]) : value
              }
            })
            if (mode === "response-only") return Effect.provideService(sent, Mode, { responseOnly: true })
            const { sseOptions } = request ?? {}
            return sseOptions === undefined ? sent : Effect.provideService(sent, Mode, { sseOptions })
          }
        })
      )
    }
  })
  yield* Effect.all(endpoints, { discard: true })
  return client
})

/** A response that a client middleware made itself has not been through the policy: it is read here. */
const foreign = (wire: Wire, response: Carrier, read: Exchange.Read<Carrier, unknown>): AnyEffect =>
  Effect.withFiber((fiber) =>
    Effect.map(
      Answer.receive(wire, response, () => siteOfResponse(wire, response), [], read(response, fiber)),
      (each) => each[decoded]?.value
    )
  )

/** What was to be sent does not fit the schema: nothing was sent, and the policy was not asked. */
const badRequest = Effect.fnUntraced(function* (
  wire: Wire,
  endpoint: HttpApiEndpoint.Top,
  request: Readonly<Record<string, unknown>> | undefined,
  cause: Schema.SchemaError
) {
  let part = "body"
  for (const [name, schema] of Object.entries({
    params: endpoint.params,
    headers: endpoint.headers,
    query: endpoint.query
  })) {
    if (schema === undefined) continue
    const fits = yield* Effect.exit(Schema.encodeUnknownEffect(schema as Schema.Codec<unknown>)(request?.[name]))
    if (fits._tag === "Failure") part = name
  }
  const site = { integration: wire.name, method: endpoint.method, path: endpoint.path as string }
  const error = Mismatch.protocolError(site, "request", cause, part)
  yield* ErrorAction.perform({
    integration: wire.name,
    error,
    action: error.errorAction,
    attempt: 0,
    nextMillis: undefined,
    requestId: undefined
  })
  return yield* error
})

/** Errors inside a streamed response, in the terms of the contract. */
const adapt = (wire: Wire, response: HttpClientResponse.HttpClientResponse, value: unknown): unknown => {
  if (!Stream.isStream(value)) return value
  const site = siteOfResponse(wire, response)
  return Stream.mapError(value as Stream.Stream<unknown, unknown>, (error) => {
    if (Schema.isSchemaError(error)) return Mismatch.protocolError(site, "response", error, "body", response)
    if (!HttpClientError.isHttpClientError(error)) return error
    const failure = Transport.failureOf(error)
    const code = failure?.code ?? "no code"
    return new NetworkError({ ...site, kind: "reset", code, outcome: "processed" })
  })
}

const siteOfResponse = (wire: Wire, { request }: HttpClientResponse.HttpClientResponse): Site =>
  siteOf(wire.name, request, request.headers["x-request-id"] ?? "")

/** The `requestId` in a body should be the echo of X-Request-ID. */
const reportEcho = (wire: Wire, response: Carrier, value: unknown): Effect.Effect<Carrier> => {
  const echo = Predicate.hasProperty(value, "requestId") ? value.requestId : undefined
  if (typeof echo !== "string" || echo === response.request.headers["x-request-id"]) return Effect.succeed(response)
  return Effect.as(Answer.reportEcho(wire.name, siteOfResponse(wire, response), echo), response)
}
