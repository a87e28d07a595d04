import * as Duration from "effect/Duration"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Schema from "effect/Schema"
import * as Issue from "../../internal/issue.ts"
import * as Timeouts from "../../policy/Timeouts.ts"
import { NetworkError, ProtocolError } from "../CallError.ts"
import * as Transport from "./transport.ts"
import type { Site, Wire } from "./wire.ts"

/** What the client or the decoder says, in the terms of the contract. */
export const fromClient = (
  wire: Wire,
  error: unknown,
  site: Site,
  sent: boolean | undefined,
  side: "request" | "response",
  response?: HttpClientResponse.HttpClientResponse
): unknown => {
  const status = response?.status
  if (Schema.isSchemaError(error)) return protocolError(site, side, error, "body", response)
  if (!HttpClientError.isHttpClientError(error)) return error
  const failure = Transport.failureOf(error)
  if (failure === undefined) {
    if (response !== undefined && isUndeclared(error)) return undeclared(site, response.status)
    const field = side === "request" ? "url or body" : isJson(response) ? "body" : "content-type"
    const description = side === "request" ? error.reason._tag : describe(error)
    return new ProtocolError({
      ...site,
      side,
      field,
      description,
      ...(status === undefined ? undefined : { status })
    })
  }
  if (failure.kind === "connect timeout") {
    const limit = Duration.millis(Number.isFinite(wire.connectMillis) ? wire.connectMillis : 10_000)
    const { method, path, requestId } = site
    const operation = `${method} ${path}`
    const integration = wire.name
    return new Timeouts.Timeout({ integration, operation, requestId, kind: "connect", limit, outcome: "unprocessed" })
  }
  const unsent = failure.kind !== "reset" || sent === false
  return new NetworkError({
    ...site,
    kind: failure.kind,
    code: failure.code,
    outcome: unsent ? "unprocessed" : "unknown"
  })
}

/** The description of a client's error about a body, without what the body said. */
const describe = (error: HttpClientError.HttpClientError): string =>
  error.reason._tag === "EmptyBodyError" || error.response === undefined ? "the body is empty" : typeOf(error.response)
const typeOf = (response: HttpClientResponse.HttpClientResponse): string => {
  const type = response.headers["content-type"]
  const got = type === undefined ? "without content-type" : `of content-type ${type.slice(0, 100)}`
  return `expected what the contract declares, got a body ${got}`
}

const isUndeclared = (error: HttpClientError.HttpClientError): boolean =>
  error.reason._tag === "DecodeError" && error.reason.description === "undeclared status code"
export const undeclared = (site: Site, status: number): ProtocolError =>
  new ProtocolError({
    ...site,
    side: "response",
    status,
    field: "status",
    description: "the contract does not declare it"
  })

/** What does not fit a schema, by path; never the values. */
export const protocolError = (
  site: Omit<Site, "requestId"> & { readonly requestId?: string },
  side: "request" | "response",
  error: Schema.SchemaError,
  part: string,
  response?: HttpClientResponse.HttpClientResponse
): ProtocolError => {
  const { description, path } = Issue.describe(error)
  const foreign = path.length === 0 && response !== undefined && !isJson(response)
  return new ProtocolError({
    ...site,
    side,
    field: foreign ? "content-type" : [part, ...path].join(".").slice(0, 256),
    description: (foreign ? typeOf(response) : description).slice(0, 512),
    ...(response === undefined ? undefined : { status: response.status })
  })
}

const isJson = (response: HttpClientResponse.HttpClientResponse | undefined): boolean =>
  response === undefined || jsonType.test(response.headers["content-type"] ?? "application/json")
export const jsonType = /^application\/([\w.!#$&^-]+\+)?json\s*(;|$)/i
